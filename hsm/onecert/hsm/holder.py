"""Tokens of certificate holders at the counter: made ready, unlocked, and given their certificate.

Named by the serial number that the token itself says, because labels from the factory repeat. The security
officer's PIN (SO PIN) makes a token ready and sets a new user PIN; wrong ones are counted and braked as user
PINs are, since a real token locks for good after a few. Keys are made through `Token`, as everywhere.

Erasing an initialised token (C_InitToken) destroys every key on it: who calls `make_ready` has asked first.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pkcs11

from onecert.hsm.cryptoki import (
    CKR_OK,
    CKR_PIN_INCORRECT,
    CKR_PIN_INVALID,
    CKR_PIN_LEN_RANGE,
    CKU_SO,
    describe,
)
from onecert.hsm.errors import PinError, PinFormError, TokenNotFoundError, TokenUnavailableError
from onecert.hsm.lock import file_lock
from onecert.hsm.messages import Reason
from onecert.hsm.module import Module, load_module
from onecert.hsm.opening import utc_now
from onecert.hsm.personal import PersonalToken
from onecert.hsm.pin import PinBrake, check_new_pin
from onecert.hsm.softhsm import find_module
from onecert.hsm.store import LOCK, prepare_store, store_lock, tokens_on_disk
from onecert.hsm.token import Token

__all__ = ["HolderToken", "HolderTokens"]

SO_WRONG_MAX = 5


@dataclass(frozen=True)
class HolderToken:
    """A token that is plugged in and initialised."""

    serial: str
    label: str
    model: str
    has_user_pin: bool
    is_locked: bool


class HolderTokens:
    """The tokens at one counter.

    Args:
        notes: folder for the lock and the count of wrong PINs.
        module: the module of the USB tokens; None: SoftHSM in `store`, which stands in for them.
        now: the time in UTC, for the brakes.
    """

    def __init__(
        self,
        *,
        notes: Path,
        module: Path | None = None,
        store: Path | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._notes = notes
        self._named = module
        self._store = store if module is None else None
        self._now = now

    def all(self) -> list[HolderToken]:
        """Every initialised token, by serial number.

        Raises:
            TokenUnavailableError: or a subclass: the module cannot be used.
        """
        with self._alone() as module:
            return sorted((_described(token) for token in module.tokens()), key=lambda one: one.serial)

    def make_ready(self, *, label: str, so_pin: str, pin: str, serial: str | None = None) -> HolderToken:
        """Initialise a token and set its user PIN: an empty one, or the one of this serial number.

        Whatever is on it is destroyed. A token in use elsewhere in this process must be closed first.

        Raises:
            TokenNotFoundError: no empty token, or none of this serial number.
            PinError: the SO PIN is not the token's. PinFormError: too simple a PIN, or the token refuses it.
            TokenUnavailableError: the token refused.
        """
        check_new_pin(pin)
        with self._alone() as module:
            if serial is None:
                slot = module.free_slot()
                if slot is None:
                    raise TokenNotFoundError("TOKEN_NOT_FOUND", label=label, module=module.path)
                before = {_serial(token) for token in module.tokens()}
                self._check(label, "C_InitToken", module.raw.init_token(slot, so_pin, label))
                found = next((each for each in module.tokens() if _serial(each) not in before), None)
            else:
                there = self._find(module, serial)
                brake = self._brake(serial)
                brake.check()
                rv = module.raw.init_token(int(there.slot.slot_id), so_pin, label)
                self._check(serial, "C_InitToken", rv, brake)
                found = next((each for each in module.tokens() if each.label == label), None)
            if found is None:
                raise TokenUnavailableError("TOKEN_INIT_FAILED", label=label, reason=Reason("NOT_LISTED"))
            self._set_pin(module, found, so_pin, pin)
            return _described(self._find(module, _serial(found)))

    def set_pin(self, serial: str, *, so_pin: str, pin: str) -> None:
        """Unlock: a new user PIN by the SO PIN; keys and certificates stay.

        Raises: as `make_ready`.
        """
        check_new_pin(pin)
        with self._alone() as module:
            self._set_pin(module, self._find(module, serial), so_pin, pin)
        self._person(serial).forget_wrong_pins()

    def open(self, serial: str, pin: str) -> Token:
        """The open token; close it, so that the PIN is forgotten.

        Raises: as `PersonalToken.open`.
        """
        return self._person(serial).open(pin)

    def _person(self, serial: str) -> PersonalToken:
        with self._alone() as module:
            label = self._find(module, serial).label
        return PersonalToken(label, notes=self._notes, module=self._named, store=self._store, now=self._now)

    @contextmanager
    def _alone(self) -> Iterator[Module]:
        """The module, with its lock and the file lock held, and with what other processes made in sight."""
        self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._store is not None:
            prepare_store(self._store)
        module = load_module(self._named or find_module(self._store), self._store, self._lock())
        with module.lock, self._lock():
            if self._store is not None and module.count_tokens() != tokens_on_disk(self._store):
                module.reset()
            yield module

    def _lock(self) -> AbstractContextManager[None]:
        if self._store is not None:
            return store_lock(self._store, label=str(self._store))
        return file_lock(self._notes / LOCK, label=str(self._notes))

    @staticmethod
    def _find(module: Module, serial: str) -> Any:
        for token in module.tokens():
            if _serial(token) == serial:
                return token
        raise TokenNotFoundError("TOKEN_NOT_FOUND", label=serial, module=module.path)

    def _set_pin(self, module: Module, token: Any, so_pin: str, pin: str) -> None:
        serial = _serial(token)
        brake = self._brake(serial)
        brake.check()
        session: Any = token.open(rw=True)  # the implementation has `handle`, its declared type has not
        try:
            self._check(serial, "C_Login", module.raw.login(session.handle, CKU_SO, so_pin), brake)
            brake.succeeded()
            rv = module.raw.init_pin(session.handle, pin)
            module.raw.logout(session.handle)
            if rv in (CKR_PIN_INVALID, CKR_PIN_LEN_RANGE):
                raise PinFormError("PIN_NOT_TAKEN", label=serial)
            self._check(serial, "C_InitPIN", rv)
        finally:
            session.close()

    def _brake(self, serial: str) -> PinBrake:
        return PinBrake(self._notes, f"so {serial}", self._now, wrong_max=SO_WRONG_MAX)

    @staticmethod
    def _check(label: str, call: str, rv: int, brake: PinBrake | None = None) -> None:
        if brake is not None and rv in (CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE):
            raise PinError("SO_PIN_WRONG", label=label, retry_after=brake.failed(), attempts_left=brake.left)
        if rv != CKR_OK:
            raise TokenUnavailableError("TOKEN_INIT_FAILED", label=label, reason=f"{call}: {describe(rv)}")


def _serial(token: Any) -> str:
    return str(token.serial.decode("ascii", "replace").strip("\0 "))


def _described(token: Any) -> HolderToken:
    flags = token.flags
    return HolderToken(
        serial=_serial(token),
        label=token.label,
        model=token.model,
        has_user_pin=bool(flags & pkcs11.TokenFlag.USER_PIN_INITIALIZED),
        is_locked=bool(flags & pkcs11.TokenFlag.USER_PIN_LOCKED),
    )
