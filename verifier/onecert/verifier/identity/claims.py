"""From the places a profile names to claims, and from claims to one entity and one person.

All sources of the profile are read, not the first that fits. Two claims about one subject that disagree
refuse the certificate. The entity and the person are separate: an agent's number never becomes the entity's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import MalformedError
from onecert.verifier.identity import check_digits
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.errors import DecodeError, IdentityError
from onecert.verifier.identity.grammar import parse_short, parse_uid
from onecert.verifier.identity.normalise import normalise
from onecert.verifier.identity.profile import IdentityProfile, Meaning, Source, SubjectKind
from onecert.verifier.names import attribute_values

# Members of an enumeration cost a call each time they are named by their class (Python 3.11).
_ENTITY, _PERSON = SubjectKind.ENTITY, SubjectKind.PERSON
_USCC, _TAX_NUMBER, _PASSPORT = IdType.USCC, IdType.TAX_NUMBER, IdType.PASSPORT

# Numbers with a region or a date that depend on the day of the check, and the others.
_DATED: Mapping[IdType, Callable[..., str]] = {
    IdType.USCC: check_digits.check_uscc,
    IdType.ID_CARD: check_digits.check_idcard,
}
_UNDATED: Mapping[IdType, Callable[..., str]] = {
    IdType.ORGANISATION_CODE: check_digits.check_organisation_code,
    IdType.REGISTRATION_NUMBER: check_digits.check_registration_number,
    IdType.TAX_NUMBER: check_digits.check_tax_number,
    IdType.PASSPORT: check_digits.check_passport,
    IdType.OFFICER: check_digits.check_officer,
}


class Claim(NamedTuple):
    """One number that the certificate asserts, checked and in its one spelling."""

    id_type: IdType
    value: str
    subject: SubjectKind
    source: str  # "extension 1.2.3" or "subject 2.5.4.11"
    country: str = ""
    key_number: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def canonical(self) -> str:
        """The canonical spelling with its type, such as ``uscc:91440300MA5DEM004J``."""
        if self.id_type is _PASSPORT:
            return f"passport:{self.country}:{self.value}"
        return f"{self.id_type}:{self.value}"

    def view(self, *, raw: bool) -> ClaimView:
        """For a department; the number of a person only with ``raw``."""
        visible = raw or self.subject is _ENTITY
        return ClaimView(
            id_type=self.id_type,
            subject=self.subject,
            source=self.source,
            value=self.value if visible else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimView:
    """One claim as a department sees it; a person's number is never in it."""

    id_type: str
    subject: str
    source: str
    value: str | None


class Subjects(NamedTuple):
    """The claims reduced: the strongest number of the entity and of the person."""

    entity: Claim | None
    person: Claim | None
    key_number: int | None
    warnings: tuple[str, ...]


def read_claims(
    cert: ParsedCertificate,
    profile: IdentityProfile,
    *,
    at: datetime,
) -> list[Claim]:
    """Read every source of the profile.

    Raises:
        IdentityError: SOURCE_MISSING for a required source, and every fault of encoding, grammar or number.
    """
    claims: list[Claim] = []
    day = at.date()
    for source in profile.sources:
        if source.kind == "extension":
            value = cert.extension_value(source.oid)
            if value is not None:
                text, _, alternative = source.decode(value)
                claims.append(_claim(source, _ALTERNATIVES[alternative], text, profile, day))
                continue
            texts = []
        else:
            texts = subject_texts(cert, source.oid)
        if not texts and source.required:
            raise IdentityError("SOURCE_MISSING", where=source.place)
        claims.extend([_claim(source, "0", text, profile, day) for text in texts])
    return claims


def reduce_claims(claims: Sequence[Claim]) -> Subjects:
    """One entity and one person, or a refusal.

    Raises:
        IdentityError: IDENTITY_CONFLICT when two claims about one subject disagree.
    """
    if len(claims) == 1:  # nearly every certificate
        (one,) = claims
        is_entity = one.subject is _ENTITY
        notes = tuple(dict.fromkeys(one.warnings)) if one.warnings else ()
        return Subjects(one if is_entity else None, None if is_entity else one, one.key_number, notes)
    warnings = [warning for claim in claims for warning in claim.warnings]
    keys = {claim.key_number for claim in claims if claim.key_number is not None}
    if len(keys) > 1:
        raise IdentityError("IDENTITY_CONFLICT", subject="key", types="seq")
    entity = _strongest(claims, SubjectKind.ENTITY, warnings)
    person = _strongest(claims, SubjectKind.PERSON, warnings)
    return Subjects(entity, person, next(iter(keys), None), tuple(dict.fromkeys(warnings)))


