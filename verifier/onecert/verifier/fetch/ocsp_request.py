"""Questions to OCSP responders: RFC 6960, appendix A.1 (GET and POST), the light profile of RFC 5019."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch.asking import Ask
from onecert.verifier.fetch.cache import FetchCache
from onecert.verifier.fetch.documents import Document, Kind, Place
from onecert.verifier.fetch.rules import Allowance
from onecert.verifier.revocation import OcspResponse
from onecert.verifier.revocation.ocsp import key_octets

__all__ = ["OcspQuestion"]

# RFC 5019, section 5: longer ones go by POST.
_GET_MAX = 255
_NONCE_OCTETS = 32  # RFC 9654, section 2.1


@dataclass(frozen=True)
class OcspQuestion:
    """About one certificate: ``request`` is a DER OCSPRequest without nonce."""

    serial: int
    issuer_der: bytes
    issuer_spki_der: bytes
    request: bytes

    @classmethod
    def about(cls, target: ParsedCertificate, issuer_spki_der: bytes) -> OcspQuestion:
        """Ask about ``target``, issued by the owner of this key.

        Raises:
            CouldNotCheckError: ``OCSP_NO_MATCH``: no request can name such a certificate.
        """
        request = _build(target.serial, target.issuer_der, issuer_spki_der, None)
        return cls(target.serial, target.issuer_der, issuer_spki_der, request)

    def ask(
        self,
        cache: FetchCache,
        url: str,
        at: datetime,
        *,
        allowance: Allowance | None = None,
        again: bool = False,
        nonce: bool = False,
        by_get: bool = False,
    ) -> OcspResponse:
        """The answer of one responder, from the cache while it is fresh. Its signature is *not* checked here.

        Args:
            again: the answer at hand was of no use.
            nonce: ask anew each time, with a nonce that the answer must repeat (RFC 9654).
            by_get: GET where the request is short enough, for the caches in between.

        Raises:
            CouldNotCheckError: ``FETCH_…``.
        """
        sent = secrets.token_bytes(_NONCE_OCTETS) if nonce else None

        def accept(document: Document) -> None:
            assert isinstance(document, OcspResponse)  # noqa: S101  the place is one of OCSP
            if not any(
                answer.matches(self.serial, self.issuer_der, self.issuer_spki_der)
                for answer in document.answers
            ):
                raise CouldNotCheckError("OCSP_NO_MATCH", issuer="")
            if sent is not None and document.nonce != sent:
                raise CouldNotCheckError("OCSP_NONCE", source="RFC 9654")

        ask = Ask(accept=accept, allowance=allowance, again=again)
        place = Place(url, Kind.OCSP, self.request)
        if sent is not None:
            body = _build(self.serial, self.issuer_der, self.issuer_spki_der, sent)
            found = cache.ask_once(place, body, at, ask)
        else:
            found = cache.get((by_get and _by_get(url, self.request)) or place, at, ask)
        assert isinstance(found, OcspResponse)  # noqa: S101  the place is one of OCSP
        return found


def _by_get(url: str, request: bytes) -> Place | None:
    encoded = quote(base64.b64encode(request).decode("ascii"), safe="")
    full = f"{url.rstrip('/')}/{encoded}"
    return Place(full, Kind.OCSP) if len(full) <= _GET_MAX else None


def _build(serial: int, issuer_der: bytes, issuer_spki_der: bytes, nonce: bytes | None) -> bytes:
    """SHA-1 in the CertID (RFC 5019, section 2.1.1): the hash that every responder knows; it only names."""
    builder = ocsp.OCSPRequestBuilder()
    try:
        builder = builder.add_certificate_by_hash(
            hashlib.sha1(issuer_der, usedforsecurity=False).digest(),
            hashlib.sha1(key_octets(issuer_spki_der), usedforsecurity=False).digest(),
            serial,
            hashes.SHA1(),  # noqa: S303  see above
        )
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.build().public_bytes(Encoding.DER)
    except (ValueError, TypeError, OverflowError) as exc:
        raise CouldNotCheckError("OCSP_NO_MATCH", issuer="") from exc
