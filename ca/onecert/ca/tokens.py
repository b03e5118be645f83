"""The CA's tokens: "ca" with the issuing keys, always open; "ca-root" with the roots, in ceremonies only."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from onecert.ca.config import CaConfig
from onecert.ca.errors import TokenGoneError
from onecert.ca.signing import PrivateKey
from onecert.hsm import KeyAlgorithm, ServiceToken, TokenError

__all__ = ["CaToken", "KeyToken", "issuing_token", "root_token"]


class KeyToken(Protocol):
    """What the CA asks of a token; `CaToken` is the real one."""

    label: str

    def key(self, label: str) -> PrivateKey: ...
    def find_or_make(self, label: str, kind: str) -> tuple[PrivateKey, bool]: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


class CaToken(ServiceToken):
    """A token whose errors are the CA's; `key` alone raises hsm's, for the `Signer` to log and map."""

    def find_or_make(self, label: str, kind: KeyAlgorithm | str) -> tuple[PrivateKey, bool]:
        """Find a key, or make it; tell whether it was made. An interrupted ceremony finds what it made.

        Raises:
            TokenGoneError
        """
        try:
            return super().find_or_make(label, kind)
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def check(self) -> None:
        """Readiness.

        Raises:
            TokenGoneError
        """
        try:
            super().check()
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc


def issuing_token(config: CaConfig, data: Path, shared: Path) -> CaToken:
    """The token of the issuing keys, the responders' keys and the audit key."""
    return CaToken(
        config.token_label,
        config.token_pin_file or data / "token.pin",
        module=config.token_module,
        store=shared / "softhsm",
        sessions=config.token_sessions,
    )


def root_token(config: CaConfig, data: Path, shared: Path) -> CaToken:
    """The token of the roots. Only commands open it."""
    return CaToken(
        config.root_token_label,
        config.root_token_pin_file or data / "root-token.pin",
        module=config.root_token_module,
        store=shared / "softhsm",
        sessions=1,
    )
