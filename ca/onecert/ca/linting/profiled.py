"""A certificate against a profile and its issuer: by the draft that it must have come from."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from onecert.ca import der
from onecert.ca.certificates.csr import CheckedKey
from onecert.ca.certificates.draft import CheckedRequest, Draft, Issuer, key_identifier, raw_subject
from onecert.ca.certificates.identity import IdentityForm, checked_identity, read_value
from onecert.ca.certificates.keys import check_key
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.certificates.names import read_subject
from onecert.ca.errors import CaError, LintError
from onecert.ca.linting.certificate import spki_of
from onecert.ca.linting.rules import Finding, finding_of_fault
from onecert.ca.profiles.profile import Profile
from onecert.ca.profiles.term import is_whole_term
from onecert.ca.signatures.public_keys import key_of_certificate, load_key
from onecert.server.languages import gettext

__all__ = ["extension_value", "issuer_of_file", "key_kind_faults", "profile_faults"]

_OCSP, _ISSUERS = AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS
_UID = re.compile(r"([1-9][0-9]{0,9})@[0-9A-Za-z]{4}[A-Z]{2}([01])(.*)", re.DOTALL)


def issuer_of_file(issuer: x509.Certificate, certificate: x509.Certificate) -> Issuer:
    """Describe an issuer by its certificate; addresses are those that stand in what it issued.

    Raises:
        UnsupportedKeyError, ValueError
    """
    points, access = (
        extension_value(certificate, x509.CRLDistributionPoints),
        extension_value(certificate, x509.AuthorityInformationAccess),
    )
    urls = [str(name.value) for point in points or () for name in point.full_name or ()]
    issuers = [str(each.access_location.value) for each in access or () if each.access_method == _ISSUERS]
    answers = [str(each.access_location.value) for each in access or () if each.access_method == _OCSP]
    named = extension_value(issuer, x509.SubjectKeyIdentifier)
    return Issuer(
        name=issuer.subject.rfc4514_string(),
        subject_der=raw_subject(issuer.tbs_certificate_bytes),
        public_key=key_of_certificate(issuer),
        key_id=named.digest
        if named is not None
        else key_identifier(spki_of(issuer.public_bytes(Encoding.DER))),
        not_before=issuer.not_valid_before_utc,
        not_after=issuer.not_valid_after_utc,
        crl_url=(urls or [""])[0],
        ocsp_url=(answers or [""])[0],
        certificate_url=(issuers or [""])[0],
        bundle_url=issuers[1] if len(issuers) > 1 else "",
    )


def profile_faults(content: bytes, profile: Profile, issuer: Issuer) -> Iterator[Finding]:
    """Name everything in which a certificate is not what this issuer makes by this profile.

    Args:
        content: DER.
        issuer: with the partitions in force; a certificate may name any of them, or the full list.

    Raises:
        ValueError: it cannot be read at all.
    """
    certificate = x509.load_der_x509_certificate(content)
    spki = spki_of(content)
    try:
        key = load_key(spki)
        check_key(key, profile.key_kinds)
        draft = _draft(certificate, CheckedKey(key, spki), profile, issuer)
        check_certificate(content, draft)
    except LintError as exc:
        yield from map(finding_of_fault, exc.findings)
    except CaError as exc:
        yield Finding("profile-contents", gettext(exc.text, **exc.facts))


def key_kind_faults(spki: bytes, profile: Profile) -> Iterator[Finding]:
    """Name what keeps a key out of this profile."""
    try:
        check_key(load_key(spki), profile.key_kinds)
    except CaError as exc:
        yield Finding("profile-key", gettext(exc.text, **exc.facts))


def _draft(certificate: x509.Certificate, key: CheckedKey, profile: Profile, issuer: Issuer) -> Draft:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    values, number = _identity(certificate, profile)
    identity = checked_identity(
        values,
        required=profile.identity_required,
        optional=profile.identity_optional,
        at=start.date(),
        # Whether numbers of nobody are accepted is a matter of the service, not of the profile.
        test_identities=True,
    )
    names = extension_value(certificate, x509.SubjectAlternativeName)
    request = CheckedRequest(
        profile=profile,
        key=key,
        subject={
            field: value
            for field, _tag, value in read_subject(raw_subject(certificate.tbs_certificate_bytes))
        },
        entity="",
        identity=identity,
        dns_names=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        addresses=tuple(map(str, names.get_values_for_type(x509.IPAddress))) if names else (),
        not_after=None if is_whole_term(profile, start, end) or end == issuer.not_after else end,
    )
    return Draft(
        request=request,
        issuer=_with_list_of(certificate, issuer),
        serial=certificate.serial_number,
        key_number=number,
        not_before=start,
        not_after=end,
        tbs_der=certificate.tbs_certificate_bytes,
    )


def _with_list_of(certificate: x509.Certificate, issuer: Issuer) -> Issuer:
    """The issuer with that of its lists which the certificate names, whatever partitions are in force."""
    points = extension_value(certificate, x509.CRLDistributionPoints)
    named = [str(name.value) for point in points or () for name in point.full_name or ()]
    base = re.escape(issuer.crl_url.removesuffix(".crl"))
    if len(named) == 1 and re.fullmatch(rf"{base}-[1-9][0-9]{{0,4}}\.crl", named[0]):
        return replace(issuer, crl_url=named[0], crl_partitions=0)
    return replace(issuer, crl_partitions=0)


def _identity(certificate: x509.Certificate, profile: Profile) -> tuple[dict[str, str], int]:
    """Read the numbers out of the identity extensions, and which key of the holder this is."""
    values: dict[str, str] = {}
    number = 1
    for form in profile.identity_forms:
        for extension in certificate.extensions:
            if extension.oid.dotted_string == form.oid and form.value != "class":
                value, at = _read(extension.value.public_bytes(), form)
                values.setdefault(form.value, value)
                number = at or number
    return values, number


def _read(value_der: bytes, form: IdentityForm) -> tuple[str, int]:
    try:
        text = read_value(value_der, form.syntax)
    except (der.DerError, UnicodeError):
        return "", 0
    found = _UID.fullmatch(text) if form.uid else None
    if found is None:
        return text, 0
    try:
        value = base64.b64decode(found[3], validate=True).decode() if found[2] == "1" else found[3]
    except ValueError:
        return "", 0
    return value, int(found[1]) - form.first_key + 1


def extension_value(read: x509.Certificate | x509.CertificateRevocationList, kind: type[Any]) -> Any:
    """The value of an extension; None: it is not there."""
    try:
        return read.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
