"""Signed documents: JWS in the general JSON serialization (RFC 7515, section 7.2.1), with P-256 keys."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from onecert.verifier.jws import decode_base64url, key_id

__all__ = ["payload_octets", "sign_document"]


def sign_document(
    payload: Mapping[str, Any], *, typ: str, keys: Iterable[ec.EllipticCurvePrivateKey]
) -> bytes:
    """The signed document: one signature for each key."""
    content = _base64url(json.dumps(payload, ensure_ascii=False).encode("utf-8"))
    signatures = []
    for key in keys:
        header = {"alg": "ES256", "kid": key_id(key.public_key()), "typ": typ}
        protected = _base64url(json.dumps(header).encode("ascii"))
        r, s = decode_dss_signature(key.sign(f"{protected}.{content}".encode(), ec.ECDSA(hashes.SHA256())))
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        signatures.append({"protected": protected, "signature": _base64url(raw)})
    return json.dumps({"payload": content, "signatures": signatures}).encode("ascii")


def payload_octets(document: bytes) -> bytes:
    """What was signed."""
    return decode_base64url(json.loads(document)["payload"])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
