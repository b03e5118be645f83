"""The timestamp: newest only, never back, one at a time; and files that fit each other at every moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.server import metrics
from onecert.server.documents import sign_document
from onecert.server.jobs import Job, JobRunner
from onecert.supervision import publishing, root_records
from onecert.supervision.errors import TokenNotReadyError
from onecert.supervision.published import published_sequence, read_published
from onecert.supervision.root_errors import (
    CounterEndedError,
    PublishedAheadError,
    TimestampKeyError,
    TimestampOverdueError,
    TrustRootOverdueError,
)
from onecert.supervision.root_payload import public_pem
from onecert.supervision.root_records import TimestampKey
from onecert.supervision.service import make_supervision
from onecert.supervision.watch import Watch
from onecert.verifier.jws import key_id, load_payload
from onecert.verifier.trust_list import load_trust_list, load_trust_timestamp
from onecert.verifier.trust_list.roles import COUNTER_MAX, Role
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP, TrustTimestamp, check_timestamp_current
from onecert.verifier.trust_list.vocabulary import TYP

from .conftest import DAY, T, World

HOUR = timedelta(hours=1)
SECONDS = int(T.timestamp())


@pytest.fixture
def city(world: World) -> World:
    """A root and list number 1 are published."""
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.supervision.release(actor="test")
    return world


def file(world: World, name: str) -> Path:
    return world.supervision.published / name


def seen(world: World) -> TrustTimestamp:
    """The published timestamp, as a department reads it; the list in the file must be the one it names."""
    root = world.root
    timestamp = load_trust_timestamp(file(world, "trust-timestamp.json").read_bytes(), root=root)
    load_trust_list(
        file(world, "trust-list.json").read_bytes(),
        keys=root.list_keys,
        timestamp=timestamp,
        at=world.clock.now(),
    )
    return timestamp


def publish_next(world: World) -> int:
    world.editor.begin_draft(actor="test")
    return world.publish()


def test_it_names_the_newest_root_and_list_for_a_day(city: World) -> None:
    timestamp = seen(city)
    assert timestamp.version == SECONDS
    assert (timestamp.root.number, timestamp.root.sha256) == (1, city.root.sha256)
    assert timestamp.list.number == 1
    assert (timestamp.issued_at, timestamp.expires_at) == (T, T + DAY)
    assert city.events()[-1] == "timestamp.signed"


def test_it_is_signed_each_hour_and_at_once_after_a_publication(city: World) -> None:
    first = seen(city)
    city.clock.advance(HOUR - timedelta(seconds=1))
    city.supervision.release(actor="test")
    assert seen(city) == first
    city.clock.advance(timedelta(seconds=1))
    city.supervision.release(actor="test")
    hourly = seen(city)
    assert (hourly.version, hourly.issued_at) == (SECONDS + 3600, T + HOUR)
    publish_next(city)
    city.supervision.release(actor="test")
    assert (seen(city).list.number, seen(city).version) == (2, hourly.version + 1)
    city.import_root(city.draft_root())
    city.supervision.release(actor="test")
    assert seen(city).root.number == 2


def test_a_clock_that_was_set_back_does_not_lower_the_version(city: World) -> None:
    """It was a year ahead; the timestamps of that year say nothing to departments, the next one does."""
    city.clock.advance(365 * DAY)
    city.supervision.timestamps.renew(actor="test")
    ahead = read(city)
    city.clock.advance(-365 * DAY)
    city.supervision.timestamps.renew(actor="test")
    assert (read(city).version, read(city).issued_at) == (ahead.version + 1, T)
    check_timestamp_current(read(city), T + HOUR)


def read(world: World) -> TrustTimestamp:
    """The newest timestamp of the record."""
    with world.context.database.reading() as connection:
        record = root_records.find_timestamp(connection)
    assert record is not None
    return load_trust_timestamp(record.document, root=world.root)


def test_old_ones_are_forgotten(city: World) -> None:
    city.clock.advance(91 * DAY)
    city.supervision.timestamps.renew(actor="test")
    with city.context.database.reading() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM supervision_timestamps").scalar_one()
    assert count == 1


# Backups and files


def restore(world: World, *statements: str) -> None:
    with world.context.database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_after_a_backup_was_restored_the_published_file_counts(city: World) -> None:
    """Also with a clock that is behind what was published."""
    version = seen(city).version
    restore(city, "DELETE FROM supervision_timestamps")
    city.clock.advance(-DAY)
    city.supervision.timestamps.renew(actor="test")
    assert read(city).version == version + 1


def test_after_everything_was_restored_the_clock_counts(city: World) -> None:
    """Database and files are of this morning: departments have seen a timestamp of two hours later."""
    old = file(city, "trust-timestamp.json").read_bytes()
    city.clock.advance(2 * HOUR)
    city.supervision.release(actor="test")
    departments = seen(city).version
    restore(city, f"DELETE FROM supervision_timestamps WHERE version > {SECONDS}")
    file(city, "trust-timestamp.json").write_bytes(old)
    city.clock.advance(timedelta(minutes=10))
    city.supervision.release(actor="test")
    assert seen(city).version > departments


def test_a_record_behind_the_published_list_signs_nothing(city: World) -> None:
    """Number 2 was seen; the record knows only number 1. The next list is number 3, and all is well."""
    publish_next(city)
    city.supervision.release(actor="test")
    before = {name: file(city, name).read_bytes() for name in ("trust-list.json", "trust-timestamp.json")}
    restore(
        city,
        "DELETE FROM supervision_publications WHERE sequence = 2",
        "DELETE FROM supervision_timestamps WHERE list_sequence = 2",
    )
    with pytest.raises(PublishedAheadError):
        city.supervision.release(actor="test")
    assert {name: file(city, name).read_bytes() for name in before} == before
    assert publish_next(city) == 3
    city.supervision.release(actor="test")
    assert seen(city).list.number == 3


def test_a_record_behind_the_published_root_signs_nothing(city: World) -> None:
    document = city.import_root(city.draft_root())
    assert document.root.version == 2
    newest = city.supervision.roots.newest().document
    city.supervision.release(actor="test")
    restore(
        city,
        "DELETE FROM supervision_roots WHERE version = 2",
        "DELETE FROM supervision_timestamps WHERE root_version = 2",
    )
    with pytest.raises(PublishedAheadError):
        city.supervision.release(actor="test")
    assert file(city, "trust-root.json").read_bytes() == newest
    # The published file brings the record up to date.
    published = file(city, "trust-roots/2.json").read_bytes()
    city.supervision.roots.take_in(published, actor="test", apply=True)
    city.clock.advance(HOUR)
    city.supervision.release(actor="test")
    assert seen(city).root.number == 2


@pytest.mark.parametrize("broken", [b"", b"{}", b'{"payload": 1}', b"\xff"])
def test_files_that_cannot_be_read_are_written_anew(city: World, broken: bytes) -> None:
    names = ("trust-root.json", "trust-roots/1.json", "trust-list.json", "trust-timestamp.json")
    before = {name: file(city, name).read_bytes() for name in names}
    for name in names:
        file(city, name).write_bytes(broken)
    city.supervision.release(actor="test")
    assert {name: file(city, name).read_bytes() for name in names} == before


def test_a_crash_between_record_and_files(city: World) -> None:
    """The list is on record, the process is gone. The next start brings timestamp and files in line."""
    publish_next(city)
    assert seen(city).list.number == 1
    again = make_supervision(city.supervision.config, city.context, city.keys)
    Watch(again).run(city.clock.now())
    assert seen(city).list.number == 2


def test_a_crash_between_intent_and_signature(city: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version was reserved and never signed: it is left out."""
    version = seen(city).version
    city.keys.away = True
    city.clock.advance(timedelta(hours=1))
    with pytest.raises(TokenNotReadyError):
        city.supervision.release(actor="test")
    city.keys.away = False
    city.clock.advance(timedelta(seconds=30))
    city.supervision.release(actor="test")
    assert seen(city).version == version + 3600 + 30


