"""One request for one document: sent, read, and kept when it is better than the one at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.fetch.documents import Document, Place, check_may_replace, load_document
from onecert.verifier.fetch.records import Record, sha256_hex
from onecert.verifier.fetch.rules import Allowance
from onecert.verifier.fetch.shelf import Copy, Held, Shelf
from onecert.verifier.fetch.transfer import Fetch, FetchAnswer, FetchRequest
from onecert.verifier.limits import Limits
from onecert.verifier.signatures import PublicKey

__all__ = ["Ask", "Asker"]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """How a document is asked for.

    Args:
        keys: of the authority whose list is expected; a list that one of them has signed gives way only to
            another such list.
        accept: raises a ``VerifyError`` when what came is not what was asked for.
        allowance: bounds what is spent on the network.
        again: the copy at hand did not do: fetch, and take what comes for it.
    """

    keys: Sequence[PublicKey] = ()
    accept: Callable[[Document], None] | None = None
    allowance: Allowance | None = None
    again: bool = False


class Asker:
    """Uses ``fetch``, which may be of somebody else's making, and puts what came on the shelf."""

    def __init__(self, fetch: Fetch, shelf: Shelf, limits: Limits) -> None:
        self._fetch = fetch
        self._shelf = shelf
        self._limits = limits

    def ask(self, held: Held, at: datetime, ask: Ask) -> None:
        """Ask for a document, conditionally when there is a copy, and keep what is better than what we have.

        Raises:
            CouldNotCheckError: ``FETCH_…``: nothing came, or nothing that may take the place of ours.
        """
        place, known = held.place, held.copy
        conditional = None if known is None or place.request or ask.again else known.record
        answer = self._send(place, ask, conditional=conditional, body=place.request or None)
        if answer.data is None and known is not None and conditional is not None:
            record = _record(place, at, conditional.sha256, answer, conditional)
            self._shelf.keep(held, Copy(known.document, record), None)
            return
        digest = sha256_hex(answer.data or b"")
        if known is not None and known.record.sha256 == digest:
            self._shelf.keep(held, Copy(known.document, _record(place, at, digest, answer)), None)
            return
        document = self._read(place, answer, ask)
        # What did not do keeps nothing out.
        before = None if known is None or ask.again else known.document
        try:
            check_may_replace(document, before, keys=ask.keys or held.keys, at=at)
        except VerifyError as exc:
            raise CouldNotCheckError("FETCH_OLDER", url=place.url, detail=str(exc)) from exc
        self._shelf.keep(held, Copy(document, _record(place, at, digest, answer)), answer.data)

    def ask_once(self, place: Place, body: bytes, ask: Ask) -> Document:
        """Ask with this body and keep nothing.

        Raises:
            CouldNotCheckError: ``FETCH_…``.
        """
        return self._read(place, self._send(place, ask, body=body), ask)

    def _send(
        self, place: Place, ask: Ask, *, conditional: Record | None = None, body: bytes | None
    ) -> FetchAnswer:
        request = FetchRequest(
            url=place.url,
            max_bytes=place.kind.max_bytes(self._limits),
            body=body,
            content_type="" if body is None else "application/ocsp-request",
            etag=conditional.etag if conditional else "",
            last_modified=conditional.last_modified if conditional else "",
            timeout=None if ask.allowance is None else ask.allowance.take(place.url),
        )
        try:
            return self._fetch(request)
        except CouldNotCheckError:
            raise
        except Exception as exc:  # a Fetch of somebody else's making
            raise CouldNotCheckError("FETCH_FAILED", url=place.url, detail=str(exc)[:200]) from exc

    def _read(self, place: Place, answer: FetchAnswer, ask: Ask) -> Document:
        try:
            document = load_document(place.kind, answer.data or b"", self._limits)
            if ask.accept is not None:
                ask.accept(document)
        except VerifyError as exc:
            detail = f"{exc} ({answer.content_type})" if answer.content_type else str(exc)
            raise CouldNotCheckError(
                "FETCH_UNREADABLE", url=place.url, kind=place.kind.value, detail=detail
            ) from exc
        return document


def _record(
    place: Place, at: datetime, digest: str, answer: FetchAnswer, said: Record | None = None
) -> Record:
    """``said`` is the record that a 304 confirms: its server may leave out what it has said before."""
    max_age_s = None if answer.max_age is None else int(answer.max_age.total_seconds())
    return Record(
        url=place.url,
        kind=place.kind.value,
        fetched_at=at,
        sha256=digest,
        etag=answer.etag or (said.etag if said else ""),
        last_modified=answer.last_modified or (said.last_modified if said else ""),
        max_age_s=said.max_age_s if max_age_s is None and said else max_age_s,
    )
