"""What the service does with batches between the acts of people: read the file, check the rows, enter them.

    reading    the uploaded file           -> sealed stretches of rows, or `failed` with a sentence
    checking   each stretch                -> its report; duplicates are looked up for the whole stretch
    entering   each accepted row           -> an approved application (`entering.py`)
    ordering   its order                   -> the CA's answer (`onecert.ra.orders`)

Each stretch is one transaction with its audit entry, and says itself whether it was done: a process that dies
anywhere is followed by another one that goes on with the next stretch. Checking costs signatures of requests,
so it is done by processes beside this one (`workers`).
"""

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from typing import Any

from sqlalchemy import Connection, insert, select, update

from onecert.ra.applications.duplicates import entity_key
from onecert.ra.applications.entries import Entry
from onecert.ra.batches.acts import read_file
from onecert.ra.batches.checking import CheckedRow, Remark, RowRules, RowsWork, TypedRow, check_rows
from onecert.ra.batches.columns import Heading, read_heading
from onecert.ra.batches.containers import open_requests
from onecert.ra.batches.limits import read_bounded
from onecert.ra.batches.lookups import Known, look_up
from onecert.ra.batches.reading import Table, read_table
from onecert.ra.batches.records import AT_WORK, Batch, Phase, RowState, load_batch, load_chunk, seal_chunk
from onecert.ra.batches.tables import batch_chunks, batch_rows, batches
from onecert.ra.content.checking import Outcome
from onecert.ra.content.fields import FIELDS, Kind
from onecert.ra.errors import FieldFault
from onecert.ra.errors.batches import BatchFileError
from onecert.ra.life.machine import State
from onecert.ra.vault.sealed import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.workers import WorkerPool

__all__ = ["CHUNK_ROWS", "BatchWork"]

log = logging.getLogger(__name__)

CHUNK_ROWS = 500
# What is sealed at once is bounded by the token; text that cannot be compressed counts in full.
_CHUNK_CHARACTERS = 400_000
_FEW = 2_000  # so few rows are checked before another process has started

Enter = Callable[[Batch], bool]


