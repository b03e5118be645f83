"""A list made from the one before and what changed: the same as one read whole, and never trusted blindly."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ca_lists import load, number_of, revoke, serials
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, update

from onecert.ca import models
from onecert.ca.certificates.draft import random_serial
from onecert.ca.lists import snapshot as crl_snapshot
from onecert.ca.lists.crl import entry_der
from onecert.ca.lists.entries import SEGMENT_OCTETS, KeptEntries, count_of, segments_of, serial_of
from onecert.ca.signatures.algorithms import hashed, is_signature_valid, sign

REASONS = ("superseded", "keyCompromise", "unspecified")


def test_changes_leave_what_a_set_would(world: Any) -> None:
    """Random entries in and out: always the entries of a dictionary, each whole, none twice."""
    dice = random.Random(3)
    kept, wanted = KeptEntries(), dict[int, bytes]()
    for _ in range(60):
        gone = dice.sample(sorted(wanted), k=min(len(wanted), dice.randrange(4)))
        new = {random_serial(): dice.choice(REASONS) for _ in range(dice.randrange(5))}
        added = {serial: entry_der(serial, world.clock.now(), reason, None) for serial, reason in new.items()}
        kept = kept.changed(drop=[*gone, random_serial()], put=added.values())
        wanted = {serial: entry for serial, entry in wanted.items() if serial not in gone} | added
        assert kept.count == len(wanted) == count_of(kept.segments)
        assert len(b"".join(kept.segments)) == sum(map(len, wanted.values()))
        assert all(kept.find(serial) == entry for serial, entry in wanted.items())
        assert {int(serial_of(entry), 16) for entry in wanted.values()} == set(wanted)


def test_a_change_touches_one_segment(world: Any) -> None:
    entries = {s: entry_der(s, world.clock.now(), "superseded", None) for s in map(_serial, range(60_000))}
    before = KeptEntries(segments=tuple(segments_of(entries.values())), count=len(entries))
    assert len(before.segments) == 3
    assert all(len(segment) < SEGMENT_OCTETS + 100 for segment in before.segments)
    after = before.changed(drop=[_serial(5)], put=[])
    assert after.count == before.count - 1
    assert len(after.new_since(before)) == 1
    assert after.new_since(None) == after.segments


def _serial(number: int) -> int:
    return (0x4F << 128) + number


def test_revocation_that_nobody_recorded_is_found_by_the_count(world: Any) -> None:
    """A row says revoked, but has no entry: the quick way sees one too few, and nothing is published."""
    first, second, lost = (world.issue().record.serial for _ in range(3))
    revoke(world, first)
    before = number_of(load(world))
    with world.context.database.transaction() as connection:
        of_lost = models.certificates.c.serial == lost
        connection.execute(update(models.certificates).where(of_lost).values(status="revoked"))
    assert revoke(world, second).crl_number is None
    assert number_of(load(world)) == before


def test_lost_entry_stays_on_the_list_and_stops_the_next_whole_one(world: Any) -> None:
    """The quick way still has it; after a restart everything is read anew and the loss is found."""
    first, second, third = (world.issue().record.serial for _ in range(3))
    revoke(world, first)
    with world.context.database.transaction() as connection:
        connection.execute(delete(models.crl_entries).where(models.crl_entries.c.serial == first))
    revoke(world, second)
    assert serials(load(world)) == {first, second}
    world.restart()
    assert revoke(world, third).crl_number is None
    assert serials(load(world)) == {first, second}


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        Ed25519PrivateKey.generate(),
    ],
    ids=["rsa-2048", "p-256", "p-384", "ed25519"],
)
def test_what_is_hashed_once_has_the_same_signature(key: Any) -> None:
    data, public = b"a long list", key.public_key()
    once = hashed(public, data)
    signature = sign(key, once)
    assert is_signature_valid(public, signature, data)
    assert is_signature_valid(public, signature, once)
    assert is_signature_valid(public, sign(key, data), once)
    assert not is_signature_valid(public, signature, hashed(public, b"another list"))


def test_many_changes_at_once_are_read_whole(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crl_snapshot, "CHANGES_MAX", 1)
    revoked = {lite.issue().record.serial for _ in range(4)}
    lite.token.gone = True
    *before, last = sorted(revoked)
    for serial in before:
        assert revoke(lite, serial).crl_number is None
    lite.token.gone = False
    assert revoke(lite, last).crl_number == number_of(load(lite))
    assert serials(load(lite)) == revoked
