"""What the register of legal entities (法人库) adds: the credit code behind older numbers, and the state.

The verifier asks through this interface; a department that has no mirror uses ``NoRegistry`` and gets
provisional ids (``org:…``, ``regno:…``) for holders without a credit code. The mirror of a city is in
``registry_snapshot``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.identity.errors import IdentityError

__all__ = [
    "Alias",
    "ClosedEntities",
    "MemoryRegistry",
    "NoRegistry",
    "Registry",
    "RegistryEntry",
    "RegistryUnavailableError",
]

_ANSWERS = ("warn", "refuse")


class RegistryUnavailableError(CouldNotCheckError):
    """Nobody can tell what the register says now. Who has a credit code can be named without it."""


@dataclass(frozen=True, kw_only=True)
class RegistryEntry:
    """One legal entity as the register knows it at the time that was asked about."""

    uscc: str
    names: tuple[str, ...]  # the present name first, then earlier ones
    state: str = "active"  # active, cancelled (注销), revoked (吊销)
    until: datetime | None = None  # since when it is cancelled or revoked, if the register says so
    warnings: tuple[str, ...] = ()  # codes of what is to be said about this answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Alias:
    """An older number of an entity: what a department may have opened an account under.

    Args:
        id: ``org:…`` or ``regno:…``, as it stands in ``Identity.id`` while it is provisional.
        canonical: ``uscc:…``, which it means now.
        since, until: when the number belonged to the entity; ``None`` for always.
        evidence: what the register refers to, for the audit record of who merges the two.
    """

    id: str
    canonical: str
    since: datetime | None = None
    until: datetime | None = None
    evidence: str = ""

    def holds_at(self, at: datetime) -> bool:
        """Whether the number belonged to the entity at that time."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


@dataclass(frozen=True, kw_only=True)
class ClosedEntities:
    """What becomes of entities that are closed: ``warn`` (``ENTITY_CLOSED``) or ``refuse``.

    By default an entity that was cancelled (注销) is refused, because nobody is left who could act for it.
    One whose licence was revoked (吊销) goes on until it is wound up, has duties till then, and is let in
    with a warning.

    Raises:
        ValueError: another word.
    """

    cancelled: str = "refuse"
    revoked: str = "warn"

    def __post_init__(self) -> None:
        """Refuse other words: a policy that is misspelt must not let anybody in."""
        for name in ("cancelled", "revoked"):
            if getattr(self, name) not in _ANSWERS:
                raise ValueError(f"{name} must be warn or refuse")

    def check(self, entry: RegistryEntry) -> None:
        """Refuse a closed entity where that is the rule.

        Raises:
            IdentityError: ENTITY_CANCELLED or ENTITY_REVOKED.
        """
        since = "?" if entry.until is None else entry.until
        if entry.state == "cancelled" and self.cancelled == "refuse":
            raise IdentityError("ENTITY_CANCELLED", since=since)
        if entry.state == "revoked" and self.revoked == "refuse":
            raise IdentityError("ENTITY_REVOKED", since=since)

    def strictest(self, other: ClosedEntities) -> ClosedEntities:
        """What either of the two refuses is refused."""
        return ClosedEntities(
            cancelled=min(self.cancelled, other.cancelled), revoked=min(self.revoked, other.revoked)
        )


class Registry(Protocol):
    """Looks up legal entities by canonical number."""

    def find(self, canonical: str, at: datetime) -> RegistryEntry | None:
        """The entity behind ``uscc:…``, ``org:…`` or ``regno:…`` at that time, or None.

        Raises:
            RegistryUnavailableError: nobody can tell now; who has a credit code is let in all the same.
            VerifyError: nobody can tell, or the department lets no such entity in.
        """
        ...


class NoRegistry:
    """No mirror of the register: nothing is found."""

    def find(self, canonical: str, at: datetime) -> RegistryEntry | None:
        """Always None."""
        return None


class MemoryRegistry:
    """A mirror in memory, from canonical number to entry."""

    def __init__(self, entries: Mapping[str, RegistryEntry]) -> None:
        self._entries = dict(entries)

    def find(self, canonical: str, at: datetime) -> RegistryEntry | None:
        """The entry of this number."""
        return self._entries.get(canonical)
