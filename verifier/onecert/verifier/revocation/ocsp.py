"""OCSP answers: strict loading, and the question whether an answer may be believed.

RFC 6960. A responder is entitled when it is the CA itself, or holds a certificate that *this* CA key issued
with id-kp-OCSPSigning. Requests are made with ``cryptography``; only answers are read here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.der import NULL, OCTET_STRING, SEQUENCE, DerError, Reader, slice_tlv
from onecert.verifier.errors import MalformedError
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.names import CanonicalName, canonical_name, display_name
from onecert.verifier.revocation.crl import REASONS
from onecert.verifier.times import read_generalized_time

__all__ = ["OcspResponse", "SingleAnswer", "load_ocsp"]

_BASIC = "1.3.6.1.5.5.7.48.1.1"
_NONCE = "1.3.6.1.5.5.7.48.1.2"
_STATUSES = {0: "successful", 1: "malformedRequest", 2: "internalError", 3: "tryLater"}
_STATUSES |= {5: "sigRequired", 6: "unauthorized"}
_HASHES: dict[str, Callable[[bytes], Any]] = {
    # CertIDs are names, not signatures: SHA-1 only finds the certificate here, and many clients know no
    # other.
    "1.3.14.3.2.26": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}
# More answers in one response than this serve nobody.
_ANSWERS_MAX = 256
_CERTIFICATES_MAX = 16


@dataclass(frozen=True, slots=True)
class SingleAnswer:
    """One certificate's status. ``status`` is "good", "revoked" or "unknown"."""

    hash_oid: str
    name_hash: bytes
    key_hash: bytes
    serial: int
    status: str
    revoked_at: datetime | None
    reason: str
    this_update: datetime
    next_update: datetime | None
    unknown_critical: str | None

    def matches(self, serial: int, issuer_der: bytes, issuer_spki_der: bytes) -> bool:
        """Tell whether the answer is about this serial of this issuer name and key."""
        digest = _HASHES.get(self.hash_oid)
        if serial != self.serial or digest is None:
            return False
        return bool(
            digest(issuer_der).digest() == self.name_hash
            and digest(key_octets(issuer_spki_der)).digest() == self.key_hash
        )


def key_octets(public_key_der: bytes) -> bytes:
    """The contents of the subjectPublicKey BIT STRING, over which key hashes are made."""
    start = slice_tlv(public_key_der, 0)[0]
    start, end = slice_tlv(public_key_der, slice_tlv(public_key_der, start)[1])
    return public_key_der[start + 1 : end]