class BatchWork:
    """The jobs' part. Safe in several processes: each stretch is claimed by the transaction that records it.

    Args:
        workers: processes that check rows; 0: this one does.
        enter, order: the later phases; each does a stretch and tells whether there was something to do.
    """

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        rules: RowRules,
        refusals: Callable[[Entry, Outcome], Sequence[FieldFault]],
        workers: int,
        enter: Enter,
        order: Enter,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._rules = rules
        self._refusals = refusals
        self._workers = workers
        self._later = {Phase.ENTERING: enter, Phase.ORDERING: order}
        self._pool = WorkerPool(workers, what="checks rows")

    def run(self, at: datetime) -> None:
        """The job: everything that is to be done, batch by batch in turns, a stretch of each at a time."""
        del at  # what is due is what stands in the table
        try:
            stuck: set[str] = set()
            while waiting := [each for each in self._at_work() if each not in stuck]:
                for batch_id in waiting:
                    try:
                        if not self._advance(batch_id):
                            stuck.add(batch_id)
                    except ServiceError as exc:
                        # One batch must not hold up the others; it is tried again with the next slot.
                        log.warning("batch waits", extra={"batch": batch_id, "code": exc.code})
                        stuck.add(batch_id)
        finally:
            self.close()

    def close(self) -> None:
        """End the processes beside this one."""
        self._pool.close()

    def _at_work(self) -> list[str]:
        query = (
            select(batches.c.id)
            .where(batches.c.phase.in_([phase.value for phase in sorted(AT_WORK)]))
            .order_by(batches.c.seq)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query))

    def _advance(self, batch_id: str) -> bool:
        """One stretch of work; False: nothing could be done now."""
        with self._database.reading() as connection:
            batch = load_batch(connection, batch_id)
        match batch.phase:
            case Phase.READING:
                self._read(batch)
                return True
            case Phase.CHECKING:
                self._check(batch)
                return True
            case Phase.ENTERING | Phase.ORDERING:
                return self._later[batch.phase](batch)
        return False

    # Reading ---------------------------------------------------------------------------------------------

    def _read(self, batch: Batch) -> None:
        with self._database.reading() as connection:
            data = read_file(connection, self._vault, batch.id, "table")
            archive = read_file(connection, self._vault, batch.id, "requests")
        try:
            table = self._table(data)
            heading = _understood(table, batch.kind, with_requests=bool(archive))
            requests = open_requests(archive) if archive else {}
        except BatchFileError as refused:
            self._fail(batch, refused)
            return
        rows = _with_requests(table, heading, requests)
        sealed = [
            {
                "batch_id": batch.id,
                "number": number,
                "rows": len(some),
                "state": "read",
                "rows_sealed": seal_chunk(self._vault, batch.id, number, some),
            }
            for number, some in enumerate(_stretches(rows))
        ]
        columns = {
            "defaults": batch.defaults,
            "titles": heading.titles,
            "fields": heading.fields,
            "unknown": heading.unknown,
            "notes": [str(note) for note in table.notes],
            "requests": bool(archive),
        }
        with self._database.transaction() as connection:
            if not _is_same(connection, batch):
                return
            connection.execute(insert(batch_chunks), sealed)
            self._note(
                connection,
                batch,
                "batch.read",
                {"rows": len(table.rows), "stretches": len(sealed)},
                phase=Phase.CHECKING.value,
                rows=len(table.rows),
                columns=json.dumps(columns, ensure_ascii=False),
            )

    def _fail(self, batch: Batch, refused: BatchFileError) -> None:
        said = {
            "code": refused.code,
            "text": str(refused.text),
            "hint": str(refused.hint),
            "facts": {name: value for name, value in refused.facts.items() if isinstance(value, (str, int))},
        }
        with self._database.transaction() as connection:
            if _is_same(connection, batch):
                self._note(
                    connection,
                    batch,
                    "batch.unreadable",
                    {"code": refused.code},
                    phase=Phase.FAILED.value,
                    failure=json.dumps(said, ensure_ascii=False),
                )

    # Checking --------------------------------------------------------------------------------------------

    def _check(self, batch: Batch) -> None:
        """All stretches that are left, in order; or none, when the file was changed meanwhile."""
        with self._database.reading() as connection:
            salt = self._vault.unseal(f"batch:{batch.id}:salt", _salt_sealed(connection, batch.id))
            left = list(
                connection.scalars(
                    select(batch_chunks.c.number)
                    .where(batch_chunks.c.batch_id == batch.id, batch_chunks.c.state == "read")
                    .order_by(batch_chunks.c.number)
                )
            )
        for number, checked in self._checked(batch, salt, left):
            if not self._record(batch, number, checked):
                return
        with self._database.transaction() as connection:
            if _is_same(connection, batch):
                current = load_batch(connection, batch.id)
                counts = {state.value: getattr(current, state.value) for state in RowState}
                self._note(connection, batch, "batch.checked", counts, phase=Phase.CHECKED.value)

    def _checked(
        self, batch: Batch, salt: bytes, numbers: Sequence[int]
    ) -> Iterator[tuple[int, list[CheckedRow]]]:
        """Stretch by stretch; others are on their way in the processes meanwhile."""
        under_way: deque[tuple[int, Callable[[], list[CheckedRow]]]] = deque()
        for number in numbers:
            with self._database.reading() as connection:
                rows = load_chunk(connection, self._vault, batch.id, number)
            work = RowsWork(
                kind=batch.kind,
                authority=batch.authority,
                fields=batch.fields,
                rows=rows,
                at=self._clock.now().date(),
                rules=self._rules,
                salt=salt,
                with_requests=bool(batch.columns.get("requests")),
                defaults=batch.defaults,
            )
            under_way.append((number, self._begin(work, alone=batch.rows <= _FEW)))
            if len(under_way) > self._workers + 1:
                done, result = under_way.popleft()
                yield done, result()
        for done, result in under_way:
            yield done, result()

    def _begin(self, work: RowsWork, *, alone: bool) -> Callable[[], list[CheckedRow]]:
        here = partial(check_rows, work)
        return here if alone else self._pool.submit(check_rows, work, instead=here)

    def _table(self, data: bytes) -> Table:
        """Read the file in a process that is bounded in memory and time; without processes, here."""
        if not self._workers:
            return read_table(data)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            try:
                read = pool.submit(read_bounded, data).result()
            except (BrokenProcessPool, MemoryError) as exc:
                raise BatchFileError(
                    _("The file needs more memory or time than reading a table does."),
                    _("Copy the rows into a fresh template and upload that."),
                ) from exc
        if isinstance(read, Table):
            return read
        text, hint, facts = read
        raise BatchFileError(text, hint, **facts)

    def _record(self, batch: Batch, number: int, checked: Sequence[CheckedRow]) -> bool:
        """Look for duplicates and write the report of one stretch; False: the batch went on without us."""
        checked = self._judged(batch, checked)
        entities = [self._entity(batch.kind, row) for row in checked]
        now = self._clock.now()
        with self._database.transaction() as connection:
            if not _is_same(connection, batch):
                return False
            claimed = connection.execute(
                update(batch_chunks)
                .where(
                    batch_chunks.c.batch_id == batch.id,
                    batch_chunks.c.number == number,
                    batch_chunks.c.state == "read",
                )
                .values(state="checked")
            )
            if claimed.rowcount != 1:
                return True  # another process was first with this one
            known = look_up(
                connection,
                batch.id,
                authority=batch.authority,
                kind=batch.kind,
                entities=[entity for entity in entities if entity],
                keys=[row.key_sha256 for row in checked if row.key_sha256],
                at=now,
            )
            rows = [
                _report(batch, number, row, entity, known)
                for row, entity in zip(checked, entities, strict=True)
            ]
            connection.execute(insert(batch_rows), rows)
            counts = {state.value: sum(row["state"] == state.value for row in rows) for state in RowState}
            self._note(
                connection,
                batch,
                "batch.rows_checked",
                {"first": checked[0].number, "last": checked[-1].number, **counts},
                checked=batches.c.checked + len(rows),
                **{name: batches.c[name] + count for name, count in counts.items()},
            )
        return True

    def _judged(self, batch: Batch, checked: Sequence[CheckedRow]) -> list[CheckedRow]:
        """With what the register and the authority refuse; rows of one organisation ask once."""
        asked: dict[tuple[tuple[str, str], ...], tuple[Remark, ...]] = {}
        judged = []
        for row in checked:
            values = {name: value for name, value in row.entity.items() if name != "idcard"}
            key = tuple(sorted(values.items()))
            if key not in asked:
                entry = Entry(kind=batch.kind, authority=batch.authority, fields=values, csr="")
                found = self._refusals(entry, Outcome(values, (), (), None, None))
                asked[key] = tuple(Remark("error", f.field, f.code, f.text, f.hint, f.facts) for f in found)
            judged.append(replace(row, remarks=(*row.remarks, *asked[key])) if asked[key] else row)
        return judged

    def _entity(self, kind: Kind, row: CheckedRow) -> str | None:
        number = row.entity.get("idcard") if "idcard" in {field.name for field in FIELDS[kind]} else None
        return entity_key(kind, row.entity, self._vault.idcard_hmac(number) if number else None)

    def _note(
        self, connection: Connection, batch: Batch, event: str, details: dict[str, Any], **changes: Any
    ) -> None:
        """Change the batch's own row, with an audit entry of the service."""
        connection.execute(update(batches).where(batches.c.id == batch.id).values(**changes))
        self._audit.record(
            connection,
            event=event,
            actor="job:ra.batches",
            subject=f"batch:{batch.id}",
            details={"number": batch.number, **details},
        )


