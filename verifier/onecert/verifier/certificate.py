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
from cryptography.utils import CryptographyDeprecationWarning

from onecert.verifier.arguments import as_octets
from onecert.verifier.errors import MalformedError
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.parsed_certificate import ParsedCertificate

__all__ = ["ParsedCertificate", "as_parsed", "decode_pem", "load_certificate", "parse_certificate"]

# ``warnings.catch_warnings`` sets the filters of all threads, and at its end those that it found. A filter
# that names this module disturbs nobody, and stays.
_THIS_MODULE = re.escape(__name__) + "$"
_QUIET = ("ignore", None, CryptographyDeprecationWarning, re.compile(_THIS_MODULE), 0)
_TRIES = 8
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
    if isinstance(certificate, bytes):
        return parse_certificate(certificate)
    if isinstance(certificate, x509.Certificate):
        return ParsedCertificate(certificate, certificate.public_bytes(Encoding.DER))
    return parse_certificate(certificate)


def _load(der: bytes) -> x509.Certificate:
    for _ in range(_TRIES):
        # cryptography warns of serials that are not positive, which RFC 5280, section 4.1.2.2, has us read,
        # and of some parameters, which are judged later.
        if _QUIET not in warnings.filters[:1]:
            warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning, module=_THIS_MODULE)
        try:
            return x509.load_der_x509_certificate(der)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as exc:
            raise MalformedError("NOT_DER", kind="certificate", detail=_first_line(exc)) from exc
        except CryptographyDeprecationWarning:
            continue  # warnings are errors here, and another thread has just set other filters
    raise MalformedError("NOT_DER", kind="certificate", detail="it makes cryptography warn")


def _first_line(exc: BaseException) -> str:
    return str(exc).partition("\n")[0][:200]
