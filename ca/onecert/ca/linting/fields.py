"""Rules for what certificates, lists and requests share: names, times, algorithms, extensions, keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from onecert.ca import der
from onecert.ca.certificates.key_rules import check_strength, known_keys
from onecert.ca.certificates.names import ALPHABETS, ATTRIBUTES
from onecert.ca.errors import UnsupportedKeyError, WeakKeyError
from onecert.ca.linting.rules import Finding
from onecert.ca.signatures.public_keys import load_key
from onecert.server.languages import gettext

__all__ = [
    "READING_ERRORS",
    "key_faults",
    "name_faults",
    "raw_extensions",
    "read_key",
    "short_oid",
    "time_faults",
    "weak_digest",
]

# RFC 5280, appendix A.1: upper bounds in characters.
_BOUNDS: Mapping[str, int] = {
    **{each.oid: each.upper_bound for each in ATTRIBUTES.values()},
    "2.5.4.4": 32768,
    "2.5.4.42": 32768,
    "2.5.4.65": 128,
    "1.2.840.113549.1.9.1": 255,
}
_PRINTABLE_ONLY = {"2.5.4.6", "2.5.4.5", "2.5.4.46"}
_IA5_ONLY = {"1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.25"}
_ALLOWED = {der.PRINTABLE_STRING: "ascii", der.UTF8_STRING: "utf-8", der.IA5_STRING: "ascii"}
_COUNTRY = "2.5.4.6"
_UTC, _GENERAL = re.compile(rb"[0-9]{12}Z"), re.compile(rb"[0-9]{14}Z")
# Signature algorithms whose digest is MD2, MD4, MD5 or SHA-1.
_WEAK: Mapping[str, str] = {
    "1.2.840.113549.1.1.2": "MD2",
    "1.2.840.113549.1.1.3": "MD4",
    "1.2.840.113549.1.1.4": "MD5",
    "1.2.840.113549.1.1.5": "SHA-1",
    "1.3.14.3.2.29": "SHA-1",
    "1.2.840.10040.4.3": "SHA-1",
    "1.2.840.10045.4.1": "SHA-1",
}
RSA_LEAST_BITS = 2048
# What reading may raise: of malformed fields, unknown versions, kinds of names and keys, each in its own way.
READING_ERRORS = (
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def weak_digest(oid: str) -> Iterator[Finding]:
    if oid in _WEAK:
        yield Finding("signed-weak-digest", _WEAK[oid])


def name_faults(name_der: bytes) -> Iterator[Finding]:
    """Check each attribute of a Name, whole, in DER."""
    for _tag, attributes, _whole in der.elements(der.content_of(name_der)):
        for _tag, pair, _whole in der.elements(attributes):
            (_tag, _content, oid_der), (tag, content, _whole) = der.elements(pair)
            yield from _attribute_faults(short_oid(oid_der), tag, content)


def _attribute_faults(oid: str, tag: int, content: bytes) -> Iterator[Finding]:
    if oid in _PRINTABLE_ONLY:
        right = tag == der.PRINTABLE_STRING
    elif oid in _IA5_ONLY:
        right = tag == der.IA5_STRING
    else:
        # Others, whose syntax is their owner's, are strings of a directory nearly always.
        right = tag in {der.PRINTABLE_STRING, der.UTF8_STRING} or not oid.startswith("2.5.4.")
    if not right:
        yield Finding("name-string", oid)
    encoding = _ALLOWED.get(tag)
    if encoding is None:
        return
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        yield Finding("name-alphabet", oid)
        return
    if tag == der.PRINTABLE_STRING and not all(map(ALPHABETS["printable"].fullmatch, text)):
        yield Finding("name-alphabet", oid)
    if not 0 < len(text) <= _BOUNDS.get(oid, len(text)):
        yield Finding("name-length", oid)
    if oid == _COUNTRY and not re.fullmatch(r"[A-Z]{2}", text):
        yield Finding("name-country", ascii(text[:8]))


def time_faults(tag: int, content: bytes) -> Iterator[Finding]:
    """Check the form of a time: UTCTime through 2049, GeneralizedTime from 2050, with seconds, in UTC."""
    if tag == der.UTC_TIME:
        right = _UTC.fullmatch(content) and _is_moment(b"20" + content)
    else:
        right = tag == der.GENERALIZED_TIME and _GENERAL.fullmatch(content) and _is_moment(content)
        right = right and content >= b"2050"
    if not right:
        yield Finding("time-form", ascii(content[:24].decode("latin-1")))


def _is_moment(digits: bytes) -> bool:
    try:
        datetime.strptime(digits.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def raw_extensions(extensions_der: bytes) -> tuple[list[tuple[str, bool]], list[Finding]]:
    """List identifier and criticality of each extension, as they stand, and what is wrong with that."""
    found: list[tuple[str, bool]] = []
    faults: list[Finding] = []
    listed = der.elements(der.content_of(extensions_der))
    if not listed:
        faults.append(Finding("extension-empty", "Extensions"))
    for _tag, content, _whole in listed:
        (_tag, _content, oid_der), *rest = der.elements(content)
        oid = short_oid(oid_der)
        critical = rest[0][1] if len(rest) == 2 else b""
        if critical == b"\x00":
            faults.append(Finding("default-encoded", f"critical, {oid}"))
        if any(oid == known for known, _critical in found):
            faults.append(Finding("extension-twice", oid))
        found.append((oid, critical == b"\xff"))
    return found, faults


def short_oid(oid_der: bytes) -> str:
    """Write an OBJECT IDENTIFIER with dots."""
    content = der.content_of(oid_der, der.OID)
    numbers, value = [], 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    if not numbers or value:
        raise der.DerError("not an object identifier")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def read_key(holder: x509.Certificate | x509.CertificateSigningRequest, spki: bytes) -> object:
    """Read a key of any kind that one of our libraries knows.

    Raises:
        UnsupportedKeyError, ValueError
    """
    try:
        return holder.public_key()
    except READING_ERRORS:
        return load_key(spki)


def key_faults(
    holder: x509.Certificate | x509.CertificateSigningRequest, spki: bytes
) -> tuple[object | None, list[Finding]]:
    """Read the key and check its strength; None: it cannot be read."""
    try:
        key = read_key(holder, spki)
    except (UnsupportedKeyError, *READING_ERRORS) as exc:
        return None, [Finding("key-unreadable", str(exc)[:200])]
    faults = []
    if isinstance(key, dsa.DSAPublicKey) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_LEAST_BITS
    ):
        faults.append(Finding("key-weak", f"{type(key).__name__.removesuffix('PublicKey')} {key.key_size}"))
    try:
        check_strength(key)
    except WeakKeyError as exc:
        faults.append(Finding("key-weak", gettext(str(exc.facts["flaw"]))))
    if hashlib.sha256(spki).hexdigest() in known_keys():
        faults.append(Finding("key-printed"))
    return key, faults
