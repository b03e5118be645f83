"""Who signs about mass revocations, and whether two of them are two people.

A registration authority answers for the people it names; a security officer is an account of this service
with a key of its own. One of each cannot confirm each other: their names come from two registers, and nobody
could tell whether they are one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onecert.ca.errors import (
    MassRevocationMalformedError,
    OrderOutOfScopeError,
    OrderSignerError,
    SecondPersonError,
)
from onecert.ca.issuing.registration_authorities import RegistrationAuthorities, RegistrationAuthority
from onecert.ca.issuing.signed_documents import opened_document
from onecert.ca.revocation.security_officers import SecurityOfficer, SecurityOfficers
from onecert.verifier.signatures import PublicKey

__all__ = ["Desk", "Signer", "check_second_person"]


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Whose key signed a document: a registration authority, or an officer."""

    registration_authority: RegistrationAuthority | None = None
    officer: SecurityOfficer | None = None

    @property
    def actor(self) -> str:
        """How the audit trail names the signer."""
        if self.officer is not None:
            return self.officer.operator.actor
        return f"ra:{self.name}"

    @property
    def name(self) -> str:
        if self.officer is not None:
            return self.officer.id
        return self.registration_authority.name if self.registration_authority is not None else ""

    def check_people(self, people: Sequence[str]) -> tuple[str, ...]:
        """The people whom a document names; an officer signs for nobody else.

        Raises:
            OrderSignerError
        """
        if self.officer is not None and list(people) != [self.officer.id]:
            raise OrderSignerError(people[0])
        return tuple(people)

    def check_scope(self, authority: str, *, is_whole: bool) -> None:
        """A registration authority revokes where it orders, and everything only where it may order
        everything.

        Raises:
            OrderOutOfScopeError
        """
        registered = self.registration_authority
        if registered is None:
            return
        if not (registered.may_order(authority, "*") if is_whole else registered.may_revoke(authority)):
            raise OrderOutOfScopeError(registered.name, authority, "*")


class Desk:
    """Opens what is signed about mass revocations."""

    def __init__(self, registration_authorities: RegistrationAuthorities, officers: SecurityOfficers) -> None:
        self._registration_authorities = registration_authorities
        self.officers = officers

    def open(self, document: bytes, typ: str) -> tuple[dict[str, Any], Signer]:
        """Check the signature of a document; return what it says and who signed it.

        Raises:
            OrderMalformedError, OrderSignatureError, OrderSignerError: as for orders.
            OperatorError: the officer's account may not act.
        """
        payload, signer = opened_document(document, typ, self._find)
        field = "officer" if signer.officer is not None else "registration_authority"
        if field not in payload:
            raise MassRevocationMalformedError(field)
        if payload[field] != signer.name:
            raise OrderSignerError(str(payload[field])[:64])
        if signer.officer is not None:
            self.officers.check_may_act(signer.officer)
        return payload, signer

    def _find(self, kid: str) -> tuple[Signer, PublicKey] | None:
        registered = self._registration_authorities.find_by_key(kid)
        if registered is not None:
            return Signer(registration_authority=registered), registered.public_key
        officer = self.officers.find_by_key(kid)
        return None if officer is None else (Signer(officer=officer), officer.public_key)

    def person(self, officer: str) -> str | None:
        """The opaque id of the person behind an officer's account; None when the officer has left."""
        return next((each.operator.person for each in self.officers.everyone() if each.id == officer), None)


def check_second_person(
    desk: Desk,
    number: str,
    *,
    proposed_by: str,
    proposers: Sequence[str],
    signer: Signer,
    people: Sequence[str],
) -> None:
    """Check that who confirms is nobody who proposed.

    Raises:
        SecondPersonError
    """
    if signer.officer is not None:
        kind, _colon, officer = proposed_by.partition(":")
        first = desk.person(officer) if kind == "operator" else None
        if first is None or officer == signer.officer.id or first == signer.officer.operator.person:
            raise SecondPersonError(number)
        return
    if signer.actor != proposed_by or not {each.casefold() for each in people}.isdisjoint(
        each.casefold() for each in proposers
    ):
        raise SecondPersonError(number)