def load_ocsp(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> OcspResponse:
    """Load one DER OCSPResponse, from anybody. Signature and responder are *not* checked here.

    Raises:
        MalformedError: ``TOO_LARGE``, ``NOT_DER``, ``MALFORMED``; ``OCSP_STATUS`` when the responder answered
            with an error instead of a status.
    """
    if len(data) > limits.ocsp_max_bytes:
        raise MalformedError("TOO_LARGE", kind="OCSP response", max=limits.ocsp_max_bytes)
    try:
        return OcspResponse(bytes(data), limits)
    except (DerError, IndexError) as exc:
        raise MalformedError("NOT_DER", kind="OCSP response", detail=str(exc)) from exc


class OcspResponse:
    """One loaded response. Immutable by convention."""

    def __init__(self, der: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        """Take apart ``der``; ``load_ocsp`` is the way in for bytes of others."""
        self.der = der
        outer = Reader(der)
        response = outer.enter(SEQUENCE)
        outer.done()
        octets = response.contents(0x0A)
        if len(octets) != 1:
            raise DerError("status")
        status = octets[0]
        if status != 0:
            raise MalformedError("OCSP_STATUS", status=_STATUSES.get(status, str(status)))
        explicit = response.enter(0xA0)
        response.done()
        response_bytes = explicit.enter(SEQUENCE)
        explicit.done()
        if response_bytes.oid() != _BASIC:
            raise MalformedError("MALFORMED", kind="OCSP response", detail="it is not a basic response")
        inner = Reader(response_bytes.contents(OCTET_STRING))
        response_bytes.done()
        basic = inner.enter(SEQUENCE)
        inner.done()

        self.tbs = basic.raw()
        self.algorithm_der = basic.raw()
        bits = basic.contents(0x03)
        if bits[:1] != b"\x00":
            raise DerError("the signature is not a whole number of octets")
        self.signature = bits[1:]
        self._certificate_ders: list[bytes] = []
        if basic.peek() == 0xA0:
            explicit = basic.enter(0xA0)
            certificates = explicit.enter(SEQUENCE)
            explicit.done()
            while certificates:
                self._certificate_ders.append(certificates.raw())
        basic.done()
        if len(self._certificate_ders) > _CERTIFICATES_MAX:
            raise MalformedError("TOO_LARGE", kind="OCSP response", max=_CERTIFICATES_MAX)
        self._limits = limits
        self._read_data(Reader(self.tbs).enter(SEQUENCE))

    def _read_data(self, data: Reader) -> None:
        if data.peek() == 0xA0:
            # version DEFAULT v1: DER leaves it out, and there is no other version.
            raise DerError("version")
        self.responder_name_der: bytes | None = None
        self.responder_key_hash: bytes | None = None
        if data.peek() == 0xA1:
            explicit = data.enter(0xA1)
            self.responder_name_der = explicit.raw()
            explicit.done()
            canonical_name(self.responder_name_der)
        else:
            explicit = data.enter(0xA2)
            self.responder_key_hash = explicit.contents(OCTET_STRING)
            explicit.done()
        self.produced_at = read_generalized_time(data)
        answers = data.enter(SEQUENCE)
        self.answers: list[SingleAnswer] = []
        while answers:
            self.answers.append(_read_answer(answers.enter(SEQUENCE)))
            if len(self.answers) > _ANSWERS_MAX:
                raise MalformedError("TOO_LARGE", kind="OCSP response", max=_ANSWERS_MAX)
        self.nonce: bytes | None = None
        self.unknown_critical: str | None = None
        if data.peek() == 0xA1:
            explicit = data.enter(0xA1)
            self.nonce, self.unknown_critical = _read_extensions(explicit.enter(SEQUENCE))
            explicit.done()
        data.done()

    @cached_property
    def certificates(self) -> list[ParsedCertificate]:
        """Certificates sent along, unchecked; those that cannot be read are left out."""
        found = []
        for der in self._certificate_ders:
            try:
                found.append(parse_certificate(der, limits=self._limits))
            except MalformedError:
                continue
        return found

    @cached_property
    def responder_name(self) -> CanonicalName | None:
        return None if self.responder_name_der is None else canonical_name(self.responder_name_der)

    @property
    def source_text(self) -> str:
        """Where the answer comes from, for people."""
        return self.responder_text

    @property
    def number(self) -> None:
        """Answers have no number, lists do."""
        return None

    @property
    def responder_text(self) -> str:
        """The responder for people."""
        if self.responder_name_der is not None:
            return display_name(self.responder_name_der)
        return (self.responder_key_hash or b"").hex()

    def is_from(self, name: CanonicalName, public_key_der: bytes) -> bool:
        """Tell whether the response *says* that it comes from this name or key."""
        if self.responder_name is not None:
            return self.responder_name == name
        digest = hashlib.sha1(key_octets(public_key_der), usedforsecurity=False).digest()
        return digest == self.responder_key_hash


def _read_answer(reader: Reader) -> SingleAnswer:
    cert_id = reader.enter(SEQUENCE)
    algorithm = cert_id.enter(SEQUENCE)
    hash_oid = algorithm.oid()
    if algorithm and algorithm.contents(NULL):
        raise DerError("NULL has contents")
    algorithm.done()
    name_hash, key_hash = cert_id.contents(OCTET_STRING), cert_id.contents(OCTET_STRING)
    serial = cert_id.integer()
    cert_id.done()

    revoked_at, reason = None, ""
    if reader.peek() == 0x80:
        status = "good"
        if reader.contents(0x80):
            raise DerError("status")
    elif reader.peek() == 0xA1:
        status = "revoked"
        info = reader.enter(0xA1)
        revoked_at, reason = read_generalized_time(info), "unspecified"
        if info:
            explicit = info.enter(0xA0)
            reason = REASONS.get(int.from_bytes(explicit.contents(0x0A), "big"), "unspecified")
            explicit.done()
        info.done()
    else:
        status = "unknown"
        if reader.contents(0x82):
            raise DerError("status")
    this_update = read_generalized_time(reader)
    next_update = None
    if reader.peek() == 0xA0:
        explicit = reader.enter(0xA0)
        next_update = read_generalized_time(explicit)
        explicit.done()
    unknown_critical = None
    if reader.peek() == 0xA1:
        explicit = reader.enter(0xA1)
        _, unknown_critical = _read_extensions(explicit.enter(SEQUENCE))
        explicit.done()
    reader.done()
    return SingleAnswer(
        hash_oid,
        name_hash,
        key_hash,
        serial,
        status,
        revoked_at,
        reason,
        this_update,
        next_update,
        unknown_critical,
    )


def _read_extensions(reader: Reader) -> tuple[bytes | None, str | None]:
    """The nonce, and the first critical extension that is not the nonce."""
    nonce: bytes | None = None
    unknown: str | None = None
    seen: set[str] = set()
    while reader:
        extension = reader.enter(SEQUENCE)
        oid = extension.oid()
        critical = extension.default_false()
        value = extension.contents(OCTET_STRING)
        extension.done()
        if oid in seen:
            raise MalformedError("DUPLICATE_EXTENSION", oid=oid)
        seen.add(oid)
        if oid == _NONCE:
            # RFC 8954: the nonce is an OCTET STRING inside. Older responders put the octets there bare.
            nonce = _unwrap(value)
        elif critical and unknown is None:
            unknown = oid
    return nonce, unknown


def _unwrap(value: bytes) -> bytes:
    reader = Reader(value)
    try:
        inner = reader.contents(OCTET_STRING)
        reader.done()
    except DerError:
        return value
    return inner
