"""The record of issued certificates, from the address where the trust list is published.

Only what a question needs is fetched: the head, the index of one service, one shard. A department none of
whose users come from a CA with the duty to report never asks for anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.fetch.listed import listed_fetch
from onecert.verifier.fetch.records import Failure
from onecert.verifier.fetch.rules import Allowance, FetchRules
from onecert.verifier.fetch.transfer import Fetch, FetchRequest
from onecert.verifier.files import read_regular_file, write_atomically
from onecert.verifier.issuance_parts import PART_MAX_BYTES, PartsReader, part_file
from onecert.verifier.issuance_record import (
    RECORD_FILE,
    RECORD_MAX_BYTES,
    IssuanceRecord,
    IssuanceRecordError,
    load_issuance_record,
)
from onecert.verifier.trust_list.root import TrustRoot

__all__ = ["IssuanceRecordUrl"]

log = logging.getLogger(__name__)

# One question: head, index and shard, and the three once more.
_FETCHES_MAX = 8
_TIME = timedelta(seconds=20)
# A certificate that is not on record may have been issued a moment ago.
_ASKED_AGAIN = timedelta(seconds=30)


class IssuanceRecordUrl:
    """A record that is fetched, with copies in a folder that serve while the network is gone.

    An ``Issuances``; safe to share between threads, and the folder between processes. The head is asked for
    again when ``every`` has passed, and at most every 30 seconds when the record at hand does not have a
    certificate. When that fails, the record at hand is used until its own end.

    Args:
        address: http or https, of the trust list or of the place where all files lie.
        root: what gives the newest trust root, such as ``lambda: source.root`` of a ``TrustListUrl``.
        folder: for the copies.
        fetch: ``listed_fetch()`` by default.
    """

    def __init__(
        self,
        address: str,
        *,
        root: Callable[[], TrustRoot],
        folder: Path | str,
        fetch: Fetch | None = None,
        every: timedelta = timedelta(minutes=10),
    ) -> None:
        self._base = (address.rpartition("/")[0] if address.endswith(".json") else address.rstrip("/")) + "/"
        self._root = root
        self._folder = Path(folder)
        self._fetch = fetch or listed_fetch()
        self._rules = FetchRules(every=every)
        self._name = hashlib.sha256(self._base.encode("utf-8")).hexdigest()
        self._reader = PartsReader()
        self._lock = threading.Lock()
        self._due: tuple[datetime, datetime] | None = None  # the time of the last try, and of the next
        self._failure: Failure | None = None
        self._record: tuple[str, IssuanceRecord] | None = None  # with the root that it was checked by
        self._document: bytes | None = None

    def issued_at(self, service_id: str, certificate_sha256: str, *, at: datetime) -> datetime | None:
        """See ``Issuances``.

        Raises:
            IssuanceRecordError: ISSUANCE_RECORD_MISSING when it cannot be fetched, and as
                ``IssuanceRecordFile``.
        """
        allowance = Allowance(_FETCHES_MAX, _TIME)
        asked_at = self._refresh(at, allowance, soonest=None)
        try:
            found = self._look(service_id, certificate_sha256, at, allowance)
        except IssuanceRecordError:
            # Over, or its parts are published no longer: a newer one may be there.
            if self._refresh(at, allowance, soonest=_ASKED_AGAIN) == asked_at:
                raise
            return self._look(service_id, certificate_sha256, at, allowance)
        if found is None and self._refresh(at, allowance, soonest=_ASKED_AGAIN) != asked_at:
            found = self._look(service_id, certificate_sha256, at, allowance)
        return found

    def _look(self, service_id: str, sha256: str, at: datetime, allowance: Allowance) -> datetime | None:
        record = self._current()
        return self._reader.issued_at(
            record, service_id, sha256, at=at, get=lambda part: self._part(part, allowance)
        )

    def _current(self) -> IssuanceRecord:
        root, document = self._root(), self._document
        if document is None:
            detail = self._failure.detail if self._failure else "not fetched"
            raise IssuanceRecordError("ISSUANCE_RECORD_MISSING", detail=detail)
        if self._record is None or self._record[0] != root.sha256:
            # A newer root may have taken the key's right away.
            self._record = (root.sha256, load_issuance_record(document, root=root))
        return self._record[1]

    def _refresh(self, at: datetime, allowance: Allowance, *, soonest: timedelta | None) -> datetime | None:
        """Fetch the head when it is due, or when the last try is ``soonest`` ago; when it was tried last."""
        due = self._due
        if due is not None and due[0] <= at < (due[1] if soonest is None else due[0] + soonest):
            return due[0]
        # At the start everybody waits; later, whoever comes while one is asking goes on with what is at hand.
        if not self._lock.acquire(blocking=due is None):
            return None if due is None else due[0]
        try:
            if self._due is due:
                if due is None:
                    self._take_kept()
                self._due = (at, self._try(at, allowance))
            return self._due[0] if self._due else None
        finally:
            self._lock.release()

    def _try(self, at: datetime, allowance: Allowance) -> datetime:
        try:
            url = self._base + RECORD_FILE
            request = FetchRequest(url=url, max_bytes=RECORD_MAX_BYTES, timeout=allowance.take(url))
            answer = self._fetch(request)
            record = self._take(answer.data or b"")
        except VerifyError as exc:
            log.warning("issuance record not fetched", extra={"url": self._base, "error": str(exc)})
            self._failure = self._rules.failed(self._failure, at, str(exc))
            return self._failure.retry_at
        self._failure = None
        self._keep(RECORD_FILE, answer.data or b"")
        self._forget_others(record)
        return self._rules.due_at(self._name, at, record.next_update, answer.max_age)

    def _take(self, document: bytes) -> IssuanceRecord:
        root = self._root()
        record = load_issuance_record(document, root=root)
        seen = self._seen()
        if seen is not None:
            record.check_follows(seen)
        self._document, self._record = document, (root.sha256, record)
        return record

    def _seen(self) -> IssuanceRecord | None:
        """The record at hand, unless the keys that signed it have lost their right."""
        with contextlib.suppress(IssuanceRecordError):
            return self._current()
        return None

    def _take_kept(self) -> None:
        with contextlib.suppress(OSError, VerifyError):
            self._take(read_regular_file(self._folder / RECORD_FILE, RECORD_MAX_BYTES))

    def _part(self, sha256: str, allowance: Allowance) -> bytes:
        name = part_file(sha256)
        with contextlib.suppress(OSError):
            data = read_regular_file(self._folder / name, PART_MAX_BYTES)
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        url = self._base + name
        try:
            request = FetchRequest(url=url, max_bytes=PART_MAX_BYTES, timeout=allowance.take(url))
            data = self._fetch(request).data or b""
        except CouldNotCheckError as exc:
            raise IssuanceRecordError("ISSUANCE_RECORD_MISSING", detail=str(exc)[:300]) from exc
        if hashlib.sha256(data).hexdigest() == sha256:
            self._keep(name, data)
        return data

    def _keep(self, name: str, data: bytes) -> None:
        try:
            write_atomically(self._folder / name, data)
        except OSError as exc:  # it is needed only when the network is gone
            log.warning("issuance record not kept", extra={"path": name, "error": str(exc)})

    def _forget_others(self, record: IssuanceRecord) -> None:
        """Remove the copies that the record names no more; one too many is fetched again."""
        named = {part_file(sha256) for sha256 in self._reader.shards_of(record)}
        folder = (self._folder / part_file("0")).parent
        with contextlib.suppress(OSError):
            for path in folder.glob("*.txt"):
                if f"{folder.name}/{path.name}" not in named:
                    path.unlink(missing_ok=True)
