"""A long list read in parts: what was read before, in this list or in the last, is not read again.

Of 500 services a new list changes few, and the services of one operator are described alike. The octets of
a service, and of its extensions inside it, are cut out of the text where the writer of lists puts them. In
their place stands ``-Infinity``, which no list contains, not even by chance in base64. What is left is read
by the strict decoder; so is each part, unless the very same octets were read before.

This gives what reading the whole gives: a decoder goes from left to right, and a complete object in place of
a number changes nothing about what comes before or after it. Where a cut was at a wrong place, one of the
pieces is no JSON, or a part turns up where no service can be. Then ``NotInPartsError`` or one of the errors
of reading is raised, and the caller reads the whole, whose verdict counts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar, cast

from onecert.verifier.jws import decode_json, strict_decoder

__all__ = ["NotInPartsError", "Part", "PartMemory", "PartReader"]

C = TypeVar("C", bound=Hashable)
T = TypeVar("T")

_HOLE = b"-Infinity"
_WITH_HISTORY, _WITHOUT_HISTORY = b'{"ServiceHistory":', b'{"ServiceInformation":'
_NEXT_ENTITY = b']},{"TrustedEntityInformation":'
_END = b"]}]}}"
_EXTENSIONS = b'"ServiceInformationExtensions":'
_AFTER_EXTENSIONS = b',"ServiceName":'


class NotInPartsError(Exception):
    """The text is not in the form in which lists are written."""


class Part:
    """Octets that stand for one JSON value and have not been read."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes) -> None:
        self.octets = octets


class PartMemory:
    """What parts turned out to be; the longest unused is forgotten first. Safe to share between threads.

    Args:
        max_bytes: so many octets of text are remembered in all. What was read takes some ten times as much.
        max_parts: so many parts, however short.
    """

    def __init__(self, *, max_bytes: int = 4 * 1024 * 1024, max_parts: int = 8192) -> None:
        self._max_bytes = max_bytes
        self._max_parts = max_parts
        self._bytes = 0
        self._known: OrderedDict[tuple[bytes, Hashable], Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget everything, as a new process would know nothing."""
        with self._lock:
            self._known.clear()
            self._bytes = 0

    def get(self, octets: bytes, context: Hashable) -> Any:
        """What was kept for these octets in this context; ``None`` for nothing."""
        key = (octets, context)
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def keep(self, octets: bytes, context: Hashable, value: object) -> None:
        """Keep what was read, which nobody will change."""
        with self._lock:
            if self._known.setdefault((octets, context), value) is value:
                self._bytes += len(octets)
            while self._bytes > self._max_bytes or len(self._known) > self._max_parts:
                (forgotten, _), _ = self._known.popitem(last=False)
                self._bytes -= len(forgotten)


class PartReader:
    """Reads one list. Not for several threads at once; the memory behind it may be."""

    def __init__(self, memory: PartMemory) -> None:
        self._memory = memory
        self._waiting: deque[Part] = deque()
        self._decoder = strict_decoder(self._part)

    def open(self, octets: bytes) -> Any:
        """The list with a ``Part`` in place of each service.

        Raises:
            NotInPartsError: it is not in the form in which lists are written.
            VerifyError, ValueError: what is left without the services is no strict JSON.
        """
        return self._decode(octets, _service_spans(octets))

    def read(self, part: Part, context: Hashable, read: Callable[[Any], T]) -> T:
        """What the part is: as remembered, or by ``read``, which gets the decoded JSON.

        Args:
            part: a service, in which the extensions become another part, or these.
            context: with the octets, what the answer depends on.

        Raises:
            NotInPartsError: a constant that is no JSON.
            VerifyError, ValueError: it is no strict JSON, or ``read`` refuses it; that is not remembered.
        """
        known: T | None = self._memory.get(part.octets, context)
        if known is None:
            known = read(self._decode(part.octets, _extension_spans(part.octets)))
            self._memory.keep(part.octets, context, known)
        return known

    def read_all(
        self,
        parts: Sequence[tuple[Part, C]],
        read: Callable[[Any, C], T],
        usual: Callable[[Sequence[tuple[bytes, C]]], Sequence[T | None]],
    ) -> list[T]:
        """``read`` for many parts, each with its context.

        Args:
            usual: the same from the octets of those that are not remembered; ``None`` where it cannot tell.

        Raises:
            NotInPartsError, VerifyError, ValueError: as ``read``.
        """
        found: list[T | None] = [self._memory.get(part.octets, context) for part, context in parts]
        new = [place for place, known in enumerate(found) if known is None]
        quickly = usual([(parts[place][0].octets, parts[place][1]) for place in new])
        for place, quick in zip(new, quickly, strict=True):
            part, context = parts[place]
            if quick is None:
                known = read(self._decode(part.octets, _extension_spans(part.octets)), context)
            else:
                known = quick
            self._memory.keep(part.octets, context, known)
            found[place] = known
        return cast(list[T], found)

    def _decode(self, octets: bytes, spans: Sequence[tuple[int, int]]) -> Any:
        pieces = []
        done = 0
        for start, end in spans:
            self._waiting.append(Part(octets[start:end]))
            pieces.append(octets[done:start])
            done = end
        pieces.append(octets[done:])
        value = decode_json(_HOLE.join(pieces).decode("utf-8"), self._decoder)
        if self._waiting:
            raise NotInPartsError("a hole inside a string")
        return value

    def _part(self, name: str) -> Part:
        if name.encode() != _HOLE or not self._waiting:
            raise NotInPartsError(name)
        return self._waiting.popleft()


def _service_spans(octets: bytes) -> list[tuple[int, int]]:
    """Where each service begins and ends, in order; none of them empty."""
    starts = sorted([*_places(octets, _WITH_HISTORY), *_places(octets, _WITHOUT_HISTORY)])
    if not starts or _HOLE in octets or not octets.endswith(_END):
        raise NotInPartsError("not a list as we write them")
    spans = []
    for start, following in zip(starts, [*starts[1:], len(octets)], strict=True):
        if following == len(octets):
            end = following - len(_END)
        elif octets[following - 1 : following] == b",":
            end = following - 1
        else:
            end = octets.find(_NEXT_ENTITY, start, following)
        if end <= start:
            raise NotInPartsError("not a list as we write them")
        spans.append((start, end))
    return spans


def _places(octets: bytes, token: bytes) -> list[int]:
    """Where the token stands; a pattern with both takes ten times as long."""
    found = []
    place = octets.find(token)
    while place >= 0:
        found.append(place)
        place = octets.find(token, place + len(token))
    return found


def _extension_spans(octets: bytes) -> list[tuple[int, int]]:
    """Where the extensions of a service are, when it has only these."""
    start, end = octets.find(_EXTENSIONS), octets.rfind(_AFTER_EXTENSIONS)
    if start < 0 or end <= start or octets.find(_EXTENSIONS, start + 1) >= 0:
        return []
    return [(start + len(_EXTENSIONS), end)]
