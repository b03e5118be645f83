"""What of a service's folder goes into a backup, what stays out, and why.

Three kinds stay out: what a running service makes anew (sockets, locks, half-written files, the marks beside
a database), the database itself, which is copied in a way of its own, and secrets, which go in only sealed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Contents", "contents_of", "is_secret", "shared_contents"]

# A PIN file has this ending in all members; `person.secret` makes the opaque numbers of people.
_SECRET_ENDINGS = (".pin", ".secret", ".key", ".so", ".passphrase", ".password")
# Another database than the service's own is a cache: of OCSP answers, which must not come back.
_MADE_ANEW_ENDINGS = (".db", ".db-wal", ".db-shm", ".db-made", ".sock", ".log", "onecert.lock")
_MADE_ANEW_FOLDERS = {"processes", "jobs"}
# What is copied first: nothing that was published may be newer than the record that comes after it.
PUBLISHED_FOLDERS = ("status", "published", "crl")
SHARED_FOLDERS = ("softhsm", "operator-anchors")
SHARED_FILES = ("onecert.toml",)


@dataclass(frozen=True)
class Contents:
    """The files of one folder, by the order in which they are copied."""

    published: tuple[Path, ...]  # before the database
    kept: tuple[Path, ...]  # after it: keys that the record names must be among them
    secrets: tuple[Path, ...]


def is_secret(path: Path) -> bool:
    """Whether the file opens something for whoever has it."""
    return path.name.endswith(_SECRET_ENDINGS)


def contents_of(folder: Path) -> Contents:
    """Sort the files of a service's folder."""
    published: list[Path] = []
    kept: list[Path] = []
    secrets: list[Path] = []
    for path in _files(folder):
        if is_secret(path):
            secrets.append(path)
        elif path.relative_to(folder).parts[0] in PUBLISHED_FOLDERS:
            published.append(path)
        else:
            kept.append(path)
    return Contents(tuple(published), tuple(kept), tuple(secrets))


def shared_contents(data: Path) -> Iterator[Path]:
    """What the services share: the store of the SoftHSM tokens, operators' anchors, settings."""
    for name in SHARED_FOLDERS:
        yield from _files(data / name)
    yield from (data / name for name in SHARED_FILES if (data / name).is_file())


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder in a steady order; no links are followed."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _MADE_ANEW_FOLDERS)
        for name in sorted(names):
            path = Path(here) / name
            # A file that is being replaced (folders.py, hsm's store) begins with a dot or ends in .new.
            if name.startswith(".") or name.endswith((".new", *_MADE_ANEW_ENDINGS)):
                continue
            if stat.S_ISREG(path.lstat().st_mode):
                yield path
