"""Signed documents: what crosses a border between services, as JWS in the general JSON serialization.

RFC 7515 (general JSON serialization), RFC 7518 and RFC 8037 (algorithms). The counterpart that checks them is
`onecert.verifier.jws.verify_document`. The key says the algorithm; the header never chooses.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from onecert.verifier.jws import key_id

__all__ = ["PrivateKey", "add_signature", "sign_document"]

PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

_CURVES: dict[str, tuple[str, hashes.HashAlgorithm, int]] = {
    "secp256r1": ("ES256", hashes.SHA256(), 32),
    "secp384r1": ("ES384", hashes.SHA384(), 48),
}


def sign_document(payload: Mapping[str, Any], *, typ: str, keys: Sequence[PrivateKey]) -> bytes:
    """Sign a payload with each key and return the document (UTF-8 JSON).

    Args:
        payload: JSON with whole numbers only; the verifier reads no others.
        typ: what kind of document it is, such as ``onecert-order+json``; part of what is signed.
        keys: at least one; each makes one signature, in this order.
    """
    if not keys:
        raise ValueError("a signed document needs at least one key")
    encoded = _encode_json(payload)
    document = {"payload": encoded, "signatures": [_signature(encoded, typ, key) for key in keys]}
    return json.dumps(document, separators=(",", ":")).encode()


def add_signature(document: bytes, *, typ: str, key: PrivateKey) -> bytes:
    """Add one more signature to a document that others have signed: the second officer's, for example.

    The document is not checked here; verify it before you sign it.
    """
    opened = json.loads(document)
    opened["signatures"].append(_signature(opened["payload"], typ, key))
    return json.dumps(opened, separators=(",", ":")).encode()


def _signature(payload: str, typ: str, key: PrivateKey) -> dict[str, str]:
    protected = _encode_json({"alg": _algorithm(key), "kid": key_id(key.public_key()), "typ": typ})
    signature = _sign(key, f"{protected}.{payload}".encode())
    return {"protected": protected, "signature": _base64url(signature)}


def _algorithm(key: PrivateKey) -> str:
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name][0]
    if isinstance(key, RSAPrivateKey):
        return "RS256"
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA"
    raise ValueError("documents are signed with RSA, P-256, P-384 or Ed25519 keys")


def _sign(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    _, algorithm, size = _CURVES[key.curve.name]
    # RFC 7518, section 3.4: r and s, each as long as the field, instead of DER.
    r, s = decode_dss_signature(key.sign(data, ECDSA(algorithm)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _encode_json(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return _base64url(text.encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
