"""The end of an authority: retired, it issues no more; then its key is destroyed. Each has a signed record.

Retired, it goes on with lists, OCSP and revocation. Its key is destroyed when the last certificate that it
issued has ended, after a last list that has no end (`crl.NEVER`), or at once when it is compromised. Every
act may be repeated after an interruption; the record is signed with the audit key, because the key that is
destroyed can vouch for nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from onecert.ca.authorities.authorities import ACTIVE, DESTROYED, RETIRED, ROOT, Authority
from onecert.ca.authorities.delegate_keys import delegate_labels, note_destroyed
from onecert.ca.errors import CaError, TwoPeopleError
from onecert.ca.errors.authorities import AuthorityInUseError, AuthorityStateError
from onecert.ca.issuing.ledger import ABANDONED, GOOD, REVOKED
from onecert.ca.lists.crl import NEVER
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import authority_records, certificates
from onecert.ca.ocsp.responder import PROFILE as OCSP
from onecert.ca.parts import Parts
from onecert.ca.signatures.signer import Signer
from onecert.ca.signatures.tokens import KeyToken, document_key
from onecert.server.documents import sign_document
from onecert.server.statements import insert_if_absent

__all__ = ["RECORD_TYPE", "AuthorityLife", "Standing"]

RECORD_TYPE = "onecert-authority-record+json"
AUDIT_KEY = "audit"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What an authority still has to answer for."""

    last_end: datetime | None  # of its certificates, those of its own responders left out
    not_ended: int
    good: int  # of these: neither revoked nor on hold


