"""SM2 public keys, and the check of a signature with one.

A key that is met once costs a multiplication without a table; an issuer's key earns a table after some
signatures. Tables are large, so that only so many are kept, whoever holds the keys.
"""

from __future__ import annotations

import threading
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.verifier.der import SEQUENCE, DerError, Reader
from onecert.verifier.errors import RefusedError
from onecert.verifier.sm2 import curve
from onecert.verifier.sm2.curve import GENERATOR, N, Point, Sum, Table

__all__ = ["DEFAULT_ID", "EmptyIdError", "Sm2PublicKey", "find_sm2_key"]

# GM/T 0009, section 10: the identifier of whoever has agreed on no other.
DEFAULT_ID = b"1234567812345678"
_EMPTY_ID = b""
# id-ecPublicKey with curve 1.2.156.10197.1.301, then an uncompressed point.
_SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
_SPKI_SIZE = len(_SPKI_PREFIX) + 64
_ALGORITHM = _SPKI_PREFIX[2:23]
_COORDINATES = b"".join(n.to_bytes(32, "big") for n in (curve.A, curve.B, *GENERATOR))

# A table with windows of 11 bits has 1.6 MB and costs as much as some fifty signatures without it.
_WINDOW = 11
_USES_BEFORE_TABLE = 32
_TABLES_MAX = 24


class EmptyIdError(InvalidSignature):
    """The signature is good for an empty identifier, which is not the one that was asked for."""


def find_sm2_key(public_key_der: bytes) -> Sm2PublicKey | None:
    """The key in a DER SubjectPublicKeyInfo on the SM2 curve; ``None`` for keys of other kinds.

    Raises:
        RefusedError: ``KEY_INVALID``: a compressed or malformed point, or one that is off the curve.
    """
    if public_key_der.find(_ALGORITHM, 2, 4 + len(_ALGORITHM)) < 0:
        return None
    if len(public_key_der) != _SPKI_SIZE or not public_key_der.startswith(_SPKI_PREFIX):
        raise RefusedError("KEY_INVALID", source="GM/T 0009, section 7.1", detail="the form of the SM2 point")
    return _load(public_key_der)


@lru_cache(maxsize=256)
def _load(public_key_der: bytes) -> Sm2PublicKey:
    octets = public_key_der[-64:]
    point = int.from_bytes(octets[:32], "big"), int.from_bytes(octets[32:], "big")
    if not curve.is_on_curve(point):
        raise RefusedError(
            "KEY_INVALID", source="GB/T 32918.1, section 6.2.1", detail="a point off the curve"
        )
    return Sm2PublicKey(point)


class Sm2PublicKey:
    """A point of the curve. Safe to share between threads; ``find_sm2_key`` makes them from bytes."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self._octets = b"".join(coordinate.to_bytes(32, "big") for coordinate in point)
        self._prefixes: dict[bytes, bytes] = {}
        self._uses = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sm2PublicKey) and self.point == other.point

    def __hash__(self) -> int:
        return hash(self.point)

    @property
    def key_size(self) -> int:
        """Bits."""
        return 256

    def public_bytes(self, encoding: Encoding, format: PublicFormat) -> bytes:  # noqa: A002  as in cryptography
        """DER SubjectPublicKeyInfo, or the uncompressed point.

        Raises:
            ValueError: another encoding.
        """
        if (encoding, format) == (Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
            return _SPKI_PREFIX + self._octets
        if (encoding, format) == (Encoding.X962, PublicFormat.UncompressedPoint):
            return b"\x04" + self._octets
        raise ValueError("SM2 keys have a DER SubjectPublicKeyInfo and an uncompressed point only")

    def verify(self, signature: bytes, data: bytes, identifier: bytes = DEFAULT_ID) -> None:
        """Check a signature, GB/T 32918.2, section 7.1.

        Args:
            signature: the DER ``SEQUENCE`` of r and s, strictly.
            identifier: of the signer, at most 8191 octets.

        Raises:
            InvalidSignature: it is wrong; ``EmptyIdError`` when it would be right for an empty identifier.
        """
        r, s = _read_signature(signature)
        t = (r + s) % N
        if not t:
            raise InvalidSignature
        total = self._sum(s, t)
        if curve.has_x(total, (r - _digest(self._prefix(identifier), data)) % N):
            return
        if identifier != _EMPTY_ID and curve.has_x(total, (r - _digest(self._prefix(_EMPTY_ID), data)) % N):
            raise EmptyIdError
        raise InvalidSignature

    def _prefix(self, identifier: bytes) -> bytes:
        """Z: the digest over identifier, curve and key that stands before all data."""
        found = self._prefixes.get(identifier)
        if found is None:
            if len(identifier) > 8191:
                raise ValueError("an SM2 identifier has at most 8191 octets")
            length = (8 * len(identifier)).to_bytes(2, "big")
            digest = hashes.Hash(hashes.SM3())
            digest.update(length + identifier + _COORDINATES + self._octets)
            found = digest.finalize()
            if len(self._prefixes) < 8:
                self._prefixes[identifier] = found
        return found

    def _sum(self, s: int, t: int) -> Sum:
        """s * G + t * self."""
        table = self._find_table()
        if table is None:
            total = curve.multiply([(s, GENERATOR), (t, self.point)])
        else:
            total = curve.sum_of([(s, _generator_table()), (t, table)])
        if total is None:
            raise InvalidSignature
        return total

    def _find_table(self) -> Table | None:
        table = _TABLES.get(self.point)
        if table is None:
            self._uses += 1
            if self._uses > _USES_BEFORE_TABLE:
                self._uses = 0  # before the work, so that no second thread begins it
                table = curve.make_table(self.point, _WINDOW)
                _keep_table(self.point, table)
        return table


# By point, because one key may be loaded more than once.
_TABLES: dict[Point, Table] = {}
_TABLES_LOCK = threading.Lock()


def _keep_table(point: Point, table: Table) -> None:
    with _TABLES_LOCK:
        while len(_TABLES) >= _TABLES_MAX:
            del _TABLES[next(iter(_TABLES))]
        _TABLES[point] = table


@lru_cache(maxsize=1)
def _generator_table() -> Table:
    return curve.make_table(GENERATOR, _WINDOW)


def _digest(prefix: bytes, data: bytes) -> int:
    digest = hashes.Hash(hashes.SM3())
    digest.update(prefix)
    digest.update(data)
    return int.from_bytes(digest.finalize(), "big")


def _read_signature(signature: bytes) -> tuple[int, int]:
    try:
        outer = Reader(signature)
        reader = outer.enter(SEQUENCE)
        outer.done()
        r, s = reader.integer(), reader.integer()
        reader.done()
    except DerError as exc:
        raise InvalidSignature from exc
    if not (0 < r < N and 0 < s < N):
        raise InvalidSignature
    return r, s
