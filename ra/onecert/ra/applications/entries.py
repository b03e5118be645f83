"""What a clerk typed, before anything is kept of it: checked, compared with what is there, made ready.

Nothing here writes. What needs the token (the hash of a person, sealed data) is done in `prepare`, before the
short transaction that keeps the row.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from onecert.ra.applications.duplicates import (
    Elsewhere,
    duplicate_error,
    entity_key,
    find_duplicate,
    find_key_holder,
    key_error,
    list_same,
)
from onecert.ra.applications.findings import Findings
from onecert.ra.applications.following import Followed
from onecert.ra.applications.records import Frozen, place_of, split_personal
from onecert.ra.content.checking import (
    CheckedContent,
    Note,
    Outcome,
    check_content,
    check_field,
    display_name,
)
from onecert.ra.content.csr import MAX_OCTETS
from onecert.ra.content.fields import FIELDS, Field, Kind
from onecert.ra.content.ids import masked_idcard
from onecert.ra.errors import DuplicateError, FieldFault, InvalidApplicationError, KeyRepeatedError
from onecert.ra.operators.scopes import Scope, load_scope
from onecert.ra.search.index import marks_of
from onecert.ra.vault.sealed import Vault
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import _
from onecert.server.operators import Operator

__all__ = ["Entries", "Entry", "PreparedEntry"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a clerk typed: nothing in it has been checked."""

    kind: Kind
    authority: str
    fields: Mapping[str, str]
    csr: str | bytes
    point: str | None = None  # None: where the operator works
    project: str | None = None
    follows: Followed | None = None
    findings: Mapping[str, Any] | None = None  # of what was submitted before and is judged already
    batch_id: str | None = None  # the batch whose row it is


@dataclass(frozen=True)
class PreparedEntry:
    """A checked entry with what needs the token already done, ready for one short transaction."""

    entry: Entry
    outcome: Outcome
    idcard_hmac: str | None
    idcard_masked: str | None
    entity_key: str | None
    open_fields: str
    personal_sealed: bytes
    request_hmac: str
    marks: Mapping[str, str]  # keyed hashes by which it is found, see onecert.ra.search

    def columns(self) -> dict[str, Any]:
        """The entry as a row of the table has it."""
        outcome, entry = self.outcome, self.entry
        sound = _sound_values(outcome)
        name = display_name(entry.kind, outcome.values)
        return {
            "kind": entry.kind.value,
            "authority": entry.authority,
            "name": "".join(char for char in name if char.isprintable())[:128],
            "uscc": sound.get("uscc"),
            "idcard_hmac": self.idcard_hmac,
            "idcard_masked": self.idcard_masked,
            "entity_key": self.entity_key,
            "fields": self.open_fields,
            "personal_sealed": self.personal_sealed,
            "csr_pem": outcome.request.pem if outcome.request else _kept_csr(outcome, entry.csr),
            "key_sha256": outcome.request.key_sha256 if outcome.request else None,
            "batch_id": entry.batch_id,
        }


