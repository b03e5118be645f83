"""Logging in: the PIN is read when it is needed, a wrong one is braked, a right one is remembered by its
print."""

import hmac
import secrets
from collections.abc import Callable

import pkcs11

from onecert.hsm.cryptoki import (
    CKR_OK,
    CKR_PIN_INCORRECT,
    CKR_PIN_INVALID,
    CKR_PIN_LEN_RANGE,
    CKR_PIN_LOCKED,
    CKR_USER_ALREADY_LOGGED_IN,
    CKR_USER_PIN_NOT_INITIALIZED,
    CKU_USER,
    Cryptoki,
    describe,
)
from onecert.hsm.errors import PinError, PinLockedError, TokenUnavailableError
from onecert.hsm.pin import LONGEST_WAIT, PinBrake

_FINGERPRINT_KEY = secrets.token_bytes(32)


def _fingerprint(pin: str) -> bytes:
    """Tells whether two PINs are equal, within this process, without keeping them."""
    return hmac.digest(_FINGERPRINT_KEY, pin.encode(), "sha256")


class Login:
    """How to log in to the token of one label."""

    def __init__(self, label: str, read_pin: Callable[[], str], brake: PinBrake) -> None:
        self.read_pin = read_pin
        self._label = label
        self._brake = brake
        self._proven = b""

    @property
    def has_worked(self) -> bool:
        """Whether some PIN has opened the token in this process."""
        return bool(self._proven)

    def is_proven(self, pin: str) -> bool:
        """Whether this PIN is the one that opened the token last."""
        return hmac.compare_digest(_fingerprint(pin), self._proven)

    def log_in(self, raw: Cryptoki, session: int) -> None:
        """Log the process in, as the user, through this session.

        Raises:
            PinFileError, PinError, PinThrottledError, PinLockedError: no usable PIN.
            TokenUnavailableError: the token refused for another reason.
        """
        pin = self.read_pin()
        if not self.is_proven(pin):
            self._brake.check()  # a PIN that has worked before need not wait for somebody else's mistakes
        rv = raw.login(session, CKU_USER, pin)
        if rv == CKR_USER_ALREADY_LOGGED_IN:
            # The login outlived our sessions, or other code logged in. Only a login of our own proves the
            # PIN.
            raw.logout(session)
            rv = raw.login(session, CKU_USER, pin)
        if rv == CKR_OK:
            self._proven = _fingerprint(pin)
            self._brake.succeeded()
        elif rv in (CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE):
            raise PinError(
                label=self._label, retry_after=self._brake.failed(), attempts_left=self._brake.left
            )
        elif rv == CKR_USER_PIN_NOT_INITIALIZED:
            # SoftHSM keeps what it saw when it listed the token: another process may have set the PIN since.
            raise pkcs11.exceptions.UserPinNotInitialized
        elif rv == CKR_PIN_LOCKED:
            raise PinLockedError("PIN_LOCKED", label=self._label, retry_after=LONGEST_WAIT)
        else:
            raise TokenUnavailableError(label=self._label, reason=f"C_Login: {describe(rv)}")
