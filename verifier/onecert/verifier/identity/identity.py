"""From a verified certificate to one identity.

The path must be validated first: the trust-list service that anchored it names the profile. Nothing here
looks at who issued the certificate, and nothing here checks signatures or revocation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.claims import (
    Claim,
    Subjects,
    organisation_code_of,
    read_claims,
    reduce_claims,
)
from onecert.verifier.identity.decode import Form, decode
from onecert.verifier.identity.errors import DecodeError, IdentityError
from onecert.verifier.identity.pairwise import pairwise_id
from onecert.verifier.identity.profile import ClassRule, HolderClass, IdentityProfile, SubjectKind
from onecert.verifier.identity.registry import NoRegistry, Registry, RegistryEntry

_CLASS_FORMS = (Form.UTF8, Form.PRINTABLE, Form.IA5)


@dataclass(frozen=True, kw_only=True)
class Entity:
    """The legal entity; ``id`` is canonical (``uscc:…``) or provisional (``org:…``, ``regno:…``)."""

    id: str
    provisional: bool


@dataclass(frozen=True, kw_only=True)
class Person:
    """The citizen, or the agent of an entity. ``number`` is there only for who has the right to it."""

    id: str | None
    number: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    """One claim as a department sees it; a person's number is never in it."""

    id_type: str
    subject: str
    source: str
    value: str | None


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
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
    registry = registry or NoRegistry()
    # 1. Every source of the profile, decoded, spelled in one way, with right check digits.
    parsed = as_parsed(cert)
    claims = read_claims(parsed, profile, at=at)
    # 2. One entity, one person; contradictions refuse.
    subjects = reduce_claims(claims)
    # 3. The class, and whether this CA may say such things at all.
    rule = _class_of(parsed, profile, subjects)
    _check_scope(profile, rule, claims)
    # 4. The canonical id of the entity, with the register's help when there is one.
    warnings = list(subjects.warnings)
    entity, entry = _entity(subjects.entity, claims, registry, at)
    name = _common_name(parsed.certificate)
    if entry is not None:
        warnings += _registry_warnings(entry, name, rule.holder_class)
        if "REGISTRATION_NUMBER_NOT_CONFIRMED" in warnings and _registry_confirms(
            claims, entry, registry, at
        ):
            warnings.remove("REGISTRATION_NUMBER_NOT_CONFIRMED")
    # 5. The person, as this application may see it.
    person = _person(subjects.person, persons, needed=rule.holder_class is HolderClass.CITIZEN)
    return Identity(
        id=_main_id(rule.holder_class, entity, person),
        name=name,
        holder_class=rule.holder_class,
        assurance=rule.assurance,
        entity=entity,
        person=person,
        ca_service=ca_service,
        key_number=subjects.key_number,
        claims=tuple(_view(claim, persons) for claim in claims),
        warnings=tuple(warnings),
    )


def _class_of(
    cert: ParsedCertificate,
    profile: IdentityProfile,
    subjects: Subjects,
) -> ClassRule:
    matching = [rule for rule in profile.classes if _matches(rule, cert, subjects)]
    if not matching:
        raise IdentityError("CLASS_UNKNOWN")
    if len({rule.holder_class for rule in matching}) > 1:
        classes = ", ".join(sorted(rule.holder_class for rule in matching))
        raise IdentityError("CLASS_CONFLICT", classes=classes)
    rule = matching[0]
    is_citizen = rule.holder_class is HolderClass.CITIZEN
    if is_citizen and subjects.entity is not None:
        raise IdentityError("CLASS_CONFLICT", classes=f"{rule.holder_class}, {SubjectKind.ENTITY}")
    if (subjects.person if is_citizen else subjects.entity) is None:
        raise IdentityError("IDENTITY_MISSING", holder_class=rule.holder_class)
    return rule


def _matches(rule: ClassRule, cert: ParsedCertificate, subjects: Subjects) -> bool:
    if rule.policy is not None:
        return rule.policy in (cert.policies or ())
    if rule.extension is not None:
        value = cert.extension_value(rule.extension)
        return value is not None and decode(value, _CLASS_FORMS).text == rule.value
    if rule.claims is SubjectKind.ENTITY:
        return subjects.entity is not None
    return subjects.entity is None and subjects.person is not None


