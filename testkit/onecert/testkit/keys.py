"""Throw-away keys of a kit: RSA, ECDSA and SM2, with one way to sign for all of them.

SM2 is signed here in plain Python, which leaks the key through its timing: good for keys that are printed in
a test folder, for nothing else (GB/T 32918.2, section 6.1; forms of GM/T 0009).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from onecert.testkit.der import integer, oid, tlv
from onecert.verifier.login import default_algorithm
from onecert.verifier.sm2 import DEFAULT_ID, curve

__all__ = ["ALGORITHM_DER", "HolderKey", "SoftKey", "load_key", "make_key"]

_NULL = b"\x05\x00"
# AlgorithmIdentifier of each signature algorithm: RFC 4055, RFC 5758, GM/T 0006.
ALGORITHM_DER: Mapping[str, bytes] = {
    "rsa-sha1": tlv(0x30, oid("1.2.840.113549.1.1.5"), _NULL),
    "rsa-sha256": tlv(0x30, oid("1.2.840.113549.1.1.11"), _NULL),
    "ecdsa-sha256": tlv(0x30, oid("1.2.840.10045.4.3.2")),
    "ecdsa-sha384": tlv(0x30, oid("1.2.840.10045.4.3.3")),
    "sm2-sm3": tlv(0x30, oid("1.2.156.10197.1.501")),
}
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  for the certificate that must be refused because of it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
}
_SM2_ALGORITHM = tlv(0x30, oid("1.2.840.10045.2.1"), oid("1.2.156.10197.1.301"))
_SM2_SCALAR = bytes.fromhex("0201010420")  # version 1 of ECPrivateKey, then the 32 octets of the key
_PKCS8 = "PRIVATE KEY"


class HolderKey(Protocol):
    """A private key of the kit."""

    @property
    def algorithm(self) -> str:
        """What it signs with when nobody asks for something else."""

    @property
    def spki_der(self) -> bytes:
        """DER SubjectPublicKeyInfo."""

    @property
    def pem(self) -> bytes:
        """PKCS #8, not encrypted."""

    def sign(self, data: bytes, algorithm: str | None = None) -> bytes:
        """The signature, for ECDSA and SM2 the DER ``SEQUENCE`` of r and s."""


class SoftKey:
    """An RSA or ECDSA key of ``cryptography``."""

    def __init__(self, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self.private = private
        self.algorithm = default_algorithm(private.public_key())

    @property
    def spki_der(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.DER, form)

    @property
    def pem(self) -> bytes:
        """PKCS #8, not encrypted."""
        form = serialization.PrivateFormat.PKCS8
        return self.private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    def sign(self, data: bytes, algorithm: str | None = None) -> bytes:
        """PKCS #1 v1.5 or ECDSA."""
        digest = _HASHES[(algorithm or self.algorithm).rpartition("-")[2]]
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), digest)
        return self.private.sign(data, ec.ECDSA(digest))


class Sm2Key:
    """An SM2 key."""

    algorithm = "sm2-sm3"

    def __init__(self, scalar: int) -> None:
        self._scalar = scalar
        self._point = _times_generator(scalar)

    @property
    def spki_der(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return tlv(0x30, _SM2_ALGORITHM, tlv(0x03, b"\x00\x04", _octets(*self._point)))

    @property
    def pem(self) -> bytes:
        """PKCS #8, not encrypted."""
        point = tlv(0xA1, tlv(0x03, b"\x00\x04", _octets(*self._point)))
        key = tlv(0x30, _SM2_SCALAR, _octets(self._scalar), point)
        text = base64.encodebytes(tlv(0x30, integer(0), _SM2_ALGORITHM, tlv(0x04, key))).decode("ascii")
        return f"-----BEGIN {_PKCS8}-----\n{text}-----END {_PKCS8}-----\n".encode("ascii")

    def sign(self, data: bytes, algorithm: str | None = None) -> bytes:
        """SM2 with SM3 and the usual identifier."""
        if algorithm not in {None, self.algorithm}:
            raise ValueError(f"an SM2 key does not sign with {algorithm}")
        identifier = (8 * len(DEFAULT_ID)).to_bytes(2, "big") + DEFAULT_ID
        about = _octets(curve.A, curve.B, *curve.GENERATOR, *self._point)
        e = int.from_bytes(_sm3(_sm3(identifier + about) + data), "big")
        while True:
            k = secrets.randbelow(curve.N - 1) + 1
            r = (e + _times_generator(k)[0]) % curve.N
            s = pow(1 + self._scalar, -1, curve.N) * (k - r * self._scalar) % curve.N
            if r and s and r + k != curve.N:
                return tlv(0x30, integer(r), integer(s))


_MAKERS: Mapping[str, Callable[[], HolderKey]] = {
    "rsa-1024": lambda: SoftKey(rsa.generate_private_key(65537, 1024)),  # noqa: S505  must be refused
    "rsa-2048": lambda: SoftKey(rsa.generate_private_key(65537, 2048)),
    "p-256": lambda: SoftKey(ec.generate_private_key(ec.SECP256R1())),
    "p-384": lambda: SoftKey(ec.generate_private_key(ec.SECP384R1())),
    "sm2": lambda: Sm2Key(secrets.randbelow(curve.N - 2) + 1),
}


def make_key(kind: str) -> HolderKey:
    """A new key: ``rsa-1024``, ``rsa-2048``, ``p-256``, ``p-384`` or ``sm2``."""
    return _MAKERS[kind]()


def load_key(pem: bytes) -> HolderKey:
    """Read what ``pem`` of a key has written.

    Raises:
        ValueError: it is no such key.
    """
    der = base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))
    if _SM2_ALGORITHM in der[:40]:
        begin = der.index(_SM2_SCALAR) + len(_SM2_SCALAR)
        return Sm2Key(int.from_bytes(der[begin : begin + 32], "big"))
    private: Any = serialization.load_pem_private_key(pem, None)
    return SoftKey(private)


def _octets(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def _sm3(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def _times_generator(scalar: int) -> curve.Point:
    total = curve.multiply([(scalar, curve.GENERATOR)])
    if total is None:
        raise ValueError("the scalar is a multiple of the group's order")
    return curve.affine(total)
