"""Reads all entries of a list at once, joined by the database, and compares them with the record as sets.

A million rows cost most when each becomes an object of ours. Here the database joins entries of one length to
segments of some ten thousand, with the serials of their rows beside them in the same order; the segments are
checked column by column. What is not as it should be is left to whoever looks at it row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from onecert.ca import der

__all__ = ["Disagreement", "is_complete", "joined_entries"]

ROWS_AT_ONCE = 16_384


class Disagreement(Exception):  # noqa: N818 - no error yet: the rows are looked at one by one
    """Entries are not what their rows say, or of a form that is not read here."""


_SCOPE = " AND crl_partition = :p"
_SQLITE = """
SELECT length(entry_der), length(serial), count(*),
    CAST(group_concat(entry_der, '') AS BLOB), group_concat(serial, '')
FROM ca_crl_entries
WHERE rowid >= :begin AND rowid < :end AND +authority = :a AND +not_after >= :since{scope}
GROUP BY 1, 2
"""
_POSTGRESQL = """
SELECT length(entry_der), length(serial), count(*), string_agg(entry_der, ''::bytea), string_agg(serial, '')
FROM ca_crl_entries
WHERE authority = :a AND not_after >= :since{scope}
GROUP BY 1, 2, substr(serial, 3, 2)
"""
_COMPARE = """
SELECT count(*), count(e.serial)
FROM ca_certificates c LEFT JOIN ca_crl_entries e ON e.authority = c.authority AND e.serial = c.serial
    AND e.crl_partition = c.crl_partition AND e.not_after = c.not_after
WHERE c.authority = :a AND c.status <> 'good' AND c.not_after >= :since{scope}
"""


def joined_entries(connection: Connection, names: dict[str, Any]) -> Iterator[tuple[bytes, int]]:
    """Read the encoded entries of a list: segments, each with the number of its entries.

    Args:
        names: `a` the authority, `p` the partition (0: all), `since` in the spelling of the driver.

    Raises:
        Disagreement: an entry is not the one of its row.
    """
    scope = _SCOPE if names["p"] else ""
    for size, digits, count, segment, serials in _rows(connection, names, scope):
        content = bytes(segment)
        _check(content, size, digits, count, serials)
        yield content, count


def _rows(connection: Connection, names: dict[str, Any], scope: str) -> Iterator[Any]:
    if connection.dialect.name == "postgresql":
        yield from connection.execute(text(_POSTGRESQL.format(scope=scope)), names)
        return
    # In the order in which they lie in the file: any index would jump about in it.
    last = connection.exec_driver_sql("SELECT max(rowid) FROM ca_crl_entries").scalar() or 0
    query = text(_SQLITE.format(scope=scope))
    for begin in range(0, last + 1, ROWS_AT_ONCE):
        yield from connection.execute(query, names | {"begin": begin, "end": begin + ROWS_AT_ONCE})


def _check(segment: bytes, size: int, digits: int, count: int, serials: str) -> None:
    """Check that every entry begins as ours do and names the serial of its row."""
    octets = digits // 2
    head = (der.SEQUENCE, size - 2, der.INTEGER, octets)
    if digits % 2 or size >= 0x80 or len(segment) != size * count or len(serials) != digits * count:
        raise Disagreement
    if any(segment[at::size] != bytes((octet,)) * count for at, octet in enumerate(head)):
        raise Disagreement
    wanted = bytes.fromhex(serials)
    if any(segment[4 + at :: size] != wanted[at::octets] for at in range(octets)):
        raise Disagreement


def is_complete(connection: Connection, names: dict[str, Any], *, entries: int) -> bool:
    """Tell whether so many entries are one for each certificate that is revoked, and for no other.

    Every revoked certificate has its entry, and there are as many of one as of the other.
    """
    query = text(
        _COMPARE.format(scope=_SCOPE.replace("crl_partition", "c.crl_partition") if names["p"] else "")
    )
    revoked, listed = connection.execute(query, names).one()
    return bool(revoked == listed == entries)
