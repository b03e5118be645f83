"""`onecert doctor` on what a service has on record and on its settings: one thing is broken, it is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from onecert.server.clock import FixedClock
from onecert.server.config import ServerConfig, Settings
from onecert.server.contexts import OpenedMember, open_member
from onecert.server.database import Database, migrate
from onecert.server.doctor import Finding, look
from onecert.server.doctor import machine as doctor_machine
from onecert.server.doctor.service import look_at_database
from onecert.server.doctor.settings import look_at_settings
from onecert.server.kernel_clock import KernelClock
from onecert.server.languages import set_language
from onecert.server.members import load_member
from onecert.server.models import jobs, processes
from onecert.server.operators import SignInConfig
from onecert.server.tls import ensure_certificate

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenedMember]:
    """The RA, set up at T; it does not run, and nothing else is wrong."""
    data = tmp_path / "data"
    made = open_member("ra", data, environ={}, clock=FixedClock(T))
    ensure_certificate(data / "tls", host="localhost", at=T)
    kept = KernelClock(is_kept=True, max_error=timedelta(0))
    monkeypatch.setattr(doctor_machine, "kernel_clock", lambda: kept)
    assert named(data).keys() == {"NOT_RUNNING"}
    yield made
    made.close()


def named(data: Path, *, at: datetime = T, deep: bool = False) -> dict[str, Finding]:
    """What is wrong; each says so, and what to do, in both languages."""
    found: dict[str, Finding] = {}
    for language in ("en", "zh"):
        with set_language(language):
            each = look([load_member("ra")], data, clock=FixedClock(at), deep=deep)
            found = {finding.code: finding for finding in each if finding.is_fault}
        for finding in found.values():
            assert finding.text
            assert finding.hint
            is_chinese = any("一" <= letter <= "鿿" for letter in finding.text + finding.hint)
            assert is_chinese == (language == "zh"), finding
    return found


def data_of(opened: OpenedMember) -> Path:
    return opened.context.shared


def record(opened: OpenedMember, event: str, subject: str) -> None:
    with opened.context.database.transaction() as connection:
        opened.context.audit.record(
            connection, event=event, actor="command:test", subject=subject, details={}
        )


def settings(opened: OpenedMember, content: str) -> Path:
    file = data_of(opened) / "onecert.toml"
    file.write_text(content)
    file.chmod(0o600)
    return file


def test_backups_and_drills_are_as_young_as_the_settings_ask(opened: OpenedMember) -> None:
    settings(
        opened, '[server]\nbackup_max_age = "2d"\nbackup_drill_max_age = "35d"\naudit_head_every = "300d"\n'
    )
    assert {"BACKUP_OLD", "BACKUP_DRILL_OLD"} <= named(data_of(opened)).keys()
    record(opened, "backup.made", "backup")
    record(opened, "backup.drilled", "backup-drill")
    assert named(data_of(opened)).keys() == {"NOT_RUNNING"}
    assert "BACKUP_OLD" in named(data_of(opened), at=T + timedelta(days=3))
    assert "BACKUP_DRILL_OLD" not in named(data_of(opened), at=T + timedelta(days=3))


def test_a_drill_that_failed(opened: OpenedMember) -> None:
    record(opened, "backup.drill-failed", "backup-drill")
    assert "BACKUP_DRILL_FAILED" in named(data_of(opened))


def test_audit_entries_that_nobody_signed(opened: OpenedMember) -> None:
    record(opened, "test.done", "anything")
    assert "AUDIT_HEAD_OLD" not in named(data_of(opened), at=T + timedelta(minutes=9))
    assert "AUDIT_HEAD_OLD" in named(data_of(opened), at=T + timedelta(minutes=11))


def test_a_process_that_ended_without_a_word(opened: OpenedMember) -> None:
    row = {"id": "dead", "role": "service", "state": "running", "host": "pki1", "pid": 4711, "version": ""}
    with opened.context.database.transaction() as connection:
        connection.execute(insert(processes).values(**row, started_at=T, last_seen=T))
    assert "4711" in named(data_of(opened))["PROCESS_GONE"].text


def test_a_job_that_fails_again_and_again(opened: OpenedMember) -> None:
    row = {"name": "ra.mail", "due": T, "runs": 9, "failures": 3, "last_error": "TOKEN_GONE"}
    with opened.context.database.transaction() as connection:
        connection.execute(insert(jobs).values(**row))
    assert "TOKEN_GONE" in named(data_of(opened))["JOB_FAILS"].text


def test_tables_of_a_newer_program(opened: OpenedMember) -> None:
    with opened.context.database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version_ra SET version_num = '9999'"))
    assert "DATABASE_NEWER" in named(data_of(opened))
    with opened.context.database.transaction() as connection:
        connection.execute(
            text("UPDATE schema_compatibility SET revision = '9999' WHERE package = 'alembic_version_ra'")
        )
    assert named(data_of(opened), deep=True).keys() == {"NOT_RUNNING"}


@pytest.mark.parametrize(
    ("path", "mode", "code"),
    [
        ("ra", 0o750, "FOLDER_OPEN"),
        ("ra/sealed-keys", 0o755, "FOLDER_OPEN"),
        ("ra/forms", 0o775, ""),
        (".", 0o777, "FOLDER_OPEN"),
        (".", 0o755, ""),
        ("tls/key.pem", 0o644, "SECRET_READABLE"),
        ("ra/person.secret", 0o640, "SECRET_READABLE"),
        ("ra/sealed-keys/harbour", 0o604, "SECRET_READABLE"),
    ],
)
def test_what_others_may_read(opened: OpenedMember, path: str, mode: int, code: str) -> None:
    made = data_of(opened) / path
    if not made.exists() and "." not in made.name and made.name != "harbour":
        made.mkdir()
    elif not made.exists():
        made.parent.mkdir(mode=0o700, exist_ok=True)
        made.write_text("secret")
    made.chmod(mode)
    found = named(data_of(opened))
    assert found.keys() - {"NOT_RUNNING"} == ({code} if code else set())
    if code:
        assert f"chmod {'go-w' if path == '.' else 600 if made.is_file() else 700}" in found[code].hint


def test_settings_that_are_not_safe(opened: OpenedMember) -> None:
    file = settings(opened, "[sign_in]\nallow_same_person = true\n")
    file.chmod(0o666)
    assert {"SAME_PERSON_ALLOWED", "SETTINGS_WRITABLE"} <= named(data_of(opened)).keys()


@pytest.mark.parametrize(("header", "expected"), [("", ["SIGN_IN_BY_LINKS_ONLY"]), ("X-Certificate", ["ok"])])
def test_a_proxy_that_hands_no_certificates_over(header: str, expected: list[str]) -> None:
    server = ServerConfig(https_socket=Path("https.sock"), public_url="https://pki.example.cn")
    read = Settings({"server": server, "sign_in": SignInConfig(certificate_header=header)})
    assert [each.code for each in look_at_settings(read, ["server", "sign_in"], None)] == expected


def test_secrets_that_the_settings_name(opened: OpenedMember) -> None:
    certificate = data_of(opened) / "tls" / "certificate.pem"
    key = data_of(opened).parent / "outside.pem"
    settings(opened, f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n')
    assert str(key) in named(data_of(opened))["SECRET_MISSING"].text
    key.write_text("secret")
    key.chmod(0o640)
    assert "chmod 600" in named(data_of(opened))["SECRET_READABLE"].hint


def test_each_engine_says_where_it_stands_and_what_of_it_cannot_be_read(database_url: str) -> None:
    member = load_member("ra")
    schema = "ra" if database_url.startswith("postgresql") else None
    database = Database(database_url, schema=schema)
    try:
        migrate(database, "onecert.server.migrations", member.migrations)
        found = look_at_database(member, database, deep=True)
        assert not found.is_fault
        assert " MB" in found.text
        with database.transaction() as connection:
            connection.execute(text("UPDATE alembic_version_ra SET version_num = '0001'"))
        assert look_at_database(member, database).code == "DATABASE_OTHER_VERSION"
    finally:
        database.close()
