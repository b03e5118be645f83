"""Key rules: what makes a public key unfit for a certificate.

RSA: odd exponent from 65537, no small factor, no two primes that lie together (Fermat), not from the broken
library of ROCA (CVE-2017-15361). Elliptic curves: the parser has already refused points off the curve. Which
kinds and sizes are accepted is a matter of the profile; repeated and blocked keys are a matter of the record.
"""

from __future__ import annotations

import hashlib
import math

from cryptography.hazmat.primitives.asymmetric import rsa

from onecert.ca.errors import UnsupportedKeyError, WeakKeyError
from onecert.ca.signing import PublicKey, key_kind, spki_der
from onecert.server.languages import _

# NIST SP 800-89, section 5.3.3: the exponent is odd, above 2^16 and below 2^256.
SMALLEST_EXPONENT = 65537
FERMAT_ROUNDS = 100


def _primes(below: int) -> list[int]:
    sieve = bytearray([1]) * below
    for number in range(2, math.isqrt(below) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, below, number)))
    return [number for number in range(2, below) if sieve[number]]


_PRIMORIAL = math.prod(_primes(1000))

# ROCA (Nemec et al., 2017): the primes are k·M + (65537^a mod M), so the modulus is a power of 65537 modulo
# every small prime. A random modulus passes for all of these primes about once in 10^8 times.
_ROCA_PRIMES = [prime for prime in _primes(168) if prime > 2]
_ROCA_POWERS = {
    prime: frozenset(pow(65537, exponent, prime) for exponent in range(prime)) for prime in _ROCA_PRIMES
}


def check_key(public_key: object, key_kinds: tuple[str, ...]) -> None:
    """Check kind, size and strength of a key.

    Raises:
        UnsupportedKeyError: the profile does not accept this kind or size.
        WeakKeyError: others could find the private half.
    """
    kind = key_kind(public_key)
    if kind not in key_kinds:
        raise UnsupportedKeyError(kind)
    if isinstance(public_key, rsa.RSAPublicKey):
        _check_rsa(public_key.public_numbers())


def _check_rsa(numbers: rsa.RSAPublicNumbers) -> None:
    if numbers.e < SMALLEST_EXPONENT or numbers.e % 2 == 0 or numbers.e >> 256:
        raise WeakKeyError(_("unsuitable RSA exponent"))
    if math.gcd(numbers.n, _PRIMORIAL) != 1:
        raise WeakKeyError(_("RSA modulus with a small factor"))
    if is_roca(numbers.n):
        raise WeakKeyError(_("RSA key from a faulty chip, ROCA"))
    if has_close_primes(numbers.n):
        raise WeakKeyError(_("RSA modulus of two close primes"))


def is_roca(modulus: int) -> bool:
    """Tell whether a modulus carries the fingerprint of the ROCA library."""
    return all(modulus % prime in _ROCA_POWERS[prime] for prime in _ROCA_PRIMES)


def has_close_primes(modulus: int) -> bool:
    """Tell whether Fermat's method factors the modulus in `FERMAT_ROUNDS` steps."""
    middle = math.isqrt(modulus)
    if middle * middle == modulus:
        return True
    for candidate in range(middle + 1, middle + 1 + FERMAT_ROUNDS):
        square = candidate * candidate - modulus
        # Squares end in 0, 1, 4 or 9 modulo 16; that spares three of four roots.
        if square & 0xF in {0, 1, 4, 9} and math.isqrt(square) ** 2 == square:
            return True
    return False


def spki_sha256(public_key: PublicKey) -> str:
    """Name a public key by the SHA-256 of its SubjectPublicKeyInfo, in hex."""
    return hashlib.sha256(spki_der(public_key)).hexdigest()
