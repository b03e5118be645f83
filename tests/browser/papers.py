"""What an applicant brings to the counter: numbers with right check digits, and a request."""

from __future__ import annotations

import itertools
import secrets
from datetime import date, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_numbers = itertools.count(secrets.randbelow(600_000))


def credit_code() -> str:
    """A unified social credit code that nobody has (GB 32100)."""
    digits = f"{next(_numbers):08d}"
    # The organisation code inside has a check digit of its own (GB 11714).
    total = sum(int(digit) * weight for digit, weight in zip(digits, (3, 7, 9, 10, 5, 8, 4, 2), strict=True))
    rest = (11 - total % 11) % 11
    first = f"91440300{digits}{'X' if rest == 10 else rest}"
    total = sum(ALPHABET.index(c) * pow(3, place, 31) for place, c in enumerate(first))
    return first + ALPHABET[(31 - total % 31) % 31]


def id_card() -> str:
    """A number of an identity card (GB 11643)."""
    born = date(1950, 1, 1) + timedelta(days=next(_numbers) % 18_000)
    first = f"440300{born:%Y%m%d}{next(_numbers) % 1000:03d}"
    return first + "10X98765432"[sum(int(c) * w for c, w in zip(first, WEIGHTS, strict=True)) % 11]


def request_pem() -> str:
    """A certificate request with a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "applicant")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()
