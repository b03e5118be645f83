"""What people do to an application: enter, save, submit, approve, return, reject, withdraw, take up again.

Each act is one transaction with its audit entry, and checks role, state and people itself, below the web
layer: pages, REST and import only carry. Submitting freezes the content by its hash; approving names that
hash, so that what is approved is what was shown. After an approval `dispatch.py` signs and sends the order.
"""

import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError

from onecert.ra.authorities import Directory
from onecert.ra.content import CheckedContent, Outcome, check_content, display_name
from onecert.ra.csr import MAX_OCTETS
from onecert.ra.duplicates import (
    duplicate_error,
    entity_key,
    find_duplicate,
    find_key_holder,
    release_claim,
    take_claim,
    take_key,
)
from onecert.ra.errors import (
    ContentChangedError,
    DuplicateError,
    InvalidApplicationError,
    KeyRepeatedError,
    ReasonMissingError,
    StaleFormError,
)
from onecert.ra.fields import Kind
from onecert.ra.ids import masked_idcard
from onecert.ra.models import application_events, applications
from onecert.ra.records import (
    Application,
    Frozen,
    contributors,
    find_by_request_key,
    load_application,
    load_frozen,
    place_of,
    split_personal,
)
from onecert.ra.states import ENTRY, NEEDS_SECOND_PERSON, ROLE_OF_ACT, Act, check_move
from onecert.ra.vault import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, check_different_people, check_role, check_usable

