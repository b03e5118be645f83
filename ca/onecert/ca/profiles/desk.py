"""The life of a version after the ceremony: a draft, two signatures, installed from a day on, withdrawn.

Every act is one transaction with its audit entry. The only thing outside is an officer's token: what is to be
signed is on record before the key is used, and the signature is taken only if the record has not changed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.errors import TwoPeopleError, UnknownProfileError
from onecert.ca.errors.profiles import (
    ProfileDraftChangedError,
    ProfileFileError,
    ProfileSignaturesError,
    ProfileVersionTakenError,
    UnknownProfileDraftError,
)
from onecert.ca.models import profiles
from onecert.ca.profiles.documents import (
    PROFILE_TYPE,
    SIGNATURES,
    SignedProfile,
    open_profile,
    profile_payload,
)
from onecert.ca.profiles.file import profile_from_text
from onecert.ca.profiles.models import profile_drafts
from onecert.ca.profiles.profile import Profile
from onecert.ca.profiles.sample import Sample, make_sample
from onecert.ca.revocation.security_officers import (
    PROFILE_OFFICER,
    OfficerTokens,
    SecurityOfficer,
    SecurityOfficers,
)
from onecert.server.audit import AuditTrail, Json
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import add_signature, sign_document
from onecert.server.languages import Sentence, _
from onecert.server.operators import SamePersonError, check_role, check_usable

__all__ = ["PROFILE_OFFICER", "ProfileDesk", "ProfileDraft"]

OPEN, INSTALLED, DISCARDED = "open", "installed", "discarded"


@dataclass(frozen=True, kw_only=True)
class ProfileDraft:
    """An open draft as it is on record."""

    id: str
    authority: str
    profile: Profile
    text: str
    in_force_from: datetime
    payload: Mapping[str, Any]
    document: bytes | None
    signatures: tuple[Mapping[str, str], ...]
    revision: int
    created_by: str
    changed_at: datetime

    @property
    def is_signed(self) -> bool:
        return len(self.signatures) >= SIGNATURES


class ProfileDesk:
    """All acts on profiles, whoever asks: commands or pages."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        authorities: Authorities,
        officers: SecurityOfficers,
        tokens: OfficerTokens,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._officers = officers
        self._tokens = tokens

    def check(self, authority: str, text: str | bytes) -> tuple[Profile, Sample]:
        """Read a profile file for an authority, and make a sample of it.

        Raises:
            ProfileFileError: with every fault; and what `make_sample` raises.
            UnknownAuthorityError, ProfileVersionTakenError
        """
        found = self._authorities.get(authority)
        if found.is_root:
            raise ProfileFileError([Sentence(_("“%(name)s” is a root"), name=authority)])
        profile = profile_from_text(text)
        with self._database.reading() as connection:
            _check_version(connection, authority, profile)
        return profile, make_sample(profile, found.issuer, self._clock.now())

    # Drafts

    def draft(self, authority: str, text: str, *, in_force_from: datetime | None, actor: str) -> ProfileDraft:
        """Open a draft; one that is open for the same profile is replaced, and its signatures are void.

        Raises:
            see `check`.
        """
        profile, _sample = self.check(authority, text)
        at = self._clock.now()
        signed = SignedProfile(
            authority=authority, profile=profile, in_force_from=(in_force_from or at).replace(microsecond=0)
        )
        number = secrets.token_hex(8)
        with self._database.transaction() as connection:
            _check_version(connection, authority, profile)
            self._close(connection, authority, profile.name)
            connection.execute(
                insert(profile_drafts).values(
                    id=number,
                    authority=authority,
                    name=profile.name,
                    version=profile.version,
                    text=text,
                    in_force_from=signed.in_force_from,
                    payload=json.dumps(profile_payload(signed), ensure_ascii=False),
                    document=None,
                    signatures="[]",
                    state=OPEN,
                    revision=1,
                    created_by=actor,
                    created_at=at,
                    changed_at=at,
                )
            )
            self._record(connection, "profile.drafted", actor, signed, {"draft": number})
            return _load(connection, number)

    def drafts(self) -> list[ProfileDraft]:
        """Every open draft."""
        query = select(profile_drafts).where(profile_drafts.c.state == OPEN)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(profile_drafts.c.created_at)).mappings()
            return [_draft(row) for row in rows]

    def find(self, draft: str) -> ProfileDraft:
        """One open draft.

        Raises:
            UnknownProfileDraftError
        """
        with self._database.reading() as connection:
            return _load(connection, draft)

    def discard(self, draft: str, *, actor: str) -> None:
        """Close a draft for good.

        Raises:
            UnknownProfileDraftError
        """
        with self._database.transaction() as connection:
            found = _load(connection, draft)
            self._close(connection, found.authority, found.profile.name)
            self._record(connection, "profile.discarded", actor, _signed(found), {"draft": draft})

    def _close(self, connection: Connection, authority: str, name: str) -> None:
        of_profile = (profile_drafts.c.authority == authority) & (profile_drafts.c.name == name)
        connection.execute(
            update(profile_drafts)
            .where(of_profile, profile_drafts.c.state == OPEN)
            .values(state=DISCARDED, changed_at=self._clock.now())
        )

    # Two signatures

    def sign(self, draft: str, officer: str, *, pin: str, sha256: str | None = None) -> ProfileDraft:
        """Sign a draft with an officer's token.

        Args:
            sha256: of the profile that the officer has read; None: whatever the draft says.

        Raises:
            UnknownProfileDraftError, ProfileDraftChangedError, ProfileSignaturesError
            SamePersonError: the same person has signed, under whatever account.
            OperatorError: suspended, ended, without the role. OfficerTokenError: not this PIN, or not now.
        """
        # 1. What is to be signed is on record before the key is used.
        record = self.find(draft)
        if sha256 is not None and sha256 != record.profile.sha256:
            raise ProfileDraftChangedError
        signer = self._officer(officer)
        for signature in record.signatures:
            if signature["officer"] == officer:
                return record
            if signature["person"] == signer.operator.person:
                raise SamePersonError(signature["officer"], officer)
        # 2. The officer's key, on the officer's token.
        with self._tokens.key(officer, pin=pin) as key:
            own: Any = key
            if record.document is None:
                document = sign_document(record.payload, typ=PROFILE_TYPE, keys=[own])
            else:
                document = add_signature(record.document, typ=PROFILE_TYPE, key=own)
        # 3. Taken only when nothing has changed meanwhile, and when it verifies.
        at = self._clock.now()
        entry = {"officer": officer, "person": signer.operator.person, "at": at.isoformat()}
        signatures = [*record.signatures, entry]
        open_profile(document, self._keys(), needed=len(signatures))
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(profile_drafts)
                .where(
                    profile_drafts.c.id == draft,
                    profile_drafts.c.state == OPEN,
                    profile_drafts.c.revision == record.revision,
                )
                .values(
                    document=document,
                    signatures=json.dumps(signatures),
                    revision=record.revision + 1,
                    changed_at=at,
                )
            )
            if changed.rowcount != 1:
                raise ProfileDraftChangedError
            self._record(
                connection, "profile.signed", f"operator:{officer}", _signed(record), {"draft": draft}
            )
            return _load(connection, draft)

    def install(self, draft: str, *, actor: str) -> Profile:
        """Put a draft that two officers have signed in force from its day on.

        Raises:
            UnknownProfileDraftError, ProfileDraftChangedError, ProfileVersionTakenError
            ProfileSignaturesError: signed by fewer than two people who are officers now.
        """
        with self._database.transaction() as connection:
            record = _load(connection, draft)
            signers = [self._officer(signature["officer"]) for signature in record.signatures]
            people = {signer.operator.person for signer in signers}
            if record.document is None or len(people) < SIGNATURES:
                raise ProfileSignaturesError(len(people), SIGNATURES)
            signed = open_profile(
                record.document, {signer.key_id: signer.public_key for signer in signers}, needed=SIGNATURES
            )
            if signed != _signed(record):
                raise ProfileDraftChangedError
            _check_version(connection, signed.authority, signed.profile)
            closed = connection.execute(
                update(profile_drafts)
                .where(
                    profile_drafts.c.id == draft,
                    profile_drafts.c.state == OPEN,
                    profile_drafts.c.revision == record.revision,
                )
                .values(state=INSTALLED, changed_at=self._clock.now())
            )
            if closed.rowcount != 1:
                raise ProfileDraftChangedError
            connection.execute(
                insert(profiles).values(
                    authority=signed.authority,
                    name=signed.profile.name,
                    version=signed.profile.version,
                    content=signed.profile.as_json(),
                    sha256=signed.profile.sha256,
                    in_force=True,
                    added_at=self._clock.now(),
                    document=record.document,
                    in_force_from=signed.in_force_from,
                )
            )
            officers = [signer.id for signer in signers]
            self._record(
                connection, "profile.installed", actor, signed, {"draft": draft, "officers": officers}
            )
        self._authorities.reload()
        return signed.profile

    def withdraw(
        self, authority: str, name: str, version: int, *, approved_by: tuple[str, ...], actor: str
    ) -> None:
        """No order is filled from this version any more, whichever process gets it.

        Raises:
            TwoPeopleError, UnknownProfileError
        """
        if len({person.strip() for person in approved_by if person.strip()}) < SIGNATURES:
            raise TwoPeopleError
        with self._database.transaction() as connection:
            done = connection.execute(
                update(profiles)
                .where(
                    profiles.c.authority == authority,
                    profiles.c.name == name,
                    profiles.c.version == version,
                    profiles.c.in_force.is_(True),
                )
                .values(in_force=False, withdrawn_at=self._clock.now())
            )
            if done.rowcount != 1:
                raise UnknownProfileError(authority, name)
            self._audit.record(
                connection,
                event="profile.withdrawn",
                actor=actor,
                subject=f"{authority}/{name}/{version}",
                details={"approved_by": sorted(approved_by)},
            )
        self._authorities.reload()

    # Reading

    def versions(self, authority: str | None = None, name: str | None = None) -> list[RowMapping]:
        """Every installed version, also those withdrawn: rows of `profiles`, the newest first of each."""
        query = select(profiles).order_by(profiles.c.authority, profiles.c.name, profiles.c.version.desc())
        if authority is not None:
            query = query.where(profiles.c.authority == authority)
        if name is not None:
            query = query.where(profiles.c.name == name)
        with self._database.reading() as connection:
            return list(connection.execute(query).mappings())

    def _officer(self, officer: str) -> SecurityOfficer:
        found = next((each for each in self._officers.everyone() if each.id == officer), None)
        if found is None:
            raise ProfileSignaturesError(0, SIGNATURES)
        check_usable(found.operator, at=self._clock.now())
        check_role(found.operator, PROFILE_OFFICER)
        return found

    def _keys(self) -> dict[str, Any]:
        return {each.key_id: each.public_key for each in self._officers.everyone()}

    def _record(
        self, connection: Connection, event: str, actor: str, signed: SignedProfile, details: dict[str, Json]
    ) -> None:
        self._audit.record(
            connection,
            event=event,
            actor=actor,
            subject=f"{signed.authority}/{signed.profile.name}/{signed.profile.version}",
            details={
                "sha256": signed.profile.sha256,
                "in_force_from": signed.in_force_from.isoformat(),
                **details,
            },
        )


def _check_version(connection: Connection, authority: str, profile: Profile) -> None:
    query = select(func.max(profiles.c.version)).where(
        profiles.c.authority == authority, profiles.c.name == profile.name
    )
    newest = connection.execute(query).scalar_one()
    if newest is not None and profile.version <= newest:
        raise ProfileVersionTakenError(profile.name, profile.version, newest)


def _load(connection: Connection, draft: str) -> ProfileDraft:
    query = select(profile_drafts).where(profile_drafts.c.id == draft, profile_drafts.c.state == OPEN)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownProfileDraftError(draft[:64])
    return _draft(row)


def _draft(row: RowMapping) -> ProfileDraft:
    return ProfileDraft(
        id=row["id"],
        authority=row["authority"],
        profile=profile_from_text(row["text"]),
        text=row["text"],
        in_force_from=row["in_force_from"],
        payload=json.loads(row["payload"]),
        document=row["document"],
        signatures=tuple(json.loads(row["signatures"])),
        revision=row["revision"],
        created_by=row["created_by"],
        changed_at=row["changed_at"],
    )


def _signed(draft: ProfileDraft) -> SignedProfile:
    return SignedProfile(authority=draft.authority, profile=draft.profile, in_force_from=draft.in_force_from)
