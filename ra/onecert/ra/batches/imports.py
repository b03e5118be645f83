"""Import of applications by command: a table and a folder of requests; each row becomes a submitted
application or a line in the report, and nothing in between.

The table is read as an upload is (`reading.py`: CSV in three encodings or XLSX, headings in both languages)
and its cells are judged by the same rules (`checking.py`). Unlike a batch it may name several authorities and
types, and each application is reviewed by itself. Columns: `key` (names the request file `<key>.csr`),
`authority`, `type`, and the fields of the types; empty cells count as absent. Run again, rows that
already became applications are reported as such and not entered twice.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onecert.ra.applications.acts import Applications
from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import Application
from onecert.ra.batches.checking import find_damage
from onecert.ra.batches.columns import OWN_COLUMNS, read_heading
from onecert.ra.batches.reading import read_table
from onecert.ra.content.csr import MAX_OCTETS
from onecert.ra.content.fields import Kind
from onecert.ra.errors import BatchFileError, FieldFault, InvalidApplicationError
from onecert.ra.life.machine import State
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.operators import Operator

__all__ = ["Row", "RowReport", "import_rows", "read_rows"]

MAX_FILE_OCTETS = 50_000_000
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NEEDED = frozenset({"key", "authority", "type"})


@dataclass(frozen=True)
class Row:
    """One line of the file, not yet checked; `number` counts as a spreadsheet does, the heading is 1."""

    number: int
    key: str
    authority: str
    kind: str
    fields: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class RowReport:
    """What became of one row: an application, or the reasons why not."""

    row: int
    key: str
    outcome: str  # submitted | known | refused
    application: Application | None = None
    faults: Sequence[FieldFault] = field(default_factory=tuple)


def read_rows(data: bytes) -> list[Row]:
    """Read the file.

    Raises:
        BatchFileError: it cannot be read as such a file at all; nothing was entered.
    """
    if len(data) > MAX_FILE_OCTETS:
        raise BatchFileError(_("The file is larger than %(limit)s MB."), limit=MAX_FILE_OCTETS // 1_000_000)
    table = read_table(data)
    heading = read_heading(table.titles)
    missing = _NEEDED - set(heading.fields)
    if missing:
        raise BatchFileError(_("The table lacks columns: %(names)s."), names=", ".join(sorted(missing)))
    wrong = sorted({*heading.unknown, *heading.doubled})
    if wrong:
        raise BatchFileError(_("The table has unknown or double columns: %(names)s."), names=", ".join(wrong))
    return [_row(number, dict(zip(heading.fields, cells, strict=False))) for number, cells in table.rows]


def _row(number: int, cells: Mapping[str | None, str]) -> Row:
    fields = {name: cell for name, cell in cells.items() if name and name not in OWN_COLUMNS and cell}
    return Row(number, cells.get("key", ""), cells.get("authority", ""), cells.get("type", ""), fields)


def import_rows(
    applications: Applications,
    operator: Operator,
    rows: Sequence[Row],
    requests: Path,
    *,
    defaults: Mapping[str, str] | None = None,
) -> Iterator[RowReport]:
    """Enter and submit row by row; each report is true when it is yielded.

    Args:
        defaults: fields of rows that do not say them themselves.
    """
    seen: dict[str, int] = {}
    for row in rows:
        if row.key in seen:
            fault = FieldFault(
                "key",
                "KEY_TWICE",
                _("The key “%(key)s” already stands in row %(row)s."),
                _("Give each row a key of its own."),
                {"key": row.key[:64], "row": seen[row.key]},
            )
            yield _refused(row, [fault])
            continue
        seen[row.key] = row.number
        yield _import_row(applications, operator, row, requests, defaults or {})


def _import_row(
    applications: Applications, operator: Operator, row: Row, requests: Path, defaults: Mapping[str, str]
) -> RowReport:
    try:
        kind = Kind(row.kind)
    except ValueError:
        text = _("There is no application type “%(kind)s”.")
        facts = {"kind": row.kind[:40]}
        hint = _("Write one of: %(kinds)s.")
        facts["kinds"] = ", ".join(each.value for each in Kind)
        return _refused(row, [FieldFault("type", "TYPE_UNKNOWN", text, hint, facts)])
    damaged = [fault for name, cell in row.fields.items() if (fault := find_damage(name, cell))]
    if damaged:
        return _refused(row, damaged)
    entry = Entry(
        kind=kind,
        authority=row.authority,
        fields={**defaults, **row.fields},
        csr=_read_request(requests, row.key),
    )
    key = _row_key(entry)
    try:
        # Nothing is kept of a row that would be refused: look first, then enter and submit.
        if not applications.is_known(operator, key):
            outcome = applications.entries.check(entry)
            if outcome.faults:
                raise InvalidApplicationError(outcome.faults)
            collision = applications.entries.find_collision(entry, operator, besides=None)
            if collision is not None:
                raise collision
        made = applications.create(operator, entry, request_key=key)
        if made.state is not State.DRAFT:
            return RowReport(row=row.number, key=row.key, outcome="known", application=made)
        submitted = applications.submit(operator, made.id)
    except InvalidApplicationError as refused:
        return _refused(row, refused.faults)
    except ServiceError as refused:
        if not refused.is_refusal:
            raise
        fault = FieldFault("", refused.code, refused.text, refused.hint, dict(refused.facts))
        return _refused(row, [fault])
    return RowReport(row=row.number, key=row.key, outcome="submitted", application=submitted)


def _read_request(folder: Path, key: str) -> bytes:
    """The request of a row; a key that is no plain file name has none."""
    if not _KEY.fullmatch(key):
        return b""
    try:
        with (folder / f"{key}.csr").open("rb") as file:
            return file.read(MAX_OCTETS + 1)
    except OSError:
        return b""


def _row_key(entry: Entry) -> str:
    """The same row imported twice is one application: the idempotency key is a hash of what it says."""
    digest = hashlib.sha256()
    csr = entry.csr if isinstance(entry.csr, bytes) else entry.csr.encode()
    for part in (entry.kind.value, entry.authority, *(f"{k}={v}" for k, v in sorted(entry.fields.items()))):
        digest.update(part.encode() + b"\0")
    digest.update(csr)
    return f"import-{digest.hexdigest()[:48]}"


def _refused(row: Row, faults: Sequence[FieldFault]) -> RowReport:
    return RowReport(row=row.number, key=row.key, outcome="refused", faults=faults)
