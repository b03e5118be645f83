"""What was fetched, kept fresh: fetched once for all threads and processes, ahead of its end.

A copy at hand serves while the newer one comes, and goes on serving when it does not come; whether it is
still good enough is decided where it is used. A server that fails is left alone for a while.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.fetch.documents import (
    Document,
    Kind,
    Place,
    check_may_replace,
    load_document,
    next_update,
    size_of,
)
from onecert.verifier.fetch.fetched_evidence import FetchedEvidence
from onecert.verifier.fetch.folder import CacheFolder, Failure, Record, sha256_hex
from onecert.verifier.fetch.http import HttpFetch
from onecert.verifier.fetch.rules import Allowance, FetchRules
from onecert.verifier.fetch.transfer import Fetch, FetchAnswer, FetchRequest
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.revocation import Crl
from onecert.verifier.signatures import PublicKey

__all__ = ["Ask", "FetchCache"]

log = logging.getLogger(__name__)

# Failures to reach a server concern everything it has.
_SERVER_FAILURES = frozenset({"FETCH_FAILED", "FETCH_TIMEOUT", "FETCH_TLS"})
_LOCK_WAIT_S = 15.0
_WORKERS = 2
_LOOK_EVERY = timedelta(seconds=1)
# What a caller spends at most on lists that are due for others.
_REFRESH_TIME = timedelta(seconds=20)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """How a document is asked for.

    Args:
        keys: of the authority whose list is expected; a list that one of them has signed gives way only to
            another such list.
        accept: raises a ``VerifyError`` when a document is not what was asked for.
        allowance: bounds what is spent on the network.
        again: the copy at hand did not do: fetch, and take what comes for it.
        body: sent instead of the request of the place (with a nonce, for instance); implies ``again``.
    """

    keys: Sequence[PublicKey] = ()
    accept: Callable[[Document], None] | None = None
    allowance: Allowance | None = None
    again: bool = False
    body: bytes | None = None


_PLAIN = Ask()


@dataclass
class _Held:
    """One place and what is known of it; changed only by the flight that fetches it."""

    place: Place
    document: Document | None = None
    record: Record | None = None
    keys: Sequence[PublicKey] = ()
    tries: int = 0


@dataclass
class _Flight:
    done: threading.Event = field(default_factory=threading.Event)
    error: CouldNotCheckError | None = None


class FetchCache:
    """Fetches documents and keeps them in memory, and in a folder when there is one.

    Safe to share between threads; the folder between processes. ``evidence`` holds all lists at hand.

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
        self.evidence = FetchedEvidence()
        self._fetch = fetch or HttpFetch()
        self._rules = rules or FetchRules()
        self._limits = limits
        self._folder = None
        if folder is not None:
            self._folder = CacheFolder(
                folder, max_bytes=self._rules.max_bytes, max_documents=self._rules.max_documents
            )
        self._pool = ThreadPoolExecutor(_WORKERS, "onecert-fetch") if background else None
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._flights: dict[str, _Flight] = {}
        self._failures: dict[str, Failure] = {}
        self._looked_at: datetime | None = None

    def close(self) -> None:
        """End the background threads."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.shutdown(cancel_futures=True)

    def get(self, place: Place, at: datetime, ask: Ask = _PLAIN) -> Document:
        """The document of a place: the one at hand, or fetched when that is missing or due.

        Raises:
            CouldNotCheckError: ``FETCH_…``: there is none. When there is an older copy it is returned, and
                the failure goes to the log.
        """
        held = self._find(place)
        if ask.keys:
            held.keys = ask.keys
        tries = held.tries
        if self._is_due(held, at, ask):
            self._take_over(held, at)
        if not self._is_due(held, at, ask):
            assert held.document is not None  # noqa: S101  else it is due
            return held.document
        at_hand = held.document is not None and not ask.again and ask.body is None
        if at_hand and not self._is_over(held, at):
            self._refresh_ahead(held, tries, at, ask)
        else:
            error = self._fly(held, tries, at, ask, wait=True)
            if error is not None and (held.document is None or ask.body is not None):
                raise error
        assert held.document is not None  # noqa: S101  a flight brings a document or an error
        return held.document

    def forget(self, place: Place) -> None:
        """Hold a document no longer; what the folder has stays there."""
        with self._lock:
            self._held.pop(place.name, None)
        self.evidence.put(place.name, None)

    def held(self, place: Place) -> Document | None:
        """The copy at hand, if any, however old; asks nobody."""
        return self._find(place).document

    def keep_fresh(self, at: datetime) -> None:
        """Refresh the lists that are due, at most once a second; in the background if there is one."""
        look_every = min(_LOOK_EVERY, self._rules.every / 4)
        last = self._looked_at
        if last is not None and last <= at < last + look_every:
            return
        self._looked_at = at
        allowance = Allowance(self._rules.max_documents, _REFRESH_TIME)
        for held in self._lists():
            if self._is_due(held, at, _PLAIN):
                self._take_over(held, at)
                if self._is_due(held, at, _PLAIN):
                    self._refresh_ahead(held, held.tries, at, Ask(keys=held.keys, allowance=allowance))

    def refresh(self, at: datetime) -> list[CouldNotCheckError]:
        """Refresh all lists that are due, now and here; what failed is returned."""
        failures = [
            self._fly(held, held.tries, at, Ask(keys=held.keys), wait=True)
            for held in self._lists()
            if self._is_due(held, at, _PLAIN)
        ]
        return [failure for failure in failures if failure is not None]

    # What is at hand.

    def _find(self, place: Place) -> _Held:
        name = place.name
        with self._lock:
            held = self._held.get(name)
            if held is not None:
                self._held.move_to_end(name)
                return held
        held = _Held(place)
        self._load(held)
        with self._lock:
            held = self._held.setdefault(name, held)
            self._held.move_to_end(name)
        self._publish(held)
        self._bound()
        return held

    def _load(self, held: _Held) -> bool:
        """Take what the folder has, if it is newer than what we have."""
        place = held.place
        record = self._folder.load_record(place.name) if self._folder else None
        if record is None or self._folder is None or record.kind != place.kind:
            return False
        if held.record is not None and record.fetched_at <= held.record.fetched_at:
            return False
        document = held.document
        if held.record is None or held.record.sha256 != record.sha256:
            data = self._folder.load_data(place.name, place.kind, place.kind.max_bytes(self._limits))
            if data is None or sha256_hex(data) != record.sha256:
                return False
            try:
                document = load_document(place.kind, data, self._limits)
                check_may_replace(document, held.document, keys=held.keys, at=record.fetched_at)
            except VerifyError:
                return False
        held.document, held.record = document, record
        return True

    def _take_over(self, held: _Held, at: datetime) -> None:
        """Another process may have fetched it. Its clock is not believed: no record from the future."""
        before = held.document, held.record
        if self._load(held):
            assert held.record is not None  # noqa: S101  just loaded
            if held.record.fetched_at > at + self._rules.floor:
                held.document, held.record = before
                return
            held.tries += 1
            self._publish(held)

    def _publish(self, held: _Held) -> None:
        if isinstance(held.document, Crl):
            self.evidence.put(held.place.name, held.document)

    def _bound(self) -> None:
        with self._lock:
            dropped: list[_Held] = []
            total = sum(size_of(held.document) for held in self._held.values() if held.document is not None)
            while len(self._held) > 1 and (
                total > self._rules.max_bytes or len(self._held) > self._rules.max_documents
            ):
                _, held = self._held.popitem(last=False)
                total -= size_of(held.document) if held.document is not None else 0
                dropped.append(held)
            while len(self._failures) > self._rules.max_documents:
                self._failures.pop(next(iter(self._failures)))
        for held in dropped:
            self.evidence.put(held.place.name, None)

    def _lists(self) -> list[_Held]:
        with self._lock:
            return [held for held in self._held.values() if held.place.kind is Kind.CRL]

    # When to ask.

    def _is_due(self, held: _Held, at: datetime, ask: Ask) -> bool:
        record = held.record
        if held.document is None or record is None or ask.body is not None:
            return True
        if at < record.fetched_at - self._rules.floor:
            return True  # the clock was set back: nobody knows how old this is
        if ask.again:
            return at >= record.fetched_at + self._rules.floor
        end = next_update(held.document)
        return at >= self._rules.due_at(held.place.name, record.fetched_at, end, record.max_age)

    def _is_over(self, held: _Held, at: datetime) -> bool:
        end = None if held.document is None else next_update(held.document)
        return end is not None and at >= end

    def _refresh_ahead(self, held: _Held, tries: int, at: datetime, ask: Ask) -> None:
        if self._pool is None:
            self._fly(held, tries, at, ask, wait=False)
        elif held.place.name not in self._flights:
            quiet = Ask(keys=ask.keys, accept=ask.accept)
            self._pool.submit(self._fly, held, tries, at, quiet, wait=False)

    def _find_failure(self, name: str, at: datetime) -> Failure | None:
        failure = self._failures.get(name)
        if failure is not None and failure.holds_at(at):
            return failure
        failure = self._folder.load_failure(name) if self._folder is not None else None
        return failure if failure is not None and failure.holds_at(at) else None

    # Asking: one flight for each place.

    def _fly(
        self, held: _Held, tries: int, at: datetime, ask: Ask, *, wait: bool
    ) -> CouldNotCheckError | None:
        """Fetch, or wait for who does.

        Args:
            tries: how often it had been tried when the caller decided; if somebody has tried since, that
                counts.
        """
        name = held.place.name
        with self._lock:
            flight = self._flights.get(name)
            mine = flight is None
            if flight is None:
                flight = self._flights[name] = _Flight()
        if not mine:
            error = self._wait(held.place, flight, ask) if wait else None
            if error is not None and error.code == "FETCH_LIMIT" and flight.error is error:
                return self._fly(held, tries, at, ask, wait=True)  # it was not our limit
            return error
        try:
            flight.error = self._try(held, tries, at, ask, wait=wait)
        except BaseException:
            flight.error = CouldNotCheckError("FETCH_FAILED", url=held.place.url, detail="interrupted")
            raise
        finally:
            with self._lock:
                del self._flights[name]
            flight.done.set()
        return flight.error

    def _wait(self, place: Place, flight: _Flight, ask: Ask) -> CouldNotCheckError | None:
        try:
            seconds = None if ask.allowance is None else ask.allowance.left_s(place.url)
        except CouldNotCheckError as exc:
            return exc
        if not flight.done.wait(seconds):
            return CouldNotCheckError("FETCH_TIMEOUT", url=place.url, seconds=seconds)
        return flight.error

    def _try(
        self, held: _Held, tries: int, at: datetime, ask: Ask, *, wait: bool
    ) -> CouldNotCheckError | None:
        place = held.place
        if held.tries != tries and ask.body is None:
            return self._missing(held, at)
        try:
            with self._process_lock(place, ask, wait=wait) as alone:
                if not alone:
                    return self._missing(held, at)
                # 1. Another process may have been faster, with success or without.
                self._take_over(held, at)
                if not self._is_due(held, at, ask):
                    return None
                refused = self._later(place, at)
                if refused is not None:
                    return refused
                # 2. Ask, and keep what is better than what we have.
                self._ask(held, at, ask)
        except CouldNotCheckError as exc:
            if exc.code != "FETCH_LIMIT":
                held.tries += 1
                self._note_failure(place, at, exc)
            return exc
        self._bound()
        return None

    def _process_lock(self, place: Place, ask: Ask, *, wait: bool) -> AbstractContextManager[bool]:
        if self._folder is None:
            return nullcontext(True)
        seconds = _LOCK_WAIT_S if ask.allowance is None else ask.allowance.left_s(place.url)
        return self._folder.lock(place.name, seconds if wait else 0.0)

    def _later(self, place: Place, at: datetime) -> CouldNotCheckError | None:
        for name in (place.name, place.server):
            failure = self._find_failure(name, at)
            if failure is not None:
                return CouldNotCheckError(
                    "FETCH_LATER", url=place.url, retry_at=failure.retry_at, detail=failure.detail
                )
        return None

    def _missing(self, held: _Held, at: datetime) -> CouldNotCheckError | None:
        """Somebody else has tried, or still does: is there something for us?"""
        if held.document is not None:
            return None
        return self._later(held.place, at) or CouldNotCheckError(
            "FETCH_FAILED", url=held.place.url, detail="another process is asking and has no answer yet"
        )

    def _ask(self, held: _Held, at: datetime, ask: Ask) -> None:
        place, record = held.place, held.record
        body = ask.body or place.request or None
        conditional = record if body is None and held.document is not None and not ask.again else None
        request = FetchRequest(
            url=place.url,
            max_bytes=place.kind.max_bytes(self._limits),
            body=body,
            content_type="application/ocsp-request" if body is not None else "",
            etag=conditional.etag if conditional else "",
            last_modified=conditional.last_modified if conditional else "",
            timeout=None if ask.allowance is None else ask.allowance.take(place.url),
        )
        try:
            answer = self._fetch(request)
        except CouldNotCheckError:
            raise
        except Exception as exc:  # a Fetch of somebody else's making
            raise CouldNotCheckError("FETCH_FAILED", url=place.url, detail=str(exc)[:200]) from exc
        if answer.data is None:
            if conditional is None:
                raise CouldNotCheckError("FETCH_UNREADABLE", url=place.url, kind=place.kind, detail="no data")
            digest = conditional.sha256
        else:
            digest = sha256_hex(answer.data)
            if record is None or digest != record.sha256:
                held.document = self._read(held, answer, answer.data, at, ask)
        held.record = _make_record(place, at, digest, answer, conditional)
        held.tries += 1
        self._publish(held)
        self._keep(held, answer.data, record)

    def _read(self, held: _Held, answer: FetchAnswer, data: bytes, at: datetime, ask: Ask) -> Document:
        """The new document, if it may take the place of the one at hand."""
        place = held.place
        try:
            document = load_document(place.kind, data, self._limits)
            if ask.accept is not None:
                ask.accept(document)
        except VerifyError as exc:
            detail = f"{exc} ({answer.content_type})" if answer.content_type else str(exc)
            raise CouldNotCheckError(
                "FETCH_UNREADABLE", url=place.url, kind=place.kind.value, detail=detail
            ) from exc
        # What did not do keeps nothing out.
        known = None if ask.again or ask.body is not None else held.document
        try:
            check_may_replace(document, known, keys=ask.keys or held.keys, at=at)
        except VerifyError as exc:
            raise CouldNotCheckError("FETCH_OLDER", url=place.url, detail=str(exc)) from exc
        return document

    def _keep(self, held: _Held, data: bytes | None, before: Record | None) -> None:
        assert held.record is not None  # noqa: S101  just made
        names = (held.place.name, held.place.server)
        for name in names:
            self._failures.pop(name, None)
        if self._folder is None:
            return
        changed = before is None or before.sha256 != held.record.sha256
        self._folder.store(held.place.name, held.record, data if changed else None)
        for name in names:
            self._folder.store_failure(name, None)

    def _note_failure(self, place: Place, at: datetime, error: CouldNotCheckError) -> None:
        if error.code == "FETCH_LATER":
            return
        log.warning("not fetched", extra={"url": place.url, "error": str(error)})
        name = place.server if error.code in _SERVER_FAILURES else place.name
        failure = self._rules.failed(self._failures.get(name), at, f"{error.code} {error.text('en')}")
        self._failures[name] = failure
        if self._folder is not None:
            self._folder.store_failure(name, failure)


def _make_record(
    place: Place, at: datetime, digest: str, answer: FetchAnswer, before: Record | None
) -> Record:
    """With 304 the server may leave out what it has said before."""
    said = before if answer.data is None else None
    max_age = answer.max_age
    if max_age is None and said is not None:
        max_age = said.max_age
    return Record(
        url=place.url,
        kind=place.kind.value,
        fetched_at=at,
        sha256=digest,
        etag=answer.etag or (said.etag if said else ""),
        last_modified=answer.last_modified or (said.last_modified if said else ""),
        max_age_s=None if max_age is None else int(max_age.total_seconds()),
    )
