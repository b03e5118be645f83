"""Rules of RFC 5280, section 4, for any certificate, whoever made it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, mldsa, rsa, x448, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from onecert.ca import der
from onecert.ca.linting.fields import (
    READING_ERRORS,
    key_faults,
    name_faults,
    raw_extensions,
    short_oid,
    time_faults,
    weak_digest,
)
from onecert.ca.linting.rules import Finding

__all__ = ["Signed", "certificate_faults", "spki_of"]

# RFC 5280, sections 4.2.1 and 4.2.2; what may be either is not here.
_CRITICAL: Mapping[str, bool] = {
    "2.5.29.35": False,
    "2.5.29.14": False,
    "2.5.29.9": False,
    "2.5.29.30": True,
    "2.5.29.36": True,
    "2.5.29.54": True,
    "2.5.29.46": False,
    "1.3.6.1.5.5.7.1.1": False,
    "1.3.6.1.5.5.7.1.11": False,
    "1.3.6.1.5.5.7.48.1.5": False,
}
_FOR_AUTHORITIES = ("2.5.29.33", "2.5.29.30", "2.5.29.36", "2.5.29.54")
_ANY_POLICY = "2.5.29.32.0"
_HOST = re.compile(
    r"(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_SIGNS_ONLY = (
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    mldsa.MLDSA44PublicKey,
    mldsa.MLDSA65PublicKey,
    mldsa.MLDSA87PublicKey,
)
_AGREES_ONLY = (x25519.X25519PublicKey, x448.X448PublicKey)
_ENCIPHERS = ("key_encipherment", "data_encipherment")
_SIGNS = ("digital_signature", "content_commitment", "key_cert_sign", "crl_sign")


class Signed(NamedTuple):
    """The outermost fields of what is signed, whole, in DER."""

    content: bytes
    algorithm: bytes
    signature: bytes

    @classmethod
    def of(cls, content: bytes) -> Signed:
        """Raises DerError."""
        parts = der.elements(der.content_of(content))
        if len(parts) != 3:
            raise der.DerError("not exactly content, algorithm and signature")
        return cls(*(whole for _tag, _content, whole in parts))


class _Tbs(NamedTuple):
    version: bytes  # empty: version 1
    serial: bytes
    algorithm: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    key: bytes
    rest: dict[int, bytes]  # by tag


def _tbs(content: bytes) -> _Tbs:
    parts = der.elements(der.content_of(content))
    version = parts.pop(0)[2] if parts and parts[0][0] == 0xA0 else b""
    if len(parts) < 6 or parts[0][0] != der.INTEGER:
        raise der.DerError("not the fields of a certificate")
    fields = [whole for _tag, _content, whole in parts[:6]]
    serial, algorithm, issuer, validity, subject, key = fields
    rest = {tag: whole for tag, _content, whole in parts[6:]}
    return _Tbs(version, serial, algorithm, issuer, validity, subject, key, rest)


def spki_of(content: bytes) -> bytes:
    """Cut the SubjectPublicKeyInfo out of a certificate.

    Raises:
        DerError
    """
    return _tbs(Signed.of(content).content).key


def certificate_faults(content: bytes) -> Iterator[Finding]:
    """Name every rule that a certificate breaks by itself.

    Raises:
        ValueError: it cannot be read at all.
    """
    signed = Signed.of(content)
    tbs = _tbs(signed.content)
    if tbs.algorithm != signed.algorithm:
        yield Finding("signed-algorithms-differ")
    yield from weak_digest(short_oid(der.elements(der.content_of(signed.algorithm))[0][2]))
    yield from _head_faults(tbs)
    certificate = x509.load_der_x509_certificate(content)
    key, faults = key_faults(certificate, tbs.key)
    yield from faults
    listed: list[tuple[str, bool]] = []
    if 0xA3 in tbs.rest:
        listed, faults = raw_extensions(der.content_of(tbs.rest[0xA3], 0xA3))
        yield from faults
    try:
        extensions = {each.oid.dotted_string: each for each in certificate.extensions}
    except READING_ERRORS as exc:
        yield Finding("extension-unreadable", str(exc)[:200])
        return
    yield from _extension_faults(
        tbs, dict(listed), {oid: each.value for oid, each in extensions.items()}, key
    )


def _head_faults(tbs: _Tbs) -> Iterator[Finding]:
    version = der.content_of(der.content_of(tbs.version, 0xA0), der.INTEGER) if tbs.version else b""
    if version == b"\x00":
        yield Finding("default-encoded", "version")
    if (version == b"\x02") != (0xA3 in tbs.rest):
        yield Finding("certificate-has-extensions")
    serial = der.content_of(tbs.serial, der.INTEGER)
    if not serial.strip(b"\x00") or serial[0] & 0x80 or len(serial) > 20:
        yield Finding("certificate-serial-range")
    if not der.content_of(tbs.issuer):
        yield Finding("name-empty")
    for name in (tbs.issuer, tbs.subject):
        yield from name_faults(name)
    times = der.elements(der.content_of(tbs.validity))
    for tag, content, _whole in times:
        yield from time_faults(tag, content)
    if {0xA1, 0xA2, 0x81, 0x82} & tbs.rest.keys():
        yield Finding("certificate-unique-identifier")


def _extension_faults(
    tbs: _Tbs, listed: Mapping[str, bool], found: Mapping[str, Any], key: object | None
) -> Iterator[Finding]:
    constraints = found.get("2.5.29.19")
    is_authority = constraints is not None and constraints.ca
    for oid, critical in listed.items():
        if _CRITICAL.get(oid, critical) != critical:
            yield Finding("extension-not-critical" if critical else "extension-critical", oid)
    if is_authority and not listed["2.5.29.19"]:
        yield Finding("extension-critical", "2.5.29.19")
    if not is_authority:
        yield from (Finding("certificate-only-authorities", oid) for oid in _FOR_AUTHORITIES if oid in listed)
    # RFC 5280, 4.2.1.1: only what signs itself may lack the first; 4.2.1.2: authorities have the second.
    if listed and tbs.issuer != tbs.subject and "2.5.29.35" not in listed:
        yield Finding("extension-absent", "2.5.29.35")
    if is_authority and "2.5.29.14" not in listed:
        yield Finding("extension-absent", "2.5.29.14")
    yield from _usage_faults(found.get("2.5.29.15"), constraints, key)
    if not der.content_of(tbs.subject) and not listed.get("2.5.29.17"):
        yield Finding("certificate-subject-empty")
    purposes = found.get("2.5.29.37")
    if purposes is not None:
        yield from _purpose_faults(list(purposes), listed, found)
    for oid, check in _CHECKS.items():
        if oid in found:
            yield from check(found[oid])


def _usage_faults(usage: Any, constraints: Any, key: object | None) -> Iterator[Finding]:
    is_authority = constraints is not None and constraints.ca
    if is_authority and usage is None:
        yield Finding("extension-absent", "2.5.29.15")
    if usage is None:
        return
    names = (*_SIGNS, *_ENCIPHERS, "key_agreement")
    set_ones = {name for name in names if getattr(usage, name)}
    if not set_ones:
        yield Finding("extension-empty", "2.5.29.15")
    if "key_cert_sign" in set_ones and not is_authority:
        yield Finding("certificate-sign-without-authority")
    if is_authority and "key_cert_sign" not in set_ones:
        yield Finding("certificate-authority-without-sign")
    unfit: set[str] = set()
    if isinstance(key, _SIGNS_ONLY):
        unfit = {*_ENCIPHERS, "key_agreement"}
    elif isinstance(key, _AGREES_ONLY):
        unfit = {*_SIGNS, *_ENCIPHERS}
    elif isinstance(key, rsa.RSAPublicKey):
        unfit = {"key_agreement"}
    if unfit & set_ones:
        yield Finding("key-usage-unfit", ", ".join(sorted(unfit & set_ones)))


def _purpose_faults(
    purposes: list[x509.ObjectIdentifier], listed: Mapping[str, bool], found: Mapping[str, Any]
) -> Iterator[Finding]:
    oids = ExtendedKeyUsageOID
    if oids.TIME_STAMPING in purposes and (len(purposes) > 1 or not listed["2.5.29.37"]):
        yield Finding("certificate-timestamp-purpose")
    if oids.SERVER_AUTH in purposes and "2.5.29.17" not in found:
        yield Finding("certificate-server-unnamed")


def _constraint_faults(value: x509.BasicConstraints) -> Iterator[Finding]:
    if value.path_length is not None and not value.ca:
        yield Finding("certificate-path-length")


def _policy_faults(value: x509.CertificatePolicies) -> Iterator[Finding]:
    named = [policy.policy_identifier.dotted_string for policy in value]
    for policy in sorted({each for each in named if named.count(each) > 1}):
        yield Finding("certificate-policy-twice", policy)


def _mapping_faults(value: x509.UnrecognizedExtension) -> Iterator[Finding]:
    any_policy = der.oid(_ANY_POLICY)
    for _tag, pair, _whole in der.elements(der.content_of(value.value)):
        if any_policy in [whole for _tag, _content, whole in der.elements(pair)]:
            yield Finding("certificate-any-policy-mapped")


def _place_faults(value: x509.CRLDistributionPoints) -> Iterator[Finding]:
    if any(not (point.full_name or point.relative_name or point.crl_issuer) for point in value):
        yield Finding("certificate-list-place")


def _alternative_faults(value: x509.SubjectAlternativeName) -> Iterator[Finding]:
    if not list(value):
        yield Finding("extension-empty", "2.5.29.17")
    for name in value.get_values_for_type(x509.DNSName):
        if len(name) > 253 or not _HOST.fullmatch(name):
            yield Finding("certificate-host-name", ascii(name[:64])[1:-1])


_CHECKS: Mapping[str, Callable[[Any], Iterator[Finding]]] = {
    "2.5.29.19": _constraint_faults,
    "2.5.29.32": _policy_faults,
    "2.5.29.33": _mapping_faults,
    "2.5.29.31": _place_faults,
    "2.5.29.46": _place_faults,
    "2.5.29.17": _alternative_faults,
}
