"""The audit trail in the database: one chain, in the transaction of the act, without secrets."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, text

from onecert.server.audit import AuditEntry, AuditTrail, find_entries
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.errors import AuditError
from onecert.server.models import audit_chain, audit_entries, audit_heads
from onecert.verifier.jws import key_id, verify_document

T = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def database(database_url: str):
    database = Database(database_url)
    migrate(database, "onecert.server.migrations")
    yield database
    database.close()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(T)


@pytest.fixture
def trail(clock: FixedClock) -> AuditTrail:
    return AuditTrail("ca", clock)


def record(database: Database, trail: AuditTrail, **changes: object) -> None:
    values = {"event": "certificate.issued", "actor": "ra:ra", "subject": "3f9a", "details": {}} | changes
    with database.transaction() as connection:
        trail.record(connection, **values)


def rows(database: Database) -> list:
    with database.reading() as connection:
        return list(connection.execute(select(audit_entries).order_by(audit_entries.c.seq)))


def test_entries_are_chained(database: Database, trail: AuditTrail) -> None:
    for number in range(3):
        record(
            database, trail, subject=str(number), details={"名": "值", "n": number, "list": [1, None, True]}
        )
    found = rows(database)
    assert [row.seq for row in found] == [1, 2, 3]
    assert [row.previous for row in found] == ["0" * 64, found[0].hash, found[1].hash]
    assert {row.at for row in found} == {T}
    with database.reading() as connection:
        assert connection.execute(select(audit_chain.c.seq, audit_chain.c.hash)).one() == (3, found[2].hash)


def test_many_entries_are_the_same_chain(database: Database, trail: AuditTrail) -> None:
    """A batch of 50 in one statement equals 50 single entries."""
    entries = [AuditEntry(event="certificate.issued", actor="ra:ra", subject=str(n)) for n in range(50)]
    with database.transaction() as connection:
        trail.record_many(connection, entries)
        trail.record_many(connection, [])
    record(database, trail)
    found = rows(database)
    assert [row.seq for row in found] == list(range(1, 52))
    assert all(row.previous == before.hash for before, row in pairwise(found))


def test_entry_falls_with_the_act(database: Database, trail: AuditTrail) -> None:
    def act() -> None:
        with database.transaction() as connection:
            trail.record(connection, event="certificate.issued", actor="ra:ra", subject="1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act()
    assert rows(database) == []
    record(database, trail)
    assert [row.seq for row in rows(database)] == [1]


def test_entry_in_a_savepoint_that_is_undone(database: Database, trail: AuditTrail) -> None:
    with database.transaction() as connection:
        trail.record(connection, event="certificate.issued", actor="ra:ra", subject="1")
        savepoint = connection.begin_nested()
        trail.record(connection, event="certificate.issued", actor="ra:ra", subject="undone")
        savepoint.rollback()
        trail.record(connection, event="certificate.issued", actor="ra:ra", subject="2")
    assert [(row.seq, row.subject) for row in rows(database)] == [(1, "1"), (2, "2")]


def test_act_fails_when_the_entry_cannot_be_written(database: Database, trail: AuditTrail) -> None:
    """The chain's end is gone: whatever was done in the transaction is undone."""
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM audit_chain"))
    with pytest.raises(AuditError):
        record(database, trail)


def test_writers_at_once_make_one_chain(database: Database, trail: AuditTrail) -> None:
    threads = [
        threading.Thread(target=lambda: [record(database, trail) for _ in range(10)]) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(database)
    assert [row.seq for row in found] == list(range(1, 61))
    assert all(row.previous == before.hash for before, row in pairwise(found))


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "Issued"},
        {"event": "issued"},
        {"actor": ""},
        {"subject": "x" * 513},
        {"subject": "zero\x00byte"},
        {"subject": "half a character \ud800"},
        {"details": {"share": 0.5}},
        {"details": {"deep": [{"share": 0.5}]}},
        {"details": {1: "x"}},
        {"details": {"at": T}},
        {"details": {"half": "\ud800"}},
        {"details": {"long": "x" * 40_000}},
        {"details": {"pin": "1234"}},
        {"details": {"request": {"agent_idcard": "440300190001010015"}}},
        {"details": {"list": [{"private_key": "x"}]}},
    ],
)
def test_entry_that_cannot_be_written_as_asked(
    database: Database, trail: AuditTrail, changes: dict[str, object]
) -> None:
    with pytest.raises(AuditError):
        record(database, trail, **changes)
    assert rows(database) == []


def test_numbers_of_identity_cards_are_withheld(database: Database, trail: AuditTrail) -> None:
    record(database, trail, subject="for 440300190001010015", details={"note": "id 440300190001010015 seen"})
    (row,) = rows(database)
    assert row.subject == "for [withheld]"
    assert row.details == '{"note":"id [withheld] seen"}'


def test_history_of_a_subject(database: Database, trail: AuditTrail) -> None:
    for subject in ("a", "b", "a"):
        record(database, trail, subject=subject)
    with database.reading() as connection:
        assert [entry["seq"] for entry in find_entries(connection, subject="a")] == [3, 1]


# --- signed heads ---


def test_head_says_how_far_the_chain_had_come(
    database: Database, trail: AuditTrail, clock: FixedClock
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    trail.sign_head(database, key)  # nothing to sign yet
    record(database, trail)
    record(database, trail)
    clock.advance(timedelta(minutes=1))
    trail.sign_head(database, key)
    trail.sign_head(database, key)  # signed already
    with database.reading() as connection:
        (head,) = connection.execute(select(audit_heads)).all()
    payload = verify_document(
        head.document, typ="onecert-audit-head+json", keys={key_id(key.public_key()): key.public_key()}
    )
    assert payload == {
        "service": "ca",
        "seq": 2,
        "hash": rows(database)[1].hash,
        "at": "2026-11-21T09:01:00.000000Z",
    }
