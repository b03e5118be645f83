"""Which certificates an emergency is about: selected once, frozen with a hash, in the officer's scope.

Selected by serials that were pasted, by an entity's number, by tokens whose numbers begin alike, by a batch,
by what was issued between two moments, all that this registration authority issued at one authority, or by
what a search finds. A search is frozen as the list of its certificates; its words, which may be a person's
number, are kept only where they are none.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select, tuple_

from onecert.ra.batches.tables import batch_rows, batches
from onecert.ra.certificates.records import normal_serial
from onecert.ra.errors.emergency import EmergencyRefusedError
from onecert.ra.models import certificates
from onecert.ra.operators.scopes import Scope
from onecert.ra.search.terms import PERSONAL, readings

__all__ = ["KINDS", "MOST", "Chosen", "Selection", "choose", "set_hash"]

KINDS = ("serials", "entity", "tokens", "batch", "issued", "authority", "search")
MOST = 200_000
_LINES = 20_000
_AT_ONCE = 2000


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was asked for. `value` is a number, the beginning of one, or lines of serials, by `kind`."""

    kind: str
    authority: str = ""  # empty: every authority; `authority` needs it
    value: str = ""
    read_as: str = ""  # of a search: what its words were read as; empty: what they may be
    issued_from: datetime | None = None  # counts
    issued_until: datetime | None = None  # does not any more

    def as_json(self) -> dict[str, Any]:
        """For the record; the serials stand in the items, here only how many lines there were."""
        value = str(len(self.lines())) if self.kind == "serials" else self.value
        if self.kind == "search" and any(reading.kind in PERSONAL for reading in readings(self.value)):
            value = ""
        return {
            "kind": self.kind,
            "authority": self.authority,
            "value": value,
            **({"read_as": self.read_as} if self.kind == "search" else {}),
            "issued_from": self.issued_from.isoformat() if self.issued_from else None,
            "issued_until": self.issued_until.isoformat() if self.issued_until else None,
        }

    def lines(self) -> list[str]:
        """The pasted lines that are not empty."""
        return [line.strip() for line in self.value.replace(",", "\n").splitlines() if line.strip()]


@dataclass(frozen=True)
class Chosen:
    """The certificates, sorted; and what was left out, to be seen before anybody decides."""

    items: Sequence[tuple[str, str, str]]  # authority, serial, name
    holders: int
    left_out: int  # already revoked or over
    unknown: Sequence[str]  # lines that name nothing in reach
    places: Sequence[tuple[str, str, str]]  # point, authority, kind: what who decides must reach


def set_hash(items: Sequence[tuple[str, str, str]]) -> str:
    """SHA-256 over the sorted lines `authority/serial`, each ended by a line feed."""
    digest = hashlib.sha256()
    for authority, serial_hex, _name in items:
        digest.update(f"{authority}/{serial_hex}\n".encode())
    return digest.hexdigest()


def choose(
    connection: Connection,
    scope: Scope,
    selection: Selection,
    *,
    at: datetime,
    found: Sequence[tuple[str, str]] = (),
) -> Chosen:
    """Select what is in reach and not over.

    Args:
        found: of a search, the authority and serial of each certificate.

    Raises:
        EmergencyRefusedError: the selection says nothing, finds nothing, or finds too many.
    """
    table = certificates.c
    items: dict[tuple[str, str], str] = {}
    holders: set[str] = set()
    places: set[tuple[str, str, str]] = set()
    left_out, unknown = 0, []
    for where, line in _conditions(selection, found):
        is_found = False
        for row in _rows(connection, and_(where, scope.condition(table), *_limits(selection))):
            is_found = True
            if row.status == "revoked" or row.not_after <= at:
                left_out += 1
                continue
            items[row.authority, row.serial_hex] = row.name
            places.add((row.point, row.authority, row.kind))
            holders.add(row.uscc or row.idcard_hmac or row.name)
            if len(items) > MOST:
                raise EmergencyRefusedError("EMERGENCY_TOO_MANY")
        if line and not is_found:
            unknown.append(line)
    if not items:
        raise EmergencyRefusedError("EMERGENCY_EMPTY")
    ordered = sorted((authority, serial, name) for (authority, serial), name in items.items())
    return Chosen(ordered, len(holders), left_out, tuple(unknown), sorted(places))


def _conditions(
    selection: Selection, found: Sequence[tuple[str, str]]
) -> Iterator[tuple[ColumnElement[bool], str]]:
    """What to look for, each with the line that it stands for; every one has an index."""
    table, value = certificates.c, selection.value.strip()
    match selection.kind:
        case "serials":
            lines = selection.lines()
            if not 1 <= len(lines) <= _LINES:
                raise EmergencyRefusedError("EMERGENCY_LINES")
            for line in lines:
                yield table.serial_hex == (normal_serial(line) or "-"), line
        case "search" if value:
            for begin in range(0, len(found), _AT_ONCE):
                some = found[begin : begin + _AT_ONCE]
                for authority in sorted({each for each, _serial in some}):
                    serials = [serial for each, serial in some if each == authority]
                    yield and_(table.authority == authority, table.serial_hex.in_(serials)), ""
        case "entity" if value:
            yield or_(table.uscc == value.upper(), table.name == value), ""
        case "tokens" if len(value) >= 3:
            # Tokens are few beside certificates; those that are on record with a number are looked through.
            begins = table.token_number.startswith(value, autoescape=True)
            yield and_(table.token_number.is_not(None), begins), ""
        case "batch" if value:
            yield table.application_id.in_(_of_batch(value)), ""
        case "issued" if selection.issued_from and selection.issued_until:
            yield table.issued_at >= selection.issued_from, ""
        case "authority" if selection.authority:
            yield table.authority == selection.authority, ""
        case _:
            raise EmergencyRefusedError("EMERGENCY_SELECTION")


def _of_batch(value: str) -> Select[Any]:
    """The applications that one batch entered; `value` is the batch's id, or its running number."""
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 18 else 0
    wanted = select(batches.c.id).where((batches.c.id == value) | (batches.c.seq == number))
    return select(batch_rows.c.application_id).where(
        batch_rows.c.batch_id.in_(wanted), batch_rows.c.application_id.is_not(None)
    )


def _limits(selection: Selection) -> list[ColumnElement[bool]]:
    table = certificates.c
    limits = []
    if selection.authority:
        limits.append(table.authority == selection.authority)
    if selection.issued_from:
        limits.append(table.issued_at >= selection.issued_from)
    if selection.issued_until:
        limits.append(table.issued_at < selection.issued_until)
    return limits


def _rows(connection: Connection, where: ColumnElement[bool]) -> Iterator[Any]:
    """In the order of the primary key, some thousand at a time."""
    table = certificates.c
    wanted = (
        "authority",
        "serial_hex",
        "name",
        "uscc",
        "idcard_hmac",
        "status",
        "not_after",
        "point",
        "kind",
    )
    query = select(*(table[name] for name in wanted)).where(where)
    query = query.order_by(table.authority, table.serial_hex).limit(_AT_ONCE)
    after = None
    while True:
        page = query
        if after is not None:
            page = query.where(tuple_(table.authority, table.serial_hex) > after)
        rows = connection.execute(page).all()
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        after = (rows[-1].authority, rows[-1].serial_hex)
