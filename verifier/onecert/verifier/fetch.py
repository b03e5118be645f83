"""Fetching lists and answers over the network, for departments that want it; nothing here is used by default.

Only addresses of the signed trust list are asked, never those in a certificate that somebody presents: such
an address could point anywhere inside a department's network. Size and time are bounded.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.evidence import CrlFolder
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.revocation import OcspResponse, RevocationEvidence, load_crl, load_ocsp
from onecert.verifier.trust_list.load import ListKeys, TrustListFile
from onecert.verifier.trust_list.model import TrustedService, TrustList
from onecert.verifier.trust_list.state import TrustListState
from onecert.verifier.trust_list.vocabulary import MAX_BYTES, SupplyKind

__all__ = ["CrlFetcher", "Fetch", "HttpFetch", "TrustListUrl"]

log = logging.getLogger(__name__)

_RETRY = timedelta(minutes=1)


class Fetch(Protocol):
    """Gets or posts; raises ``CouldNotCheckError`` (FETCH_FAILED) for every failure."""

    def __call__(
        self, url: str, *, max_bytes: int, body: bytes | None = None, content_type: str = ""
    ) -> bytes: ...


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow nothing: the list says where to look, not some server. The 3xx answer becomes an HTTPError."""

    def redirect_request(self, *_: object) -> None:
        return None


class HttpFetch:
    """http and https by ``urllib``; no redirects; the whole transfer within ``timeout``."""

    def __init__(self, timeout: timedelta = timedelta(seconds=10)) -> None:
        self._timeout_s = timeout.total_seconds()
        self._opener = urllib.request.build_opener(_NoRedirect())

    def __call__(
        self, url: str, *, max_bytes: int, body: bytes | None = None, content_type: str = ""
    ) -> bytes:
        """See ``Fetch``."""
        if not url.startswith(("http://", "https://")):
            raise CouldNotCheckError("FETCH_FAILED", url=url, detail="only http and https")
        headers = {"User-Agent": "onecert-verifier", "Accept": "*/*"}
        if content_type:
            headers["Content-Type"] = content_type
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310  checked above
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                chunks: list[bytes] = []
                size = 0
                while chunk := response.read1(65536):
                    size += len(chunk)
                    if size > max_bytes:
                        raise CouldNotCheckError(
                            "FETCH_FAILED", url=url, detail=f"more than {max_bytes} bytes"
                        )
                    if time.monotonic() > deadline:
                        raise CouldNotCheckError("FETCH_FAILED", url=url, detail="too slow")
                    chunks.append(chunk)
                return b"".join(chunks)
        except (OSError, ValueError, urllib.error.URLError) as exc:
            raise CouldNotCheckError("FETCH_FAILED", url=url, detail=str(exc)[:200]) from exc
        except Exception as exc:  # http.client raises its own classes for broken answers
            if isinstance(exc, CouldNotCheckError):
                raise
            raise CouldNotCheckError("FETCH_FAILED", url=url, detail=type(exc).__name__) from exc


