"""What people do with a batch: upload, choose rows, submit, approve, return, reject, withdraw.

A batch is one piece of business with the states of `life/machine.py`; each act is one transaction with life
line and audit entry, as for an application. Submitting freezes the accepted rows: `content_sha256` covers the
uploaded file, the policy, and the content hash of each accepted row, which is the hash that its application
will have. Approving names that hash. What the service does between these acts is in `work.py`.
"""

import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from onecert.ra.applications.steps import OperatorSteps, Store
from onecert.ra.batches.containers import check_workbook, open_requests, sniff
from onecert.ra.batches.records import (
    Batch,
    Phase,
    RowState,
    accepted_rows,
    load_batch,
)
from onecert.ra.batches.tables import batch_chunks, batch_files, batch_rows, batches
from onecert.ra.ca.authorities import Directory
from onecert.ra.content.checking import canonical_json
from onecert.ra.content.fields import CONSENTS, Kind
from onecert.ra.errors import (
    BatchRefusedError,
    ContentChangedError,
    NotFoundError,
    OutOfReachError,
    PointNeededError,
    PointUnknownError,
    ReasonMissingError,
    RequestKeyReusedError,
)
from onecert.ra.errors.batches import BatchFileError
from onecert.ra.life.machine import Act, Business, State, check_move, roles_of
from onecert.ra.operators.acting import with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ENTRY
from onecert.ra.points.points import check_place
from onecert.ra.vault.sealed import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import _
from onecert.server.operators import Operator, check_role

__all__ = ["BATCHES", "POLICIES", "Batches", "Upload", "content_hash"]

