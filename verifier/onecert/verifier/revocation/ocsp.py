"""OCSP answers: strict loading, and the question whether an answer may be believed.

RFC 6960. A responder is entitled when it is the CA itself, or holds a certificate that *this* CA key issued
with id-kp-OCSPSigning. Requests are made with ``cryptography``; only answers are read here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property

from onecert.verifier.arguments import as_octets
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.der import OCTET_STRING, SEQUENCE, DerError, Reader
from onecert.verifier.errors import MalformedError
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.names import CanonicalName, canonical_name, display_name
from onecert.verifier.revocation.ocsp_answer import SingleAnswer, key_octets, read_answer, read_extensions
from onecert.verifier.times import read_generalized_time

__all__ = ["OcspResponse", "SingleAnswer", "key_octets", "load_ocsp"]

_BASIC = "1.3.6.1.5.5.7.48.1.1"
_NONCE = "1.3.6.1.5.5.7.48.1.2"
_EXTENDED_REVOKE = "1.3.6.1.5.5.7.48.1.9"
_STATUSES = {0: "successful", 1: "malformedRequest", 2: "internalError", 3: "tryLater"}
_STATUSES |= {5: "sigRequired", 6: "unauthorized"}
# More answers in one response than this serve nobody.
_ANSWERS_MAX = 256
_CERTIFICATES_MAX = 16


def load_ocsp(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> OcspResponse:
    """Load one DER OCSPResponse, from anybody. Signature and responder are *not* checked here.

    Raises:
        MalformedError: ``TOO_LARGE``, ``NOT_DER``, ``MALFORMED``; ``OCSP_STATUS`` when the responder answered
            with an error instead of a status.
    """
    data = as_octets(data, "an OCSP answer")
    if len(data) > limits.ocsp_max_bytes:
        raise MalformedError("TOO_LARGE", kind="OCSP response", max=limits.ocsp_max_bytes)
    try:
        return OcspResponse(data, limits)
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
            self.answers.append(read_answer(answers.enter(SEQUENCE)))
            if len(self.answers) > _ANSWERS_MAX:
                raise MalformedError("TOO_LARGE", kind="OCSP response", max=_ANSWERS_MAX)
        self.nonce: bytes | None = None
        self.extended_revoke = False  # it also calls certificates revoked that were never issued
        self.unknown_critical: str | None = None
        if data.peek() == 0xA1:
            explicit = data.enter(0xA1)
            self._take_extensions(read_extensions(explicit.enter(SEQUENCE)))
            explicit.done()
        data.done()

    def _take_extensions(self, extensions: Mapping[str, tuple[bool, bytes]]) -> None:
        for oid, (critical, value) in extensions.items():
            if oid == _NONCE:
                # RFC 9654: the nonce is an OCTET STRING inside. Older responders put the octets there bare.
                self.nonce = _unwrap(value)
            elif oid == _EXTENDED_REVOKE:
                self.extended_revoke = True
            elif critical and self.unknown_critical is None:
                self.unknown_critical = oid

    @cached_property
    def serials(self) -> frozenset[int]:
        """The serial numbers that it speaks of, of whichever issuer."""
        return frozenset(answer.serial for answer in self.answers)

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
        """The name that the response gives its responder; ``None`` when it names a key."""
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


def _unwrap(value: bytes) -> bytes:
    reader = Reader(value)
    try:
        inner = reader.contents(OCTET_STRING)
        reader.done()
    except DerError:
        return value
    return inner
