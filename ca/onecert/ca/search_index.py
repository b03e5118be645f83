"""The index of the search: for each token the certificates that have it, in segments of the audit trail.

The trail numbers what was issued without gaps, in the order of the commits. A segment is 4096 of its numbers;
once all of them are taken it never changes, and a job writes its postings, each row once. What came since is
not indexed yet and is read itself. So issuing writes nothing for the search, nothing is missing for a moment,
and an interruption leaves at most postings that are written again just the same.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, func, select, update

from onecert.ca.ledger import COLUMNS, certificate_record
from onecert.ca.models import certificates, orders
from onecert.ca.search_models import cursor, postings
from onecert.ca.search_terms import Found, tokens_of
from onecert.server.database import Database
from onecert.server.models import audit_entries
from onecert.server.statements import insert_once

__all__ = ["SEGMENT", "SearchIndex", "decoded", "encoded", "entries_of", "load"]

SEGMENT = 4096
_BITMAP_OCTETS = SEGMENT // 8
EVENTS = ("certificate.issued", "certificate.abandoned")
_INSERT = insert_once(postings)
_ROWS_AT_ONCE = 2000
_LOADED_AT_ONCE = 400
# So many new entries between two steps of the job are busy times.
BUSY = 500
T = TypeVar("T")


class SearchIndex:
    """Writes postings, and finds by them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest = 0

    def step(self) -> int:
        """Index some segments, one alone while much is issued, so that issuing has the machine."""
        before, self._newest = self._newest, self._newest_number()
        return self.run(1 if self._newest - before > BUSY else 8)

    def run(self, at_most: int = 8) -> int:
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
            rows = self._postings(connection, segment)
        for some in _batched(rows, _ROWS_AT_ONCE):
            with self._database.transaction() as connection:
                _INSERT.run_many(connection, some)
        with self._database.transaction() as connection:
            connection.execute(update(cursor).where(cursor.c.segment == segment).values(segment=segment + 1))
        return True

    @staticmethod
    def _postings(connection: Connection, segment: int) -> list[Mapping[str, object]]:
        first = segment * SEGMENT
        entries = dict(entries_of(connection, first, first + SEGMENT))
        offsets: dict[int, list[int]] = defaultdict(list)
        found = load(connection, entries.values())
        for seq in sorted(entries):
            one = found.get(entries[seq])
            for token in set(tokens_of(one)) if one is not None else ():
                offsets[token].append(seq - first)
        return [
            {"token": token, "segment": segment, "offsets": encoded(offsets[token])}
            for token in sorted(offsets)
        ]

    @staticmethod
    def bitmaps(
        connection: Connection, tokens: Sequence[int], first: int, last: int
    ) -> Iterator[tuple[int, int]]:
        """For the segments from `last` down to `first`: which offsets have all of the tokens, as bits."""
        query = select(postings).where(
            postings.c.token.in_(tokens), postings.c.segment >= first, postings.c.segment <= last
        )
        counts: dict[int, int] = defaultdict(int)
        both: dict[int, int] = {}
        for _token, segment, offsets in connection.execute(query):
            bits = decoded(offsets)
            both[segment] = both.get(segment, bits) & bits
            counts[segment] += 1
        for segment in sorted(both, reverse=True):
            if counts[segment] == len(tokens) and both[segment]:
                yield segment, both[segment]


def _batched(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def indexed_until(connection: Connection) -> int:
    """The first number of the audit trail that is not indexed."""
    return SEGMENT * (connection.scalar(select(cursor.c.segment)) or 0)


def encoded(offsets: Sequence[int]) -> bytes:
    """Write sorted offsets: two octets each, little-endian, or 512 octets of bits when that is shorter."""
    if len(offsets) * 2 < _BITMAP_OCTETS:
        return struct.pack(f"<{len(offsets)}H", *offsets)
    bits = 0
    for offset in offsets:
        bits |= 1 << offset
    return bits.to_bytes(_BITMAP_OCTETS, "little")


def decoded(data: bytes) -> int:
    """Read what `encoded` wrote, as bits."""
    if len(data) == _BITMAP_OCTETS:
        return int.from_bytes(data, "little")
    bits = 0
    for offset in struct.unpack(f"<{len(data) // 2}H", data):
        bits |= 1 << offset
    return bits


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
    wanted: dict[str, list[str]] = defaultdict(list)
    for authority, serial in keys:
        wanted[authority].append(serial)
    found = {}
    for authority, serials in wanted.items():
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
