"""One flight for each place: who wants what somebody is already fetching waits for it, or goes on without."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch.documents import Place
from onecert.verifier.fetch.rules import Allowance

__all__ = ["Flights", "nothing_yet"]

Outcome = CouldNotCheckError | None


@dataclass
class _Flight:
    done: threading.Event = field(default_factory=threading.Event)
    error: Outcome = None


class Flights:
    """Those of one process; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight] = {}

    def is_under_way(self, place: Place) -> bool:
        """Whether somebody is fetching it at this moment."""
        return place.name in self._flights

    def fly(
        self, place: Place, fetch: Callable[[], Outcome], *, allowance: Allowance | None, wait: bool
    ) -> Outcome:
        """Fetch, or wait for who does; ``fetch`` returns what went wrong, and so does this.

        Args:
            allowance: bounds the waiting.
            wait: without it, and while somebody else is fetching, the answer is ``None`` at once.
        """
        with self._lock:
            flight = self._flights.get(place.name)
            mine = flight is None
            if flight is None:
                flight = self._flights[place.name] = _Flight()
        if not mine:
            error = _wait(place, flight, allowance) if wait else None
            if error is not None and error.code == "FETCH_LIMIT" and flight.error is error:
                return self.fly(place, fetch, allowance=allowance, wait=True)  # it was not our limit
            return error
        try:
            flight.error = fetch()
        except BaseException:
            flight.error = nothing_yet(place)
            raise
        finally:
            with self._lock:
                del self._flights[place.name]
            flight.done.set()
        return flight.error


def _wait(place: Place, flight: _Flight, allowance: Allowance | None) -> Outcome:
    try:
        seconds = None if allowance is None else allowance.left_s(place.url)
    except CouldNotCheckError as exc:
        return exc
    if not flight.done.wait(seconds):
        return CouldNotCheckError("FETCH_TIMEOUT", url=place.url, seconds=seconds)
    return flight.error


def nothing_yet(place: Place) -> CouldNotCheckError:
    """There is no document, because somebody else has not fetched it yet."""
    return CouldNotCheckError(
        "FETCH_FAILED", url=place.url, detail="somebody else is asking and has no answer yet"
    )
