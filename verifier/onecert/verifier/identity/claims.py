"""From the places a profile names to claims, and from claims to one entity and one person.

All sources of the profile are read, not the first that fits. Two claims about one subject that disagree
refuse the certificate. The entity and the person are separate: an agent's number never becomes the entity's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import MalformedError
from onecert.verifier.identity import check_digits
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.decode import decode
from onecert.verifier.identity.errors import DecodeError, IdentityError
from onecert.verifier.identity.grammar import Uid, parse_short, parse_uid
from onecert.verifier.identity.normalise import normalise
from onecert.verifier.identity.profile import IdentityProfile, Meaning, Source, SubjectKind
from onecert.verifier.names import attribute_values

_CHECKS: Mapping[IdType, Callable[..., str]] = {
    IdType.USCC: check_digits.check_uscc,
    IdType.ORGANISATION_CODE: check_digits.check_organisation_code,
    IdType.REGISTRATION_NUMBER: check_digits.check_registration_number,
    IdType.TAX_NUMBER: check_digits.check_tax_number,
    IdType.ID_CARD: check_digits.check_idcard,
    IdType.PASSPORT: check_digits.check_passport,
    IdType.OFFICER: check_digits.check_officer,
}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One number that the certificate asserts, checked and in its one spelling."""

    id_type: IdType
    value: str
    subject: SubjectKind
    source: str  # "extension 1.2.3" or "subject 2.5.4.11"
    country: str = ""
    key_number: int | None = None
    warnings: tuple[str, ...] = ()

    @cached_property
    def canonical(self) -> str:
        """The canonical spelling with its type, such as ``uscc:91440300MA5DEM004J``."""
        if self.id_type is IdType.PASSPORT:
            return f"passport:{self.country}:{self.value}"
        return f"{self.id_type}:{self.value}"

    def view(self, *, raw: bool) -> ClaimView:
        """For a department; the number of a person only with ``raw``."""
        visible = self.subject is SubjectKind.ENTITY or raw
        return ClaimView(
            id_type=self.id_type,
            subject=self.subject,
            source=self.source,
            value=self.value if visible else None,
        )


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    """One claim as a department sees it; a person's number is never in it."""

    id_type: str
    subject: str
    source: str
    value: str | None


@dataclass(frozen=True)
class Subjects:
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
    for source in profile.sources:
        texts = _texts(cert, source)
        if not texts and source.required:
            raise IdentityError("SOURCE_MISSING", where=_place(source))
        claims.extend(_claim(source, key, text, profile, at) for key, text in texts)
    return claims


def reduce_claims(claims: Sequence[Claim]) -> Subjects:
    """One entity and one person, or a refusal.

    Raises:
        IdentityError: IDENTITY_CONFLICT when two claims about one subject disagree.
    """
    if len(claims) == 1:  # nearly every certificate
        (one,) = claims
        is_entity = one.subject is SubjectKind.ENTITY
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


def _place(source: Source) -> str:
    return f"{source.kind} {source.oid}"


def _texts(cert: ParsedCertificate, source: Source) -> list[tuple[str, str]]:
    """(alternative, text) of every value at one place."""
    if source.kind == "extension":
        value = cert.extension_value(source.oid)
        if value is None:
            return []
        decoded = decode(value, source.forms)
        return [(str(decoded.alternative), decoded.text)]
    return [("0", text) for text in subject_texts(cert, source.oid)]


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


def _claim(source: Source, key: str, text: str, profile: IdentityProfile, at: datetime) -> Claim:
    uid: Uid | None = None
    if source.grammar != "plain":
        stripped = text.strip(" \t\u3000")
        uid = parse_uid(stripped) if source.grammar == "uid" else parse_short(stripped)
        if source.ca_codes and uid.ca_code not in source.ca_codes:
            raise DecodeError("UID_CODE_NOT_ALLOWED", where=_place(source))
        key, text = uid.type_code, uid.value
    meaning = source.meanings.get(key)
    if meaning is None:
        raise DecodeError("ID_KIND_NOT_ALLOWED", where=_place(source), kind=key)
    id_type = _kind(meaning, text, source)
    notes: list[str] = []
    value = _checked(id_type, text, profile, at, notes)
    # An 18-character tax number is the credit code itself.
    if id_type is IdType.TAX_NUMBER and len(value) == 18:
        id_type = IdType.USCC
    return Claim(
        id_type=id_type,
        value=value,
        subject=meaning.subject,
        source=_place(source),
        country=source.country,
        key_number=uid.key_number if uid else None,
        warnings=tuple(notes),
    )


def _kind(meaning: Meaning, text: str, source: Source) -> IdType:
    if len(meaning.id_types) == 1:
        return meaning.id_types[0]
    is_plain = text.isascii() and text.isalnum()
    id_type = meaning.kind_of(text if is_plain else normalise(text, meaning.id_types[0]).text)
    if id_type is None:
        raise DecodeError("ID_KIND_NOT_ALLOWED", where=_place(source), kind=f"length {len(text)}")
    return id_type


def _checked(id_type: IdType, text: str, profile: IdentityProfile, at: datetime, notes: list[str]) -> str:
    extra: dict[str, object] = {}
    if id_type in (IdType.USCC, IdType.ID_CARD):
        extra = {"at": at.date(), "test_ids": profile.test_ids}
    return _CHECKS[id_type](text, notes=notes, warn=not profile.strict, **extra)
