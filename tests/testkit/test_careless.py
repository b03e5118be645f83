"""The runner on careless logins: each does one thing wrong, and exactly that is named.

The login is a small WSGI application with answers of its own (``--form json``). With no carelessness it
passes entirely.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from onecert.testkit import Kit, NotReachableError
from onecert.testkit.browser import LoginAddress
from onecert.testkit.cli import main
from onecert.testkit.report import report_lines
from onecert.testkit.runner import Outcome, check_login
from onecert.verifier import (
    CrlFolder,
    MemoryState,
    RevocationMode,
    RevocationPolicy,
    TrustListFolder,
    Verifier,
    VerifyError,
    load_public_key,
    load_trust_root,
    verify_signature,
)
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.login import default_algorithm

T = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Login:
    """A department's own login, with the faults that ``careless`` names."""

    def __init__(self, kit: Kit, *careless: str) -> None:
        self.careless = careless
        root = load_trust_root((kit.folder / "pki" / "trust-root.json").read_bytes())
        mode = RevocationMode.OFF if "no revocation" in careless else RevocationMode.REQUIRE
        self.verifier = Verifier(
            trust_list=TrustListFolder(kit.folder / "site", root=root, state=MemoryState()),
            evidence=CrlFolder(kit.folder / "site" / "crls"),
            application="careless",
            pairwise_key=b"k" * 32,
            revocation=RevocationPolicy(mode=mode),
        )
        self.open: dict[str, tuple[str, bytes]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        session = environ.get("HTTP_COOKIE", "").partition("=")[2] or secrets.token_hex(8)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ["PATH_INFO"]
        try:
            if path == "/login/challenge":
                status, value = "200 OK", self.challenge(session)
            elif path == "/login/answer":
                status, value = "200 OK", self.answer(session, json.loads(body))
            elif "believes headers" in self.careless and environ.get("HTTP_X_SSL_CLIENT_CERT"):
                status, value = "200 OK", {}
            else:
                status, value = "404 Not Found", {}
        except (VerifyError, InvalidSignature, ValueError, KeyError):
            status, value = "403 Forbidden", {}
            if "crashes" in self.careless and b"rubbish" in body:
                status = "500 Internal Server Error"
        headers = [("Content-Type", "application/json"), ("Set-Cookie", f"session={session}; Path=/")]
        start_response(status, headers)
        return [json.dumps(value).encode()]

    def challenge(self, session: str) -> dict[str, str]:
        number = secrets.token_hex(8)
        data = b"same" if "constant" in self.careless else secrets.token_bytes(16)
        self.open[number] = (session, data)
        return {"id": number, "data": base64.b64encode(data).decode()}

    def answer(self, session: str, body: dict[str, str]) -> dict[str, str]:
        number = body["challenge"]
        owner, data = self.open[number] if "forgets replay" in self.careless else self.open.pop(number)
        if owner != session and "any session" not in self.careless:
            raise ValueError("another session")
        pem = body["certificate"].encode()
        certificate = parse_certificate(pem)
        key = load_public_key(certificate.spki_der)
        signature = base64.b64decode(body["signature"], validate=True)
        if "no signature" not in self.careless:
            verify_signature(key, default_algorithm(key), signature, data, policy=None)
        if "any certificate" in self.careless:
            return {"id": "uscc:91440300MA5DEM004J"}
        identity = self.verifier.verify(pem, at=T).identity
        if "id of the key" in self.careless:
            return {"id": f"serial:{certificate.serial:x}"}
        if "shows numbers" in self.careless:
            return {"id": identity.id, "number": "440300190001010015"}
        return {} if "says no id" in self.careless else {"id": identity.id}


def failed(outcomes: list[Outcome]) -> set[str]:
    return {outcome.name for outcome in outcomes if outcome.result == "failed"}


def check(kit: Kit, serve_login: Callable[..., str], *careless: str) -> list[Outcome]:
    return check_login(kit, LoginAddress.parse(serve_login(Login(kit, *careless))), form="json")


@pytest.mark.parametrize("harmless", ["", "says no id"])
def test_a_careful_login_with_answers_of_its_own_passes(
    kit: Kit, serve_login: Callable[..., str], harmless: str
) -> None:
    assert failed(check(kit, serve_login, harmless)) == set()


def test_who_accepts_any_certificate(kit: Kit, serve_login: Callable[..., str]) -> None:
    """It checks the signature and nothing else. Every refusal of a certificate is missing."""
    found = failed(check(kit, serve_login, "any certificate"))
    assert found == {case.name for case in kit.cases if case.expected != "accepted"}


@pytest.mark.parametrize(
    ("careless", "named"),
    [
        ("forgets replay", {"replay"}),
        ("any session", {"other-session"}),
        ("no signature", {"altered-signature", "exchanged-certificate", "other-data"}),
        ("constant", {"constant-challenge"}),
        ("believes headers", {"forged-header"}),
        ("crashes", {"rubbish"}),
        ("no revocation", {"held", "revoked", "status-unknown", "withdrawn-ca-before"}),
        ("shows numbers", {"every accepted case"}),
        ("id of the key", {"every accepted case but citizen"}),
    ],
)
def test_each_carelessness_is_named(
    kit: Kit, serve_login: Callable[..., str], careless: str, named: set[str]
) -> None:
    """One fault each. Nothing else may be reported."""
    accepted = {case.name for case in kit.cases if case.expected == "accepted"}
    if named == {"every accepted case"}:
        named = accepted
    elif named == {"every accepted case but citizen"}:
        named = accepted - {"citizen"}
    assert failed(check(kit, serve_login, careless)) == named


def test_the_report_names_what_failed(
    kit: Kit, serve_login: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and what each failure means, in both languages."""
    address = serve_login(Login(kit, "forgets replay", "any session"))
    command = ["check", str(kit.folder), "--url", address, "--form", "json", "--json"]
    assert main(command) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is False
    outcomes = [Outcome(**row) for row in report["outcomes"]]
    for language, said in (
        ("zh", ["2 项不符合预期（共 37 项，跳过 1 项）：", "- replay: 同一应答提交两次"]),
        ("en", ["2 of 37 not as expected, 1 skipped:", "- replay: the same answer a second time"]),
    ):
        assert report_lines(outcomes, language)[-3:-1] == said
        (row,) = [line for line in report_lines(outcomes, language) if " replay " in line]
        assert row.startswith(("失败", "FAILED"))


@pytest.mark.parametrize("lasts", [1, 1000])
def test_a_login_that_gives_no_answer(kit: Kit, serve_login: Callable[..., str], lasts: int) -> None:
    """The tenth request is dropped: a finding of that case. All that follow too: the login has gone."""
    login, asked = Login(kit), count(1)

    def breaking(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if 10 <= next(asked) < 10 + lasts:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return login(environ, start_response)

    address = LoginAddress.parse(serve_login(breaking))
    if lasts > 1:
        with pytest.raises(NotReachableError, match="URL_DOWN"):
            check_login(kit, address, form="json")
    else:
        found = check_login(kit, address, form="json")
        assert [outcome.found for outcome in found if outcome.result == "failed"] == ["error"]
