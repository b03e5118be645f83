"""Key rules: what makes a public key unfit for a certificate, told from the key alone.

RSA: the exponent, small factors, two primes that lie together (CVE-2022-26320, found by Fermat's method),
the fingerprint of the broken library of ROCA (CVE-2017-15361), a modulus whose bits are not random. Elliptic
curves: the parser has refused points off the curve and at infinity; here small multiples of the generator.
Ed25519: points of small order, and more than one spelling of a point. Keys whose private half stands in
print: `known_keys.txt`.

Which kinds and sizes are accepted is a matter of the profile; repeated and blocked keys are a matter of the
record; published lists of weak keys, such as Debian's (CVE-2008-0166), are imported (`key_blocklist`).
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from onecert.ca.errors import WeakKeyError
from onecert.server.languages import _

__all__ = ["check_strength", "has_close_primes", "has_plain_bits", "is_roca", "known_keys"]

# NIST SP 800-89, section 5.3.3: the exponent is odd, above 2^16 and below 2^256. We take the one that
# everybody uses: with several, two keys with one modulus would look different on record.
EXPONENT = 65537
FERMAT_ROUNDS = 100
# Of 2048 random bits, a run of 100 equal ones comes about once in 2^88 moduli; a count of ones so far from
# half of them about once in 2^70.
LONGEST_RUN = 100
DEVIATIONS = 10
SMALL_MULTIPLES = 256
_FIELD_25519 = 2**255 - 19


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

# The y of the points of order 1, 2, 4 and 8 (RFC 8032, section 5.1); y with either sign of x.
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _FIELD_25519 - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)


def check_strength(public_key: object) -> None:
    """Refuse a key whose private half others could find.

    Raises:
        WeakKeyError
    """
    if isinstance(public_key, rsa.RSAPublicKey):
        check_rsa(public_key.public_numbers())
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        if public_key.public_numbers().x in _small_multiples(public_key.curve.name):
            raise WeakKeyError(_("elliptic-curve key that everybody can guess"))
    elif isinstance(public_key, Ed25519PublicKey):
        y = int.from_bytes(public_key.public_bytes_raw(), "little") & (2**255 - 1)
        if y >= _FIELD_25519 or y in _SMALL_ORDER_Y:
            raise WeakKeyError(_("Ed25519 point of small order, or not in its one spelling"))


def check_rsa(numbers: rsa.RSAPublicNumbers) -> None:
    """Check exponent and modulus.

    Raises:
        WeakKeyError
    """
    if numbers.e != EXPONENT:
        raise WeakKeyError(_("unsuitable RSA exponent"))
    if math.gcd(numbers.n, _PRIMORIAL) != 1:
        raise WeakKeyError(_("RSA modulus with a small factor"))
    if has_plain_bits(numbers.n):
        raise WeakKeyError(_("RSA modulus whose bits are not random"))
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


def has_plain_bits(modulus: int) -> bool:
    """Tell whether a modulus has a long run of equal bits, or far too many of one kind."""
    size = modulus.bit_length()
    if abs(2 * modulus.bit_count() - size) > DEVIATIONS * math.isqrt(size):
        return True
    bits = f"{modulus:b}"
    return "0" * LONGEST_RUN in bits or "1" * LONGEST_RUN in bits


@cache
def _small_multiples(curve: str) -> frozenset[int]:
    """The x of the first multiples of the generator; their negatives have the same."""
    known = {"secp256r1": ec.SECP256R1, "secp384r1": ec.SECP384R1}
    if curve not in known:
        return frozenset()
    return frozenset(
        ec.derive_private_key(number, known[curve]()).public_key().public_numbers().x
        for number in range(1, SMALL_MULTIPLES + 1)
    )


@cache
def known_keys() -> frozenset[str]:
    """The SHA-256 of the SubjectPublicKeyInfo, in hex, of keys whose private half is printed somewhere."""
    text = (files("onecert.ca") / "known_keys.txt").read_text(encoding="utf-8")
    return frozenset(line.split()[0] for line in text.splitlines() if line and not line.startswith("#"))