_RANK = {
    IdType.USCC: 0,
    IdType.ORGANISATION_CODE: 1,
    IdType.TAX_NUMBER: 2,
    IdType.REGISTRATION_NUMBER: 3,
    IdType.ID_CARD: 0,
    IdType.PASSPORT: 1,
    IdType.OFFICER: 2,
}


def _strongest(claims: Sequence[Claim], subject: SubjectKind, warnings: list[str]) -> Claim | None:
    ours = sorted((c for c in claims if c.subject is subject), key=lambda c: _RANK[c.id_type])
    if not ours:
        return None
    for index, first in enumerate(ours):
        for second in ours[index + 1 :]:
            agrees = _agree(first, second)
            if agrees is False:
                types = f"{first.id_type}, {second.id_type}"
                raise IdentityError("IDENTITY_CONFLICT", subject=subject, types=types)
            if agrees is None:
                warnings.append("REGISTRATION_NUMBER_NOT_CONFIRMED")
    return ours[0]


def _agree(first: Claim, second: Claim) -> bool | None:
    """Yes, no, or None when only the register of legal entities could tell.

    The credit code contains the organisation code at 9 to 17; the old tax number ends with it. Two numbers of
    a person of different kinds have nothing in common to compare: that counts as disagreement.
    """
    if first.id_type is second.id_type:
        return first.canonical == second.canonical
    if IdType.REGISTRATION_NUMBER in (first.id_type, second.id_type):
        return None
    left, right = organisation_code_of(first), organisation_code_of(second)
    return left is not None and left == right


def organisation_code_of(claim: Claim) -> str | None:
    """The organisation code inside a number of an entity."""
    if claim.id_type is IdType.USCC or (claim.id_type is IdType.TAX_NUMBER and len(claim.value) == 18):
        return claim.value[8:17]
    if claim.id_type is IdType.ORGANISATION_CODE:
        return claim.value
    if claim.id_type is IdType.TAX_NUMBER:
        return claim.value[6:15]
    return None


# CAs put UTF-8 into every kind of string that has no encoding of its own.
_CODECS = dict.fromkeys((0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A), "utf-8")
_CODECS |= {0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_ALTERNATIVES = ("0", "1", "2")


def subject_texts(cert: ParsedCertificate, oid: str) -> list[str]:
    """The texts of one attribute of the subject, in their order.

    Not read with ``cryptography``, which warns of unusual lengths and meets a BIT STRING with a TypeError.

    Raises:
        MalformedError: a value that is no text.
    """
    try:
        return [value.decode(_CODECS[tag]) for tag, value in attribute_values(cert.subject_der, oid)]
    except (KeyError, UnicodeDecodeError) as exc:
        raise MalformedError("MALFORMED", kind="certificate", detail="subject") from exc


def _claim(source: Source, key: str, text: str, profile: IdentityProfile, day: date) -> Claim:
    key_number = None
    if source.grammar != "plain":
        stripped = text.strip(" \t\u3000")
        uid = parse_uid(stripped) if source.grammar == "uid" else parse_short(stripped)
        if source.ca_codes and uid.ca_code not in source.ca_codes:
            raise DecodeError("UID_CODE_NOT_ALLOWED", where=source.place)
        key, text, key_number, _ = uid
    meaning = source.meanings.get(key)
    if meaning is None:
        raise DecodeError("ID_KIND_NOT_ALLOWED", where=source.place, kind=key)
    id_types = meaning.id_types
    id_type = id_types[0] if len(id_types) == 1 else _kind(meaning, text, source)
    notes: list[str] = []
    check = _DATED.get(id_type)
    if check is not None:
        value = check(text, at=day, test_ids=profile.test_ids, notes=notes, warn=not profile.strict)
    else:
        value = _UNDATED[id_type](text, notes=notes, warn=not profile.strict)
        # An 18-character tax number is the credit code itself.
        if id_type is _TAX_NUMBER and len(value) == 18:
            id_type = _USCC
    return Claim(
        id_type,
        value,
        meaning.subject,
        source.place,
        source.country,
        key_number,
        tuple(notes) if notes else (),
    )


def _kind(meaning: Meaning, text: str, source: Source) -> IdType:
    is_plain = text.isascii() and text.isalnum()
    id_type = meaning.kind_of(text if is_plain else normalise(text, meaning.id_types[0]).text)
    if id_type is None:
        raise DecodeError("ID_KIND_NOT_ALLOWED", where=source.place, kind=f"length {len(text)}")
    return id_type
