"""How far this machine's clock is from those of the servers that are asked anyway.

    watch = ClockWatch(listed_fetch())
    verifier = open_verifier(folder, trust_list=address, application="tax", fetch=watch)
    print(watch.skews())

A wrong clock lets expired certificates in, or refuses everybody. ``Date`` is not signed, so nothing is
decided by it: it is shown to who runs the machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from onecert.verifier.fetch.transfer import Fetch, FetchAnswer, FetchRequest

__all__ = ["ClockWatch"]

_SERVERS_MAX = 64
_SECOND = timedelta(seconds=1)
_NONE = timedelta(0)


def _now() -> datetime:
    return datetime.now(UTC)


class ClockWatch:
    """A ``Fetch`` that looks at the clocks of the servers as well. Safe to share between threads.

    Args:
        fetch: does the work.
        clock: the machine's by default.
    """

    def __init__(self, fetch: Fetch, *, clock: Callable[[], datetime] = _now) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._skews: dict[str, timedelta] = {}

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        """See ``Fetch``."""
        began = self._clock()
        answer = self._fetch(request)
        if answer.date is not None:
            self._note(urlsplit(request.url).hostname or "", _skew(answer.date, began, self._clock()))
        return answer

    def skews(self) -> Mapping[str, timedelta]:
        """By server, from its last answer: how far its clock is ahead of ours, at least; negative: behind."""
        with self._lock:
            return dict(self._skews)

    def _note(self, server: str, skew: timedelta) -> None:
        with self._lock:
            self._skews.pop(server, None)
            self._skews[server] = skew
            while len(self._skews) > _SERVERS_MAX:
                del self._skews[next(iter(self._skews))]


def _skew(date: datetime, began: datetime, ended: datetime) -> timedelta:
    """The smallest difference that explains why the server wrote ``date`` between these moments."""
    least, most = date - ended, date + _SECOND - began
    if least <= _NONE <= most:
        return _NONE
    return least if least > _NONE else most
