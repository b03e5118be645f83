"""The life of a trust list: import or begin a draft, edit, sign by two officers, publish.

Every act is one transaction with its audit entry. The only thing outside is the officer's token: what is to
be signed is on record before the key is used, and the signature is taken only if the record has not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from onecert.server.audit import AuditTrail, Json
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import add_signature, sign_document
from onecert.server.operators import Operator, Operators, check_role, check_usable
from onecert.server.operators.errors import SamePersonError
from onecert.supervision import records
from onecert.supervision.compare import find_changes
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.draft import Draft, add_status
from onecert.supervision.errors import (
    DraftChangedError,
    NoDraftError,
    NothingPublishedError,
    SignaturesMissingError,
)
from onecert.supervision.next_list import NextList, Preview, sequence_of
from onecert.supervision.officers import (
    LIST_OFFICER,
    Officer,
    OfficerKeys,
    add_officer,
    list_keys,
    load_officer,
)
from onecert.supervision.records import DraftRecord, Publication
from onecert.verifier.trust_list import ListKeys, StatusEntry
from onecert.verifier.trust_list.vocabulary import TYP

__all__ = ["Editor"]


class Editor:
    """All acts on the trust list, whoever asks: commands, pages, jobs."""

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

    # Officers

    def add_officer(self, officer: str, *, actor: str) -> Officer:
        """Give the operator ``officer`` a list key on a token of its own. The account must have the role.

        Raises:
            OfficerExistsError, RoleRequiredError, OperatorUnknownError, TokenNotReadyError
        """
        with self.database.reading() as connection:
            self._usable(connection, officer)
        with self._keys.key(officer, create=True) as key:
            public_key = key.public_key()
        with self.database.transaction() as connection:
            added = add_officer(
                connection,
                officer,
                public_key,
                token_label=self._keys.token_label(officer),
                at=self.clock.now(),
            )
            self._record(connection, "officer.added", actor, f"officer:{officer}", {"kid": added.kid})
        return added

    def list_keys(self) -> ListKeys:
        """The officers' public keys and how many must sign."""
        with self.database.reading() as connection:
            return list_keys(connection, self.config.signatures_needed)

    # Drafts

    def import_draft(self, draft: Draft, *, actor: str) -> DraftRecord:
        """Make this the open draft; an open one is discarded.

        Raises:
            DraftRefusedError, SampleError, ListBackwardsError: the list it makes would be refused.
        """
        with self.database.transaction() as connection:
            self._next.check(connection, draft)
            return self._open(connection, draft, "draft.imported", actor)

    def begin_draft(self, *, actor: str) -> DraftRecord:
        """Begin a draft that says what the published list says, to renew or to edit it.

        Raises:
            NothingPublishedError: there is nothing to begin from.
        """
        with self.database.transaction() as connection:
            return self._open(connection, self._published(connection).draft, "draft.begun", actor)

    def edit(
        self, change: Callable[[Draft], Draft], *, actor: str, details: Mapping[str, Json]
    ) -> DraftRecord:
        """Change the open draft, or one begun from the published list. Signatures on it become void.

        Raises:
            NothingPublishedError: there is neither a draft nor a list.
            DraftRefusedError, SampleError, ListBackwardsError: the changed draft would be refused.
        """
        with self.database.transaction() as connection:
            record = records.find_open_draft(connection, lock=True)
            if record is None:
                record = self._open(connection, self._published(connection).draft, "draft.begun", actor)
            changed = change(record.draft)
            self._next.check(connection, changed)
            records.replace_content(connection, record, changed, actor=actor, at=self.clock.now())
            self._record(connection, "draft.edited", actor, f"draft:{record.id}", details)
            return self._draft(connection)

    def add_status(self, authority: str, entry: StatusEntry, *, actor: str) -> DraftRecord:
        """Add a status to the history of an authority in the draft."""
        details: dict[str, Json] = {
            "authority": authority,
            "status": entry.status.value,
            "from": entry.start.isoformat(),
        }
        return self.edit(lambda draft: add_status(draft, authority, entry), actor=actor, details=details)

    def discard_draft(self, *, actor: str) -> None:
        """Give the open draft up."""
        with self.database.transaction() as connection:
            record = self._draft(connection, lock=True)
            records.close_draft(connection, record.id, state="discarded", actor=actor, at=self.clock.now())
            self._record(connection, "draft.discarded", actor, f"draft:{record.id}", {})

    def preview(self) -> Preview:
        """What publishing the open draft would do."""
        with self.database.reading() as connection:
            record = self._draft(connection)
            published = records.find_publication(connection)
            sequence = self._next.next_sequence(connection)
        return Preview(
            sequence=sequence,
            record=record,
            changes=tuple(find_changes(published.draft if published else None, record.draft)),
            signatures_needed=self.config.signatures_needed,
        )

    # Signing and publishing

    def sign(self, officer: str, *, actor: str) -> DraftRecord:
        """Sign the open draft with an officer's key. A second time by the same officer changes nothing.

        Raises:
            SamePersonError: the person behind this account has signed already, under another account.
            OfficerUnknownError, RoleRequiredError, TokenNotReadyError, DraftChangedError, and as ``edit``.
        """
        # 1. What is to be signed is checked and on record before the key is used.
        with self.database.transaction() as connection:
            operator = self._usable(connection, officer)
            load_officer(connection, officer)
            record = self._draft(connection, lock=True)
            self._next.check(connection, record.draft)
            if not self._next.is_current(connection, record):
                payload = self._next.new_payload(connection, record.draft)
                records.freeze_payload(connection, record, payload)
                record = self._draft(connection)
            if any(signature.officer == officer for signature in record.signatures):
                return record
            for signature in record.signatures:
                if signature.person == operator.person:
                    raise SamePersonError(signature.officer, officer)
        # 2. The officer's key, on the officer's token.
        document = self._sign(record, officer)
        # 3. Taken only when nothing has changed meanwhile, and when it verifies.
        with self.database.transaction() as connection:
            now = self._draft(connection, lock=True)
            if (now.id, now.revision, now.payload, now.document) != (
                record.id,
                record.revision,
                record.payload,
                record.document,
            ):
                raise DraftChangedError
            self._next.load(connection, document, threshold=len(record.signatures) + 1)
            at = self.clock.now()
            records.set_document(connection, record, document)
            records.add_signature_row(connection, record, officer=officer, person=operator.person, at=at)
            details: dict[str, Json] = {"officer": officer, "sequence": sequence_of(record.payload)}
            self._record(connection, "draft.signed", actor, f"draft:{record.id}", details)
            return self._draft(connection)

    def publish(self, *, actor: str) -> Publication:
        """Publish the signed draft under the next number.

        Raises:
            SignaturesMissingError: too few officers have signed.
            DraftChangedError: another list was published since it was signed.
            DraftRefusedError, SampleError, ListBackwardsError: as ``edit``.
        """
        with self.database.transaction() as connection:
            record = self._draft(connection, lock=True)
            needed = self.config.signatures_needed
            if record.document is None or len(record.signatures) < needed:
                raise SignaturesMissingError(len(record.signatures), needed)
            if len({signature.person for signature in record.signatures}) < needed:
                first, second, *_rest = [signature.officer for signature in record.signatures]
                raise SamePersonError(first, second)
            self._next.check(connection, record.draft)
            # The very bytes that departments will get, checked the way they check them.
            trust_list = self._next.load(connection, record.document, threshold=needed)
            if trust_list.sequence != self._next.next_sequence(connection):
                raise DraftChangedError
            at = self.clock.now()
            values = {
                "sequence": trust_list.sequence,
                "draft": record.id,
                "document": record.document,
                "sha256": trust_list.sha256,
                "issued_at": trust_list.issued_at,
                "next_update": trust_list.next_update,
                "published_at": at,
                "published_by": actor,
            }
            records.insert_publication(connection, values, record.draft)
            records.close_draft(connection, record.id, state="published", actor=actor, at=at)
            details: dict[str, Json] = {
                "sha256": trust_list.sha256,
                "next_update": trust_list.next_update.isoformat(),
                "officers": [signature.officer for signature in record.signatures],
            }
            self._record(connection, "list.published", actor, f"list:{trust_list.sequence}", details)
            return self._published(connection)

    # Inside

    def _open(self, connection: Connection, draft: Draft, event: str, actor: str) -> DraftRecord:
        draft_id = records.open_draft(connection, draft, actor=actor, at=self.clock.now())
        self._record(
            connection, event, actor, f"draft:{draft_id}", {"services": [s.id for s in draft.services]}
        )
        return self._draft(connection)

    def _sign(self, record: DraftRecord, officer: str) -> bytes:
        assert record.payload is not None  # noqa: S101  frozen in step 1
        with self._keys.key(officer) as key:
            if record.document is None:
                return sign_document(record.payload, typ=TYP, keys=[key])
            return add_signature(record.document, typ=TYP, key=key)

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

    def _usable(self, connection: Connection, officer: str) -> Operator:
        operator = self._operators.load(connection, officer)
        check_usable(operator, at=self.clock.now())
        check_role(operator, LIST_OFFICER)
        return operator

    def _record(
        self, connection: Connection, event: str, actor: str, subject: str, details: Mapping[str, Json]
    ) -> None:
        self._audit.record(connection, event=event, actor=actor, subject=subject, details=details)
