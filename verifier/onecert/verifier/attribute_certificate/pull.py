"""Attribute certificates pulled from a repository over HTTP: what is live for a holder, when it is needed.

    source = RepositoryClient("https://pmi.city.example/pmi")
    found = source.find(verified.path.target)

An answer is used for ``every`` and then asked for again (with its ETag, so that an unchanged one costs a few
octets). While the repository is away, the last answer counts for ``max_age``; after that nobody can tell.
What comes is unverified like anything from a source: a repository that lies gives nobody anything. Revocation
is not its business: status comes from lists and OCSP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from onecert.verifier.attribute_certificate.credentials import MAX_CERTIFICATES, Credentials
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.fetch.documents import Kind, Place
from onecert.verifier.fetch.flights import Flights
from onecert.verifier.fetch.listed import listed_fetch
from onecert.verifier.fetch.records import Failure
from onecert.verifier.fetch.rules import FetchRules
from onecert.verifier.fetch.transfer import Fetch, FetchRequest
from onecert.verifier.jws import load_json
from onecert.verifier.strict_json import Node, StrictJsonError

__all__ = ["RepositoryAuthority", "RepositoryClient"]

MAX_ANSWER = 16 * 1024 * 1024
_MAX_HOLDERS = 10_000


@dataclass(frozen=True)
class RepositoryAuthority:
    """What the repository says of an authority; its certificate is DER and unverified."""

    name: str
    kind: str
    certificate: bytes
    acrl: str
    ocsp: str


@dataclass(frozen=True)
class _Held:
    """What is known for one holder."""

    credentials: Credentials | None = None
    authorities: tuple[RepositoryAuthority, ...] = ()
    etag: str = ""
    fetched_at: datetime | None = None
    due_at: datetime | None = None
    failure: Failure | None = None


class RepositoryClient:
    """A ``CredentialSource`` on the pull interface of a repository. Safe to share between threads.

    Args:
        address: of the PMI service, http or https; the department has decided.
        fetch: ``listed_fetch()`` by default.
        every: an answer is used so long without asking again; a new grant is seen after it at the latest.
        max_age: so long the last answer counts while the repository cannot be asked.
        now: the clock.
    """

    def __init__(
        self,
        address: str,
        *,
        fetch: Fetch | None = None,
        every: timedelta = timedelta(minutes=1),
        max_age: timedelta = timedelta(hours=24),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._base = address.rstrip("/")
        self._fetch = fetch or listed_fetch()
        self._rules = FetchRules(every=every, retry=min(every, timedelta(seconds=10)), jitter=0.0)
        self._every = every
        self._max_age = max_age
        self._now = now
        self._flights = Flights()
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def find(self, certificate: ParsedCertificate, *, identity: str | None = None) -> Credentials:
        """See ``CredentialSource``.

        Args:
            identity: the holder's canonical id, already verified: finds what names the legal entity itself.

        Raises:
            CouldNotCheckError: ``FETCH_…`` or ``REPOSITORY_ANSWER``: nobody can tell.
        """
        return self._find(certificate, identity).credentials or Credentials()

    def authorities(
        self, certificate: ParsedCertificate, *, identity: str | None = None
    ) -> Sequence[RepositoryAuthority]:
        """The authorities of what ``find`` returns, with where their status is published.

        Raises:
            CouldNotCheckError: as ``find``.
        """
        return self._find(certificate, identity).authorities

    def _find(self, certificate: ParsedCertificate, identity: str | None) -> _Held:
        url = self._url(certificate, identity)
        at = self._now()
        held = self._look(url)
        if held.due_at is None or at >= held.due_at:
            place = Place(url, Kind.CERTIFICATES)
            # Whoever has an answer that may still be used does not wait for another's question.
            usable = self._is_usable(held, at)
            error = self._flights.fly(place, lambda: self._ask(url, at), allowance=None, wait=not usable)
            held = self._look(url)
            if not self._is_usable(held, at):
                raise error or self._failed(held, url)
        elif not self._is_usable(held, at):
            raise self._failed(held, url)
        return held

    def _is_usable(self, held: _Held, at: datetime) -> bool:
        return held.fetched_at is not None and at - held.fetched_at <= self._max_age

    def _failed(self, held: _Held, url: str) -> CouldNotCheckError:
        detail = held.failure.detail if held.failure else "no answer yet"
        return CouldNotCheckError("FETCH_FAILED", url=url, detail=detail)

    def _ask(self, url: str, at: datetime) -> CouldNotCheckError | None:
        held = self._look(url)
        if held.due_at is not None and at < held.due_at:
            return None  # somebody else was faster
        try:
            answer = self._fetch(FetchRequest(url=url, max_bytes=MAX_ANSWER, etag=held.etag))
            if answer.data is None and held.credentials is not None:
                held = replace(held, fetched_at=at, due_at=at + self._every, failure=None)
            else:
                credentials, authorities = _read(answer.data or b"")
                held = _Held(credentials, authorities, answer.etag, at, at + self._every)
        except CouldNotCheckError as exc:
            failure = self._rules.failed(held.failure, at, str(exc))
            self._put(url, replace(held, failure=failure, due_at=failure.retry_at))
            return exc
        self._put(url, held)
        return None

    def _look(self, url: str) -> _Held:
        with self._lock:
            held = self._held.get(url)
            if held is None:
                return _Held()
            self._held.move_to_end(url)
            return held

    def _put(self, url: str, held: _Held) -> None:
        with self._lock:
            self._held[url] = held
            self._held.move_to_end(url)
            if len(self._held) > _MAX_HOLDERS:
                self._held.popitem(last=False)

    def _url(self, certificate: ParsedCertificate, identity: str | None) -> str:
        sha256 = hashlib.sha256(certificate.der).hexdigest()
        key = hashlib.sha256(certificate.spki_der).hexdigest()
        url = f"{self._base}/v1/holders/{sha256}/attribute-certificates?key={key}"
        return f"{url}&entity={quote(identity, safe='')}" if identity else url


def _read(data: bytes) -> tuple[Credentials, tuple[RepositoryAuthority, ...]]:
    try:
        with Node(load_json(data, max_bytes=MAX_ANSWER), "") as node:
            node.text("holder_sha256", max_length=64)
            certificates = tuple(map(_der, node.items("certificates", high=MAX_CERTIFICATES)))
            delegations = []
            for item in node.nodes("delegations", high=MAX_CERTIFICATES):
                with item:
                    delegations.append((_der_of(item, "certificate"), _der_of(item, "holder_certificate")))
            authorities = []
            for item in node.nodes("authorities", high=1000):
                with item:
                    authorities.append(
                        RepositoryAuthority(
                            item.text("name", max_length=64),
                            item.text("kind", max_length=16),
                            _der_of(item, "certificate"),
                            item.text("acrl"),
                            item.text("ocsp"),
                        )
                    )
        credentials = Credentials(certificates=certificates, delegations=tuple(delegations))
    except (StrictJsonError, VerifyError, ValueError) as exc:
        raise CouldNotCheckError("REPOSITORY_ANSWER", detail=str(exc)[:200]) from exc
    return credentials, tuple(authorities)


def _der_of(node: Node, key: str) -> bytes:
    return _der(node.text(key, max_length=128 * 1024))


def _der(text: object) -> bytes:
    try:
        if not isinstance(text, str):
            raise ValueError("not a text")
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as exc:
        raise StrictJsonError("certificate", "is not base64") from exc
