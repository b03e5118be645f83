"""The life of a trust list: drafts (see `drafts.py`), signatures of two officers, publication.

Every act is one transaction with its audit entry. The only thing outside is the officer's token: what is to
be signed is on record before the key is used, and the signature is taken only if the record has not changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from onecert.server.audit import Json
from onecert.server.documents import add_signature, sign_document
from onecert.server.operators import Operator, check_role, check_usable
from onecert.server.operators.errors import SamePersonError
from onecert.supervision import records
from onecert.supervision.drafts import Drafts
from onecert.supervision.errors import (
    DraftChangedError,
    OfficerExistsError,
    PinRefusedError,
    SignaturesMissingError,
)
from onecert.supervision.next_list import counting_signatures, frozen_list, sequence_of
from onecert.supervision.officers import (
    LIST_OFFICER,
    Officer,
    add_officer,
    all_officers,
    list_keys,
    load_officer,
    remove_officer,
)
from onecert.supervision.records import DraftRecord, Publication
from onecert.supervision.root_errors import ListNotUnderRootError, RootMissingError, TrustRootOverdueError
from onecert.supervision.root_records import find_root
from onecert.verifier.trust_list import RoleKeys
from onecert.verifier.trust_list.root import TrustRoot
from onecert.verifier.trust_list.vocabulary import TYP

__all__ = ["Editor"]


class Editor(Drafts):
    """All acts on the trust list, whoever asks: commands, pages, jobs."""

    # Officers

    def add_officer(self, officer: str, *, actor: str, pin: str = "") -> Officer:
        """Give the operator ``officer`` a list key on a token of its own. The account must have the role.

        Args:
            pin: that the officer has chosen, of a new token; of a token that is there, its PIN.

        Raises:
            OfficerExistsError, RoleRequiredError, OperatorUnknownError, PinRefusedError, TokenNotReadyError
        """
        with self.database.reading() as connection:
            self._usable(connection, officer)
            if any(each.id == officer for each in all_officers(connection, removed=True)):
                raise OfficerExistsError(officer)  # before a PIN is asked of the token
        with self._keys.key(officer, pin=pin, create=True) as key:
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

    def remove_officer(self, officer: str, *, actor: str) -> Officer:
        """Let an officer leave. Departments take the key until the next root; no new draft does.

        Raises:
            OfficerUnknownError
        """
        with self.database.transaction() as connection:
            at = self.clock.now()
            removed = remove_officer(connection, officer, at=at)
            record = records.find_open_draft(connection, lock=True)
            if record is not None and any(each.officer == officer for each in record.signatures):
                # What was signed with this key is void; the others sign anew.
                records.replace_content(connection, record, record.draft, actor=actor, at=at)
            self._record(connection, "officer.removed", actor, f"officer:{officer}", {"kid": removed.kid})
        return removed

    def change_pin(self, officer: str, *, old: str, new: str, actor: str) -> None:
        """Give an officer's token another PIN.

        Raises:
            OfficerUnknownError, PinRefusedError, TokenNotReadyError: the token has its old PIN.
        """
        with self.database.reading() as connection:
            load_officer(connection, officer)
        with self._pin_on_record(officer, actor):
            self._keys.change_pin(officer, old=old, new=new)
        with self.database.transaction() as connection:
            self._record(connection, "officer.pin_changed", actor, f"officer:{officer}", {})

    def unlock_officer(self, officer: str, *, actor: str) -> None:
        """Let PINs of an officer's token be tried again after too many wrong ones.

        Raises:
            OfficerUnknownError, TokenNotReadyError
        """
        with self.database.transaction() as connection:
            load_officer(connection, officer)
            self._record(connection, "officer.unlocked", actor, f"officer:{officer}", {})
        self._keys.forget_wrong_pins(officer)

    def list_keys(self) -> RoleKeys:
        """The officers' public keys and how many must sign."""
        with self.database.reading() as connection:
            return list_keys(connection, self._threshold(self._find_root(connection)))

    # Signing and publishing

    def prepare(self, *, actor: str, stamp: str | None = None) -> DraftRecord:
        """Fix number and dates of the open draft, so that an officer can read exactly what will be signed.

        Raises:
            NoDraftError, DraftChangedError, DraftRefusedError, SampleError, ListBackwardsError
        """
        with self.database.transaction() as connection:
            record = self._draft(connection, lock=True)
            self._check_stamp(record, stamp)
            self._next.check(connection, record.draft)
            frozen = self._freeze(connection, record)
            if frozen.payload != record.payload:
                details: dict[str, Json] = {"sequence": sequence_of(frozen.payload)}
                self._record(connection, "draft.prepared", actor, f"draft:{record.id}", details)
            return frozen

    def sign(self, officer: str, *, actor: str, pin: str = "", sha256: str | None = None) -> DraftRecord:
        """Sign the open draft with an officer's key. A second time by the same officer changes nothing.

        Args:
            pin: of the officer's token, as typed; it is neither kept nor logged.
            sha256: digest of the payload that the officer has read; anything else is not signed.

        Raises:
            SamePersonError: the person behind this account has signed already, under another account.
            PinRefusedError: the token did not open.
            OfficerUnknownError, RoleRequiredError, TokenNotReadyError, DraftChangedError, and as ``edit``.
        """
        # 1. What is to be signed is checked and on record before the key is used.
        with self.database.transaction() as connection:
            operator = self._usable(connection, officer)
            load_officer(connection, officer)
            record = self._draft(connection, lock=True)
            self._next.check(connection, record.draft)
            record = self._freeze(connection, record)
            if sha256 is not None and sha256 != frozen_list(record).sha256:
                raise DraftChangedError
            if any(signature.officer == officer for signature in record.signatures):
                return record
            for signature in record.signatures:
                if signature.person == operator.person:
                    raise SamePersonError(signature.officer, officer)
        # 2. The officer's key, on the officer's token.
        with self._pin_on_record(officer, actor):
            document = self._sign(record, officer, pin)
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
            registered = list_keys(connection, len(record.signatures) + 1)
            self._next.load(document, registered)
            at = self.clock.now()
            records.set_document(connection, record, document)
            records.add_signature_row(connection, record, officer=officer, person=operator.person, at=at)
            details: dict[str, Json] = {"officer": officer, "sequence": sequence_of(record.payload)}
            self._record(connection, "draft.signed", actor, f"draft:{record.id}", details)
            return self._draft(connection)

    def publish(self, *, actor: str, stamp: str | None = None) -> Publication:
        """Publish the signed draft under the next number.

        Raises:
            SignaturesMissingError: too few officers have signed.
            RootMissingError, TrustRootOverdueError: no root says who the officers are.
            ListNotUnderRootError: those who have signed are not those whom the root names.
            DraftChangedError: another list was published since it was signed.
            DraftRefusedError, SampleError, ListBackwardsError: as ``edit``.
        """
        with self.database.transaction() as connection:
            # A new root and a list do not pass each other.
            find_root(connection, lock=True)
            return self.publish_in(connection, actor=actor, stamp=stamp)

    def publish_in(self, connection: Connection, *, actor: str, stamp: str | None = None) -> Publication:
        """What ``publish`` does, in a transaction that a new root is part of too."""
        record = self._draft(connection, lock=True)
        self._check_stamp(record, stamp)
        root = self._root(connection)
        needed = root.list_keys.threshold
        counting = counting_signatures(connection, record, root)
        if record.document is None or len(record.signatures) < needed:
            raise SignaturesMissingError(len(record.signatures), needed)
        if len(counting) < needed:
            raise ListNotUnderRootError(root.version, needed)
        if len({signature.person for signature in counting}) < needed:
            first, second, *_rest = [signature.officer for signature in counting]
            raise SamePersonError(first, second)
        self._next.check(connection, record.draft)
        # The very bytes that departments will get, checked the way they check them.
        trust_list = self._next.load(record.document, root.list_keys)
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
            "root": root.version,
        }
        self._record(connection, "list.published", actor, f"list:{trust_list.sequence}", details)
        return self._published(connection)

    # Inside

    def _root(self, connection: Connection) -> TrustRoot:
        """The root in force, which names the officers that departments know."""
        root = self._find_root(connection)
        if root is None:
            raise RootMissingError
        if self.clock.now() >= root.expires_at:
            raise TrustRootOverdueError(root.version)
        return root

    @contextmanager
    def _pin_on_record(self, officer: str, actor: str) -> Iterator[None]:
        """A PIN that the token has refused goes into the audit trail: somebody may be guessing."""
        try:
            yield
        except PinRefusedError as exc:
            if exc.was_tried:
                with self.database.transaction() as connection:
                    details: dict[str, Json] = {"code": exc.code}
                    self._record(connection, "officer.pin_refused", actor, f"officer:{officer}", details)
            raise

    def _sign(self, record: DraftRecord, officer: str, pin: str) -> bytes:
        assert record.payload is not None  # noqa: S101  frozen in step 1
        with self._keys.key(officer, pin=pin) as key:
            if record.document is None:
                return sign_document(record.payload, typ=TYP, keys=[key])
            return add_signature(record.document, typ=TYP, key=key)

    def _usable(self, connection: Connection, officer: str) -> Operator:
        operator = self._operators.load(connection, officer)
        check_usable(operator, at=self.clock.now())
        check_role(operator, LIST_OFFICER)
        return operator
