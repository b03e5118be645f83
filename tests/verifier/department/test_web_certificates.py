"""TLS client certificates in a web application: whose word counts, and what the application is told."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote

import pytest

from onecert.verifier import MalformedError, RefusedError, RevocationEvidence, Verifier, load_trust_list
from onecert.verifier.web import ClientCertificates
from onecert.verifier.web.answers import language_of
from onecert.verifier.web.asgi import CertificateMiddleware as AsgiMiddleware
from onecert.verifier.web.wsgi import CertificateMiddleware as WsgiMiddleware

FIRM_ID = "uscc:91440300MA5DEM004J"
OWN_PROXY = ClientCertificates(header="X-Client-Certificate")


@pytest.fixture
def t() -> datetime:
    return datetime.fromisoformat("2026-11-21T09:00:00+00:00")


@pytest.fixture
def verifier(world: Any, t: datetime) -> Verifier:
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=t)
    crls = [world.crl(ca) for ca in ("pearl", "harbour", "summit")]
    return Verifier(trust_list=trust_list, evidence=RevocationEvidence(crls=crls), application="tax")


def escaped(leaf: Any) -> str:
    """As nginx writes $ssl_client_escaped_cert."""
    return quote(leaf.pem.decode())


def structured(leaf: Any) -> str:
    """As RFC 9440 has it."""
    return f":{base64.b64encode(leaf.der).decode()}:"


def plain(leaf: Any) -> str:
    """As HAProxy writes %[ssl_c_der,base64]."""
    return base64.b64encode(leaf.der).decode()


@pytest.mark.parametrize("write", [escaped, structured, plain])
@pytest.mark.parametrize("peer", ["", "unix:", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_header_of_a_listed_proxy_counts(world: Any, write: Callable[[Any], str], peer: str) -> None:
    """Three ways to write it, by WSGI and by ASGI. Must be the same certificate each time."""
    leaf = world.leaf()
    environ = {"REMOTE_ADDR": peer, "HTTP_X_CLIENT_CERTIFICATE": write(leaf)}
    scope = {
        "type": "http",
        "client": (peer, 1) if peer else None,
        "headers": [(b"x-client-certificate", write(leaf).encode())],
    }
    for presented in (OWN_PROXY.from_environ(environ), OWN_PROXY.from_scope(scope)):
        assert presented is not None
        assert presented.data in {leaf.der, leaf.pem}


@pytest.mark.parametrize("peer", ["192.0.2.7", "10.0.0.1", "rubbish", "::2", "127.0.0.1, 192.0.2.7"])
def test_header_from_elsewhere_means_nothing(world: Any, peer: str) -> None:
    """Somebody reached the application past the proxy and claims a certificate."""
    leaf = world.leaf()
    environ = {"REMOTE_ADDR": peer, "HTTP_X_CLIENT_CERTIFICATE": escaped(leaf)}
    scope = {"client": (peer, 1), "headers": [(b"x-client-certificate", escaped(leaf).encode())]}
    assert OWN_PROXY.from_environ(environ) is None
    assert OWN_PROXY.from_scope(scope) is None


def test_header_without_a_proxy_in_the_settings_means_nothing(world: Any) -> None:
    """Nobody ends TLS in front of us: a header is only what a client sent, also on this machine."""
    value = escaped(world.leaf())
    for name in ("HTTP_CLIENT_CERT", "HTTP_X_CLIENT_CERTIFICATE", "HTTP_SSL_CLIENT_CERT"):
        assert ClientCertificates().from_environ({"REMOTE_ADDR": "127.0.0.1", name: value}) is None


def test_header_on_our_own_tls_port_means_nothing(world: Any) -> None:
    """Past the proxy, straight to our TLS, from this machine."""
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTPS": "on", "HTTP_X_CLIENT_CERTIFICATE": escaped(world.leaf())}
    assert OWN_PROXY.from_environ(environ) is None
    scope = {
        "client": ("127.0.0.1", 1),
        "extensions": {"tls": {"client_cert_chain": []}, "x": {}},
        "headers": [(b"x-client-certificate", escaped(world.leaf()).encode())],
    }
    scope["extensions"]["tls"]["tls_version"] = 0x0304  # type: ignore[index]  # a scope is loosely typed
    assert OWN_PROXY.from_scope(scope) is None


def test_certificate_of_the_servers_own_tls(world: Any) -> None:
    """mod_wsgi and cheroot, gunicorn, and the TLS extension of ASGI."""
    leaf = world.leaf()

    class Socket:
        def getpeercert(self, binary: bool) -> bytes:
            return leaf.der

    certificates = ClientCertificates()
    for environ in ({"SSL_CLIENT_CERT": leaf.pem.decode()}, {"gunicorn.socket": Socket()}):
        assert certificates.from_environ(environ).data in {leaf.der, leaf.pem}  # type: ignore[union-attr]  # there is one
    scope = {"extensions": {"tls": {"client_cert_chain": [leaf.pem.decode()]}}}
    assert certificates.from_scope(scope).data == leaf.pem  # type: ignore[union-attr]  # there is one


def test_servers_own_check_failed(world: Any) -> None:
    """The server says so itself. Must be refused, not treated as no certificate."""
    environ = {"SSL_CLIENT_CERT": world.leaf().pem.decode(), "SSL_CLIENT_VERIFY": "FAILED:expired"}
    with pytest.raises(RefusedError) as caught:
        ClientCertificates().from_environ(environ)
    assert caught.value.code == "CLIENT_CERTIFICATE_TLS"


def test_chain_comes_along(world: Any) -> None:
    """RFC 9440, section 2.3: CA certificates as candidates; one that is unreadable is left out."""
    leaf = world.leaf()
    environ = {
        "REMOTE_ADDR": "",
        "HTTP_CLIENT_CERT": structured(leaf),
        "HTTP_CLIENT_CERT_CHAIN": f"{structured(leaf)}, :rubb ish:, {structured(leaf)}",
    }
    presented = ClientCertificates(header="Client-Cert").from_environ(environ)
    assert presented is not None
    assert presented.chain == (leaf.der, leaf.der)


@pytest.mark.parametrize(
    "value", ["%", ":", "::x", "rubbish!", "%FF%FE", ":AAAA", "-----BEGIN RUBBISH", "A" * 40_000]
)
def test_unreadable_header_is_refused(value: str) -> None:
    """The proxy is set up wrong, or somebody tries. Must not pass for no certificate."""
    with pytest.raises(MalformedError) as caught:
        OWN_PROXY.from_environ({"REMOTE_ADDR": "", "HTTP_X_CLIENT_CERTIFICATE": value})
    assert caught.value.code == "CLIENT_CERTIFICATE_HEADER"


# WSGI


def ask_wsgi(application: Any, **environ: Any) -> tuple[int, dict[str, str], str]:
    said: list[Any] = []
    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "wsgi.input": BytesIO(),
        "REMOTE_ADDR": "",
        **environ,
    }
    body = b"".join(application(request, lambda status, headers: said.extend((status, headers))))
    return int(said[0].split()[0]), dict(said[1]), body.decode()


def show(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """An application that says whom it sees, and whether a claim got through."""
    identity = environ.get("onecert.identity")
    claims = sorted(name for name in environ if "CERT" in name.upper() and name.startswith("HTTP_"))
    start_response("200 OK", [])
    said = {"id": identity and identity.id, "user": environ.get("REMOTE_USER"), "claims": claims}
    return [json.dumps(said).encode()]


def test_application_is_told_the_identity(world: Any, verifier: Verifier, t: datetime) -> None:
    """A certificate of each of the three CAs: one id."""
    application = WsgiMiddleware(show, verifier, certificates=OWN_PROXY, clock=lambda: t)
    for ca in ("pearl", "harbour", "summit"):
        status, _, body = ask_wsgi(application, HTTP_X_CLIENT_CERTIFICATE=escaped(world.leaf(ca)))
        assert (status, json.loads(body)) == (200, {"id": FIRM_ID, "user": FIRM_ID, "claims": []})


def test_forged_claims_do_not_reach_the_application(verifier: Verifier, t: datetime) -> None:
    """No certificate, but every header and variable that names one. Must name nobody."""
    application = WsgiMiddleware(show, verifier, required=False, clock=lambda: t)
    forged = {
        "HTTP_CLIENT_CERT": "x",
        "HTTP_SSL_CLIENT_CERT": "x",
        "HTTP_X_FORWARDED_CLIENT_CERT": "x",
        "REMOTE_USER": "uscc:forged",
        "onecert.identity": None,
    }
    _, _, body = ask_wsgi(application, **forged)
    assert json.loads(body) == {"id": None, "user": None, "claims": []}


def test_refusals_as_page_and_as_problem(world: Any, verifier: Verifier, t: datetime) -> None:
    """Nobody, a stranger and a broken header: 403, 403, 400, in the reader's language, the code last."""
    application = WsgiMiddleware(show, verifier, certificates=OWN_PROXY, clock=lambda: t)
    status, headers, page = ask_wsgi(application, HTTP_ACCEPT_LANGUAGE="en-GB,zh;q=0.5")
    assert status == 403
    assert headers["Content-Language"] == "en"
    assert "presented no certificate" in page
    assert "CLIENT_CERTIFICATE_MISSING" in page

    stranger = escaped(world.leaf("stranger", name="<script>alert(1)</script>"))
    status, headers, page = ask_wsgi(application, HTTP_X_CLIENT_CERTIFICATE=stranger)
    assert (status, headers["Content-Language"]) == (403, "zh")
    assert "<script>" not in page

    status, headers, body = ask_wsgi(
        application, HTTP_X_CLIENT_CERTIFICATE="rubbish!", HTTP_ACCEPT="application/json"
    )
    assert status == 400
    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(body)["code"] == "CLIENT_CERTIFICATE_HEADER"


