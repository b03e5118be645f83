"""Retention: old records are exported with proof, checked offline, removed by two people, exactly once."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_mass_revocations import People
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.ocsp import OCSPCertStatus
from sqlalchemy import func, select
from test_ca_ocsp import answer, request_for, revoke

from onecert.ca.archive.check import check_archive
from onecert.ca.archive.models import archived_certificates
from onecert.ca.archive.removal import REMOVAL_TYPE
from onecert.ca.certificates.draft import random_serial
from onecert.ca.cli import ca
from onecert.ca.commands.parts import OpenedCa
from onecert.ca.config import CaConfig
from onecert.ca.errors.archives import (
    ArchiveApprovalError,
    ArchiveFaultyError,
    ArchiveMissingError,
    ArchiveNotDueError,
    ArchiveStateError,
    CertificateArchivedError,
    OrderArchivedError,
)
from onecert.ca.member import roll_delegates
from onecert.ca.models import certificates, keys, orders, revocations
from onecert.server.audit.errors import AuditExportError
from onecert.server.audit.export import export_to_file

# Three years of validity, five of retention, and the month in which it ended.
YEARS = timedelta(days=366 * 8 + 35)


def count(world: Any, table: Any) -> int:
    with world.context.database.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


class Old:
    """Three certificates of one month, one of them revoked, and the day they may be archived."""

    def __init__(self, world: Any) -> None:
        self.world = world
        world.config = replace(world.config, keep_years=5)
        world.restart()
        self.records = [world.issue().record for _ in range(3)]
        revoke(world, self.records[1].serial)
        self.people = People(world)
        world.clock.advance(YEARS)
        self.people.officer("li", "person1")
        self.people.officer("wang", "person2")

    @property
    def ended(self) -> str:
        return f"{self.records[0].not_after:%Y-%m}"

    @property
    def archives(self) -> Any:
        return self.world.parts.archives

    def export(self, **changes: Any) -> Any:
        # The first one is of the responder's short-lived certificate.
        due = max(self.archives.due(), key=lambda each: each.month)
        return self.archives.export(due.authority, due.month, actor="command:test", **changes)

    def approval(self, entry: Any, by: str, **changes: Any) -> bytes:
        about = {"archive": entry.name, "sha256": entry.sha256, "certificates": entry.certificates}
        document: bytes = self.people.signed(REMOVAL_TYPE, by, **(about | changes))
        return document

    def approve(self, entry: Any, by: str, **changes: Any) -> Any:
        return self.world.parts.archive_removal.approve(entry.name, self.approval(entry, by, **changes))

    def remove(self, entry: Any) -> list[Any]:
        return list(self.world.parts.archive_removal.remove(entry.name, actor="command:test"))


@pytest.fixture
def old(world: Any) -> Old:
    return Old(world)


@pytest.fixture
def quick(lite: Any) -> Old:
    return Old(lite)


def test_export_check_remove(old: Old) -> None:
    world = old.world
    (entry,) = old.export()
    assert entry.certificates == 3
    report = check_archive(Path(entry.file), old.archives.keys())
    assert (report.certificates, report.orders_signed, report.orders_unproved) == (3, 3, 0)
    assert report.audit_entries == 4
    assert count(world, certificates) > 3

    old.approve(entry, "li")
    with pytest.raises(ArchiveStateError):
        old.remove(entry)
    old.approve(entry, "wang")
    assert old.remove(entry)[-1].state == "removed"

    serials = [record.serial for record in old.records]
    with world.context.database.reading() as connection:
        for table in (certificates, orders, revocations):
            left = connection.scalar(
                select(func.count()).select_from(table).where(table.c.serial.in_(serials))
            )
            assert left == 0, table.name
    assert count(world, archived_certificates) == 3
    assert count(world, keys) >= 3
    with pytest.raises(CertificateArchivedError, match=entry.name):
        world.parts.ledger.certificate("harbour", serials[0])
    assert [line["serial"] for _name, line in old.archives.find({"serial": serials[1]})] == [serials[1]]
    assert {name for name, _line in old.archives.find({"subject": "虚构贸易"})} == {entry.name}
    assert old.ended not in [each.month for each in old.archives.due()]
    with pytest.raises(ArchiveStateError):
        old.remove(entry)
    assert [finding for page in world.parts.checker.pages() for finding in page.findings] == []


def test_status_is_answered_as_before(old: Old) -> None:
    bodies = [request_for(old.world, record, nonce=b"12345678") for record in old.records]
    roll_delegates(old.world.parts)
    before = [answer(old.world, body).certificate_status for body in bodies]
    (entry,) = old.export()
    for officer in ("li", "wang"):
        old.approve(entry, officer)
    old.remove(entry)
    assert [answer(old.world, body).certificate_status for body in bodies] == before
    assert before == [OCSPCertStatus.GOOD, OCSPCertStatus.REVOKED, OCSPCertStatus.GOOD]


def test_order_and_serial_are_never_used_again(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    world = old.world
    soon = (world.clock.now() + timedelta(days=90)).isoformat()
    (entry,) = old.export()
    for officer in ("li", "wang"):
        old.approve(entry, officer)
    old.remove(entry)
    number = old.records[0].order_id
    with pytest.raises(OrderArchivedError):
        world.issue(order=number, not_after=soon)
    fresh = random_serial()
    serials = iter([int(old.records[1].serial, 16), fresh])
    monkeypatch.setattr(world.parts.certifier, "_serials", lambda: next(serials))
    assert world.issue(not_after=soon).record.serial == f"{fresh:x}"


def test_the_month_must_be_over_for_the_years_set(quick: Old) -> None:
    ended = max(record.not_after for record in quick.records)
    world = quick.world
    back = world.clock.now() - ended.replace(year=ended.year + 5)
    world.clock.advance(-back)
    assert quick.ended not in [each.month for each in quick.archives.due()]
    with pytest.raises(ArchiveNotDueError):
        quick.archives.export("harbour", quick.ended, actor="command:test")
    world.clock.advance(timedelta(days=31))
    due = {each.month: each.certificates for each in quick.archives.due()}
    assert due[quick.ended] == 3


def test_fewer_years_than_the_law_says_are_refused() -> None:
    with pytest.raises(ValueError, match="5"):
        CaConfig(keep_years=4)


def test_a_month_is_exported_once(quick: Old) -> None:
    (entry,) = quick.export()
    with pytest.raises(ArchiveNotDueError, match=entry.name):
        quick.export()
    (second,) = quick.export(again=True)
    assert [each.state for each in quick.archives.entries()] == ["given-up", "exported"]
    assert second.name != entry.name


def test_two_people_approve(quick: Old) -> None:
    (entry,) = quick.export()
    quick.approve(entry, "li")
    with pytest.raises(ArchiveApprovalError):
        quick.approve(entry, "li")
    with pytest.raises(ArchiveApprovalError):
        quick.approve(entry, "wang", certificates=2)
    with pytest.raises(ArchiveApprovalError):
        quick.world.parts.archive_removal.approve(
            entry.name, quick.approval(entry, "wang").replace(b"a", b"b", 1)
        )
    with pytest.raises(ArchiveStateError):
        quick.remove(entry)


def test_nothing_is_removed_without_the_file(quick: Old) -> None:
    (entry,) = quick.export()
    for officer in ("li", "wang"):
        quick.approve(entry, officer)
    before = count(quick.world, certificates)
    path = Path(entry.file)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
    with pytest.raises(ArchiveMissingError):
        quick.remove(entry)
    path.unlink()
    with pytest.raises(ArchiveMissingError):
        quick.remove(entry)
    assert count(quick.world, certificates) == before
    path.write_bytes(content)
    assert quick.remove(entry)[-1].state == "removed"


def test_what_changed_since_is_not_removed(quick: Old) -> None:
    (entry,) = quick.export()
    for officer in ("li", "wang"):
        quick.approve(entry, officer)
    before = count(quick.world, certificates)
    with quick.world.context.database.transaction() as connection:
        of_order = certificates.c.order_id == quick.records[2].order_id
        connection.execute(certificates.update().where(of_order).values(subject="CN=someone else"))
    with pytest.raises(ArchiveFaultyError, match=quick.records[2].serial):
        quick.remove(entry)
    assert count(quick.world, certificates) == before


def test_removal_goes_on_where_it_stopped(quick: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecert.ca.archive.archives.SEGMENT", 1)
    monkeypatch.setattr("onecert.ca.archive.archives._PAGE", _page_of_one())
    (entry,) = quick.export()
    assert entry.segments == 3
    for officer in ("li", "wang"):
        quick.approve(entry, officer)
    steps = quick.world.parts.archive_removal.remove(entry.name, actor="command:test")
    assert next(steps).segments_removed == 1
    steps.close()
    quick.world.restart()
    assert count(quick.world, archived_certificates) == 1
    assert [each.segments_removed for each in quick.remove(entry)] == [2, 3]
    assert count(quick.world, archived_certificates) == 3


def _page_of_one() -> Any:
    from onecert.ca.archive.archives import _PAGE  # noqa: PLC0415

    return _PAGE.limit(1)


def test_a_small_limit_makes_several_files(quick: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecert.ca.archive.archives._PAGE", _page_of_one())
    made = quick.export(max_octets=1)
    assert [each.certificates for each in made] == [1, 1, 1]
    for each in made:
        assert check_archive(Path(each.file), quick.archives.keys()).certificates == 1
        for officer in ("li", "wang"):
            quick.approve(each, officer)
        quick.remove(each)
    assert count(quick.world, archived_certificates) == 3


def test_the_check_needs_no_database_and_finds_changes(quick: Old, tmp_path: Path) -> None:
    (entry,) = quick.export()
    path, known = Path(entry.file), quick.archives.keys()
    with pytest.raises(ArchiveFaultyError, match="DOCUMENT_THRESHOLD"):
        check_archive(path, {})
    for name in ("records/000001.jsonl", "index/000001.jsonl", "manifest.json"):
        changed = tmp_path / "changed.zip"
        _rewrite(path, changed, name)
        with pytest.raises(ArchiveFaultyError):
            check_archive(changed, known)
    more = tmp_path / "more.zip"
    more.write_bytes(path.read_bytes())
    with zipfile.ZipFile(more, "a") as file:
        file.writestr("records/000002.jsonl", "{}\n")
    with pytest.raises(ArchiveFaultyError, match="other files"):
        check_archive(more, known)
    more.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ArchiveFaultyError):
        check_archive(more, known)


def _rewrite(source: Path, target: Path, name: str) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for each in old.namelist():
            content = old.read(each)
            new.writestr(each, content.replace(b"a", b"b", 1) if each == name else content)


def test_entries_are_found_in_the_audit_trail(quick: Old, tmp_path: Path) -> None:
    world = quick.world
    (entry,) = quick.export()
    key = world.service.audit_key
    world.context.audit.sign_head(world.context.database, key)
    trail = tmp_path / "trail.jsonl"
    export_to_file(world.context.database, trail, service="ca")
    known = quick.archives.keys()
    assert check_archive(Path(entry.file), known, audit_export=trail).audit_export
    lines = trail.read_bytes().splitlines(keepends=True)
    trail.write_bytes(b"".join(line for line in lines if quick.records[0].serial.encode() not in line))
    with pytest.raises(AuditExportError):
        check_archive(Path(entry.file), known, audit_export=trail)


def test_the_archive_has_what_was_signed(quick: Old) -> None:
    (entry,) = quick.export()
    with zipfile.ZipFile(entry.file) as file:
        records = [json.loads(line) for line in file.read("records/000001.jsonl").splitlines()]
    events = {each["event"] for record in records for each in record["audit"]}
    assert events == {"certificate.issued", "certificate.revoked"}
    assert [len(record["revocations"]) for record in records if record["revocations"]] == [1]


def test_commands(quick: Old, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """due, export, check, remove by two officers, list, find: dry until --apply, a PIN for each signature."""
    world = quick.world

    @contextmanager
    def opened(*_paths: Any) -> Iterator[OpenedCa]:
        yield OpenedCa(world.config, world.context, world.parts, world.roots)

    @contextmanager
    def key(officer: str, *, pin: str, create: bool = False) -> Iterator[Any]:
        assert pin == f"pin of {officer}"
        yield quick.people.officers[officer]

    monkeypatch.setattr("onecert.ca.commands.archive.opened_ca", opened)
    monkeypatch.setattr(world.parts.officer_tokens, "key", key)

    def run(*arguments: str, pin: str = "", exit_code: int = 0) -> list[Any]:
        done = CliRunner().invoke(ca, ["archive", *arguments], input=f"{pin}\n", standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        assert (done.return_value or 0) == exit_code
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert quick.ended in [each["month"] for each in run("due")]
    wanted = ["--authority", "harbour", "--month", quick.ended, "--to", str(tmp_path / "kept")]
    (made,) = run("export", *wanted)
    public = tmp_path / "audit.pem"
    public.write_bytes(
        world.service.audit_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (report,) = run("check", made["file"], "--key", str(public))
    assert (report["certificates"], report["authority"]) == (3, "harbour")
    with pytest.raises(ArchiveFaultyError):
        run("check", made["file"], "--data", str(tmp_path))

    remove = ["remove", made["name"], "--officer"]
    assert run(*remove, "li") == []
    assert count(world, archived_certificates) == 0
    assert run(*remove, "li", "--apply", pin="pin of li")[-1]["state"] == "exported"
    assert run(*remove, "wang", "--apply", pin="pin of wang")[-1]["state"] == "removed"
    assert [(each["state"], each["approvals"]) for each in run("list")] == [("removed", ["li", "wang"])]
    serial = quick.records[0].serial
    (found,) = run("find", "--serial", serial.upper())
    assert (found["archive"], found["serial"]) == (made["name"], serial)
    assert run("find", "--serial", "abc", exit_code=1) == []
