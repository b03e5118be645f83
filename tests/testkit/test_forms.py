"""Each form of sign-in that the runner speaks: the service, a page with a form, what is behind a proxy."""

from __future__ import annotations

import asyncio
import html
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from careless_login import Login

from onecert.testkit import Kit, KitError
from onecert.testkit.browser import LoginAddress
from onecert.testkit.cli import main
from onecert.testkit.runner import check_login
from onecert.verifier import RevocationMode, RevocationPolicy, Verifier, open_verifier
from onecert.verifier.service import create_service
from onecert.verifier.web import ClientCertificates, gate
from onecert.verifier.web.wsgi import CertificateMiddleware

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[2] / "verifier" / "examples"
TOKEN = "t" * 40


@pytest.fixture
def place(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A department's folder, at ``T``."""
    shutil.copytree(kit.folder / "pki", tmp_path / "pki")
    (tmp_path / "secret.key").write_text("not so secret in a test")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate, "now", lambda: T)
    return tmp_path


def department(place: Path) -> Verifier:
    address = (place / "pki" / "address").read_text().strip()
    return open_verifier(place / "pki", trust_list=address, application="tax")


def failed(kit: Kit, address: LoginAddress, form: str, **settings: Any) -> set[str]:
    return {one.name for one in check_login(kit, address, form=form, **settings) if one.result == "failed"}


def test_the_service(kit: Kit, place: Path, serve_login: Callable[..., str]) -> None:
    """``onecert-verify serve`` with a token; without the token it is no login at all."""
    url = serve_login(create_service(department(place), token=TOKEN, clock=lambda: T)).removesuffix("/login")
    address = LoginAddress.parse(url)
    with pytest.raises(KitError, match="NOT_A_LOGIN"):
        check_login(kit, address, form="service")
    (place / "token").write_text(TOKEN + "\n")
    report = place / "report.xml"
    command = ["check", str(kit.folder), "--url", url, "--form", "service", "--token", str(place / "token")]
    assert main([*command, "--junit", str(report)]) == 0
    suite = ElementTree.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("39", "0", "1")


def test_files_of_check(
    kit: Kit, tmp_path: Path, capsys: pytest.CaptureFixture[str], good_login: str
) -> None:
    """A token that cannot be read, a report that cannot be written."""
    command = ["check", str(kit.folder), "--url", good_login, "--language", "en"]
    assert main([*command, "--token", str(tmp_path / "none")]) == 2
    assert main([*command, "--junit", str(tmp_path / "none" / "report.xml")]) == 2
    assert capsys.readouterr().err.count("\n") == 2


class HtmlLogin(Login):
    """The same login as a page with a form; it remembers nothing in the page but the challenge."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        session = environ.get("HTTP_COOKIE", "").partition("=")[2] or "s" + str(len(self.open))
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Set-Cookie", f"session={session}")]
        said = ""
        if environ["REQUEST_METHOD"] == "POST":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
            fields = dict(parse_qsl(body, keep_blank_values=True))
            assert fields["csrf"] == "c"
            try:
                holder = self.answer(session, fields)
                start_response("200 OK", headers)
                return [f"<p>welcome {html.escape(holder.get('id', ''))}</p>".encode()]
            except Exception:
                said = "<p>no</p>"
        challenge = self.challenge(session)
        fields = {"challenge": challenge["id"], "data": challenge["data"], "csrf": "c"}
        inputs = "".join(f'<input type="hidden" name="{k}" value="{v}">' for k, v in fields.items())
        asked = '<textarea name="certificate"></textarea><input name="signature">'
        page = f'<form><input name=q></form>{said}<form method=post action="/login">{inputs}{asked}</form>'
        start_response("200 OK", headers)
        return [page.encode()]


@pytest.mark.parametrize(
    ("careless", "named"),
    [((), set()), (("forgets replay",), {"replay"}), (("any usage",), {"encryption-certificate"})],
)
def test_a_page_with_a_form(
    kit: Kit, serve_login: Callable[..., str], careless: tuple[str, ...], named: set[str]
) -> None:
    """The form again is a no; a page without it is a yes."""
    address = LoginAddress.parse(serve_login(HtmlLogin(kit, *careless)))
    assert failed(kit, address, "html", page="/login") == named


def example(name: str) -> Any:
    """The WSGI application of an example, as it stands."""
    application = runpy.run_path(str(EXAMPLES / f"{name}.py"))["application"]
    return application if name == "wsgi_app" else from_asgi(application)


def from_asgi(application: Any) -> Any:
    """Just enough of a server for one GET."""

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        names = {
            key[5:].lower().replace("_", "-"): value for key, value in environ.items() if key[:5] == "HTTP_"
        }
        scope = {
            "type": "http",
            "method": "GET",
            "path": environ["PATH_INFO"],
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in names.items()],
            "client": ("127.0.0.1", 1),
            "extensions": {},
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(application(scope, receive, send))
        headers = [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]]
        start_response(f"{sent[0]['status']} -", headers)
        return [message.get("body", b"") for message in sent[1:]]

    return wsgi


@pytest.mark.parametrize("name", ["wsgi_app", "asgi_app"])
def test_the_examples_behind_a_proxy(
    kit: Kit, place: Path, serve_login: Callable[..., str], name: str
) -> None:
    """The runner stands where nginx would: every certificate with its code and id; there is no challenge."""
    address = LoginAddress.parse(serve_login(example(name)).removesuffix("/login"))
    outcomes = check_login(kit, address, form="proxy")
    assert [one for one in outcomes if one.result == "failed"] == []
    skipped = {one.name for one in outcomes if one.result == "skipped"}
    assert "replay" in skipped
    assert "rubbish" not in skipped


DJANGO = """
import runpy, sys, types
from datetime import datetime
from wsgiref.simple_server import WSGIRequestHandler, make_server
from onecert.verifier.web import gate
gate.now = lambda: datetime.fromisoformat(sys.argv[2])
made = runpy.run_path(sys.argv[1], run_name="django_app")
module = types.ModuleType("django_app")
vars(module).update(made)
sys.modules["django_app"] = module
from django.core.wsgi import get_wsgi_application
WSGIRequestHandler.log_message = lambda *_: None
server = make_server("127.0.0.1", 0, get_wsgi_application())
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_django_behind_a_proxy(kit: Kit, place: Path) -> None:
    """A project of its own, so in a process of its own."""
    command = [sys.executable, "-c", DJANGO, str(EXAMPLES / "django_app.py"), T.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = LoginAddress.parse(f"http://127.0.0.1:{int(process.stdout.readline())}")
            assert failed(kit, address, "proxy") == set()
        finally:
            process.terminate()


def test_a_proxy_site_that_ignores_revocation(kit: Kit, place: Path, serve_login: Callable[..., str]) -> None:
    verifier = Verifier(
        trust_list=department(place).trust_list(T),
        application="careless",
        pairwise_key=b"k" * 32,
        revocation=RevocationPolicy(mode=RevocationMode.OFF),
    )

    def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["onecert.identity"].id.encode()]

    certificates = ClientCertificates(header="Client-Cert")
    application = CertificateMiddleware(hello, verifier, certificates=certificates)
    address = LoginAddress.parse(serve_login(application))
    found = failed(kit, address, "proxy")
    assert found == {"held", "revoked", "status-unknown", "withdrawn-ca-before"}
