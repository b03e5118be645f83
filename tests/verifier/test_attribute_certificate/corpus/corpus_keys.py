"""Keys and DER of the corpus: fixed, public, and the same signature for the same octets each time."""

from __future__ import annotations

import hashlib
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.verifier.sm2 import DEFAULT_ID, curve

__all__ = ["EcKey", "Ed25519Key", "Key", "RsaKey", "Sm2Key", "integer", "oid", "tlv"]

# Two primes for all the world to see.
_P = int(
    "f90d7d47dfa01650976989986c7f80c77b7dc21d2cd7f7c31285e9674d654a5a82a43961455e2e34f0a9796157af09e9"
    "176da0fabac66674b915a2d794a180d22417fddcda13d879e46b1b7f7d727a45462d21f72dae49302fb7908056af54fb"
    "4f14f164158f12d968fc8243e834c23ab2d2aac3deadbb53ee219dc354e04055",
    16,
)
_Q = int(
    "bed92a06929ac635db7b179ecc95331be62fc8ff7752d2386cbd5eb843d5ac66bbd74ebc065821f98204cb85f975fa16"
    "e7327cdbb8e106b7539bac4e83ac674b74f5ba0772a73a877b5917aa550bfcc86400a15ed34878a92acf36b5b59eb9a8"
    "30345cbf9526039067083f4cd23fb4e23f07b6286bb5de5336acd91a933a56d9",
    16,
)
_E = 65537


def tlv(tag: int, *contents: bytes) -> bytes:
    """One value with a one-octet tag."""
    body = b"".join(contents)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + len(body).to_bytes(size, "big") + body


def integer(value: int) -> bytes:
    """An INTEGER."""
    length = (value + (value < 0)).bit_length() // 8 + 1
    return tlv(0x02, value.to_bytes(length, "big", signed=True))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    octets = b""
    for arc in (first * 40 + second, *rest):
        group = bytes((arc & 0x7F,))
        while arc := arc >> 7:
            group = bytes((arc & 0x7F | 0x80,)) + group
        octets += group
    return tlv(0x06, octets)


class Key(Protocol):
    """A private key with the one algorithm it signs with."""

    algorithm: bytes

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""

    def sign(self, data: bytes) -> bytes:
        """The same signature for the same octets."""


class _Soft:
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

    @property
    def spki(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class EcKey(_Soft):
    """ECDSA by RFC 6979; the key is made of a number."""

    def __init__(self, number: int, curve_type: type[ec.EllipticCurve] = ec.SECP256R1) -> None:
        self.private = ec.derive_private_key(_scalar(number), curve_type())
        self.digest = hashes.SHA256() if curve_type is ec.SECP256R1 else hashes.SHA384()
        self.algorithm = tlv(0x30, oid("1.2.840.10045.4.3." + ("2" if curve_type is ec.SECP256R1 else "3")))

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(self.digest, deterministic_signing=True))


class RsaKey(_Soft):
    """RSA of 2,048 bits, PKCS #1 v1.5."""

    algorithm = tlv(0x30, oid("1.2.840.113549.1.1.11"), b"\x05\x00")

    def __init__(self) -> None:
        d = pow(_E, -1, (_P - 1) * (_Q - 1))
        public = rsa.RSAPublicNumbers(_E, _P * _Q)
        numbers = rsa.RSAPrivateNumbers(_P, _Q, d, d % (_P - 1), d % (_Q - 1), pow(_Q, -1, _P), public)
        self.private = numbers.private_key()

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


class Ed25519Key(_Soft):
    """Ed25519."""

    algorithm = tlv(0x30, oid("1.3.101.112"))

    def __init__(self, number: int) -> None:
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(_scalar(number).to_bytes(32, "big"))

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)


class Sm2Key:
    """SM2 with SM3 (GB/T 32918.2, section 6.1); the number of one use is a digest of key and octets."""

    algorithm = tlv(0x30, oid("1.2.156.10197.1.501"))

    def __init__(self, number: int) -> None:
        self._scalar = _scalar(number)
        self._point = _times_generator(self._scalar)

    @property
    def spki(self) -> bytes:
        kind = tlv(0x30, oid("1.2.840.10045.2.1"), oid("1.2.156.10197.1.301"))
        return tlv(0x30, kind, tlv(0x03, b"\x00\x04", _octets(*self._point)))

    def sign(self, data: bytes) -> bytes:
        about = _octets(curve.A, curve.B, *curve.GENERATOR, *self._point)
        z = _sm3((8 * len(DEFAULT_ID)).to_bytes(2, "big") + DEFAULT_ID + about)
        e = int.from_bytes(_sm3(z + data), "big")
        k = int.from_bytes(hashlib.sha256(_octets(self._scalar, e)).digest(), "big") % (curve.N - 1) + 1
        r = (e + _times_generator(k)[0]) % curve.N
        s = pow(1 + self._scalar, -1, curve.N) * (k - r * self._scalar) % curve.N
        return tlv(0x30, integer(r), integer(s))


def _scalar(number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"corpus key {number}".encode()).digest(), "big") >> 1


def _octets(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


def _times_generator(scalar: int) -> tuple[int, int]:
    total = curve.multiply([(scalar, curve.GENERATOR)])
    assert total is not None
    return curve.affine(total)


def _sm3(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()
