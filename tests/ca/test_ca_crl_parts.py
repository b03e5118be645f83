"""A long list is kept in parts that it shares with the one before; any process writes its file from them."""

from __future__ import annotations

import errno
import fcntl
from typing import Any

import pytest
from ca_lists import list_der, load, number_of, revoke, serials
from sqlalchemy import select, update

from onecert.ca.lists import contents, drafting, entries, making
from onecert.ca.models import crl_parts, crls
from onecert.ca.status.files import PreparedFile


@pytest.fixture(autouse=True)
def every_list_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of two entries is what one of a million is: hashed in pieces, kept in parts, written ahead."""
    monkeypatch.setattr(making, "IN_PARTS_OCTETS", 0)
    monkeypatch.setattr(drafting, "LONG_OCTETS", 0)
    monkeypatch.setattr(entries, "SEGMENT_OCTETS", 60)


def revoked(world: Any, count: int) -> set[str]:
    made = {world.issue().record.serial for _ in range(count)}
    for serial in sorted(made):
        assert revoke(world, serial).crl_number is not None
    return made


def parts_of(world: Any) -> tuple[list[str], set[str]]:
    """The parts that the newest list names, and those that are kept."""
    with world.context.database.reading() as connection:
        query = select(crls.c.parts).where(crls.c.authority == "harbour").order_by(crls.c.number.desc())
        named = connection.execute(query.limit(1)).scalar_one().split()
        of_list = crl_parts.c.authority == "harbour"
        return named, set(connection.execute(select(crl_parts.c.sha256).where(of_list)).scalars())


def test_one_more_shares_its_parts_with_the_list_before(world: Any) -> None:
    made = revoked(world, 4)
    before, kept = parts_of(world)
    assert set(before) == kept
    made |= revoked(world, 1)
    named, kept = parts_of(world)
    assert set(named) == kept  # what only the list before had is gone
    assert len(set(named) - set(before)) <= 3  # head, tail, and the segment with the new entry
    assert serials(load(world)) == made
    assert list(world.parts.list_checker.check(world.parts.authorities.get("harbour"))) == []


def test_file_is_written_again_from_the_record(world: Any) -> None:
    made = revoked(world, 3)
    whole = list_der(world)
    world.restart()
    for name in ("harbour.crl", "harbour.crl-number"):
        (world.parts.files.folder / name).unlink()
    world.parts.publisher.write_file("harbour")
    assert list_der(world) == whole
    assert serials(load(world)) == made


def test_damaged_part_is_never_served(lite: Any) -> None:
    revoked(lite, 3)
    path = lite.parts.files.path("harbour", "crl")
    path.unlink()
    damaged, _kept = parts_of(lite)
    with lite.context.database.transaction() as connection:
        of_part = crl_parts.c.sha256 == damaged[1]
        connection.execute(update(crl_parts).where(of_part).values(content=b"\x30\x00"))
    lite.parts.publisher.write_file("harbour")
    assert not path.exists()
    lite.parts.publisher.publish("harbour")
    assert path.exists()


def test_who_was_overtaken_leaves_the_newer_list_alone(world: Any) -> None:
    """Two processes: the one with the lower number records its list last."""
    made = revoked(world, 3)
    newest, number = list_der(world), number_of(load(world))
    before = parts_of(world)
    with world.context.database.transaction() as connection:
        row = connection.execute(select(crls).where(crls.c.number == number)).mappings().one()
        values = {name: row[name] for name in ("crl_der", "delta_der", "sha256")}
        contents.lock_authority(connection, "harbour")
        contents.keep_result(connection, "harbour", 0, number - 1, values | {"parts": "00" * 32})
    assert parts_of(world) == before
    world.parts.files.path("harbour", "crl").unlink()
    world.parts.publisher.write_file("harbour")
    assert list_der(world) == newest
    assert serials(load(world)) == made


def test_short_list_after_a_long_one_leaves_no_parts(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = revoked(lite, 2)
    monkeypatch.setattr(making, "IN_PARTS_OCTETS", 1 << 20)
    lite.parts.publisher.publish("harbour")
    with lite.context.database.reading() as connection:
        assert connection.execute(select(crl_parts).where(crl_parts.c.authority == "harbour")).all() == []
    assert serials(load(lite)) == made


def test_what_a_killed_process_wrote_ahead_is_removed(lite: Any) -> None:
    folder = lite.parts.files.folder
    left, of_another = folder / ".harbour.crl.0123", folder / ".harbour.crl.4567"
    left.write_bytes(b"half a li")
    of_another.write_bytes(b"half a li")
    with of_another.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        revoked(lite, 1)
        assert not left.exists()
        assert of_another.exists()
    revoked(lite, 1)
    assert [path.name for path in folder.glob(".harbour.crl*")] == []


def test_disk_is_full_while_a_list_is_written_ahead(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on record all the same, and written when there is room."""

    def full(self: Any, parts: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(PreparedFile, "write", full)
        made = revoked(lite, 2)
    assert serials(load(lite)) == made
    assert lite.parts.publisher.latest("harbour").number == number_of(load(lite))