BATCHES: Store[Batch] = Store("batch", batches, load_batch)
# good: only the good rows are entered. all: every row must be good, or none is entered.
POLICIES = ("good", "all")
PART_OCTETS = 768 * 1024
_CHUNK_IDS = 500


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What a clerk hands in: nothing in it has been checked."""

    kind: Kind
    authority: str
    file: bytes
    file_name: str = ""
    requests: bytes = b""  # a ZIP file of certificate requests, or nothing
    title: str = ""
    policy: str = "good"
    consent: str = "paper"  # how the applicants of all rows consented, where the table does not say
    point: str | None = None
    project: str | None = None


class Batches:
    """The acts. `needs_two` says of a batch's facts whether the policy wants a second reviewer."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        directory: Directory,
        reach: Reach,
        steps: OperatorSteps[Batch],
        max_octets: int,
        present_texts: str,
        needs_two: Callable[[Mapping[str, Any]], bool] = lambda _facts: False,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._directory = directory
        self._reach = reach
        self._steps = steps
        self._needs_two = needs_two
        self._present_texts = present_texts
        self.max_octets = max_octets

    def batch(self, operator: Operator, batch_id: str) -> Batch:
        """Raises `NotFoundError` when there is none in reach."""
        with self._database.reading() as connection:
            found = load_batch(connection, batch_id)
            try:
                self._reach.check(connection, operator, found)
            except OutOfReachError:
                raise NotFoundError(batch_id) from None
        return found

    def shown_hash(self, connection: Connection, batch: Batch) -> tuple[str, int]:
        """The hash of what a review page shows, computed from the rows, and how many they are."""
        return content_hash(batch, accepted_rows(connection, batch.id))

    def note_download(self, operator: Operator, batch: Batch, what: str) -> None:
        """Write down that somebody took rows away."""
        with self._database.transaction() as connection:
            self._audit.record(
                connection,
                event="batch.downloaded",
                actor=operator.actor,
                subject=f"batch:{batch.id}",
                details={"number": batch.number, "what": what, **with_certificate(operator)},
            )

    def upload(self, operator: Operator, upload: Upload, *, request_key: str) -> Batch:
        """Keep a file, sealed; the service reads and checks it. The same key by the same operator is the same
        batch.

        Raises:
            BatchFileError: the file is of a kind that is not taken, or dangerous; nothing is kept.
            AuthorityUnknownError, ProfileMissingError: the CA has no such authority or type.
            RequestKeyReusedError: the key came with another file.
        """
        check_role(operator, ENTRY)
        self._directory.profile(upload.authority, upload.kind.value)
        self.check_file(upload)
        batch_id, key = str(uuid.uuid4()), f"{operator.id}:{request_key}"[:128]
        sha256 = _file_sha256(upload)
        parts = list(self._sealed_parts(batch_id, upload))
        salt = self._vault.seal(f"batch:{batch_id}:salt", secrets.token_bytes(16))
        try:
            with self._database.transaction() as connection:
                now = self._clock.now()
                operator = self._reach.account(connection, operator, ENTRY, at=now)
                if (made := _find(connection, key, sha256)) is not None:
                    return made
                point = self._place(connection, operator, upload)
                connection.execute(
                    insert(batches).values(
                        id=batch_id,
                        request_key=key,
                        state=State.DRAFT.value,
                        state_since=now,
                        revision=1,
                        point=point,
                        project=upload.project,
                        authority=upload.authority,
                        kind=upload.kind.value,
                        salt_sealed=salt,
                        created_at=now,
                        created_by=operator.id,
                        **_file_columns(upload, sha256, self._present_texts),
                    )
                )
                connection.execute(insert(batch_files), parts)
                made = load_batch(connection, batch_id)
                self._steps.write(connection, made, event="created", operator=operator, at=now)
                return made
        except IntegrityError:
            with self._database.reading() as connection:
                if (made := _find(connection, key, sha256)) is None:
                    raise
                return made

    def check_file(self, upload: Upload) -> None:
        """Everything that can be said of a file before it is kept. Raises `BatchFileError`."""
        if upload.policy not in POLICIES:
            raise BatchRefusedError(
                "BATCH_POLICY", _("Say whether faulty rows are left out or stop the batch.")
            )
        if upload.consent not in CONSENTS:
            raise BatchRefusedError("BATCH_CONSENT", _("Say how the applicants gave their consent."))
        if max(len(upload.file), len(upload.requests)) > self.max_octets:
            raise BatchFileError(
                _("The file is larger than %(limit)s MB."),
                _("Divide it into several files."),
                limit=self.max_octets // 1_000_000,
            )
        if sniff(upload.file) == "xlsx":
            check_workbook(upload.file)
        if upload.requests:
            open_requests(upload.requests)

    def replace_file(self, operator: Operator, batch_id: str, upload: Upload) -> Batch:
        """Another file for a draft or a returned batch; authority, type and place stay as they are."""
        before = self.batch(operator, batch_id)
        self.check_file(upload)
        parts = list(self._sealed_parts(batch_id, upload))
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, batch_id, Act.SAVE)
            if current.revision != before.revision:
                raise ContentChangedError
            _forget(connection, batch_id)
            connection.execute(delete(batch_rows).where(batch_rows.c.batch_id == batch_id))
            connection.execute(insert(batch_files), parts)
            changes = {
                **_file_columns(upload, _file_sha256(upload), self._present_texts),
                "content_sha256": None,
                "accepted": None,
            }
            return self._steps.move(
                connection, current, operator=operator, act=Act.SAVE, event="saved", at=now, changes=changes
            )

    def choose(
        self, operator: Operator, batch_id: str, *, exclude: Iterable[int] = (), include: Iterable[int] = ()
    ) -> Batch:
        """Leave rows out, or take them in again; faulty rows and duplicates never go in."""
        self.batch(operator, batch_id)
        out, back = sorted(set(exclude)), sorted(set(include))
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, batch_id, Act.SAVE)
            _check_checked(current)
            for rows, excluded in ((out, True), (back, False)):
                for at in range(0, len(rows), _CHUNK_IDS):
                    connection.execute(
                        update(batch_rows)
                        .where(
                            batch_rows.c.batch_id == batch_id,
                            batch_rows.c.row.in_(rows[at : at + _CHUNK_IDS]),
                        )
                        .values(excluded=excluded)
                    )
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.SAVE,
                event="saved",
                at=now,
                changes={},
                note=_rows_note(out, back),
            )

    def submit(self, operator: Operator, batch_id: str, *, revision: int | None = None) -> Batch:
        """Freeze the accepted rows for the reviewer.

        Raises:
            BatchRefusedError: still being checked, no row to enter, or a faulty row in a batch that takes all
                or none.
        """
        self.batch(operator, batch_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, batch_id, Act.SUBMIT)
            _check_checked(current)
            if revision not in {None, current.revision}:
                raise ContentChangedError
            digest, count = content_hash(current, accepted_rows(connection, batch_id))
            if not count:
                raise BatchRefusedError(
                    "BATCH_EMPTY",
                    _("No row is left to enter."),
                    _("Correct the file and upload it again, or take rows in again."),
                )
            bad = current.error + current.duplicate
            if current.policy == "all" and bad:
                raise BatchRefusedError(
                    "BATCH_ALL_OR_NONE",
                    _("%(count)s rows cannot be entered, and this batch takes all rows or none."),
                    _("Correct the file and upload it again, or have the good rows entered without them."),
                    count=bad,
                )
            changes = {
                "content_sha256": digest,
                "accepted": count,
                "submitted_by": operator.id,
                "reviewed_by": None,
                "reason": None,
            }
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.SUBMIT,
                event="submitted",
                at=now,
                changes=changes,
            )

    def set_policy(self, operator: Operator, batch_id: str, policy: str) -> Batch:
        """Whether faulty rows are left out (`good`) or stop the batch (`all`)."""
        if policy not in POLICIES:
            raise BatchRefusedError(
                "BATCH_POLICY", _("Say whether faulty rows are left out or stop the batch.")
            )
        self.batch(operator, batch_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, batch_id, Act.SAVE)
            if current.policy == policy:
                return current
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.SAVE,
                event="saved",
                at=now,
                changes={"policy": policy},
            )

    def approve(self, operator: Operator, batch_id: str, *, content_sha256: str) -> Batch:
        """Approve exactly the rows of this hash; the service enters them as approved applications.

        Above the policy's threshold the first yes passes it on, and another reviewer's makes it count.

        Raises:
            ContentChangedError: the hash is not the one on record, or the rows do not match it.
            SamePersonError: the reviewer entered it, under whatever account.
        """
        before = self.batch(operator, batch_id)
        check_role(operator, *roles_of(Business.BATCH, Act.APPROVE))
        act = self._act_of_yes(before)
        check_move(before.business, before.state, act)
        with self._database.reading() as connection:
            digest, count = content_hash(before, accepted_rows(connection, batch_id))
        if digest != content_sha256 or count != before.accepted:
            raise ContentChangedError
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, batch_id, act)
            if current.content_sha256 != content_sha256 or current.revision != before.revision:
                raise ContentChangedError
            changes: dict[str, Any] = {"reason": None}
            if act is not Act.CONFIRM:
                changes["reviewed_by"] = operator.id
            if act is not Act.PASS_ON:
                changes["phase"] = Phase.ENTERING.value
            event = {Act.PASS_ON: "passed_on", Act.CONFIRM: "confirmed"}.get(act, "approved")
            return self._steps.move(
                connection, current, operator=operator, act=act, event=event, at=now, changes=changes
            )

    def _act_of_yes(self, batch: Batch) -> Act:
        """What a reviewer's yes means here."""
        if batch.state is State.SECOND_REVIEW:
            return Act.CONFIRM
        facts = {
            "authority": batch.authority,
            "point": batch.point,
            "profile": batch.kind.value,
            "project": batch.project,
            "type": batch.kind.value,
            "rows": batch.accepted or 0,
        }
        # A rule for new certificates holds for many of them at once, too.
        needed = any(self._needs_two({**facts, "business": word}) for word in (Business.BATCH, Business.NEW))
        return Act.PASS_ON if needed else Act.APPROVE

    def send_back(self, operator: Operator, batch_id: str, *, reason: str) -> Batch:
        """Return it to the entry clerk for correction."""
        return self._judge(operator, batch_id, Act.RETURN, "returned", reason)

    def reject(self, operator: Operator, batch_id: str, *, reason: str) -> Batch:
        """Refuse it for good; what was typed is forgotten, the report stays."""
        return self._judge(operator, batch_id, Act.REJECT, "rejected", reason)

    def withdraw(self, operator: Operator, batch_id: str) -> Batch:
        """End it, also while it is being read or checked; what was typed is forgotten, the report stays."""
        self.batch(operator, batch_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, batch_id, Act.WITHDRAW)
            _forget(connection, batch_id)
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.WITHDRAW,
                event="withdrawn",
                at=now,
                changes={"phase": Phase.FINISHED.value},
            )

    def _judge(self, operator: Operator, batch_id: str, act: Act, event: str, reason: str) -> Batch:
        reason = reason.strip()
        if not 2 <= len(reason) <= 500:
            raise ReasonMissingError
        self.batch(operator, batch_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, batch_id, act)
            changes: dict[str, Any] = {"reviewed_by": operator.id, "reason": reason}
            if act is Act.REJECT:
                _forget(connection, batch_id)
                changes["phase"] = Phase.FINISHED.value
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=act,
                event=event,
                at=now,
                changes=changes,
                note=reason,
            )

    def _sealed_parts(self, batch_id: str, upload: Upload) -> Iterator[dict[str, Any]]:
        for name, content in (("table", upload.file), ("requests", upload.requests)):
            for part, at in enumerate(range(0, len(content), PART_OCTETS)):
                sealed = self._vault.seal(f"batch:{batch_id}:{name}:{part}", content[at : at + PART_OCTETS])
                yield {"batch_id": batch_id, "name": name, "part": part, "content_sealed": sealed}

    def _place(self, connection: Connection, operator: Operator, upload: Upload) -> str:
        """The point where this is entered, open and within the operator's scope."""
        scope = self._reach.scope(connection, operator)
        point = upload.point or scope.home()
        if point is None:
            raise PointNeededError
        if not scope.covers(point, upload.authority, upload.kind.value):
            raise PointUnknownError(point)
        check_place(connection, point, upload.project)
        return point


