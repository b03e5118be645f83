"""How readers of the prepared answers see, without asking the file of answers, that nothing changed.

Eight octets in `status/answers.changes`, which every reader has in memory (mmap): the number of the newest
change that may have been committed. Who changes answers writes the number there first and commits then, in
the same transaction as the number's row in the file of answers. So an answer that was read when both numbers
were the same is right as long as the octets stay: no commit passes them by, and a writer that dies between
the two only makes readers ask the file.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path

__all__ = ["OCTETS", "SeenChanges", "announce"]

FILE_NAME = "answers.changes"
OCTETS = 8


def announce(folder: Path, number: int) -> None:
    """Say that this change may be committed from now on; readers see it at once.

    Raises:
        OSError: it could not be said, so nothing may be committed.
    """
    file = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # Readers have these octets in memory: the file is never cut and never replaced.
        os.pwrite(file, number.to_bytes(OCTETS, "little"), 0)
    finally:
        os.close(file)


class SeenChanges:
    """The octets as they are at this moment; for any number of threads.

    Attributes:
        octets: begin with them; empty when nobody says anything here.
    """

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / FILE_NAME)
        self._identity: tuple[int, int] | None = None
        self.octets: mmap.mmap | bytes = b""

    def newest(self) -> bytes:
        """The number in eight octets; empty when nobody says it here."""
        return self.octets[:OCTETS]

    def look_again(self) -> None:
        """See whether there is a file now, or another one: a copy may have been put in its place."""
        try:
            found = os.stat(self._path)
            identity = (found.st_dev, found.st_ino)
            if identity == self._identity:
                return
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                found = os.fstat(file)
                octets = mmap.mmap(file, OCTETS, access=mmap.ACCESS_READ)
            finally:
                os.close(file)
        except (OSError, ValueError):  # ValueError: shorter than that
            self._identity, self.octets = None, b""
            return
        # What was mapped before goes with its last reader.
        with suppress(OSError):
            self._identity, self.octets = (found.st_dev, found.st_ino), octets
