"""Where open login challenges are kept until they are used or late.

A store must say truthfully, across all processes that answer logins, whether a challenge was used before.
``MemoryStore`` serves one process, ``SqliteStore`` all processes of one machine; anything else (Redis, the
application's database) implements the two methods of ``ChallengeStore``.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from onecert.verifier.errors import CouldNotCheckError

# Used challenges are remembered a little longer than they live, so that a replay is called a replay.
KEEP = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class StoredChallenge:
    """One open challenge; the session is there as a digest only."""

    id: str
    application: str
    session_sha256: str
    data: bytes
    expires_at: datetime


@dataclass(frozen=True)
class Used:
    """The answer of ``use``: the challenge, and whether somebody had used it before."""

    challenge: StoredChallenge
    again: bool


class ChallengeStore(Protocol):
    """Keeps challenges; every method may be called by many threads and processes at once."""

    def add(self, challenge: StoredChallenge, at: datetime) -> None:
        """Keep a new challenge; drop those that are long over."""
        ...

    def use(self, challenge_id: str) -> Used | None:
        """Mark as used, atomically; None when it is not known. ``again`` is False for exactly one caller."""
        ...


class MemoryStore:
    """For one process. Bounded: when full, the oldest challenges go first."""

    def __init__(self, max_challenges: int = 100_000) -> None:
        self._max = max_challenges
        self._lock = threading.Lock()
        self._challenges: dict[str, StoredChallenge] = {}
        self._used: set[str] = set()

    def add(self, challenge: StoredChallenge, at: datetime) -> None:
        """See ``ChallengeStore``."""
        with self._lock:
            # Insertion order is nearly expiry order, so this stops early.
            for old in list(self._challenges.values())[:8]:
                if old.expires_at + KEEP < at:
                    self._drop(old.id)
            while len(self._challenges) >= self._max:
                self._drop(next(iter(self._challenges)))
            self._challenges[challenge.id] = challenge

    def use(self, challenge_id: str) -> Used | None:
        """See ``ChallengeStore``."""
        with self._lock:
            challenge = self._challenges.get(challenge_id)
            if challenge is None:
                return None
            again = challenge_id in self._used
            self._used.add(challenge_id)
            return Used(challenge, again)

    def _drop(self, challenge_id: str) -> None:
        self._challenges.pop(challenge_id, None)
        self._used.discard(challenge_id)


_LOOK_EVERY = 128
_SCHEMA = """
CREATE TABLE IF NOT EXISTS login_challenge (
    id TEXT PRIMARY KEY,
    application TEXT NOT NULL,
    session_sha256 TEXT NOT NULL,
    data BLOB NOT NULL,
    expires_at REAL NOT NULL,
    used INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""


class SqliteStore:
    """For all processes of one machine: one small SQLite file, readable by its owner only.

    Args:
        max_challenges: when there are more, by some hundred, the oldest go first; 600 octets each.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        timeout: timedelta = timedelta(seconds=5),
        max_challenges: int = 100_000,
    ) -> None:
        self._lock = threading.Lock()
        self._max = max_challenges
        self._added = 0
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=timeout.total_seconds(), isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(_SCHEMA)
            self._db.execute(
                "CREATE INDEX IF NOT EXISTS login_challenge_expiry ON login_challenge (expires_at)"
            )
        except (OSError, sqlite3.Error) as exc:
            raise CouldNotCheckError("LOGIN_STORE", detail=str(exc)[:200]) from exc

    def add(self, challenge: StoredChallenge, at: datetime) -> None:
        """See ``ChallengeStore``.

        Raises:
            CouldNotCheckError: LOGIN_STORE.
        """
        row = (
            challenge.id,
            challenge.application,
            challenge.session_sha256,
            challenge.data,
            challenge.expires_at.timestamp(),
        )
        try:
            with self._lock:
                self._db.execute(
                    "DELETE FROM login_challenge WHERE expires_at < ?", ((at - KEEP).timestamp(),)
                )
                self._db.execute(
                    "INSERT INTO login_challenge (id, application, session_sha256, data, expires_at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    row,
                )
                self._added += 1
                if self._added % _LOOK_EVERY == 0:
                    # Whoever asks for challenges without end pushes out the oldest ones, not the disk's end.
                    self._db.execute(
                        "DELETE FROM login_challenge WHERE expires_at <= (SELECT expires_at FROM"
                        " login_challenge ORDER BY expires_at DESC LIMIT 1 OFFSET ?)",
                        (self._max,),
                    )
        except sqlite3.Error as exc:
            raise CouldNotCheckError("LOGIN_STORE", detail=str(exc)[:200]) from exc

    def use(self, challenge_id: str) -> Used | None:
        """See ``ChallengeStore``.

        Raises:
            CouldNotCheckError: LOGIN_STORE.
        """
        try:
            with self._lock:
                # The row lock of this one statement decides who was first, in whichever process.
                marked = self._db.execute(
                    "UPDATE login_challenge SET used = 1 WHERE id = ? AND used = 0", (challenge_id,)
                )
                row = self._db.execute(
                    "SELECT id, application, session_sha256, data, expires_at"
                    " FROM login_challenge WHERE id = ?",
                    (challenge_id,),
                ).fetchone()
            return None if row is None else Used(_stored(row), again=marked.rowcount != 1)
        except (sqlite3.Error, ValueError, TypeError, OverflowError, OSError) as exc:
            # Also a damaged file, in which a column may hold anything.
            raise CouldNotCheckError("LOGIN_STORE", detail=str(exc)[:200]) from exc

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _stored(row: Sequence[Any]) -> StoredChallenge:
    """What a row says, if each column is what was put there."""
    challenge_id, application, session_sha256, data, expires_at = row
    if not isinstance(data, bytes) or not all(
        isinstance(each, str) for each in (challenge_id, application, session_sha256)
    ):
        raise TypeError("a row of the store is damaged")
    return StoredChallenge(
        id=challenge_id,
        application=application,
        session_sha256=session_sha256,
        data=data,
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )
