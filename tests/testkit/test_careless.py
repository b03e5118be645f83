"""The runner on careless logins: each does one thing wrong, and exactly that is named.

The login is a small WSGI application with answers of its own (``--form json``). With no carelessness it
passes entirely.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from careless_login import Login

from onecert.testkit import Kit, NotReachableError
from onecert.testkit.browser import LoginAddress
from onecert.testkit.cli import main
from onecert.testkit.report import report_lines
from onecert.testkit.runner import Outcome, check_login


def failed(outcomes: list[Outcome]) -> set[str]:
    return {outcome.name for outcome in outcomes if outcome.result == "failed"}


def check(kit: Kit, serve_login: Callable[..., str], *careless: str) -> list[Outcome]:
    return check_login(kit, LoginAddress.parse(serve_login(Login(kit, *careless))), form="json")


@pytest.mark.parametrize("harmless", ["", "says no id"])
def test_a_careful_login_with_answers_of_its_own_passes(
    kit: Kit, serve_login: Callable[..., str], harmless: str
) -> None:
    assert failed(check(kit, serve_login, harmless)) == set()


def test_who_reads_the_identity_and_verifies_nothing(kit: Kit, serve_login: Callable[..., str]) -> None:
    """As programs in the field do. Whatever is not wrong with the identity itself is let in, and named."""
    found = failed(check(kit, serve_login, "unverified identity"))
    by_identity = {"out-of-scope", "conflicting-ids", "conflicting-class", "no-id", "wrong-check-digit"}
    refused = {case.name for case in kit.cases if case.expected != "accepted"}
    assert found == refused - by_identity - {"altered"}


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
        ("any usage", {"encryption-certificate"}),
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
        ("zh", ["2 项不符合预期（共 38 项，跳过 1 项）：", "- replay: 同一应答提交两次", "只能使用一次"]),
        (
            "en",
            ["2 of 38 not as expected, 1 skipped:", "- replay: the same answer a second time", "good once"],
        ),
    ):
        *found, advice, _, _ = report_lines(outcomes, language)[-5:]
        assert found == said[:2]
        assert said[2] in advice
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
