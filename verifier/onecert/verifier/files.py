"""Files that others may write too: read with a bound, replaced as a whole, changed by one at a time."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows has none: files are replaced whole, two writers may race
    fcntl = None  # type: ignore[assignment]  # the module is absent there

__all__ = ["locked", "make_once", "read_regular_file", "write_atomically"]


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Read a file of bounded size; a pipe, a device or a link is an error and does not block.

    Raises:
        OSError: it cannot be read, or is too large.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > max_bytes:
            raise OSError(f"{path.name} is no regular file of at most {max_bytes} bytes")
        return file.read(max_bytes + 1)


def make_once(path: Path, data: bytes) -> None:
    """Make a file unless there is one; mode 0600.

    It is written under another name and linked into place: of processes that start together one wins, and
    nobody ever reads half of it.

    Raises:
        OSError: it cannot be made; the folder must be there.
    """
    if path.exists():
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace a file so that a reader sees the old or the new one, never half; mode 0600."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other threads and processes that lock the same file waiting until the block ends.

    Raises:
        OSError: the file cannot be made.
    """
    with open(path, "a", encoding="ascii") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
