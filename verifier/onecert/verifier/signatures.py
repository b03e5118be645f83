"""Signature checks, chosen by algorithm identifier.

Which algorithms exist is one table, which of them are accepted (and until when) another, so that a new
algorithm is a row and a retired one a date. Follows RFC 3279, 4055, 5758, 8410 and 9881. SM2 is not in the
table yet.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from onecert.verifier.der import NULL, SEQUENCE, DerError, Reader, slice_tlv
from onecert.verifier.errors import MalformedError, RefusedError, SignatureInvalidError

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ALGORITHMS",
    "AlgorithmPolicy",
    "PublicKey",
    "SignatureAlgorithm",
    "check_key",
    "find_algorithm",
    "key_id",
    "load_public_key",
    "parse_algorithm",
    "spki_der",
    "verify_signature",
]

PublicKey = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
_MlDsa = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


@dataclass(frozen=True)
class SignatureAlgorithm:
    """One row: ``key`` is the class of public key it needs, ``scheme`` what is called on it."""

    name: str
    oid: str
    key: type
    scheme: str  # "pkcs1", "pss", "ecdsa", "pure"
    hash: hashes.HashAlgorithm | None = None
    null_parameters: bool = False
    ecdsa: ec.ECDSA | None = field(default=None, compare=False, repr=False)
    pss: padding.PSS | None = field(default=None, compare=False, repr=False)


_PKCS1 = padding.PKCS1v15()


def _rsa(name: str, oid: str, digest: hashes.HashAlgorithm) -> SignatureAlgorithm:
    # RFC 4055, section 5: the parameters of the PKCS #1 v1.5 algorithms are NULL.
    return SignatureAlgorithm(name, oid, rsa.RSAPublicKey, "pkcs1", digest, null_parameters=True)


def _ecdsa(name: str, oid: str, digest: hashes.HashAlgorithm) -> SignatureAlgorithm:
    return SignatureAlgorithm(name, oid, ec.EllipticCurvePublicKey, "ecdsa", digest, ecdsa=ec.ECDSA(digest))


_ROWS = (
    _rsa("rsa-sha1", "1.2.840.113549.1.1.5", hashes.SHA1()),  # noqa: S303  known, and refused by the policy
    _rsa("rsa-sha224", "1.2.840.113549.1.1.14", hashes.SHA224()),
    _rsa("rsa-sha256", "1.2.840.113549.1.1.11", hashes.SHA256()),
    _rsa("rsa-sha384", "1.2.840.113549.1.1.12", hashes.SHA384()),
    _rsa("rsa-sha512", "1.2.840.113549.1.1.13", hashes.SHA512()),
    _ecdsa("ecdsa-sha1", "1.2.840.10045.4.1", hashes.SHA1()),  # noqa: S303  known, and refused by the policy
    _ecdsa("ecdsa-sha224", "1.2.840.10045.4.3.1", hashes.SHA224()),
    _ecdsa("ecdsa-sha256", "1.2.840.10045.4.3.2", hashes.SHA256()),
    _ecdsa("ecdsa-sha384", "1.2.840.10045.4.3.3", hashes.SHA384()),
    _ecdsa("ecdsa-sha512", "1.2.840.10045.4.3.4", hashes.SHA512()),
    SignatureAlgorithm("ed25519", "1.3.101.112", ed25519.Ed25519PublicKey, "pure"),
    SignatureAlgorithm("ed448", "1.3.101.113", ed448.Ed448PublicKey, "pure"),
    SignatureAlgorithm("ml-dsa-44", "2.16.840.1.101.3.4.3.17", mldsa.MLDSA44PublicKey, "pure"),
    SignatureAlgorithm("ml-dsa-65", "2.16.840.1.101.3.4.3.18", mldsa.MLDSA65PublicKey, "pure"),
    SignatureAlgorithm("ml-dsa-87", "2.16.840.1.101.3.4.3.19", mldsa.MLDSA87PublicKey, "pure"),
)
_PSS_OID = "1.2.840.113549.1.1.10"
_MGF1_OID = "1.2.840.113549.1.1.8"
_PSS_HASHES: Mapping[str, tuple[str, hashes.HashAlgorithm]] = {
    "2.16.840.1.101.3.4.2.1": ("sha256", hashes.SHA256()),
    "2.16.840.1.101.3.4.2.2": ("sha384", hashes.SHA384()),
    "2.16.840.1.101.3.4.2.3": ("sha512", hashes.SHA512()),
}
_PSS_ROWS = tuple(
    SignatureAlgorithm(
        f"rsa-pss-{name}",
        _PSS_OID,
        rsa.RSAPublicKey,
        "pss",
        digest,
        pss=padding.PSS(padding.MGF1(digest), digest.digest_size),
    )
    for name, digest in _PSS_HASHES.values()
)

ALGORITHMS: Mapping[str, SignatureAlgorithm] = {row.name: row for row in (*_ROWS, *_PSS_ROWS)}
_BY_OID: Mapping[str, SignatureAlgorithm] = {row.oid: row for row in _ROWS}


@dataclass(frozen=True, kw_only=True)
class AlgorithmPolicy:
    """What is accepted. A row with a time is accepted before that time only."""

    algorithms: Mapping[str, datetime | None]
    rsa_min_bits: int = 2048
    rsa_max_bits: int = 8192  # larger moduli only serve to slow a verifier down
    curves: frozenset[str] = frozenset({"secp256r1", "secp384r1", "secp521r1"})

    def check(self, algorithm: SignatureAlgorithm, at: datetime | None) -> None:
        """Refuse an algorithm that is not listed, or whose time is over at ``at``."""
        if algorithm.name not in self.algorithms:
            raise RefusedError("ALGORITHM_NOT_ALLOWED", algorithm=algorithm.name)
        until = self.algorithms[algorithm.name]
        if until is not None and (at is None or at >= until):
            raise RefusedError("ALGORITHM_NOT_ALLOWED", algorithm=algorithm.name, until=until)

    def end(self, algorithm: SignatureAlgorithm) -> datetime | None:
        """From when the algorithm is no longer accepted; ``None`` for no end."""
        return self.algorithms.get(algorithm.name)


DEFAULT_ALGORITHMS = AlgorithmPolicy(
    algorithms={name: None for name in ALGORITHMS if not name.endswith(("sha1", "sha224"))}
)


@lru_cache(maxsize=256)
def parse_algorithm(algorithm_der: bytes) -> SignatureAlgorithm:
    """Find the row for a DER ``AlgorithmIdentifier``; parameters that do not belong there are refused.

    Raises:
        RefusedError: ``UNSUPPORTED_ALGORITHM``.
        MalformedError: not DER.
    """
    try:
        outer = Reader(algorithm_der)
        reader = outer.enter(SEQUENCE)
        outer.done()
        oid = reader.oid()
        if oid == _PSS_OID:
            return _parse_pss(reader)
        row = _BY_OID.get(oid)
        if row is None:
            raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=oid)
        if row.null_parameters and reader.contents(NULL):
            raise DerError("NULL has contents")
        reader.done()
    except DerError as exc:
        raise MalformedError("NOT_DER", kind="AlgorithmIdentifier", detail=str(exc)) from exc
    return row


def _parse_pss(reader: Reader) -> SignatureAlgorithm:
    # RFC 4055, section 3.1. The defaults are SHA-1, which the table does not hold, so all fields are needed.
    params = reader.enter(SEQUENCE)
    reader.done()
    digest = _hash_oid(params.enter(0xA0).enter(SEQUENCE))
    mgf = params.enter(0xA1).enter(SEQUENCE)
    mgf_oid = mgf.oid()
    mgf_digest = _hash_oid(mgf.enter(SEQUENCE))
    salt_reader = params.enter(0xA2)
    salt_length = salt_reader.integer()
    salt_reader.done()
    params.done()
    row = _PSS_HASHES.get(digest)
    # RFC 4055: the salt should be as long as the hash. Another length is an odd signer, not a weak one, but
    # nobody needs it; one row per hash keeps the policy readable.
    if row is None or mgf_oid != _MGF1_OID or mgf_digest != digest or salt_length != row[1].digest_size:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=f"RSASSA-PSS({digest}, salt {salt_length})")
    return ALGORITHMS[f"rsa-pss-{row[0]}"]


def _hash_oid(reader: Reader) -> str:
    oid = reader.oid()
    if reader and reader.contents(NULL):
        raise DerError("NULL has contents")
    reader.done()
    return oid


def find_algorithm(algorithm: SignatureAlgorithm | str | bytes) -> SignatureAlgorithm:
    """A row by itself, by our name, by dotted OID, or by DER ``AlgorithmIdentifier``."""
    if isinstance(algorithm, SignatureAlgorithm):
        return algorithm
    if isinstance(algorithm, bytes):
        return parse_algorithm(algorithm)
    row = ALGORITHMS.get(algorithm) or _BY_OID.get(algorithm)
    if row is None:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=algorithm)
    return row


def verify_signature(
    public_key: PublicKey,
    algorithm: SignatureAlgorithm | str | bytes,
    signature: bytes,
    data: bytes,
    *,
    policy: AlgorithmPolicy | None = DEFAULT_ALGORITHMS,
    at: datetime | None = None,
) -> None:
    """Check a raw signature over ``data``. Returns nothing when it is good.

    Args:
        algorithm: row, name such as "ecdsa-sha256", dotted OID, or DER ``AlgorithmIdentifier``.
        signature: as it stands in the BIT STRING; for ECDSA the DER ``SEQUENCE`` of r and s.
        policy: what is accepted; ``None`` when the caller has already checked algorithm and key.
        at: the moment of the check, for algorithms that are accepted until a date.

    Raises:
        SignatureInvalidError: the signature is wrong.
        RefusedError: ``UNSUPPORTED_ALGORITHM``, ``ALGORITHM_NOT_ALLOWED``, ``ALGORITHM_MISMATCH``,
        ``WEAK_KEY``.
    """
    row = find_algorithm(algorithm)
    if policy is not None:
        policy.check(row, at)
        check_key(public_key, policy)
    if not _is_kind(type(public_key), row.key):
        raise RefusedError("ALGORITHM_MISMATCH", algorithm=row.name)
    try:
        _verify(public_key, row, signature, data)
    except InvalidSignature as exc:
        raise SignatureInvalidError("SIGNATURE_INVALID", algorithm=row.name) from exc
    except UnsupportedAlgorithm as exc:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=row.name) from exc
    except (ValueError, TypeError) as exc:
        # A key of 512 bits cannot hold a SHA-512 signature at all: OpenSSL says so with a ValueError.
        raise SignatureInvalidError("SIGNATURE_INVALID", algorithm=row.name) from exc


@lru_cache(maxsize=256)
def _is_kind(found: type, wanted: type) -> bool:
    """``issubclass`` with a memory: the key classes are abstract, and asking them is slow."""
    return issubclass(found, wanted)


def _verify(key: Any, row: SignatureAlgorithm, signature: bytes, data: bytes) -> None:
    """Call the key in the way of the row; ``_is_kind`` has seen that the key is of the row's class."""
    if row.scheme == "ecdsa":
        key.verify(signature, data, row.ecdsa)
    elif row.scheme == "pkcs1":
        key.verify(signature, data, _PKCS1, row.hash)
    elif row.scheme == "pss":
        key.verify(signature, data, row.pss, row.hash)
    else:
        key.verify(signature, data)


