"""A network that answers what a test says, and counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError, FetchCache, FetchRules
from onecert.verifier.fetch import FetchAnswer, FetchRequest
from onecert.verifier.fetch.asking import Ask
from onecert.verifier.fetch.documents import Kind, Place

URL = "http://crl.example/a.crl"
PLACE = Place(URL, Kind.CRL)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EXACT = FetchRules(jitter=0)


class Network:
    """Answers ``say``, or raises it; counts."""

    def __init__(self, say: Any = b"") -> None:
        self.say: Any = say
        self.requests: list[FetchRequest] = []
        self.gate: Callable[[], object] = lambda: None

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        self.requests.append(request)
        self.gate()
        if isinstance(self.say, Exception):
            raise self.say
        return self.say if isinstance(self.say, FetchAnswer) else FetchAnswer(data=self.say)

    @property
    def count(self) -> int:
        return len(self.requests)


def down(code: str = "FETCH_TIMEOUT") -> CouldNotCheckError:
    return CouldNotCheckError(code, url=URL, seconds=10, detail="", status=500)


def refusal(cache: FetchCache, at: Any, ask: Ask = Ask()) -> CouldNotCheckError:  # noqa: B008  frozen
    with pytest.raises(CouldNotCheckError) as caught:
        cache.get(PLACE, at, ask)
    return caught.value
