"""Which certificates a mass revocation is about: found in the record, sorted, cut into chunks.

Only what is not revoked yet is frozen; the rest is counted. A rule takes what has not ended, and leaves the
certificates of OCSP responders alone unless it names their profile: they say that the others are revoked.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from onecert.ca.batches.models import batch_chunks, batches
from onecert.ca.errors import (
    MassRevocationEmptyError,
    MassRevocationLinesError,
    MassRevocationSelectionError,
)
from onecert.ca.issuing.ledger import REVOKED
from onecert.ca.models import certificates, keys, orders
from onecert.ca.ocsp.responder import PROFILE as OCSP
from onecert.ca.revocation.mass_documents import Selection
from onecert.server.languages import _

__all__ = ["CHUNK", "Chunk", "Selected", "read_lines", "select_certificates", "unpack"]

# So many certificates are done or not done together; a transaction takes one chunk or several.
CHUNK = 50
_AT_ONCE = 500
NOT_THE_LINES = _("these are not the lines whose number and SHA-256 were signed")
UNKNOWN_BATCH = _("this batch is not on record")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Serials of one transaction: sorted, one a line, compressed."""

    number: int  # from 1
    certificates: int
    packed: bytes


@dataclass(frozen=True, kw_only=True)
class Selected:
    """What a selection finds at one moment."""

    chunks: tuple[Chunk, ...]
    certificates: int
    holders: int
    already: int
    serials_sha256: str


def unpack(packed: bytes) -> list[str]:
    """The serials of a chunk."""
    return zlib.decompress(packed).decode("ascii").splitlines()


def read_lines(selection: Selection, content: bytes) -> list[str]:
    """Read the lines that a proposal names.

    Raises:
        MassRevocationSelectionError: not those that were signed for.
    """
    parts = content.split(b"\n")
    if (
        hashlib.sha256(content).hexdigest() != selection.lines_sha256
        or parts.pop() != b""
        or len(parts) != selection.lines
    ):
        raise MassRevocationSelectionError(NOT_THE_LINES)
    return [part.decode("utf-8", "replace").strip() for part in parts]