def _check_scope(profile: IdentityProfile, rule: ClassRule, claims: list[Claim]) -> None:
    scope = profile.scope
    if rule.holder_class not in scope.classes:
        raise IdentityError("OUT_OF_SCOPE", what=f"class {rule.holder_class}")
    for claim in claims:
        if claim.id_type not in scope.id_types:
            raise IdentityError("OUT_OF_SCOPE", what=f"number {claim.id_type}")
        regions = scope.entity_regions if claim.subject is SubjectKind.ENTITY else scope.person_regions
        region = _region_of(claim)
        if regions and region is not None and not region.startswith(regions):
            raise IdentityError("OUT_OF_SCOPE", what=f"region {region[:2]} of {claim.id_type}")


def _region_of(claim: Claim) -> str | None:
    if claim.id_type is IdType.USCC:
        return claim.value[2:8]
    if claim.id_type in (IdType.TAX_NUMBER, IdType.REGISTRATION_NUMBER, IdType.ID_CARD):
        return claim.value[:6]
    return None


def _entity(
    claim: Claim | None, claims: list[Claim], registry: Registry, at: datetime
) -> tuple[Entity | None, RegistryEntry | None]:
    if claim is None:
        return None, None
    canonical = claim.canonical
    if claim.id_type is IdType.TAX_NUMBER:
        # The old tax number contains the organisation code, which is what other numbers share.
        canonical = f"{IdType.ORGANISATION_CODE}:{organisation_code_of(claim)}"
    entry = registry.find(canonical, at)
    if entry is None:
        return Entity(id=canonical, provisional=claim.id_type is not IdType.USCC), None
    found = f"{IdType.USCC}:{entry.uscc}"
    code = organisation_code_of(claim)
    # A register that answers with another entity would merge two holders into one.
    if (claim.id_type is IdType.USCC and found != canonical) or (code and entry.uscc[8:17] != code):
        raise IdentityError(
            "IDENTITY_CONFLICT", subject=SubjectKind.ENTITY, types=f"{claim.id_type}, register"
        )
    for other in claims:
        if other.id_type is IdType.REGISTRATION_NUMBER and other.subject is SubjectKind.ENTITY:
            behind = registry.find(other.canonical, at)
            if behind is not None and behind.uscc != entry.uscc:
                types = f"{claim.id_type}, {other.id_type}"
                raise IdentityError("IDENTITY_CONFLICT", subject=SubjectKind.ENTITY, types=types)
    return Entity(id=found, provisional=False), entry


def _registry_confirms(claims: list[Claim], entry: RegistryEntry, registry: Registry, at: datetime) -> bool:
    numbers = [c for c in claims if c.id_type is IdType.REGISTRATION_NUMBER]
    found = [registry.find(claim.canonical, at) for claim in numbers]
    return all(behind is not None and behind.uscc == entry.uscc for behind in found)


def _registry_warnings(entry: RegistryEntry, name: str, holder_class: HolderClass) -> list[str]:
    warnings = []
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
    holder = person if holder_class is HolderClass.CITIZEN else entity
    if holder is None or holder.id is None:
        raise IdentityError("IDENTITY_MISSING", holder_class=holder_class)
    return holder.id


def _common_name(cert: x509.Certificate) -> str:
    try:
        values = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError) as exc:  # a BIT STRING in a name is a TypeError there
        raise DecodeError("ENCODING_NOT_ALLOWED", head="", allowed="name") from exc
    return values[-1].value if values and isinstance(values[-1].value, str) else ""


def _view(claim: Claim, rule: PersonRule) -> ClaimView:
    visible = claim.subject is SubjectKind.ENTITY or rule.raw_numbers
    return ClaimView(
        id_type=claim.id_type,
        subject=claim.subject,
        source=claim.source,
        value=claim.value if visible else None,
    )
