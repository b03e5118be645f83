"""Lint: reads a draft back with a parser that did not write it, and names every rule that it breaks.

Rules of RFC 5280 (ids and sections in `lint_rules`), of RFC 6960 for responders, and of the profile: exactly
the extensions it lists, exactly its values. A finding is fatal: nothing is signed. The same rules run again
over what the token signed, because its bytes are compared with the draft.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from cryptography import x509

from onecert.ca import der
from onecert.ca.certificates.draft import SERIAL_LEAD, SERIAL_RANDOM_OCTETS, Draft, delta_url
from onecert.ca.certificates.lint_rules import fault
from onecert.ca.certificates.names import ATTRIBUTES, check_value, read_subject
from onecert.ca.errors import CaError, LintError
from onecert.ca.profiles.profile import EXTENDED_KEY_USAGE_OIDS, KEY_USAGE_BITS, Profile
from onecert.ca.profiles.term import is_longer, is_whole_term
from onecert.ca.signatures.algorithms import key_kind
from onecert.ca.signatures.public_keys import key_digest
from onecert.verifier.attribute_certificate.trust_controls import Controls
from onecert.verifier.errors import VerifyError

_KEY_USAGE_NAMES: tuple[tuple[str, str], ...] = (
    ("digitalSignature", "digital_signature"),
    ("nonRepudiation", "content_commitment"),
    ("keyEncipherment", "key_encipherment"),
    ("dataEncipherment", "data_encipherment"),
    ("keyAgreement", "key_agreement"),
    ("keyCertSign", "key_cert_sign"),
    ("cRLSign", "crl_sign"),
)


# RFC 8410, section 5, and RFC 9881, section 5: such keys are for signatures alone.
_SIGNING_ONLY = frozenset({"ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"})
_ENCRYPTING = {"keyEncipherment", "dataEncipherment", "keyAgreement"}


def check_certificate(certificate_der: bytes, draft: Draft) -> x509.Certificate:
    """Lint one certificate against its draft and profile.

    Raises:
        LintError: with all findings.
    """
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        findings = list(_find_faults(certificate, certificate_der, draft))
    except (ValueError, x509.DuplicateExtension) as exc:
        raise LintError([fault("certificate-parse", exc)]) from exc
    if findings:
        raise LintError(findings)
    return certificate


class _Fields(NamedTuple):
    """The fields of a to-be-signed certificate, each as it stands there, with tag and length."""

    version: bytes
    serial: bytes
    signature: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    public_key: bytes
    extensions: bytes


# What was found right once: bytes that certificates share, with the rules they were compared with.
_seen_right: set[tuple[object, ...]] = set()
SEEN_RIGHT_MAX = 1024


def _once(verdict: tuple[object, ...], find: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Look for faults, unless none was found before in the same bytes under the same rules."""
    if verdict in _seen_right:
        return
    faults = list(find())
    yield from faults
    if not faults:
        if len(_seen_right) >= SEEN_RIGHT_MAX:
            _seen_right.clear()
        _seen_right.add(verdict)


def _find_faults(certificate: x509.Certificate, certificate_der: bytes, draft: Draft) -> Iterator[str]:
    """Name every rule that this certificate breaks.

    Serial, subject, key and what the extensions say of the holder are checked each time. All else is the same
    in many certificates, byte for byte, and checked once for each spelling.
    """
    tbs, outer_algorithm, _signature = der.wholes(der.content_of(certificate_der))
    parts = der.wholes(der.content_of(tbs))
    if len(parts) != len(_Fields._fields):
        yield fault("certificate-fields")
        return
    fields = _Fields(*parts)
    request, issuer = draft.request, draft.issuer
    if certificate.serial_number != draft.serial or draft.serial >> 8 * SERIAL_RANDOM_OCTETS != SERIAL_LEAD:
        yield fault("certificate-serial")
    yield from _once(
        (
            *(request.profile.sha256, issuer.mark, issuer.algorithm.oid, key_kind(request.key.public_key)),
            *(draft.not_before, request.not_after, request.terms),
            *(fields.version, fields.signature, outer_algorithm, fields.issuer, fields.validity),
        ),
        lambda: _envelope(certificate, fields, draft),
    )
    yield from _subject(fields, draft)
    # The type CheckedKey already says that the key obeys its rules; here it only must be the same one.
    if fields.public_key != request.key.spki_der:
        yield fault("certificate-key")
    yield from _extensions(certificate, fields, draft)


