"""What the HTTP service says about the age of all that its verdicts rest on, online and with a bundle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))
sys.path.insert(0, str(Path(__file__).parents[1] / "bundle"))

from bundle_city import make_city
from registry_files import KEY, Register, row

from onecert.testkit import make_kit
from onecert.testkit.documents import payload_octets, sign_document
from onecert.testkit.trust_roles import RoleHolders, TrustHolders
from onecert.verifier.cli import main
from onecert.verifier.department import open_verifier
from onecert.verifier.service import create_service

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def ask(application: Any, path: str) -> tuple[int, Any]:
    said: list[Any] = []
    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": BytesIO(),
    }
    data = b"".join(application(request, lambda status, headers: said.append(int(status.split()[0]))))
    return said[0], data.decode() if path == "/metrics" else json.loads(data)


@pytest.fixture
def address(place: Path, tmp_path: Path) -> str:
    """The city of ``place``, with a register beside its list."""
    site = tmp_path / "site"
    holders = TrustHolders(registry=RoleHolders((KEY,), 1))
    root = holders.sign_root(at=T - DAY)
    (place / "pki" / "trust-root.json").write_bytes(root)
    payload = json.loads(payload_octets((site / "trust-list.json").read_bytes()))
    listed = sign_document(payload, typ="onecert-trust-list+json", keys=holders.list.keys)
    (site / "trust-list.json").write_bytes(listed)
    Register(site).write([row("91440300MA5DEM004J")], number=4)
    stamp = holders.sign_timestamp(
        3, at=T - HOUR, root=root, trust_list=listed, registry=(site / "registry.json").read_bytes()
    )
    (site / "trust-timestamp.json").write_bytes(stamp)
    return (place / "pki" / "address").read_text().strip()


def test_online(place: Path, address: str) -> None:
    """Root, timestamp and register, each with its number, its age and what is left of it."""
    verifier = open_verifier(place / "pki", trust_list=address, application="tax")
    application = create_service(verifier, clock=lambda: T)
    status, ready = ask(application, "/readyz")
    day = 86400
    assert (status, ready) == (
        200,
        {
            "status": "ready",
            "trust_list": 1,
            "root": {"number": 1, "age_s": day, "left_s": 364 * day},
            "timestamp": {"number": 3, "age_s": 3600, "left_s": 23 * 3600},
            "registry": {"number": 4, "age_s": day, "left_s": 30 * day},
        },
    )
    text = ask(application, "/metrics")[1]
    for line in ("timestamp_age_seconds 3600", "registry_behind 0", "root_left_seconds 3.14496e+07"):
        assert f"onecert_verifier_{line}" in text


def test_without_the_register(place: Path, address: str, tmp_path: Path) -> None:
    """Logins go on, so that the service is ready; the operator sees it."""
    (tmp_path / "site" / "registry.jsonl").unlink()
    verifier = open_verifier(place / "pki", trust_list=address, application="tax")
    application = create_service(verifier, clock=lambda: T)
    status, ready = ask(application, "/readyz")
    assert (status, "registry" in ready) == (200, False)
    assert "onecert_verifier_registry_behind 1" in ask(application, "/metrics")[1]


@pytest.mark.parametrize(("behind", "status"), [(timedelta(minutes=4), 200), (timedelta(hours=3), 503)])
def test_a_timestamp_from_the_future(place: Path, address: str, behind: timedelta, status: int) -> None:
    """The supervision's clock was at ``T - HOUR`` when it signed: this one is behind by at least that."""
    at = T - HOUR - behind
    verifier = open_verifier(place / "pki", trust_list=address, application="tax")
    application = create_service(verifier, clock=lambda: at)
    assert ask(application, "/readyz")[0] == status
    assert f"clock_behind_seconds {behind.total_seconds():g}\n" in ask(application, "/metrics")[1]


PROGRAM = """
import sys
from datetime import datetime
from onecert.verifier.service import application
application.now = lambda: datetime.fromisoformat('2026-11-22T09:00:00+00:00')
from onecert.verifier.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_offline(tmp_path: Path) -> None:
    """``serve --bundle`` as an operator starts it, a day after the bundle was made."""
    city = make_city(make_kit(tmp_path / "kit", at=T), tmp_path)
    bundle = city.bundle(tmp_path / "from a disk.zip")
    command = [sys.executable, "-c", PROGRAM, "serve", "--folder", str(city.pki), "--bundle", str(bundle)]
    process = subprocess.Popen(
        [*command, "--application", "tax", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        with urllib.request.urlopen(f"{url}/readyz", timeout=30) as answer:
            ready = json.load(answer)
        assert ready["bundle"] == {"age_s": 86400, "left_s": 29 * 86400}
        assert ready["registry"]["number"] == 1
        pem = city.kit.certificate_pem(city.kit.case("good-harbour")).decode()
        body = json.dumps({"certificate": pem}).encode()
        request = urllib.request.Request(f"{url}/v1/certificates", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = json.load(answer)
        assert (said["verdict"], said["as_of"]) == ("accepted", "2026-11-21T09:00:00Z")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()


@pytest.mark.parametrize("options", [[], ["--trust-list", "http://127.0.0.1:1/", "--bundle", "b.zip"]])
def test_either_a_list_or_a_bundle(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--folder", "pki", "--application", "tax", *options])
    assert caught.value.code == 2
    assert "--bundle" in capsys.readouterr().err
