"""The PMI's token: the keys of the attribute authorities, and the service's own for policy and audit.

SM2 keys are sealed under a key of the token and lie in a folder beside it (docs/decisions/0005-sm2.md). While
they are unlocked they are in this process's memory; a token that is found to be away takes them with it.
"""

from __future__ import annotations

from pathlib import Path

from onecert.hsm import KeyAlgorithm, PrivateKey, SealedKeys, ServiceToken, Sm2PrivateKey, Token, TokenError
from onecert.pmi.config import PmiConfig
from onecert.pmi.errors import TokenGoneError

__all__ = ["AUDIT_KEY", "POLICY_KEY", "PmiToken", "make_token"]

AUDIT_KEY = "audit"
POLICY_KEY = "policy"


class PmiToken:
    """A token whose errors are the PMI's; `key` alone raises hsm's, for the `Signer` to log and map.

    Args:
        service: the token itself.
        sealed: the folder of its SM2 keys.
    """

    def __init__(self, service: ServiceToken, sealed: Path) -> None:
        self.label = service.label
        self._service = service
        self._sealed = SealedKeys(service, sealed)

    def open(self) -> Token:
        """The open token. Raises TokenGoneError."""
        try:
            return self._service.open()
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def key(self, label: str) -> PrivateKey | Sm2PrivateKey:
        """Find a key. Raises hsm's TokenError."""
        return self._sealed.key(label) if self._sealed.has(label) else self._service.key(label)

    def find_or_make(self, label: str, algorithm: KeyAlgorithm) -> PrivateKey | Sm2PrivateKey:
        """Find a key of an authority, or make it. Raises TokenGoneError."""
        try:
            if algorithm == KeyAlgorithm.SM2 or self._sealed.has(label):
                return self._sealed.find_or_make(label)[0]
            return self._service.find_or_make(label, algorithm)[0]
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def own_key(self, label: str) -> PrivateKey:
        """Find one of the service's own P-256 keys, or make it. Raises TokenGoneError."""
        try:
            return self._service.find_or_make(label, KeyAlgorithm.P_256)[0]
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def check(self) -> None:
        """Readiness. Raises TokenGoneError."""
        try:
            self._service.check()
        except TokenError as exc:
            self._sealed.lock()
            raise TokenGoneError(self.label) from exc

    def close(self) -> None:
        """Let go of the token and lock the sealed keys."""
        self._sealed.lock()
        self._service.close()


def make_token(config: PmiConfig, *, data: Path, shared: Path) -> PmiToken:
    """Name the token of the settings: SoftHSM in the shared store unless they name a module."""
    service = ServiceToken(
        config.token,
        config.token_pin_file or data / "token.pin",
        module=config.token_module,
        store=shared / "softhsm",
        sessions=config.token_sessions,
    )
    return PmiToken(service, data / "sealed-keys")