__all__ = ["Applications", "Entry"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a clerk typed: nothing in it has been checked."""

    kind: Kind
    authority: str
    fields: Mapping[str, str]
    csr: str | bytes


@dataclass(frozen=True)
class _Prepared:
    """A checked entry with what needs the token already done, ready for one short transaction."""

    entry: Entry
    outcome: Outcome
    idcard_hmac: str | None
    idcard_masked: str | None
    entity_key: str | None
    open_fields: str
    personal_sealed: bytes


class Applications:
    """The acts. `load_operator` finds an account by id, for the rule of two people."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        directory: Directory,
        load_operator: Callable[[Connection, str], Operator],
        test_ids: bool = False,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._directory = directory
        self._load_operator = load_operator
        self._test_ids = test_ids

    def check(self, entry: Entry) -> Outcome:
        """Everything that is wrong with an entry, without keeping anything."""
        at = self._clock.now().date()
        return check_content(
            entry.kind, entry.authority, entry.fields, entry.csr, at=at, test_ids=self._test_ids
        )

    def create(self, operator: Operator, entry: Entry, *, request_key: str) -> Application:
        """Keep a draft, faulty or not; the same `request_key` by the same operator is the same draft.

        Raises:
            AuthorityUnknownError, ProfileMissingError: the CA has no such authority or certificate type.
        """
        check_role(operator, ENTRY)
        profile = self._directory.profile(entry.authority, entry.kind.value)
        application_id = str(uuid.uuid4())
        key = f"{operator.id}:{request_key}"[:128]
        prepared = self._prepare(entry, application_id, secrets.token_hex(16))
        now = self._clock.now()
        try:
            with self._database.transaction() as connection:
                operator = self._load_operator(connection, operator.id)
                check_usable(operator, at=now)
                check_role(operator, ENTRY)
                if (made := find_by_request_key(connection, key)) is not None:
                    return made
                connection.execute(
                    insert(applications).values(
                        id=application_id,
                        request_key=key,
                        profile=profile.name,
                        profile_version=profile.version,
                        state="draft",
                        state_since=now,
                        revision=1,
                        created_at=now,
                        created_by=operator.id,
                        **_columns(prepared),
                    )
                )
                created = load_application(connection, application_id)
                self._write(connection, created, event="created", operator=operator, at=now)
                return created
        except IntegrityError:
            with self._database.reading() as connection:
                if (made := find_by_request_key(connection, key)) is None:
                    raise
                return made

    def is_known(self, operator: Operator, request_key: str) -> bool:
        """Whether this operator already made an application with this key."""
        with self._database.reading() as connection:
            return find_by_request_key(connection, f"{operator.id}:{request_key}"[:128]) is not None

    def save(self, operator: Operator, application_id: str, entry: Entry, *, revision: int) -> Application:
        """Replace what was entered; authority and type stay as they are.

        Raises:
            StaleFormError: somebody changed it after this form was opened.
        """
        with self._database.reading() as connection:
            salt = load_frozen(connection, self._vault, application_id).salt
            before = load_application(connection, application_id)
        profile = self._directory.profile(before.authority, before.kind.value)
        entry = Entry(kind=before.kind, authority=before.authority, fields=entry.fields, csr=entry.csr)
        prepared = self._prepare(entry, application_id, salt)
        with self._database.transaction() as connection:
            current, now = self._begin(connection, operator, application_id, Act.SAVE)
            if current.revision != revision:
                raise StaleFormError
            changes = {**_columns(prepared), "profile": profile.name, "profile_version": profile.version}
            return self._move(
                connection, current, operator=operator, act=Act.SAVE, event="saved", at=now, changes=changes
            )

    def submit(self, operator: Operator, application_id: str, *, revision: int | None = None) -> Application:
        """Check everything again and freeze it for the reviewer.

        Raises:
            InvalidApplicationError: fields are missing or wrong.
            DuplicateError, KeyRepeatedError: somebody already has it.
        """
        with self._database.reading() as connection:
            frozen = load_frozen(connection, self._vault, application_id)
        check_role(operator, ENTRY)
        check_move(frozen.application.state, Act.SUBMIT)
        checked = self.recheck(frozen)
        key = frozen.application.entity_key
        if key is None:
            raise RuntimeError("content without a fault has no entity")  # the two checks disagree
        profile = self._directory.profile(frozen.application.authority, frozen.application.profile)
        with self._database.transaction() as connection:
            current, now = self._begin(connection, operator, application_id, Act.SUBMIT)
            if current.revision != frozen.application.revision or revision not in {None, current.revision}:
                raise StaleFormError
            release_claim(connection, application_id)
            take_claim(
                connection,
                key=key,
                authority=current.authority,
                kind=current.kind,
                application_id=application_id,
                at=now,
            )
            take_key(connection, key_sha256=checked.request.key_sha256, application_id=application_id)
            changes = {
                "content_sha256": frozen.sha256(checked),
                "profile_version": profile.version,
                "submitted_by": operator.id,
                "reviewed_by": None,
                "reason": None,
            }
            return self._move(
                connection,
                current,
                operator=operator,
                act=Act.SUBMIT,
                event="submitted",
                at=now,
                changes=changes,
            )

    def approve(self, operator: Operator, application_id: str, *, content_sha256: str) -> Application:
        """Approve exactly the content with this hash; the order follows outside (see dispatch.py).

        Raises:
            ContentChangedError: the hash is not the one on record, or the record does not match its own hash.
            SamePersonError: the reviewer entered it, under whatever account.
        """
        with self._database.reading() as connection:
            frozen = load_frozen(connection, self._vault, application_id)
        check_role(operator, ROLE_OF_ACT[Act.APPROVE])
        check_move(frozen.application.state, Act.APPROVE)
        # What is in the database now must still be what was submitted: a row changed from outside is not
        # approved.
        if frozen.sha256(self.recheck(frozen)) != content_sha256:
            raise ContentChangedError
        with self._database.transaction() as connection:
            current, now = self._begin(connection, operator, application_id, Act.APPROVE)
            if current.content_sha256 != content_sha256 or current.revision != frozen.application.revision:
                raise ContentChangedError
            changes = {"reviewed_by": operator.id, "order_id": str(uuid.uuid4()), "reason": None}
            return self._move(
                connection,
                current,
                operator=operator,
                act=Act.APPROVE,
                event="approved",
                at=now,
                changes=changes,
            )

    def send_back(self, operator: Operator, application_id: str, *, reason: str) -> Application:
        """Return it to the entry clerk for correction."""
        return self._judge(operator, application_id, Act.RETURN, "returned", reason)

    def reject(self, operator: Operator, application_id: str, *, reason: str) -> Application:
        """Refuse it for good; the applicant may apply again."""
        return self._judge(operator, application_id, Act.REJECT, "rejected", reason)

    def withdraw(self, operator: Operator, application_id: str) -> Application:
        """End it at the applicant's wish, as long as the CA has not been asked, or has refused."""
        with self._database.transaction() as connection:
            current, now = self._begin(connection, operator, application_id, Act.WITHDRAW)
            release_claim(connection, application_id)
            return self._move(
                connection,
                current,
                operator=operator,
                act=Act.WITHDRAW,
                event="withdrawn",
                at=now,
                changes={},
            )

    def reopen(self, operator: Operator, application_id: str) -> Application:
        """Take up again what the CA refused; it is corrected, submitted and reviewed again."""
        with self._database.transaction() as connection:
            current, now = self._begin(connection, operator, application_id, Act.REOPEN)
            changes = {"content_sha256": None, "order_id": None, "reviewed_by": None}
            return self._move(
                connection,
                current,
                operator=operator,
                act=Act.REOPEN,
                event="reopened",
                at=now,
                changes=changes,
            )

    def recheck(self, frozen: Frozen) -> CheckedContent:
        """Check what is on record again, by the rules of today. Raises `InvalidApplicationError`."""
        application = frozen.application
        outcome = self.check(
            Entry(
                kind=application.kind,
                authority=application.authority,
                fields=frozen.values,
                csr=frozen.csr_pem,
            )
        )
        if outcome.content is None:
            raise InvalidApplicationError(outcome.faults)
        return outcome.content

    def find_collision(
        self, entry: Entry, *, besides: str | None
    ) -> DuplicateError | KeyRepeatedError | None:
        """Tell early, while a clerk is typing, what submitting would refuse; nothing is held yet."""
        outcome = self.check(entry)
        hashed = self._hash_person(entry.kind, outcome)
        key = entity_key(entry.kind, _sound_values(outcome), hashed)
        now = self._clock.now()
        with self._database.reading() as connection:
            if key is not None:
                found = find_duplicate(
                    connection, key=key, authority=entry.authority, kind=entry.kind, besides=besides, at=now
                )
                if found is not None:
                    return duplicate_error(found)
            if outcome.request is not None:
                holder = find_key_holder(connection, outcome.request.key_sha256, besides)
                if holder is not None:
                    return KeyRepeatedError(number=holder.number)
        return None

    def _judge(
        self, operator: Operator, application_id: str, act: Act, event: str, reason: str
    ) -> Application:
        reason = reason.strip()
        if not 2 <= len(reason) <= 500:
            raise ReasonMissingError
        with self._database.transaction() as connection:
            current, now = self._begin(connection, operator, application_id, act)
            if act is Act.REJECT:
                release_claim(connection, application_id)
            changes = {"reviewed_by": operator.id, "reason": reason}
            return self._move(
                connection,
                current,
                operator=operator,
                act=act,
                event=event,
                at=now,
                changes=changes,
                note=reason,
            )

    def _begin(
        self, connection: Connection, operator: Operator, application_id: str, act: Act
    ) -> tuple[Application, datetime]:
        """The checks that every act begins with: account, role, state, two people."""
        now = self._clock.now()
        # The account as it is now, not as it was when the page was opened.
        operator = self._load_operator(connection, operator.id)
        check_usable(operator, at=now)
        check_role(operator, ROLE_OF_ACT[act])
        current = load_application(connection, application_id, lock=True)
        check_move(current.state, act)
        if act in NEEDS_SECOND_PERSON:
            for other in contributors(connection, application_id):
                check_different_people(operator, self._load_operator(connection, other))
        return current, now

    def _move(
        self,
        connection: Connection,
        current: Application,
        *,
        operator: Operator,
        act: Act,
        event: str,
        at: datetime,
        changes: Mapping[str, Any],
        note: str | None = None,
    ) -> Application:
        move = check_move(current.state, act)
        values = {**changes, "state": move.after.value, "revision": current.revision + 1}
        if move.after is not move.before:
            values["state_since"] = at
        connection.execute(update(applications).where(applications.c.id == current.id).values(**values))
        after = load_application(connection, current.id)
        self._write(connection, after, event=event, operator=operator, at=at, note=note)
        return after

    def _write(
        self,
        connection: Connection,
        application: Application,
        *,
        event: str,
        operator: Operator,
        at: datetime,
        note: str | None = None,
    ) -> None:
        """One step of the life line and its audit entry. Neither holds personal numbers."""
        connection.execute(
            insert(application_events).values(
                application_id=application.id,
                at=at,
                actor=operator.id,
                event=event,
                state=application.state.value,
                note=note,
            )
        )
        details: dict[str, Any] = {
            "number": application.number,
            "authority": application.authority,
            "type": application.kind.value,
            "revision": application.revision,
        }
        if application.content_sha256:
            details["content_sha256"] = application.content_sha256
        if application.order_id and event == "approved":
            details["order"] = application.order_id
        self._audit.record(
            connection,
            event=f"application.{event}",
            actor=f"operator:{operator.id}",
            subject=f"application:{application.id}",
            details=details,
        )

    def _prepare(self, entry: Entry, application_id: str, salt: str) -> _Prepared:
        outcome = self.check(entry)
        hashed = self._hash_person(entry.kind, outcome)
        sound = _sound_values(outcome)
        opened, personal = split_personal(outcome.values)
        return _Prepared(
            entry=entry,
            outcome=outcome,
            idcard_hmac=hashed,
            idcard_masked=masked_idcard(sound["idcard"]) if "idcard" in sound else None,
            entity_key=entity_key(entry.kind, sound, hashed),
            open_fields=json.dumps(opened, ensure_ascii=False),
            personal_sealed=self._vault.seal_json(place_of(application_id), {**personal, "salt": salt}),
        )

    def _hash_person(self, kind: Kind, outcome: Outcome) -> str | None:
        """The keyed hash of the person that the certificate is for; an organisation's agent is not."""
        number = _sound_values(outcome).get("idcard")
        return self._vault.idcard_hmac(number) if number and kind is not Kind.ORGANISATION else None


def _sound_values(outcome: Outcome) -> dict[str, str]:
    """The values that have no fault."""
    faulty = {fault.field for fault in outcome.faults}
    return {name: value for name, value in outcome.values.items() if name not in faulty}


def _columns(prepared: _Prepared) -> dict[str, Any]:
    outcome, entry = prepared.outcome, prepared.entry
    sound = _sound_values(outcome)
    name = display_name(entry.kind, outcome.values)
    return {
        "kind": entry.kind.value,
        "authority": entry.authority,
        "name": "".join(char for char in name if char.isprintable())[:128],
        "uscc": sound.get("uscc"),
        "idcard_hmac": prepared.idcard_hmac,
        "idcard_masked": prepared.idcard_masked,
        "entity_key": prepared.entity_key,
        "fields": prepared.open_fields,
        "personal_sealed": prepared.personal_sealed,
        "csr_pem": outcome.request.pem if outcome.request else _kept_csr(outcome, entry.csr),
        "key_sha256": outcome.request.key_sha256 if outcome.request else None,
    }


def _kept_csr(outcome: Outcome, csr: str | bytes) -> str:
    """A faulty request as typed, so that the clerk sees it again; a private key is never kept."""
    if any(fault.code == "CSR_PRIVATE_KEY" for fault in outcome.faults):
        return ""
    text = csr.decode("utf-8", "replace") if isinstance(csr, bytes) else csr
    return text.replace("\0", "")[:MAX_OCTETS]
