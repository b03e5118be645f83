"""A token in memory that can fail around each use, and logs everything that its keys ever signed."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ca_fakes import KeyInMemory, SoftToken
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from sweep_points import POINTS

from onecert.ca.errors import TokenGoneError
from onecert.hsm import TokenUnavailableError

__all__ = ["Signature", "SweptToken"]


@dataclass(frozen=True)
class Signature:
    """One use of a key: the SHA-256 of what is signed, and the bytes unless the key got only a hash."""

    label: str
    sha256: str
    data: bytes | None


class SweptToken(SoftToken):
    """P-256 keys only. `log` outlives crashes, as the token's own memory would.

    Args:
        folder: where keys and log are kept for other processes; None: in memory only.
    """

    def __init__(self, label: str, folder: Path | None = None) -> None:
        super().__init__(label)
        self.log: list[Signature] = []
        self.before_signing: Callable[[Signature], None] = lambda _signature: None
        self._folder = folder

    def find_or_make(self, label: str, kind: str) -> tuple[Any, bool]:
        if label in self.keys:
            return self.keys[label], False
        if POINTS.reach("make", label) is not None:
            raise TokenGoneError(self.label)
        made = ec.generate_private_key(ec.SECP256R1())
        self.keys[label] = SweptKey(made, label, self)
        self._keep_key(label, made)
        if POINTS.reach("made", label) is not None:
            raise TokenGoneError(self.label)
        return self.keys[label], True

    def destroy(self, label: str) -> bool:
        if POINTS.reach("destroy", label) is not None:
            raise TokenGoneError(self.label)
        found = self.keys.pop(label, None) is not None
        if self._folder is not None:
            (self._folder / f"{label}.key").unlink(missing_ok=True)
            (self._folder / f"{label}.gone").touch()
        if POINTS.reach("destroyed", label) is not None:
            raise TokenGoneError(self.label)
        return found

    def copy(self, folder: Path | None = None) -> SweptToken:
        """A token of its own with the same keys and, so far, the same log."""
        copied = SweptToken(self.label, folder)
        copied.log = list(self.log)
        for label, key in self.keys.items():
            copied.keys[label] = SweptKey(key.inner, label, copied)  # type: ignore[union-attr]
        return copied

    def note(self, signature: Signature) -> None:
        """Put a signature on the log, before it is made."""
        self.before_signing(signature)
        self.log.append(signature)
        if self._folder is not None:
            with (self._folder / "log").open("ab") as file:
                file.write(pickle.dumps(signature))
                file.flush()
                os.fsync(file.fileno())

    def read_back(self) -> None:
        """Take over what another process left in the folder before it was killed."""
        if self._folder is None:
            return
        for path in self._folder.glob("*.key"):
            key: Any = serialization.load_der_private_key(path.read_bytes(), None)
            self.keys.setdefault(path.stem, SweptKey(key, path.stem, self))
        for label in [each for each in self.keys if (self._folder / f"{each}.gone").exists()]:
            del self.keys[label]
        path = self._folder / "log"
        if path.exists():
            with path.open("rb") as file:
                while file.peek(1):
                    self.log.append(pickle.load(file))

    def _keep_key(self, label: str, key: ec.EllipticCurvePrivateKey) -> None:
        if self._folder is not None:
            (self._folder / f"{label}.key").write_bytes(
                key.private_bytes(
                    serialization.Encoding.DER,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )


class SweptKey(KeyInMemory):
    """A P-256 key of a `SweptToken`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, label: str, token: SweptToken) -> None:
        super().__init__(key)
        self._label = label
        self._token = token

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        if POINTS.reach("sign", self._label) is not None:
            raise TokenUnavailableError(label=self._token.label, reason="swept")
        is_hash = isinstance(signature_algorithm.algorithm, Prehashed)
        sha256 = bytes(data).hex() if is_hash else hashlib.sha256(data).hexdigest()
        self._token.note(Signature(self._label, sha256, None if is_hash else bytes(data)))
        signature = self.inner.sign(data, signature_algorithm)
        if POINTS.reach("signed", self._label) is not None:
            raise TokenUnavailableError(label=self._token.label, reason="swept")
        return signature
