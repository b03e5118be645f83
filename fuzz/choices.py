"""Where decisions come from: the octets of an input, or a generator of random numbers. Both spell alike."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Choices(Protocol):
    """A source of decisions."""

    def below(self, bound: int) -> int:
        """A number from 0 to ``bound - 1``."""

    def octets(self, count: int) -> bytes:
        """At most so many octets."""


class FromBytes:
    """Decisions written down in an input; when it ends, every further one is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pos = 0

    def __bool__(self) -> bool:
        return self._pos < len(self._data)

    def below(self, bound: int) -> int:
        size = 1 if bound <= 256 else 2
        return int.from_bytes(self.octets(size), "big") % bound

    def octets(self, count: int) -> bytes:
        found = self._data[self._pos : self._pos + count]
        self._pos += count
        return found


class FromRandom:
    """Decisions from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, bound: int) -> int:
        return self._random.randrange(bound)

    def octets(self, count: int) -> bytes:
        return self._random.randbytes(count)


def pick(choices: Choices, items: Sequence[T]) -> T:
    """One of the items."""
    return items[choices.below(len(items))]
