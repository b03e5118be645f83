"""What one certificate says in one profile: its claims, its class, its holder's name.

That depends on a few fields of the certificate, on the profile and on the day, and on nothing else. Holders
come again, and renew with the same fields: a reading is therefore remembered with the profile, for some
thousand holders; and with it who that is, to applications that ask no register. What the register says and
the state of the CA are never part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.claims import (
    Claim,
    ClaimView,
    Subjects,
    read_claims,
    reduce_claims,
    subject_texts,
)
from onecert.verifier.identity.decode import Form, decoder_of
from onecert.verifier.identity.errors import IdentityError
from onecert.verifier.identity.profile import ClassRule, HolderClass, IdentityProfile, SubjectKind

if TYPE_CHECKING:
    from onecert.verifier.identity.identity import Identity

__all__ = ["Reading", "Readings", "readings_of"]

_COMMON_NAME = "2.5.4.3"

_decode_class = decoder_of((Form.UTF8, Form.PRINTABLE, Form.IA5))
# Members of an enumeration cost a call each time they are named by their class (Python 3.11).
_ENTITY, _PERSON = SubjectKind.ENTITY, SubjectKind.PERSON
_CITIZEN = HolderClass.CITIZEN
# Where a number says its region.
_REGIONS = {IdType.USCC: slice(2, 8)} | dict.fromkeys(
    (IdType.TAX_NUMBER, IdType.REGISTRATION_NUMBER, IdType.ID_CARD), slice(6)
)
_MOST = 4096
_KEPT = "_readings"
_OCTETS_MAX = 4096

# The day, the subject and the extensions that the profile reads.
Key = tuple[int | bytes | None, ...]


@dataclass(slots=True)
class Reading:
    """Claims that agree with each other and lie within the licence, the rule of the class, and the name."""

    claims: tuple[Claim, ...]
    subjects: Subjects
    rule: ClassRule
    name: str
    masked: tuple[ClaimView, ...]
    # Who that is to applications that ask no register: by the CA service and the application's rule.
    named: dict[tuple[object, ...], Identity] = field(default_factory=dict, compare=False)

    def views(self, *, raw: bool) -> tuple[ClaimView, ...]:
        """The claims as a department may see them."""
        return tuple([claim.view(raw=True) for claim in self.claims]) if raw else self.masked


class Readings:
    """The readings of one profile. Safe to share between threads."""

    def __init__(self, profile: IdentityProfile) -> None:
        self._profile = profile
        self._lock = Lock()
        self._oids = profile.extensions_read
        # Filled one after the other; when the new one is full the old one goes.
        self._new: dict[Key, Reading] = {}
        self._old: dict[Key, Reading] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def read(self, cert: ParsedCertificate, at: datetime) -> Reading:
        """Read a certificate whose path is already validated.

        Raises:
            IdentityError: it does not name one holder in this profile (see messages/identity.json).
        """
        value = cert.extension_value
        key = (at.toordinal(), cert.subject_der, *[value(oid) for oid in self._oids])
        known = self._new.get(key)
        if known is None:
            known = self._old.get(key) or _read(cert, self._profile, at)
            if len(cert.der) <= _OCTETS_MAX:
                with self._lock:
                    if len(self._new) >= _MOST // 2:
                        self._old, self._new = self._new, {}
                    self._new[key] = known
        return known


def readings_of(profile: IdentityProfile) -> Readings:
    """The readings of a profile: kept with it, gone with it."""
    kept = vars(profile)
    found: Readings | None = kept.get(_KEPT)
    return found if found is not None else kept.setdefault(_KEPT, Readings(profile))


def _read(cert: ParsedCertificate, profile: IdentityProfile, at: datetime) -> Reading:
    # 1. Every source of the profile, decoded, spelled in one way, with right check digits.
    claims = read_claims(cert, profile, at=at)
    # 2. One entity, one person; contradictions refuse.
    subjects = reduce_claims(claims)
    # 3. The class, and whether this CA may say such things at all.
    rule = _class_of(cert, profile, subjects)
    _check_scope(profile, rule, claims)
    masked = tuple([claim.view(raw=False) for claim in claims])
    return Reading(tuple(claims), subjects, rule, _common_name(cert), masked)


def _class_of(
    cert: ParsedCertificate,
    profile: IdentityProfile,
    subjects: Subjects,
) -> ClassRule:
    matching = [rule for rule in profile.classes if _matches(rule, cert, subjects)]
    if not matching:
        raise IdentityError("CLASS_UNKNOWN")
    if len(matching) > 1 and len({rule.holder_class for rule in matching}) > 1:
        classes = ", ".join(sorted(rule.holder_class for rule in matching))
        raise IdentityError("CLASS_CONFLICT", classes=classes)
    rule = matching[0]
    is_citizen = rule.holder_class is _CITIZEN
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
        return value is not None and _decode_class(value)[0] == rule.value
    if rule.claims is _ENTITY:
        return subjects.entity is not None
    return subjects.entity is None and subjects.person is not None


def _check_scope(profile: IdentityProfile, rule: ClassRule, claims: list[Claim]) -> None:
    scope = profile.scope
    if rule.holder_class not in scope.classes:
        raise IdentityError("OUT_OF_SCOPE", what=f"class {rule.holder_class}")
    for claim in claims:
        if claim.id_type not in scope.id_types:
            raise IdentityError("OUT_OF_SCOPE", what=f"number {claim.id_type}")
        regions = scope.entity_regions if claim.subject is _ENTITY else scope.person_regions
        digits = _REGIONS.get(claim.id_type) if regions else None
        if digits is not None and not (region := claim.value[digits]).startswith(regions):
            raise IdentityError("OUT_OF_SCOPE", what=f"region {region[:2]} of {claim.id_type}")


def _common_name(cert: ParsedCertificate) -> str:
    values = subject_texts(cert, _COMMON_NAME)
    return values[-1] if values else ""
