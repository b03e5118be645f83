"""Import of applications from a CSV file and a folder of requests: each row becomes a submitted application
or a line in the report, and nothing in between.

The file is UTF-8 (with or without a byte-order mark), comma-separated, with a heading. Columns: `key`
(names the request file `<key>.csr`), `authority`, `type`, and the fields of the application types; empty
cells count as absent. Run again, rows that already became applications are reported as such and not entered
twice. Left out: XLSX, and partial acceptance chosen by a clerk.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onecert.ra.applications.acts import Applications
from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import Application
from onecert.ra.content.csr import MAX_OCTETS
from onecert.ra.content.fields import ALL_FIELDS, Kind
from onecert.ra.errors import FieldFault, ImportFileError, InvalidApplicationError
from onecert.ra.life.machine import State
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.operators import Operator

__all__ = ["RowReport", "import_rows", "read_rows"]

MAX_FILE_OCTETS = 32 * 1024 * 1024
MAX_ROWS = 100_000
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OWN_COLUMNS = frozenset({"key", "authority", "type"})


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
        ImportFileError: it cannot be read as such a file at all; nothing was entered.
    """
    if len(data) > MAX_FILE_OCTETS:
        raise ImportFileError(_("The file is larger than 32 MiB."))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ImportFileError(_("The file is not UTF-8 text; save it as “CSV UTF-8”.")) from exc
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, restkey="\0surplus")
    try:
        columns = [name.strip() for name in reader.fieldnames or []]
        missing = _OWN_COLUMNS - set(columns)
        unknown = set(columns) - _OWN_COLUMNS - set(ALL_FIELDS)
        if missing:
            raise ImportFileError(_("The file lacks columns: %(names)s."), names=", ".join(sorted(missing)))
        if unknown or len(columns) != len(set(columns)):
            raise ImportFileError(
                _("The file has unknown or double columns: %(names)s."),
                names=", ".join(sorted(unknown)) or "-",
            )
        reader.fieldnames = columns
        return list(_rows(reader))
    except csv.Error as exc:
        raise ImportFileError(_("The file cannot be read near line %(line)s."), line=reader.line_num) from exc


def _rows(reader: "csv.DictReader[str]") -> Iterator[Row]:
    for number, cells in enumerate(reader, start=2):
        if number > MAX_ROWS + 1:
            raise ImportFileError(_("The file has more than 100,000 rows."))
        if "\0surplus" in cells:
            raise ImportFileError(_("Row %(row)s has more cells than the heading."), row=number)
        texts = {name: (value or "").strip() for name, value in cells.items()}
        if not any(texts.values()):
            continue
        fields = {name: value for name, value in texts.items() if name not in _OWN_COLUMNS and value}
        yield Row(number, texts["key"], texts["authority"], texts["type"], fields)


def import_rows(
    applications: Applications, operator: Operator, rows: Sequence[Row], requests: Path
) -> Iterator[RowReport]:
    """Enter and submit row by row; each report is true when it is yielded."""
    seen: dict[str, int] = {}
    for row in rows:
        if row.key in seen:
            fault = FieldFault(
                "key",
                "KEY_TWICE",
                _("The key “%(key)s” already stands in row %(row)s."),
                _("Give each row a key of its own."),
                {"key": row.key, "row": seen[row.key]},
            )
            yield _refused(row, [fault])
            continue
        seen[row.key] = row.number
        yield _import_row(applications, operator, row, requests)


def _import_row(applications: Applications, operator: Operator, row: Row, requests: Path) -> RowReport:
    try:
        kind = Kind(row.kind)
    except ValueError:
        text = _("There is no application type “%(kind)s”.")
        facts = {"kind": row.kind[:40]}
        hint = _("Write organisation, citizen, employee or device.")
        return _refused(row, [FieldFault("type", "TYPE_UNKNOWN", text, hint, facts)])
    entry = Entry(kind=kind, authority=row.authority, fields=row.fields, csr=_read_request(requests, row.key))
    key = _row_key(entry)
    try:
        # Nothing is kept of a row that would be refused: look first, then enter and submit.
        if not applications.is_known(operator, key):
            outcome = applications.entries.check(entry)
            if outcome.faults:
                raise InvalidApplicationError(outcome.faults)
            collision = applications.entries.find_collision(entry, besides=None)
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
