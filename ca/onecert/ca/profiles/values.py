"""The words that profiles are made of: holders, kinds of keys, usages and their object identifiers."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EXTENDED_KEY_USAGE_OIDS", "HOLDERS", "KEY_KINDS", "KEY_USAGE_BITS"]

HOLDERS = ("organisation", "employee", "citizen", "device", "system", "authority")
KEY_KINDS = (
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    "p-256",
    "p-384",
    "ed25519",
    "sm2",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
)

# RFC 5280, section 4.2.1.3: the bit of each key usage.
KEY_USAGE_BITS: Mapping[str, int] = {
    "digitalSignature": 0,
    "nonRepudiation": 1,
    "keyEncipherment": 2,
    "dataEncipherment": 3,
    "keyAgreement": 4,
    "keyCertSign": 5,
    "cRLSign": 6,
}
# RFC 5280, section 4.2.1.12.
EXTENDED_KEY_USAGE_OIDS: Mapping[str, str] = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
    "OCSPSigning": "1.3.6.1.5.5.7.3.9",
}
