"""Public keys: loading them from untrusted bytes, judging their strength, naming them."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa

from onecert.verifier.algorithms import DEFAULT_ALGORITHMS, AlgorithmPolicy
from onecert.verifier.arguments import as_octets, check_offers
from onecert.verifier.der import SEQUENCE, DerError, Reader, slice_tlv
from onecert.verifier.errors import RefusedError
from onecert.verifier.pss_keys import load_pss_key
from onecert.verifier.sm2 import Sm2PublicKey, find_sm2_key

__all__ = ["PublicKey", "check_key", "check_spki", "key_id", "load_public_key", "spki_der"]

PublicKey = (
    rsa.RSAPublicKey
    | dsa.DSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
    | Sm2PublicKey
)


def load_public_key(public_key_der: bytes) -> PublicKey:
    """Load a DER SubjectPublicKeyInfo.

    Only the one encoding of an RSA or EC key is taken: NULL parameters (RFC 3279, section 2.3.1), a named
    curve and an uncompressed point (RFC 5480, section 2). ``cryptography`` reads others too, such as hybrid
    points. A key for RSASSA-PSS alone (RFC 4055) is one that checks nothing else.

    Raises:
        RefusedError: ``KEY_INVALID`` (for example a point off the curve) or ``UNSUPPORTED_ALGORITHM``.
    """
    public_key_der = as_octets(public_key_der, "a public key")
    sm2_key = find_sm2_key(public_key_der)
    if sm2_key is not None:
        return sm2_key
    try:
        key: Any = serialization.load_der_public_key(public_key_der)
    except UnsupportedAlgorithm as exc:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=_key_algorithm(public_key_der)) from exc
    except (ValueError, TypeError) as exc:
        raise RefusedError("KEY_INVALID", detail="the encoding or the point is wrong") from exc
    kind: Any = type(key)
    if not _is_one_of(kind, PublicKey):
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=_key_algorithm(public_key_der))
    if not _has_usual_form(public_key_der) and _is_one_of(kind, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        if _key_algorithm(public_key_der) == _RSA_PSS:
            return load_pss_key(key, public_key_der)
        if spki_der(key) != public_key_der:
            raise RefusedError("KEY_INVALID", detail="the form of the key")
    known: PublicKey = key
    return known


@lru_cache(maxsize=64)
def _is_one_of(kind: type, wanted: Any) -> bool:
    """``issubclass`` with a memory: the key classes are abstract, and asking one after the other is slow."""
    return issubclass(kind, wanted)


def _has_usual_form(public_key_der: bytes) -> bool:
    """Tell whether a key that ``cryptography`` has read can be encoded in no other way.

    That saves encoding it again, which costs a fifth of a signature check. What remains open after a strict
    DER parser are the parameters and the form of the point, which both stand at the beginning.
    """
    if public_key_der[:_HEAD_SIZE] in _HEADS:
        return True
    start = slice_tlv(public_key_der, 0)[0]
    end = slice_tlv(public_key_der, start)[1]
    algorithm = public_key_der[start:end]
    if algorithm in _EC_ALGORITHMS:
        point = slice_tlv(public_key_der, end)[0]
        return public_key_der[point : point + 2] == b"\x00\x04"
    return algorithm == _RSA_ALGORITHM


def _key_algorithm(public_key_der: bytes) -> str:
    try:
        return Reader(public_key_der).enter(SEQUENCE).enter(SEQUENCE).oid()
    except DerError:
        return "?"


def check_key(public_key: PublicKey, policy: AlgorithmPolicy = DEFAULT_ALGORITHMS) -> None:
    """Refuse keys that are too short, absurdly long, or on a curve that is not listed."""
    # EC first: the classes are abstract, and asking them is slow.
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if public_key.curve.name not in policy.curves:
            raise RefusedError("WEAK_KEY", key=public_key.curve.name)
    elif isinstance(public_key, rsa.RSAPublicKey):
        _check_rsa_bits(public_key.key_size, policy)
        exponent = public_key.public_numbers().e
        if exponent.bit_length() > 64 or exponent < 3:
            raise RefusedError("WEAK_KEY", key="RSA with an unusual exponent")
    elif isinstance(public_key, Sm2PublicKey):
        if "sm2p256v1" not in policy.curves:
            raise RefusedError("WEAK_KEY", key="sm2p256v1")
    elif isinstance(public_key, dsa.DSAPublicKey) and not (
        policy.accepts_dsa and public_key.key_size >= policy.dsa_min_bits
    ):
        raise RefusedError("WEAK_KEY", key=f"DSA-{public_key.key_size}")


def _check_rsa_bits(bits: int, policy: AlgorithmPolicy) -> None:
    if not policy.rsa_min_bits <= bits <= policy.rsa_max_bits:
        raise RefusedError("WEAK_KEY", key=f"RSA-{bits}")


_RSA_PSS = "1.2.840.113549.1.1.10"
_RSA_PSS_OID = bytes.fromhex("06092a864886f70d01010a")
_RSA_OID = bytes.fromhex("06092a864886f70d010101")
_EC_OID = bytes.fromhex("06072a8648ce3d0201")
_CURVES = {
    bytes.fromhex("06082a8648ce3d030107"): "secp256r1",
    bytes.fromhex("06052b81040022"): "secp384r1",
    bytes.fromhex("06052b81040023"): "secp521r1",
    bytes.fromhex("06052b8104000a"): "secp256k1",
    bytes.fromhex("06052b81040021"): "secp224r1",
    bytes.fromhex("06082a811ccf5501822d"): "sm2p256v1",
}


_RSA_ALGORITHM = b"\x30\x0d" + _RSA_OID + b"\x05\x00"
_EC_ALGORITHMS = frozenset(bytes((0x30, len(_EC_OID) + len(curve))) + _EC_OID + curve for curve in _CURVES)


# What stands before the coordinates in nearly every EC key: a curve of 256 bits and an uncompressed point.
_HEADS = {
    b"\x30\x59\x30" + bytes((len(_EC_OID) + len(curve),)) + _EC_OID + curve + b"\x03\x42\x00\x04": name
    for curve, name in _CURVES.items()
    if name in {"secp256r1", "sm2p256v1"}
}
_HEAD_SIZE = 27
# And before the 256 octets of the modulus in nearly every RSA key.
_RSA_2048_HEAD = bytes.fromhex("30820122") + _RSA_ALGORITHM + bytes.fromhex("0382010f003082010a0282010100")


def check_spki(public_key_der: bytes, policy: AlgorithmPolicy) -> None:
    """``check_key`` on the encoded key: a leaf's key is not used here, and loading it costs a check."""
    curve = _HEADS.get(public_key_der[:_HEAD_SIZE])
    if curve is not None and curve in policy.curves:
        return
    try:
        if public_key_der.startswith(_RSA_2048_HEAD):
            _check_rsa_bits(2040 + public_key_der[len(_RSA_2048_HEAD)].bit_length(), policy)
        else:
            _check_spki(public_key_der, policy)
    except IndexError as exc:
        raise RefusedError("KEY_INVALID", detail="it is cut short") from exc


