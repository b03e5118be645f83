"""OCSP without database, token or CA: from the answers in a status folder, and a signer if one is there.

What is in the folder is served from it. A nonce, several questions in one, a serial that has no answer (yet,
or because nothing of that number was ever issued) and an unusual hash are passed on to the signer: only a key
can say “unknown”. Without a signer's answer nobody is told anything that is not signed: a request with a
nonce may be answered without it (RFC 9654, section 2.1), the rest gets `tryLater`, or `unauthorized` where
there is no signer at all (RFC 5019, section 2.2.3: not capable of responding authoritatively).
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from cryptography import x509
from prometheus_client import Counter

from onecert.ca.der import DerError
from onecert.ca.errors import UnknownAuthorityError
from onecert.ca.ocsp.messages import IssuerHashes, ResponseStatus, load_request, refusal
from onecert.ca.ocsp.prepared_answers import FILE_NAME, PreparedAnswers
from onecert.ca.ocsp.ready_answers import ReadyAnswers
from onecert.ca.ocsp.stored_answers import OcspAnswer, StoredAnswers
from onecert.ca.signatures.algorithms import spki_der
from onecert.ca.signatures.public_keys import key_of_certificate
from onecert.ca.status.files import StatusFiles
from onecert.server import metrics

__all__ = ["FolderAnswers", "LiveSigner"]

log = logging.getLogger(__name__)

_answers = Counter(
    "onecert_ca_status_ocsp_answers",
    "OCSP answers of this status process by where they come from",
    ["source"],
    registry=metrics.registry,
)


class LiveSigner(Protocol):
    """Where answers are signed when they are asked for."""

    def answer(self, authority: str, request_der: bytes) -> OcspAnswer | None:
        """A signed answer; None when there is none in time."""
        ...


class FolderAnswers:
    """Answers OCSP requests from a status folder.

    Args:
        seconds: the same moment in seconds since 1970, where it can be told quicker.
        signer: is asked what the folder does not know; None: there is none.
        without_nonce: answer a request with a nonce from the folder while the signer is away.
    """

    def __init__(
        self,
        files: StatusFiles,
        now: Callable[[], datetime],
        *,
        seconds: Callable[[], float] | None = None,
        signer: LiveSigner | None = None,
        without_nonce: bool = True,
    ) -> None:
        self._files = files
        self._signer = signer
        self._without_nonce = without_nonce
        self._seconds = seconds or (lambda: now().timestamp())
        self._names: dict[str, tuple[tuple[int, int], IssuerHashes]] = {}
        store = PreparedAnswers(files.folder / FILE_NAME, read_only=True)
        self._stored = StoredAnswers(store, now, hashes_of=self._hashes_of)
        self._ready = ReadyAnswers(files.folder, store)
        # What is handed out from memory is counted here, and brought to the counter once a second: to count
        # costs as much there as everything else about such an answer.
        self._handed_out, self._counted_at = itertools.count(1), -1
        self._from_folder, self._from_signer, self._refused = (
            _answers.labels(source) for source in ("folder", "signer", "refused")
        )

    def answer(self, authority: str, request_der: bytes) -> OcspAnswer:
        """Answer one request; whatever goes wrong is an OCSP answer too.

        Raises:
            UnknownAuthorityError: the folder has no such authority.
        """
        at = int(self._seconds())
        found = self._ready.find(authority, request_der, at)
        if found is not None:
            if at != self._counted_at:
                self._counted_at = at
                self._count()
            next(self._handed_out)
            return found
        change = self._ready.change()
        found = self._stored.find(authority, request_der)
        if found is not None:
            self._from_folder.inc()
            self._ready.keep(authority, request_der, found, change=change)
            return found
        if self._hashes_of(authority) is None:
            raise UnknownAuthorityError(authority)
        try:
            request = load_request(request_der)
        except DerError:
            return self._refusal(ResponseStatus.MALFORMED_REQUEST)
        if self._signer is not None:
            live = self._signer.answer(authority, request_der)
            if live is not None:
                self._from_signer.inc()
                return live
        if len(request.cert_ids) == 1 and (request.nonce_value_der is None or self._without_nonce):
            found = self._stored.find_for(authority, request.cert_ids[0])
            if found is not None:
                self._from_folder.inc()
                # What was not asked for in this form is not for caches.
                return OcspAnswer(der=found.der)
        return self._refusal(
            ResponseStatus.UNAUTHORIZED if self._signer is None else ResponseStatus.TRY_LATER
        )

    def _count(self) -> None:
        number = next(self._handed_out) - 1
        self._handed_out = itertools.count(1)
        self._from_folder.inc(number)

    def _refusal(self, status: ResponseStatus) -> OcspAnswer:
        self._refused.inc()
        return OcspAnswer(der=refusal(status))

    def _hashes_of(self, authority: str) -> IssuerHashes | None:
        """Name an issuer by its certificate in the folder, read again when it changes."""
        path = self._files.path(authority, "cer")
        try:
            found = os.stat(path)
            identity = (found.st_ino, found.st_mtime_ns)
            known = self._names.get(authority)
            if known is None or known[0] != identity:
                certificate = x509.load_der_x509_certificate(path.read_bytes())
                names = IssuerHashes(
                    certificate.subject.public_bytes(),
                    spki_der(key_of_certificate(certificate)),
                )
                known = self._names[authority] = (identity, names)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            log.exception("certificate of an authority not readable", extra={"authority": authority})
            kept = self._names.get(authority)
            return kept[1] if kept else None
        return known[1]