def content_hash(batch: Batch, rows: Iterable[tuple[int, str]]) -> tuple[str, int]:
    """Hex SHA-256 of what is approved, and how many rows that is."""
    digest, count = hashlib.sha256(), 0
    for row, sha256 in rows:
        digest.update(f"{row}:{sha256}\n".encode())
        count += 1
    said = {
        "batch": batch.id,
        "authority": batch.authority,
        "type": batch.kind.value,
        "point": batch.point,
        "project": batch.project,
        "file_sha256": batch.file_sha256,
        "policy": batch.policy,
        "count": count,
        "rows_sha256": digest.hexdigest(),
    }
    return hashlib.sha256(canonical_json(said)).hexdigest(), count


def read_file(connection: Connection, vault: Vault, batch_id: str, name: str) -> bytes:
    """An uploaded file as it came: `table` or `requests`, empty when there is none; needs the token."""
    rows = connection.execute(
        select(batch_files.c.part, batch_files.c.content_sealed)
        .where(batch_files.c.batch_id == batch_id, batch_files.c.name == name)
        .order_by(batch_files.c.part)
    ).all()
    return b"".join(vault.unseal(f"batch:{batch_id}:{name}:{row.part}", row.content_sealed) for row in rows)


def _check_checked(batch: Batch) -> None:
    if batch.phase is Phase.FAILED:
        raise BatchRefusedError(
            "BATCH_UNREADABLE", _("The file of this batch cannot be read."), _("Upload a corrected file.")
        )
    if batch.phase is not Phase.CHECKED:
        raise BatchRefusedError(
            "BATCH_NOT_CHECKED",
            _("The rows are still being checked."),
            _("Wait until the report is complete."),
        )


