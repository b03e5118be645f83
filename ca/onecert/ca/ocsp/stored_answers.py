"""From the bytes of an OCSP request to an answer that was signed ahead, in any process.

Nearly every request is the same DER around a serial: it is recognised by its bytes and costs one look-up.
What else was asked is read by the strict parser.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from onecert.ca import der
from onecert.ca.ocsp.messages import CertId, IssuerHashes, successful
from onecert.ca.ocsp.prepared_answers import Found, PreparedAnswers
from onecert.ca.signatures.algorithms import algorithm_of, signed
from onecert.ca.signatures.public_keys import key_of_certificate

__all__ = ["AnswerFrame", "OcspAnswer", "StoredAnswers"]

log = logging.getLogger(__name__)

# An answer may be a little younger than this machine's clock, which need not be that of the signer.
CLOCK_TOLERANCE_S = 60
READ_ERRORS = (sqlite3.Error, ValueError, TypeError, OverflowError, OSError)


@dataclass(frozen=True, kw_only=True, slots=True)
class OcspAnswer:
    """Bytes to send, and until when a cache may keep them, in seconds since 1970; None: not at all."""

    der: bytes
    next_update: int | None = None
    this_update: int | None = None


class AnswerFrame:
    """What stands around the signed data and the signature in every answer of one responder."""

    def __init__(self, responder_der: bytes) -> None:
        self._responder_der = responder_der
        certificate = x509.load_der_x509_certificate(responder_der)
        self._algorithm = algorithm_of(key_of_certificate(certificate))
        self._parts: dict[tuple[int, int], tuple[bytes, bytes, bytes]] = {}

    def around(self, data_der: bytes, signature: bytes) -> bytes:
        """The answer as it is sent, with the responder's certificate in it."""
        sizes = (len(data_der), len(signature))
        parts = self._parts.get(sizes)
        if parts is None:
            parts = self._parts[sizes] = self._around(*sizes)
        before, between, after = parts
        return b"".join((before, data_der, between, signature, after))

    def _around(self, data_octets: int, signature_octets: int) -> tuple[bytes, bytes, bytes]:
        """Write an answer with nothing but zeros in the two places, and cut it there."""
        whole = successful(bytes(data_octets), self._algorithm, bytes(signature_octets), self._responder_der)
        after = der.explicit(0, der.sequence(self._responder_der))
        rest = signed(b"", self._algorithm, bytes(signature_octets))
        between = der.content_of(rest)[: -signature_octets or None]
        end = len(whole) - len(after) - signature_octets
        return whole[: end - len(between) - data_octets], between, after


class StoredAnswers:
    """Finds answers in the store.

    Args:
        hashes_of: names an issuer; None when there is no such authority.
    """

    def __init__(
        self,
        store: PreparedAnswers,
        now: Callable[[], datetime],
        *,
        hashes_of: Callable[[str], IssuerHashes | None],
    ) -> None:
        self._store = store
        self._now = now
        self._hashes_of = hashes_of
        self._frames: dict[str, AnswerFrame] = {}

    def find(self, authority: str, request_der: bytes) -> OcspAnswer | None:
        """Answer a request for one certificate without a nonce and anything else special; None: not here."""
        hashes = self._hashes_of(authority)
        asked = hashes.plain_question(request_der) if hashes is not None else None
        return None if asked is None else self.about(authority, *asked)

    def find_for(self, authority: str, cert_id: CertId) -> OcspAnswer | None:
        """Answer about one CertID, whatever else was asked for."""
        hashes = self._hashes_of(authority)
        if hashes is None or cert_id.hash_name is None or not hashes.matches(cert_id):
            return None
        return self.about(authority, cert_id.hash_name, f"{cert_id.serial:x}")

    def about(self, authority: str, hash_name: str, serial: str) -> OcspAnswer | None:
        """The stored answer about a serial, valid now."""
        try:
            found = self._store.find(authority, hash_name, serial)
            return None if found is None else self._answer(found)
        except FileNotFoundError:
            return None
        except READ_ERRORS:
            # Also a damaged file, in which a column may hold anything.
            log.exception("prepared answers not readable", extra={"authority": authority})
            return None

    def _answer(self, found: Found) -> OcspAnswer | None:
        key_label, this_update, next_update, data_der, signature = found
        at = int(self._now().timestamp())
        if not this_update - CLOCK_TOLERANCE_S <= at < next_update:
            return None
        frame = self._frames.get(key_label)
        if frame is None:
            responder_der = self._store.responder(key_label)
            if responder_der is None:
                return None
            frame = self._frames[key_label] = AnswerFrame(responder_der)
        return OcspAnswer(
            der=frame.around(data_der, signature), next_update=next_update, this_update=this_update
        )


def as_time(seconds: int) -> datetime:
    """A moment of an answer."""
    return datetime.fromtimestamp(seconds, UTC)
