"""The CA's tokens: "ca" with the issuing keys, always open; "ca-root" with the roots, in ceremonies only."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from onecert.ca.activation.holders import Holders, HoldersMissingError, Splitting
from onecert.ca.config import CaConfig
from onecert.ca.errors import TokenGoneError, UnsupportedKeyError
from onecert.ca.errors.authorities import KeyNotDestroyedError
from onecert.ca.signatures.algorithms import PrivateKey, key_kind
from onecert.hsm import KeyAlgorithm, PinError, SealedKeys, ServiceToken, TokenError
from onecert.hsm.opening import utc_now
from onecert.hsm.pin import read_pin_file
from onecert.server.documents import PrivateKey as DocumentKey

__all__ = [
    "CaToken",
    "KeyToken",
    "document_key",
    "finish_split",
    "issuing_token",
    "root_token",
    "split_pin",
]


class KeyToken(Protocol):
    """What the CA asks of a token; `CaToken` is the real one."""

    label: str

    def key(self, label: str) -> PrivateKey: ...
    def find_or_make(self, label: str, kind: str) -> tuple[PrivateKey, bool]: ...
    def destroy(self, label: str) -> bool: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


class CaToken:
    """A token whose errors are the CA's; `key` alone raises hsm's, for the `Signer` to log and map.

    SM2 keys are sealed under a key of the token and lie in a folder beside it. While they are unlocked they
    are in this process's memory; a token that is found to be away takes them with it.

    Args:
        service: the token itself.
        sealed: the folder of its SM2 keys.
        holders: who unlocks it together, when its PIN is split; see `activation`.
    """

    def __init__(self, service: ServiceToken, sealed: Path, holders: Holders) -> None:
        self.label = service.label
        self.holders = holders
        self._service = service
        self._sealed = SealedKeys(service, sealed)

    def key(self, label: str) -> PrivateKey:
        """Find a key.

        Raises:
            TokenError: hsm's.
        """
        return self._sealed.key(label) if self._sealed.has(label) else self._service.key(label)

    def find_or_make(self, label: str, kind: KeyAlgorithm | str) -> tuple[PrivateKey, bool]:
        """Find a key, or make it; tell whether it was made. An interrupted ceremony finds what it made.

        Raises:
            TokenGoneError
        """
        try:
            if kind == KeyAlgorithm.SM2 or self._sealed.has(label):
                return self._sealed.find_or_make(label)
            return self._service.find_or_make(label, kind)
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def destroy(self, label: str) -> bool:
        """Destroy a key and look whether it is gone; tell whether there was one.

        Raises:
            TokenGoneError: nobody can tell now.
            KeyNotDestroyedError: the token still has it.
        """
        try:
            if self._sealed.has(label):
                self._sealed.destroy(label)
                found, left = True, self._sealed.has(label)
            else:
                token = self._service.open()
                found = token.find_key(label) is not None
                if found:
                    self._service.destroy_key(label)
                left = token.find_key(label) is not None or label in token.key_labels()
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc
        if left:
            raise KeyNotDestroyedError(self.label, label)
        return found

    def check(self) -> None:
        """Readiness.

        Raises:
            TokenGoneError
        """
        try:
            self._service.check()
        except HoldersMissingError as exc:
            raise self.holders.missing() from exc
        except TokenError as exc:
            self._sealed.lock()
            raise TokenGoneError(self.label) from exc

    def takes_its_pin(self) -> bool:
        """Whether the PIN that we have opens the token; False only when the token itself says no.

        Raises:
            TokenGoneError: nobody can tell now.
            ShareError: of the holders, who were asked.
        """
        try:
            self._service.check()
        except PinError as exc:
            if type(exc) is PinError:
                return False
            raise TokenGoneError(self.label) from exc
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc
        return True

    def change_pin(self, new: str) -> None:
        """Give the token another PIN; its PIN file, if there is one, goes.

        Raises:
            TokenError: hsm's; the old PIN counts.
        """
        self._service.change_pin(new)

    def close(self) -> None:
        """Let go of the token and lock the sealed keys."""
        self._sealed.lock()
        self._service.close()


def document_key(token: KeyToken, label: str, preferred: PrivateKey | None = None) -> DocumentKey:
    """A key that signs documents (JWS): the preferred one if documents know its algorithm, else a P-256 key.

    Raises:
        TokenGoneError
    """
    if isinstance(preferred, DocumentKey):
        return preferred
    key, _made = token.find_or_make(label, KeyAlgorithm.P_256)
    if not isinstance(key, DocumentKey):
        raise UnsupportedKeyError(key_kind(key))
    return key


def issuing_token(config: CaConfig, data: Path, shared: Path, *, makes: bool = True) -> CaToken:
    """The token of the issuing keys, the responders' keys and the audit key.

    Args:
        makes: False: a SoftHSM token that is not there is not made; for who only looks.
    """
    pin_file = config.token_pin_file or data / "token.pin"
    holders = Holders(config.token_label, data / "activation", utc_now, pin_file)
    service = ServiceToken(
        config.token_label,
        pin_file,
        module=config.token_module,
        store=shared / "softhsm",
        sessions=config.token_sessions,
        pin=holders.pin if makes else lambda: holders.pin() or read_pin_file(pin_file, config.token_label),
    )
    return CaToken(service, data / "sealed-keys", holders)


def root_token(config: CaConfig, data: Path, shared: Path) -> CaToken:
    """The token of the roots. Only commands open it."""
    pin_file = config.root_token_pin_file or data / "root-token.pin"
    holders = Holders(config.root_token_label, data / "activation", utc_now, pin_file)
    service = ServiceToken(
        config.root_token_label,
        pin_file,
        module=config.root_token_module,
        store=shared / "softhsm",
        sessions=1,
        pin=holders.pin,
    )
    return CaToken(service, data / "sealed-root-keys", holders)


def split_pin(token: CaToken, public: Splitting, pin: str) -> None:
    """Give a token the PIN of a new splitting, and put the splitting in force.

    Interrupted before the PIN is changed, the old one counts. After it the new one does, though the splitting
    is not in force yet: see `finish_split`.

    Raises:
        TokenGoneError: nothing was changed.
    """
    token.holders.begin(public)
    try:
        token.change_pin(pin)
    except TokenError as exc:
        raise TokenGoneError(token.label) from exc
    token.holders.put_in_force()


def finish_split(token: CaToken) -> bool:
    """Put an interrupted splitting in force if the token has its PIN; otherwise forget it.

    Tell whether it is in force now.

    Raises:
        TokenGoneError: nobody can tell now; nothing was changed.
        ShareError: of the holders of either splitting, who are asked.
    """
    holders = token.holders
    pending = holders.pending()
    if pending is None:
        return False
    # Once the PIN file of a first splitting is gone, the token has the new PIN for certain.
    if holders.splitting() != pending:
        if token.takes_its_pin():
            holders.give_up()
            return False
        holders.check_shares(pending)
    holders.put_in_force()
    return True
