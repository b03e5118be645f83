"""Copies a status folder for another host, in an order in which every moment of the copy is consistent.

OCSP answers first, in one piece: a copy that is interrupted then says “revoked” earlier than its list, never
later. Certificates before lists; a delta after the list that it may be applied to. Each file is replaced at
once, and a list only by one with a higher number. `rsync --delay-updates` may then carry the copy to other
hosts.
"""

from __future__ import annotations

from pathlib import Path

from onecert.ca.ocsp.prepared_answers import FILE_NAME, PreparedAnswers
from onecert.ca.status.files import StatusFiles

__all__ = ["copy_folder"]


def copy_folder(source: Path, destination: Path) -> int:
    """Bring the copy up to date; tell how many files were written.

    Raises:
        OSError, sqlite3.Error: the copy is as it was, or between the two, and usable either way.
    """
    files, written = StatusFiles(destination), 0
    before = StatusFiles(source, read_only=True)
    if (source / FILE_NAME).exists():
        store = PreparedAnswers(source / FILE_NAME, read_only=True)
        try:
            store.copy_to(destination / FILE_NAME)
            written += 1
        finally:
            store.close()
    for kind in ("cer", "p7c"):
        for path in sorted(source.glob(f"*.{kind}")):
            written += files.write_file(path.name, path.read_bytes())
    names = {path.stem for path in source.glob("*.crl")}
    for name in sorted(names, key=lambda each: (each.endswith("-delta"), each)):
        # The number first: a list that is replaced meanwhile has a higher one than we say.
        number = before.crl_number(name)
        written += files.write_crl(name, number, before.path(name, "crl").read_bytes())
    return written
