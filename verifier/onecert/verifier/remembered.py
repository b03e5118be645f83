"""Functions of untrusted octets that remember their answers, bounded in number and in the size of each.

``lru_cache`` alone bounds the number only: some thousand certificates with extensions as large as may be
would fill gigabytes. What is large is rare, and read anew each time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

__all__ = ["REMEMBERED_MAX_BYTES", "remembered"]

P = ParamSpec("P")
T = TypeVar("T")
# Extensions, names and attributes of real certificates are shorter.
REMEMBERED_MAX_BYTES = 2048


def remembered(*, most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Remember the answers to the last ``most`` different questions.

    The last argument of the function, passed by position, are the octets whose size counts.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        cache = lru_cache(maxsize=most)(function)

        @wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> T:
            octets: bytes = arguments[-1]  # type: ignore[assignment]  # see above
            chosen = cache if len(octets) <= REMEMBERED_MAX_BYTES else function
            return chosen(*arguments, **named)  # type: ignore[arg-type]  # lru_cache knows no ParamSpec

        call.cache_clear = cache.cache_clear  # type: ignore[attr-defined]  # as lru_cache has it
        call.cache_parameters = cache.cache_parameters  # type: ignore[attr-defined]
        return call

    return decorate
