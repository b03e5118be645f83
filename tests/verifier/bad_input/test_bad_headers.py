"""Certificate headers that nobody's proxy has written: every web adapter, every form of the header.

client ──(header)──> adapter. A proxy of ours sets the header on every request; here the client writes it,
past the proxy, beside it, or in a way that two readers would read differently.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import django
import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from flask import Flask

from onecert.verifier import Verifier
from onecert.verifier.web import ClientCertificates
from onecert.verifier.web.asgi import CertificateMiddleware as AsgiMiddleware
from onecert.verifier.web.flask import OneCert
from onecert.verifier.web.wsgi import CertificateMiddleware as WsgiMiddleware

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
FIRM_ID = "uscc:91440300MA5DEM004J"
BEHIND_PROXY = ClientCertificates(header="Client-Cert")
PROXY, OUTSIDE = "127.0.0.1", "192.0.2.7"
Headers = list[tuple[str, str]]
# What became of it: the id of who is let in, or the code of the refusal.
Ask = Callable[[Verifier, ClientCertificates, Headers, str], str]


def environ_of(headers: Headers, peer: str) -> dict[str, Any]:
    """As servers make it: hyphens and underscores are one, several of one name are joined by commas."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "REMOTE_ADDR": peer,
        "HTTP_ACCEPT": "application/json",
    }
    for name, value in headers:
        variable = "HTTP_" + name.upper().replace("-", "_")
        environ[variable] = f"{environ[variable]},{value}" if variable in environ else value
    return environ


def by_wsgi(verifier: Verifier, certificates: ClientCertificates, headers: Headers, peer: str) -> str:
    def show(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert "HTTP_CLIENT_CERT" not in environ
        start_response("200 OK", [])
        return [json.dumps({"code": environ["onecert.identity"].id}).encode()]

    application: Any = WsgiMiddleware(show, verifier, certificates=certificates, clock=lambda: T)
    body = b"".join(application(environ_of(headers, peer), lambda *_: None))
    return str(json.loads(body)["code"])


def by_asgi(verifier: Verifier, certificates: ClientCertificates, headers: Headers, peer: str) -> str:
    sent: list[Any] = []

    async def show(scope: Any, receive: Any, send: Any) -> None:
        assert all(name != b"client-cert" for name, _ in scope["headers"])
        await send({"type": "http.response.body", "body": json.dumps({"code": scope["onecert.identity"].id})})

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "client": (peer, 1), "headers": [*raw, (b"accept", b"application/json")]}
    application: Any = AsgiMiddleware(show, verifier, certificates=certificates, clock=lambda: T)
    asyncio.run(application(scope, None, send))
    return str(json.loads(sent[-1]["body"])["code"])


def by_django(verifier: Verifier, certificates: ClientCertificates, headers: Headers, peer: str) -> str:
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="test", USE_TZ=True, DATABASES={})
        django.setup()
    from onecert.verifier.web.django import CertificateMiddleware  # noqa: PLC0415  needs the settings

    def show(request: HttpRequest) -> HttpResponse:
        assert "Client-Cert" not in request.headers
        return HttpResponse(json.dumps({"code": request.onecert_identity.id}))

    options = {"verifier": verifier, "certificates": certificates, "clock": lambda: T}
    with override_settings(ONECERT=options):
        request = RequestFactory().get("/", **environ_of(headers, peer))
        return str(json.loads(CertificateMiddleware(show)(request).content)["code"])


def by_flask(verifier: Verifier, certificates: ClientCertificates, headers: Headers, peer: str) -> str:
    app = Flask("tax")
    app.secret_key = "not so secret in a test"
    OneCert(app, verifier=verifier, certificates=certificates, clock=lambda: T)
    environ = {name: value for name, value in environ_of(headers, peer).items() if name != "REQUEST_METHOD"}
    browser = app.test_client()
    answer = browser.post("/login/certificate", environ_overrides=environ, base_url="https://tax.example")
    if answer.status_code != 303:
        return str(json.loads(answer.data)["code"])
    with browser.session_transaction(base_url="https://tax.example") as kept:
        return str(kept["onecert"]["id"])


ADAPTERS: dict[str, Ask] = {"wsgi": by_wsgi, "asgi": by_asgi, "django": by_django, "flask": by_flask}


def escaped(leaf: Any) -> str:
    return quote(leaf.pem.decode())


def structured(leaf: Any) -> str:
    return f":{base64.b64encode(leaf.der).decode()}:"


def plain(leaf: Any) -> str:
    return base64.b64encode(leaf.der).decode()


FORMS: dict[str, Callable[[Any], str]] = {"escaped": escaped, "rfc9440": structured, "plain": plain}


def folded(text: str) -> str:
    # RFC 9112, section 5.2: obsolete, and what a server that still reads it makes of it.
    return text[:60] + "\r\n " + text[60:]


def percent_zero(text: str) -> str:
    return text + "%00"


def percent_twice(text: str) -> str:
    return text.replace("%", "%25") if "%" in text else quote(quote(text, safe=""))


def percent_broken(text: str) -> str:
    return text + "%zz"


def cut(text: str) -> str:
    return text[:-31]


def two(text: str) -> str:
    return f"{text},{text}"


def two_blocks(text: str) -> str:
    return text * 2


def too_long(text: str) -> str:
    return text + "A" * 40_000


def null(text: str) -> str:
    return "(null)"


