"""The example tax office in this process, with three listed CAs whose lists are on the loopback interface."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

sys.path.append(str(Path(__file__).resolve().parents[2] / "demo" / "office"))

from app import create_app

ROOT = Path(__file__).resolve().parents[2]
SITE = "https://tax.example"
DECLARED = {"year": "2026", "income": "1200.50", "remark": "季度 Q1"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


@dataclass
class Browser:
    """Of one visitor; cookies are kept, pages come in ``language``."""

    client: Any
    language: str

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(
            path, base_url=SITE, headers={"Accept-Language": self.language} | headers, buffered=True
        )

    def post(self, path: str, **form: Any) -> Any:
        headers = {"Accept-Language": self.language, "Sec-Fetch-Site": "same-origin"}
        return self.client.post(path, base_url=SITE, headers=headers, data=form, buffered=True)

    def post_from_elsewhere(self, path: str, headers: dict[str, str], **form: Any) -> Any:
        return self.client.post(path, base_url=SITE, headers=headers, data=form, buffered=True)

    def announce(self, path: str, size: int) -> Any:
        """The head of a post of so many bytes; nothing follows."""
        announced = {"CONTENT_LENGTH": str(size), "CONTENT_TYPE": "multipart/form-data; boundary=x"}
        return self.client.post(path, base_url=SITE, environ_overrides=announced, buffered=True)

    def sign_in(self, leaf: Any) -> None:
        """By challenge, as a USB-key program does it."""
        challenge = self.client.post("/login/challenge", base_url=SITE).json
        answer = {
            "challenge": challenge["id"],
            "certificate": leaf.pem.decode(),
            "signature": base64.b64encode(leaf.sign(base64.b64decode(challenge["data"]))).decode(),
        }
        assert self.client.post("/login/answer", base_url=SITE, json=answer).status_code == 200

    def declare(self, **changed: str) -> str:
        """Make a declaration; its number."""
        made = self.post("/declarations", **(DECLARED | changed))
        assert made.status_code == 303, made.text
        return str(made.location.rpartition("/")[2])

    def document(self, number: str) -> bytes:
        return bytes(self.get(f"/declarations/{number}/document").data)

    def upload(self, number: str, signature: bytes) -> Any:
        file = (BytesIO(signature), "declaration.p7s")
        return self.post(f"/declarations/{number}/signature", signature=file)

    def check(self, record: bytes) -> Any:
        return self.post("/check", record=(BytesIO(record), "evidence.json"))


@dataclass
class Office:
    """The application, its clock, and the city's CAs (``world``)."""

    app: Any
    world: Any
    trust_list: str
    folder: Path
    site: Path
    at: datetime

    def browser(self, leaf: Any = None, language: str = "zh") -> Browser:
        """A new visitor, signed in with ``leaf`` if there is one."""
        browser = Browser(self.app.test_client(), language)
        if leaf is not None:
            browser.sign_in(leaf)
        return browser

    def sign(self, document: bytes, leaf: Any, *options: str) -> bytes:
        """What ``openssl cms -sign`` makes with the options that the page names."""
        (self.folder / "me.crt").write_bytes(leaf.pem)
        key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "me.key").write_bytes(key)
        (self.folder / "document.json").write_bytes(document)
        command = ["openssl", "cms", "-sign", "-binary", "-in", "document.json", "-signer", "me.crt"]
        command += ["-inkey", "me.key", "-outform", "DER", *options]
        try:
            return subprocess.run(command, cwd=self.folder, capture_output=True, check=True).stdout
        except FileNotFoundError:
            pytest.skip("needs the openssl command (Debian package openssl)")

    def publish(self) -> None:
        """The CAs' lists, and the timestamp of the trust list, as they are at ``at``."""
        listed = (self.site / "trust-list.json").read_bytes()
        self.world.publish(self.site, listed, int(self.at.timestamp()), at=self.at)
        for ca in ("pearl", "harbour", "summit"):
            file = self.site / f"{ca}.crl"
            changed = file.stat().st_mtime + 60  # the server compares whole seconds
            file.write_bytes(self.world.crl(ca, this_update=self.at, number=2))
            os.utime(file, (changed, changed))


@pytest.fixture(scope="session")
def department() -> ModuleType:
    """The verifier's own test world: three listed CAs."""
    path = ROOT / "tests" / "verifier" / "department" / "conftest.py"
    spec = importlib.util.spec_from_file_location("onecert_office_world", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def office(department: ModuleType, tmp_path: Path) -> Iterator[Office]:
    folder, site = tmp_path / "office", tmp_path / "site"
    folder.mkdir()
    site.mkdir()
    world = department.World(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    base = f"http://127.0.0.1:{server.server_address[1]}"

    def point_here(content: dict[str, Any]) -> None:
        for entity in content["TrustedEntitiesList"]:
            for service in entity["TrustedEntityServices"]:
                for point in service["ServiceInformation"]["ServiceSupplyPoints"]:
                    point["uriValue"] = base + "/" + point["uriValue"].rpartition("/")[2]

    world.publish(site, world.trust_list(change=point_here))
    for ca in ("pearl", "harbour", "summit"):
        (site / f"{ca}.crl").write_bytes(world.crl(ca))
    (folder / "trust-root.json").write_bytes(world.root_file)
    (folder / "secret.key").write_text("not so secret in a test")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made: list[Office] = []
    app = create_app(folder, trust_list=f"{base}/trust-list.json", clock=lambda: made[0].at)
    app.testing = True
    made.append(Office(app, world, f"{base}/trust-list.json", folder, site, department.T))
    yield made[0]
    server.shutdown()
    server.server_close()
    thread.join()


def said(page: Any) -> str:
    """The code that a refusal's page shows."""
    found = re.search(r"<code>([A-Z_0-9]+)</code></p>\s*<p><a", page.text)
    return found[1] if found else ""


@pytest.fixture
def code() -> Any:
    """``code(page)``: the code that a refusal's page shows."""
    return said
