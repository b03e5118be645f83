"""OCSP requests and answers about attribute certificates (RFC 6960): read strictly, CertIDs as asked.

``CertID`` names the attribute authority by hashes of its name and of its key, as it would a CA. Several
single requests are answered in their order. The signature of a signed request is not looked at: what is
answered is public.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from onecert.verifier.attribute_certificate.encoding import ENUMERATED, tlv
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE, DerError, Reader
from onecert.verifier.revocation.crl_entries import REASONS
from onecert.verifier.revocation.ocsp import key_octets

__all__ = [
    "MAX_REQUEST",
    "Answer",
    "CertId",
    "OcspRequest",
    "ResponseStatus",
    "is_about",
    "read_request",
    "successful",
    "tbs_response",
    "unsuccessful",
    "write_cert_id",
]

MAX_REQUEST = 16_384
MAX_SINGLE = 32
NONCE = "1.3.6.1.5.5.7.48.1.2"
_NONCE_DER = bytes.fromhex("06092b0601050507300102")
_BASIC_DER = bytes.fromhex("06092b0601050507300101")
# RFC 9654, section 2.1.
_NONCE_OCTETS = range(1, 129)
_HASHES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_ALGORITHMS = {
    "sha1": bytes.fromhex("300906052b0e03021a0500"),
    "sha256": bytes.fromhex("300d06096086480165030402010500"),
}
# "unspecified" is not said (RFC 5280, section 5.3.1), and what was removed from a list is good.
_REASONS = {name: code for code, name in REASONS.items() if name not in {"unspecified", "removeFromCRL"}}


class ResponseStatus(IntEnum):
    """RFC 6960, section 4.2.1."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True)
class CertId:
    """Which certificate is asked about; ``raw`` as it came. An unknown hash has no name."""

    raw: bytes
    hash_name: str
    name_hash: bytes
    key_hash: bytes
    serial: int


@dataclass(frozen=True)
class OcspRequest:
    """A request that could be read. ``nonce_der``: the value of its extension; empty without one."""

    cert_ids: tuple[CertId, ...]
    nonce_der: bytes


@dataclass(frozen=True)
class Answer:
    """One single response. ``known`` False: unknown. ``revoked_at`` None: good."""

    cert_id: CertId
    known: bool
    revoked_at: datetime | None = None
    reason: str = ""


def read_request(data: bytes) -> OcspRequest:
    """Read a request (DER).

    Raises:
        DerError: malformed, too long, too many, with an unknown critical extension or a nonce out of bounds.
    """
    if len(data) > MAX_REQUEST:
        raise DerError("too long")
    outer = Reader(data)
    request = outer.enter(SEQUENCE)
    outer.done()
    tbs = request.enter(SEQUENCE)
    if request:
        request.contents(0xA0)
    request.done()
    if tbs.peek() == 0xA0 and tbs.enter(0xA0).integer() != 0:
        raise DerError("version")
    if tbs.peek() == 0xA1:
        tbs.contents(0xA1)
    singles = tbs.enter(SEQUENCE)
    cert_ids: list[CertId] = []
    while singles:
        if len(cert_ids) == MAX_SINGLE:
            raise DerError("too many")
        cert_ids.append(_single(singles.enter(SEQUENCE)))
    if not cert_ids:
        raise DerError("nothing is asked")
    nonce = b""
    if tbs:
        nonce = _extensions(tbs.enter(0xA2).enter(SEQUENCE), allowed=NONCE)
    tbs.done()
    return OcspRequest(tuple(cert_ids), nonce)


def _single(single: Reader) -> CertId:
    raw = single.raw()
    if single:
        _extensions(single.enter(0xA0).enter(SEQUENCE), allowed="")
    single.done()
    outer = Reader(raw)
    cert_id = outer.enter(SEQUENCE)
    hash_name = _HASHES.get(cert_id.enter(SEQUENCE).oid(), "")
    name_hash, key_hash = cert_id.contents(OCTET_STRING), cert_id.contents(OCTET_STRING)
    serial = cert_id.integer()
    cert_id.done()
    return CertId(raw, hash_name, name_hash, key_hash, serial)