def select_certificates(
    connection: Connection, authority: str, selection: Selection, lines: Sequence[str], *, at: datetime
) -> Selected:
    """Find them; the connection must show one state of the record.

    Args:
        lines: those that the selection names, if it names lines.

    Raises:
        MassRevocationLinesError: lines that name no certificate, each by its number.
        MassRevocationEmptyError: nothing is left to be revoked.
        MassRevocationSelectionError: the batch is not known.
    """
    if selection.line_kind:
        found = _by_lines(connection, authority, selection.line_kind, lines)
    elif "batch" in selection.rules:
        found = _by_batch(connection, authority, selection, at)
    else:
        where = _conditions(authority, selection, at)
        found = _Found(
            serials=_stream(connection, where),
            holders=_number(connection, func.count(certificates.c.entity.distinct()), where, revoked=False),
            already=_number(connection, func.count(), where, revoked=True),
        )
    digest, chunks, total = hashlib.sha256(), [], 0
    for number, serials in enumerate(_cut(found.serials, CHUNK), start=1):
        text = "".join(f"{serial}\n" for serial in serials).encode("ascii")
        digest.update(text)
        total += len(serials)
        chunks.append(Chunk(number=number, certificates=len(serials), packed=zlib.compress(text, 1)))
    if not total:
        raise MassRevocationEmptyError(found.already)
    return Selected(
        chunks=tuple(chunks),
        certificates=total,
        holders=found.holders,
        already=found.already,
        serials_sha256=digest.hexdigest(),
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    serials: Iterable[str]  # sorted
    holders: int
    already: int


def _conditions(authority: str, selection: Selection, at: datetime) -> list[ColumnElement[bool]]:
    where = [certificates.c.authority == authority, certificates.c.not_after > at]
    rules = selection.rules
    profile = rules.get("profile")
    where.append(certificates.c.profile != OCSP if profile is None else certificates.c.profile == profile)
    of_order: list[ColumnElement[bool]] = []
    if "registration_authority" in rules:
        of_order.append(orders.c.ordered_by == f"ra:{rules['registration_authority']}")
    issued_from, issued_until = selection.moment("issued_from"), selection.moment("issued_until")
    if issued_from is not None:
        of_order.append(orders.c.received_at >= issued_from)
    if issued_until is not None:
        of_order.append(orders.c.received_at < issued_until)
    if of_order:
        same = and_(orders.c.id == certificates.c.order_id, *of_order)
        where.append(select(orders.c.id).where(same).exists())
    return where


def _stream(connection: Connection, where: Sequence[ColumnElement[bool]]) -> Iterator[str]:
    query = select(certificates.c.serial).where(*where, certificates.c.status != REVOKED)
    found = connection.execution_options(yield_per=20_000).execute(query.order_by(certificates.c.serial))
    yield from found.scalars()


def _number(
    connection: Connection,
    what: ColumnElement[int],
    where: Sequence[ColumnElement[bool]],
    *,
    revoked: bool,
) -> int:
    status = certificates.c.status == REVOKED if revoked else certificates.c.status != REVOKED
    number: int = connection.execute(
        select(what).select_from(certificates).where(*where, status)
    ).scalar_one()
    return number


_COLUMNS = (certificates.c.serial, certificates.c.entity, certificates.c.key_sha256, certificates.c.status)


def _by_lines(connection: Connection, authority: str, kind: str, lines: Sequence[str]) -> _Found:
    wanted = [_plain_serial(line) if kind == "serial" else line for line in lines]
    query = select(*_COLUMNS).where(certificates.c.authority == authority)
    if kind == "key_sha256":
        # Every key has one holder, and the certificates of a holder are quick to find.
        query = query.join(keys, keys.c.entity == certificates.c.entity).where(
            keys.c.key_sha256 == certificates.c.key_sha256
        )
    column = {"serial": certificates.c.serial, "key_sha256": keys.c.key_sha256}.get(
        kind, certificates.c.entity
    )
    rows = list(_rows(connection, query, column, wanted))
    known = {row._mapping[kind] for row in rows}
    faults = [f"{number}: {line[:64]}" for number, line in enumerate(wanted, start=1) if line not in known]
    if faults:
        raise MassRevocationLinesError(faults)
    return _gathered(rows)


def _by_batch(connection: Connection, authority: str, selection: Selection, at: datetime) -> _Found:
    batch = selection.rules["batch"]
    if connection.execute(select(batches.c.id).where(batches.c.id == batch)).first() is None:
        raise MassRevocationSelectionError(UNKNOWN_BATCH)
    serials: list[str] = []
    results = select(batch_chunks.c.results).where(
        batch_chunks.c.batch == batch, batch_chunks.c.results.is_not(None)
    )
    for text in connection.execute(results).scalars():
        serials += [each["serial"] for each in json.loads(text) if each.get("authority") == authority]
    query = select(*_COLUMNS).where(*_conditions(authority, selection, at))
    return _gathered(_rows(connection, query, certificates.c.serial, serials))


def _rows(
    connection: Connection, query: Select[Any], column: ColumnElement[str], wanted: Sequence[str]
) -> Iterator[Any]:
    for some in _cut(dict.fromkeys(wanted), _AT_ONCE):
        yield from connection.execute(query.where(column.in_(some)))


def _cut(items: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def _gathered(rows: Iterable[Any]) -> _Found:
    found: Mapping[str, Any] = {row.serial: row for row in rows}
    left = [row for row in found.values() if row.status != REVOKED]
    return _Found(
        serials=sorted(row.serial for row in left),
        holders=len({row.entity for row in left}),
        already=len(found) - len(left),
    )


def _plain_serial(line: str) -> str:
    return line.lower().replace(":", "").lstrip("0")
