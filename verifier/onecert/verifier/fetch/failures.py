"""Who failed and is left alone for a while: an address, or the whole server when it was not even reached."""

from __future__ import annotations

import logging
from datetime import datetime

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch.documents import Place
from onecert.verifier.fetch.folder import CacheFolder
from onecert.verifier.fetch.records import Failure
from onecert.verifier.fetch.rules import FetchRules

__all__ = ["Failures"]

log = logging.getLogger(__name__)

_SERVER_FAILURES = frozenset({"FETCH_FAILED", "FETCH_TIMEOUT", "FETCH_TLS"})
# These say something about us, not about the address.
_OURS = frozenset({"FETCH_LATER", "FETCH_LIMIT"})


class Failures:
    """In memory, and in the folder when there is one."""

    def __init__(self, rules: FetchRules, folder: CacheFolder | None) -> None:
        self._rules = rules
        self._folder = folder
        self._known: dict[str, Failure] = {}

    def find(self, place: Place, at: datetime) -> CouldNotCheckError | None:
        """``FETCH_LATER``, while the address or its server is not to be asked."""
        for name in (place.name, place.server):
            failure = self._known.get(name)
            if (failure is None or not failure.holds_at(at)) and self._folder is not None:
                failure = self._folder.load_failure(name)
            if failure is not None and failure.holds_at(at):
                return CouldNotCheckError(
                    "FETCH_LATER", url=place.url, retry_at=failure.retry_at, detail=failure.detail
                )
        return None

    def note(self, place: Place, at: datetime, error: CouldNotCheckError) -> None:
        """One more failure."""
        if error.code in _OURS:
            return
        log.warning("not fetched", extra={"url": place.url, "error": str(error)})
        name = place.server if error.code in _SERVER_FAILURES else place.name
        failure = self._rules.failed(self._known.pop(name, None), at, str(error))
        self._known[name] = failure
        while len(self._known) > self._rules.max_documents:
            self._known.pop(next(iter(self._known)), None)
        if self._folder is not None:
            self._folder.store_failure(name, failure)

    def end(self, place: Place) -> None:
        """It has answered."""
        for name in (place.name, place.server):
            self._known.pop(name, None)
            if self._folder is not None:
                self._folder.store_failure(name, None)