def test_could_not_check_is_503(world: Any, t: datetime) -> None:
    """No revocation list: nobody knows. Must be "not now", never "no" and never in."""
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=t)
    application = WsgiMiddleware(
        show, Verifier(trust_list=trust_list, application="tax"), certificates=OWN_PROXY, clock=lambda: t
    )
    status, headers, page = ask_wsgi(application, HTTP_X_CLIENT_CERTIFICATE=escaped(world.leaf()))
    assert status == 503
    assert headers["Retry-After"] == "30"
    assert "REVOCATION_UNKNOWN" in page


def test_revoked_from_the_next_request_on(world: Any, t: datetime) -> None:
    """A list arrives between two requests of one connection."""
    leaf = world.leaf()
    evidence = RevocationEvidence(crls=[world.crl("harbour")])
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=t)
    verifier = Verifier(trust_list=trust_list, evidence=evidence, application="tax")
    application = WsgiMiddleware(show, verifier, certificates=OWN_PROXY, clock=lambda: t)
    assert ask_wsgi(application, HTTP_X_CLIENT_CERTIFICATE=escaped(leaf))[0] == 200

    world.revoke("harbour", leaf)
    evidence.add_crl(world.crl("harbour", number=2, this_update=t))
    status, _, page = ask_wsgi(application, HTTP_X_CLIENT_CERTIFICATE=escaped(leaf))
    assert status == 403
    assert "CERT_REVOKED" in page


