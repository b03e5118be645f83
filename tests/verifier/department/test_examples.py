"""The example applications as they stand, against a trust list and revocation lists on the network."""

from __future__ import annotations

import asyncio
import base64
import json
import runpy
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug.serving import make_server

from onecert.verifier import CouldNotCheckError, RefusedError, open_verifier

EXAMPLES = Path(__file__).parents[3] / "verifier" / "examples"
AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
FIRM_ID = "uscc:91440300MA5DEM004J"


def test_flask_in_fifteen_lines(place: Path, world: Any) -> None:
    """The shortest useful application: sign in with a certificate of each CA."""
    lines = [line for line in (EXAMPLES / "flask_app.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 15
    app = runpy.run_path(str(EXAMPLES / "flask_app.py"))["app"]
    for ca in ("pearl", "harbour", "summit"):
        browser, leaf, site = app.test_client(), world.leaf(ca), "https://tax.example"
        challenge = browser.post("/login/challenge", base_url=site).json
        answer = {
            "challenge": challenge["id"],
            "certificate": leaf.pem.decode(),
            "signature": base64.b64encode(leaf.sign(base64.b64decode(challenge["data"]))).decode(),
        }
        assert browser.post("/login/answer", json=answer, base_url=site).status_code == 200
        assert FIRM_ID in browser.get("/", base_url=site).text


def test_sign_in_without_a_browser(place: Path, world: Any) -> None:
    """The program that signs in with files, against the application of fifteen lines, over TLS; with the
    keys that the CAs certify, and with a certificate that is refused."""
    app = runpy.run_path(str(EXAMPLES / "flask_app.py"))["app"]
    server = make_server("127.0.0.1", 0, app, ssl_context="adhoc", threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site = f"https://127.0.0.1:{server.server_port}"
    try:
        for key in (world.leaf().key, rsa.generate_private_key(65537, 2048)):
            leaf = world.leaf(key=key)
            Path("me.crt").write_bytes(leaf.pem)
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            Path("me.key").write_bytes(pem)
            done = subprocess.run(
                [sys.executable, str(EXAMPLES / "sign_in.py"), site, "me.crt", "me.key"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.stdout.splitlines()[-1] == f"示例科技有限公司 {FIRM_ID}", done.stderr
        Path("me.crt").write_bytes(world.leaf("stranger", key=key).pem)
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "sign_in.py"), site, "me.crt", "me.key"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "ISSUER_UNKNOWN" in done.stderr
        # Asked to know its server, it does not sign for one that has not signed itself.
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "sign_in.py"), site, "me.crt", "me.key", "me.crt"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "LOGIN_SERVER_MISSING" in done.stderr
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_wsgi(place: Path, world: Any) -> None:
    """Behind a proxy on this machine."""
    application = runpy.run_path(str(EXAMPLES / "wsgi_app.py"))["application"]
    environ = {
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_CLIENT_CERT": f":{base64.b64encode(world.leaf().der).decode()}:",
    }
    assert b"".join(application(environ, lambda status, headers: None)).decode() == FIRM_ID


def test_asgi(place: Path, world: Any) -> None:
    """The same for ASGI."""
    application = runpy.run_path(str(EXAMPLES / "asgi_app.py"))["application"]
    header = (b"client-cert", b":" + base64.b64encode(world.leaf().der) + b":")
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "client": ("127.0.0.1", 1), "headers": [header]}
    asyncio.run(application(scope, None, send))
    assert sent[-1]["body"].decode() == FIRM_ID


def test_django(place: Path, world: Any) -> None:
    """A project of its own, so in a process of its own."""
    program = (
        "import runpy, sys; from datetime import datetime; from onecert.verifier.web import gate;"
        "gate.now = lambda: datetime.fromisoformat(sys.argv[3]);"
        "import types; made = runpy.run_path(sys.argv[1], run_name='django_app');"
        "module = types.ModuleType('django_app'); vars(module).update(made);"
        "sys.modules['django_app'] = module; from django.test import Client;"
        "print(Client().get('/', headers={'Client-Cert': sys.argv[2]}).content.decode())"
    )
    header = f":{base64.b64encode(world.leaf().der).decode()}:"
    command = [sys.executable, "-c", program, str(EXAMPLES / "django_app.py"), header, AT.isoformat()]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.stdout.strip() == FIRM_ID, said.stderr


def test_wrong_folder(tmp_path: Path, world: Any) -> None:
    """No trust root, and a trust root that is none: one clear error each, before anything is fetched."""
    with pytest.raises(CouldNotCheckError) as caught:
        open_verifier(tmp_path, trust_list="http://192.0.2.1/", application="tax")
    assert caught.value.code == "FILE_UNREADABLE"
    (tmp_path / "trust-root.json").write_text(json.dumps({"threshold": 0, "keys": []}))
    with pytest.raises(RefusedError, match="TRUST_ROOT_MALFORMED"):
        open_verifier(tmp_path, trust_list="http://192.0.2.1/", application="tax")