class Entries:
    """Checks entries and makes them ready."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        vault: Vault,
        findings: Findings,
        test_ids: bool = False,
        required: Collection[str] = (),
        longest_months: Callable[[str, str], int | None] = lambda _authority, _kind: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._test_ids = test_ids
        self._required = _by_kind(required)
        self._longest_months = longest_months
        self.findings = findings

    def check(self, entry: Entry) -> Outcome:
        """Everything that is wrong with an entry, without keeping anything.

        What the policy refuses by the consent and by the register counts as a fault, unless it was judged
        when the entry was submitted.
        """
        outcome = check_content(
            entry.kind,
            entry.authority,
            entry.fields,
            entry.csr,
            at=self._clock.now().date(),
            test_ids=self._test_ids,
            required=self._required[entry.kind],
            texts=self.findings.texts,
        )
        refused = self.refusals(entry, outcome)
        if not refused:
            return outcome
        return replace(outcome, faults=(*outcome.faults, *refused), content=None)

    def refusals(self, entry: Entry, outcome: Outcome) -> list[FieldFault]:
        """What the policy and the authority refuse of values that have no fault by themselves."""
        refused = [] if entry.findings is not None else self.findings.refusals(outcome)
        return [*refused, *self._find_long_term(entry, outcome)]

    def required(self, kind: Kind) -> frozenset[str]:
        """Fields that are needed here besides those that are needed anywhere."""
        return self._required[kind]

    def _find_long_term(self, entry: Entry, outcome: Outcome) -> list[FieldFault]:
        """A term that the authority does not grant for this type."""
        months = outcome.values.get("certificate_months", "")
        if not months or any(fault.field == "certificate_months" for fault in outcome.faults):
            return []
        longest = self._longest_months(entry.authority, entry.kind.value)
        if longest is None or int(months) <= longest:
            return []
        text = _("The authority grants at most %(longest)s months for this type.")
        hint = _("Leave it empty for the whole term.")
        return [FieldFault("certificate_months", "FIELD_TERM", text, hint, {"longest": longest})]

    def check_one(self, field: Field, value: str) -> tuple[str, list[FieldFault], list[Note]]:
        """One field while it is typed, by the same function as at submit."""
        return check_field(field, value, self._clock.now().date(), test_ids=self._test_ids)

    def is_required(self, kind: Kind, field: Field) -> bool:
        """Whether a form marks it as needed."""
        return field.required or field.name in self._required[kind]

    def recheck(self, frozen: Frozen) -> CheckedContent:
        """Check what is on record again, by the rules of today. Raises `InvalidApplicationError`."""
        application = frozen.application
        outcome = self.check(
            Entry(
                kind=application.kind,
                authority=application.authority,
                fields=frozen.values,
                csr=frozen.csr_pem,
                findings=frozen.findings,
            )
        )
        if outcome.content is None:
            raise InvalidApplicationError(outcome.faults)
        return outcome.content

    def find_collision(
        self, entry: Entry, operator: Operator, *, besides: str | None
    ) -> DuplicateError | KeyRepeatedError | None:
        """Tell this clerk early, while typing, what submitting would refuse; nothing is held yet."""
        outcome = self.check(entry)
        hashed = self._hash_person(entry.kind, outcome)
        key = entity_key(entry.kind, _sound_values(outcome), hashed)
        now = self._clock.now()
        with self._database.reading() as connection:
            scope = load_scope(connection, operator.id)
            if key is not None:
                found = find_duplicate(
                    connection,
                    key=key,
                    authority=entry.authority,
                    kind=entry.kind,
                    besides=besides,
                    at=now,
                    follows=entry.follows is not None,
                )
                if found is not None:
                    return duplicate_error(found, scope)
            if outcome.request is not None:
                holder = find_key_holder(connection, outcome.request.key_sha256, besides)
                if holder is not None:
                    return key_error(holder, scope)
        return None

    def list_others(self, entry: Entry, scope: Scope, *, besides: str | None) -> list[Elsewhere]:
        """What the same firm or person applies for or holds, told while a clerk is typing."""
        outcome = self.check(entry)
        hashed = self._hash_person(entry.kind, outcome)
        with self._database.reading() as connection:
            return list_same(
                connection,
                scope,
                uscc=_sound_values(outcome).get("uscc"),
                idcard_hmac=hashed,
                besides=besides,
                at=self._clock.now(),
            )

    def prepare(self, entry: Entry, application_id: str, salt: str) -> PreparedEntry:
        """Check it and do what needs the token; faults are kept with it."""
        outcome = self.check(entry)
        hashed = self._hash_person(entry.kind, outcome)
        sound = _sound_values(outcome)
        opened, personal = split_personal(outcome.values)
        return PreparedEntry(
            entry=entry,
            outcome=outcome,
            idcard_hmac=hashed,
            idcard_masked=masked_idcard(sound["idcard"]) if "idcard" in sound else None,
            entity_key=entity_key(entry.kind, sound, hashed),
            open_fields=json.dumps(opened, ensure_ascii=False),
            personal_sealed=self._vault.seal_json(place_of(application_id), {**personal, "salt": salt}),
            request_hmac=self._vault.content_hmac(_request_text(entry)),
            marks=marks_of(self._vault, sound),
        )

    def _hash_person(self, kind: Kind, outcome: Outcome) -> str | None:
        """The keyed hash of the person that the certificate is for; an organisation's agent is not."""
        number = _sound_values(outcome).get("idcard")
        is_person = kind in {Kind.CITIZEN, Kind.EMPLOYEE}
        return self._vault.idcard_hmac(number) if number and is_person else None


def _by_kind(required: Collection[str]) -> dict[Kind, frozenset[str]]:
    """`organisation.address` for one type of application, `email` for each that has the field.

    Raises:
        ValueError: there is no such field.
    """
    found: dict[Kind, set[str]] = {kind: set() for kind in Kind}
    for word in required:
        kind, dot, name = word.rpartition(".")
        kinds = [each for each in Kind if not dot or each.value == kind]
        known = [each for each in kinds if name in {field.name for field in FIELDS[each]}]
        if not known:
            raise ValueError(f"fields_required: there is no field {word}")
        for each in known:
            found[each].add(name)
    return {kind: frozenset(names) for kind, names in found.items()}


def _request_text(entry: Entry) -> str:
    """What was typed, in one spelling."""
    csr = entry.csr if isinstance(entry.csr, str) else entry.csr.decode("latin-1")
    said = [entry.kind.value, entry.authority, sorted(entry.fields.items()), csr.replace("\r\n", "\n")]
    return json.dumps(said, ensure_ascii=False)


def _sound_values(outcome: Outcome) -> dict[str, str]:
    """The values that have no fault."""
    faulty = {fault.field for fault in outcome.faults}
    return {name: value for name, value in outcome.values.items() if name not in faulty}


def _kept_csr(outcome: Outcome, csr: str | bytes) -> str:
    """A faulty request as typed, so that the clerk sees it again; a private key is never kept."""
    if any(fault.code == "CSR_PRIVATE_KEY" for fault in outcome.faults):
        return ""
    text = csr.decode("utf-8", "replace") if isinstance(csr, bytes) else csr
    return text.replace("\0", "")[:MAX_OCTETS]
