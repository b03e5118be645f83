"""Sign-in over real TLS: the embedded server asks for a certificate, the frame gets it on every request."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
    """A running server, its data folder, and wang's key and certificate."""

    server: Server
    data: Path
    identity: Path

    def client(self, identity: Path | None = None) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.data / "tls" / "certificate.pem")
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if identity is not None:
            context.load_cert_chain(identity)
        return httpx.Client(base_url=self.server.https_url, verify=context, timeout=10)


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
    """The server, with wang's certificate bound and a current CRL."""
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
            "sign_in": SignInConfig(),
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
    server = Server([MEMBER], data, settings)
    server.start()
    try:
        yield Place(server, data, identity)
    finally:
        server.stop()


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


def test_forged_header_over_tls(place: Place) -> None:
    """A client names itself in headers; without a certificate on the connection that is nothing."""
    pem = place.identity.read_text().partition("-----BEGIN CERTIFICATE")[2].replace("\n", "%0A")
    forged = {"X-Client-Certificate": pem, "Client-Cert": pem, "SSL-Client-Cert": pem, "SSL_CLIENT_CERT": pem}
    with place.client() as client:
        assert "/sign-in/certificate" not in client.get("desk/sign-in", headers=forged).text