def _envelope(certificate: x509.Certificate, fields: _Fields, draft: Draft) -> Iterator[str]:
    algorithm = draft.issuer.algorithm
    if certificate.version is not x509.Version.v3:
        yield fault("certificate-version")
    if fields.signature != algorithm.identifier_der:
        yield fault("certificate-algorithm")
    if certificate.signature_algorithm_oid.dotted_string != algorithm.oid:
        yield fault("certificate-outer-algorithm")
    if fields.issuer != draft.issuer.subject_der:
        yield fault("certificate-issuer")
    yield from _validity(certificate, fields, draft)
    kind = key_kind(draft.request.key.public_key)
    if kind in _SIGNING_ONLY and _ENCRYPTING & set(draft.request.profile.key_usage):
        yield fault("certificate-key-only-signs")


def _validity(certificate: x509.Certificate, fields: _Fields, draft: Draft) -> Iterator[str]:
    times = der.elements(der.content_of(fields.validity))
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    for moment, (tag, _content, _whole) in zip((start, end), times, strict=True):
        if (tag == der.UTC_TIME) != (moment.year < 2050):
            yield fault("certificate-time-form")
    terms = draft.request.terms
    if terms is not None and terms.validity is not None:
        if (start, end) != terms.validity:
            yield fault("certificate-validity-rolled-over")
    else:
        if start != draft.not_before or start < draft.issuer.not_before:
            yield fault("certificate-validity-start")
        if not _is_term(start, end, draft):
            yield fault("certificate-validity-term")
    if end > draft.issuer.not_after:
        yield fault("certificate-validity-beyond-issuer")


def _is_term(start: datetime, end: datetime, draft: Draft) -> bool:
    """Tell whether the end is the one that the profile, the order or the issuer gives."""
    profile, asked = draft.request.profile, draft.request.not_after
    if asked is not None:
        return end == asked and not is_longer(profile, start, end)
    if profile.clip_to_issuer and end == draft.issuer.not_after:
        return not is_longer(profile, start, end)
    return is_whole_term(profile, start, end)


def _subject(fields: _Fields, draft: Draft) -> Iterator[str]:
    if draft.request.terms is not None:
        if fields.subject != draft.request.terms.subject_der:
            yield fault("certificate-subject-reviewed")
        return
    rules = draft.request.profile.subject
    found: dict[str, str] = {}
    for field, tag, value in read_subject(fields.subject):
        rule = rules.get(field)
        if rule is None or field in found:
            yield fault("certificate-subject-field", field)
            continue
        if (tag == der.PRINTABLE_STRING) != ATTRIBUTES[field].printable:
            yield fault("certificate-subject-string", field)
        try:
            check_value(field, value, rule)
        except CaError as exc:
            yield fault("certificate-subject-value", exc)
        found[field] = value
    if found != dict(draft.request.subject):
        yield fault("certificate-subject-ordered")


_KEY_IDENTIFIER = der.oid("2.5.29.14")