def _salt_sealed(connection: Connection, batch_id: str) -> bytes:
    query = select(batches.c.salt_sealed).where(batches.c.id == batch_id)
    return bytes(connection.execute(query).scalar_one())


def _is_same(connection: Connection, batch: Batch) -> bool:
    """Whether the batch still stands where it stood: not withdrawn, and with the same file."""
    current = load_batch(connection, batch.id, lock=True)
    return (
        current.phase is batch.phase
        and current.file_sha256 == batch.file_sha256
        and current.state in {State.DRAFT, State.RETURNED}
    )


def _understood(table: Table, kind: Kind, *, with_requests: bool) -> Heading:
    """The heading, if a batch can be made of it."""
    heading = read_heading(table.titles, kind)
    if heading.doubled:
        raise BatchFileError(
            _("Two columns have the same meaning: %(names)s."),
            _("Keep one of them."),
            names=", ".join(heading.doubled),
        )
    needed = {field.name for field in FIELDS[kind] if field.required and field.group in {"subject", "place"}}
    missing = sorted(needed - set(heading.fields))
    if missing:
        raise BatchFileError(
            _("The table lacks columns: %(names)s."),
            _("Download the template for this type of certificate."),
            names=", ".join(missing),
        )
    if "csr" not in heading.fields and not (with_requests and "key" in heading.fields):
        raise BatchFileError(
            _("The table has no certificate requests."),
            _("Add the column “CSR”, or the column “Request file” and an archive of the request files."),
        )
    return heading


