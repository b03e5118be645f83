"""The tax office and the timestamp authority of the trust list.

list -> harbour (CA) -> a firm, which signs; city-tsa (timestamp authority) -> a unit that stamps
"""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parents[2]
DAY = timedelta(days=1)


def module_of(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Authority:
    """A timestamp authority on the loopback interface; ``open`` and ``at`` are for a test to change."""

    def __init__(self, office: Any, folder: Path) -> None:
        tests = ROOT / "tests" / "verifier"
        pki = module_of(tests / "conftest.py", "onecert_office_pki").Pki(
            [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
        )
        folder.mkdir()
        self.office = office
        self.made = module_of(tests / "signed_form" / "conftest.py", "onecert_office_forms").make_office(
            pki, folder
        )
        self.open = True
        self.at = office.at
        self.asked = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def service(self, **history: Any) -> dict[str, Any]:
        """Its service on the list; ``withdrawn=TIME`` and others for a later state."""
        states = [("granted", self.office.at - 900 * DAY), *history.items()]
        rows = [
            {
                "ServiceStatus": f"urn:onecert:service-status:{status}",
                "StatusStartingTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            }
            for status, start in states
        ]
        point = "urn:onecert:supply-point:"
        return {
            "ServiceInformation": {
                "ServiceTypeIdentifier": "urn:onecert:service-type:tsa",
                "ServiceName": [
                    {"lang": "zh", "value": "城市时间戳"},
                    {"lang": "en", "value": "City stamps"},
                ],
                "ServiceDigitalIdentity": {
                    "X509Certificates": [{"val": base64.b64encode(self.made.root.der).decode()}],
                    "OtherIds": ["city-tsa"],
                },
                **rows[-1],
                "ServiceSupplyPoints": [
                    {"ServiceType": f"{point}crl", "uriValue": f"{self.url}/tsa.crl"},
                    {"ServiceType": f"{point}ca-certificate", "uriValue": f"{self.url}/tsa.cer"},
                    {"ServiceType": f"{point}timestamp", "uriValue": f"{self.url}/tsa"},
                ],
            },
            "ServiceHistory": rows[:-1],
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.give(authority.made.pki.crls(authority.made.root)[0])

            def do_POST(self) -> None:
                authority.asked += 1
                request = self.rfile.read(int(self.headers["Content-Length"]))
                if not authority.open:
                    return self.send_error(503)
                return self.give(authority.made.answer(request, authority.at))

            def give(self, data: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Nobody reads it."""

        return Handler


@pytest.fixture
def authority(office: Any, tmp_path: Path) -> Iterator[Authority]:
    made = Authority(office, tmp_path / "authority")
    yield made
    made.server.shutdown()
    made.server.server_close()


def publish(office: Any, *services: dict[str, Any]) -> None:
    """The next list, with these services beside the CAs."""
    base = office.trust_list.rpartition("/")[0]

    def change(content: dict[str, Any]) -> None:
        for entity in content["TrustedEntitiesList"]:
            for service in entity["TrustedEntityServices"]:
                for point in service["ServiceInformation"]["ServiceSupplyPoints"]:
                    point["uriValue"] = base + "/" + point["uriValue"].rpartition("/")[2]
        content["TrustedEntitiesList"][0]["TrustedEntityServices"] += services

    office.world.publish(office.site, office.world.trust_list(2, change=change), 2, at=office.at)


@pytest.fixture
def leaf(office: Any) -> Any:
    return office.world.leaf()


def declare(office: Any, leaf: Any) -> tuple[Any, str]:
    browser = office.browser(leaf, "en")
    number = browser.declare()
    assert browser.upload(number, office.sign(browser.document(number), leaf)).status_code == 303
    return browser, number


def test_a_declaration_is_stamped(office: Any, authority: Authority, leaf: Any) -> None:
    """The page says when, by whom, and how to check the record; the record holds after a revocation."""
    publish(office, authority.service())
    browser, number = declare(office, leaf)
    page = browser.get(f"/declarations/{number}").text
    assert "as the timestamp below proves" in page
    assert "made by CN=Timestamps" in page
    assert "2026-11-21 17:00:00 (Beijing)" in page
    assert f"curl -o city-tsa.cer {authority.url}/tsa.cer" in page
    assert "--tsa-anchor city-tsa.cer" in page
    record = browser.get(f"/declarations/{number}/evidence").data
    assert len(json.loads(record)["archive"]) == 1
    # The certificate is revoked an hour later, and its CA has no list for it any more.
    office.at += timedelta(hours=1)
    office.world.revoke("harbour", leaf)
    office.publish()
    checked = office.browser(language="en").check(record)
    assert checked.status_code == 200
    assert "made by CN=Timestamps" in checked.text


def test_without_an_answer_the_declaration_is_taken_and_the_page_says_so(
    office: Any, authority: Authority, leaf: Any
) -> None:
    publish(office, authority.service())
    authority.open = False
    browser, number = declare(office, leaf)
    page = browser.get(f"/declarations/{number}").text
    assert authority.asked == 1
    assert "This record has no timestamp." in page
    assert "<code>FETCH_STATUS</code>" in page
    assert "--tsa-anchor" not in page
    assert json.loads(browser.get(f"/declarations/{number}/evidence").data)["archive"] == []


def test_a_token_of_another_time_is_not_kept(office: Any, authority: Authority, leaf: Any) -> None:
    """The authority's clock is a day ahead. What it says is not put into the record."""
    publish(office, authority.service())
    authority.at = office.at + DAY
    browser, number = declare(office, leaf)
    assert "<code>EVIDENCE_ARCHIVE_UNKNOWN</code>" in browser.get(f"/declarations/{number}").text


def test_an_authority_that_lost_its_licence_is_not_asked(
    office: Any, authority: Authority, leaf: Any
) -> None:
    publish(office, authority.service(withdrawn=office.at - DAY))
    browser, number = declare(office, leaf)
    assert authority.asked == 0
    page = browser.get(f"/declarations/{number}").text
    assert "There is no timestamp authority in service on the trust list now." in page
