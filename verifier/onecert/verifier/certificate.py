"""Certificates from untrusted bytes, DER or PEM.

``cryptography`` parses and checks the outer structure (strict DER); ``parsed_certificate`` reads the rest at
once, so that a certificate that has been loaded cannot fail later. Only this library's errors leave.
"""

from __future__ import annotations

import base64
import binascii
import re
import warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier.arguments import as_octets
from onecert.verifier.der import slice_tlv
from onecert.verifier.errors import MalformedError
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.parsed_certificate import ParsedCertificate

__all__ = ["ParsedCertificate", "as_parsed", "decode_pem", "load_certificate", "parse_certificate"]

_PEM = re.compile(rb"\A\s*-----BEGIN ([A-Z0-9 ]{1,40})-----\s*?\n([A-Za-z0-9+/=\s]*)-----END \1-----\s*\Z")


def decode_pem(data: bytes, label: str) -> bytes:
    """The DER in a file that holds exactly one PEM block of this label and nothing else.

    Raises:
        MalformedError: ``NOT_PEM``.
    """
    match = _PEM.match(data)
    if match is None or match[1] != label.encode():
        raise MalformedError("NOT_PEM", kind=label)
    try:
        return base64.b64decode(b"".join(match[2].split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedError("NOT_PEM", kind=label) from exc


def load_certificate(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> x509.Certificate:
    """Load one certificate, DER or PEM, from anybody.

    The signature, the dates and the issuer are *not* checked here.

    Raises:
        MalformedError: ``TOO_LARGE``, ``NOT_DER``, ``NOT_PEM``, ``DUPLICATE_EXTENSION``, ``MALFORMED``.
    """
    return parse_certificate(data, limits=limits).certificate


def parse_certificate(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> ParsedCertificate:
    """Like ``load_certificate``, but keeps what was parsed, so that validation need not parse again.

    Raises:
        MalformedError: as ``load_certificate``.
    """
    data = as_octets(data, "a certificate")
    if len(data) > limits.certificate_max_bytes:
        raise MalformedError("TOO_LARGE", kind="certificate", max=limits.certificate_max_bytes)
    if data[:1] != b"\x30":
        data = decode_pem(data, "CERTIFICATE")
    return ParsedCertificate(_load(data), data)


def as_parsed(certificate: x509.Certificate | ParsedCertificate | bytes) -> ParsedCertificate:
    """Accept a certificate in whichever form the caller has it.

    Raises:
        MalformedError: as ``load_certificate``; a certificate that came from there never raises.
        TypeError: it is in no form of a certificate.
    """
    if isinstance(certificate, ParsedCertificate):
        return certificate
    if isinstance(certificate, x509.Certificate):
        return ParsedCertificate(certificate, certificate.public_bytes(Encoding.DER))
    return parse_certificate(certificate)


def _load(der: bytes) -> x509.Certificate:
    try:
        if _serial_is_positive(der):
            return x509.load_der_x509_certificate(der)
        # RFC 5280, section 4.1.2.2: readers should handle serials that are not positive. cryptography warns.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as exc:
        raise MalformedError("NOT_DER", kind="certificate", detail=_first_line(exc)) from exc


def _serial_is_positive(der: bytes) -> bool:
    """Peek at the serial number of bytes that nobody has checked yet; False when in doubt."""
    if der[8:14] == b"\xa0\x03\x02\x01\x02\x02" and b"\x00" < der[15:16] < b"\x80":
        return True  # the usual look of a certificate, 256 to 65,535 octets long
    try:
        pos = slice_tlv(der, slice_tlv(der, 0)[0])[0]
        if der[pos] == 0xA0:
            pos = slice_tlv(der, pos)[1]
        start, end = slice_tlv(der, pos)
        return int.from_bytes(der[start:end], "big", signed=True) > 0
    except IndexError:
        return False


def _first_line(exc: BaseException) -> str:
    return str(exc).partition("\n")[0][:200]