def _check_spki(public_key_der: bytes, policy: AlgorithmPolicy) -> None:
    start = slice_tlv(public_key_der, 0)[0]
    algorithm_start, algorithm_end = slice_tlv(public_key_der, start)
    algorithm = public_key_der[algorithm_start:algorithm_end]
    if algorithm.startswith((_RSA_OID, _RSA_PSS_OID)):
        key_start = slice_tlv(public_key_der, slice_tlv(public_key_der, algorithm_end)[0] + 1)[0]
        start, end = slice_tlv(public_key_der, key_start)
        start += public_key_der[start] == 0
        _check_rsa_bits(8 * (end - start - 1) + public_key_der[start].bit_length(), policy)
    elif algorithm.startswith(_EC_OID):
        curve = _CURVES.get(algorithm[len(_EC_OID) :], "an unnamed curve")
        if curve not in policy.curves:
            raise RefusedError("WEAK_KEY", key=curve)
        start = slice_tlv(public_key_der, algorithm_end)[0]
        if public_key_der[start : start + 2] != b"\x00\x04":
            raise RefusedError("KEY_INVALID", source="RFC 5480, section 2.2", detail="the form of the point")


def spki_der(public_key: PublicKey) -> bytes:
    """The DER SubjectPublicKeyInfo of a key."""
    return public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_id(public_key: PublicKey) -> str:
    """Name of a key in our signed documents: base64url of SHA-256 over its DER SubjectPublicKeyInfo, 43
    characters without padding.

    Raises:
        TypeError: it is no public key.
    """
    check_offers(public_key, ("public_bytes", "verify"), "public_key", "a loaded public key")
    digest = hashlib.sha256(spki_der(public_key)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