def load_public_key(public_key_der: bytes) -> PublicKey:
    """Load a DER SubjectPublicKeyInfo.

    Raises:
        RefusedError: ``KEY_INVALID`` (for example a point off the curve) or ``UNSUPPORTED_ALGORITHM``.
    """
    try:
        key = serialization.load_der_public_key(public_key_der)
    except UnsupportedAlgorithm as exc:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=_key_algorithm(public_key_der)) from exc
    except (ValueError, TypeError) as exc:
        raise RefusedError("KEY_INVALID", detail="the encoding or the point is wrong") from exc
    if not isinstance(key, PublicKey):
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=_key_algorithm(public_key_der))
    return key


def _key_algorithm(public_key_der: bytes) -> str:
    try:
        return Reader(public_key_der).enter(SEQUENCE).enter(SEQUENCE).oid()
    except DerError:
        return "?"


def check_key(public_key: PublicKey, policy: AlgorithmPolicy = DEFAULT_ALGORITHMS) -> None:
    """Refuse keys that are too short, absurdly long, or on a curve that is not listed."""
    if isinstance(public_key, rsa.RSAPublicKey):
        _check_rsa_bits(public_key.key_size, policy)
        exponent = public_key.public_numbers().e
        if exponent.bit_length() > 64 or exponent < 3:
            raise RefusedError("WEAK_KEY", key="RSA with an unusual exponent")
    elif isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name not in policy.curves:
        raise RefusedError("WEAK_KEY", key=public_key.curve.name)