# ASGI


def ask_asgi(application: Any, **scope: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    asyncio.run(application({"type": "http", "client": None, "headers": [], **scope}, receive, send))
    return sent


async def show_asgi(scope: Any, receive: Any, send: Any) -> None:
    identity = scope.get("onecert.identity")
    names = [name.decode() for name, _ in scope.get("headers", ())]
    body = json.dumps({"id": identity and identity.id, "headers": names}).encode()
    await send({"type": "http.response.body", "body": body})


def test_asgi_application_is_told_the_identity(world: Any, verifier: Verifier, t: datetime) -> None:
    """By the TLS extension and by a proxy's header; the header is gone behind us, also with an underscore."""
    application = AsgiMiddleware(show_asgi, verifier, certificates=OWN_PROXY, clock=lambda: t)
    leaf = world.leaf()
    headers = [(b"x-client-certificate", escaped(leaf).encode()), (b"client_cert", b"x"), (b"host", b"h")]
    tls = {"extensions": {"tls": {"client_cert_chain": [leaf.pem.decode()]}}}
    for scope in ({"headers": headers}, {**tls, "headers": headers}):
        [sent] = ask_asgi(application, **scope)
        assert json.loads(sent["body"]) == {"id": FIRM_ID, "headers": ["host"]}


def test_asgi_refusals(verifier: Verifier, t: datetime) -> None:
    """HTTP gets an answer, a web socket is closed as a breach of policy, start-up passes through."""
    application = AsgiMiddleware(show_asgi, verifier, clock=lambda: t)
    start, body = ask_asgi(application)
    assert start["status"] == 403
    assert b"CLIENT_CERTIFICATE_MISSING" in body["body"]
    [closed] = ask_asgi(application, type="websocket")
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
    assert ask_asgi(application, type="lifespan") != []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh"),
        ("fr", "zh"),
        ("en", "en"),
        ("zh-CN,en", "zh"),
        ("fr, en-US;q=0.9, zh;q=0.8", "en"),
        ("*", "zh"),
    ],
)
def test_language_of_the_browser(header: str, language: str) -> None:
    """The first of ours that the browser lists, Chinese otherwise."""
    assert language_of(header) == language
