"""The repository of attribute certificates: found by serial, holder, entity, authority, attribute and status.

Lists are read along an index from key to key, and never more than ``LOOKED_AT`` entries for one page: what a
filter leaves out costs as much as what it lets through. So a page costs the same among ten thousand
certificates and among a million; where the bound was reached, it says so and goes on from there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    false,
    select,
    tuple_,
    union,
)

from onecert.pmi.errors import CertificateUnknownError, RequestWrongError
from onecert.pmi.holders.seen import find_by_name, find_holder, of_identity
from onecert.pmi.models import authorities, certificate_attributes, certificates, grants
from onecert.server.languages import Message, _
from onecert.server.statements import Statement, Values

__all__ = [
    "COUNTED",
    "LOOKED_AT",
    "STATE",
    "STATUSES",
    "Found",
    "Record",
    "Search",
    "attribute_text",
    "find_certificates",
    "load_certificate",
    "load_certificates",
    "search_certificates",
]

Key = tuple[Any, ...]
# A state of rows that another index finds: written so that no engine takes the index of states for it.
STATE: ColumnElement[str] = certificates.c.state.concat("")
LOOKED_AT = 10_000
COUNTED = 1000
_HOLDERS = 200
_CHUNK = 200

# What people search by; "expired" is a matter of the clock and not stored.
STATUSES: dict[str, Message] = {
    "valid": _("valid"),
    "held": _("on hold"),
    "revoked": _("revoked"),
    "expired": _("expired"),
    "intended": _("being issued"),
    "abandoned": _("given up"),
}


_RECORDS = select(certificates, grants.c.attributes).join(grants, grants.c.id == certificates.c.grant_id)
_FIND = Statement(_RECORDS.where(certificates.c.serial == bindparam("wanted")))


@dataclass(frozen=True, kw_only=True)
class Record:
    """One attribute certificate as it is on record."""

    serial: str
    authority: str
    grant_id: str
    state: str
    holder_sha256: str
    holder_name: str
    entity: str
    attributes: Mapping[str, Sequence[Any]]
    certificate_der: bytes | None
    not_before: datetime
    not_after: datetime
    intended_at: datetime
    issued_at: datetime | None
    revoked_at: datetime | None
    reason: str | None
    revoked_by: str | None
    kind: str
    holder_form: str
    key_sha256: str
    short_lived: bool
    under: str | None
    replaced_by: str | None

    @property
    def roles(self) -> tuple[str, ...]:
        """The URIs of the roles among the attributes."""
        return tuple(self.attributes.get("role", ()))

    def status(self, at: datetime) -> str:
        """Return one of STATUSES at this time."""
        if self.state == "issued":
            return "expired" if at > self.not_after else "valid"
        return self.state


@dataclass(frozen=True, kw_only=True)
class Search:
    """What to look for; an empty field does not matter.

    Args:
        holder: SHA-256 of a certificate, canonical id, serial number, or any part of a name.
        role: URI; the same as the attribute ``role`` with this value.
        attribute, value: a name of the catalogue, and a value as ``attribute_text`` writes it.
        kind: ``grant`` or ``delegation``.
        expiring_days: valid now, and ends within so many days.
        after: what the page before gave as ``next``.
    """

    holder: str = ""
    authority: str = ""
    role: str = ""
    attribute: str = ""
    value: str = ""
    status: str = ""
    kind: str = ""
    expiring_days: int | None = None
    after: str = ""
    page: int = 1
    per_page: int = 20


@dataclass(frozen=True, kw_only=True)
class Found:
    """One page. ``next`` is None when that was all; ``is_cut``: the bound was reached before it was full."""

    records: Sequence[Record]
    next: str | None
    is_cut: bool = False


@dataclass(frozen=True)
class _Way:
    """One way to read: lanes of an index in one order.

    Args:
        by: columns of the order, the last of them once for each row.
        lanes: conditions on the leading columns of the index; no row is in two.
    """

    by: tuple[Column[Any], ...]
    lanes: Sequence[ColumnElement[bool]]
    is_descending: bool
    source: Any = certificates


def search_certificates(connection: Connection, search: Search, at: datetime) -> Found:
    """Return one page. Raises RequestWrongError when ``after`` is not one of this search."""
    keys, following, is_cut = _keys(connection, search, at, search.per_page)
    return Found(records=_load(connection, keys), next=following, is_cut=is_cut)


def find_certificates(connection: Connection, search: Search, at: datetime) -> tuple[Sequence[Record], int]:
    """Return one page by its number, and how many there are: counted to ``COUNTED`` and no further."""
    keys, _next, _is_cut = _keys(connection, replace(search, after=""), at, COUNTED)
    start = (search.page - 1) * search.per_page
    return _load(connection, keys[start : start + search.per_page]), len(keys)


def _keys(
    connection: Connection, search: Search, at: datetime, limit: int
) -> tuple[list[Key], str | None, bool]:
    """Keys of one page, what the next page begins after, and whether the bound was reached."""
    way = _way(connection, search, at)
    after = _read_after(search.after, len(way.by)) if search.after else None
    fits = _filters(search, at)
    found: list[Key] = []
    ends: list[Key] = []
    for lane in way.lanes:
        rows, end = _walk(connection, way, lane, fits, after=after, limit=limit)
        found += rows
        if end is not None:
            ends.append(end)
    found.sort(reverse=way.is_descending)
    if ends:
        # Beyond the shortest lane nobody knows the order.
        end = max(ends) if way.is_descending else min(ends)
        found = [key for key in found if (key >= end if way.is_descending else key <= end)]
        if len(found) <= limit:
            return found, _write_after(end), True
    is_more = len(found) > limit
    found = found[:limit]
    return found, _write_after(found[-1]) if is_more and found else None, False


def _walk(
    connection: Connection,
    way: _Way,
    lane: ColumnElement[bool],
    fits: Sequence[ColumnElement[bool]],
    *,
    after: Key | None,
    limit: int,
) -> tuple[list[Key], Key | None]:
    """One more key than a page of this lane has; and how far it came, where the bound was reached before."""
    found: list[Key] = []
    looked_at = 0
    serial = certificates.c.serial
    size = min(max(4 * limit, _CHUNK), LOOKED_AT) if fits else limit + 1
    while True:
        keys = _sorted(select(*way.by).select_from(way.source).where(lane), way)
        if after is not None:
            keys = keys.where(_beyond(way, after))
        read = [tuple(row) for row in connection.execute(keys.limit(size))]
        fitting = read
        if fits and read:
            chosen = select(serial).where(serial.in_([key[-1] for key in read]), *fits)
            good = set(connection.scalars(chosen))
            fitting = [key for key in read if key[-1] in good]
        found += fitting
        looked_at += len(read)
        if len(found) > limit:
            return found[: limit + 1], None
        if len(read) < size:
            return found, None
        after = read[-1]
        if looked_at >= LOOKED_AT:
            return found, after


def load_certificate(connection: Connection, serial: str) -> Record:
    """Return one attribute certificate. Raises CertificateUnknownError."""
    row = _FIND.first(connection, {"wanted": serial.lower().lstrip("0")})
    if row is None:
        raise CertificateUnknownError(serial)
    return _record(row)


def load_certificates(connection: Connection, serials: Sequence[str]) -> list[Record]:
    """Return these, each once, in the order of their serial numbers. Raises CertificateUnknownError."""
    wanted = sorted({serial.lower().lstrip("0") for serial in serials})
    found: list[Record] = []
    for begin in range(0, len(wanted), 500):
        chunk = wanted[begin : begin + 500]
        rows = connection.execute(_RECORDS.where(certificates.c.serial.in_(chunk))).mappings()
        found += [_record(row) for row in rows]
    missing = set(wanted) - {record.serial for record in found}
    if missing:
        raise CertificateUnknownError(min(missing))
    return sorted(found, key=lambda record: record.serial)


def attribute_text(value: Any) -> str:
    """How a value stands in ``pmi_certificate_attributes``: texts as they are, others as canonical JSON."""
    if isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if len(text) <= 512:
        return text
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------------- which index


def _way(connection: Connection, search: Search, at: datetime) -> _Way:
    columns = certificates.c
    if search.holder:
        return _Way((columns.intended_at, columns.serial), _of_holder(connection, search.holder), True)
    name, value = ("role", search.role) if search.role else (search.attribute, search.value)
    if name and value:
        attribute = certificate_attributes.c
        lane = and_(attribute.name == name, attribute.value == value[:512])
        return _Way((attribute.serial,), [lane], False, certificate_attributes)
    if search.expiring_days is not None or search.status == "expired":
        return _by_end(search, at)
    if search.authority or search.kind or (search.status and search.status != "valid"):
        return _Way((columns.intended_at, columns.serial), _lanes(connection, search), True)
    return _Way((columns.intended_at, columns.serial), [columns.serial == columns.serial], True)


def _by_end(search: Search, at: datetime) -> _Way:
    columns = certificates.c
    lane = and_(columns.state == "issued", columns.not_after < at)
    if search.expiring_days is not None:
        end = at + timedelta(days=search.expiring_days)
        lane = and_(columns.state == "issued", columns.not_after >= at, columns.not_after <= end)
    if search.authority:
        lane = and_(columns.authority == search.authority, lane)
    return _Way((columns.not_after, columns.serial), [lane], search.expiring_days is None)


def _lanes(connection: Connection, search: Search) -> list[ColumnElement[bool]]:
    """One for each authority, kind and state: stretches of the index pmi_certificates_by_kind."""
    named = [search.authority]
    if not search.authority:
        named = list(connection.scalars(select(authorities.c.name).order_by(authorities.c.name)))
    states: tuple[str, ...] = ("issued", "held", "revoked", "intended", "abandoned")
    if search.status:
        states = ("issued" if search.status == "valid" else search.status,)
    columns = certificates.c
    return [
        and_(columns.authority == name, columns.kind == kind, columns.state == state)
        for name in named
        for kind in ([search.kind] if search.kind else ["grant", "delegation"])
        for state in states
    ] or [false()]


def _of_holder(connection: Connection, text: str) -> list[ColumnElement[bool]]:
    """What this text may name: an entity, with as many certificates as there are; or a few by other names."""
    columns = certificates.c
    compact = text.lower().replace(":", "").replace(" ", "")
    conditions: list[ColumnElement[bool]] = [columns.holder_sha256.in_([])]
    if compact and set(compact) <= set("0123456789abcdef"):
        conditions += [columns.serial == compact.lstrip("0")]
        if len(compact) == 64:
            conditions.append(columns.holder_sha256 == compact)
            known = find_holder(connection, compact)
            if known is not None:
                same = of_identity(connection, entity=known.entity, person=known.person, most=_HOLDERS)
                conditions.append(columns.holder_sha256.in_([each.sha256 for each in same]))
    named = find_by_name(connection, text, most=_HOLDERS)
    if named:
        conditions.append(columns.holder_sha256.in_(named))
    is_entity = columns.entity == text
    # Each by its own index, and the few that were found by their key: no engine is tempted by the order.
    few = union(*(select(columns.serial).where(condition) for condition in conditions))
    return [is_entity, and_(columns.entity != text, columns.serial.in_(few))]


def _filters(search: Search, at: datetime) -> list[ColumnElement[bool]]:
    """What else is asked of rows found by their keys; written so that no engine takes another index."""
    columns = certificates.c
    asked: list[ColumnElement[bool]] = []
    if search.authority:
        asked.append(columns.authority.concat("").in_([search.authority]))
    if search.kind:
        asked.append(columns.kind.concat("").in_([search.kind]))
    if search.holder and (search.role or (search.attribute and search.value)):
        name, value = ("role", search.role) if search.role else (search.attribute, search.value)
        attribute = certificate_attributes.c
        with_value = select(attribute.serial).where(
            attribute.name == name, attribute.value == value[:512], attribute.serial == columns.serial
        )
        asked.append(with_value.exists())
    if search.status in {"valid", "expired"} or search.expiring_days is not None:
        asked.append(STATE == "issued")
        asked.append(columns.not_after < at if search.status == "expired" else columns.not_after >= at)
    elif search.status:
        asked.append(STATE.in_([search.status]))
    if search.expiring_days is not None:
        asked.append(columns.not_after <= at + timedelta(days=search.expiring_days))
    return asked


# ---------------------------------------------------------------------- from key to key


def _sorted(chosen: Select[Any], way: _Way) -> Select[Any]:
    return chosen.order_by(*(column.desc() if way.is_descending else column for column in way.by))


def _beyond(way: _Way, after: Key) -> ColumnElement[bool]:
    first = way.by[0]
    if len(way.by) == 1:
        beyond: ColumnElement[bool] = first > after[0]
        return beyond
    if way.is_descending:
        return and_(first <= after[0], tuple_(*way.by) < after)
    return and_(first >= after[0], tuple_(*way.by) > after)


def _write_after(key: Key) -> str:
    texts = [each.isoformat() if isinstance(each, datetime) else each for each in key]
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def _read_after(text: str, count: int) -> Key:
    try:
        texts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
            raise ValueError("not a list of texts")
        *times, serial = texts
        key = (*(datetime.fromisoformat(each).astimezone(UTC) for each in times), serial)
    except (ValueError, binascii.Error, RecursionError) as exc:
        raise RequestWrongError("after", _("not what the page before gave")) from exc
    if len(key) != count:
        raise RequestWrongError("after", _("not what the page before gave"))
    return key


def _load(connection: Connection, keys: Sequence[Key]) -> list[Record]:
    serials = [key[-1] for key in keys]
    found: dict[str, Record] = {}
    for begin in range(0, len(serials), 500):
        chosen = _RECORDS.where(certificates.c.serial.in_(serials[begin : begin + 500]))
        found |= {row["serial"]: _record(row) for row in connection.execute(chosen).mappings()}
    return [found[serial] for serial in serials if serial in found]


def _record(values: Values | RowMapping) -> Record:
    der = values["certificate_der"]
    kept = {name: values[name] for name in Record.__dataclass_fields__ if name in values}
    return Record(
        **{
            **kept,
            "attributes": json.loads(values["attributes"]),
            "certificate_der": None if der is None else bytes(der),
        }
    )