class CrlFetcher:
    """Keeps a folder fresh from the supply points of the trust list, and asks OCSP when wanted.

    Args:
        folder: cache; survives restarts, and serves while the network is gone and the lists are fresh.
        every: how often the lists are fetched.
        use_ocsp: also ask the OCSP service of the CA for each certificate.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fetch: Fetch | None = None,
        every: timedelta = timedelta(minutes=10),
        use_ocsp: bool = False,
    ) -> None:
        self._folder = folder
        self._fetch = fetch or HttpFetch()
        self._every = every
        self._use_ocsp = use_ocsp
        self._lists = CrlFolder(folder)
        self._lock = threading.Lock()
        self._fetched_at: datetime | None = None
        self._fetched_for = 0

    def lists(self, trust_list: TrustList, at: datetime) -> RevocationEvidence:
        """See ``EvidenceSource``."""
        due = self._fetched_at is None or not self._fetched_at <= at < self._fetched_at + self._every
        # One thread fetches; the others go on with what is there.
        if (due or trust_list.sequence != self._fetched_for) and self._lock.acquire(blocking=False):
            try:
                self.fetch_all(trust_list)
                self._fetched_at, self._fetched_for = at, trust_list.sequence
                self._lists.refresh(at, now=True)
            finally:
                self._lock.release()
        return self._lists.lists(trust_list, at)

    def fetch_all(self, trust_list: TrustList) -> list[CouldNotCheckError]:
        """Fetch every list now; what failed is logged and returned, older copies stay."""
        failures: list[CouldNotCheckError] = []
        for service in trust_list.services:
            for url in service.urls(SupplyKind.CRL):
                try:
                    data = self._fetch(url, max_bytes=DEFAULT_LIMITS.crl_max_bytes)
                    load_crl(data)  # only a list replaces a list
                    write_atomically(self._folder / _file_name(url, ".crl"), data)
                except CouldNotCheckError as exc:
                    failures.append(exc)
                except (OSError, MalformedError) as exc:
                    failures.append(CouldNotCheckError("FETCH_FAILED", url=url, detail=str(exc)[:200]))
        for failure in failures:
            log.warning("revocation list not fetched", extra={"error": str(failure)})
        return failures

    def answers(
        self, target: ParsedCertificate, trust_list: TrustList, at: datetime
    ) -> Sequence[OcspResponse]:
        """See ``EvidenceSource``."""
        if not self._use_ocsp:
            return ()
        found: list[OcspResponse] = []
        for service in trust_list.services:
            if service.certificates[0].subject != target.issuer:
                continue
            for url in service.urls(SupplyKind.OCSP):
                try:
                    found.append(ask_ocsp(self._fetch, url, target, service))
                    break
                except (CouldNotCheckError, MalformedError) as exc:
                    log.warning("OCSP not answered", extra={"url": url, "error": str(exc)})
        return found


def ask_ocsp(fetch: Fetch, url: str, target: ParsedCertificate, service: TrustedService) -> OcspResponse:
    """Ask one responder about one certificate (RFC 6960, appendix A.1, POST).

    Raises:
        CouldNotCheckError, MalformedError: no answer, or not one that can be read.
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        target.certificate,
        service.certificates[0].certificate,
        hashes.SHA1(),  # noqa: S303  RFC 5019, section 2.1.1: the CertID hash that every responder knows
    )
    request = builder.build().public_bytes(serialization.Encoding.DER)
    data = fetch(
        url,
        max_bytes=DEFAULT_LIMITS.ocsp_max_bytes,
        body=request,
        content_type="application/ocsp-request",
    )
    return load_ocsp(data)


class TrustListUrl:
    """A trust list that is fetched into a file and read from there.

    It is fetched again when ``every`` has passed. When that fails, or what comes is wrong, the one at hand is
    used until its own end, and the fetch is tried again after a minute.
    """

    def __init__(
        self,
        url: str,
        *,
        cache: Path,
        keys: ListKeys,
        state: TrustListState,
        fetch: Fetch | None = None,
        every: timedelta = timedelta(hours=1),
    ) -> None:
        self._url = url
        self._cache = cache
        self._fetch = fetch or HttpFetch()
        self._every = every
        self._file = TrustListFile(cache, keys=keys, state=state)
        self._due: tuple[datetime, datetime] | None = None  # the time of the last try, and of the next
        self._lock = threading.Lock()

    def current(self, at: datetime) -> TrustList:
        """See ``TrustListSource``."""
        due = self._due
        if due is None or not due[0] <= at < due[1]:
            with self._lock:
                if self._due is due:
                    self._due = (at, at + (self._every if self._try(at) else min(self._every, _RETRY)))
        return self._file.current(at)

    def _try(self, at: datetime) -> bool:
        try:
            data = self._fetch(self._url, max_bytes=MAX_BYTES)
            self._file.check(data, at)  # a wrong list must not replace a good one
            write_atomically(self._cache, data)
        except (VerifyError, OSError) as exc:
            log.warning("trust list not fetched", extra={"url": self._url, "error": str(exc)})
            return False
        return True


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file so that a reader sees the old or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".fetch-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _file_name(url: str, suffix: str) -> str:
    return hashlib.sha256(url.encode("utf-8")).hexdigest()[:32] + suffix
