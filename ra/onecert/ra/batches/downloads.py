"""What can be taken away of a batch: the table back with its faults, the sample for a reviewer, the result.

The table back holds what was typed, so each download is in the audit trail.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from onecert.ra.applications.records import load_applications
from onecert.ra.batches.acts import Batches
from onecert.ra.batches.checking import Remark
from onecert.ra.batches.columns import title_of
from onecert.ra.batches.reading import CUT, DAMAGED
from onecert.ra.batches.records import (
    ROW_STATE_NAMES,
    USABLE,
    Batch,
    load_chunk,
)
from onecert.ra.batches.sheets import write_csv, write_xlsx
from onecert.ra.batches.tables import batch_chunks, batch_rows
from onecert.ra.content.fields import ALL_FIELDS
from onecert.ra.errors import NotFoundError
from onecert.ra.life.machine import STATE_NAMES
from onecert.ra.models import certificates
from onecert.ra.vault.sealed import Vault
from onecert.server.database import Database
from onecert.server.languages import _, gettext
from onecert.server.operators import Operator

__all__ = ["Downloads", "SampleRow", "said"]

SAMPLE = 10


@dataclass(frozen=True)
class SampleRow:
    """One accepted row in full, for the reviewer."""

    row: int
    values: Sequence[tuple[str, str]]  # label and value


def said(remark: Remark) -> str:
    """A remark as one sentence, with the field's name in front."""
    text = gettext(remark.text, **remark.facts)
    if remark.hint:
        text = f"{text} {gettext(remark.hint, **remark.facts)}"
    if not remark.field:
        return text
    known = remark.field in ALL_FIELDS or remark.field in {"csr", "key", "authority", "type"}
    label = title_of(remark.field) if known else remark.field
    return gettext(_("%(field)s: %(text)s"), field=label, text=text)


