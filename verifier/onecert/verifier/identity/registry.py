"""What the register of legal entities (法人库) adds: the credit code behind older numbers, and the state.

The verifier asks through this interface; a department that has no mirror uses ``NoRegistry`` and gets
provisional ids (``org:…``, ``regno:…``) for holders without a credit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class RegistryEntry:
    """One legal entity as the register knows it."""

    uscc: str
    names: tuple[str, ...]  # the present name first, then earlier ones
    state: str = "active"  # active, cancelled (注销), revoked (吊销)


class Registry(Protocol):
    """Looks up legal entities by canonical number."""

    def find(self, canonical: str, at: datetime) -> RegistryEntry | None:
        """The entity behind ``uscc:…``, ``org:…`` or ``regno:…`` at that time, or None."""
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