def rubbish(text: str) -> str:
    return "%%%"


# One change to a good header of our own proxy; by form where the readers differ.
PEM_OR_HEADER = {
    "escaped": "NOT_PEM",
    "rfc9440": "CLIENT_CERTIFICATE_HEADER",
    "plain": "CLIENT_CERTIFICATE_HEADER",
}
CHANGES: list[tuple[Callable[[str], str], dict[str, str] | str]] = [
    (folded, PEM_OR_HEADER | {"escaped": FIRM_ID}),  # PEM has line breaks anyway: the same certificate
    (percent_zero, PEM_OR_HEADER),
    (percent_twice, "CLIENT_CERTIFICATE_HEADER"),
    (percent_broken, PEM_OR_HEADER),
    (cut, PEM_OR_HEADER),
    (two, PEM_OR_HEADER),
    (two_blocks, PEM_OR_HEADER),
    (too_long, "CLIENT_CERTIFICATE_HEADER"),
    (null, "CLIENT_CERTIFICATE_HEADER"),
    (rubbish, "CLIENT_CERTIFICATE_HEADER"),
]


@pytest.fixture(scope="module")
def one(world: Any) -> Any:
    # Always the same octets, so that what is cut off is too.
    return world.leaf("pearl")


@pytest.fixture(params=sorted(ADAPTERS))
def ask(request: pytest.FixtureRequest, verifier: Verifier) -> Callable[..., str]:
    adapter = ADAPTERS[request.param]

    def run(headers: Headers, *, peer: str = PROXY, certificates: ClientCertificates = BEHIND_PROXY) -> str:
        return adapter(verifier, certificates, headers, peer)

    return run


@pytest.mark.parametrize("form", sorted(FORMS))
def test_header_of_our_proxy_is_believed(world: Any, ask: Callable[..., str], form: str) -> None:
    """What every row starts from."""
    assert ask([("Client-Cert", FORMS[form](world.leaf()))]) == FIRM_ID


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize(("change", "code"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_header_that_is_wrong(
    one: Any, ask: Callable[..., str], form: str, change: Callable[[str], str], code: dict[str, str] | str
) -> None:
    value = change(FORMS[form](one))
    assert ask([("Client-Cert", value)]) == (code if isinstance(code, str) else code[form])


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize(
    "names",
    [("Client-Cert",), ("client-cert",), ("Client_Cert",), ("X-SSL-Cert",), ("X-Client-Certificate",)],
    ids=lambda names: names[0],
)
def test_header_past_the_proxy_means_nothing(
    world: Any, ask: Callable[..., str], form: str, names: tuple[str]
) -> None:
    """From an address that is no proxy, and where no proxy is set at all."""
    headers = [(name, FORMS[form](world.leaf())) for name in names]
    assert ask(headers, peer=OUTSIDE) == "CLIENT_CERTIFICATE_MISSING"
    assert ask(headers, certificates=ClientCertificates()) == "CLIENT_CERTIFICATE_MISSING"


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize(
    "name", ["X-SSL-Cert", "SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert-Chain"]
)
def test_another_header_through_the_proxy_means_nothing(
    world: Any, ask: Callable[..., str], form: str, name: str
) -> None:
    assert ask([(name, FORMS[form](world.leaf()))]) == "CLIENT_CERTIFICATE_MISSING"


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize("name", ["Client-Cert", "client-cert"])
def test_one_header_of_the_proxy_and_one_of_the_client(
    world: Any, ask: Callable[..., str], form: str, name: str
) -> None:
    """The proxy adds where it should replace. Two certificates: nobody is let in, whichever comes first."""
    mine, yours = FORMS[form](world.leaf()), FORMS[form](world.leaf("pearl"))
    code = "NOT_PEM" if form == "escaped" else "CLIENT_CERTIFICATE_HEADER"
    assert ask([("Client-Cert", mine), (name, yours)]) == code
    assert ask([(name, yours), ("Client-Cert", mine)]) == code


def test_underscore_beside_the_header_of_the_proxy(world: Any, ask: Callable[..., str]) -> None:
    """Servers make one variable of Client_Cert and Client-Cert. Must be two, or the proxy's own."""
    mine, yours = structured(world.leaf()), structured(world.leaf("stranger"))
    assert ask([("Client-Cert", mine), ("Client_Cert", yours)]) in {"CLIENT_CERTIFICATE_HEADER", FIRM_ID}
    assert ask([("Client_Cert", mine)], peer=OUTSIDE) == "CLIENT_CERTIFICATE_MISSING"


@pytest.mark.parametrize(
    "name", ["X-SSL-Client-S-DN", "ssl-client-subject-dn", "X_Client_DN", "X-SSL-Client-Cert"]
)
def test_what_others_say_about_the_certificate_does_not_reach_the_application(name: str) -> None:
    """An application that once believed such a header goes on reading it. Must find nothing there."""
    variable = "HTTP_" + name.upper().replace("-", "_")
    for certificates in (ClientCertificates(), BEHIND_PROXY):
        assert certificates.clean_environ({variable: "CN=somebody", "HTTP_HOST": "tax"}) == {
            "HTTP_HOST": "tax"
        }
        scope = {"headers": [(name.lower().encode(), b"CN=somebody"), (b"host", b"tax")]}
        assert certificates.clean_scope(scope)["headers"] == [(b"host", b"tax")]
