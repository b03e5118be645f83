"""How often things are fetched, how much is kept, and how much one validation may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch.records import Failure
from onecert.verifier.fetch.wire import Deadline

__all__ = ["Allowance", "FetchRules", "FollowRules"]

_DOUBLINGS_MAX = 16


@dataclass(frozen=True, kw_only=True)
class FetchRules:
    """When a document is fetched again.

    Args:
        every: at the latest after so long; a server's ``max-age`` can only make it sooner.
        refresh_at: at the latest when this part of the time up to next_update has passed.
        jitter: each address is asked up to this part earlier, so that not all are asked at once.
        at_least: no address that answers is asked more often than this, whatever lists and servers say.
        retry: after a failure; doubled with each further one, up to ``every``.
        max_bytes, max_documents: what is kept, in memory and in the folder; the oldest go first.
    """

    every: timedelta = timedelta(hours=1)
    refresh_at: float = 0.75
    jitter: float = 0.1
    at_least: timedelta = timedelta(minutes=1)
    retry: timedelta = timedelta(minutes=1)
    max_bytes: int = 512 * 1024 * 1024
    max_documents: int = 1000

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot work."""
        if not 0 < self.refresh_at <= 1 or not 0 <= self.jitter < 1 or self.every <= timedelta(0):
            raise ValueError("refresh_at lies in (0, 1], jitter in [0, 1), every is positive")

    @property
    def floor(self) -> timedelta:
        """``at_least``, unless more often was asked for."""
        return min(self.at_least, self.every)

    def due_at(
        self, name: str, fetched_at: datetime, end: datetime | None, max_age: timedelta | None
    ) -> datetime:
        """When a document that was fetched or confirmed at ``fetched_at`` is to be fetched again.

        Args:
            name: hexadecimal name of the place; it decides about the jitter.
            end: its next_update.
        """
        earlier = 1 - self.jitter * int(name[:8], 16) / 0xFFFFFFFF
        wait = self.every if max_age is None else min(max_age, self.every)
        wait *= earlier
        if end is not None and fetched_at < end:
            wait = min(wait, (end - fetched_at) * self.refresh_at * earlier)
        return fetched_at + max(wait, self.floor * earlier)

    def is_overdue(self, fetched_at: datetime, at: datetime) -> bool:
        """Whether nobody has refreshed it for so long that its answers are no longer those of ``every``."""
        return at >= fetched_at + 2 * self.every

    def failed(self, before: Failure | None, at: datetime, detail: str) -> Failure:
        """One more failure: when is the next try?"""
        count = 1 if before is None else before.count + 1
        wait = min(self.retry * 2 ** min(count - 1, _DOUBLINGS_MAX), self.every)
        return Failure(count=count, failed_at=at, retry_at=at + wait, detail=detail[:300])


@dataclass(frozen=True, kw_only=True)
class FollowRules:
    """Which addresses are followed, and how far.

    Args:
        crls: CRL distribution points and delta lists.
        ocsp: OCSP responders.
        issuers: certificates of issuers. Anybody can make a certificate that sends us somewhere with these.
        nonce: ask OCSP with a nonce, anew each time.
        ocsp_by_get: ask by GET where the request is short (RFC 5019).
        fetches, time: for one validation together.
        rounds: how often one validation is repeated at most.
    """

    crls: bool = True
    ocsp: bool = True
    issuers: bool = True
    nonce: bool = False
    ocsp_by_get: bool = False
    fetches: int = 16
    time: timedelta = timedelta(seconds=20)
    rounds: int = 16


class Allowance:
    """What one validation may still fetch; not for several threads."""

    def __init__(self, fetches: int, time: timedelta) -> None:
        self._max = fetches
        self._fetches = fetches
        self._time = time
        self._deadline = Deadline(time.total_seconds())

    def take(self, url: str) -> timedelta:
        """Called before each fetch.

        Returns:
            the time that is left.

        Raises:
            CouldNotCheckError: ``FETCH_LIMIT``.
        """
        if self._fetches <= 0:
            raise self._spent(url)
        self._fetches -= 1
        return timedelta(seconds=self.left_s(url))

    def left_s(self, url: str) -> float:
        """Seconds that are left.

        Raises:
            CouldNotCheckError: ``FETCH_LIMIT``.
        """
        try:
            return self._deadline.left()
        except TimeoutError as exc:
            raise self._spent(url) from exc

    def _spent(self, url: str) -> CouldNotCheckError:
        return CouldNotCheckError(
            "FETCH_LIMIT", url=url, fetches=self._max, seconds=self._time.total_seconds()
        )
