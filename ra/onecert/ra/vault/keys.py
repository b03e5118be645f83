"""What the member needs of keys: one signs orders, one seals personal data.

`token_keys.py` gives them from the token; tests give them in software.
"""

from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.server.documents import PrivateKey

__all__ = ["Keys", "public_key_pem"]


class Keys(Protocol):
    """What the member needs of a token."""

    def order_key(self) -> PrivateKey:
        """The key that signs orders; made when missing."""
        ...

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt under a key that cannot be taken out of the token; `aad` must be the same at unseal."""
        ...

    def unseal(self, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt what `seal` made; anything else raises."""
        ...


def public_key_pem(key: PrivateKey) -> bytes:
    """The public half, as the CA registers it (PEM, SubjectPublicKeyInfo)."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
