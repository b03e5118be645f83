"""Signature algorithms: which exist is one table, which of them are accepted (and until when) another.

A new algorithm is a row and a retired one a date. Follows RFC 3279, 4055, 5758, 8410 and 9881, and GM/T 0006
for SM2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa

from onecert.verifier.der import NULL, SEQUENCE, DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.sm2 import DEFAULT_ID, Sm2PublicKey

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ALGORITHMS",
    "AlgorithmPolicy",
    "SignatureAlgorithm",
    "find_algorithm",
    "parse_algorithm",
]


@dataclass(frozen=True)
class SignatureAlgorithm:
    """One row: ``key`` is the class of public key it needs, ``scheme`` what is called on it."""

    name: str
    oid: str
    key: type
    scheme: str  # "pkcs1", "pss", "ecdsa", "dsa", "sm2", "pure"
    hash: hashes.HashAlgorithm | None = None
    null_parameters: bool = False
    optional_null: bool = False
    cost: int = 1  # what one check takes from a budget of signature checks
    ecdsa: ec.ECDSA | None = field(default=None, compare=False, repr=False)
    pss: padding.PSS | None = field(default=None, compare=False, repr=False)


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
    # Removed from FIPS 186 in 2023; for old data, when a policy names it.
    SignatureAlgorithm("dsa-sha1", "1.2.840.10040.4.3", dsa.DSAPublicKey, "dsa", hashes.SHA1()),  # noqa: S303
    SignatureAlgorithm("dsa-sha256", "2.16.840.1.101.3.4.3.2", dsa.DSAPublicKey, "dsa", hashes.SHA256()),
    SignatureAlgorithm("ed25519", "1.3.101.112", ed25519.Ed25519PublicKey, "pure"),
    SignatureAlgorithm("ed448", "1.3.101.113", ed448.Ed448PublicKey, "pure"),
    # GM/T 0015 shows NULL parameters, openssl leaves them out: both are in use.
    SignatureAlgorithm("sm2-sm3", "1.2.156.10197.1.501", Sm2PublicKey, "sm2", optional_null=True, cost=4),
    SignatureAlgorithm("ml-dsa-44", "2.16.840.1.101.3.4.3.17", mldsa.MLDSA44PublicKey, "pure"),
    SignatureAlgorithm("ml-dsa-65", "2.16.840.1.101.3.4.3.18", mldsa.MLDSA65PublicKey, "pure"),
    SignatureAlgorithm("ml-dsa-87", "2.16.840.1.101.3.4.3.19", mldsa.MLDSA87PublicKey, "pure"),
)
_PSS_OID = "1.2.840.113549.1.1.10"
_SALT_MAX = 1 << 16  # beyond what any key has room for
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
    """What is accepted. A row with a time is accepted before that time only.

    Args:
        sm2_id: the identifier that signers with SM2 keys have agreed on; hardly anybody uses another than
        the default. An empty one is refused wherever it is met.
    """

    algorithms: Mapping[str, datetime | None]
    rsa_min_bits: int = 2048
    rsa_max_bits: int = 8192  # larger moduli only serve to slow a verifier down
    dsa_min_bits: int = 2048
    curves: frozenset[str] = frozenset({"secp256r1", "secp384r1", "secp521r1", "sm2p256v1"})
    sm2_id: bytes = DEFAULT_ID

    @property
    def accepts_dsa(self) -> bool:
        """Whether any row of DSA is listed."""
        return any(name.startswith("dsa-") for name in self.algorithms)

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
    algorithms={
        name: None
        for name in ALGORITHMS
        if not name.endswith(("sha1", "sha224")) and not name.startswith("dsa-")
    }
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
        if row.optional_null and reader and reader.contents(NULL):
            raise DerError("NULL has contents")
        reader.done()
    except DerError as exc:
        raise MalformedError("NOT_DER", kind="AlgorithmIdentifier", detail=str(exc)) from exc
    return row


def _parse_pss(reader: Reader) -> SignatureAlgorithm:
    # RFC 4055, section 3.1. The defaults are SHA-1, which the table does not hold, so that both are needed.
    params = reader.enter(SEQUENCE)
    reader.done()
    digest = _hash_oid(_explicit(params, 0xA0))
    mgf = _explicit(params, 0xA1)
    mgf_oid = mgf.oid()
    mgf_digest = _hash_oid(mgf.enter(SEQUENCE))
    mgf.done()
    # Defaults are left out in DER, but "a present trailerField with value 1" must be recognised.
    salt_length = _explicit_integer(params, 0xA2) if params.peek() == 0xA2 else 20
    trailer = _explicit_integer(params, 0xA3) if params.peek() == 0xA3 else 1
    params.done()
    if not 0 <= salt_length < _SALT_MAX:
        raise DerError("salt length")
    known = _PSS_HASHES.get(digest)
    if known is None or (mgf_oid, mgf_digest, trailer) != (_MGF1_OID, digest, 1):
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=f"RSASSA-PSS({digest}, salt {salt_length})")
    row = ALGORITHMS[f"rsa-pss-{known[0]}"]
    if salt_length == known[1].digest_size:
        return row
    # The salt should be as long as the hash; openssl 3.0 makes it as long as the key allows.
    return replace(row, pss=padding.PSS(padding.MGF1(known[1]), salt_length))


def _explicit(reader: Reader, tag: int) -> Reader:
    outer = reader.enter(tag)
    sequence = outer.enter(SEQUENCE)
    outer.done()
    return sequence


def _explicit_integer(reader: Reader, tag: int) -> int:
    inner = reader.enter(tag)
    value = inner.integer()
    inner.done()
    return value


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
