"""A lock between processes: one file, taken for a moment round opening, login and writing to a token.

A SoftHSM login writes flags into the token, and a process that lists the tokens in that moment does not find
it (5 % of 160 starts by four processes at once; none with this lock). ``flock`` is let go by the kernel when
a holder dies.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onecert.hsm.errors import TokenBusyError, TokenUnavailableError

WAIT_S = 60.0
POLL_S = 0.01


@contextmanager
def file_lock(path: Path, *, label: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock file, which is made when missing and never removed.

    Raises:
        TokenBusyError: another process held it for longer than ``wait_s``.
        TokenUnavailableError: the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise TokenUnavailableError(label=label, reason=f"{path}: {exc.strerror}") from exc
    try:
        _acquire(descriptor, label, wait_s)
        try:
            yield
        finally:
            # Explicitly: a child forked meanwhile shares this open file, and closing ours would not let go of
            # it.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, label: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TokenBusyError(label=label, seconds=round(wait_s)) from None
            time.sleep(POLL_S)
        else:
            return
