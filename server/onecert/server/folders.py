"""Folders and files that only this user may read; a power cut leaves the old or the new file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["make_private_folder", "put_in_place", "write_file"]


def make_private_folder(path: Path) -> Path:
    """Make the folder with mode 0700, or take that mode on when it is ours and was wider."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o077:
        path.chmod(0o700)
    return path


def write_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file in one step: whoever reads it meanwhile sees the old or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a file that is written and flushed its name; after this returns, a power cut leaves it there.

    Args:
        temporary: in the folder of `path`.
    """
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