def _extensions(reader: Reader, *, allowed: str) -> bytes:
    """The value of the one extension that is understood; of the others none may be critical."""
    found = b""
    while reader:
        extension = reader.enter(SEQUENCE)
        oid, critical = extension.oid(), extension.default_false()
        value = extension.contents(OCTET_STRING)
        extension.done()
        if oid == allowed and not found:
            nonce = Reader(value)
            if len(nonce.contents(OCTET_STRING)) not in _NONCE_OCTETS:
                raise DerError("nonce")
            nonce.done()
            found = value
        elif critical or oid == allowed:
            raise DerError("extension")
    return found


def is_about(cert_id: CertId, authority: ParsedCertificate) -> bool:
    """Tell whether the CertID names this authority by this key of it."""
    if not cert_id.hash_name:
        return False
    hashes = (
        _digest(cert_id.hash_name, authority.subject_der),
        _digest(cert_id.hash_name, key_octets(authority.spki_der)),
    )
    return hashes == (cert_id.name_hash, cert_id.key_hash)


def write_cert_id(authority: ParsedCertificate, serial: int, hash_name: str) -> CertId:
    """Write a CertID (SHA-1 or SHA-256) as clients do."""
    name_hash = _digest(hash_name, authority.subject_der)
    key_hash = _digest(hash_name, key_octets(authority.spki_der))
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    raw = tlv(
        SEQUENCE,
        _ALGORITHMS[hash_name],
        tlv(OCTET_STRING, name_hash),
        tlv(OCTET_STRING, key_hash),
        tlv(INTEGER, number),
    )
    return CertId(raw, hash_name, name_hash, key_hash, serial)


def tbs_response(
    authority: ParsedCertificate,
    answers: Iterable[Answer],
    *,
    this_update: datetime,
    next_update: datetime,
    nonce_der: bytes = b"",
) -> bytes:
    """Return the DER of ``ResponseData``, the bytes to be signed."""
    key_hash = tlv(OCTET_STRING, _digest("sha1", key_octets(authority.spki_der)))
    singles = [
        tlv(SEQUENCE, each.cert_id.raw, _status(each), _time(this_update), tlv(0xA0, _time(next_update)))
        for each in answers
    ]
    extensions = b""
    if nonce_der:
        extensions = tlv(0xA1, tlv(SEQUENCE, tlv(SEQUENCE, _NONCE_DER, tlv(OCTET_STRING, nonce_der))))
    return tlv(SEQUENCE, tlv(0xA2, key_hash), _time(this_update), tlv(SEQUENCE, *singles), extensions)


def successful(signed_der: bytes, certificates: Sequence[bytes]) -> bytes:
    """Return the DER of ``OCSPResponse``.

    Args:
        signed_der: SEQUENCE of what is signed, algorithm and signature.
        certificates: DER, to be sent along.
    """
    inner = Reader(signed_der).contents(SEQUENCE)
    basic = tlv(SEQUENCE, inner, tlv(0xA0, tlv(SEQUENCE, *certificates)))
    response = tlv(0xA0, tlv(SEQUENCE, _BASIC_DER, tlv(OCTET_STRING, basic)))
    return tlv(SEQUENCE, tlv(ENUMERATED, b"\x00"), response)


def unsuccessful(status: ResponseStatus) -> bytes:
    """Return an answer that says only what went wrong."""
    return tlv(SEQUENCE, tlv(ENUMERATED, bytes((status,))))


def _status(answer: Answer) -> bytes:
    if not answer.known:
        return b"\x82\x00"
    if answer.revoked_at is None:
        return b"\x80\x00"
    # RFC 5280, section 5.3.1: the reason "unspecified" is left out.
    code = _REASONS.get(answer.reason)
    reason = b"" if code is None else tlv(0xA0, tlv(ENUMERATED, bytes((code,))))
    return tlv(0xA1, _time(answer.revoked_at), reason)


def _time(at: datetime) -> bytes:
    return tlv(GENERALIZED_TIME, f"{at:%Y%m%d%H%M%SZ}".encode("ascii"))


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()
