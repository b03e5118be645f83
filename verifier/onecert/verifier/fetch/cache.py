"""What was fetched, kept fresh: fetched once for all threads and processes, ahead of its end.

A copy at hand serves while the newer one comes, and goes on serving when it does not come; whether it is
still good enough is decided where it is used. A server that fails is left alone for a while.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch.asking import Ask, Asker
from onecert.verifier.fetch.documents import Document, Place, next_update
from onecert.verifier.fetch.failures import Failures
from onecert.verifier.fetch.fetched_evidence import FetchedEvidence
from onecert.verifier.fetch.flights import Flights, nothing_yet
from onecert.verifier.fetch.folder import CacheFolder
from onecert.verifier.fetch.http import HttpFetch
from onecert.verifier.fetch.rules import Allowance, FetchRules
from onecert.verifier.fetch.shelf import Held, Shelf
from onecert.verifier.fetch.transfer import Fetch
from onecert.verifier.limits import DEFAULT_LIMITS, Limits

__all__ = ["FetchCache"]

_LOCK_WAIT_S = 15.0
_WORKERS = 2
_LOOK_EVERY = timedelta(seconds=1)
# What a caller spends at most on lists that are due for others.
_REFRESH_TIME = timedelta(seconds=20)


_PLAIN = Ask()


class FetchCache:
    """Fetches documents and keeps them in memory, and in a folder when there is one.

    Safe to share between threads; the folder between processes.

    Args:
        fetch: ``HttpFetch()`` by default, which asks public addresses only.
        folder: shared with other processes, survives restarts; it may not exist yet.
        background: refresh in threads of its own, so that no caller waits while there is a copy at hand;
            without, one caller fetches what is due and the others go on.
    """

    def __init__(
        self,
        fetch: Fetch | None = None,
        *,
        folder: Path | None = None,
        rules: FetchRules | None = None,
        background: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._rules = rules = rules or FetchRules()
        self._folder = None
        if folder is not None:
            self._folder = CacheFolder(folder, max_bytes=rules.max_bytes, max_documents=rules.max_documents)
        self._shelf = Shelf(rules, self._folder, limits)
        self._asker = Asker(fetch or HttpFetch(), self._shelf, limits)
        self._failures = Failures(rules, self._folder)
        self._pool = ThreadPoolExecutor(_WORKERS, "onecert-fetch") if background else None
        self._flights = Flights()
        self._looked_at: datetime | None = None

    @property
    def evidence(self) -> FetchedEvidence:
        """All lists at hand; always the same object. Lists of other origin may be added to it."""
        return self._shelf.evidence

    def close(self) -> None:
        """End the background threads; from then on callers fetch."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.shutdown(cancel_futures=True)

    def get(self, place: Place, at: datetime, ask: Ask = _PLAIN) -> Document:
        """The document of a place: the one at hand, or fetched when that is missing or due.

        Raises:
            CouldNotCheckError: ``FETCH_…``: there is none. When there is an older copy it is returned, and
                the failure goes to the log.
        """
        held = self._shelf.find(place)
        if ask.keys:
            held.keys = ask.keys
        error = None
        if self._is_due(held, at, ask):
            self._shelf.take_over(held)
            if self._is_due(held, at, ask):
                error = self._failures.find(place, at)
                if error is None and not ask.again and self._serves_on(held, at):
                    self._refresh_ahead(held, at, ask)
                elif error is None:
                    error = self._fly(held, at, ask, wait=True)
        if held.copy is None:
            raise error or nothing_yet(place)
        return held.copy.document

    def ask_once(self, place: Place, body: bytes, at: datetime, ask: Ask) -> Document:
        """Ask with this body (with a nonce, for instance), and keep nothing but the memory of a failure.

        Raises:
            CouldNotCheckError: ``FETCH_…``.
        """
        refused = self._failures.find(place, at)
        if refused is not None:
            raise refused
        try:
            document = self._asker.ask_once(place, body, ask)
        except CouldNotCheckError as exc:
            self._failures.note(place, at, exc)
            raise
        self._failures.end(place)
        return document

    def forget(self, place: Place) -> None:
        """Hold a document no longer; what the folder has stays there."""
        self._shelf.forget(place)

    def held(self, place: Place) -> Document | None:
        """The copy at hand, if any, however old; asks nobody."""
        copy = self._shelf.find(place).copy
        return None if copy is None else copy.document

    def keep_fresh(self, at: datetime) -> None:
        """Refresh the lists that are due, at most once a second; in the background if there is one.

        What is overdue is waited for: the first login after a quiet night must not go by last night's list.
        """
        last = self._looked_at
        if last is not None and last <= at < last + min(_LOOK_EVERY, self._rules.every / 4):
            return
        self._looked_at = at
        allowance = Allowance(self._rules.max_documents, _REFRESH_TIME)
        for held in self._due_lists(at):
            ask = Ask(keys=held.keys, allowance=allowance)
            if self._serves_on(held, at):
                self._refresh_ahead(held, at, ask)
            else:
                self._fly(held, at, ask, wait=True)

    def refresh(self, at: datetime) -> list[CouldNotCheckError]:
        """Refresh all lists that are due, now and here; what failed is returned."""
        failures = [self._fly(held, at, Ask(keys=held.keys), wait=True) for held in self._due_lists(at)]
        return [failure for failure in failures if failure is not None]

    # When to ask.

    def _due_lists(self, at: datetime) -> list[Held]:
        due = []
        for held in self._shelf.lists():
            if self._is_due(held, at, _PLAIN):
                self._shelf.take_over(held)
                if self._is_due(held, at, _PLAIN) and self._failures.find(held.place, at) is None:
                    due.append(held)
        return due

    def _is_due(self, held: Held, at: datetime, ask: Ask) -> bool:
        copy = held.copy
        if copy is None:
            return True
        since = copy.record.fetched_at
        if at < since - self._rules.floor:
            return True  # the clock was set back: nobody knows how old this is
        if ask.again:
            return at >= since + self._rules.floor
        end = next_update(copy.document)
        return at >= self._rules.due_at(held.place.name, since, end, copy.record.max_age)

    def _serves_on(self, held: Held, at: datetime) -> bool:
        """Whether the copy at hand may serve while a newer one comes."""
        copy = held.copy
        return (
            copy is not None
            and not copy.is_over_at(at)
            and not self._rules.is_overdue(copy.record.fetched_at, at)
        )

    def _refresh_ahead(self, held: Held, at: datetime, ask: Ask) -> None:
        pool = self._pool
        if pool is None:
            self._fly(held, at, ask, wait=False)
        elif not self._flights.is_under_way(held.place):
            quiet = Ask(keys=ask.keys, accept=ask.accept)
            pool.submit(self._fly, held, at, quiet, wait=False)

    # Asking.

    def _fly(self, held: Held, at: datetime, ask: Ask, *, wait: bool) -> CouldNotCheckError | None:
        """Fetch, or wait for who does."""
        return self._flights.fly(
            held.place,
            lambda: self._try(held, at, ask, wait=wait),
            allowance=ask.allowance,
            wait=wait,
        )

    def _try(self, held: Held, at: datetime, ask: Ask, *, wait: bool) -> CouldNotCheckError | None:
        place = held.place
        try:
            with self._process_lock(place, ask, wait=wait) as alone:
                if not alone:
                    return None if held.copy is not None else nothing_yet(place)
                # 1. Somebody may have been faster, here or in another process, with success or without.
                self._shelf.take_over(held)
                if not self._is_due(held, at, ask):
                    return None
                refused = self._failures.find(place, at)
                if refused is not None:
                    return refused
                # 2. Ask, and keep what is better than what we have.
                self._asker.ask(held, at, ask)
        except CouldNotCheckError as exc:
            self._failures.note(place, at, exc)
            return exc
        self._failures.end(place)
        return None

    def _process_lock(self, place: Place, ask: Ask, *, wait: bool) -> AbstractContextManager[bool]:
        if self._folder is None:
            return nullcontext(True)
        seconds = _LOCK_WAIT_S if ask.allowance is None else ask.allowance.left_s(place.url)
        return self._folder.lock(place.name, seconds if wait else 0.0)
