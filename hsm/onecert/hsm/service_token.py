"""A service's own token: opened at first use, made by itself when it is SoftHSM, its keys found once.

A service that starts without its token still serves what needs no key; each use tries again, so it does all
its work as soon as the token is back. What is raised are this package's errors; a member maps them to its
own and does nothing else.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from onecert.hsm.algorithms import KeyAlgorithm
from onecert.hsm.config import TokenConfig
from onecert.hsm.errors import KeyExistsError, TokenUnavailableError
from onecert.hsm.keys import PrivateKey
from onecert.hsm.opening import open_token, utc_now
from onecert.hsm.pin import read_pin_file
from onecert.hsm.sealing import SealingKey
from onecert.hsm.softhsm import ensure_softhsm_token
from onecert.hsm.token import Token


class ServiceToken:
    """One token of a service. Safe to use from many threads.

    A key that was found is usable again as soon as the token is back. After ``close()`` the next use opens
    the token anew.

    Args:
        label: the token's label.
        pin_file: its PIN; for a new SoftHSM token a random one is written there (mode 0600).
        module: the PKCS#11 module that has the token; None: SoftHSM.
        store: with SoftHSM, the folder of the store, where the token is made at first use. None: SoftHSM's
            own settings, and the token must be there.
        sessions: signatures under way at once.
        pin: gives the PIN of a token whose PIN is in no file, and raises TokenUnavailableError while nobody
            has it; what it gives is None while the PIN is in its file.
        now: the time in UTC, for the brake on wrong PINs.
    """

    def __init__(
        self,
        label: str,
        pin_file: Path,
        *,
        module: Path | None = None,
        store: Path | None = None,
        sessions: int = 4,
        pin: Callable[[], str | None] | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.label = label
        self._pin = pin
        self._pin_file = pin_file
        self._module = module
        self._store = store
        self._sessions = sessions
        self._now = now
        self._lock = threading.RLock()
        self._token: Token | None = None
        self._keys: dict[str, PrivateKey] = {}
        self._sealing_keys: dict[str, SealingKey] = {}

    def open(self) -> Token:
        """The open token. It belongs to this object: do not close it.

        Raises:
            TokenUnavailableError: or a subclass: not now.
            TokenConfigError: the settings are wrong.
        """
        with self._lock:
            if self._token is None:
                try:
                    pin = self._pin() if self._pin is not None else None
                    config = self._config() if pin is None else self._config_without_pin()
                    self._token = open_token(config, pin=pin, now=self._now)
                except OSError as exc:  # a folder or file that cannot even be looked at
                    reason = f"{exc.filename}: {exc.strerror}"
                    raise TokenUnavailableError(label=self.label, reason=reason) from exc
            return self._token

    def key(self, label: str) -> PrivateKey:
        """The private key of that label.

        Raises:
            KeyNotFoundError: the token has none.
            TokenError: see ``open`` and ``Token.load_key``.
        """
        found = self._keys.get(label)
        if found is None:
            with self._lock:
                found = self._keys[label] = self.open().load_key(label)
        return found

    def find_or_make(self, label: str, algorithm: KeyAlgorithm | str) -> tuple[PrivateKey, bool]:
        """The private key of that label, made when there is none, and whether this call made it.

        An interrupted start finds what it had made; of two processes one makes the key and both find it.

        Raises:
            TokenError: see ``open`` and ``Token.generate_key``.
        """
        known = self._keys.get(label)
        if known is not None:
            return known, False
        with self._lock:
            token = self.open()
            found, made = token.find_key(label), False
            if found is None:
                try:
                    found, made = token.generate_key(label, KeyAlgorithm(algorithm)), True
                except KeyExistsError:  # another process was quicker
                    found = token.load_key(label)
            self._keys[label] = found
            return found, made

    def destroy_key(self, label: str) -> None:
        """Destroy the key of that label, for good, and let go of what was found of it.

        Raises:
            KeyNotFoundError: there is none.
            TokenError: see ``open`` and ``Token.destroy_key``.
        """
        with self._lock:
            self.open().destroy_key(label)
            self._keys.pop(label, None)

    def change_pin(self, new: str) -> None:
        """Give the token another PIN and forget the old one: its file goes, and the next use asks anew.

        Raises:
            TokenError: see ``open`` and ``Token.change_pin``; the old PIN counts.
        """
        with self._lock:
            old = self._pin() if self._pin is not None else None
            token = self.open()
            token.change_pin(old or read_pin_file(self._pin_file, self.label), new)
            self._pin_file.unlink(missing_ok=True)
            self.close()

    def sealing_key(self, label: str) -> SealingKey:
        """The AES-256 key of that label, made when there is none.

        Raises:
            TokenError: see ``open`` and ``Token.sealing_key``.
        """
        found = self._sealing_keys.get(label)
        if found is None:
            with self._lock:
                found = self._sealing_keys[label] = self.open().sealing_key(label)
        return found

    def check(self) -> None:
        """Readiness: the token answers and we are logged in.

        Raises:
            TokenError: see ``open`` and ``Token.check``.
        """
        self.open().check()

    def close(self) -> None:
        """Let go of the token, if it was opened, and of its keys."""
        with self._lock:
            token, self._token = self._token, None
            self._keys.clear()
            self._sealing_keys.clear()
        if token is not None:
            token.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _config(self) -> TokenConfig:
        if self._module is None and self._store is not None:
            return ensure_softhsm_token(
                self._store, label=self.label, pin_file=self._pin_file, sessions=self._sessions
            )
        return TokenConfig(
            label=self.label, pin_file=self._pin_file, module=self._module, sessions=self._sessions
        )

    def _config_without_pin(self) -> TokenConfig:
        return TokenConfig(
            label=self.label,
            module=self._module,
            softhsm=self._store if self._module is None else None,
            sessions=self._sessions,
            notes=self._pin_file.parent,
        )
