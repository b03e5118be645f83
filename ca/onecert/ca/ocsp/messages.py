"""OCSP requests and answers (RFC 6960, RFC 9654): read strictly, written with the CertID exactly as asked.

cryptography's builder writes one single answer per reply and its parser reads one request; here several in
one are read and answered in order. The signature of a signed request is not checked: what we answer is
public.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from cryptography.x509 import ocsp

from onecert.ca import der
from onecert.ca.certificates.lint_rules import fault
from onecert.ca.errors import LintError
from onecert.ca.lists.crl import REASONS
from onecert.ca.signatures.algorithms import SignatureAlgorithm, signed

NONCE = "1.3.6.1.5.5.7.48.1.2"
_BASIC = "1.3.6.1.5.5.7.48.1.1"
MAX_REQUEST_OCTETS = 16384
MAX_SINGLE_REQUESTS = 32
# Requests with these hashes can be answered ahead; nearly all clients send the first.
PREPARED_HASHES = ("sha1", "sha256")
# RFC 9654, section 2.1: a nonce has 1 to 128 octets.
NONCE_MAX_OCTETS = 128

_HASHES = {
    der.oid("1.3.14.3.2.26"): "sha1",
    der.oid("2.16.840.1.101.3.4.2.4"): "sha224",
    der.oid("2.16.840.1.101.3.4.2.1"): "sha256",
    der.oid("2.16.840.1.101.3.4.2.2"): "sha384",
    der.oid("2.16.840.1.101.3.4.2.3"): "sha512",
}


class ResponseStatus(IntEnum):
    """RFC 6960, section 4.2.1: answers without a signature, and 0 for one that has it."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


class CertId(NamedTuple):
    """Which certificate is asked about. `raw` is the CertID as it came, to be sent back unchanged."""

    raw: bytes
    hash_name: str | None
    name_hash: bytes
    key_hash: bytes
    serial: int


class OcspRequest(NamedTuple):
    """A request that could be read: one CertID at least; the nonce as the value of its extension, if any."""

    cert_ids: tuple[CertId, ...]
    nonce_value_der: bytes | None


class Status(NamedTuple):
    """The recorded status of a serial. Not revoked and not known: “unknown”."""

    known: bool
    revoked_at: datetime | None = None
    reason: str = "unspecified"


UNKNOWN = Status(known=False)


def load_request(request_der: bytes) -> OcspRequest:
    """Read a request.

    Raises:
        der.DerError: malformed, too long, too many, an unknown critical extension, or a nonce out of bounds.
    """
    if len(request_der) > MAX_REQUEST_OCTETS:
        raise der.DerError("request too long")
    outer = der.Reader(request_der)
    request = outer.enter()
    outer.end()
    tbs = request.enter()
    if request.peek() == 0xA0:
        request.element()
    request.end()
    if tbs.peek() == 0xA0 and tbs.enter(0xA0).take_integer() != 0:
        raise der.DerError("unknown version")
    if tbs.peek() == 0xA1:
        tbs.element()
    requests = tbs.enter()
    cert_ids: list[CertId] = []
    while requests.more():
        if len(cert_ids) == MAX_SINGLE_REQUESTS:
            raise der.DerError("too many single requests")
        cert_ids.append(_single_request(requests.enter()))
    if not cert_ids:
        raise der.DerError("no single request")
    nonce = None
    if tbs.peek() == 0xA2:
        nonce = _request_extensions(tbs.enter(0xA2).enter())
    tbs.end()
    return OcspRequest(cert_ids=tuple(cert_ids), nonce_value_der=nonce)


def _single_request(single: der.Reader) -> CertId:
    tag, content, raw = single.element()
    if tag != der.SEQUENCE:
        raise der.DerError("CertID is not a sequence")
    if single.peek() == 0xA0:
        for oid_der, critical, _value in _extensions(single.enter(0xA0).enter()):
            if critical:
                raise der.DerError(f"unknown critical extension {oid_der.hex()}")
    single.end()
    cert_id = der.Reader(content)
    algorithm = cert_id.enter()
    oid_der = algorithm.element()[2]
    name_hash, key_hash = cert_id.take(der.OCTET_STRING), cert_id.take(der.OCTET_STRING)
    serial = cert_id.take_integer()
    cert_id.end()
    return CertId(
        raw=raw, hash_name=_HASHES.get(oid_der), name_hash=name_hash, key_hash=key_hash, serial=serial
    )


def _extensions(reader: der.Reader) -> list[tuple[bytes, bool, bytes]]:
    found = []
    while reader.more():
        extension = reader.enter()
        oid_der = extension.element()[2]
        critical = extension.peek() == der.BOOLEAN and extension.element()[1] == b"\xff"
        found.append((oid_der, critical, extension.take(der.OCTET_STRING)))
        extension.end()
    return found


