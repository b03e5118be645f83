"""Open login challenges in Redis, or any server of its protocol: for departments with several machines.

    login = Login(verifier, store=RedisStore(redis.Redis(host="cache.tax.example", ssl=True)))

Two keys a challenge: what it says, and whether somebody has answered it. Both end by themselves. The second
is set only if it is not there, which the server does for one caller alone. The server must not drop keys
before their time (``maxmemory-policy noeviction``): a mark that is dropped would let an answer in twice.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any, Protocol

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.login_store import KEEP, StoredChallenge, Used

__all__ = ["RedisClient", "RedisStore"]


class RedisClient(Protocol):
    """What is used of a client library; that of the package ``redis`` fits."""

    def set(self, name: str, value: bytes, *, px: int, nx: bool = False) -> Any:
        """SET with an end in milliseconds; ``nx``: only if it is not there. Something true if it was set."""

    def get(self, name: str) -> Any:
        """GET: bytes, or ``None``."""


class RedisStore:
    """See ``ChallengeStore``.

    Args:
        client: connected to the server; safe to share between threads.
        prefix: begins the names of all keys.
    """

    def __init__(self, client: RedisClient, *, prefix: str = "onecert:login:") -> None:
        self._client = client
        self._prefix = prefix

    def add(self, challenge: StoredChallenge, at: datetime) -> None:
        """See ``ChallengeStore``.

        Raises:
            CouldNotCheckError: LOGIN_STORE.
        """
        kept = {
            "application": challenge.application,
            "session_sha256": challenge.session_sha256,
            "data": base64.b64encode(challenge.data).decode("ascii"),
            "expires_at": challenge.expires_at.timestamp(),
        }
        life_ms = int((challenge.expires_at - at + KEEP).total_seconds() * 1000)
        try:
            self._client.set(f"{self._prefix}{challenge.id}", json.dumps(kept).encode("utf-8"), px=life_ms)
        except Exception as exc:  # every client has errors of its own
            raise _unreachable(exc) from exc

    def use(self, challenge_id: str) -> Used | None:
        """See ``ChallengeStore``.

        Raises:
            CouldNotCheckError: LOGIN_STORE.
        """
        name = f"{self._prefix}{challenge_id}"
        try:
            kept = self._client.get(name)
            if kept is None:
                return None
            # Longer than the challenge itself is kept, so that no answer outlives its mark.
            first = self._client.set(f"{name}:used", b"1", px=int(2 * KEEP.total_seconds() * 1000), nx=True)
        except Exception as exc:  # every client has errors of its own
            raise _unreachable(exc) from exc
        return Used(_read(challenge_id, kept), again=not first)


def _read(challenge_id: str, kept: Any) -> StoredChallenge:
    try:
        said = json.loads(kept)
        return StoredChallenge(
            id=challenge_id,
            application=str(said["application"]),
            session_sha256=str(said["session_sha256"]),
            data=base64.b64decode(said["data"], validate=True),
            expires_at=datetime.fromtimestamp(float(said["expires_at"]), UTC),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError, binascii.Error) as exc:
        raise CouldNotCheckError("LOGIN_STORE", detail="somebody else's value under our key") from exc


def _unreachable(exc: Exception) -> CouldNotCheckError:
    return CouldNotCheckError("LOGIN_STORE", detail=f"{type(exc).__name__}: {exc}"[:200])
