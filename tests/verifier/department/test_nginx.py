"""nginx as departments run it (deploy/nginx/department.conf) in front of the WSGI middleware.

browser --TLS, client certificate--> nginx --Client-Cert header--> CertificateMiddleware --> who it is
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from onecert.verifier import CrlFolder, Verifier, load_trust_list
from onecert.verifier.web import ClientCertificates
from onecert.verifier.web.wsgi import CertificateMiddleware

DEPLOY = Path(__file__).resolve().parents[3] / "deploy" / "nginx"
T = datetime(2026, 11, 21, 9, tzinfo=UTC)
LONG = timedelta(days=480)
FIRM_ID = "uscc:91440300MA5DEM004J"
CAS = ("pearl", "harbour", "summit")
KEYS: dict[str, Callable[[], Any]] = {
    "pearl": lambda: rsa.generate_private_key(65537, 2048),
    "harbour": lambda: ec.generate_private_key(ec.SECP256R1()),
    "summit": lambda: ec.generate_private_key(ec.SECP384R1()),
}
FORMS = {"escaped PEM": "$ssl_client_escaped_cert", "RFC 9440": "$onecert_rfc9440"}


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        reason = f"needs {name} (Debian package {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


def show(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """What the application is told, and every header that claims a certificate."""
    identity = environ.get("onecert.identity")
    claims = [name for name in environ if name.startswith("HTTP_") and ("CERT" in name or "SSL" in name)]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"id": identity.id if identity else None, "claims": claims}).encode()]


class Front:
    """nginx in front of an application that knows the world's list."""

    def __init__(self, world: Any, folder: Path, form: str) -> None:
        self.world, self.folder, self.at = world, folder, T
        verifier = Verifier(
            trust_list=load_trust_list(world.trust_list(), keys=world.list_keys, at=T),
            evidence=CrlFolder(world.publish_crls()),
            application="tax",
        )
        application = CertificateMiddleware(
            show,
            verifier,
            certificates=ClientCertificates(header="Client-Cert"),
            required=False,
            clock=lambda: self.at,
        )
        self.server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.port = free_port()
        self.configure(form)

    def configure(self, form: str) -> None:
        own = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tax.example.cn")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(own.public_key())
            .serial_number(1)
            .not_valid_before(T - LONG)
            .not_valid_after(T + 2 * LONG)
            .sign(own, SHA256())
        )
        self.write("tax", certificate, own)
        text = (DEPLOY / "department.conf").read_text()
        for old, new in {
            "listen 443 ssl http2": f"listen 127.0.0.1:{self.port} ssl http2",
            "/etc/nginx/tls/tax.pem": str(self.folder / "tax.pem"),
            "/etc/nginx/tls/tax.key": str(self.folder / "tax.key"),
            "http://unix:/run/tax/http.sock": f"http://127.0.0.1:{self.server.server_port}",
            "Client-Cert $ssl_client_escaped_cert": f"Client-Cert {FORMS[form]}",
        }.items():
            assert old in text
            text = text.replace(old, new)
        (self.folder / "department.conf").write_text(text)
        shutil.copy(DEPLOY / "department-rfc9440.map", self.folder)
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{kind};" for kind in ("proxy", "fastcgi", "scgi", "uwsgi")
        )
        (self.folder / "nginx.conf").write_text(
            f"pid {self.folder}/nginx.pid; daemon off; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {self.folder}/body; {temporary}"
            " include department.conf; }\n"
        )

    def start(self, nginx: str) -> None:
        options = ["-p", f"{self.folder}/", "-e", "stderr", "-c", str(self.folder / "nginx.conf")]
        if os.geteuid() == 0:
            options += ["-g", "user root;"]
        with (self.folder / "nginx.log").open("wb") as log:
            self.process = subprocess.Popen([nginx, *options], stdout=log, stderr=log)
        for _ in range(200):
            assert self.process.poll() is None, (self.folder / "nginx.log").read_text()
            with socket.socket() as probe:
                probe.settimeout(0.05)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.05)
        pytest.fail("nginx does not listen")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def write(self, name: str, certificate: Any, key: Any) -> None:
        (self.folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )

    def curl(self, name: str | None = None, *options: str) -> tuple[int, str]:
        command = ["curl", "--silent", "--insecure", "--noproxy", "*", "--max-time", "20"]
        if name is not None:
            command += ["--cert", str(self.folder / f"{name}.pem"), "--key", str(self.folder / f"{name}.key")]
        command += ["--write-out", "\n%{http_code}", *options, f"https://127.0.0.1:{self.port}/"]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_front(world: Any, folder: Path, form: str) -> Front:
    nginx = program("nginx", "nginx-light")
    program("curl", "curl")
    front = Front(world, folder, form)
    front.start(nginx)
    return front


