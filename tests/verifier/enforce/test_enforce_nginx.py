"""nginx as deploy/nginx/gateway.conf has it: TLS and a certificate in front, a signed header behind.

curl --TLS, certificate--> nginx --auth_request--> GatewayService
                             └-----OneCert-Privileges-----> GatewayMiddleware --> the application
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
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from onecert.verifier.enforce.cli.gateway import GatewayConfig, load_signer, make_service
from onecert.verifier.enforce.department import Department
from onecert.verifier.enforce.gateway import GatewayVerifier
from onecert.verifier.enforce.gateway.wsgi import GatewayMiddleware

CONF = Path(__file__).resolve().parents[3] / "deploy" / "nginx" / "gateway.conf"
ROUTES = """
[gateway]
issuer = "gateway.example"
audience = "tax"
key = "{folder}/gateway.key"

[[routes]]
path = "/"

[[routes]]
path = "/declarations/"
methods = ["GET", "POST"]
roles = ["urn:onecert:role:tax.approver"]
"""


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        reason = f"needs {name} (Debian package {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    privileges = environ["onecert.privileges"]
    start_response("200 OK", [("Content-Type", "application/json")])
    said = {"subject": privileges.subject, "roles": sorted(privileges.roles), "path": environ["PATH_INFO"]}
    return [json.dumps(said).encode()]


class Front:
    """The three programs and the city that they believe."""

    def __init__(self, city: Any, folder: Path) -> None:
        self.city, self.folder = city, folder
        self.zhang, self.li = city.person("zhang", 1), city.person("li", 2)
        for holder in (self.zhang, self.li):
            self.write(holder.name, holder.certificate, holder.key)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "gateway.key").write_bytes(pem)
        path = folder / "gateway.toml"
        path.write_text(city.config(ROUTES.format(folder=folder)))
        config = GatewayConfig.load(path, trusted_owner=False)
        signer = load_signer(path, config)
        department = Department(config.department, look_every=timedelta(0))
        verifier = GatewayVerifier([signer.public_key], issuer="gateway.example", audience="tax")
        self.servers = [
            make_server("127.0.0.1", 0, each, handler_class=Quiet)
            for each in (make_service(config, signer, department), GatewayMiddleware(application, verifier))
        ]
        self.threads = [threading.Thread(target=each.serve_forever, args=(0.05,)) for each in self.servers]
        for thread in self.threads:
            thread.start()
        self.start_nginx()

    def write(self, name: str, certificate: Any, key: Any) -> None:
        (self.folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / f"{name}.key").write_bytes(pem)

    def start_nginx(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        text = CONF.read_text()
        for old, new in {
            "listen 443 ssl http2": f"listen 127.0.0.1:{self.port} ssl http2",
            "/etc/nginx/tls/tax.pem": f"{self.folder}/zhang.pem",
            "/etc/nginx/tls/tax.key": f"{self.folder}/zhang.key",
            "http://unix:/run/onecert-gateway/http.sock:/": f"http://127.0.0.1:{self.servers[0].server_port}/",
            "http://unix:/run/tax/http.sock": f"http://127.0.0.1:{self.servers[1].server_port}",
        }.items():
            assert old in text
            text = text.replace(old, new)
        (self.folder / "gateway.conf").write_text(text)
        paths = "".join(f"{k}_temp_path {self.folder}/{k};" for k in ("proxy", "fastcgi", "scgi", "uwsgi"))
        (self.folder / "nginx.conf").write_text(
            f"pid {self.folder}/nginx.pid; daemon off; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {self.folder}/body; {paths}\n"
            f"include {self.folder}/gateway.conf; }}\n"
        )
        command = [program("nginx", "nginx-light"), "-c", str(self.folder / "nginx.conf")]
        command += ["-e", str(self.folder / "error.log")]
        command += ["-g", "user root;"] if os.geteuid() == 0 else []
        self.nginx = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            assert self.nginx.poll() is None, (self.folder / "error.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.02)
        pytest.fail("nginx does not listen")

    def curl(self, path: str, *options: str, who: str | None = None) -> tuple[int, str]:
        command = [program("curl", "curl"), "--silent", "--insecure", "--noproxy", "*", "--max-time", "20"]
        command += ["--path-as-is", "--write-out", "\n%{http_code}", *options]
        if who is not None:
            command += ["--cert", f"{self.folder}/{who}.pem", "--key", f"{self.folder}/{who}.key"]
        command.append(f"https://127.0.0.1:{self.port}{path}")
        body, _, status = subprocess.run(
            command, capture_output=True, check=True, text=True
        ).stdout.rpartition("\n")
        return int(status), body

    def stop(self) -> None:
        self.nginx.terminate()
        self.nginx.wait(20)
        for server, thread in zip(self.servers, self.threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.fixture
def front(make_city: Callable[..., Any], tmp_path: Path) -> Iterator[Front]:
    made = Front(make_city(at=datetime.now(UTC).replace(microsecond=0)), tmp_path)
    yield made
    made.stop()


def test_roles_through_the_gateway(front: Front) -> None:
    """Granted: in, and the application knows by which role. Without, revoked, or nobody: 403 with the code.
    What a client writes itself reaches nobody; ambiguous addresses are refused."""
    serial = front.city.grant(front.zhang, "urn:onecert:role:tax.approver")
    status, body = front.curl("/declarations/1%20a?x=1", who="zhang")
    assert status == 200, body
    assert json.loads(body)["roles"] == ["urn:onecert:role:tax.approver"]
    assert json.loads(body)["path"] == "/declarations/1 a"
    assert front.curl("/", who="li")[0] == 200
    status, body = front.curl("/declarations/1", who="li")
    assert (status, "PRIVILEGE_DENIED" in body, "您无权访问" in body) == (403, True, True)
    assert "CLIENT_CERTIFICATE_MISSING" in front.curl("/")[1]
    forged = ("--header", "OneCert-Privileges: a.b.c", "--header", "OneCert_Privileges: a.b.c")
    assert front.curl("/declarations/1", *forged, who="li")[0] == 403
    assert front.curl("/", *forged, who="li")[0] == 200
    assert "GATEWAY_LOOKALIKE" in front.curl("/", "--header", "privilege: approver", who="li")[1]
    for path in ("/public/../declarations/1", "//declarations/1", "/x%2f..%2fdeclarations/1", "/a\\..\\b"):
        assert front.curl(path, who="li")[0] in {400, 403}
    assert "PRIVILEGE_ROUTE" in front.curl("/declarations/1", "-X", "DELETE", who="zhang")[1]
    front.city.revoke(serial)
    assert "PRIVILEGE_DENIED" in front.curl("/declarations/1", who="zhang")[1]