def _request_extensions(reader: der.Reader) -> bytes | None:
    nonce = None
    for oid_der, critical, value in _extensions(reader):
        if oid_der == der.oid(NONCE):
            inner = der.Reader(value)
            octets = inner.take(der.OCTET_STRING)
            inner.end()
            if nonce is not None or not 1 <= len(octets) <= NONCE_MAX_OCTETS:
                raise der.DerError("nonce out of bounds")
            nonce = value
        elif critical:
            raise der.DerError(f"unknown critical extension {oid_der.hex()}")
    return nonce


# Around a nonce of fewer octets than 64: [2], SEQUENCE, SEQUENCE, the OID, two times OCTET STRING.
NONCE_SHORT = 64
NONCE_OVERHEAD = 21


@lru_cache(maxsize=1024)
def _around_nonce(cert_id_octets: int, nonce_octets: int) -> tuple[bytes, bytes]:
    """What stands before a CertID's content and between it and the nonce, for these lengths."""
    nonce = der.octet_string(bytes(nonce_octets))
    extensions = der.explicit(2, der.sequence(der.sequence(der.oid(NONCE), der.octet_string(nonce))))
    whole = der.sequence(
        der.sequence(der.sequence(der.sequence(der.sequence(bytes(cert_id_octets)))), extensions)
    )
    middle = extensions[:-nonce_octets]
    return whole[: len(whole) - len(extensions) - cert_id_octets], middle


class IssuerHashes:
    """The hashes by which requests name one issuer, computed once per digest."""

    def __init__(self, subject_der: bytes, spki: bytes) -> None:
        reader = der.Reader(spki).enter()
        reader.element()
        self._name, self._key = subject_der, reader.take(der.BIT_STRING)[1:]
        self._hashes: dict[str, tuple[bytes, bytes]] = {}
        self._before_serial = tuple((name, self._named(name)) for name in PREPARED_HASHES)

    def matches(self, cert_id: CertId) -> bool:
        """Tell whether the CertID names this issuer; a digest that we do not know names nobody."""
        name = cert_id.hash_name
        return name is not None and self._of(name) == (cert_id.name_hash, cert_id.key_hash)

    def cert_id(self, serial: int, hash_name: str = "sha1") -> CertId:
        """Write a CertID as clients do; most ask with SHA-1 (RFC 5019, section 2.1.1)."""
        name_hash, key_hash = self._of(hash_name)
        return CertId(
            raw=der.sequence(self._named(hash_name), der.integer(serial)),
            hash_name=hash_name,
            name_hash=name_hash,
            key_hash=key_hash,
            serial=serial,
        )

    def plain_question(self, request_der: bytes) -> tuple[str, str] | None:
        """Recognise the request that nearly everybody sends: one CertID of this issuer and nothing else.

        Returns:
            name of the hash and serial in hex; None: read it with `load_request`.
        """
        size = len(request_der)
        # Five sequences, one in the other, each with a length of one octet.
        if not 30 < size < 0x80 or request_der[:10] != bytes(
            (0x30, size - 2, 0x30, size - 4, 0x30, size - 6, 0x30, size - 8, 0x30, size - 10)
        ):
            return None
        for hash_name, before in self._before_serial:
            if request_der.startswith(before, 10):
                rest = request_der[10 + len(before) :]
                if len(rest) < 3 or rest[0] != der.INTEGER or rest[1] != len(rest) - 2:
                    return None
                if rest[2] & 0x80 or (rest[2] == 0 and (len(rest) == 3 or rest[3] < 0x80)):
                    return None
                return hash_name, rest[2:].hex().lstrip("0")
        return None

    def question(self, request_der: bytes) -> OcspRequest | None:
        """Recognise a request for one certificate of this issuer with a nonce, as most clients write it.

        None: read it with `load_request`. What is recognised has exactly these octets, the only way in DER.
        """
        if len(request_der) < NONCE_OVERHEAD or request_der[9] == len(request_der) - 10:
            # What has no nonce ends with its CertID.
            return None
        for hash_name, before in self._before_serial:
            # After five headers of two octets each, or three where there is more to come.
            start = request_der.find(before, 10, 16 + len(before))
            at = start + len(before)
            if start < 0 or len(request_der) < at + 3 or request_der[at] != der.INTEGER:
                continue
            end = at + 2 + request_der[at + 1]
            serial = request_der[at + 2 : end]
            nonce_octets = len(request_der) - end - NONCE_OVERHEAD
            if not serial or not 0 < nonce_octets <= NONCE_SHORT or serial[0] & 0x80:
                return None
            if serial[0] == 0 and (len(serial) == 1 or serial[1] < 0x80):
                return None
            head, middle = _around_nonce(len(before) + 2 + len(serial), nonce_octets)
            if (
                not request_der.startswith(head)
                or len(head) != start
                or not request_der.startswith(middle, end)
            ):
                return None
            name_hash, key_hash = self._of(hash_name)
            cert_id = CertId(
                raw=request_der[start - 2 : end],
                hash_name=hash_name,
                name_hash=name_hash,
                key_hash=key_hash,
                serial=int.from_bytes(serial, "big"),
            )
            return OcspRequest(cert_ids=(cert_id,), nonce_value_der=request_der[end + len(middle) - 2 :])
        return None

    def _named(self, hash_name: str) -> bytes:
        """The CertID up to the serial."""
        algorithm_der = next(oid_der for oid_der, name in _HASHES.items() if name == hash_name)
        name_hash, key_hash = self._of(hash_name)
        return b"".join(
            (
                der.sequence(algorithm_der, der.NULL_DER),
                der.octet_string(name_hash),
                der.octet_string(key_hash),
            )
        )

    def _of(self, name: str) -> tuple[bytes, bytes]:
        if name not in self._hashes:
            self._hashes[name] = (
                hashlib.new(name, self._name).digest(),
                hashlib.new(name, self._key).digest(),
            )
        return self._hashes[name]


