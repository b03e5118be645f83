"""A person's token: the PIN is typed at each use, and kept no longer than the token is open.

Nobody who has only this machine signs with such a token. A wrong PIN counts: at the token, which may lock,
and here, where each one doubles the wait before the next and ``WRONG_PINS_MAX`` in a row end it until
somebody with the right to do so calls ``forget_wrong_pins``.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from onecert.hsm.config import TokenConfig
from onecert.hsm.lock import file_lock
from onecert.hsm.opening import open_token, state_folder, utc_now
from onecert.hsm.pin import PinBrake, check_new_pin, check_typed_pin
from onecert.hsm.softhsm import make_softhsm_token
from onecert.hsm.store import LOCK, prepare_store, store_lock
from onecert.hsm.token import Token

__all__ = ["WRONG_PINS_MAX", "PersonalToken"]

WRONG_PINS_MAX = 10


class PersonalToken:
    """One person's token.

    Args:
        label: the token's label.
        notes: folder where wrong PINs are counted when ``module`` has the token.
        module: the PKCS#11 module that has the token; None: SoftHSM.
        store: with SoftHSM, the folder of the store.
        now: the time in UTC, for the brake on wrong PINs.
    """

    def __init__(
        self,
        label: str,
        *,
        notes: Path,
        module: Path | None = None,
        store: Path | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.label = label
        self._config = TokenConfig(
            label=label,
            module=module,
            softhsm=store if module is None else None,
            sessions=1,
            notes=notes,
            wrong_pins_max=WRONG_PINS_MAX,
        )
        self._now = now

    def open(self, pin: str) -> Token:
        """The open token; close it, so that the PIN is forgotten.

        Raises:
            PinFormError: this cannot be a PIN; the token was not asked.
            PinError: or a subclass: wrong, too many wrong ones, too soon after one, locked.
            TokenUnavailableError: or a subclass: not now.
        """
        check_typed_pin(pin)
        return open_token(self._config, pin=pin, now=self._now)

    def make(self, pin: str) -> None:
        """Make the token with this PIN when it is SoftHSM and there is none; one that is there stays.

        Raises:
            PinFormError: too simple a PIN. TokenUnavailableError: or a subclass: not now.
        """
        if self._config.softhsm is None:
            return
        check_new_pin(pin)
        make_softhsm_token(self._config.softhsm, label=self._config.label, pin=pin)

    def change_pin(self, old: str, new: str) -> None:
        """Give the token another PIN.

        Raises:
            PinFormError: too simple, or not of the form that the token takes.
            PinError, TokenUnavailableError, TokenOperationError: as ``open``; nothing changed.
        """
        check_new_pin(new)
        with self.open(old) as token:
            token.change_pin(old, new)

    def forget_wrong_pins(self) -> None:
        """Let PINs be tried again. What the token itself has counted stays."""
        if self._config.softhsm is not None:
            prepare_store(self._config.softhsm)
        folder = state_folder(self._config)
        label, of_store = self._config.label, self._config.softhsm is not None
        with store_lock(folder, label=label) if of_store else file_lock(folder / LOCK, label=label):
            PinBrake(folder, self._config.label, self._now).succeeded()