def _extensions(certificate: x509.Certificate, fields: _Fields, draft: Draft) -> Iterator[str]:
    """Check the extensions: key identifier and identity each time, all else once for each spelling."""
    profile, request = draft.request.profile, draft.request
    forms = {der.oid(form.oid): form for form in profile.identity_forms}
    holders: dict[bytes, bytes] = {}
    shape: list[bytes] = []
    for whole in der.wholes(der.content_of(der.content_of(fields.extensions, 0xA3))):
        begin = 2 if whole[1] < 0x80 else 2 + (whole[1] & 0x7F)
        end = begin + 2 + whole[begin + 1] if len(whole) > begin + 1 else begin
        oid_der = whole[begin:end]
        if oid_der in forms or oid_der == _KEY_IDENTIFIER:
            *critical, value_der = der.wholes(whole[end:])
            holders[oid_der] = der.content_of(value_der, der.OCTET_STRING)
            shape.append(oid_der + b"".join(critical))
        else:
            shape.append(whole)
    rules = (
        *(profile.sha256, draft.issuer.mark, draft.crl_partition, request.terms, request.may_give),
        *sorted(request.identity),
    )
    if profile.alternative_names:
        # They are the holder's, too: such certificates are rare, and checked whole.
        yield from _common_extensions(certificate, draft)
    else:
        yield from _once((*rules, None, *shape), lambda: _common_extensions(certificate, draft))
    if holders.get(_KEY_IDENTIFIER) != der.octet_string(_key_identifier(draft)):
        yield fault("certificate-key-identifier")
    for oid_der, value_der in holders.items():
        if oid_der in forms:
            wrong = forms[oid_der].find_fault(value_der, request.identity, draft.key_number)
            if wrong:
                yield fault("certificate-identity", wrong)


# An encoded key of these kinds ends with its point, in the uncompressed form, and with nothing else.
_POINT_OCTETS = {"p-256": 65, "p-384": 97}


def _key_identifier(draft: Draft) -> bytes:
    key = draft.request.key
    octets = _POINT_OCTETS.get(key_kind(key.public_key))
    if octets is None:
        return key_digest(key.public_key)
    return hashlib.sha1(key.spki_der[-octets:], usedforsecurity=False).digest()


def _common_extensions(certificate: x509.Certificate, draft: Draft) -> Iterator[str]:
    expected = expected_extensions(draft.request.profile, draft)
    present = {extension.oid.dotted_string: extension for extension in certificate.extensions}
    for oid in expected.keys() - present.keys():
        yield fault("certificate-extension-missing", oid)
    for oid, extension in present.items():
        if oid not in expected:
            yield fault("certificate-extension-surplus", oid)
        elif extension.critical != expected[oid]:
            yield fault("certificate-extension-critical", oid)
    for oid, check in _CHECKS.items():
        if oid in present and not check(present[oid].value, draft):
            yield fault("certificate-extension-value", oid)
    if draft.request.terms is not None:
        yield from draft.request.terms.find_faults(certificate)


def expected_extensions(profile: Profile, draft: Draft) -> dict[str, bool]:
    """List the extensions that a certificate must have, and whether each is critical."""
    issuer = draft.issuer
    sources = issuer.ocsp_url or issuer.certificate_url
    rules = (
        ("2.5.29.14", False, True),
        ("2.5.29.35", False, True),
        ("2.5.29.15", True, True),
        ("2.5.29.19", True, profile.is_authority),
        ("2.5.29.37", profile.extended_key_usage_critical, bool(profile.extended_key_usage)),
        ("2.5.29.32", False, bool(profile.policies)),
        ("2.5.29.31", False, profile.status_pointers and bool(issuer.crl_url)),
        ("2.5.29.46", False, profile.status_pointers and profile.freshest_crl),
        ("1.3.6.1.5.5.7.1.1", False, profile.status_pointers and bool(sources)),
        ("1.3.6.1.5.5.7.48.1.5", False, profile.ocsp_no_check),
        ("2.5.29.17", False, profile.alternative_names),
        ("1.3.6.1.5.5.7.1.6", False, profile.attribute_controls and bool(draft.request.may_give)),
    )
    expected = {oid: critical for oid, critical, wanted in rules if wanted}
    values = {"class", *draft.request.identity}
    if draft.request.terms is not None:
        expected.update(dict.fromkeys(draft.request.terms.extensions, True))
    expected.update({form.oid: False for form in profile.identity_forms if form.value in values})
    return expected


