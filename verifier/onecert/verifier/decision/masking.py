"""What stands for an identity in a log: its kind and an HMAC under a secret of this machine.

Lines about one holder belong together, and nobody reads a person's number in them.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from onecert.verifier.decision.errors import DecisionLogError
from onecert.verifier.files import make_once

__all__ = ["Mask"]

SECRET_OCTETS = 32


class Mask:
    """Masks identities under a secret that is made when it is first needed. Safe with several processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._secret: bytes | None = None

    def identity(self, identity: str) -> str:
        """Return what stands for an identity, such as ``uscc:#5f2a…``.

        Raises:
            DecisionLogError: the secret cannot be read or made.
        """
        kind, separator, _ = identity.partition(":")
        digest = self.digest(identity.encode("utf-8", "surrogatepass"))
        return f"{kind}:#{digest}" if separator else f"#{digest}"

    def digest(self, octets: bytes) -> str:
        """Return 24 hexadecimal digits of an HMAC: equal octets are recognised, small ones not guessed.

        Raises:
            DecisionLogError: the secret cannot be read or made.
        """
        return hmac.digest(self._load(), octets, "sha256").hex()[:24]

    def _load(self) -> bytes:
        if self._secret is None:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                make_once(self._path, secrets.token_bytes(SECRET_OCTETS))
                secret = self._path.read_bytes()
            except OSError as exc:
                raise DecisionLogError(detail=exc) from exc
            if len(secret) != SECRET_OCTETS:
                raise DecisionLogError(detail="the secret has a wrong length")
            self._secret = secret
        return self._secret
