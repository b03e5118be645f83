"""A secret in n shares, any k of which restore it, while k - 1 say nothing about it (Shamir, 1979).

Over GF(256) with the polynomial of AES, byte by byte. Multiplication has neither tables nor branches that
depend on secrets, so that time says nothing either. What was restored is compared by who has a check value:
a share that is wrong in any bit gives another secret, never an error.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

__all__ = ["SHARES_MAX", "combine", "split"]

SHARES_MAX = 255
POLYNOMIAL = 0x1B  # x^8 + x^4 + x^3 + x + 1, without its first term


def split(
    secret: bytes, *, needed: int, count: int, draw: Callable[[int], bytes] = secrets.token_bytes
) -> dict[int, bytes]:
    """Make shares by their numbers, from 1.

    Args:
        draw: so many random bytes; for tests with known answers.

    Raises:
        ValueError: not 2 <= needed <= count <= 255, or an empty secret.
    """
    if not 2 <= needed <= count <= SHARES_MAX or not secret:
        raise ValueError("2 <= needed <= count <= 255, and a secret")
    # One polynomial of degree needed - 1 for each byte; its value at 0 is the secret.
    coefficients = [secret, *(draw(len(secret)) for _ in range(needed - 1))]
    return {number: _value_at(coefficients, number) for number in range(1, count + 1)}


def combine(shares: Mapping[int, bytes]) -> bytes:
    """Restore what these shares stand for (Lagrange at 0); with too few or wrong ones, something else.

    Raises:
        ValueError: no shares, a number outside 1 to 255, or different lengths.
    """
    lengths = {len(share) for share in shares.values()}
    if len(lengths) != 1 or not all(1 <= number <= SHARES_MAX for number in shares):
        raise ValueError("shares of one length with numbers from 1 to 255")
    restored = bytes(lengths.pop())
    for number, share in shares.items():
        weight = 1
        for other in shares:
            if other != number:
                weight = _multiply(weight, _multiply(other, _inverse(other ^ number)))
        restored = bytes(a ^ _multiply(weight, b) for a, b in zip(restored, share, strict=True))
    return restored


def _value_at(coefficients: list[bytes], x: int) -> bytes:
    value = bytes(len(coefficients[0]))
    for coefficient in reversed(coefficients):  # Horner
        value = bytes(_multiply(a, x) ^ b for a, b in zip(value, coefficient, strict=True))
    return value


def _multiply(a: int, b: int) -> int:
    product = 0
    for bit in range(8):
        product ^= -(b >> bit & 1) & a
        a = (a << 1 & 0xFF) ^ (-(a >> 7) & POLYNOMIAL)
    return product


def _inverse(a: int) -> int:
    """a to the power of 254: of every element but zero its inverse."""
    result, power = 1, a
    for _bit in range(7):
        power = _multiply(power, power)
        result = _multiply(result, power)
    return result
