"""The life of a draft: import or begin, edit, discard, put aside for an emergency.

Every act is one transaction with its audit entry. Who acts on what they saw hands in its ``stamp``; when the
draft has changed meanwhile, nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial

from sqlalchemy import Connection

from onecert.server.audit import AuditTrail, Json
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operators
from onecert.supervision import records
from onecert.supervision.compare import find_changes
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.draft import Draft, add_status
from onecert.supervision.errors import (
    DraftChangedError,
    NoDraftError,
    NothingPublishedError,
)
from onecert.supervision.known import add_known, remove_source
from onecert.supervision.next_list import NextList, Preview, counting_signatures
from onecert.supervision.officers import (
    OfficerKeys,
)
from onecert.supervision.records import DraftRecord, Publication
from onecert.supervision.root_records import find_root
from onecert.verifier.trust_list import StatusEntry
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root

__all__ = ["Drafts"]


class Drafts:
    """All acts on drafts but signing; ``Editor`` has the rest."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        operators: Operators,
        keys: OfficerKeys,
        config: SupervisionConfig,
        sequence_floor: Callable[[], int] = lambda: 0,
    ) -> None:
        """Take what the acts need.

        Args:
            sequence_floor: the highest number that departments may have seen, from outside the database.
        """
        self._next = NextList(clock, config, sequence_floor)
        self.database = database
        self.config = config
        self.clock = clock
        self._audit = audit
        self._operators = operators
        self._keys = keys

    # Drafts

    def import_draft(self, draft: Draft, *, actor: str, stamp: str | None = None) -> DraftRecord:
        """Make this the open draft; an open one is discarded.

        Args:
            stamp: of the open draft that this one replaces, as the actor saw it; "" when there was none.

        Raises:
            DraftRefusedError, SampleError, ListBackwardsError: the list it makes would be refused.
            DraftChangedError: the stamp is not that of the open draft.
        """
        with self.database.transaction() as connection:
            self._check_stamp(records.find_open_draft(connection, lock=True), stamp)
            self._next.check(connection, draft)
            return self._open(connection, draft, "draft.imported", actor)

    def begin_draft(self, *, actor: str, stamp: str | None = None) -> DraftRecord:
        """Begin a draft that says what the published list says, to renew or to edit it.

        Raises:
            NothingPublishedError: there is nothing to begin from.
            DraftChangedError: as ``import_draft``.
        """
        with self.database.transaction() as connection:
            self._check_stamp(records.find_open_draft(connection, lock=True), stamp)
            return self._open(connection, self._published(connection).draft, "draft.begun", actor)

    def edit(
        self,
        change: Callable[[Draft], Draft],
        *,
        actor: str,
        details: Mapping[str, Json],
        stamp: str | None = None,
    ) -> DraftRecord:
        """Change the open draft, or one begun from the published list. Signatures on it become void.

        A change that changes nothing, because it was made already, is done: a form sent twice does no harm.

        Raises:
            NothingPublishedError: there is neither a draft nor a list.
            DraftRefusedError, SampleError, ListBackwardsError: the changed draft would be refused.
            DraftChangedError: as ``import_draft``.
        """
        with self.database.transaction() as connection:
            record = records.find_open_draft(connection, lock=True)
            if stamp is not None and record is None:
                raise NoDraftError
            begun = record is None
            if record is None:
                record = self._open(connection, self._published(connection).draft, "draft.begun", actor)
            changed = change(record.draft)
            if changed == record.draft and not begun:
                return record
            self._check_stamp(record, stamp)
            self._next.check(connection, changed)
            records.replace_content(connection, record, changed, actor=actor, at=self.clock.now())
            self._record(connection, "draft.edited", actor, f"draft:{record.id}", details)
            return self._draft(connection)

    def add_status(
        self, authority: str, entry: StatusEntry, *, actor: str, stamp: str | None = None
    ) -> DraftRecord:
        """Add a status to the history of an authority in the draft."""
        change = partial(_with_status, authority=authority, entry=entry)
        return self.edit(change, actor=actor, details=_status_details(authority, entry), stamp=stamp)

    def discard_draft(self, *, actor: str, stamp: str | None = None) -> None:
        """Give the open draft up."""
        with self.database.transaction() as connection:
            record = self._draft(connection, lock=True)
            self._check_stamp(record, stamp)
            records.close_draft(connection, record.id, state="discarded", actor=actor, at=self.clock.now())
            self._record(connection, "draft.discarded", actor, f"draft:{record.id}", {})

    def preview(self) -> Preview:
        """What publishing the open draft would do."""
        with self.database.reading() as connection:
            record = self._draft(connection)
            published = records.find_publication(connection)
            sequence = self._next.next_sequence(connection)
            is_frozen = self._next.is_current(connection, record)
            root = self._find_root(connection)
            counting = counting_signatures(connection, record, root)
        return Preview(
            sequence=sequence,
            record=record,
            changes=tuple(find_changes(published.draft if published else None, record.draft)),
            signatures_needed=self._threshold(root),
            counting=counting,
            is_frozen=is_frozen,
        )

    # Known certificates

    def add_known(self, ders: Iterable[bytes], *, source: str, actor: str) -> int:
        """Keep certificates to preview effects with; returns how many are new.

        Raises:
            KnownFullError: there would be too many; none is added.
        """
        with self.database.transaction() as connection:
            added = add_known(connection, ders, source=source, actor=actor, at=self.clock.now())
            self._record(connection, "known.added", actor, "known", {"source": source, "count": added})
            return added

    def remove_known(self, source: str, *, actor: str) -> int:
        """Forget the certificates from one source; returns how many."""
        with self.database.transaction() as connection:
            removed = remove_source(connection, source)
            details: dict[str, Json] = {"source": source, "count": removed}
            if removed:
                self._record(connection, "known.removed", actor, "known", details)
            return removed

    # Emergencies

    def begin_emergency(self, authority: str, entry: StatusEntry, *, reason: str, actor: str) -> DraftRecord:
        """A draft that says what the published list says, and this status; frozen, to be signed at once.

        An open draft is put aside, so that nothing half-finished goes out with it. The same emergency a
        second time is the same draft.

        Raises:
            NothingPublishedError, AuthorityUnknownError, DraftRefusedError, ListBackwardsError
        """
        with self.database.transaction() as connection:
            wanted = _with_status(self._published(connection).draft, authority=authority, entry=entry)
            record = records.find_open_draft(connection, lock=True)
            if record is not None and record.is_emergency:
                # Another authority in the same night, or a second click.
                wanted = _with_status(record.draft, authority=authority, entry=entry)
                if wanted == record.draft:
                    return record
            self._next.check(connection, wanted)
            if record is not None and record.is_emergency:
                records.replace_content(connection, record, wanted, actor=actor, at=self.clock.now())
            else:
                if record is not None:
                    self._discard_aside(connection, actor)
                draft_id = records.open_draft(
                    connection, wanted, actor=actor, at=self.clock.now(), reason=reason, displaced="aside"
                )
                self._record(
                    connection,
                    "draft.begun",
                    actor,
                    f"draft:{draft_id}",
                    {"emergency": True, "reason": reason},
                )
            record = self._draft(connection)
            details = {**_status_details(authority, entry), "reason": reason}
            self._record(connection, "draft.edited", actor, f"draft:{record.id}", details)
            return self._freeze(connection, record)

    def find_aside(self) -> DraftRecord | None:
        """The draft that waits behind an emergency."""
        with self.database.reading() as connection:
            return records.find_draft_aside(connection)

    def take_up_aside(self, *, actor: str) -> DraftRecord:
        """Open the draft that was put aside again, with the status that was published meanwhile.

        Raises:
            NoDraftError: none is aside.
            DraftChangedError: another draft is open.
            DraftRefusedError, ListBackwardsError: it does not go with what was published meanwhile.
        """
        with self.database.transaction() as connection:
            aside = records.find_draft_aside(connection, lock=True)
            if aside is None:
                raise NoDraftError
            self._check_stamp(records.find_open_draft(connection, lock=True), "")
            draft = _with_history_of(aside.draft, self._published(connection).draft)
            self._next.check(connection, draft)
            self._discard_aside(connection, actor)
            return self._open(connection, draft, "draft.taken_up", actor)

    # Inside

    def _find_root(self, connection: Connection) -> TrustRoot | None:
        """The root in force, or None before the first one."""
        record = find_root(connection)
        return None if record is None else _load_root(record.document)

    def _threshold(self, root: TrustRoot | None) -> int:
        """How many officers must sign: the root says it, since departments go by the root."""
        return self.config.signatures_needed if root is None else root.list_keys.threshold

    def _open(self, connection: Connection, draft: Draft, event: str, actor: str) -> DraftRecord:
        draft_id = records.open_draft(connection, draft, actor=actor, at=self.clock.now())
        self._record(
            connection, event, actor, f"draft:{draft_id}", {"services": [s.id for s in draft.services]}
        )
        return self._draft(connection)

    def _freeze(self, connection: Connection, record: DraftRecord) -> DraftRecord:
        """Fix number and dates of what is signed, unless they still hold."""
        if self._next.is_current(connection, record):
            return record
        records.freeze_payload(connection, record, self._next.new_payload(connection, record.draft))
        return self._draft(connection)

    def _check_stamp(self, record: DraftRecord | None, stamp: str | None) -> None:
        if stamp is not None and stamp != (record.stamp if record else ""):
            raise DraftChangedError

    def _discard_aside(self, connection: Connection, actor: str) -> None:
        aside = records.find_draft_aside(connection, lock=True)
        if aside is not None:
            records.close_draft(connection, aside.id, state="discarded", actor=actor, at=self.clock.now())
            self._record(connection, "draft.discarded", actor, f"draft:{aside.id}", {})

    def _draft(self, connection: Connection, *, lock: bool = False) -> DraftRecord:
        record = records.find_open_draft(connection, lock=lock)
        if record is None:
            raise NoDraftError
        return record

    def _published(self, connection: Connection) -> Publication:
        published = records.find_publication(connection)
        if published is None:
            raise NothingPublishedError
        return published

    def _record(
        self, connection: Connection, event: str, actor: str, subject: str, details: Mapping[str, Json]
    ) -> None:
        self._audit.record(connection, event=event, actor=actor, subject=subject, details=details)


@lru_cache(maxsize=2)
def _load_root(document: bytes) -> TrustRoot:
    """A root that we have checked before need not be checked at every look at the draft."""
    return load_trust_root(document)


def _with_status(draft: Draft, *, authority: str, entry: StatusEntry) -> Draft:
    """With this entry in the authority's history; as it is when the entry is there already."""
    return draft if entry in draft.service(authority).history else add_status(draft, authority, entry)


def _with_history_of(draft: Draft, published: Draft) -> Draft:
    """With every status that the published list has and the draft has not."""
    for service in published.services:
        for entry in service.history:
            if any(mine.id == service.id for mine in draft.services):
                draft = _with_status(draft, authority=service.id, entry=entry)
    return draft


def _status_details(authority: str, entry: StatusEntry) -> dict[str, Json]:
    return {"authority": authority, "status": entry.status.value, "from": entry.start.isoformat()}
