"""PIN files, and the brake on wrong PINs.

SoftHSM never locks a token however many wrong PINs it sees, and a hardware token locks for good after a few:
a service that restarts in a loop with a wrong PIN would lock it within a minute. So after a wrong PIN no
attempt is made for a while, which doubles each time; this is written beside the store, so that a restart does
not forget it.
"""

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from onecert.hsm.errors import (
    PinFileError,
    PinFormError,
    PinsExhaustedError,
    PinThrottledError,
    TokenUnavailableError,
)
from onecert.hsm.store import replace_file

PIN_MIN, PIN_MAX = 4, 255  # SoftHSM's limits
NEW_PIN_MIN = 6  # of a PIN that a person chooses
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)


def make_pin_file(path: Path, label: str) -> str:
    """Write a random PIN for the owner's eyes only, or read the one that is already there."""
    if path.exists():
        return read_pin_file(path, label)
    pin = secrets.token_hex(16)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, f"{pin}\n".encode())
    except OSError as exc:
        raise TokenUnavailableError(label=label, reason=f"{path}: {exc.strerror}") from exc
    return pin


def read_pin_file(path: Path, label: str) -> str:
    """The PIN: the file's only line. The file must belong to its reader alone.

    Raises:
        PinFileError: missing, unreadable, readable by group or others, empty, or not one line.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(4096)
    except OSError as exc:
        raise PinFileError(label=label, pin_file=path, reason=exc.strerror) from exc
    if mode & 0o077:
        raise PinFileError("PIN_FILE_OPEN", label=label, pin_file=path, mode=f"{mode:04o}")
    try:
        pin = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        pin = ""
    if not PIN_MIN <= len(pin) <= PIN_MAX or not pin.isprintable():
        raise PinFileError("PIN_FILE_EMPTY", label=label, pin_file=path)
    return pin


def check_typed_pin(pin: str) -> None:
    """Refuse what cannot be a PIN before a token counts it as a wrong one.

    Raises:
        PinFormError: empty, too long, or with control characters.
    """
    if not pin:
        raise PinFormError("PIN_MISSING")
    if not PIN_MIN <= len(pin.encode()) <= PIN_MAX or not pin.isprintable():
        raise PinFormError(low=PIN_MIN, high=PIN_MAX)


def check_new_pin(pin: str) -> None:
    """Refuse a PIN that somebody would guess within the attempts that a token allows.

    Raises:
        PinFormError: shorter than six characters, one character again and again, or a run such as 123456.
    """
    check_typed_pin(pin)
    steps = {ord(after) - ord(before) for before, after in pairwise(pin)}
    if len(pin) < NEW_PIN_MIN or (len(steps) == 1 and steps <= {-1, 0, 1}):
        raise PinFormError("PIN_SIMPLE", low=NEW_PIN_MIN)


class PinBrake:
    """Counts wrong PINs of one token and says when the next attempt may be made.

    Kept in a file of the given folder; where that cannot be written (a read-only secret), in memory alone.
    Call it under the store's file lock.
    """

    def __init__(
        self, folder: Path, label: str, now: Callable[[], datetime], *, wrong_max: int | None = None
    ) -> None:
        self._label = label
        self._wrong_max = wrong_max
        self._now = now
        self._file = folder / f".pin-{hashlib.sha256(label.encode()).hexdigest()[:16]}.json"
        self._failures, self._not_before = 0, datetime.min.replace(tzinfo=UTC)
        self._refresh()

    def _refresh(self) -> None:
        """Take over what another process has noted. A file that cannot be read counts as nothing noted."""
        try:
            noted = json.loads(self._file.read_text())
            failures, at = int(noted["failures"]), datetime.fromisoformat(noted["not_before"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        if at.tzinfo is not None and failures >= self._failures:
            self._failures, self._not_before = failures, at

    def check(self) -> None:
        """Let an attempt through, or raise PinThrottledError or PinsExhaustedError."""
        self._refresh()
        if self.left == 0:
            raise PinsExhaustedError(label=self._label, retry_after=LONGEST_WAIT, attempts_left=0)
        # A clock that was set back must not turn a wait of minutes into one of years.
        wait = min(self._not_before - self._now(), LONGEST_WAIT)
        if wait > timedelta(0):
            raise PinThrottledError(label=self._label, retry_after=wait, attempts_left=self.left)

    @property
    def left(self) -> int | None:
        """How many wrong PINs are allowed before none is tried any more; None when there is no limit."""
        return None if self._wrong_max is None else max(0, self._wrong_max - self._failures)

    def failed(self) -> timedelta:
        """Note a wrong PIN; returns how long no further attempt will be made."""
        self._failures += 1
        doublings = min(self._failures - 1, 16)
        wait = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
        self._not_before = self._now() + wait
        noted = {"failures": self._failures, "not_before": self._not_before.isoformat()}
        fresh = self._file.with_suffix(f".{os.getpid()}.new")
        try:
            fresh.write_text(json.dumps(noted))
            fresh.replace(self._file)
        except OSError:
            fresh.unlink(missing_ok=True)
        return wait

    def succeeded(self) -> None:
        """The right PIN clears the count."""
        if self._failures:
            self._failures, self._not_before = 0, datetime.min.replace(tzinfo=UTC)
            try:
                self._file.unlink(missing_ok=True)
            except OSError:
                return
