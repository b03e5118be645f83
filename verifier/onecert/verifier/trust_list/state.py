"""The newest parts that were ever accepted here, kept where an ordinary update cannot lower them.

Somebody who controls the network can present an old list, on which a withdrawn CA is still granted. The
signatures on it are genuine; only memory helps. Each role counts for itself: the root its versions, the
timestamp its versions, the list its sequence, the registry its numbers. A counter that was driven to its end
begins anew with the next epoch of its role, which only the root can grant.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onecert.verifier.files import locked, write_atomically
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list.errors import TrustListRollbackError, TrustListUnavailableError
from onecert.verifier.trust_list.roles import COUNTER_MAX, Role

# What is said of each role: it went back, or there are two of one number.
_CODES = {
    Role.ROOT: ("TRUST_ROOT_ROLLBACK", "TRUST_ROOT_FORK"),
    Role.TIMESTAMP: ("TRUST_TIMESTAMP_ROLLBACK", "TRUST_TIMESTAMP_FORK"),
    Role.LIST: ("TRUST_LIST_ROLLBACK", "TRUST_LIST_FORK"),
    Role.REGISTRY: ("REGISTRY_ROLLBACK", "REGISTRY_FORK"),
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The newest part of a role: the epoch it was counted in, its number, the digest of its payload."""

    epoch: int
    number: int
    sha256: str


class TrustState(Protocol):
    """Remembers the newest parts."""

    def advance(self, seen: Mapping[Role, Seen], *, keep: Callable[[], None] | None = None) -> None:
        """Accept these parts as the newest, all of them or none; several processes may do so at once.

        Args:
            keep: called when they are accepted and before they are remembered, while nobody else does the
                same: to store them.
        """
        ...


def check_advance(role: Role, before: Seen | None, now: Seen) -> None:
    """Refuse a part that is older than, or another than, what was seen.

    Raises:
        TrustListRollbackError: TRUST_…_ROLLBACK for a lower number, TRUST_…_FORK for another content under
            the same number.
    """
    if before is None or (now.epoch, now.number) > (before.epoch, before.number):
        return
    rollback, fork = _CODES[role]
    if (now.epoch, now.number) < (before.epoch, before.number):
        raise TrustListRollbackError(rollback, number=now.number, seen=before.number)
    if now.sha256 != before.sha256:
        raise TrustListRollbackError(fork, number=now.number)


def _advanced(before: Mapping[Role, Seen], now: Mapping[Role, Seen]) -> dict[Role, Seen]:
    # In the order of the roles: a root that went back explains whatever else did.
    for role in Role:
        if role in now:
            check_advance(role, before.get(role), now[role])
    return {**before, **now}


class MemoryState:
    """For one process that lives long; a restart forgets."""

    def __init__(self) -> None:
        self.seen: Mapping[Role, Seen] = {}
        self._lock = threading.Lock()

    def advance(self, seen: Mapping[Role, Seen], *, keep: Callable[[], None] | None = None) -> None:
        """See ``TrustState``."""
        with self._lock:
            after = _advanced(self.seen, seen)
            if keep is not None:
                keep()
            self.seen = after


class FileState:
    """A small JSON file, replaced atomically under a lock. Keep it apart from the copies of the lists."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def advance(self, seen: Mapping[Role, Seen], *, keep: Callable[[], None] | None = None) -> None:
        """See ``TrustState``.

        Raises:
            TrustListUnavailableError: TRUST_LIST_STATE, when the file cannot be read or written: without
                memory an old list could not be told from a new one.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self._path.with_name(self._path.name + ".lock")):
                before = self._read()
                after = _advanced(before, seen)
                if keep is not None:
                    keep()
                if before != after:
                    self._write(after)
        except (OSError, ValueError) as exc:
            raise TrustListUnavailableError("TRUST_LIST_STATE", detail=str(exc)[:200]) from exc

    def _read(self) -> dict[Role, Seen]:
        try:
            content = self._path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        seen: dict[Role, Seen] = {}
        try:
            with Node(json.loads(content), "") as node:
                for role in Role:
                    if node.has(role.value):
                        with node.node(role.value) as inner:
                            seen[role] = Seen(
                                epoch=inner.integer("epoch", low=1, high=COUNTER_MAX),
                                number=inner.integer("number", low=1, high=COUNTER_MAX),
                                sha256=inner.text("sha256", max_length=64),
                            )
        except (StrictJsonError, RecursionError) as exc:
            raise ValueError(f"{self._path.name}: {exc}") from exc
        if not seen:
            # A file that remembers nothing was emptied by somebody.
            raise ValueError(f"{self._path.name} is empty")
        return seen

    def _write(self, seen: Mapping[Role, Seen]) -> None:
        content = {role.value: vars(entry) for role, entry in seen.items()}
        write_atomically(self._path, json.dumps(content).encode("ascii"))
