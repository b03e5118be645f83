"""What we sign must pass the eyes of a stranger first: the draft is read back by the verifier's own parser.

RFC 5755, section 4, and our narrower choices, rule by rule. The draft is signed with a throw-away key;
what the token signs afterwards has the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from onecert.pmi.authorities.directory import Authority
from onecert.pmi.errors import DraftRefusedError
from onecert.pmi.issuing.encode import key_identifier
from onecert.verifier.attribute_certificate import Code, Finding, parse
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.extensions import read_extension
from onecert.verifier.attribute_certificate.holder import is_issued_to
from onecert.verifier.attribute_certificate.parse import AttributeCertificate
from onecert.verifier.attribute_certificate.roles import read_roles
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.names import names_match

__all__ = ["check_draft"]

_MIN_SERIAL_BITS = 128
_ALLOWED_CRITICAL = {Oid.TARGET_INFORMATION}


def check_draft(
    draft_der: bytes, *, authority: Authority, holder: ParsedCertificate, roles: Sequence[str]
) -> AttributeCertificate:
    """Read a draft back and check it against the profile.

    Raises:
        DraftRefusedError: with every fault; the key has not been used.
    """
    try:
        draft = parse(draft_der)
    except VerifyError as exc:
        raise DraftRefusedError([str(exc)]) from exc
    faults = [finding.text("en") for finding in draft.faults]
    faults += _faults(draft, authority, holder, roles)
    if faults:
        raise DraftRefusedError(faults)
    return draft


def _faults(
    draft: AttributeCertificate, authority: Authority, holder: ParsedCertificate, roles: Sequence[str]
) -> Iterator[str]:
    if draft.issuer is None or not names_match(draft.issuer.value, authority.certificate.subject_der):
        yield "the issuer is not the authority's subject"
    if draft.serial.bit_length() < _MIN_SERIAL_BITS:
        yield "the serial number is too short"
    if draft.algorithm_der != draft.outer_algorithm_der:
        yield Finding(Code.ALG_MISMATCH).text("en")
    named = (draft.holder.base_certificate_id, draft.holder.entity_name, draft.holder.object_digest)
    if sum(bool(form) for form in named) != 1 or not is_issued_to(draft.holder, holder):
        yield "the holder is not named in exactly one way, or is somebody else"
    yield from _period(draft, authority.certificate)
    yield from _attributes(draft, roles)
    yield from _extensions(draft, authority)


def _period(draft: AttributeCertificate, issuer: ParsedCertificate) -> Iterator[str]:
    start, end = draft.not_before, draft.not_after
    if start is not None and end is not None and not _is_inside(start, end, issuer):
        yield "the period is not inside that of the authority's certificate"


def _is_inside(start: datetime, end: datetime, issuer: ParsedCertificate) -> bool:
    return issuer.not_before <= start and end <= issuer.not_after


def _attributes(draft: AttributeCertificate, roles: Sequence[str]) -> Iterator[str]:
    if [attribute.oid for attribute in draft.attributes] != [Oid.ROLE]:
        yield "there are other attributes than roles"
        return
    found = [role.name for _, role in read_roles(draft.attributes[0]) if role is not None]
    if sorted(found) != sorted(roles) or len(draft.attributes[0].values) != len(roles):
        yield "the roles are not those of the grant"


def _extensions(draft: AttributeCertificate, authority: Authority) -> Iterator[str]:
    try:
        values = {each.oid: read_extension(each.oid, each.value) for each in draft.extensions}
    except ValueError as exc:
        yield f"an extension cannot be read back: {exc}"
        return
    for extension in draft.extensions:
        if extension.critical != (extension.oid in _ALLOWED_CRITICAL):
            yield f"extension {extension.oid.dotted_string} has the wrong criticality"
    key = values.get(Oid.AUTHORITY_KEY_IDENTIFIER)
    if key is None or key.key_identifier != key_identifier(authority.certificate):
        yield "the authority key identifier is missing or wrong"
    if Oid.CRL_DISTRIBUTION_POINTS not in values:
        yield "there is no pointer to the revocation list"
