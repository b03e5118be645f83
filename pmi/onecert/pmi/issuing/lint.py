"""What we sign must pass the eyes of a stranger first: the draft is read back by the verifier's own parser.

RFC 5755, section 4, and our narrower choices, rule by rule. The draft is signed with a throw-away key;
what the token signs afterwards has the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from cryptography.x509 import ObjectIdentifier

from onecert.pmi.authorities.directory import Authority
from onecert.pmi.errors import DraftRefusedError
from onecert.pmi.issuing.encode import ENTITY_URN, Content, Under, key_identifier
from onecert.verifier.attribute_certificate import Code, Finding, parse
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.delegation import constraints_of
from onecert.verifier.attribute_certificate.extensions import Extensions, read_extension
from onecert.verifier.attribute_certificate.general_names import DIRECTORY, GeneralName
from onecert.verifier.attribute_certificate.holder import (
    PUBLIC_KEY,
    PUBLIC_KEY_CERTIFICATE,
    is_issued_to,
)
from onecert.verifier.attribute_certificate.parse import AttributeCertificate
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.names import names_match

__all__ = ["SHORT_LIFE", "check_draft"]

# RFC 5755, section 4.3.6, leaves it to policy when noRevAvail is right; ours.
SHORT_LIFE = timedelta(hours=24)

_MIN_SERIAL_BITS = 128
_CRITICAL = {
    Oid.TARGET_INFORMATION,
    Oid.AUDIT_IDENTITY,
    Oid.BASIC_ATTRIBUTE_CONSTRAINTS,
    Oid.DELEGATED_NAME_CONSTRAINTS,
}
_STATUS = (Oid.CRL_DISTRIBUTION_POINTS, Oid.AUTHORITY_INFORMATION_ACCESS)


def check_draft(draft_der: bytes, *, authority: Authority, content: Content) -> AttributeCertificate:
    """Read a draft back and check it against the profile, and against what it is to say.

    Raises:
        DraftRefusedError: with every fault; the key has not been used.
    """
    try:
        draft = parse(draft_der)
        faults = [finding.text("en") for finding in draft.faults]
        faults += _faults(draft, authority, content)
    except VerifyError as exc:
        raise DraftRefusedError([str(exc)]) from exc
    if faults:
        raise DraftRefusedError(faults)
    return draft


def _faults(draft: AttributeCertificate, authority: Authority, content: Content) -> Iterator[str]:
    certificate = authority.certificate
    if draft.issuer is None or not (
        draft.issuer.value == certificate.subject_der
        or names_match(draft.issuer.value, certificate.subject_der)
    ):
        yield "the issuer is not the authority's subject"
    if draft.serial.bit_length() < _MIN_SERIAL_BITS:
        yield "the serial number is too short"
    if draft.algorithm_der != draft.outer_algorithm_der:
        yield Finding(Code.ALG_MISMATCH).text("en")
    yield from _holder(draft, content)
    yield from _period(draft, certificate, content)
    if draft.attributes != content.attributes:
        yield "the attributes are not those of the grant"
    yield from _extensions(draft, authority, content)


def _holder(draft: AttributeCertificate, content: Content) -> Iterator[str]:
    holder = draft.holder
    named = (holder.base_certificate_id, holder.entity_name, holder.object_digest)
    if sum(bool(form) for form in named) != 1:
        yield "the holder is not named in exactly one way"
    elif not _is_form(draft, content):
        yield f"the holder is not named by {content.holder_form}, or is somebody else"


def _is_form(draft: AttributeCertificate, content: Content) -> bool:
    holder, form = draft.holder, content.holder_form
    if form == "entity":
        return holder.entity_name == (GeneralName.uri(f"{ENTITY_URN}{content.entity}"),)
    if not is_issued_to(holder, content.holder):
        return False
    if form == "certificate":
        return holder.base_certificate_id is not None
    if form == "name":
        return [name.tag for name in holder.entity_name] == [DIRECTORY]
    kind = PUBLIC_KEY if form == "key" else PUBLIC_KEY_CERTIFICATE
    return holder.object_digest is not None and holder.object_digest.object_type == kind


def _period(draft: AttributeCertificate, issuer: ParsedCertificate, content: Content) -> Iterator[str]:
    start, end = draft.not_before, draft.not_after
    if start is None or end is None:
        return  # the parser has said so
    if not (issuer.not_before <= start and end <= issuer.not_after):
        yield "the period is not inside that of the authority's certificate"
    if (start, end) != (content.not_before, content.not_after):
        yield "the period is not that of the grant"
    if content.short_lived and end - start > SHORT_LIFE:
        yield "it cannot be revoked and is valid for more than 24 hours"


def _extensions(draft: AttributeCertificate, authority: Authority, content: Content) -> Iterator[str]:
    try:
        values = {each.oid: read_extension(each.oid, each.value) for each in draft.extensions}
    except ValueError as exc:
        yield f"an extension cannot be read back: {exc}"
        return
    for extension in draft.extensions:
        if extension.critical != (extension.oid in _CRITICAL):
            yield f"extension {extension.oid.dotted_string} has the wrong criticality"
    expected = _expected(content)
    for oid in values.keys() ^ expected:
        yield f"extension {oid.dotted_string} is {'missing' if oid in expected else 'not wanted'}"
    key = values.get(Oid.AUTHORITY_KEY_IDENTIFIER)
    if key is None or key.key_identifier != key_identifier(authority.certificate):
        yield "the authority key identifier is missing or wrong"
    yield from _said(draft, values, content)


def _expected(content: Content) -> set[ObjectIdentifier]:
    found = {Oid.AUTHORITY_KEY_IDENTIFIER}
    found.update((Oid.NO_REVOCATION_AVAILABLE,) if content.short_lived else _STATUS)
    if content.targets or content.target_groups:
        found.add(Oid.TARGET_INFORMATION)
    if content.audit_identity:
        found.add(Oid.AUDIT_IDENTITY)
    if content.under is not None:
        found.add(Oid.AUTHORITY_ATTRIBUTE_IDENTIFIER)
    if content.constraints is not None:
        found.add(Oid.BASIC_ATTRIBUTE_CONSTRAINTS)
        if content.constraints.names is not None:
            found.add(Oid.DELEGATED_NAME_CONSTRAINTS)
    return found


def _said(
    draft: AttributeCertificate, values: dict[ObjectIdentifier, Extensions], content: Content
) -> Iterator[str]:
    targets = values.get(Oid.TARGET_INFORMATION, Extensions()).targets
    if targets is not None:
        found = (tuple(map(str, targets.names)), tuple(map(str, targets.groups)))
        if found != (content.targets, content.target_groups):
            yield "the targets are not those of the grant"
    identity = values.get(Oid.AUDIT_IDENTITY, Extensions()).audit_identity
    if identity is not None and identity.hex() != content.audit_identity:
        yield "the audit identity is not that of the grant"
    given = values.get(Oid.AUTHORITY_ATTRIBUTE_IDENTIFIER, Extensions()).given_under
    if given and content.under is not None and given != (_named(content.under),):
        yield "it does not name the delegation that it is given under"
    if constraints_of(draft) != content.constraints:
        yield "the constraints are not those of the delegation"


def _named(under: Under) -> tuple[GeneralName, int]:
    return GeneralName(DIRECTORY, under.issuer_der), under.serial
