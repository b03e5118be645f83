"""A pool of fixed keys, so that a description always becomes the same bytes. For tests only."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# Numbers below 100 are P-256 keys, those from 100 RSA, those from 200 Ed25519.
RSA, ED25519 = 100, 200
RSA_KEYS = 2

# How far the primes lie above numbers that anybody can compute.
_OFFSETS = (106, 264, 776, 132)

ALGORITHMS = {
    "p256": bytes.fromhex("300a06082a8648ce3d040302"),
    "rsa": bytes.fromhex("300d06092a864886f70d01010b0500"),
    "ed25519": bytes.fromhex("300506032b6570"),
}


def kind(number: int) -> str:
    return "p256" if number < RSA else "rsa" if number < ED25519 else "ed25519"


@cache
def key(number: int) -> Any:
    seed = hashlib.sha256(f"onecert differential {number}".encode()).digest()
    if number < RSA:
        return ec.derive_private_key(int.from_bytes(seed[:31], "big"), ec.SECP256R1())
    if number >= ED25519:
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    first = 2 * (number - RSA)
    p, q = _prime(first), _prime(first + 1)
    private = pow(65537, -1, (p - 1) * (q - 1))
    crt = (rsa.rsa_crt_dmp1(private, p), rsa.rsa_crt_dmq1(private, q), rsa.rsa_crt_iqmp(p, q))
    return rsa.RSAPrivateNumbers(p, q, private, *crt, rsa.RSAPublicNumbers(65537, p * q)).private_key()


def _prime(place: int) -> int:
    stream = b"".join(
        hashlib.sha512(f"onecert differential rsa {place} {part}".encode()).digest() for part in range(2)
    )
    return (int.from_bytes(stream, "big") | (3 << 1022) | 1) + _OFFSETS[place]


@cache
def spki(number: int) -> bytes:
    public: bytes = key(number).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public


@cache
def key_id(number: int) -> bytes:
    return hashlib.sha1(spki(number)).digest()


@lru_cache(maxsize=4096)
def sign(number: int, data: bytes) -> bytes:
    """Always the same signature for the same data."""
    private = key(number)
    signature: bytes
    if number < RSA:
        signature = private.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    elif number < ED25519:
        signature = private.sign(data, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = private.sign(data)
    return signature
