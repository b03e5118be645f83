"""Whether a key may be certified: its kind by the profile, its strength by `key_rules`; and its name."""

from __future__ import annotations

import hashlib

from onecert.ca.certificates.key_rules import check_strength
from onecert.ca.errors import UnsupportedKeyError
from onecert.ca.signatures.algorithms import PublicKey, key_kind, spki_der

__all__ = ["check_key", "spki_sha256"]


def check_key(public_key: object, key_kinds: tuple[str, ...]) -> None:
    """Check kind, size and strength of a key.

    Raises:
        UnsupportedKeyError: the profile does not accept this kind or size.
        WeakKeyError: others could find the private half.
    """
    kind = key_kind(public_key)
    if kind not in key_kinds:
        raise UnsupportedKeyError(kind)
    check_strength(public_key)


def spki_sha256(public_key: PublicKey) -> str:
    """Name a public key by the SHA-256 of its SubjectPublicKeyInfo, in hex."""
    return hashlib.sha256(spki_der(public_key)).hexdigest()