def _check_rsa_bits(bits: int, policy: AlgorithmPolicy) -> None:
    if not policy.rsa_min_bits <= bits <= policy.rsa_max_bits:
        raise RefusedError("WEAK_KEY", key=f"RSA-{bits}")


_RSA_OID = bytes.fromhex("06092a864886f70d010101")
_EC_OID = bytes.fromhex("06072a8648ce3d0201")
_CURVES = {
    bytes.fromhex("06082a8648ce3d030107"): "secp256r1",
    bytes.fromhex("06052b81040022"): "secp384r1",
    bytes.fromhex("06052b81040023"): "secp521r1",
    bytes.fromhex("06052b8104000a"): "secp256k1",
    bytes.fromhex("06052b81040021"): "secp224r1",
}


def check_spki(public_key_der: bytes, policy: AlgorithmPolicy) -> None:
    """``check_key`` on the encoded key: a leaf's key is not used here, and loading it costs a check."""
    start = slice_tlv(public_key_der, 0)[0]
    algorithm_start, algorithm_end = slice_tlv(public_key_der, start)
    algorithm = public_key_der[algorithm_start:algorithm_end]
    if algorithm.startswith(_RSA_OID):
        try:
            key_start = slice_tlv(public_key_der, slice_tlv(public_key_der, algorithm_end)[0] + 1)[0]
            start, end = slice_tlv(public_key_der, key_start)
            start += public_key_der[start] == 0
            first = public_key_der[start]
        except IndexError as exc:
            raise RefusedError("KEY_INVALID", detail="RSA key") from exc
        _check_rsa_bits(8 * (end - start - 1) + first.bit_length(), policy)
    elif algorithm.startswith(_EC_OID):
        curve = _CURVES.get(algorithm[len(_EC_OID) :], "an unnamed curve")
        if curve not in policy.curves:
            raise RefusedError("WEAK_KEY", key=curve)


def spki_der(public_key: PublicKey) -> bytes:
    """The DER SubjectPublicKeyInfo of a key."""
    return public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_id(public_key: PublicKey) -> str:
    """Name of a key in our signed documents: base64url of SHA-256 over the SPKI, without padding."""
    digest = hashlib.sha256(spki_der(public_key)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
