"""Sign-in over real TLS: the embedded server asks for a certificate, the frame gets it on every request."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from onecert.server.config import DatabaseConfig, ServerConfig, Settings
from onecert.server.contexts import open_members
from onecert.server.members import Context, Member, Service
from onecert.server.operators import SignInConfig
from onecert.server.serve import Server
from onecert.server.web import create_frame, current_operator

# TLS itself reads the machine's clock, so certificates of this test are valid now.
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class DeskConfig:
    """No settings."""


def _build(_config: DeskConfig, context: Context) -> Service:
    app = create_frame("desk", context)
    app.add_url_rule("/who", "who", lambda: current_operator().id)
    return Service(app=app)


MEMBER = Member(
    name="desk",
    config=DeskConfig,
    migrations="onecert.server.migrations",
    catalogue="onecert.server",
    roles={"clerk": "Roles"},
    build=_build,
)


@dataclass
class Place:
    """A running server, its data folder and settings, and wang's key and certificate."""

    server: Server
    data: Path
    identity: Path
    settings: Settings

    def client(self, identity: Path | None = None) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.data / "tls" / "certificate.pem")
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if identity is not None:
            context.load_cert_chain(identity)
        return httpx.Client(base_url=self.server.https_url, verify=context, timeout=10)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def write_identity(file: Path, ca: Any) -> Any:
    """Key and certificate in one file; returns the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = ca.issue("王芳", not_before=NOW - HOUR, not_after=NOW + HOUR, key=key)
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return certificate


@pytest.fixture
def place(tmp_path: Path, operators_ca: Any) -> Iterator[Place]:
    """The server, with wang's certificate bound, a current CRL, and settings that name a proxy's header."""
    data = tmp_path / "data"
    anchors = data / "operator-anchors"
    anchors.mkdir(parents=True)
    (anchors / "ca.pem").write_bytes(operators_ca.certificate().public_bytes(Encoding.PEM))
    (anchors / "ca.crl").write_bytes(operators_ca.crl(this_update=NOW - HOUR))
    identity = tmp_path / "wang.pem"
    certificate = write_identity(identity, operators_ca)
    settings = Settings(
        {
            "server": ServerConfig(https_port=0, http_port=0, threads=4),
            "sign_in": SignInConfig(certificate_header="X-Client-Certificate"),
            "desk": DeskConfig(),
            "database.desk": DatabaseConfig(),
        }
    )
    (opened,) = open_members([MEMBER], data, settings)
    with opened.context.database.transaction() as connection:
        opened.context.operators.add(
            connection, "wang", "王芳", ["clerk"], "440300190001010015", NOW + 24 * HOUR, certificate
        )
    opened.close()
    with running(Server([MEMBER], data, settings)) as server:
        yield Place(server, data, identity, settings)


def press_sign_in(client: httpx.Client) -> httpx.Response:
    """Open the sign-in page and press its button, as a browser does."""
    page = client.get("desk/sign-in").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    return client.post("desk/sign-in/certificate", data={"csrf_token": token})


def test_certificate_signs_in_over_tls(place: Place) -> None:
    """The page shows the name; the session holds on connections with the certificate only."""
    with place.client(place.identity) as client:
        assert "<strong>王芳</strong>" in client.get("desk/sign-in").text
        assert press_sign_in(client).status_code == 303
        assert client.get("desk/who").text == "wang"
        cookies = dict(client.cookies)
    with place.client() as stranger:
        stolen = "; ".join(f"{name}={value}" for name, value in cookies.items())
        assert stranger.get("desk/who", headers={"Cookie": stolen}).status_code == 303


def test_without_a_certificate_there_is_no_button(place: Place) -> None:
    """TLS works without one, too."""
    with place.client() as client:
        assert "/sign-in/certificate" not in client.get("desk/sign-in").text


def test_rogue_certificate_does_not_even_shake_hands(place: Place, rogue_ca: Any, tmp_path: Path) -> None:
    """Another CA with the same name."""
    write_identity(tmp_path / "rogue.pem", rogue_ca)

    with place.client(tmp_path / "rogue.pem") as client, pytest.raises(httpx.HTTPError):
        client.get("desk/sign-in")


def escaped_certificate(identity: Path) -> str:
    """As nginx writes $ssl_client_escaped_cert."""
    return quote("-----BEGIN CERTIFICATE" + identity.read_text().partition("-----BEGIN CERTIFICATE")[2])


def test_forged_header_over_tls(place: Place) -> None:
    """A user of this machine goes past the proxy, straight to the TLS port, and claims wang's certificate."""
    pem = escaped_certificate(place.identity)
    forged = dict.fromkeys(("X-Client-Certificate", "Client-Cert", "SSL-Client-Cert", "SSL_CLIENT_CERT"), pem)
    with place.client() as client:
        assert "/sign-in/certificate" not in client.get("desk/sign-in", headers=forged).text


def test_proxy_hands_the_certificate_over_on_its_socket(place: Place, tmp_path: Path) -> None:
    """nginx ends TLS, sets the header and speaks plain HTTP on the socket; the browser sees https."""
    path = tmp_path / "https.sock"
    config = ServerConfig(https_socket=path, http_port=0, public_url="https://pki.example", threads=4)
    behind = Server([MEMBER], place.data, place.settings.with_section("server", config))
    headers = {"X-Client-Certificate": escaped_certificate(place.identity), "Origin": "https://pki.example"}
    transport = httpx.HTTPTransport(uds=str(path))
    with (
        running(behind),
        httpx.Client(transport=transport, base_url="http://pki.example", headers=headers) as proxy,
    ):
        page = proxy.get("desk/sign-in")
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        # The client library keeps Secure cookies for https only; the browser in front of a proxy has https.
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        entered = proxy.post(
            "desk/sign-in/certificate", data={"csrf_token": token}, headers={"Cookie": cookie}
        )
        assert entered.status_code == 303
        session = entered.headers["Set-Cookie"].partition(";")[0]
        assert proxy.get("desk/who", headers={"Cookie": session}).text == "wang"
