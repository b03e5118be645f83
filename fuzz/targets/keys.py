"""Public keys and signatures from bytes: every kind of key, and SM2 taken apart by our own arithmetic.

An input is a run of TLVs: a SubjectPublicKeyInfo, an AlgorithmIdentifier, a signature in a BIT STRING or as a
SEQUENCE, and octets that were signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fuzz.material import ECDSA_SHA256, integer, sign, spki
from fuzz.rules import answer, passes, require
from fuzz.tree import Node, parse, tlv
from onecert.verifier import key_id, load_public_key, verify_signature
from onecert.verifier.keys import check_spki, spki_der
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, check_key, parse_algorithm
from onecert.verifier.sm2 import DEFAULT_ID, Sm2PublicKey, curve

IS_DER = True

_MESSAGE = b"message"
_SM2_SM3 = tlv(0x30, bytes.fromhex("06082a811ccf55018375"))
_PSS_SHA256 = bytes.fromhex(
    "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086"
    "480165030402010500a203020120"
)
_RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
_PURE = {"ed25519": "2b6570", "ed448": "2b6571"}


def _sm2(private: int, data: bytes, identifier: bytes = DEFAULT_ID) -> tuple[bytes, bytes]:
    """A key and a signature, GB/T 32918.2, section 6.1; the random number is a digest, for fuzzing only."""
    point = _times(private, curve.GENERATOR)
    numbers = (curve.A, curve.B, *curve.GENERATOR, *point)
    length = (8 * len(identifier)).to_bytes(2, "big")
    z = _sm3(length + identifier + b"".join(number.to_bytes(32, "big") for number in numbers))
    e = int.from_bytes(_sm3(z + data), "big")
    k = (e ^ private) % curve.N
    r = (e + _times(k, curve.GENERATOR)[0]) % curve.N
    s = pow(1 + private, -1, curve.N) * (k - r * private) % curve.N
    return spki_der(Sm2PublicKey(point)), tlv(0x30, integer(r), integer(s))


def _sm3(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def _times(scalar: int, point: tuple[int, int]) -> tuple[int, int]:
    """As a textbook has it, and not as the library does it."""
    total: tuple[int, int] | None = None
    for bit in bin(scalar)[2:]:
        total = total and _plus(total, total)
        if bit == "1":
            total = _plus(total, point) if total else point
    return total or point


def _plus(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = one, other
    rise, run_ = (3 * x1 * x1 + curve.A, 2 * y1) if one == other else (y2 - y1, x2 - x1)
    slope = rise * pow(run_, -1, curve.P)
    x = (slope * slope - x1 - x2) % curve.P
    return x, (slope * (x1 - x) - y1) % curve.P


def _input(key_der: bytes, algorithm_der: bytes, signature: bytes, data: bytes = _MESSAGE) -> bytes:
    return key_der + algorithm_der + tlv(0x03, b"\x00", signature) + tlv(0x04, data)


@cache
def _genuine() -> dict[bytes, frozenset[bytes]]:
    """Key -> what it has signed in the seeds."""
    return {parts[0]: frozenset({parts[3]}) for parts in map(_parts, seeds()) if parts is not None}


def seeds() -> Iterable[bytes]:
    """A signature of every kind that needs no chance; RSA keys lie in the ordinary tests."""
    yield _input(spki(1), ECDSA_SHA256, sign(_MESSAGE, 1))
    for identifier in (DEFAULT_ID, b""):
        key_der, signature = _sm2(0x1234567890ABCDEF + len(identifier), _MESSAGE, identifier)
        yield _input(key_der, _SM2_SM3, signature)
    pure = (
        ("ed25519", ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)),
        ("ed448", ed448.Ed448PrivateKey.from_private_bytes(b"\x01" * 57)),
    )
    for name, private in pure:
        algorithm = tlv(0x30, tlv(0x06, bytes.fromhex(_PURE[name])))
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        yield _input(public, algorithm, private.sign(_MESSAGE))
    # Nobody knows the factors of these moduli: no signature can be good.
    for bits, algorithm in ((2048, _RSA_SHA256), (2048, _PSS_SHA256), (1024, _RSA_SHA256)):
        modulus = (1 << bits) - 159
        public = tlv(0x30, integer(modulus), integer(65537))
        key_der = tlv(0x30, bytes.fromhex("300d06092a864886f70d0101010500"), tlv(0x03, b"\x00", public))
        yield _input(key_der, algorithm, b"\x01" * (bits // 8))


def _parts(data: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    nodes = parse(data)
    if nodes is None or len(nodes) != 4:
        return None
    key_node, algorithm, signature, message = nodes
    return key_node.to_der(), algorithm.to_der(), _contents(signature)[1:], _contents(message)


def _contents(node: Node) -> bytes:
    der = node.to_der()
    return der[2 if der[1] < 0x80 else 2 + (der[1] & 0x7F) :]


def run(data: bytes) -> None:
    """Load the key, judge it, and check the signature with it."""
    parts = _parts(data)
    if parts is None:
        answer(lambda: load_public_key(data))
        answer(lambda: parse_algorithm(data))
        return
    key_der, algorithm, signature, message = parts
    answer(lambda: parse_algorithm(algorithm))
    key = answer(lambda: load_public_key(key_der))
    if key is None:
        return
    key_id(key)
    require(load_public_key(spki_der(key)) == key, "a key written down is another key")
    if passes(check_key, key):
        # The short way, for keys in certificates, whose structure has been seen to be right.
        require(passes(check_spki, key_der, DEFAULT_ALGORITHMS), "two opinions on one key")
    good = passes(verify_signature, key, algorithm, signature, message)
    if good:
        require(message in _genuine().get(key_der, ()), "a signature that nobody made is good")
