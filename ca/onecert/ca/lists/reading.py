"""Reads all entries of a list at once, joined by the database, and compares them with the record as sets.

A million rows cost most when each becomes an object of ours, or is looked up by another. Here the database
joins entries to segments of some ten thousand, with the serials of their rows beside them in the same order;
the segments are checked column by column where entries are of one length. The sums of keyed hashes over the
rows of both tables stand for the sets: nothing is sorted or looked up.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, text

from onecert.ca import der
from onecert.ca.lists.entries import serial_of

__all__ = ["Disagreement", "read_all"]

# What becomes one segment: more than a segment's octets, so that its bounds stay where they are from one
# reading to the next.
ROWS_AT_ONCE = 32_768
PAGES_AT_ONCE = 512


class Disagreement(Exception):  # noqa: N818 - no error yet: somebody else counts what is wrong
    """Entries are not what their rows say, or not those of the revoked certificates."""


# What entry and certificate have in common.
_NAMES = "serial, crl_partition, not_after"
_LISTED = "FROM ca_crl_entries WHERE {plus}authority = :a AND {plus}not_after >= :since"
# The full list in the order in which the rows lie in the file: any index would jump about in it. The list of
# a partition by the index, so that so many partitions do not read everything so many times.
_OF_PARTITION = " AND crl_partition = :p GROUP BY substr(serial, 3, 2) ORDER BY substr(serial, 3, 2)"
_REVOKED = "FROM ca_certificates WHERE authority = :a AND status <> 'good' AND not_after >= :since{scope}"
_SQLITE = f"""
SELECT CAST(group_concat(entry_der, '') AS BLOB), group_concat(serial, ' '), group_concat(crl_partition, ' '),
    group_concat(not_after, ' ')
{_LISTED}"""
_SQLITE_ROWS = _SQLITE.format(plus="+") + " AND rowid >= :begin AND rowid < :end"
_SQLITE_REVOKED = f"SELECT serial, CAST(crl_partition AS TEXT), not_after {_REVOKED}"
_SUM = f"sum(hash_record_extended(ROW({_NAMES}), :key))"
_POSTGRESQL = f"SELECT string_agg(entry_der, ''::bytea), string_agg(serial, ' '), {_SUM} {_LISTED}"
_POSTGRESQL_PAGES = "SELECT pg_relation_size('ca_crl_entries') / current_setting('block_size')::int"
_POSTGRESQL_ROWS = (
    _POSTGRESQL.format(plus="") + " AND ctid >= CAST(:begin AS tid) AND ctid < CAST(:end AS tid)"
)
_POSTGRESQL_REVOKED = f"SELECT coalesce({_SUM}, 0) {_REVOKED}"


def read_all(connection: Connection, names: dict[str, Any]) -> list[tuple[bytes, int]]:
    """Read the encoded entries of a list: segments, each with the number of its entries.

    Args:
        names: `a` the authority, `p` the partition (0: all), `since` in the spelling of the driver.

    Raises:
        Disagreement: an entry is not the one of its row, or a certificate is revoked and has none, or the
            other way round, or the two tell different partitions or ends.
    """
    listed = 0
    found = []
    is_postgresql = connection.dialect.name == "postgresql"
    names = names | {"key": secrets.randbits(62)}
    for row in _postgresql_rows(connection, names) if is_postgresql else _sqlite_rows(connection, names):
        if row[0] is None:
            continue
        segment, serials = bytes(row[0]), row[1].split(" ")
        _check(segment, serials)
        if is_postgresql:
            listed += int(row[2])
        else:
            listed += sum(map(hash, zip(serials, row[2].split(" "), row[3].split(" "), strict=True)))
        found.append((segment, len(serials)))
    if listed != _revoked(connection, names):
        raise Disagreement
    return found


def _sqlite_rows(connection: Connection, names: dict[str, Any]) -> Iterator[Any]:
    if names["p"]:
        yield from connection.execute(text(_SQLITE.format(plus="") + _OF_PARTITION), names)
        return
    last = connection.exec_driver_sql("SELECT max(rowid) FROM ca_crl_entries").scalar() or 0
    for begin in range(0, last + 1, ROWS_AT_ONCE):
        bounds = {"begin": begin, "end": begin + ROWS_AT_ONCE}
        yield connection.execute(text(_SQLITE_ROWS), names | bounds).one()


def _postgresql_rows(connection: Connection, names: dict[str, Any]) -> Iterator[Any]:
    if names["p"]:
        yield from connection.execute(text(_POSTGRESQL.format(plus="") + _OF_PARTITION), names)
        return
    last = connection.exec_driver_sql(_POSTGRESQL_PAGES).scalar() or 0
    for begin in range(0, last + 1, PAGES_AT_ONCE):
        bounds = {"begin": f"({begin},0)", "end": f"({begin + PAGES_AT_ONCE},0)"}
        yield connection.execute(text(_POSTGRESQL_ROWS), names | bounds).one()


def _revoked(connection: Connection, names: dict[str, Any]) -> int:
    """Sum up the certificates that are revoked."""
    scope = " AND crl_partition = :p" if names["p"] else ""
    if connection.dialect.name == "postgresql":
        query = text(_POSTGRESQL_REVOKED.format(scope=scope))
        return int(connection.execute(query, names).scalar_one())
    cursor = connection.connection.cursor()
    cursor.execute(_SQLITE_REVOKED.format(scope=scope), names)
    # Rows of the driver, one after the other: SQLAlchemy's cost several times as much.
    return sum(map(hash, cursor))  # type: ignore[call-overload]  # an iterator of tuples


def _check(segment: bytes, serials: Sequence[str]) -> None:
    """Check that entries are ours, as many as serials, and name these."""
    if not _are_even(segment, serials):
        _check_each(segment, serials)


def _are_even(segment: bytes, serials: Sequence[str]) -> bool:
    """Check entries of one length by their columns; False: they are not of one length, or not these."""
    joined, count = "".join(serials), len(serials)
    size, digits = len(segment) // count, len(serials[0])
    octets = digits // 2
    if digits % 2 or size >= 0x80 or len(segment) != size * count or len(joined) != digits * count:
        return False
    head = (der.SEQUENCE, size - 2, der.INTEGER, octets)
    if any(segment[at::size] != bytes((octet,)) * count for at, octet in enumerate(head)):
        return False
    wanted = bytes.fromhex(joined)
    return all(segment[4 + at :: size] == wanted[at::octets] for at in range(octets))


def _check_each(segment: bytes, serials: Sequence[str]) -> None:
    at = 0
    try:
        for serial in serials:
            size = segment[at + 1]
            entry = segment[at : at + 2 + size]
            is_ours = entry[0] == der.SEQUENCE and size < 0x80 and entry[2] == der.INTEGER
            if not is_ours or serial_of(entry) != serial:
                raise Disagreement
            at += len(entry)
    except IndexError:
        raise Disagreement from None
    if at != len(segment):
        raise Disagreement