def _file_columns(upload: Upload, sha256: str, version: str) -> dict[str, Any]:
    """The columns that a new file sets."""
    name = "".join(
        char for char in upload.file_name.rpartition("/")[2].rpartition("\\")[2] if char.isprintable()
    )
    title = "".join(char for char in upload.title.strip() if char.isprintable())[:128]
    counts = dict.fromkeys(("rows", "checked", *(state.value for state in RowState), "entered", "refused"), 0)
    return {
        "phase": Phase.READING.value,
        "title": title or name[:128],
        "file_name": name[-128:],
        "file_sha256": sha256,
        "columns": json.dumps({"defaults": _defaults(upload, version)}),
        "policy": upload.policy,
        "failure": None,
        **counts,
    }


def _defaults(upload: Upload, version: str) -> dict[str, str]:
    """What the clerk says for all rows that do not say it themselves."""
    return {"consent": upload.consent, "consent_version": version}


def _file_sha256(upload: Upload) -> str:
    """Hex SHA-256 of the table; with requests beside it, of both hashes."""
    table = hashlib.sha256(upload.file).hexdigest()
    if not upload.requests:
        return table
    return hashlib.sha256((table + hashlib.sha256(upload.requests).hexdigest()).encode()).hexdigest()


def _find(connection: Connection, key: str, file_sha256: str) -> Batch | None:
    batch_id = connection.scalar(select(batches.c.id).where(batches.c.request_key == key))
    if batch_id is None:
        return None
    made = load_batch(connection, batch_id)
    if made.file_sha256 != file_sha256:
        raise RequestKeyReusedError(made.number)
    return made


def _forget(connection: Connection, batch_id: str) -> None:
    """Personal data that no one needs any more: the files and the rows as typed."""
    for table in (batch_files, batch_chunks):
        connection.execute(delete(table).where(table.c.batch_id == batch_id))


def _rows_note(out: list[int], back: list[int]) -> str:
    """For the life line: which rows were left out and taken in again."""
    said = [
        f"{mark}{','.join(map(str, rows[:20]))}{'…' if len(rows) > 20 else ''}"
        for mark, rows in (("-", out), ("+", back))
        if rows
    ]
    return json.dumps(said, ensure_ascii=False)[:500] if said else ""
