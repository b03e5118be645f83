"""Signature checks, chosen by algorithm identifier.

The algorithms are rows of ``algorithms``, the keys come from ``keys``; both are offered here too.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding

from onecert.verifier.algorithms import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    AlgorithmPolicy,
    SignatureAlgorithm,
    find_algorithm,
    parse_algorithm,
)
from onecert.verifier.errors import RefusedError, SignatureInvalidError
from onecert.verifier.keys import PublicKey, check_key, check_spki, key_id, load_public_key, spki_der
from onecert.verifier.pss_keys import RsaPssPublicKey
from onecert.verifier.sm2 import EmptyIdError

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ALGORITHMS",
    "AlgorithmPolicy",
    "PublicKey",
    "SignatureAlgorithm",
    "check_key",
    "check_spki",
    "find_algorithm",
    "key_id",
    "load_public_key",
    "parse_algorithm",
    "spki_der",
    "verify_signature",
]

_PKCS1 = padding.PKCS1v15()


def verify_signature(
    public_key: PublicKey,
    algorithm: SignatureAlgorithm | str | bytes,
    signature: bytes,
    data: bytes,
    *,
    policy: AlgorithmPolicy | None = DEFAULT_ALGORITHMS,
    at: datetime | None = None,
    sm2_id: bytes | None = None,
) -> None:
    """Check a raw signature over ``data``. Returns nothing when it is good.

    Args:
        algorithm: row, name such as "ecdsa-sha256", dotted OID, or DER ``AlgorithmIdentifier``.
        signature: as it stands in the BIT STRING; for ECDSA and SM2 the DER ``SEQUENCE`` of r and s.
        policy: what is accepted; ``None`` when the caller has already checked algorithm and key.
        at: the moment of the check, for algorithms that are accepted until a date.
        sm2_id: identifier of the signer, for SM2; ``None`` for that of the policy.

    Raises:
        SignatureInvalidError: the signature is wrong; ``SM2_EMPTY_ID`` when it is right for an empty
        identifier, which is nobody's.
        RefusedError: ``UNSUPPORTED_ALGORITHM``, ``ALGORITHM_NOT_ALLOWED``, ``ALGORITHM_MISMATCH``,
        ``WEAK_KEY``.
    """
    row = find_algorithm(algorithm)
    if policy is not None:
        policy.check(row, at)
        check_key(public_key, policy)
    kind: Any = type(public_key)
    # RFC 4055, section 1.2: the owner of the key may have meant it for PSS alone.
    is_meant = kind is not RsaPssPublicKey or cast(RsaPssPublicKey, public_key).allows(row)
    if not _is_kind(kind, row.key) or not is_meant:
        raise RefusedError("ALGORITHM_MISMATCH", algorithm=row.name)
    try:
        if row.scheme == "sm2":
            _verify_sm2(public_key, policy or DEFAULT_ALGORITHMS, sm2_id, signature, data)
        else:
            _verify(public_key, row, signature, data)
    except InvalidSignature as exc:
        raise SignatureInvalidError("SIGNATURE_INVALID", algorithm=row.name) from exc
    except UnsupportedAlgorithm as exc:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=row.name) from exc
    except (ValueError, TypeError) as exc:
        # A key of 512 bits cannot hold a SHA-512 signature at all: OpenSSL says so with a ValueError.
        raise SignatureInvalidError("SIGNATURE_INVALID", algorithm=row.name) from exc


def _verify_sm2(
    key: Any, policy: AlgorithmPolicy, sm2_id: bytes | None, signature: bytes, data: bytes
) -> None:
    identifier = policy.sm2_id if sm2_id is None else sm2_id
    if not identifier:
        raise SignatureInvalidError("SM2_EMPTY_ID", algorithm="sm2-sm3")
    try:
        key.verify(signature, data, identifier)
    except EmptyIdError as exc:
        # What openssl 3.0 makes without "-sigopt distid:1234567812345678".
        raise SignatureInvalidError("SM2_EMPTY_ID", source="GM/T 0009", algorithm="sm2-sm3") from exc


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
    elif row.scheme == "dsa":
        key.verify(signature, data, row.hash)
    else:
        key.verify(signature, data)
