"""The index of the search: for each token the certificates that have it, in segments of the audit trail.

The trail numbers what was issued without gaps, in the order of the commits. A segment is 4096 of its numbers;
once all of them are taken it never changes, and a job writes its postings (`search_segments`), each row once.
What came since is not indexed yet and is read itself. So issuing writes nothing for the search, nothing is
missing for a moment, and an interruption leaves at most a segment that is written again just the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, func, select, update

from onecert.ca.issuing.ledger import COLUMNS, certificate_record
from onecert.ca.models import certificates, orders
from onecert.ca.search.models import cursor, postings
from onecert.ca.search.segments import SEGMENT, buckets_of, find, place
from onecert.ca.search.terms import Found, Indexed, tokens_of
from onecert.server.database import Database
from onecert.server.models import audit_entries
from onecert.server.statements import insert_once

__all__ = ["SEGMENT", "SearchIndex", "entries_of", "load"]

EVENTS = ("certificate.issued", "certificate.abandoned")
_INSERT = insert_once(postings)
_LOADED_AT_ONCE = 400
# So many new entries between two steps of the job are busy times.
BUSY = 500
# In busy times a step keeps pace with three thousand new certificates a second.
BUSY_SEGMENTS, QUIET_SEGMENTS = 4, 16
# So many segments are asked for one by one.
_FEW_SEGMENTS = 64
T = TypeVar("T")


class SearchIndex:
    """Writes postings, and finds by them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest = 0

    def step(self) -> int:
        """Index some segments; fewer while much is issued, so that issuing has the machine, yet as many as
        come in."""
        before, self._newest = self._newest, self._newest_number()
        return self.run(BUSY_SEGMENTS if self._newest - before > BUSY else QUIET_SEGMENTS)

    def run(self, at_most: int = QUIET_SEGMENTS) -> int:
        """Index complete segments; tell how many. Whoever else does the same writes the same."""
        done = 0
        while done < at_most and self._index_next():
            done += 1
        return done

    def _newest_number(self) -> int:
        with self._database.reading() as connection:
            return connection.scalar(select(func.max(audit_entries.c.seq))) or 0

    def _index_next(self) -> bool:
        newest = self._newest_number()
        with self._database.reading() as connection:
            segment = indexed_until(connection) // SEGMENT
            if newest < (segment + 1) * SEGMENT - 1:
                return False
            offsets = self._offsets(connection, segment)
        rows = [{"place": at, "bucket": bucket} for at, bucket in buckets_of(offsets, segment)]
        with self._database.transaction() as connection:
            _INSERT.run_many(connection, rows)
            connection.execute(update(cursor).where(cursor.c.segment == segment).values(segment=segment + 1))
        return True

    @staticmethod
    def _offsets(connection: Connection, segment: int) -> dict[int, list[int]]:
        """The sorted offsets of each token of a segment."""
        first = segment * SEGMENT
        entries = dict(entries_of(connection, first, first + SEGMENT))
        found = {(each.authority, each.serial): each for each in _indexed(connection, entries.values())}
        offsets: dict[int, list[int]] = defaultdict(list)
        for seq in sorted(entries):
            one = found.get(entries[seq])
            for token in tokens_of(one) if one is not None else ():
                offsets[token].append(seq - first)
        return offsets

    @staticmethod
    def bitmaps(
        connection: Connection, tokens: Sequence[int], first: int, last: int
    ) -> Iterator[tuple[int, int]]:
        """For the segments from `last` down to `first`: which offsets have all of the tokens, as bits.

        What no certificate of a segment has ends the search in it.
        """
        found: dict[int, int] = {}
        for number, token in enumerate(tokens):
            begin = place(token, 0)
            where = postings.c.place.between(begin + first, begin + last)
            if number and len(found) <= _FEW_SEGMENTS:
                where = postings.c.place.in_([begin + segment for segment in found])
            left: dict[int, int] = {}
            for at, bucket in connection.execute(select(postings.c.place, postings.c.bucket).where(where)):
                segment = at - begin
                bits = find(bucket, token) & (found.get(segment, 0) if number else -1)
                if bits:
                    left[segment] = bits
            found = left
            if not found:
                return
        yield from sorted(found.items(), reverse=True)


def _indexed(connection: Connection, keys: Iterable[tuple[str, str]]) -> Iterator[Indexed]:
    """Read what the index needs of certificates."""
    table = certificates.c
    query = select(
        table.authority,
        table.serial,
        table.subject,
        table.entity,
        table.profile,
        table.crl_partition,
        table.certificate_der,
        orders.c.ordered_by,
    ).outerjoin_from(certificates, orders, orders.c.id == table.order_id)
    for authority, serials in _by_authority(keys).items():
        for some in _batched(serials, _LOADED_AT_ONCE):
            rows = connection.execute(query.where(table.authority == authority, table.serial.in_(some)))
            yield from map(Indexed._make, rows)


def _by_authority(keys: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    serials: dict[str, list[str]] = defaultdict(list)
    for authority, serial in keys:
        serials[authority].append(serial)
    return serials


def _batched(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def indexed_until(connection: Connection) -> int:
    """The first number of the audit trail that is not indexed."""
    return SEGMENT * (connection.scalar(select(cursor.c.segment)) or 0)


def entries_of(connection: Connection, first: int, end: int) -> Iterator[tuple[int, tuple[str, str]]]:
    """The certificates of a stretch of the trail: number -> authority and serial."""
    query = select(audit_entries.c.seq, audit_entries.c.subject).where(
        audit_entries.c.seq >= first, audit_entries.c.seq < end, audit_entries.c.event.in_(EVENTS)
    )
    for seq, subject in connection.execute(query):
        authority, _slash, serial = subject.rpartition("/")
        yield seq, (authority, serial)


def load(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Found]:
    """Read certificates with who ordered them; what is not on record is left out."""
    found = {}
    for authority, serials in _by_authority(keys).items():
        for some in _batched(serials, _LOADED_AT_ONCE):
            query = select(*COLUMNS).where(
                certificates.c.authority == authority, certificates.c.serial.in_(some)
            )
            records = [certificate_record(row) for row in connection.execute(query).mappings()]
            ids = [record.order_id for record in records]
            who = select(orders.c.id, orders.c.ordered_by).where(orders.c.id.in_(ids))
            ordered_by = {row.id: row.ordered_by for row in connection.execute(who)}
            for record in records:
                found[record.authority, record.serial] = Found(
                    record=record, ordered_by=ordered_by.get(record.order_id, "")
                )
    return found
