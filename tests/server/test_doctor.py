"""`onecert doctor`: each fault is named with what to do, what is well is said to be well, nothing changes."""

from __future__ import annotations

import json
import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from onecert.server.clock import FixedClock
from onecert.server.commands.doctor import doctor
from onecert.server.contexts import open_member
from onecert.server.doctor import Finding, look
from onecert.server.doctor import machine as doctor_machine
from onecert.server.doctor.service import look_at_running
from onecert.server.kernel_clock import KernelClock
from onecert.server.languages import set_language
from onecert.server.members import load_member
from onecert.server.tls import ensure_certificate

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one service that was set up and does not run, on a machine whose clock is kept."""
    data = tmp_path / "data"
    open_member("ra", data, environ={}).close()
    ensure_certificate(data / "tls", host="localhost", at=T)
    kept = KernelClock(is_kept=True, max_error=timedelta(0))
    monkeypatch.setattr(doctor_machine, "kernel_clock", lambda: kept)
    return data


def faults(data: Path, *, at: datetime = T, deep: bool = False) -> dict[str, Finding]:
    found = look([load_member("ra")], data, clock=FixedClock(at), deep=deep)
    return {finding.code: finding for finding in found if finding.is_fault}


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mode, path.read_bytes()) for path in folder.rglob("*") if path.is_file()
    }


def test_only_that_the_service_does_not_run_is_wrong(installed: Path) -> None:
    before = everything(installed)
    assert faults(installed).keys() == {"NOT_RUNNING"}
    assert everything(installed) == before


def test_every_fault_says_what_to_do_in_both_languages(installed: Path) -> None:
    for language in ("zh", "en"):
        with set_language(language):
            (finding,) = faults(installed).values()
            assert finding.text
            assert finding.hint
    assert finding.place == "ra"


def test_a_data_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "DATA_MISSING" in faults(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_pin_that_others_can_read(installed: Path) -> None:
    pin = installed / "ra" / "token.pin"
    pin.write_text("123456")
    pin.chmod(0o640)
    assert str(pin) in faults(installed)["SECRET_READABLE"].text
    pin.chmod(0o600)
    assert "SECRET_READABLE" not in faults(installed)


def test_a_folder_of_another_user(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: installed.stat().st_uid + 1)
    assert "OWNER_OTHER" in faults(installed)


def test_a_disk_that_is_nearly_full(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        total, free = 100 << 30, 4 << 30

    monkeypatch.setattr(doctor_machine.shutil, "disk_usage", lambda path: Usage)
    assert "4096" in faults(installed)["DISK_LOW"].text


@pytest.mark.parametrize("kernel", [(False, 0), (True, 2)])
def test_a_clock_that_nobody_keeps(
    installed: Path, monkeypatch: pytest.MonkeyPatch, kernel: tuple[bool, int]
) -> None:
    clock = KernelClock(is_kept=kernel[0], max_error=timedelta(seconds=kernel[1]))
    monkeypatch.setattr(doctor_machine, "kernel_clock", lambda: clock)
    assert "CLOCK_NOT_KEPT" in faults(installed)


def test_a_tls_certificate_that_ends_or_is_none(installed: Path) -> None:
    assert "TLS_CERTIFICATE_ENDS" in faults(installed, at=T + timedelta(days=365 * 30))
    (installed / "tls" / "certificate.pem").write_text("none")
    assert "TLS_CERTIFICATE_UNREADABLE" in faults(installed)


def test_settings_with_a_fault(installed: Path) -> None:
    (installed / "onecert.toml").write_text("[server]\nhttps_port = 99999999\n")
    assert "https_port" in faults(installed)["SETTINGS_WRONG"].text


def test_a_database_that_is_gone_damaged_or_of_another_version(installed: Path) -> None:
    path = installed / "ra" / "ra.db"
    whole = path.read_bytes()

    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version_ra SET version_num = '0001'")
    connection.close()
    assert "migrate ra" in faults(installed)["DATABASE_OTHER_VERSION"].hint

    for beside in path.parent.glob("ra.db-*"):
        if beside.suffix != ".db-made":
            beside.unlink()
    path.write_bytes(b"SQLite format 3\x00" + bytes(8000))
    assert any(code.startswith("DATABASE") for code in faults(installed))

    path.unlink()
    assert "DATABASE_MISSING" in faults(installed)
    assert not path.exists()
    path.write_bytes(whole)
    assert faults(installed).keys() == {"NOT_RUNNING"}


def answering(status: int, body: Any) -> httpx.Client:
    def handle(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/ra/readyz"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content)

    return httpx.Client(base_url="http://localhost/ra/", transport=httpx.MockTransport(handle))


def codes(client: httpx.Client) -> dict[str, str]:
    return {finding.subject: finding.code for finding in look_at_running(load_member("ra"), client)}


def test_a_running_service_says_itself_what_it_lacks() -> None:
    problem = {"service": "ra", "check": "token", "code": "TOKEN_GONE", "text": "gone", "hint": "plug it in"}
    body = {"status": "not ready", "checks": {"database": "ok", "token": "TOKEN_GONE"}, "problems": [problem]}
    found = list(look_at_running(load_member("ra"), answering(503, body)))
    assert [(finding.subject, finding.code) for finding in found] == [
        ("database", "ok"),
        ("token", "TOKEN_GONE"),
    ]
    assert (found[1].text, found[1].hint) == ("gone", "plug it in")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"checks": 1}', b'{"checks": {}, "problems": [1]}'])
def test_what_is_no_answer_of_ours_is_not_running(body: bytes) -> None:
    assert codes(answering(200, body)) == {"running": "NOT_RUNNING"}


def test_a_service_that_tells_only_its_monitors() -> None:
    assert codes(answering(403, {})) == {"running": "NOT_TOLD"}


def test_readiness_says_what_is_wrong_in_words(desk: Any) -> None:
    from onecert.server.errors import DatabaseUnavailableError  # noqa: PLC0415
    from onecert.server.web.frame import frame_of  # noqa: PLC0415

    def away() -> None:
        raise DatabaseUnavailableError("gone")

    frame_of(desk.app).checks["database"] = away
    answer = desk.app.test_client().get("/readyz", headers={"Accept-Language": "zh"})
    assert answer.status_code == 503
    (problem,) = answer.json["problems"]
    assert problem["check"] == "database"
    assert problem["code"] == answer.json["checks"]["database"]
    assert any("一" <= letter <= "鿿" for letter in problem["text"])


def test_the_command_exits_1_while_something_is_to_be_done(installed: Path) -> None:
    result = CliRunner().invoke(doctor, ["--data", str(installed), "ra"])
    assert result.exit_code == 1
    assert "!!  ra\trunning" in result.output
    assert "ok  ra\tdatabase" in result.output
    result = CliRunner().invoke(doctor, ["--data", str(installed), "--json", "ra"])
    lines = [json.loads(line) for line in result.output.splitlines()]
    codes = {line["subject"]: line["code"] for line in lines if line["place"] == "ra"}
    assert codes.pop("running") == "NOT_RUNNING"
    assert codes.keys() == {
        "database",
        "backup",
        "backup-drill",
        "audit-head",
        "processes",
        "jobs",
        "evidence",
    }
    assert set(codes.values()) == {"ok"}
