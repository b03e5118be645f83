"""Retention of batches, mass revocations, drills and rounds: when they leave, with what proof, by whom."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_batches import Sender
from ca_mass_revocations import People
from sqlalchemy import func, select, update

from onecert.ca.archive.check import check_archive
from onecert.ca.archive.housekeeping import Housekeeping
from onecert.ca.archive.removal import REMOVAL_TYPE
from onecert.ca.batches.models import batch_chunks, batches
from onecert.ca.drills.models import drills
from onecert.ca.errors.archives import ArchiveFaultyError, ArchiveNotDueError
from onecert.ca.models import certificates, check_rounds, orders
from onecert.ca.revocation.mass_models import mass_revocation_chunks, mass_revocations
from onecert.server.models import audit_entries

# Three years of validity, five of retention, and the month in which it ended.
YEARS = timedelta(days=366 * 8 + 35)
DAY = timedelta(days=1)


def count(world: Any, table: Any) -> int:
    with world.context.database.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


class Acts:
    """A batch of two certificates that a mass revocation has revoked, and the day all may be archived."""

    def __init__(self, world: Any) -> None:
        self.world = world
        world.config = replace(world.config, keep_years=5)
        world.restart()
        self.people = People(world)
        self.people.officer("li", "person1")
        self.people.officer("wang", "person2")
        self.batch = Sender(world).send(world.order_payload(), world.order_payload())
        world.parts.batch_work.run()
        self.mass = self.people.propose()
        self.people.confirm(self.mass)
        world.parts.mass_revocation_work.run()
        world.clock.advance(YEARS)
        # Others hold office by then.
        self.people.officer("zhou", "person3")
        self.people.officer("wu", "person4")

    @property
    def archives(self) -> Any:
        return self.world.parts.archives

    def due(self) -> set[str]:
        return {each.authority for each in self.archives.due()}

    def export(self, name: str) -> Any:
        month = max(each.month for each in self.archives.due() if each.authority == name)
        (made,) = self.archives.export(name, month, actor="command:test")
        return made

    def remove(self, entry: Any) -> None:
        about = {"archive": entry.name, "sha256": entry.sha256, "certificates": entry.certificates}
        for officer in ("zhou", "wu"):
            document = self.people.signed(REMOVAL_TYPE, officer, **about)
            self.world.parts.archive_removal.approve(entry.name, document)
        assert list(self.world.parts.archive_removal.remove(entry.name, actor="command:test"))


@pytest.fixture
def acts(world: Any) -> Acts:
    return Acts(world)


@pytest.fixture
def quick(lite: Any) -> Acts:
    return Acts(lite)


def test_certificates_leave_first_then_what_ordered_and_revoked_them(acts: Acts) -> None:
    """While a certificate of theirs is on record, batch and mass revocation are not due; then with proof."""
    world = acts.world
    assert acts.due() == {"harbour"}
    with pytest.raises(ArchiveNotDueError):
        acts.archives.export("=batches", "2026-11", actor="command:test")
    for due in [each for each in acts.archives.due() if each.authority == "harbour"]:
        for entry in acts.archives.export(due.authority, due.month, actor="command:test"):
            acts.remove(entry)
    assert acts.due() == {"=batches", "=mass-revocations"}

    batch, mass = acts.export("=batches"), acts.export("=mass-revocations")
    report = check_archive(Path(batch.file), acts.archives.keys())
    assert (report.certificates, report.orders_signed, report.orders_unproved) == (1, 1, 0)
    assert report.audit_entries >= 2
    report = check_archive(Path(mass.file), acts.archives.keys())
    assert (report.certificates, report.orders_signed) == (1, 2)  # proposal and confirmation
    for entry in (batch, mass):
        acts.remove(entry)
    tables = (batches, batch_chunks, mass_revocations, mass_revocation_chunks)
    assert [count(world, table) for table in tables] == [0, 0, 0, 0]
    assert acts.due() == set()
    assert [each.state for each in acts.archives.entries()][-2:] == ["removed", "removed"]
    # The trail stays, and what is asked for is found in the archives of certificates as before.
    with world.context.database.reading() as connection:
        subjects = set(connection.scalars(select(audit_entries.c.subject)))
    assert {f"batch/{acts.batch}", f"harbour/{acts.mass.mass_revocation}"} <= subjects
    assert [line["id"] for _name, line in acts.archives.find({"id": acts.batch})] == [acts.batch]
    assert list(acts.archives.find({"subject": "虚构"}))


def test_what_needs_its_batch_keeps_it(quick: Acts) -> None:
    """An order of the batch is still on record when the removal comes: nothing goes."""
    world = quick.world
    with world.context.database.transaction() as connection:
        kept = connection.execute(select(orders)).mappings().first()
        connection.execute(orders.delete())
        connection.execute(certificates.delete().where(certificates.c.state == "issued"))
    entry = quick.export("=batches")
    with world.context.database.transaction() as connection:
        of_batch = json.loads(_first_line(connection))["order"]
        connection.execute(orders.insert().values({**kept, "id": of_batch}))
    with pytest.raises(ArchiveFaultyError):
        quick.remove(entry)
    assert count(world, batches) == 1


def _first_line(connection: Any) -> bytes:
    content: bytes = zlib.decompress(connection.scalar(select(batch_chunks.c.content)))
    return content.split(b"\n")[0]


def test_an_altered_line_of_a_batch_is_found_offline(quick: Acts) -> None:
    """The head that was signed names the lines by hash; an archive of other lines proves nothing."""
    world = quick.world
    with world.context.database.transaction() as connection:
        connection.execute(orders.delete())
        connection.execute(certificates.delete().where(certificates.c.state == "issued"))
        content = zlib.decompress(connection.scalar(select(batch_chunks.c.content)))
        altered = zlib.compress(content.replace(b"clerk1", b"clerk9"))
        connection.execute(update(batch_chunks).values(content=altered))
    entry = quick.export("=batches")
    with pytest.raises(ArchiveFaultyError) as caught:
        check_archive(Path(entry.file), quick.archives.keys())
    assert "part 1 is not the one that was signed for" in str(caught.value)
    with zipfile.ZipFile(entry.file) as archive:
        assert {"manifest.json", "records/000001.jsonl", "index/000001.jsonl"} == set(archive.namelist())


def test_the_job_removes_what_is_no_evidence(lite: Any) -> None:
    """Drills and rounds of years ago, batches that never came; not the newest round, nothing younger."""
    house = Housekeeping(lite.parts.database, lite.parts.audit, lite.clock, keep_years=5)
    sender = Sender(lite)
    _number, head = sender.head([b"{}\n"])
    lite.parts.batches.open(head)
    lite.parts.drills.begin("live", "harbour", actor="test")
    for findings in ([], [object()], []):
        _round(lite, len(findings))
    assert house.run() == {}
    lite.clock.advance(91 * DAY)
    assert house.run() == {"batches-never-accepted": 1}
    lite.clock.advance(300 * DAY)
    assert house.run() == {"check-rounds": 1}  # without findings, and not the newest
    lite.clock.advance(366 * 5 * DAY)
    assert house.run() == {"drills": 1, "check-rounds": 1}
    assert (count(lite, drills), count(lite, check_rounds), count(lite, batches)) == (0, 1, 0)
    with lite.context.database.reading() as connection:
        query = select(audit_entries.c.subject).where(audit_entries.c.event == "retention.removed")
        assert list(connection.scalars(query.order_by(audit_entries.c.seq))) == [
            "batches-never-accepted", "check-rounds", "drills", "check-rounds"
        ]  # fmt: skip
    assert "ca.retention" in {job.name for job in lite.service.jobs}


def _round(world: Any, findings: int) -> None:
    with world.context.database.transaction() as connection:
        last = connection.scalar(select(func.max(check_rounds.c.number))) or 0
        values = {
            "kind": "record", "number": last + 1, "started_at": world.clock.now(),
            "finished_at": world.clock.now(), "authority": "", "serial": "", "seq": 0,
            "checked": 1, "findings": findings, "first_findings": "[]",
        }  # fmt: skip
        connection.execute(check_rounds.insert().values(values))
