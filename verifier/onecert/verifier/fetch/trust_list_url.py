"""The trust list from the address where it is published, with its root and its timestamp."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from onecert.verifier.errors import VerifyError
from onecert.verifier.fetch.listed import listed_fetch
from onecert.verifier.fetch.records import Failure
from onecert.verifier.fetch.rules import Allowance, FetchRules
from onecert.verifier.fetch.transfer import Fetch, FetchRequest
from onecert.verifier.files import write_atomically
from onecert.verifier.trust_list.folder import files_in
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.published import LIST_FILE, TIMESTAMP_FILE, PublishedTrust, TrustedParts
from onecert.verifier.trust_list.root import TrustRoot
from onecert.verifier.trust_list.state import TrustState

__all__ = ["TrustListUrl", "base_of"]

log = logging.getLogger(__name__)

# One refresh; a walk over more roots goes on with the next one.
_FETCHES_MAX = 64
_TIME = timedelta(seconds=30)


def base_of(address: str) -> str:
    """The place where all files lie, with a slash at its end, for the address of the list or of the place."""
    # The list may have a name of its own; the other files lie beside it.
    return (address.rpartition("/")[0] if address.endswith(".json") else address.rstrip("/")) + "/"


class TrustListUrl:
    """A trust list that is fetched, with copies in a folder that serve while the network is gone.

    It is asked for again when ``every`` has passed, or three quarters of the time up to the end of the
    timestamp. When that fails, or what comes is wrong, the parts at hand are used until their own end, and
    the fetch is tried again after a minute, then at growing intervals. The list itself is fetched only when
    the timestamp names another one. A ``TrustListSource``; safe to share between threads, and the folder and
    the state between processes.

    Args:
        address: http or https, of the list or of the place where all files lie; the department has decided.
        root: the root that a person has compared with the printed fingerprint.
        folder: for the copies; written only with what was checked. ``trust-root.json`` is never written.
        state: apart from what an ordinary update may overwrite.
        fetch: ``listed_fetch()`` by default.
        grace: so long after the end of the timestamp the list is still used, with a warning.
        then: called after each try with the parts at hand and the time, for who fetches what else they name.
    """

    def __init__(
        self,
        address: str,
        *,
        root: TrustRoot,
        folder: Path | str,
        state: TrustState,
        fetch: Fetch | None = None,
        every: timedelta = timedelta(hours=1),
        grace: timedelta = timedelta(0),
        then: Callable[[TrustedParts, datetime], None] | None = None,
    ) -> None:
        self._then = then
        self._base = base_of(address)
        self._list_url = address if address.endswith(".json") else self._base + LIST_FILE
        self._folder = Path(folder)
        self._trust = PublishedTrust(root, state=state, grace=grace)
        self._fetch = fetch or listed_fetch()
        self._rules = FetchRules(every=every)
        self._name = hashlib.sha256(address.encode("utf-8")).hexdigest()
        self._due: tuple[datetime, datetime] | None = None  # the time of the last try, and of the next
        self._failure: Failure | None = None
        self._max_age: timedelta | None = None
        self._lock = threading.Lock()

    @property
    def root(self) -> TrustRoot:
        """The newest root that was walked to."""
        return self._trust.root

    def current(self, at: datetime) -> TrustList:
        """See ``TrustListSource``."""
        self._refresh(at)
        return self._trust.current(at)

    def parts(self, at: datetime) -> TrustedParts:
        """Root, timestamp and list in use, for who reads what else they name.

        Raises:
            VerifyError: as ``current``.
        """
        self._refresh(at)
        return self._trust.parts(at)

    def _refresh(self, at: datetime) -> None:
        due = self._due
        if due is not None and due[0] <= at < due[1]:
            return
        # At the start everybody waits; later, whoever comes while one is asking goes on with what is at hand.
        if not self._lock.acquire(blocking=due is None):
            return
        try:
            if self._due is due:
                self._due = (at, self._try(at, is_first=due is None))
                if self._then is not None:
                    with contextlib.suppress(VerifyError):
                        self._then(self._trust.parts(at), at)
        finally:
            self._lock.release()

    def _try(self, at: datetime, *, is_first: bool) -> datetime:
        """Fetch, and say when to do it again."""
        if is_first:
            self._take_kept(at)  # spares the walk and the list, and serves if nobody answers
        allowance = Allowance(_FETCHES_MAX, _TIME)

        def get(name: str, max_bytes: int) -> bytes:
            return self._get(name, max_bytes, allowance)

        try:
            self._trust.update(get, at, keep=self._keep)
            end = self._trust.parts(at).timestamp.expires_at
        except VerifyError as exc:
            log.warning("trust list not fetched", extra={"url": self._list_url, "error": str(exc)})
            self._take_kept(at)  # another process may have had more luck
            self._failure = self._rules.failed(self._failure, at, str(exc))
            return self._failure.retry_at
        self._failure = None
        return self._rules.due_at(self._name, at, end, self._max_age)

    def _take_kept(self, at: datetime) -> None:
        with contextlib.suppress(VerifyError):
            self._trust.update(files_in(self._folder), at)

    def _get(self, name: str, max_bytes: int, allowance: Allowance) -> bytes:
        url = self._list_url if name == LIST_FILE else self._base + name
        answer = self._fetch(FetchRequest(url=url, max_bytes=max_bytes, timeout=allowance.take(url)))
        if name == TIMESTAMP_FILE:
            self._max_age = answer.max_age
        return answer.data or b""

    def _keep(self, name: str, data: bytes) -> None:
        try:
            write_atomically(self._folder / name, data)
        except OSError as exc:  # it is needed only when the network is gone
            log.warning("trust list not kept", extra={"path": name, "error": str(exc)})
