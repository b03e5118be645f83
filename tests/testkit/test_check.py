"""The runner on a good login: the example of the verifier, over HTTP and HTTPS, on the command line."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onecert.testkit import Kit, KitError
from onecert.testkit.browser import Browser, LoginAddress
from onecert.testkit.cli import main
from onecert.testkit.report import report_lines
from onecert.testkit.runner import check_login

CASES, MISUSES = 29, 10


def test_the_example_passes_entirely(kit: Kit, good_login: str, clock: Any) -> None:
    """verifier/examples/flask_app.py: every case with its code and id, every misuse, the late answer too."""

    def wait(seconds: float) -> None:
        clock.now += timedelta(seconds=seconds)

    outcomes = check_login(kit, LoginAddress.parse(good_login), slow=True, wait=wait)
    assert [outcome for outcome in outcomes if outcome.result != "ok"] == []
    assert len(outcomes) == CASES + MISUSES
    late = next(outcome for outcome in outcomes if outcome.name == "late")
    assert late.found_code == "LOGIN_CHALLENGE_EXPIRED"
    assert report_lines(outcomes, "en")[-1] == "all 39 as expected, 0 skipped."


def test_report(folder: Path, good_login: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each case under a heading; what was left out says why."""
    assert main(["check", str(folder), "--url", good_login, "--language", "zh"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "38 项全部符合预期，1 项跳过。"
    assert len(lines) == 1 + CASES + MISUSES + 2
    assert any("revoked" in line and line.count("CERT_REVOKED") == 2 for line in lines)
    (late,) = [line for line in lines if "--slow" in line]
    assert late.startswith("跳过  late")


def test_report_as_json(folder: Path, good_login: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For CI; a case that the department does not serve is left out by name."""
    assert main(["check", str(folder), "--url", good_login, "--json", "--skip", "citizen"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["schema"], report["passed"]) == (1, True)
    results = {outcome["name"]: outcome["result"] for outcome in report["outcomes"]}
    assert (results["citizen"], results["late"], results["good-sm2"]) == ("skipped", "skipped", "ok")
    assert {outcome["why"]["zh"] != outcome["why"]["en"] for outcome in report["outcomes"]} == {True}


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    """A server certificate of its own for 127.0.0.1, good today by the machine's clock."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test server")])
    here = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2120, 1, 1))
    builder = builder.serial_number(7).add_extension(here, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    (tmp_path / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "tls.key").write_bytes(key.private_bytes(*form))
    return tmp_path / "tls.crt", tmp_path / "tls.key"


def test_https(
    tls_files: tuple[Path, Path], serve_login: Callable[..., str], kit: Kit, good_app: Any
) -> None:
    """The server's root is named, or its certificate is not looked at; otherwise it is not reachable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls_files)
    url = serve_login(good_app, ssl_context=context).replace("http://127.0.0.1", "https://localhost")
    for settings in ({"cafile": str(tls_files[0])}, {"insecure": True}):
        assert Browser(LoginAddress.parse(url, **settings)).post("/challenge").status == 200
    with pytest.raises(KitError, match="CAFILE_UNREADABLE"):
        LoginAddress.parse(url, cafile="no-such-file.crt")
    with pytest.raises(KitError, match=r"URL_DOWN.*certificate verify failed"):
        check_login(kit, LoginAddress.parse(url))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/login", "URL_DOWN"),
        ("http://[::1/login", "LOGIN_URL_MALFORMED"),
        ("http://127.0.0.1:99999/login", "LOGIN_URL_MALFORMED"),
        ("ftp://127.0.0.1/login", "LOGIN_URL_MALFORMED"),
        ("127.0.0.1:5000/login", "LOGIN_URL_MALFORMED"),
        ("http://127.0.0.1:1/log in", "LOGIN_URL_MALFORMED"),
        ("http:///login", "LOGIN_URL_MALFORMED"),
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_login_at_this_address(
    folder: Path, capsys: pytest.CaptureFixture[str], url: str, code: str, language: str
) -> None:
    """One clear line; 3 when nobody answers, 2 when it is no address."""
    exit_code = main(["check", str(folder), "--url", url, "--language", language])
    said = capsys.readouterr()
    assert exit_code == (3 if code == "URL_DOWN" else 2)
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "127.0.0.1" in said.err or "login" in said.err
    assert bool(re.search("[一-鿿]", said.err)) == (language == "zh")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"id": 1}', b'{"id": "a", "data": "?"}'])
def test_what_answers_is_no_login(kit: Kit, serve_login: Callable[..., str], content: bytes) -> None:
    """A page of another program."""

    def page(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [content]

    with pytest.raises(KitError, match="NOT_A_LOGIN") as caught:
        check_login(kit, LoginAddress.parse(serve_login(page)))
    assert caught.value.exit_code == 3


def test_cookies_of_a_browser(serve_login: Callable[..., str]) -> None:
    """Kept, replaced, taken away, and never mixed between browsers; also Secure ones on loopback."""
    lines = iter(
        [
            "a=1; Secure; HttpOnly; Partitioned; New=x",
            "b=2",
            "a=3; Path=/",
            "b=; Max-Age=0",
            "bad cookie;;",
            "",
        ]
    )
    seen = []

    def page(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ.get("HTTP_COOKIE", ""))
        start_response("200 OK", [("Set-Cookie", next(lines, ""))])
        return [b""]

    browser = Browser(LoginAddress.parse(serve_login(page)))
    for _ in range(5):
        browser.get("/")
    thief = browser.copy()
    browser.get("/")
    thief.get("/")
    Browser(browser.address).get("/")
    assert seen == ["", "a=1", "a=1; b=2", "a=3; b=2", "a=3", "a=3", "a=3", ""]