def _with_requests(table: Table, heading: Heading, requests: dict[str, bytes]) -> Iterator[TypedRow]:
    at = heading.fields.index("key") if requests and "key" in heading.fields else None
    for number, cells in table.rows:
        key = cells[at] if at is not None and at < len(cells) else ""
        yield TypedRow(number, tuple(cells), requests.get(key.removesuffix(".csr")) if key else None)


def _stretches(rows: Iterator[TypedRow]) -> Iterator[list[TypedRow]]:
    some: list[TypedRow] = []
    characters = 0
    for row in rows:
        size = sum(map(len, row.cells)) + 2 * len(row.request or b"")
        if some and (len(some) == CHUNK_ROWS or characters + size > _CHUNK_CHARACTERS):
            yield some
            some, characters = [], 0
        some.append(row)
        characters += size
    if some:
        yield some


def _report(batch: Batch, chunk: int, row: CheckedRow, entity: str | None, known: Known) -> dict[str, Any]:
    """The report's line; what it takes is taken from the rows after it."""
    remarks = list(row.remarks)
    is_faulty = any(remark.level == "error" for remark in remarks)
    remarks += _duplicates(batch, row, entity, known)
    levels = {remark.level for remark in remarks}
    if "error" in levels:
        state = RowState.ERROR
    elif "duplicate" in levels:
        state = RowState.DUPLICATE
    else:
        state = RowState.WARNING if levels else RowState.GOOD
    if state in {RowState.GOOD, RowState.WARNING} and not is_faulty:
        if entity:
            known.rows[entity] = row.number
        if row.key_sha256:
            known.key_rows[row.key_sha256] = row.number
    return {
        "batch_id": batch.id,
        "row": row.number,
        "chunk": chunk,
        "state": state.value,
        "excluded": False,
        "name": row.name,
        "masked": row.masked[:18],
        "entity_key": entity,
        "key_sha256": row.key_sha256,
        "content_sha256": row.content_sha256,
        "remarks": json.dumps([remark.as_json() for remark in remarks], ensure_ascii=False),
    }


def _duplicates(batch: Batch, row: CheckedRow, entity: str | None, known: Known) -> Iterator[Remark]:
    if entity and (earlier := known.rows.get(entity)):
        yield Remark(
            "duplicate",
            "",
            "ROW_TWICE",
            _("The same applicant already stands in row %(row)s."),
            _("Keep one of the two rows."),
            {"row": earlier},
        )
    if entity and (holder := known.here.get(entity)):
        yield Remark(
            "duplicate",
            "",
            "DUPLICATE",
            _("The same applicant has an open application or a live certificate here: %(number)s."),
            _("Continue with that application, or revoke the certificate first."),
            {"number": holder.number},
        )
    if row.key_sha256 and (earlier := known.key_rows.get(row.key_sha256)):
        yield Remark(
            "duplicate",
            "csr",
            "KEY_TWICE",
            _("Row %(row)s has a request with the same key."),
            _("Each certificate needs a key of its own; have a new request made."),
            {"row": earlier},
        )
    if row.key_sha256 and (used := known.keys.get(row.key_sha256)):
        yield Remark(
            "duplicate",
            "csr",
            "KEY_REPEATED",
            _("This key was already used in application %(number)s."),
            _("Each certificate needs a key of its own; have a new request made."),
            {"number": used.number},
        )
    if entity and (other := known.elsewhere.get(entity)):
        yield Remark(
            "warning",
            "",
            "ELSEWHERE",
            _("The same applicant has a certificate or an application at %(authority)s."),
            _("That is normal; compare the names."),
            {"authority": other.authority},
        )
