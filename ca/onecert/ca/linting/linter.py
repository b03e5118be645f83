"""The lint of one certificate, list or request of anybody, whatever its bytes are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.ca import der
from onecert.ca.certificates.draft import Issuer
from onecert.ca.errors import CaError
from onecert.ca.linting.artefacts import CERTIFICATE, CRL, REQUEST, UNREADABLE, Artefact
from onecert.ca.linting.certificate import Signed, certificate_faults, spki_of
from onecert.ca.linting.crl import crl_faults
from onecert.ca.linting.fields import READING_ERRORS
from onecert.ca.linting.profiled import extension_value, issuer_of_file, key_kind_faults, profile_faults
from onecert.ca.linting.request import request_faults, request_key
from onecert.ca.linting.rules import Finding
from onecert.ca.profiles.profile import Profile
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import load_public_key, verify_signature

__all__ = ["Against", "lint"]


@dataclass(frozen=True, kw_only=True)
class Against:
    """With what an artefact is compared besides the standards.

    Args:
        issuer: the certificate of its issuer.
        addresses: the issuer as this CA knows it, with its addresses; None: as they stand.
        profile: needs an issuer, for certificates.
    """

    issuer: x509.Certificate | None = None
    addresses: Issuer | None = None
    profile: Profile | None = None


def lint(artefact: Artefact, against: Against = Against()) -> list[Finding]:
    """Name everything that is wrong; each finding once, in the order in which it was met."""
    with warnings.catch_warnings():
        # What the library warns of, serials and lengths of names, is named here in our own words.
        warnings.simplefilter("ignore")
        return list(dict.fromkeys(_faults(artefact, against)))


def _faults(artefact: Artefact, against: Against) -> Iterator[Finding]:
    content = artefact.content
    if artefact.kind == UNREADABLE:
        yield Finding("file-unreadable", content.decode("ascii", "replace"))
        return
    try:
        if artefact.kind == REQUEST:
            yield from request_faults(content)
            if against.profile is not None:
                yield from key_kind_faults(request_key(content), against.profile)
            return
        if artefact.kind == CERTIFICATE:
            yield from certificate_faults(content)
        elif artefact.kind == CRL:
            yield from crl_faults(content)
        if against.issuer is None:
            return
        yield from _issuer_faults(artefact, against.issuer)
        if artefact.kind == CERTIFICATE and against.profile is not None:
            certificate = x509.load_der_x509_certificate(content)
            known = against.addresses or issuer_of_file(against.issuer, certificate)
            yield from profile_faults(content, against.profile, known)
    except (CaError, *READING_ERRORS) as exc:
        yield Finding("file-unreadable", str(exc)[:200])


def _issuer_faults(artefact: Artefact, issuer: x509.Certificate) -> Iterator[Finding]:
    """What an issuer must have said and signed (RFC 5280, sections 6.1.3 and 6.3.3)."""
    signed = Signed.of(artefact.content)
    read = (
        x509.load_der_x509_certificate(artefact.content)
        if artefact.kind == CERTIFICATE
        else x509.load_der_x509_crl(artefact.content)
    )
    if read.issuer != issuer.subject:
        yield Finding("signed-issuer-name")
    try:
        verify_signature(
            load_public_key(spki_of(issuer.public_bytes(Encoding.DER))), signed.algorithm,
            der.content_of(signed.signature, der.BIT_STRING)[1:], signed.content, policy=None,
        )  # fmt: skip
    except VerifyError:
        yield Finding("signed-by-another")
    named, own = (
        extension_value(read, x509.AuthorityKeyIdentifier),
        extension_value(issuer, x509.SubjectKeyIdentifier),
    )
    if named is not None and own is not None and named.key_identifier not in {None, own.digest}:
        yield Finding("signed-key-identifier")
    yield from _right_faults(read, issuer)
    if isinstance(read, x509.Certificate) and not _lies_within(read, issuer):
        yield Finding("certificate-validity-issuer")


def _right_faults(
    read: x509.Certificate | x509.CertificateRevocationList, issuer: x509.Certificate
) -> Iterator[Finding]:
    constraints, usage = (
        extension_value(issuer, x509.BasicConstraints),
        extension_value(issuer, x509.KeyUsage),
    )
    if isinstance(read, x509.CertificateRevocationList):
        if usage is not None and not usage.crl_sign:
            yield Finding("signed-may-not", "cRLSign")
        return
    if constraints is None or not constraints.ca:
        yield Finding("signed-may-not", "cA")
    elif constraints.path_length == 0 and read.issuer != read.subject:
        # What it says of its own keys does not count (6.1.4 (l)).
        below = extension_value(read, x509.BasicConstraints)
        if below is not None and below.ca:
            yield Finding("signed-may-not", "pathLenConstraint")
    if usage is not None and not usage.key_cert_sign:
        yield Finding("signed-may-not", "keyCertSign")


def _lies_within(read: x509.Certificate, issuer: x509.Certificate) -> bool:
    start: datetime = read.not_valid_before_utc
    return issuer.not_valid_before_utc <= start and read.not_valid_after_utc <= issuer.not_valid_after_utc
