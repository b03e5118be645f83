"""Batches as they are on record, the report on their rows, and the rows themselves. Reading only."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from onecert.ra.applications.records import MAX_PAGE, escaped_like
from onecert.ra.batches.checking import Remark, TypedRow
from onecert.ra.batches.tables import batch_chunks, batch_rows, batches
from onecert.ra.content.fields import Kind
from onecert.ra.errors import NotFoundError
from onecert.ra.life.machine import Business, State
from onecert.ra.operators.scopes import Scope
from onecert.ra.vault.sealed import Vault
from onecert.server.languages import _

__all__ = [
    "AT_WORK",
    "Batch",
    "BatchPage",
    "Phase",
    "ReportPage",
    "ReportRow",
    "RowState",
    "accepted_rows",
    "list_batches",
    "list_rows",
    "load_batch",
    "load_chunk",
    "seal_chunk",
]

_CHINA = timezone(timedelta(hours=8))


class Phase(StrEnum):
    """What the service is doing with a batch, beside its state."""

    READING = "reading"
    CHECKING = "checking"
    CHECKED = "checked"  # waits for people
    FAILED = "failed"  # the file cannot be read; `failure` says why
    ENTERING = "entering"
    ORDERING = "ordering"
    FINISHED = "finished"


AT_WORK = frozenset({Phase.READING, Phase.CHECKING, Phase.ENTERING, Phase.ORDERING})


class RowState(StrEnum):
    """What the report says of a row; the worst remark counts."""

    GOOD = "good"
    WARNING = "warning"
    DUPLICATE = "duplicate"
    ERROR = "error"


ROW_STATE_NAMES: Mapping[str, str] = {
    RowState.GOOD: _("Good"),
    RowState.WARNING: _("With a remark"),
    RowState.DUPLICATE: _("Duplicate"),
    RowState.ERROR: _("Faulty"),
}
USABLE = (RowState.GOOD, RowState.WARNING)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch without what was typed."""

    seq: int
    id: str
    state: State
    state_since: datetime
    phase: Phase
    revision: int
    point: str
    project: str | None
    authority: str
    kind: Kind
    title: str
    file_name: str
    file_sha256: str
    columns: Mapping[str, Any]
    policy: str
    failure: Mapping[str, Any] | None
    rows: int
    checked: int
    good: int
    warning: int
    duplicate: int
    error: int
    entered: int
    refused: int
    content_sha256: str | None
    accepted: int | None
    created_at: datetime
    created_by: str
    submitted_by: str | None
    reviewed_by: str | None
    reason: str | None

    @property
    def business(self) -> Business:
        return Business.BATCH

    @property
    def number(self) -> str:
        """What people call it: day of entry in China, and a running number of its own."""
        return f"{self.created_at.astimezone(_CHINA):%Y%m%d}-B{self.seq:05d}"

    @property
    def details(self) -> dict[str, Any]:
        """For the audit entry of a step."""
        return {"rows": self.rows, "accepted": self.accepted, "file_sha256": self.file_sha256}

    @property
    def is_at_work(self) -> bool:
        return self.phase in AT_WORK

    @property
    def fields(self) -> tuple[str | None, ...]:
        return tuple(self.columns.get("fields", ()))

    @property
    def defaults(self) -> dict[str, str]:
        """What the clerk said for all rows."""
        return dict(self.columns.get("defaults", {}))

    @property
    def titles(self) -> tuple[str, ...]:
        return tuple(self.columns.get("titles", ()))


@dataclass(frozen=True)
class BatchPage:
    """One page of a list; `next` is the cursor of the following page."""

    items: Sequence[Batch]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """What the report says of one row."""

    row: int
    state: RowState
    excluded: bool
    name: str
    masked: str
    remarks: tuple[Remark, ...]
    content_sha256: str | None
    outcome: str | None
    application_id: str | None


@dataclass(frozen=True)
class ReportPage:
    """One page of the report; `next` is the number of the last row of this page."""

    items: Sequence[ReportRow]
    next: int | None


_COLUMNS = [column for column in batches.c if column.name not in {"request_key", "salt_sealed"}]


