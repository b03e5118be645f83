"""The PMI's token: the keys of the attribute authorities, and the service's own for policy and audit."""

from __future__ import annotations

from pathlib import Path

from onecert.hsm import KeyAlgorithm, PrivateKey, ServiceToken, Token, TokenError
from onecert.pmi.config import PmiConfig
from onecert.pmi.errors import TokenGoneError

__all__ = ["AUDIT_KEY", "POLICY_KEY", "PmiToken", "make_token"]

AUDIT_KEY = "audit"
POLICY_KEY = "policy"


class PmiToken(ServiceToken):
    """A token whose errors are the PMI's; `key` alone raises hsm's, for the `Signer` to log and map."""

    def open(self) -> Token:
        """See `ServiceToken`. Raises TokenGoneError."""
        try:
            return super().open()
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def own_key(self, label: str) -> PrivateKey:
        """Find one of the service's own P-256 keys, or make it. Raises TokenGoneError."""
        try:
            return self.find_or_make(label, KeyAlgorithm.P_256)[0]
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def check(self) -> None:
        """Readiness. Raises TokenGoneError."""
        try:
            super().check()
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc


def make_token(config: PmiConfig, *, data: Path, shared: Path) -> PmiToken:
    """Name the token of the settings: SoftHSM in the shared store unless they name a module."""
    return PmiToken(
        config.token,
        config.token_pin_file or data / "token.pin",
        module=config.token_module,
        store=shared / "softhsm",
        sessions=config.token_sessions,
    )