def _is_authority_key_identifier(value: object, draft: Draft) -> bool:
    return isinstance(value, x509.AuthorityKeyIdentifier) and (
        value.key_identifier == draft.issuer.key_id and value.authority_cert_issuer is None
    )


def _is_key_usage(value: object, draft: Draft) -> bool:
    return isinstance(value, x509.KeyUsage) and (
        {name for name, attribute in _KEY_USAGE_NAMES if getattr(value, attribute)}
        == set(draft.request.profile.key_usage)
    )


def _is_basic_constraints(value: object, draft: Draft) -> bool:
    profile = draft.request.profile
    return isinstance(value, x509.BasicConstraints) and (
        value.ca == profile.is_authority and value.path_length == profile.path_length
    )


def _is_extended_key_usage(value: object, draft: Draft) -> bool:
    wanted = [EXTENDED_KEY_USAGE_OIDS[usage] for usage in draft.request.profile.extended_key_usage]
    return isinstance(value, x509.ExtendedKeyUsage) and [usage.dotted_string for usage in value] == wanted


def _is_policies(value: object, draft: Draft) -> bool:
    return isinstance(value, x509.CertificatePolicies) and (
        [policy.policy_identifier.dotted_string for policy in value] == list(draft.request.profile.policies)
    )


def _is_crl_distribution_points(value: object, draft: Draft) -> bool:
    url = draft.issuer.crl_url_of(draft.crl_partition)
    return isinstance(value, x509.CRLDistributionPoints) and _points_to(list(value), url)


def _is_freshest_crl(value: object, draft: Draft) -> bool:
    url = delta_url(draft.issuer.crl_url_of(draft.crl_partition))
    return isinstance(value, x509.FreshestCRL) and _points_to(list(value), url)


def _points_to(points: list[x509.DistributionPoint], url: str) -> bool:
    names = [name.value for point in points for name in point.full_name or ()]
    return len(points) == 1 and names == [url] and url.startswith("http://")


def _is_authority_information(value: object, draft: Draft) -> bool:
    if not isinstance(value, x509.AuthorityInformationAccess):
        return False
    issuer = draft.issuer
    wanted = [url for url in (issuer.ocsp_url, issuer.certificate_url, issuer.bundle_url) if url]
    return [access.access_location.value for access in value] == wanted and all(
        url.startswith("http://") for url in wanted
    )


def _is_alternative_names(value: object, draft: Draft) -> bool:
    if not isinstance(value, x509.SubjectAlternativeName) or not list(value):
        return False
    addresses = [ipaddress.ip_address(address) for address in draft.request.addresses]
    return value.get_values_for_type(x509.DNSName) == list(draft.request.dns_names) and (
        value.get_values_for_type(x509.IPAddress) == addresses
    )


def _is_attribute_controls(value: object, draft: Draft) -> bool:
    if not isinstance(value, x509.UnrecognizedExtension):
        return False
    try:
        controls = Controls.from_der(value.value)
    except VerifyError:
        return False
    return controls == Controls(frozenset(draft.request.may_give), permit_unspecified=False)


_CHECKS: dict[str, Callable[[object, Draft], bool]] = {
    "2.5.29.35": _is_authority_key_identifier,
    "2.5.29.15": _is_key_usage,
    "2.5.29.19": _is_basic_constraints,
    "2.5.29.37": _is_extended_key_usage,
    "2.5.29.32": _is_policies,
    "2.5.29.31": _is_crl_distribution_points,
    "2.5.29.46": _is_freshest_crl,
    "1.3.6.1.5.5.7.1.1": _is_authority_information,
    "2.5.29.17": _is_alternative_names,
    "1.3.6.1.5.5.7.1.6": _is_attribute_controls,
}

# The writer and the lint must know the same key usages.
assert {name for name, _attribute in _KEY_USAGE_NAMES} == set(KEY_USAGE_BITS)  # noqa: S101 - at import, once
