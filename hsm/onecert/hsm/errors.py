"""Errors of the token layer: "refused" and "could not" are different classes.

Every error has a stable ``code``, its facts as attributes (and in ``facts``), and a text and a hint in
Chinese and English from ``messages.json``. ``str(error)`` is the English text, for logs. No PIN and no key is
ever a fact.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm

from onecert.hsm.messages import Reason, hint, message


class TokenError(Exception):
    """Base of everything that this package raises on its own account."""

    code = "TOKEN_ERROR"

    def __init__(self, code: str | None = None, **facts: object) -> None:
        if code is not None:
            self.code = code
        self.facts: Mapping[str, object] = MappingProxyType(facts)
        super().__init__(message(self.code, "en", facts))

    def text(self, language: str) -> str:
        """What is wrong, in ``zh`` or ``en``."""
        return message(self.code, language, self.facts)

    def hint(self, language: str) -> str:
        """What to do next, in ``zh`` or ``en``; empty when there is nothing to advise."""
        return hint(self.code, language, self.facts)


class TokenUnavailableError(TokenError):
    """The token could not be used now; nothing is known to be wrong with the request."""

    code = "TOKEN_UNAVAILABLE"


class TokenNotFoundError(TokenUnavailableError):
    """The module answers, but has no token of that label."""

    code = "TOKEN_NOT_FOUND"


class TokenBusyError(TokenUnavailableError):
    """Every session, or the file lock of the store, stayed in use for longer than we wait."""

    code = "TOKEN_BUSY"


class ModuleError(TokenUnavailableError):
    """The PKCS#11 module was not found, or cannot be loaded or initialised safely."""

    code = "MODULE_FAILED"


class StoreConflictError(ModuleError):
    """This process already uses another SoftHSM store; SoftHSM reads its settings once for each process."""

    code = "STORE_CONFLICT"


class ForkedError(TokenUnavailableError):
    """The token was opened before ``fork()``; a child never uses its parent's handles."""

    code = "TOKEN_FORKED"


class PinFileError(TokenUnavailableError):
    """The PIN file is missing, unreadable, or readable by others."""

    code = "PIN_FILE_MISSING"


class PinError(TokenUnavailableError):
    """The token refused the PIN. ``retry_after`` says when the next attempt will be let through.

    ``attempts_left`` is how many of ours are left, None when we do not limit them. ``is_final_try``: the
    token says that it locks after one more.
    """

    code = "PIN_WRONG"

    def __init__(
        self, code: str | None = None, *, label: str, retry_after: timedelta, attempts_left: int | None = None
    ) -> None:
        super().__init__(code, label=label, seconds=max(1, round(retry_after.total_seconds())))
        self.label = label
        self.retry_after = retry_after
        self.attempts_left = attempts_left
        self.is_final_try = False


class PinThrottledError(PinError):
    """The PIN was not even tried, because a wrong one was given too short a time ago."""

    code = "PIN_THROTTLED"


class PinsExhaustedError(PinError):
    """Too many wrong PINs in a row were typed: none is tried until somebody clears the count."""

    code = "PIN_EXHAUSTED"


class PinFormError(TokenError):
    """What was typed cannot be a PIN, or not a new one; the token was not asked."""

    code = "PIN_FORM"


class PinLockedError(PinError):
    """The token has locked the PIN; only its security officer can set a new one."""

    code = "PIN_LOCKED"


class TokenConfigError(TokenError):
    """The settings of a token are wrong; ``faults`` names all of them."""

    code = "TOKEN_CONFIG"

    def __init__(self, faults: tuple[Reason, ...]) -> None:
        super().__init__(faults=faults)
        self.faults = faults


class TokenClosedError(TokenError):
    """``Token.close()`` was called before."""

    code = "TOKEN_CLOSED"


class TokenOperationError(TokenError):
    """The token refused this operation; repeating it will not help."""

    code = "TOKEN_OPERATION"


class KeyNotFoundError(TokenError):
    """The token has no key of that label."""

    code = "KEY_NOT_FOUND"


class KeyExistsError(TokenError):
    """The token already has a key of that label; labels are never reused while the key lives."""

    code = "KEY_EXISTS"


class KeyUnusableError(TokenError):
    """The key is there, but must not or cannot be used: extractable, without public part, of an unknown
    kind."""

    code = "KEY_UNUSABLE"


class KeyNotExportableError(TokenError, TypeError):
    """Private parts were asked for; they never leave the token."""

    code = "KEY_NOT_EXPORTABLE"


class AlgorithmNotSupportedError(TokenError, UnsupportedAlgorithm):
    """This key does not sign in that way; an ``UnsupportedAlgorithm``, as cryptography's own."""

    code = "ALGORITHM_NOT_SUPPORTED"


class UnsealError(TokenError):
    """The sealed or wrapped bytes are altered, were sealed under another key, or with other associated
    data."""

    code = "UNSEAL_FAILED"