class AuthorityLife:
    """Retires authorities and destroys their keys.

    Args:
        roots: the offline token; opened only when a root's key is needed.
        actor: who runs the command.
    """

    def __init__(self, parts: Parts, roots: KeyToken, *, actor: str) -> None:
        self._parts = parts
        self._roots = roots
        self._actor = actor

    def standing(self, name: str) -> Standing:
        """Read what is left of an authority's certificates.

        Raises:
            UnknownAuthorityError
        """
        authority = self._parts.authorities.get(name)
        table, at = certificates, self._parts.clock.now()
        # A responder's certificate lives as long as there is something to answer for, and no longer.
        own = (table.c.authority == name) & (table.c.state != ABANDONED) & (table.c.profile != OCSP)
        if authority.is_root:
            # A root's own certificate is on record as one that it issued.
            own &= table.c.serial != authority.serial
        alive = own & (table.c.not_after >= at)
        with self._parts.database.reading() as connection:
            last = connection.execute(select(func.max(table.c.not_after)).where(own)).scalar()
            not_ended = connection.execute(select(func.count()).where(alive)).scalar() or 0
            good = connection.execute(select(func.count()).where(alive, table.c.status == GOOD)).scalar() or 0
        return Standing(last_end=last, not_ended=not_ended, good=good)

    def record(self, name: str, act: str) -> bytes | None:
        """The signed record of an act, `retired` or `destroyed`."""
        query = select(authority_records.c.record).where(
            authority_records.c.authority == name, authority_records.c.act == act
        )
        with self._parts.database.reading() as connection:
            found: bytes | None = connection.execute(query).scalar()
        return found

    # ------------------------------------------------------------------ retire

    def check_retire(self, name: str, people: Sequence[str]) -> Authority:
        """Check what `retire` needs; the answer of a dry run.

        Raises:
            UnknownAuthorityError, TwoPeopleError, AuthorityStateError
        """
        authority = self._current(name)
        _check_people(people)
        if authority.state == DESTROYED:
            raise AuthorityStateError(name, authority.state)
        return authority

    def retire(self, name: str, people: Sequence[str], reason: str) -> bytes:
        """Let an authority issue no more; return the signed record. Done before, nothing changes.

        A service that runs notices within half a minute.

        Raises:
            UnknownAuthorityError, TwoPeopleError, AuthorityStateError, TokenGoneError
        """
        authority = self.check_retire(name, people)
        known = self.record(name, RETIRED)
        if known is not None:
            return known
        return self._keep(authority, RETIRED, ACTIVE, {"approved_by": sorted(people), "reason": reason})

    # ------------------------------------------------------------------ destroy

    def check_destroy(self, name: str, people: Sequence[str], *, compromised: bool = False) -> Authority:
        """Check what `destroy` needs; the answer of a dry run.

        Raises:
            UnknownAuthorityError, TwoPeopleError
            AuthorityStateError: it is not retired.
            AuthorityInUseError: with every reason.
        """
        authority = self._current(name)
        _check_people(people)
        if authority.state == DESTROYED:
            return authority
        if authority.state != RETIRED:
            raise AuthorityStateError(name, authority.state)
        standing, reasons = self.standing(name), []
        if compromised:
            if standing.good:
                reasons.append(f"{standing.good} certificates are neither revoked nor ended")
            if not self._is_revoked(authority):
                reasons.append(f"its own certificate is not revoked by “{authority.issuer_name}”")
        elif standing.not_ended:
            until = standing.last_end.isoformat() if standing.last_end else "-"
            reasons.append(f"{standing.not_ended} certificates have not ended, the last one until {until}")
        if self._parts.ledger.unfinished(name):
            reasons.append("certificates are being issued")
        if reasons:
            raise AuthorityInUseError(name, reasons)
        return authority

    def destroy(self, name: str, people: Sequence[str], *, compromised: bool = False) -> bytes:
        """Publish the last lists and destroy the key; return the signed record.

        Raises:
            CaError: as `check_destroy`, or stopped at a step: run it again when the cause is gone.
        """
        authority = self.check_destroy(name, people, compromised=compromised)
        known = self.record(name, DESTROYED)
        if known is not None:
            return known
        token = self._roots if authority.kind == ROOT else self._parts.token
        # 1. The last lists. They have no end, so whatever checks old signatures finds them fresh for good.
        last_lists = self._last_lists(authority, token)
        # 2. What will be destroyed is on record before it is.
        labels = [authority.key_label, *delegate_labels(self._parts, authority)]
        with self._parts.database.transaction() as connection:
            self._parts.audit.record(
                connection,
                event="authority.key-destruction-begun",
                actor=self._actor,
                subject=name,
                details={"approved_by": sorted(people), "keys": labels, "compromised": compromised},
            )
        # 3. The keys of its services, then its own; the token is asked whether each is gone.
        for label in labels[1:]:
            self._parts.token.destroy(label)
            note_destroyed(self._parts, authority.name, label, self._parts.token.label, actor=self._actor)
        token.destroy(authority.key_label)
        note_destroyed(self._parts, authority.name, authority.key_label, token.label, actor=self._actor)
        # 4. State and signed record.
        details = {
            "approved_by": sorted(people),
            "compromised": compromised,
            "keys": labels,
            "token": token.label,
            "last_lists": last_lists,
        }
        return self._keep(authority, DESTROYED, RETIRED, details)

    def _last_lists(self, authority: Authority, token: KeyToken) -> list[dict[str, Any]]:
        parts = self._parts
        publisher = CrlPublisher(
            parts.database,
            parts.audit,
            parts.clock,
            authorities=parts.authorities,
            signer=Signer(token.key, token=token.label),
            files=parts.files,
        )
        lists = []
        for partition in publisher.partitions(authority.name):
            latest = publisher.latest(authority.name, partition)
            if latest is None or latest.next_update != NEVER:
                latest = publisher.publish(
                    authority.name, partition=partition, is_last=True, actor=self._actor
                )
            lists.append({"list": latest.name, "number": latest.number, "sha256": latest.sha256})
        return lists

    def _is_revoked(self, authority: Authority) -> bool:
        """Whether its issuer says so; of a root, and below others, that is for people to see to."""
        if authority.issuer_name == authority.name:
            return True
        try:
            record = self._parts.ledger.certificate(authority.issuer_name, authority.serial)
        except CaError:
            return False
        return record.status == REVOKED

    def _current(self, name: str) -> Authority:
        self._parts.authorities.reload()
        return self._parts.authorities.get(name)

    def _keep(self, authority: Authority, state: str, before: str, details: dict[str, Any]) -> bytes:
        """State, audit entry and signed record, in one transaction."""
        parts, at = self._parts, self._parts.clock.now()
        content = {
            "authority": authority.name,
            "act": state,
            "at": at.isoformat(),
            "by": self._actor,
            "serial": authority.serial,
            "key_label": authority.key_label,
            "key_identifier": authority.issuer.key_id.hex(),
            **details,
        }
        document = sign_document(content, typ=RECORD_TYPE, keys=[document_key(parts.token, AUDIT_KEY)])
        with parts.database.transaction() as connection:
            row = {"authority": authority.name, "act": state, "record": document, "at": at}
            if insert_if_absent(connection, authority_records, row):
                connection.execute(
                    update(authorities_table)
                    .where(authorities_table.c.name == authority.name, authorities_table.c.state == before)
                    .values(state=state)
                )
                parts.audit.record(
                    connection,
                    event=f"authority.{state}",
                    actor=self._actor,
                    subject=authority.name,
                    details=details,
                )
        parts.authorities.reload()
        kept = self.record(authority.name, state)
        return document if kept is None else kept


def _check_people(people: Sequence[str]) -> None:
    if len({person.strip() for person in people if person.strip()}) < 2:
        raise TwoPeopleError
