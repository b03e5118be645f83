"""Finds certificates by anything that is known of them, in bounded time however many there are.

A search goes along one order that suits what is asked, looks at no more than some thousand certificates, and
says where it stopped: a page may be short, and the search is at its end when there is no `next`. The orders:

- few certificates (a serial, its first digits, an order, a key, a holder who has few): newest first;
- status, reason or time of revocation: latest revocation first;
- end or begin of validity: soonest end, or latest begin, first;
- everything else, by the index: latest issued first.

A cursor is the place in that order, which later certificates do not move: nothing is lost or doubled between
two pages. It is bound to what was asked, and checked, not secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, text

from onecert.ca.errors.search import SearchCursorError, SearchTooWideError
from onecert.ca.models import certificates, keys, orders
from onecert.ca.search.index import EVENTS, SEGMENT, SearchIndex, indexed_until, load
from onecert.ca.search.terms import Found, Query
from onecert.server.database import Database
from onecert.server.models import audit_entries
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import decode_base64url

__all__ = ["LIMIT_MAX", "Page", "Search"]

LIMIT_MAX = 1000
# So many certificates one page looks at, at most.
LOOKED_AT_MAX = 5000
FEW = 1000
_CHUNK = 250
_PASSED = 100  # what it costs to pass over a chunk, in certificates looked at

Place = tuple[str | int, ...]
# Place in the order -> authority and serial, or None: up to here others were passed over at little cost.
Chunk = list[tuple[Place, tuple[str, str] | None]]


@dataclass(frozen=True)
class Page:
    """Some of what was found. `next` goes on; None: that was all."""

    found: list[Found]
    next: str | None
    sorted_by: str  # few | revoked | expires | begins | issued


class Search:
    """Answers searches; reads only.

    Args:
        looked_at_max: so many certificates one page looks at; a test makes it small.
    """

    def __init__(self, database: Database, *, looked_at_max: int = LOOKED_AT_MAX) -> None:
        self._database = database
        self._looked_at_max = looked_at_max

    def find(
        self,
        query: Query,
        *,
        limit: int = 100,
        after: str | None = None,
        may_see: Callable[[Found], bool] = lambda _found: True,
    ) -> Page:
        """Find a page of certificates.

        Args:
            limit: from 1 to 1000.
            after: the `next` of the page before.
            may_see: passes over what the asker may not know of.

        Raises:
            SearchCursorError, SearchTooWideError
        """
        found: list[Found] = []
        looked_at = 0
        with self._database.reading() as connection:
            order = "few" if _is_of_few(connection, query) else _order_of(query)
            place = None if after is None else _read_cursor(after, query, order)
            for chunk in _CHUNKS[order](connection, query, place):
                loaded = load(connection, [key for _place, key in chunk if key is not None])
                for here, key in chunk:
                    looked_at += _PASSED if key is None else 1
                    one = None if key is None else loaded.get(key)
                    if one is not None and query.fits(one) and may_see(one):
                        found.append(one)
                    if len(found) == limit or looked_at >= self._looked_at_max:
                        return Page(found, _cursor(here, query, order), order)
        return Page(found, None, order)


def _order_of(query: Query) -> str:
    if query.serial or query.serial_begins or query.order or query.key_sha256:
        return "few"
    if query.sharp_tokens():
        return "issued"
    if query.status in {"hold", "revoked"} or query.reason or query.revoked_from or query.revoked_until:
        return "revoked"
    if query.expires_from or query.expires_until:
        return "expires"
    if query.issued_from or query.issued_until:
        return "begins"
    return "issued"


# ------------------------------------------------------------------ few


def _is_of_few(connection: Connection, query: Query) -> bool:
    """Tell whether it asks for a holder who has few certificates, as nearly all do."""
    if query.entity is None:
        return False
    own = select(certificates.c.entity).where(certificates.c.entity == query.entity).limit(FEW + 1)
    return len(connection.execute(own).all()) <= FEW


def _few(connection: Connection, query: Query, place: Place | None) -> Iterator[Chunk]:
    keys_found = list(_few_keys(connection, query))
    if len(keys_found) > FEW:
        raise SearchTooWideError(FEW)
    loaded = load(connection, keys_found)
    # Negative, so that the newest comes first.
    places = sorted(((-int(found.record.not_before.timestamp()), *key), key) for key, found in loaded.items())
    yield [(here, key) for here, key in places if place is None or here > place]


def _few_keys(connection: Connection, query: Query) -> Iterator[tuple[str, str]]:
    pair = select(certificates.c.authority, certificates.c.serial)
    if query.order:
        made = select(orders.c.authority, orders.c.serial).where(orders.c.id == query.order)
        yield from (tuple(row) for row in connection.execute(made))
    elif query.key_sha256:
        # A key has one holder.
        holder = select(keys.c.entity).where(keys.c.key_sha256 == query.key_sha256).scalar_subquery()
        of_holder = pair.where(certificates.c.entity == holder, certificates.c.key_sha256 == query.key_sha256)
        yield from (tuple(row) for row in connection.execute(of_holder.limit(FEW + 1)))
    elif query.serial is None and query.serial_begins is None:
        yield from (
            tuple(row) for row in connection.execute(pair.where(certificates.c.entity == query.entity))
        )
    else:
        begin = query.serial or query.serial_begins or ""
        for authority in _authorities(connection) if query.authority is None else [query.authority]:
            where = certificates.c.serial == begin
            if query.serial is None:
                # "g" follows all hexadecimal digits.
                where = and_(certificates.c.serial >= begin, certificates.c.serial < begin + "g")
            some = pair.where(certificates.c.authority == authority, where).limit(FEW + 1)
            yield from (tuple(row) for row in connection.execute(some))


def _authorities(connection: Connection) -> list[str]:
    """The names under which certificates stand, one look-up each."""
    names: list[str] = []
    while True:
        least = select(certificates.c.authority).order_by(certificates.c.authority).limit(1)
        if names:
            least = least.where(certificates.c.authority > names[-1])
        name = connection.scalar(least)
        if name is None:
            return names
        names.append(name)


# ------------------------------------------------------------------ along a column


def _along(
    connection: Connection,
    column: str,
    where: Sequence[ColumnElement[bool]],
    place: Place | None,
    *,
    latest_first: bool,
) -> Iterator[Chunk]:
    """Go along a column that has an index; ties stand in the order of authority and serial."""
    sorted_by, table = certificates.c[column], certificates.c
    query = select(sorted_by, table.authority, table.serial).where(*where)
    order = sorted_by.desc() if latest_first else sorted_by
    query = query.order_by(order, table.authority, table.serial).limit(_CHUNK)
    while True:
        some = query
        if place is not None:
            at = datetime.fromisoformat(str(place[0]))
            authority, serial = str(place[1]), str(place[2])
            beyond = sorted_by < at if latest_first else sorted_by > at
            some = query.where(
                sorted_by <= at if latest_first else sorted_by >= at,
                or_(
                    beyond,
                    table.authority > authority,
                    and_(table.authority == authority, table.serial > serial),
                ),
            )
        rows = connection.execute(some).all()
        if rows:
            chunk: Chunk = [((row[0].isoformat(), row[1], row[2]), (row[1], row[2])) for row in rows]
            yield chunk
            place = chunk[-1][0]
        if len(rows) < _CHUNK:
            return


def _range(column: str, begin: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    sorted_by = certificates.c[column]
    return [*([sorted_by >= begin] if begin else []), *([sorted_by < end] if end else [])]


def _revoked(connection: Connection, query: Query, place: Place | None) -> Iterator[Chunk]:
    # Spelled as the partial indexes are, or the engines would not know that they may use them.
    status = text("status = 'hold'") if query.status == "hold" else text("status <> 'good'")
    where: Any = [status, *_range("revoked_at", query.revoked_from, query.revoked_until)]
    yield from _along(connection, "revoked_at", where, place, latest_first=True)


def _expires(connection: Connection, query: Query, place: Place | None) -> Iterator[Chunk]:
    where = _range("not_after", query.expires_from, query.expires_until)
    yield from _along(connection, "not_after", where, place, latest_first=False)


def _begins(connection: Connection, query: Query, place: Place | None) -> Iterator[Chunk]:
    where = _range("not_before", query.issued_from, query.issued_until)
    yield from _along(connection, "not_before", where, place, latest_first=True)


# ------------------------------------------------------------------ by the index


def _issued(connection: Connection, query: Query, place: Place | None) -> Iterator[Chunk]:
    end = None if place is None else int(place[0])
    tokens = [*query.sharp_tokens(), *query.dense_tokens()]
    indexed = indexed_until(connection) if tokens else 0
    if end is None or end > indexed:
        for chunk in _trail(connection, indexed, end):
            yield _sifted(connection, query, chunk) if query.sharp_tokens() else chunk
    if not tokens:
        return
    end = indexed if end is None else min(end, indexed)
    last, width = (end - 1) // SEGMENT, 4
    while last >= 0:
        # Wider and wider: what is frequent stands in the newest segments, what is rare costs few questions.
        first = max(last - width + 1, 0)
        for segment, bits in SearchIndex.bitmaps(connection, tokens, first, last):
            numbers = [at for at in _numbers(segment, bits) if at < end]
            for begin in range(0, len(numbers), _CHUNK):
                yield _entries(connection, numbers[begin : begin + _CHUNK])
        last, width = first - 1, min(width * 4, 1024)


def _numbers(segment: int, bits: int) -> list[int]:
    """The numbers that a bitmap names, highest first."""
    numbers = []
    while bits:
        highest = bits.bit_length() - 1
        numbers.append(segment * SEGMENT + highest)
        bits ^= 1 << highest
    return numbers


def _trail(connection: Connection, first: int, end: int | None) -> Iterator[Chunk]:
    """Go back along the trail itself."""
    table = audit_entries.c
    query = select(table.seq, table.event, table.subject).where(table.seq >= first)
    query = query.order_by(table.seq.desc()).limit(_CHUNK)
    while True:
        rows = connection.execute(query if end is None else query.where(table.seq < end)).all()
        chunk: Chunk = [((row.seq,), _key(row.subject)) for row in rows if row.event in EVENTS]
        if chunk:
            yield chunk
        if len(rows) < _CHUNK:
            return
        end = rows[-1].seq


def _sifted(connection: Connection, query: Query, chunk: Chunk) -> Chunk:
    """Keep what may fit by name or number, read as plainly as can be, and tell how far it went."""
    wanted: dict[str, list[str]] = {}
    for _place, key in chunk:
        if key is not None:
            wanted.setdefault(key[0], []).append(key[1])
    table = certificates.c
    der = (table.certificate_der,) if query.needs_der() else ()
    kept = set()
    for authority, serials in wanted.items():
        rows = select(table.serial, table.subject, table.entity, *der).where(
            table.authority == authority, table.serial.in_(serials)
        )
        for serial, subject, entity, *content in connection.execute(rows):
            if query.may_fit(subject, entity, content[0] if content else None):
                kept.add((authority, serial))
    passed: Chunk = [(chunk[-1][0], None)]
    return [entry for entry in chunk if entry[1] in kept] + passed


def _entries(connection: Connection, numbers: Sequence[int]) -> Chunk:
    table = audit_entries.c
    query = select(table.seq, table.subject).where(table.seq.in_(numbers))
    subjects = {row.seq: row.subject for row in connection.execute(query)}
    return [((seq,), _key(subjects[seq])) for seq in numbers if seq in subjects]


def _key(subject: str) -> tuple[str, str]:
    authority, _slash, serial = subject.rpartition("/")
    return authority, serial


_CHUNKS: dict[str, Callable[[Connection, Query, Place | None], Iterator[Chunk]]] = {
    "few": _few,
    "revoked": _revoked,
    "expires": _expires,
    "begins": _begins,
    "issued": _issued,
}

# ------------------------------------------------------------------ cursors

_SHAPES: dict[str, tuple[type, ...]] = {
    "few": (int, str, str),
    "revoked": (str, str, str),
    "expires": (str, str, str),
    "begins": (str, str, str),
    "issued": (int,),
}


def _cursor(place: Place, query: Query, order: str) -> str:
    text_of = json.dumps([_name_of(query, order), *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text_of.encode()).decode("ascii").rstrip("=")


def _name_of(query: Query, order: str) -> str:
    asked = {name: value for name, value in asdict(query).items() if value is not None}
    return hashlib.sha256(json.dumps([order, asked], default=str, sort_keys=True).encode()).hexdigest()[:16]


def _read_cursor(cursor: str, query: Query, order: str) -> Place:
    try:
        name, *place = json.loads(decode_base64url(cursor))
        if name != _name_of(query, order) or [type(part) for part in place] != list(_SHAPES[order]):
            raise ValueError(cursor)
        if order in {"revoked", "expires", "begins"} and datetime.fromisoformat(place[0]).tzinfo is None:
            raise ValueError(cursor)
        if isinstance(place[0], int) and abs(place[0]) >= 1 << 62:
            raise ValueError(cursor)
    except (ValueError, TypeError, VerifyError, RecursionError) as exc:
        raise SearchCursorError from exc
    return tuple(place)