class Downloads:
    """Makes the files."""

    def __init__(self, database: Database, vault: Vault, batches: Batches) -> None:
        self._database = database
        self._vault = vault
        self._batches = batches

    def sample(self, connection: Connection, batch: Batch) -> list[SampleRow]:
        """Some accepted rows in full: those of the smallest hashes, which nobody can choose in advance."""
        chosen = connection.execute(
            select(batch_rows.c.row, batch_rows.c.chunk)
            .where(
                batch_rows.c.batch_id == batch.id,
                batch_rows.c.state.in_([state.value for state in USABLE]),
                batch_rows.c.excluded.is_(False),
            )
            .order_by(batch_rows.c.content_sha256)
            .limit(SAMPLE)
        ).all()
        wanted = {row.row for row in chosen}
        found = []
        for chunk in sorted({row.chunk for row in chosen}):
            for row in load_chunk(connection, self._vault, batch.id, chunk):
                if row.number in wanted:
                    cells = zip(batch.fields, row.cells, strict=False)
                    values = [
                        (title_of(name), cell) for name, cell in cells if name and cell and name != "csr"
                    ]
                    found.append(SampleRow(row.number, values))
        return found

    def report(self, operator: Operator, batch: Batch, ending: str, *, only: Sequence[str] = ()) -> bytes:
        """The rows as typed, with their state and what is wrong, as `csv` or `xlsx`."""
        if ending not in {"csv", "xlsx"}:
            raise NotFoundError(ending[:16])
        self._batches.note_download(operator, batch, "report")
        titles = [gettext(_("Row")), gettext(_("State")), gettext(_("What is wrong")), *batch.titles]
        with self._database.reading() as connection:
            rows = self._report_rows(connection, batch, only)
            if ending == "csv":
                return write_csv(titles, rows)
            return write_xlsx(titles, rows, sheet=gettext(_("Report")), marked=(2,))

    def _report_rows(self, connection: Connection, batch: Batch, only: Sequence[str]) -> Iterator[list[str]]:
        numbers = connection.scalars(
            select(batch_chunks.c.number)
            .where(batch_chunks.c.batch_id == batch.id)
            .order_by(batch_chunks.c.number)
        ).all()
        for number in numbers:
            told = {
                row.row: row
                for row in connection.execute(
                    select(batch_rows).where(batch_rows.c.batch_id == batch.id, batch_rows.c.chunk == number)
                )
            }
            for typed in load_chunk(connection, self._vault, batch.id, number):
                row = told.get(typed.number)
                if row is None or (only and row.state not in only):
                    continue
                remarks = [Remark.from_json(each) for each in json.loads(row.remarks)]
                words = " ".join(said(remark) for remark in remarks)
                cells = [cell.lstrip(DAMAGED + CUT) for cell in typed.cells]
                yield [str(typed.number), gettext(ROW_STATE_NAMES[row.state]), words, *cells]

    def result(self, operator: Operator, batch: Batch, ending: str) -> bytes:
        """What became of each row: `csv` or `xlsx`; `zip` has the certificates."""
        if ending not in {"csv", "xlsx", "zip"}:
            raise NotFoundError(ending[:16])
        self._batches.note_download(operator, batch, "result")
        titles = [
            _("Row"),
            _("Applicant"),
            _("State"),
            _("Application"),
            _("Serial number"),
            _("Reason"),
            _("Certificate"),
        ]
        with self._database.reading() as connection:
            rows = self._result_rows(connection, batch)
            if ending == "zip":
                return _zipped(rows)
            plain = [list(row.values()) for row in rows]
        words = [gettext(title) for title in titles]
        if ending == "csv":
            return write_csv(words, plain)
        return write_xlsx(words, plain, sheet=gettext(_("Result")))

    def result_rows(self, operator: Operator, batch: Batch) -> list[dict[str, str]]:
        """What became of each row, for a program."""
        self._batches.note_download(operator, batch, "result")
        with self._database.reading() as connection:
            return list(self._result_rows(connection, batch))

    def _result_rows(self, connection: Connection, batch: Batch) -> Iterator[dict[str, str]]:
        after = 0
        while True:
            rows = connection.execute(
                select(batch_rows)
                .where(batch_rows.c.batch_id == batch.id, batch_rows.c.row > after)
                .order_by(batch_rows.c.row)
                .limit(500)
            ).all()
            if not rows:
                return
            after = rows[-1].row
            made = _applications(connection, [row.application_id for row in rows if row.application_id])
            for row in rows:
                found = made.get(row.application_id or "", {})
                remarks = [Remark.from_json(each) for each in json.loads(row.remarks)]
                reason = found.get("reason", "")
                if not row.application_id:
                    reason = " ".join(said(remark) for remark in remarks if remark.level != "warning")
                    if row.excluded:
                        reason = gettext(_("Left out by the clerk."))
                yield {
                    "row": str(row.row),
                    "name": row.name,
                    "state": found.get("state") or gettext(ROW_STATE_NAMES[row.state]),
                    "number": found.get("number", ""),
                    "serial": found.get("serial", ""),
                    "reason": reason,
                    "certificate": found.get("certificate", ""),
                }


def _applications(connection: Connection, ids: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Application -> what the result says of it."""
    found: dict[str, Mapping[str, str]] = {}
    issued = {
        row.application_id: row
        for row in connection.execute(
            select(
                certificates.c.application_id, certificates.c.serial_hex, certificates.c.certificate_pem
            ).where(certificates.c.application_id.in_(ids))
        )
    }
    for application in load_applications(connection, ids):
        row = issued.get(application.id)
        found[application.id] = {
            "number": application.number,
            "state": gettext(STATE_NAMES[application.state]),
            "reason": application.reason or "",
            "serial": row.serial_hex if row else "",
            "certificate": row.certificate_pem if row else "",
        }
    return found


def _zipped(rows: Iterator[dict[str, str]]) -> bytes:
    """The certificates, one file each, named by row and serial."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for row in rows:
            if row["certificate"]:
                archive.writestr(f"{int(row['row']):06d}-{row['serial']}.pem", row["certificate"])
    return out.getvalue()
