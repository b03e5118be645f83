"""The officers of the fuzzed documents: they sign anything, so that what is behind is reached."""

from __future__ import annotations

import base64
import json
from functools import cache

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from fuzz.material import T, key, sign
from onecert.verifier.jws import key_id
from onecert.verifier.trust_list import Role, RoleKeys, TrustRoot
from onecert.verifier.trust_list.vocabulary import TYP

__all__ = ["officers_keys", "signed", "trust_root"]

_OFFICERS = (21, 22)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: bytes, typ: str = TYP) -> bytes:
    """A document that both officers have signed."""
    text = _b64(payload)
    signatures = []
    for number in _OFFICERS:
        header = {"alg": "ES256", "kid": key_id(key(number).public_key()), "typ": typ}
        protected = _b64(json.dumps(header).encode())
        r, s = decode_dss_signature(sign(f"{protected}.{text}".encode(), number))
        signatures.append(
            {"protected": protected, "signature": _b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))}
        )
    return json.dumps({"payload": text, "signatures": signatures}).encode()


@cache
def officers_keys() -> RoleKeys:
    """Their keys; both must sign."""
    publics = [key(number).public_key() for number in _OFFICERS]
    return RoleKeys(2, {key_id(public): public for public in publics})


@cache
def trust_root() -> TrustRoot:
    """The officers hold all roles here, which no document may say."""
    roles = dict.fromkeys(Role, officers_keys())
    return TrustRoot(version=1, issued_at=T, expires_at=T, roles=roles, sha256="0" * 64)
