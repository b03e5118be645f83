"""A document at an address, fetched again when it is due; what was read last serves meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from onecert.verifier.errors import VerifyError
from onecert.verifier.fetch.transfer import Fetch, FetchRequest

__all__ = ["Refreshed"]

T = TypeVar("T")
RETRY = timedelta(seconds=10)

log = logging.getLogger(__name__)


class Refreshed(Generic[T]):
    """One document. Safe to share between threads: one of them fetches, the others go on with what is there.

    Args:
        read: checks what came and takes it apart, knowing what was read before; raises ``VerifyError``, and
            then what was read before stays.
        every: how long it is used without asking again.
        at_hand: kept from an earlier run, already checked.
    """

    def __init__(
        self,
        url: str,
        read: Callable[[bytes, T | None], T],
        *,
        fetch: Fetch,
        every: timedelta,
        max_bytes: int,
        at_hand: T | None = None,
    ) -> None:
        self.url = url
        self._read, self._fetch = read, fetch
        self._every, self._max_bytes = every, max_bytes
        self._value: T | None = at_hand
        self._etag = ""
        self._due: datetime | None = None
        self._lock = threading.Lock()

    @property
    def at_hand(self) -> T | None:
        """What was read last, without asking."""
        return self._value

    def current(self, at: datetime) -> T:
        """Return the newest; whether it is still good is the caller's question.

        Raises:
            VerifyError: there is none at hand, and none can be had.
        """
        value = self._value
        if value is not None and self._due is not None and at < self._due <= at + self._every:
            return value
        if value is not None:
            # Whoever has an older one does not wait for who is asking.
            if not self._lock.acquire(blocking=False):
                return value
        else:
            self._lock.acquire()
        try:
            newer = self._value
            return newer if newer is not None and newer is not value else self._ask(at)
        finally:
            self._lock.release()

    def _ask(self, at: datetime) -> T:
        before = self._value
        try:
            # Without a copy there is nothing that "not modified" could mean.
            etag = self._etag if before is not None else ""
            answer = self._fetch(FetchRequest(url=self.url, max_bytes=self._max_bytes, etag=etag))
            if answer.data is not None or before is None:
                self._value = before = self._read(answer.data or b"", before)
                self._etag = answer.etag
        except VerifyError as error:
            self._due = at + min(RETRY, self._every)
            if before is None:
                raise
            log.warning("not fetched; what is at hand serves", extra={"url": self.url, "code": error.code})
            return before
        self._due = at + self._every
        return before
