"""Reading certificates that were issued on our orders, and the requests about them.

Reading only; what changes a status is asked for in `onecert.ra.revocation.requests`, what is searched for in
`onecert.ra.search`. A person's number is shown masked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, select

from onecert.ra.applications.records import MAX_PAGE
from onecert.ra.applications.walk import Columns, Order, lanes_of, walk
from onecert.ra.content.fields import Kind
from onecert.ra.errors import NotFoundError
from onecert.ra.models import certificates, revocations
from onecert.ra.operators.scopes import Scope

__all__ = [
    "Certificate",
    "CertificatePage",
    "Revocation",
    "are_at",
    "find_by_application",
    "list_certificates",
    "list_revocations",
    "load_certificate",
    "load_certificates",
    "load_revocation",
    "newest_certificates",
    "normal_serial",
]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One issued certificate, with its status as the CA last told us."""

    authority: str
    serial_hex: str
    application_id: str
    order_id: str
    kind: Kind
    name: str
    uscc: str | None
    idcard_masked: str | None
    sha256: str
    certificate_pem: str
    chain_pem: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    status: str
    status_since: datetime
    reason: str | None
    point: str
    sha1: str | None = None
    token_number: str | None = None

    def shown_status(self, at: datetime) -> str:
        """good | hold | revoked | expired."""
        return "expired" if self.status != "revoked" and at > self.not_after else self.status


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """One request to change a certificate's status."""

    id: str
    authority: str
    serial_hex: str
    reason: str
    invalidity_date: datetime | None
    requested_by: str
    created_at: datetime
    note: str | None = None
    state: str = "pending"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str | None = None
    answered_at: datetime | None = None
    crl_number: int | None = None
    certificate_sha256: str | None = None


@dataclass(frozen=True)
class CertificatePage:
    """One page of found certificates; `next` is the cursor of the following page.

    `is_cut`: so much was looked at without an end that the page is not full; more may follow.
    """

    items: Sequence[Certificate]
    next: str | None
    is_cut: bool = False


# The newest first; the last two settle which of one moment.
NEWEST_FIRST = Order(
    (certificates.c.issued_at, certificates.c.serial_hex, certificates.c.authority),
    ("point", "kind"),
    descending=True,
)
LAST = (datetime(9999, 1, 1, tzinfo=UTC), "", "")
_COLUMNS = [column for column in certificates.c if column.name != "idcard_hmac"]
_REVOCATION_COLUMNS = [
    column for column in revocations.c if column.name not in {"seq", "request_key", "document"}
]


def _certificate(row: Row[Any]) -> Certificate:
    values = dict(row._mapping)
    values["kind"] = Kind(values["kind"])
    return Certificate(**values)


def normal_serial(text: str) -> str:
    """A serial as people copy it (`3F:9A…`, `0x3f9a`, leading zeros) in our spelling; empty when it is
    none."""
    plain = text.strip().lower().removeprefix("0x").replace(":", "").replace(" ", "").lstrip("0")
    return plain if plain and len(plain) <= 40 and all(c in "0123456789abcdef" for c in plain) else ""


def load_certificate(
    connection: Connection, authority: str, serial_hex: str, *, lock: bool = False
) -> Certificate:
    """Raises `NotFoundError` when it was not issued here."""
    query: Select[Any] = select(*_COLUMNS).where(
        certificates.c.authority == authority, certificates.c.serial_hex == normal_serial(serial_hex)
    )
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"{authority}/{serial_hex[:64]}")
    return _certificate(row)


def find_by_application(connection: Connection, application_id: str) -> Certificate | None:
    """The certificate that an application led to."""
    row = connection.execute(
        select(*_COLUMNS).where(certificates.c.application_id == application_id)
    ).one_or_none()
    return None if row is None else _certificate(row)


def list_certificates(
    connection: Connection,
    scope: Scope,
    where: ColumnElement[bool],
    *,
    limit: int,
    by_serial: bool = False,
) -> list[Certificate]:
    """The newest that fit a condition and are in scope; the condition has an index of its own."""
    table = certificates.c
    query = select(*_COLUMNS).where(where, scope.condition(table))
    order = [table.serial_hex] if by_serial else [table.issued_at.desc(), table.serial_hex.desc()]
    return [_certificate(row) for row in connection.execute(query.order_by(*order).limit(limit))]


def newest_certificates(
    connection: Connection,
    scope: Scope,
    *,
    authority: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> CertificatePage:
    """A page of them, newest first; what is searched for goes the way of `onecert.ra.search`."""
    limit = max(1, min(limit, MAX_PAGE))

    def fits(columns: Columns) -> ColumnElement[bool]:
        asked = scope.condition(columns)
        return and_(asked, columns["authority"] == authority) if authority else asked

    walked = walk(
        connection,
        NEWEST_FIRST,
        lanes_of(scope, certificates.c.point),
        fits,
        after=_read_cursor(cursor) or LAST,
        limit=limit,
    )
    places = [(place, serial) for _issued, serial, place in walked.found]
    found = load_certificates(connection, places)
    ends = walked.next
    return CertificatePage(
        [found[place] for place in places if place in found],
        f"{ends[0].isoformat()}~{ends[1]}~{ends[2]}" if ends else None,
        walked.is_cut,
    )


def load_certificates(
    connection: Connection, places: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Certificate]:
    """By (authority, serial); what is not there is left out."""
    return {
        (row.authority, row.serial_hex): _certificate(row)
        for row in connection.execute(select(*_COLUMNS).where(are_at(certificates.c, places)))
    }


def are_at(columns: Any, places: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """Rows of these certificates, for a table with `authority` and `serial_hex`.

    Not as pairs: SQLite reads a table from end to end for those. A serial of one authority at another is
    as good as impossible, and does no harm: callers look rows up by both.
    """
    wanted = list(places)
    return and_(
        columns.authority.in_(sorted({authority for authority, _serial in wanted})),
        columns.serial_hex.in_(sorted({serial for _authority, serial in wanted})),
    )


def _read_cursor(cursor: str | None) -> tuple[datetime, str, str] | None:
    """A cursor that we did not write counts as none."""
    moment, _tilde, rest = (cursor or "").partition("~")
    serial_hex, _tilde, authority = rest.partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if at.tzinfo is None or not normal_serial(serial_hex) or "\0" in authority:
        return None
    return at, serial_hex, authority


def list_revocations(connection: Connection, authority: str, serial_hex: str) -> list[Revocation]:
    """All requests about one certificate, oldest first."""
    rows = connection.execute(
        select(*_REVOCATION_COLUMNS)
        .where(revocations.c.authority == authority, revocations.c.serial_hex == serial_hex)
        .order_by(revocations.c.seq)
    )
    return [Revocation(**row._mapping) for row in rows]


def load_revocation(connection: Connection, revocation_id: str) -> Revocation:
    """Raises `NotFoundError` when there is no such request."""
    row = connection.execute(
        select(*_REVOCATION_COLUMNS).where(revocations.c.id == revocation_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(revocation_id)
    return Revocation(**row._mapping)
