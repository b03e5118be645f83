"""Reading JSON that decides something: nothing unknown, nothing missing, nothing too large.

``Node`` walks one decoded object, remembers which keys were taken and refuses the rest, and names the place
of every fault, such as ``TrustedEntitiesList[2].TrustedEntityInformation.TEName``. Bytes are decoded before
that, by ``jws.load_json``, which refuses repeated keys, deep nesting and oversize.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

_MISSING = object()
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)


class StrictJsonError(ValueError):
    """What is wrong, and where; callers translate it into their own error."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}" if where else problem)
        self.where = where
        self.problem = problem


def parse_time(text: str, where: str) -> datetime:
    """Parse ``2026-11-21T09:00:00Z``: UTC, whole seconds, this one spelling.

    Raises:
        StrictJsonError: any other form.
    """
    at = _time_of(text)
    if at is None:
        raise StrictJsonError(where, "not a time such as 2026-11-21T09:00:00Z")
    return at


@lru_cache(maxsize=1024)
def _time_of(text: str) -> datetime | None:
    if _TIME.fullmatch(text) is None:
        return None
    # Slices, because strptime costs ten times as much and a list has thousands of times.
    parts = (text[:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19])
    try:
        return datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[arg-type, misc]  # six numbers
    except ValueError:
        return None


def format_time(at: datetime) -> str:
    """The one spelling of a time in our documents: UTC, whole seconds."""
    at = at.astimezone(UTC)
    return f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at.hour:02d}:{at.minute:02d}:{at.second:02d}Z"


class Node:
    """One JSON object being read; use as a context manager, which refuses the keys nobody took."""

    __slots__ = ("_index", "_place", "_taken", "_values")

    def __init__(self, value: object, where: str, index: int | None = None) -> None:
        """Read ``value``, found at ``where``, or at that place of the list which is there."""
        self._place = where
        self._index = index
        if not isinstance(value, dict):
            raise StrictJsonError(self.where, "must be an object")
        self._values: dict[str, Any] = value
        self._taken: set[str] = set()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and not self._taken.issuperset(self._values):
            unknown = self._values.keys() - self._taken
            raise StrictJsonError(self.where, f"unknown key {', '.join(sorted(unknown))[:200]}")

    @property
    def where(self) -> str:
        """The path of this object, for messages."""
        return self._place if self._index is None else f"{self._place}[{self._index}]"

    @property
    def raw(self) -> dict[str, Any]:
        """The whole object, for a reader of its own."""
        return self._values

    def place(self, key: str) -> str:
        """The path of a key, for messages."""
        return f"{self.where}.{key}" if self.where else key

    def has(self, key: str) -> bool:
        """Tell whether the key is there."""
        return key in self._values

    def take(self, key: str, default: Any = _MISSING) -> Any:
        """The raw value; without a default the key is required."""
        self._taken.add(key)
        if key in self._values:
            return self._values[key]
        if default is _MISSING:
            raise StrictJsonError(self.where, f"missing key {key}")
        return default

    def text(self, key: str, *, default: Any = _MISSING, max_length: int = 2048) -> str:
        """A string that is not empty."""
        if key not in self._values:
            return self.take(key, default)  # type: ignore[no-any-return]  # the caller's own default
        self._taken.add(key)
        value = self._values[key]
        if not isinstance(value, str) or not value.strip() or len(value) > max_length:
            raise StrictJsonError(self.place(key), f"must be text of 1 to {max_length} characters")
        return value

    def choice(self, key: str, allowed: Collection[str], *, default: Any = _MISSING) -> str:
        """A string out of a closed set."""
        value = self.text(key, default=default)
        if key in self._values and value not in allowed:
            raise StrictJsonError(self.place(key), f"must be one of {', '.join(sorted(allowed))}")
        return value

    def integer(self, key: str, *, low: int, high: int, default: Any = _MISSING) -> int:
        """A whole number within bounds."""
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise StrictJsonError(self.place(key), f"must be a whole number from {low} to {high}")
        return value

    def boolean(self, key: str, *, default: Any = _MISSING) -> bool:
        """true or false."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise StrictJsonError(self.place(key), "must be true or false")
        return value

    def time(self, key: str, *, default: Any = _MISSING) -> datetime:
        """A time in UTC."""
        value = self.text(key, default=default, max_length=20)
        return parse_time(value, self.place(key)) if key in self._values else value  # type: ignore[return-value]  # the default

    def items(self, key: str, *, low: int = 0, high: int = 1000, default: Any = _MISSING) -> list[Any]:
        """A list with a bounded number of elements."""
        value = self.take(key, default)
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise StrictJsonError(self.place(key), f"must be a list of {low} to {high} elements")
        return value

    def texts(self, key: str, *, low: int = 0, high: int = 100, default: Any = _MISSING) -> tuple[str, ...]:
        """A list of different strings."""
        values = self.items(key, low=low, high=high, default=default)
        for value in values:
            if not isinstance(value, str) or not 0 < len(value) <= 2048:
                break
        else:
            if len(set(values)) == len(values):
                return tuple(values)
        raise StrictJsonError(self.place(key), "must be a list of different texts")

    def nodes(self, key: str, *, low: int = 0, high: int = 1000, default: Any = _MISSING) -> Iterator[Node]:
        """The objects of a list, each to be used as a context manager."""
        place = self.place(key)
        for index, value in enumerate(self.items(key, low=low, high=high, default=default)):
            yield Node(value, place, index)

    def node(self, key: str) -> Node:
        """An object inside this one."""
        return Node(self.take(key), self.place(key))