@pytest.fixture(params=sorted(FORMS))
def front(request: pytest.FixtureRequest, world: Any, tmp_path: Path) -> Iterator[Front]:
    front = make_front(world, tmp_path, request.param)
    yield front
    front.stop()


def issue(front: Front, ca: str, **more: Any) -> Any:
    # nginx reads the machine's clock, so these are good for years before and after T.
    leaf = front.world.leaf(ca, key=KEYS[ca](), **{"not_before": T - LONG, "not_after": T + 2 * LONG, **more})
    front.write(ca, leaf.certificate, leaf.key)
    return leaf


def test_each_ca_and_a_revocation(front: Front) -> None:
    """One firm, three CAs (RSA, P-256, P-384), over TLS. The same id each time; refused once revoked."""
    leaves = {ca: issue(front, ca) for ca in CAS}
    for ca in CAS:
        status, body = front.curl(ca)
        assert (status, json.loads(body)) == (200, {"id": FIRM_ID, "claims": []})
    front.world.revoke("harbour", leaves["harbour"])
    front.world.publish_crls()
    front.at += timedelta(seconds=1)  # how often the folder is looked at
    status, body = front.curl("harbour", "--header", "Accept: application/json")
    assert (status, json.loads(body)["code"]) == (403, "CERT_REVOKED")
    assert front.curl("summit")[0] == 200


def test_nobody_and_strangers(front: Front) -> None:
    """No certificate: nobody. One of a CA that is not on the list: the verifier refuses it, not nginx."""
    assert json.loads(front.curl()[1]) == {"id": None, "claims": []}
    leaf = front.world.leaf("stranger", not_before=T - LONG, not_after=T + 2 * LONG)
    front.write("stranger", leaf.certificate, leaf.key)
    status, body = front.curl("stranger", "--header", "Accept: application/json")
    assert (status, json.loads(body)["code"]) == (403, "ISSUER_UNKNOWN")


def test_headers_from_outside_are_stripped(front: Front) -> None:
    """A client without a certificate writes the headers itself, in every spelling. Must stay nobody."""
    leaf = issue(front, "harbour")
    value = quote(leaf.pem.decode())
    for name in ("Client-Cert", "client-cert", "Client_Cert", "Client-Cert-Chain", "X-SSL-Client-Cert"):
        status, body = front.curl(None, "--header", f"{name}: {value}", "--header", f"{name}: {value}")
        assert (status, json.loads(body)) == (200, {"id": None, "claims": []})
    # Beside a certificate of one's own, too.
    own = issue(front, "summit")
    assert own.der != leaf.der
    assert json.loads(front.curl("summit", "--header", f"Client-Cert: {value}")[1]) == {
        "id": FIRM_ID,
        "claims": [],
    }


def test_expired_certificate_is_told_why(front: Front) -> None:
    """nginx ends it before the verifier sees it. Must be said in both languages."""
    issue(front, "pearl", not_before=T - LONG, not_after=T - LONG + timedelta(days=1))
    status, body = front.curl("pearl")
    assert status == 403
    assert "过期" in body
    assert "expired" in body


def test_resumed_session_is_the_same_holder(front: Front) -> None:
    """openssl s_client comes back with its TLS session and no handshake. Must be the same holder."""
    openssl = program("openssl", "openssl")
    issue(front, "harbour")
    ticket = front.folder / "session"
    command = [openssl, "s_client", "-connect", f"127.0.0.1:{front.port}", "-tls1_2", "-ign_eof"]
    command += ["-cert", str(front.folder / "harbour.pem"), "-key", str(front.folder / "harbour.key")]
    request = b"GET / HTTP/1.1\r\nHost: tax\r\nConnection: close\r\n\r\n"
    said = []
    for option in ("-sess_out", "-sess_in"):
        done = subprocess.run([*command, option, str(ticket)], input=request, capture_output=True, check=True)
        said.append(done.stdout.decode(errors="replace"))
    assert "New, TLSv1.2" in said[0]
    assert "Reused, TLSv1.2" in said[1]
    assert all(f'"id": "{FIRM_ID}"' in each for each in said)
