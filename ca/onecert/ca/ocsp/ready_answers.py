"""Answers that were found a moment ago, by the very octets of the request: what everybody asks costs nothing.

An answer is handed out again while nothing was changed since it was read (`answer_changes.py`) and its time
runs. No file and no lock is touched for it, so the threads of a server do not wait for each other.
"""

from __future__ import annotations

import os
from pathlib import Path

from onecert.ca.ocsp.answer_changes import OCTETS, SeenChanges
from onecert.ca.ocsp.prepared_answers import PreparedAnswers
from onecert.ca.ocsp.stored_answers import READ_ERRORS, OcspAnswer

__all__ = ["ReadyAnswers"]

# About a kilobyte each.
KEPT_MAX = 20_000


class ReadyAnswers:
    """The answers of one folder; for any number of threads.

    Args:
        store: the file in which they were found, read-only.
    """

    def __init__(self, folder: Path, store: PreparedAnswers) -> None:
        self._store = store
        self._folder = str(folder)
        self._folder_changed = -1
        self._changes = SeenChanges(folder)
        self._looked_at = -1
        self._committed = b""
        self._kept: dict[tuple[str, bytes], tuple[bytes, int, OcspAnswer]] = {}

    def find(self, authority: str, request_der: bytes, at: int) -> OcspAnswer | None:
        """The answer to these octets, if nothing has changed and it is still valid.

        Args:
            at: seconds since 1970.
        """
        if at != self._looked_at:
            self._looked_at = at
            self._look_again()
        found = self._kept.get((authority, request_der))
        if found is None:
            return None
        change, next_update, answer = found
        return answer if at < next_update and change == self._changes.octets[:OCTETS] else None

    def change(self) -> bytes:
        """Asked before an answer is read: what `keep` wants to be told; empty when nothing can be kept."""
        newest = self._changes.newest()
        if newest and newest != self._committed:
            # It may be announced and not yet committed.
            try:
                if self._store.change() != newest:
                    return b""
            except READ_ERRORS:
                return b""
            self._committed = newest
        return newest

    def keep(self, authority: str, request_der: bytes, answer: OcspAnswer, *, change: bytes) -> None:
        """Keep an answer that was read after `change` was asked for."""
        if not change or answer.next_update is None:
            return
        if len(self._kept) >= KEPT_MAX:
            self._kept = {}
        self._kept[authority, request_der] = (change, answer.next_update, answer)

    def _look_again(self) -> None:
        """Once a second: a file that somebody put in the folder, such as a copy, changes everything."""
        self._changes.look_again()
        try:
            changed = os.stat(self._folder).st_mtime_ns
        except OSError:
            changed = -1
        if changed != self._folder_changed:
            self._folder_changed, self._kept = changed, {}
