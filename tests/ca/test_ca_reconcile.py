"""After a restore: the record is older than the world, and is told what it has forgotten."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from ca_lists import revoke
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, func, select

from onecert.ca.errors import CrlNumberWentBackError, RecordRestoredError
from onecert.ca.member import check_lists, roll_delegates
from onecert.ca.models import certificates, crls
from onecert.ca.operation.reconcile import read_outside, reconcile
from onecert.ca.operation.record_guard import LOOK_EVERY, RecordGuard
from onecert.server.backup.ages import RESTORED, RETURN_SUBJECT
from onecert.server.errors import DatabaseUnavailableError

PEOPLE = ["wang", "li"]


class Past:
    """The record as it was, to go back to, as a restore does; lists that were published are gone, too."""

    def __init__(self, world: Any, folder: Path) -> None:
        self.world, self.copy = world, folder / "then.db"
        self._copy(world.context.database.path, self.copy)

    def back(self) -> None:
        world = self.world
        world.context.database.close()
        self._copy(self.copy, world.context.database.path)
        for path in world.parts.files.folder.glob("*.crl*"):
            path.unlink()
        world.restart()

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        with (
            contextlib.closing(sqlite3.connect(source)) as reading,
            contextlib.closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)


def der(world: Any, serial: str) -> bytes:
    return bytes(world.parts.ledger.certificate("harbour", serial).certificate_der)


def told(world: Any, *contents: bytes, apply: bool = True) -> Any:
    outside = read_outside(world.parts, contents)
    return reconcile(world.parts, outside, approved_by=PEOPLE, apply=apply, actor="command:test")


def findings(world: Any) -> set[str]:
    pages = world.parts.checker.pages()
    return {finding.rule for page in pages for finding in page.findings}


def test_what_was_done_after_the_backup_is_put_on_record(lite: Any, tmp_path: Path, csr: Any) -> None:
    lite.service
    kept = lite.issue().record.serial
    past = Past(lite, tmp_path)
    later = lite.issue(csr_pem=csr()).record.serial
    revoke(lite, kept)
    revoke(lite, later)
    crl, certificate = lite.crl(), der(lite, later)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    crl_der = crl.public_bytes(serialization.Encoding.DER)
    past.back()

    shown = told(lite, crl_der, apply=False)
    assert (shown.numbers, shown.revoked, shown.only_listed) == (
        {"harbour": number},
        [("harbour", kept)],
        [("harbour", later)],
    )
    assert lite.parts.ledger.certificate("harbour", kept).status == "good"

    done = told(lite, crl_der, certificate)
    assert done.unknown == [("harbour", later)]
    assert done.only_listed == []
    made = lite.parts.publisher.publish("harbour")
    assert made.number > number
    assert lite.serials_on_list() >= {kept, later}
    assert lite.parts.ledger.certificate("harbour", later).status == "revoked"
    assert not findings(lite)

    again = told(lite, crl_der, certificate)
    assert (again.numbers, again.revoked, again.unknown, again.only_listed) == ({}, [], [], [])


def test_nothing_that_others_signed_is_believed(lite: Any) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = lite.parts.authorities.get("harbour").issuer
    subject = x509.load_der_x509_certificate(lite.parts.authorities.get("harbour").certificate_der).subject
    forged = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(lite.clock.now())
        .not_valid_after(name.not_after)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    outside = read_outside(lite.parts, [forged, b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\n"])
    assert outside.foreign == 4
    assert not outside.certificates
    assert not outside.lists


@pytest.mark.parametrize("people", [(), ("wang",), ("wang", " Wang ")])
def test_one_person_puts_nothing_on_record(tmp_path: Path, people: tuple[str, ...]) -> None:
    from click.testing import CliRunner  # noqa: PLC0415

    from onecert.ca.commands.reconcile import reconcile as command  # noqa: PLC0415

    named = [part for each in people for part in ("--approved-by", each)]
    result = CliRunner().invoke(command, [str(tmp_path), "--data", str(tmp_path / "data"), "--apply", *named])
    assert result.exit_code == 2
    assert not (tmp_path / "data").exists()


# ------------------------------------------------------------------ nothing is signed by an old copy


def restored(world: Any) -> None:
    """What `onecert backup restore` leaves in the audit trail."""
    with world.context.database.transaction() as connection:
        world.context.audit.record(
            connection, event=RESTORED, actor="command:test", subject=RETURN_SUBJECT, details={}
        )
    world.restart()


def test_a_restored_record_signs_nothing_before_it_was_told_what_is_outside(lite: Any) -> None:
    lite.service
    serial = lite.issue().record.serial
    restored(lite)
    for act in (lite.issue, lambda: lite.parts.publisher.publish("harbour")):
        with pytest.raises(RecordRestoredError):
            act()
    with pytest.raises(RecordRestoredError):
        check_lists(lite.parts)
    told(lite)  # nothing is outside; that, too, two people have said
    assert lite.parts.publisher.publish("harbour").number > 1
    assert lite.issue().record.serial != serial


def test_a_record_behind_the_published_lists_signs_nothing(world: Any) -> None:
    """As after a point-in-time recovery: nobody restored anything, but the files know a higher number."""
    world.service
    first = world.parts.publisher.latest("harbour").number
    world.parts.publisher.publish("harbour")
    newest = world.crl().public_bytes(serialization.Encoding.DER)
    with world.context.database.transaction() as connection:
        connection.execute(delete(crls).where(crls.c.number > first))
    world.restart()
    with pytest.raises(CrlNumberWentBackError):
        world.issue()
    with pytest.raises(CrlNumberWentBackError):
        world.parts.publisher.publish("harbour")
    with world.context.database.reading() as connection:
        query = select(func.count()).where(certificates.c.profile == "organisation")
        assert connection.scalar(query) == 0
    told(world, newest)
    assert world.parts.publisher.publish("harbour").number > first + 1
    assert world.issue()


def test_the_guard_looks_now_and_then_and_an_outage_stops_nothing_that_needs_no_record(
    lite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = RecordGuard(lite.context.database, lite.parts.files, lite.clock)
    guard.check()
    restored(lite)
    guard.check()
    lite.clock.advance(LOOK_EVERY)
    with pytest.raises(RecordRestoredError):
        guard.check()

    told(lite)
    guard.check()
    fresh = RecordGuard(lite.context.database, lite.parts.files, lite.clock)

    def gone() -> Any:
        raise DatabaseUnavailableError("gone")

    monkeypatch.setattr(lite.context.database, "reading", gone)
    lite.clock.advance(LOOK_EVERY)
    guard.check()
    with pytest.raises(DatabaseUnavailableError):
        fresh.check()


def test_answers_signed_ahead_for_a_record_that_is_gone_are_forgotten(lite: Any, tmp_path: Path) -> None:
    """The certificate was issued after the copy, its answer says good; the record learns of it as revoked."""
    lite.service
    roll_delegates(lite.parts)
    past = Past(lite, tmp_path)
    later = lite.issue().record.serial
    lite.parts.responders.prepare()
    certificate = der(lite, later)
    assert lite.parts.responders._ahead.store.find("harbour", "sha1", later) is not None
    past.back()
    told(lite, certificate)
    assert lite.parts.responders._ahead.store.find("harbour", "sha1", later) is None
