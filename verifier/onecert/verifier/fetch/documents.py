"""The three kinds of documents that are fetched, and when a new one may take the place of the old.

Nothing here is believed: signatures count where the document is used. But what is thrown away for a worse one
is gone, so a list that a known key has signed gives way only to a list that a known key has signed.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.limits import Limits
from onecert.verifier.revocation import Crl, OcspResponse, load_crl, load_ocsp
from onecert.verifier.signatures import PublicKey

__all__ = ["Document", "Kind", "Place", "check_may_replace", "load_document", "next_update"]

Document = Crl | OcspResponse | tuple[ParsedCertificate, ...]

# How far ahead the issuer's clock may run.
_SKEW = timedelta(minutes=5)
_CERTIFICATES_MAX = 32


class Kind(StrEnum):
    """What an address gives."""

    CRL = "crl"
    OCSP = "ocsp"
    CERTIFICATES = "certificates"

    def max_bytes(self, limits: Limits) -> int:
        if self is Kind.CRL:
            return limits.crl_max_bytes
        return limits.ocsp_max_bytes if self is Kind.OCSP else limits.certificate_max_bytes * 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document comes from; ``request`` is the body of a POST, without a nonce."""

    url: str
    kind: Kind
    request: bytes = b""

    @property
    def name(self) -> str:
        """A file name without suffix: 32 hex digits."""
        return _name(f"{self.kind} {self.url} {self.request.hex()}")

    @property
    def server(self) -> str:
        """The same for the server behind it; failures to reach it concern all its documents."""
        try:
            parts = urlsplit(self.url)
            return _name(f"server {parts.scheme}://{parts.netloc}")
        except ValueError:
            return _name(f"server {self.url}")


def _name(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def load_document(kind: Kind, data: bytes, limits: Limits) -> Document:
    """Read what came.

    Raises:
        MalformedError: it is something else.
    """
    if kind is Kind.CRL:
        return load_crl(data, limits=limits)
    if kind is Kind.OCSP:
        return load_ocsp(data, limits=limits)
    return _load_certificates(data, limits)


def _load_certificates(data: bytes, limits: Limits) -> tuple[ParsedCertificate, ...]:
    """RFC 5280, section 4.2.2.1: one certificate in DER, or "certs-only" CMS; PEM is met as well."""
    try:
        return (parse_certificate(data, limits=limits),)
    except MalformedError as exc:
        failure = exc
    try:
        with warnings.catch_warnings():
            # cryptography warns of BER, which older Windows servers send, and of serials below one.
            warnings.simplefilter("ignore")
            load = pkcs7.load_der_pkcs7_certificates
            if data.lstrip().startswith(b"-----BEGIN"):
                load = pkcs7.load_pem_pkcs7_certificates
            ders = [certificate.public_bytes(Encoding.DER) for certificate in load(data)]
    except Exception as exc:  # its parsers raise more than they say
        raise failure from exc
    found: list[ParsedCertificate] = []
    for der in ders[:_CERTIFICATES_MAX]:
        try:
            found.append(parse_certificate(der, limits=limits))
        except MalformedError:
            continue
    if not found:
        raise failure
    return tuple(found)


def size_of(document: Document) -> int:
    """Octets of the encoding."""
    if isinstance(document, tuple):
        return sum(len(certificate.der) for certificate in document)
    return len(document.der)


def this_update(document: Document) -> datetime | None:
    """When the issuer knew what the document says."""
    if isinstance(document, Crl):
        return document.this_update
    if isinstance(document, OcspResponse):
        return max((answer.this_update for answer in document.answers), default=document.produced_at)
    return None


def next_update(document: Document) -> datetime | None:
    """When a newer one is promised; ``None`` when that is not said."""
    if isinstance(document, Crl):
        return document.next_update
    if isinstance(document, OcspResponse):
        promised = [answer.next_update for answer in document.answers if answer.next_update is not None]
        return min(promised, default=None)
    return None


def check_may_replace(
    new: Document, known: Document | None, *, keys: Sequence[PublicKey], at: datetime
) -> None:
    """Check that ``new`` may take the place of ``known``.

    Args:
        keys: keys of the authority whose list is expected, as far as they are known.

    Raises:
        VerifyError: ``CRL_FUTURE``, ``OCSP_FUTURE``, ``CRL_SIGNER``, ``CRL_ROLLBACK``, ``OCSP_STALE``.
    """
    since = this_update(new)
    if since is not None and since > at + _SKEW:
        if isinstance(new, Crl):
            raise CouldNotCheckError("CRL_FUTURE", issuer=new.issuer_text, this_update=since)
        raise CouldNotCheckError("OCSP_FUTURE", this_update=since)
    if known is None:
        return
    end = next_update(known)
    if end is not None and at >= end:
        return  # what is over keeps nothing out
    if isinstance(new, Crl) and isinstance(known, Crl):
        if _is_signed(known, keys, at):
            if not _is_signed(new, keys, at):
                raise CouldNotCheckError("CRL_SIGNER", issuer=new.issuer_text)
        elif _is_signed(new, keys, at):
            return
        if new.issuer == known.issuer and new.scope_der == known.scope_der and new.is_delta == known.is_delta:
            new.check_not_older(known)
    elif isinstance(new, OcspResponse) and isinstance(known, OcspResponse):
        before = this_update(known)
        if since is not None and before is not None and since < before:
            raise CouldNotCheckError("OCSP_STALE", next_update=since)


def _is_signed(crl: Crl, keys: Sequence[PublicKey], at: datetime) -> bool:
    for key in keys:
        try:
            crl.check_signature(key, at=at)
        except VerifyError:
            continue
        return True
    return False
