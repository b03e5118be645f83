"""Functions of untrusted octets that remember their answers, bounded in number and in the size of each.

``lru_cache`` alone bounds the number only: some thousand certificates with extensions as large as may be
would fill gigabytes. What is large is rare, and read anew each time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

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
        cache: Any = lru_cache(maxsize=most)(function)
        large: Any = function

        def call_one(octets: bytes) -> T:
            result: T = (cache if len(octets) <= REMEMBERED_MAX_BYTES else large)(octets)
            return result

        def call_any(*arguments: Any) -> T:
            result: T = (cache if len(arguments[-1]) <= REMEMBERED_MAX_BYTES else large)(*arguments)
            return result

        # The most frequent question of all, for a name, is not slowed by a list of arguments.
        call: Any = wraps(function)(call_one if large.__code__.co_argcount == 1 else call_any)
        call.cache_clear = cache.cache_clear  # as lru_cache has it
        call.cache_parameters = cache.cache_parameters
        remembering: Callable[P, T] = call
        return remembering

    return decorate
