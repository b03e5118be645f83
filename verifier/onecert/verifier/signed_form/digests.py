"""Digest algorithms of CMS and timestamps, and the signature algorithm that follows from a SignerInfo.

RFC 5652, section 10.1; RFC 5754; RFC 8419 for EdDSA; RFC 9882 for ML-DSA; GM/T 0010 for SM2 with SM3. There
is no second list of accepted digests: one is accepted when the policy accepts a signature algorithm with it.
"""

from __future__ import annotations

from datetime import datetime

from cryptography.hazmat.primitives import hashes

from onecert.verifier.algorithms import ALGORITHMS, AlgorithmPolicy, SignatureAlgorithm, parse_algorithm
from onecert.verifier.der import NULL, SEQUENCE, DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError

__all__ = [
    "DIGESTS",
    "RENEWAL_DIGESTS",
    "algorithm_der",
    "check_digest",
    "digest",
    "digest_name",
    "is_accepted",
    "read_digest_algorithm",
    "signature_row",
]

DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  known, and refused by the policy
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
    "shake256": hashes.SHAKE256(64),
    "sm3": hashes.SM3(),
}
_OIDS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.8": "sha3-256",
    "2.16.840.1.101.3.4.2.9": "sha3-384",
    "2.16.840.1.101.3.4.2.10": "sha3-512",
    "2.16.840.1.101.3.4.2.12": "shake256",
    "1.2.156.10197.1.401": "sm3",
}
_DER = {
    "sha256": "300b0609608648016503040201",
    "sha384": "300b0609608648016503040202",
    "sha512": "300b0609608648016503040203",
    "sm3": "300a06082a811ccf55018311",
}
# What we ask timestamps with, the usual one first.
RENEWAL_DIGESTS = tuple(_DER)
# Signature algorithms that hash by themselves: the digests that may stand beside them in a SignerInfo.
# RFC 8419, section 3.1; RFC 9882, section 3.3 (a digest at least as strong as the key).
_BESIDE = {
    "ed25519": frozenset({"sha512"}),
    "ed448": frozenset({"shake256"}),
    "sm2-sm3": frozenset({"sm3"}),
    "ml-dsa-44": frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512", "shake256"}),
    "ml-dsa-65": frozenset({"sha384", "sha512", "sha3-384", "sha3-512", "shake256"}),
    "ml-dsa-87": frozenset({"sha512", "sha3-512", "shake256"}),
}
# Algorithms that name only the key; the digest comes from the SignerInfo. RFC 3370, section 3.2, and what
# GM/T 0010 calls SM2-1.
_KEY_ONLY = {"1.2.840.113549.1.1.1": "rsa", "1.2.156.10197.1.301.1": "sm2", "1.2.156.10197.1.301": "sm2"}


def digest(name: str, data: bytes) -> bytes:
    """The digest of ``data``."""
    hasher = hashes.Hash(DIGESTS[name])
    hasher.update(data)
    return hasher.finalize()


def algorithm_der(name: str) -> bytes:
    """The AlgorithmIdentifier of a digest that we ourselves use: sha256, sha384, sha512 or sm3."""
    return bytes.fromhex(_DER[name])


def read_digest_algorithm(reader: Reader) -> str:
    """The name of a digest AlgorithmIdentifier; the dotted OID when it is not known."""
    sequence = reader.enter(SEQUENCE)
    oid = sequence.oid()
    # RFC 5754, section 2: absent parameters are right, NULL is in use.
    if sequence and sequence.contents(NULL):
        raise DerError("NULL has contents")
    sequence.done()
    return _OIDS.get(oid, oid)


def digest_name(row: SignatureAlgorithm) -> str | None:
    """The digest that a signature algorithm fixes; ``None`` for those that hash by themselves."""
    if row.hash is None:
        return None
    return row.hash.name


def is_accepted(name: str, policy: AlgorithmPolicy, at: datetime) -> bool:
    """Tell whether the policy accepts, at this time, some signature algorithm with this digest."""
    for row_name, until in policy.algorithms.items():
        if until is not None and at >= until:
            continue
        row = ALGORITHMS.get(row_name)
        if row is not None and (digest_name(row) == name or name in _BESIDE.get(row_name, ())):
            return True
    return False


def check_digest(name: str, policy: AlgorithmPolicy, at: datetime) -> None:
    """Refuse a digest that is not known or not accepted at this time.

    Raises:
        RefusedError: ``UNSUPPORTED_ALGORITHM``, ``ALGORITHM_NOT_ALLOWED``.
    """
    if name not in DIGESTS:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=name)
    if not is_accepted(name, policy, at):
        raise RefusedError("ALGORITHM_NOT_ALLOWED", algorithm=name)


def signature_row(signature_algorithm_der: bytes, digest_algorithm: str) -> SignatureAlgorithm:
    """The row for a SignerInfo's signatureAlgorithm, in agreement with its digestAlgorithm.

    Raises:
        RefusedError: ``UNSUPPORTED_ALGORITHM``; ``ALGORITHM_MISMATCH`` when the two disagree.
        MalformedError: not DER.
    """
    row = _by_key_only(signature_algorithm_der, digest_algorithm) or parse_algorithm(signature_algorithm_der)
    fixed = digest_name(row)
    agrees = digest_algorithm == fixed if fixed else digest_algorithm in _BESIDE.get(row.name, ())
    if not agrees:
        raise RefusedError(
            "ALGORITHM_MISMATCH",
            source="RFC 5652, section 5.4; RFC 4056, section 3",
            algorithm=f"{row.name} / {digest_algorithm}",
        )
    return row


def _by_key_only(signature_algorithm_der: bytes, digest_algorithm: str) -> SignatureAlgorithm | None:
    try:
        outer = Reader(signature_algorithm_der)
        sequence = outer.enter(SEQUENCE)
        kind = _KEY_ONLY.get(sequence.oid())
        if kind is None:
            return None
        if sequence and sequence.contents(NULL):
            raise DerError("NULL has contents")
        sequence.done()
    except DerError as exc:
        raise MalformedError("NOT_DER", kind="AlgorithmIdentifier", detail=str(exc)) from exc
    row = ALGORITHMS.get("sm2-sm3" if kind == "sm2" else f"rsa-{digest_algorithm}")
    if row is None:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=f"{kind} / {digest_algorithm}")
    return row
