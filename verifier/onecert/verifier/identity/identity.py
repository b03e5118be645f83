"""From a verified certificate to one identity.

The path must be validated first: the trust-list service that anchored it names the profile. Nothing here
looks at who issued the certificate, and nothing here checks signatures or revocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.claims import (
    Claim,
    ClaimView,
    organisation_code_of,
)
from onecert.verifier.identity.errors import IdentityError
from onecert.verifier.identity.pairwise import pairwise_id
from onecert.verifier.identity.profile import HolderClass, IdentityProfile, Scope, SubjectKind
from onecert.verifier.identity.reading import Reading, readings_of
from onecert.verifier.identity.registry import (
    NoRegistry,
    Registry,
    RegistryEntry,
    RegistryUnavailableError,
)

# Members of an enumeration cost a call each time they are named by their class (Python 3.11).
_CITIZEN = HolderClass.CITIZEN
_USCC, _TAX_NUMBER = IdType.USCC, IdType.TAX_NUMBER
# Applications of one process that share a profile.
_NAMED_MAX = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Entity:
    """The legal entity; ``id`` is canonical (``uscc:…``) or provisional (``org:…``, ``regno:…``)."""

    id: str
    provisional: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """The citizen, or the agent of an entity. ``number`` is there only for who has the right to it."""

    id: str | None
    number: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who the holder is. Bind accounts to ``id``: it survives renewal, a second key and a change of CA."""

    id: str
    name: str
    holder_class: HolderClass
    assurance: str
    entity: Entity | None
    person: Person | None
    ca_service: str
    key_number: int | None
    claims: tuple[ClaimView, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "class": self.holder_class.value,
            "assurance": self.assurance,
            "entity": self.entity and {"id": self.entity.id, "provisional": self.entity.provisional},
            "person": self.person and {"id": self.person.id},
            "key_number": self.key_number,
            "claims": [
                {"id_type": c.id_type, "subject": c.subject, "source": c.source, "value": c.value}
                for c in self.claims
            ],
            "ca_service": self.ca_service,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonRule:
    """How this application may see natural persons."""

    application: str
    pairwise_key: bytes | None = None
    raw_numbers: bool = False


def identify(
    cert: x509.Certificate | ParsedCertificate | bytes,
    profile: IdentityProfile,
    *,
    ca_service: str,
    at: datetime,
    persons: PersonRule,
    registry: Registry | None = None,
) -> Identity:
    """Resolve the holder of a certificate (object, or bytes in DER or PEM) whose path is already validated.

    Raises:
        IdentityError: the certificate does not name one holder in this profile (see messages/identity.json).
        CouldNotCheckError: PAIRWISE_KEY_MISSING for a natural person when no key was given.
    """
    # 1. What the certificate says, in the words of its CA's profile.
    reading = readings_of(profile).read(as_parsed(cert), at)
    if registry is not None and not isinstance(registry, NoRegistry):
        return _resolve(reading, profile, ca_service=ca_service, at=at, persons=persons, registry=registry)
    # Nothing else plays a part then: who comes again is the same.
    key = (ca_service, persons.application, persons.pairwise_key, persons.raw_numbers)
    known = reading.named.get(key)
    if known is None:
        known = _resolve(reading, profile, ca_service=ca_service, at=at, persons=persons, registry=None)
        if len(reading.named) < _NAMED_MAX:
            reading.named[key] = known
    return known


def _resolve(
    reading: Reading,
    profile: IdentityProfile,
    *,
    ca_service: str,
    at: datetime,
    persons: PersonRule,
    registry: Registry | None,
) -> Identity:
    claims, subjects, rule = reading.claims, reading.subjects, reading.rule
    # 2. The canonical id of the entity, with the register's help when there is one.
    warnings = list(subjects.warnings)
    entity, entry, unasked = _entity(subjects.entity, claims, profile.scope, registry, at)
    if unasked:
        warnings.append("REGISTRY_NOT_ASKED")
    if registry is not None and entry is not None:
        warnings += _registry_warnings(entry, reading.name, rule.holder_class)
        if "REGISTRATION_NUMBER_NOT_CONFIRMED" in warnings and _registry_confirms(
            claims, entry, registry, at
        ):
            warnings.remove("REGISTRATION_NUMBER_NOT_CONFIRMED")
    # 3. The person, as this application may see it.
    person = _person(subjects.person, persons, needed=rule.holder_class is _CITIZEN)
    return Identity(
        id=_main_id(rule.holder_class, entity, person),
        name=reading.name,
        holder_class=rule.holder_class,
        assurance=rule.assurance,
        entity=entity,
        person=person,
        ca_service=ca_service,
        key_number=subjects.key_number,
        claims=reading.views(raw=persons.raw_numbers),
        warnings=tuple(warnings),
    )


def _entity(
    claim: Claim | None, claims: Sequence[Claim], scope: Scope, registry: Registry | None, at: datetime
) -> tuple[Entity | None, RegistryEntry | None, bool]:
    """The entity, what the register says about it, and whether it could not be asked all that it should."""
    if claim is None:
        return None, None, False
    entry, unasked = (None, False) if registry is None else _registered(claims, registry, at)
    if entry is None:
        return Entity(id=_in_register(claim), provisional=claim.id_type is not _USCC), None, unasked
    # An older number without a region of its own must not name a firm that the licence does not reach.
    if scope.entity_regions and not entry.uscc[2:8].startswith(scope.entity_regions):
        raise IdentityError("OUT_OF_SCOPE", what=f"region {entry.uscc[2:4]} of {IdType.USCC}")
    return Entity(id=f"{IdType.USCC}:{entry.uscc}", provisional=False), entry, unasked


def _registered(
    claims: Sequence[Claim], registry: Registry, at: datetime
) -> tuple[RegistryEntry | None, bool]:
    """What the register says to all numbers of the entity; two answers, or one that does not fit, refuse.

    A register that answers with another entity would merge two holders into one.
    """
    numbers = [claim for claim in claims if claim.subject is SubjectKind.ENTITY]
    entry: RegistryEntry | None = None
    unasked = False
    for claim in numbers:
        try:
            answer = registry.find(_in_register(claim), at)
        except RegistryUnavailableError:
            # An older number alone would name somebody else today than when the register answers again.
            if all(other.id_type is not IdType.USCC for other in numbers):
                raise
            unasked = True
            continue
        if answer is not None and entry is not None and answer.uscc != entry.uscc:
            raise _conflict(claim)
        entry = answer or entry
    if entry is None:
        return None, unasked
    for claim in numbers:
        code = organisation_code_of(claim)
        if (claim.id_type is IdType.USCC and entry.uscc != claim.value) or (
            code and entry.uscc[8:17] != code
        ):
            raise _conflict(claim)
    return entry, unasked


def _in_register(claim: Claim) -> str:
    if claim.id_type is _TAX_NUMBER:
        # The old tax number contains the organisation code, which is what other numbers share.
        return f"{IdType.ORGANISATION_CODE}:{organisation_code_of(claim)}"
    return claim.canonical


def _conflict(claim: Claim) -> IdentityError:
    return IdentityError("IDENTITY_CONFLICT", subject=SubjectKind.ENTITY, types=f"{claim.id_type}, register")


def _registry_confirms(
    claims: Sequence[Claim], entry: RegistryEntry, registry: Registry, at: datetime
) -> bool:
    numbers = [c for c in claims if c.id_type is IdType.REGISTRATION_NUMBER]
    try:
        found = [registry.find(claim.canonical, at) for claim in numbers]
    except RegistryUnavailableError:
        return False
    return all(behind is not None and behind.uscc == entry.uscc for behind in found)


def _registry_warnings(entry: RegistryEntry, name: str, holder_class: HolderClass) -> list[str]:
    warnings = list(entry.warnings)
    if entry.state != "active":
        warnings.append("ENTITY_CLOSED")
    if holder_class is HolderClass.ORGANISATION and entry.names and name != entry.names[0]:
        warnings.append("NAME_DIFFERS")
    return warnings


def _person(claim: Claim | None, rule: PersonRule, *, needed: bool) -> Person | None:
    if claim is None:
        return None
    number = claim.canonical if rule.raw_numbers else None
    if rule.pairwise_key is None:
        if needed and number is None:
            raise CouldNotCheckError("PAIRWISE_KEY_MISSING")
        return Person(id=number, number=number)
    person_id = pairwise_id(claim.canonical, application=rule.application, key=rule.pairwise_key)
    return Person(id=person_id, number=number)


def _main_id(holder_class: HolderClass, entity: Entity | None, person: Person | None) -> str:
    holder = person if holder_class is _CITIZEN else entity
    if holder is None or holder.id is None:
        raise IdentityError("IDENTITY_MISSING", holder_class=holder_class)
    return holder.id