def single_response(
    cert_id: CertId, status: Status, *, this_update: datetime, next_update: datetime
) -> bytes:
    """Write one `SingleResponse`."""
    if not status.known:
        state = der.implicit(2, b"")
    elif status.revoked_at is None:
        state = der.implicit(0, b"")
    else:
        code = REASONS[status.reason]
        reason = der.explicit(0, der.tlv(der.ENUMERATED, bytes((code,)))) if code else b""
        state = der.explicit(1, der.generalized_time(status.revoked_at), reason)
    return der.sequence(cert_id.raw, state, _time(this_update), _until(next_update))


@lru_cache(maxsize=256)
def _time(at: datetime) -> bytes:
    """All answers of a second have the same times."""
    return der.generalized_time(at)


@lru_cache(maxsize=256)
def _until(at: datetime) -> bytes:
    return der.explicit(0, der.generalized_time(at))


def response_data(
    key_hash: bytes, singles: Sequence[bytes], *, produced_at: datetime, nonce_value_der: bytes | None
) -> bytes:
    """Write the `ResponseData` that is signed; the responder is named by the SHA-1 of its key."""
    extensions = b""
    if nonce_value_der is not None:
        nonce = der.sequence(der.oid(NONCE), der.octet_string(nonce_value_der))
        extensions = der.explicit(1, der.sequence(nonce))
    return der.sequence(
        der.explicit(2, der.octet_string(key_hash)),
        _time(produced_at),
        der.sequence(*singles),
        extensions,
    )


@lru_cache(maxsize=512)
def around_answer(
    key_hash: bytes,
    status: Status,
    *,
    at: datetime,
    next_update: datetime,
    cert_id_octets: int,
    nonce_octets: int,
) -> tuple[bytes, bytes]:
    """What stands in the `ResponseData` about one certificate before its CertID, and between that and the
    value of the nonce, which comes last: the same in all answers of one second with these lengths.

    Written by `response_data` with marks in the two places, and cut there.
    """
    cert_id, nonce = _mark("CertID", cert_id_octets), _mark("nonce", nonce_octets)
    asked = CertId(raw=cert_id, hash_name=None, name_hash=b"", key_hash=b"", serial=0)
    single = single_response(asked, status, this_update=at, next_update=next_update)
    data = response_data(key_hash, [single], produced_at=at, nonce_value_der=nonce or None)
    before, _, rest = data.partition(cert_id)
    return before, rest[: len(rest) - nonce_octets]


def _mark(name: str, octets: int) -> bytes:
    """Octets that stand nowhere else."""
    return hashlib.shake_128(name.encode()).digest(octets)


def successful(
    data_der: bytes, algorithm: SignatureAlgorithm, signature: bytes, responder_der: bytes
) -> bytes:
    """Put a signed answer together, with the responder's certificate in it."""
    body = signed(data_der, algorithm, signature)
    certificates = der.explicit(0, der.sequence(responder_der))
    basic = der.sequence(der.Reader(body).take(der.SEQUENCE), certificates)
    return der.sequence(
        der.tlv(der.ENUMERATED, b"\x00"),
        der.explicit(0, der.sequence(der.oid(_BASIC), der.octet_string(basic))),
    )


def check_answer(
    answer_der: bytes, data_der: bytes, *, singles: int, at: datetime, not_after: datetime
) -> None:
    """Lint a signed answer with a parser that did not write it, before it leaves.

    Args:
        data_der: the `ResponseData` that was signed.
        not_after: the end of the responder's certificate.

    Raises:
        LintError: with the findings.
    """
    findings = []
    try:
        response = ocsp.load_der_ocsp_response(answer_der)
        if response.tbs_response_bytes != data_der or response.produced_at_utc != at:
            findings.append(fault("answer-written"))
        found = list(response.responses)
        if len(found) != singles:
            findings.append(fault("answer-questions"))
        for single in found:
            until = single.next_update_utc
            if until is None or not single.this_update_utc <= at < until <= not_after:
                findings.append(fault("answer-times"))
    except ValueError as exc:
        findings.append(fault("answer-parse", exc))
    if findings:
        raise LintError(findings)


def refusal(status: ResponseStatus) -> bytes:
    """Write an answer without a signature."""
    return der.sequence(der.tlv(der.ENUMERATED, bytes((status,))))