def load_batch(connection: Connection, batch_id: str, *, lock: bool = False) -> Batch:
    """Raises `NotFoundError` when there is none; `lock` holds the row until the transaction ends."""
    query = select(*_COLUMNS).where(batches.c.id == batch_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(batch_id)
    return _batch(row)


def list_batches(
    connection: Connection,
    scope: Scope,
    *,
    states: Sequence[State] = (),
    cursor: str | None = None,
    limit: int = 50,
) -> BatchPage:
    """One page, newest first."""
    limit = max(1, min(limit, MAX_PAGE))
    query = select(*_COLUMNS).where(scope.condition(batches.c))
    if states:
        query = query.where(batches.c.state.in_([state.value for state in states]))
    if cursor and cursor.isascii() and cursor.isdigit() and len(cursor) < 18:
        query = query.where(batches.c.seq < int(cursor))
    found = connection.execute(query.order_by(batches.c.seq.desc()).limit(limit + 1)).all()
    items = [_batch(row) for row in found[:limit]]
    return BatchPage(items, str(items[-1].seq) if len(found) > limit else None)


def _batch(row: Row[Any]) -> Batch:
    values = dict(row._mapping)
    values["state"] = State(values["state"])
    values["phase"] = Phase(values["phase"])
    values["kind"] = Kind(values["kind"])
    values["columns"] = json.loads(values["columns"])
    values["failure"] = json.loads(values["failure"]) if values["failure"] else None
    return Batch(**values)


def list_rows(
    connection: Connection,
    batch_id: str,
    *,
    states: Sequence[str] = (),
    outcome: str | None = None,
    search: str = "",
    after: int = 0,
    limit: int = 50,
) -> ReportPage:
    """One page of the report, in the order of the table.

    Args:
        search: beginning of a name, a credit code, or a row's number.
        after: the number of the last row known.
    """
    limit = max(1, min(limit, MAX_PAGE))
    query = select(batch_rows).where(batch_rows.c.batch_id == batch_id, batch_rows.c.row > after)
    if states:
        query = query.where(batch_rows.c.state.in_(list(states)))
    if outcome:
        query = query.where(batch_rows.c.outcome == outcome)
    if search:
        query = query.where(_matches(search))
    found = connection.execute(query.order_by(batch_rows.c.row).limit(limit + 1)).all()
    items = [report_row(row) for row in found[:limit]]
    return ReportPage(items, items[-1].row if len(found) > limit else None)


def _matches(search: str) -> ColumnElement[bool]:
    conditions = [
        batch_rows.c.name.like(f"{escaped_like(search)}%", escape="\\"),
        batch_rows.c.masked == search.upper(),
    ]
    if search.isascii() and search.isdigit() and len(search) < 7:
        conditions.append(batch_rows.c.row == int(search))
    return or_(*conditions)


def report_row(row: Row[Any]) -> ReportRow:
    """A row of the table as a value."""
    return ReportRow(
        row=row.row,
        state=RowState(row.state),
        excluded=row.excluded,
        name=row.name,
        masked=row.masked,
        remarks=tuple(Remark.from_json(each) for each in json.loads(row.remarks)),
        content_sha256=row.content_sha256,
        outcome=row.outcome,
        application_id=row.application_id,
    )


def accepted_rows(connection: Connection, batch_id: str) -> Iterator[tuple[int, str]]:
    """Number and content hash of each row that becomes an application, in order."""
    query = (
        select(batch_rows.c.row, batch_rows.c.content_sha256)
        .where(
            batch_rows.c.batch_id == batch_id,
            batch_rows.c.state.in_([state.value for state in USABLE]),
            batch_rows.c.excluded.is_(False),
        )
        .order_by(batch_rows.c.row)
    )
    for row in connection.execute(query):
        yield row.row, row.content_sha256


def chunk_place(batch_id: str, number: int) -> str:
    """The name that a sealed stretch of rows is bound to."""
    return f"batch:{batch_id}:rows:{number}"


def seal_chunk(vault: Vault, batch_id: str, number: int, rows: Sequence[TypedRow]) -> bytes:
    """Rows as typed, compressed and sealed."""
    said = [
        [row.number, list(row.cells), row.request.hex() if row.request is not None else None] for row in rows
    ]
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return vault.seal(chunk_place(batch_id, number), zlib.compress(text, 1))


def load_chunk(connection: Connection, vault: Vault, batch_id: str, number: int) -> list[TypedRow]:
    """Read a stretch of rows again; needs the token."""
    sealed = connection.scalar(
        select(batch_chunks.c.rows_sealed).where(
            batch_chunks.c.batch_id == batch_id, batch_chunks.c.number == number
        )
    )
    if sealed is None:
        raise NotFoundError(batch_id)
    text = zlib.decompress(vault.unseal(chunk_place(batch_id, number), sealed))
    return [
        TypedRow(row, tuple(cells), bytes.fromhex(request) if request is not None else None)
        for row, cells, request in json.loads(text.decode("utf-8", "surrogatepass"))
    ]
