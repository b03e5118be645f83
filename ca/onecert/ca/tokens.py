"""The CA's tokens: "ca" with the issuing keys, always open; "ca-root" with the roots, in ceremonies only.

A token is opened at first use. If that fails, the next use tries again: a service that starts without its
token still serves status, and issues again as soon as the token is back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from onecert.ca.config import CaConfig
from onecert.ca.errors import TokenGoneError
from onecert.ca.signing import PrivateKey
from onecert.hsm import (
    KeyAlgorithm,
    KeyExistsError,
    Token,
    TokenConfig,
    TokenError,
    ensure_softhsm_token,
    open_token,
)

__all__ = ["KeyToken", "LazyToken", "issuing_token", "root_token"]


class KeyToken(Protocol):
    """What the CA asks of a token; `LazyToken` is the real one."""

    label: str

    def key(self, label: str) -> PrivateKey: ...
    def find_or_make(self, label: str, kind: str) -> tuple[PrivateKey, bool]: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


class LazyToken:
    """A token that is opened when it is first needed."""

    def __init__(self, label: str, config: Callable[[], TokenConfig]) -> None:
        self.label = label
        self._config = config
        self._lock = threading.Lock()
        self._token: Token | None = None

    def open(self) -> Token:
        """Return the open token.

        Raises:
            hsm's TokenError
        """
        with self._lock:
            if self._token is None:
                self._token = open_token(self._config())
            return self._token

    def key(self, label: str) -> PrivateKey:
        """Find a key; the `KeySource` of a `Signer`."""
        return self.open().load_key(label)

    def find_or_make(self, label: str, kind: str) -> tuple[PrivateKey, bool]:
        """Find a key, or make it; tell whether it was made. An interrupted ceremony finds what it made.

        Raises:
            TokenGoneError
        """
        try:
            token = self.open()
            key = token.find_key(label)
            if key is not None:
                return key, False
            try:
                return token.generate_key(label, KeyAlgorithm(kind)), True
            except KeyExistsError:
                return token.load_key(label), False
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def check(self) -> None:
        """Readiness.

        Raises:
            TokenGoneError
        """
        try:
            self.open().check()
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def close(self) -> None:
        with self._lock:
            if self._token is not None:
                self._token.close()
                self._token = None


def issuing_token(config: CaConfig, data: Path, shared: Path) -> LazyToken:
    """The token of the issuing keys, the responders' keys and the audit key."""
    pin_file = config.token_pin_file or data / "token.pin"
    return _token(config.token_label, config.token_module, pin_file, shared, config.token_sessions)


def root_token(config: CaConfig, data: Path, shared: Path) -> LazyToken:
    """The token of the roots. Only commands open it."""
    pin_file = config.root_token_pin_file or data / "root-token.pin"
    return _token(config.root_token_label, config.root_token_module, pin_file, shared, 1)


def _token(label: str, module: Path | None, pin_file: Path, shared: Path, sessions: int) -> LazyToken:
    def config() -> TokenConfig:
        if module is not None:
            return TokenConfig(label=label, pin_file=pin_file, module=module, sessions=sessions)
        return ensure_softhsm_token(shared / "softhsm", label=label, pin_file=pin_file, sessions=sessions)

    return LazyToken(label, config)
