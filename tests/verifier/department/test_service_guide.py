"""The guide to the HTTP service: its commands run as they stand; clocks, explanations, the unix socket."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError, RevocationEvidence, Verifier, load_trust_list
from onecert.verifier.cli.serve import _UnixServer
from onecert.verifier.fetch import ClockWatch, FetchAnswer, FetchRequest
from onecert.verifier.service import create_service
from onecert.verifier.service.openapi import describe

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FIRM_ID = "uscc:91440300MA5DEM004J"
DOCS = Path(__file__).parents[3] / "docs"
PROGRAM = (
    "import sys; from datetime import datetime; from onecert.verifier.web import gate;"
    "from onecert.verifier.service import application;"
    "application.now = gate.now = lambda: datetime.fromisoformat('2026-11-21T09:00:00+00:00');"
    "from onecert.verifier.cli import main; sys.exit(main(sys.argv[1:]))"
)


def commands(name: str) -> list[str]:
    text = (DOCS / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


@pytest.fixture
def served(place: Path, world: Any) -> Iterator[subprocess.Popen[str]]:
    """The service of the guide, started as it says, and its holder's files."""
    leaf = world.leaf()
    Path("me.crt").write_bytes(leaf.pem)
    from cryptography.hazmat.primitives import serialization as s  # noqa: PLC0415  only here

    form = (s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    Path("me.key").write_bytes(leaf.key.private_bytes(*form))
    address = Path("pki/address").read_text().strip()
    begin = commands("verifier-service.md")[0]
    assert begin.startswith("onecert-verify serve ")
    assert begin.endswith(" &")
    options = (
        begin.removeprefix("onecert-verify ").removesuffix(" &").replace('"$(cat pki/address)"', address)
    )
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *options.split()], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready unix:")
    yield process
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process.stdout.close()
    assert not Path("verify.sock").exists()


@pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "jq", "openssl"))),
    reason="needs curl, jq and openssl (Debian packages)",
)
def test_the_walk_through(served: subprocess.Popen[str]) -> None:
    """Both languages show the same commands; each works as written."""
    assert commands("verifier-service.md") == commands("verifier-service.zh.md")
    said = []
    for command in commands("verifier-service.md")[1:]:
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        if done.stdout:
            said.append(done.stdout)
    verdicts = [json.loads(text) for text in said[:5]]
    assert [one.get("verdict") for one in verdicts[:3]] == ["accepted"] * 3
    assert verdicts[0]["id"] == verdicts[1]["id"] == FIRM_ID
    assert verdicts[2]["paths"][0]["accepted"]
    assert verdicts[3]["status"] == "ready"
    assert verdicts[4]["sequence"] == 1
    assert "onecert_verifier_clock_behind_seconds 0" in said[5]
    # The server of the lists has this machine's clock, the service the clock of this test.
    assert 'onecert_verifier_clock_skew_seconds{server="127.0.0.1"}' in said[5]
    assert json.loads(said[6])["openapi"].startswith("3.1")
    assert os.stat("verify.sock").st_mode & 0o777 == 0o660


def test_a_socket_that_is_in_use(tmp_path: Path) -> None:
    """What is left over after a power cut goes; a socket that somebody serves, and any other file, stays."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    first = _UnixServer(path)
    with pytest.raises(OSError, match="in use"):
        _UnixServer(path)
    assert path.is_socket()
    first.server_close()
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        _UnixServer(path)
    assert path.read_text() == "mine"


class Server:
    """Answers with a clock that is ``ahead``, after ``takes``."""

    def __init__(self, clock: list[datetime], ahead: timedelta, takes: timedelta) -> None:
        self.clock, self.ahead, self.takes = clock, ahead, takes

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        self.clock[0] += self.takes
        return FetchAnswer(data=b"", date=(self.clock[0] + self.ahead).replace(microsecond=0))


@pytest.mark.parametrize(
    ("ahead", "takes", "found"),
    [
        (0.0, 0.0, 0.0),
        (0.1, 0.3, 0.0),  # within the second that Date leaves open
        (-0.4, 0.3, 0.0),
        (0.0, 20.0, 0.0),  # a slow answer is no wrong clock
        (60.0, 0.0, 59.5),
        (-60.0, 0.0, -59.5),
        (60.0, 20.0, 59.5),
        (-60.0, 20.0, -39.5),  # it may have been written when we asked
    ],
)
def test_how_far_a_clock_is_at_least(ahead: float, takes: float, found: float) -> None:
    """What the machine's clock shows and what the server writes, in seconds."""
    clock = [T + SECOND / 2]
    watch = ClockWatch(Server(clock, SECOND * ahead, SECOND * takes), clock=lambda: clock[0])
    watch(FetchRequest(url="http://pki.test/a", max_bytes=1))
    assert watch.skews()["pki.test"].total_seconds() == pytest.approx(found, abs=0.51)
    assert (watch.skews()["pki.test"] == timedelta(0)) == (found == 0)


def test_servers_without_a_clock_and_too_many_of_them() -> None:
    """No ``Date``: nothing is known. Only the last servers are remembered; a failure stays one."""
    silent = ClockWatch(lambda request: FetchAnswer(data=b""))
    silent(FetchRequest(url="http://pki.test/a", max_bytes=1))
    assert silent.skews() == {}

    def fail(request: FetchRequest) -> FetchAnswer:
        raise CouldNotCheckError("FETCH_FAILED", url=request.url, detail="")

    with pytest.raises(CouldNotCheckError):
        ClockWatch(fail)(FetchRequest(url="http://pki.test/a", max_bytes=1))
    many = ClockWatch(lambda request: FetchAnswer(data=b"", date=T), clock=lambda: T)
    for number in range(100):
        many(FetchRequest(url=f"http://host{number}.test/", max_bytes=1))
    assert len(many.skews()) == 64
    assert "host99.test" in many.skews()


def test_a_signed_list_from_the_future(world: Any) -> None:
    """A CRL that was made four minutes after now: this clock is behind by that, whatever servers say."""
    made = T + timedelta(minutes=4)
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=T)
    evidence = RevocationEvidence(crls=[world.crl("harbour", this_update=made)])
    verifier = Verifier(trust_list=trust_list, evidence=evidence, application="tax")
    application = create_service(verifier, clock=lambda: T)
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "REMOTE_ADDR": "127.0.0.1"}
    text = b"".join(application(request, lambda *_: None)).decode()
    assert "clock_behind_seconds 240" in text
    assert "clock_skew" not in text


def test_the_description_is_openapi() -> None:
    """A kept validator reads it."""
    validator = pytest.importorskip("openapi_spec_validator", reason="needs openapi-spec-validator")
    validator.validate(describe())


def test_dates_of_caches_do_not_count(place: Path) -> None:
    """``Date`` of an answer that a cache has kept is old, not wrong."""
    from http.client import HTTPResponse  # noqa: PLC0415  only here

    from onecert.verifier.fetch.http import _date  # noqa: PLC0415

    def read(*lines: str) -> datetime | None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall("\r\n".join(["HTTP/1.1 200 OK", *lines, "Content-Length: 0", "", ""]).encode())
            response = HTTPResponse(ours)
            response.begin()
            return _date(response)

    date = f"Date: {format_datetime(T, usegmt=True)}"
    assert read(date) == T
    assert read(date, "Age: 0") == T
    for lines in ((), (date, "Age: 30"), ("Date: yesterday",), ("Date: Sat, 21 Nov 2026 09:00:00",)):
        assert read(*lines) is None