@pytest.mark.parametrize("last", ["trust-roots/2.json", "trust-list.json", "trust-timestamp.json"])
def test_a_crash_between_two_files(city: World, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    """After any of the files; the next run writes the others."""
    city.import_root(city.draft_root())
    publish_next(city)
    write = publishing.write_file

    def stop_after(path: Path, content: bytes, *, mode: int) -> None:
        write(path, content, mode=mode)
        if path == file(city, last):
            raise OSError("power cut")

    monkeypatch.setattr(publishing, "write_file", stop_after)
    with pytest.raises(OSError, match="power cut"):
        city.supervision.release(actor="test")
    monkeypatch.setattr(publishing, "write_file", write)
    city.supervision.release(actor="test")
    assert (seen(city).root.number, seen(city).list.number) == (2, 2)
    assert read_published(city.supervision.published).root_version == 2


def test_while_the_token_is_away_the_old_files_stay_together(city: World) -> None:
    """A list on record goes out only with the timestamp that names it."""
    first = seen(city)
    publish_next(city)
    city.import_root(city.draft_root())
    city.keys.away = True
    with pytest.raises(TokenNotReadyError):
        Watch(city.supervision).run(T)
    assert published_sequence(file(city, "trust-list.json")) == 1
    assert read_published(city.supervision.published).root_version == 1
    assert load_trust_timestamp(file(city, "trust-timestamp.json").read_bytes(), root=city.root) == first
    assert "onecert_trust_timestamp_failing 1.0" in metrics.exposition().decode()
    city.keys.away = False
    city.clock.advance(timedelta(seconds=30))
    Watch(city.supervision).run(T)
    assert (seen(city).root.number, seen(city).list.number) == (2, 2)
    assert "onecert_trust_timestamp_failing 0.0" in metrics.exposition().decode()


# Several processes


def test_two_processes_sign_one_timestamp(city: World, make_world: Callable[[str], World]) -> None:
    """One slot of the job, one lease: who comes second finds nothing to do."""
    other = make_world(f"sqlite:///{city.context.database.path}")
    other.keys = city.keys
    city.clock.advance(HOUR)
    runners = []
    for each in (city, other):
        watch = Watch(make_supervision(each.supervision.config, each.context, city.keys))
        jobs = [Job("supervision.published", timedelta(seconds=30), watch.run)]
        runners.append(JobRunner(each.context.database, city.clock, jobs))
    before = city.events().count("timestamp.signed")
    assert [runner.run_due() for runner in runners] == [1, 0]
    assert city.events().count("timestamp.signed") == before + 1


def test_two_hosts_do_not_sign_the_same_twice(city: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one of them uses its key, the other sees what is under way."""
    city.clock.advance(HOUR)
    second = make_supervision(city.supervision.config, city.context, city.keys)
    found = []
    original = city.keys.timestamp_key

    def key(label: str, *, create: bool = False) -> ec.EllipticCurvePrivateKey:
        found.append(second.timestamps.renew(actor="second"))
        return original(label, create=create)

    monkeypatch.setattr(city.keys, "timestamp_key", key)
    newest = city.supervision.timestamps.renew(actor="first")
    assert newest is not None
    assert len(found) == 1
    assert found[0].version == SECONDS
    assert newest.version == SECONDS + 3600


# Keys and thieves


def test_a_root_that_names_another_key(city: World) -> None:
    """The token was replaced; only the next root helps."""
    with city.context.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM supervision_timestamp_keys")
    city.clock.advance(HOUR)
    with pytest.raises(TimestampKeyError):
        city.supervision.release(actor="test")
    city.keys.timestamp_keys.clear()
    city.import_root(city.draft_root(new_timestamp_key=True))
    city.supervision.release(actor="test")
    assert seen(city).root.number == 2


def test_an_interrupted_draft_leaves_no_key_behind_twice(city: World) -> None:
    """The key was made and the record was not written: the next draft takes the same key."""
    label = "trust-timestamp-2"
    made = city.keys.timestamp_key(label, create=True).public_key()
    first = city.supervision.timestamps.public_key(new=True)
    assert first == TimestampKey(kid=key_id(made), label=label, spki_pem=public_pem(made))
    assert city.supervision.timestamps.public_key() == first
    assert city.supervision.timestamps.public_key(new=True).label == "trust-timestamp-3"


def content(world: World, name: str) -> dict[str, Any]:
    """The payload of a published file."""
    payload: dict[str, Any] = json.loads(load_payload(file(world, name).read_bytes(), max_bytes=10**7))
    return payload


def fast_forward(world: World) -> None:
    """A thief with the officers' keys and the timestamp key drives both counters to their ends."""
    officers, online = list(world.keys.keys.values()), list(world.keys.timestamp_keys.values())
    payload = content(world, "trust-list.json")
    payload["LoTE"]["ListAndSchemeInformation"]["LoTESequenceNumber"] = COUNTER_MAX
    file(world, "trust-list.json").write_bytes(sign_document(payload, typ=TYP, keys=officers))
    payload = {**content(world, "trust-timestamp.json"), "version": COUNTER_MAX}
    document = sign_document(payload, typ=TIMESTAMP_TYP, keys=online)
    file(world, "trust-timestamp.json").write_bytes(document)


def test_counters_driven_to_their_end_are_noticed_and_recovered_by_an_epoch(city: World) -> None:
    fast_forward(city)
    city.clock.advance(HOUR)
    with pytest.raises(PublishedAheadError):
        city.supervision.release(actor="test")
    # New officers, a new timestamp key, a new epoch for both roles.
    for number, name in enumerate(("zhao", "qian"), start=3):
        city.operator(name, number)
        city.editor.add_officer(name, actor="test")
    for name in ("wang", "li"):
        city.editor.remove_officer(name, actor="test")
    city.editor.begin_draft(actor="test")
    for name in ("zhao", "qian"):
        city.editor.sign(name, actor="test")
    ceremony = city.draft_root(new_timestamp_key=True, raise_epoch=[Role.LIST, Role.TIMESTAMP])
    assert city.import_root(ceremony).with_list == 2
    city.supervision.release(actor="test")
    timestamp = seen(city)
    assert (timestamp.root.number, timestamp.list.number, timestamp.epoch) == (2, 2, 2)
    assert timestamp.version == SECONDS + 3600


def test_a_timestamp_at_its_end_is_replaced_by_an_epoch(city: World) -> None:
    """Only the online key was stolen."""
    restore(city, f"UPDATE supervision_timestamps SET version = {COUNTER_MAX}")
    city.clock.advance(HOUR)
    with pytest.raises(CounterEndedError):
        city.supervision.timestamps.renew(actor="test")


# Readiness


def test_readiness_and_figures(city: World) -> None:
    watch = Watch(city.supervision)
    watch.run(T)
    watch.check()
    figures = metrics.exposition().decode()
    assert "onecert_trust_timestamp_alarm 0.0" in figures
    assert "onecert_trust_root_version 1.0" in figures
    expires = next(
        line for line in figures.splitlines() if line.startswith("onecert_trust_timestamp_expires")
    )
    assert float(expires.split()[1]) == SECONDS + 86400
    city.keys.away = True
    city.clock.advance(12 * HOUR)
    with pytest.raises(TokenNotReadyError):
        watch.run(city.clock.now())
    assert "onecert_trust_timestamp_alarm 1.0" in metrics.exposition().decode()
    city.clock.advance(12 * HOUR)
    with pytest.raises(TimestampOverdueError):
        watch.check()


def test_a_root_at_its_end(city: World, caplog: pytest.LogCaptureFixture) -> None:
    city.import_root(city.draft_root(expires_at=T + 4 * DAY))
    watch = Watch(city.supervision)
    city.clock.advance(3 * DAY)
    watch.run(city.clock.now())
    assert caplog.records[-1].message == "trust root needs its next version"
    city.clock.advance(DAY)
    with pytest.raises(TrustRootOverdueError):
        watch.check()
