"""One certificate's status in an OCSP response: RFC 6960, section 4.2.1."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from onecert.verifier.der import NULL, OCTET_STRING, SEQUENCE, DerError, Reader, slice_tlv
from onecert.verifier.errors import MalformedError
from onecert.verifier.revocation.crl_entries import REASONS
from onecert.verifier.times import read_generalized_time

__all__ = ["NEVER_ISSUED_SINCE", "SingleAnswer", "key_octets", "read_answer", "read_extensions"]

# RFC 6960, section 2.2: "revoked" with this time and certificateHold says that there is no such certificate.
NEVER_ISSUED_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
_ARCHIVE_CUTOFF = "1.3.6.1.5.5.7.48.1.6"
_CRL_REFERENCES = "1.3.6.1.5.5.7.48.1.3"
_HASHES: dict[str, Callable[[bytes], Any]] = {
    # CertIDs are names, not signatures: SHA-1 only finds the certificate here, and many clients know no
    # other.
    "1.3.14.3.2.26": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class SingleAnswer:
    """One certificate's status. ``status`` is "good", "revoked" or "unknown".

    ``archive_cutoff``: the responder forgets certificates that ended before (RFC 6960, section 4.4.4).
    """

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
    archive_cutoff: datetime | None = None

    @property
    def is_on_hold(self) -> bool:
        return self.status == "revoked" and self.reason == "certificateHold"

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


def read_answer(reader: Reader) -> SingleAnswer:
    """The ``SingleResponse`` in whose SEQUENCE the reader stands.

    Raises:
        DerError, MalformedError: it is none.
    """
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
    extensions: Mapping[str, tuple[bool, bytes]] = {}
    if reader.peek() == 0xA1:
        explicit = reader.enter(0xA1)
        extensions = read_extensions(explicit.enter(SEQUENCE))
        explicit.done()
    reader.done()
    # Which list the status was taken from is of no interest to who trusts the responder.
    unknown = [oid for oid, (critical, _) in extensions.items() if critical]
    unknown = [oid for oid in unknown if oid not in {_ARCHIVE_CUTOFF, _CRL_REFERENCES}]
    cutoff = extensions.get(_ARCHIVE_CUTOFF)
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
        unknown[0] if unknown else None,
        None if cutoff is None else read_generalized_time(Reader(cutoff[1])),
    )


def read_extensions(reader: Reader) -> dict[str, tuple[bool, bytes]]:
    """OID -> criticality and value of ``Extensions``, in their order.

    Raises:
        DerError: they cannot be read.
        MalformedError: ``DUPLICATE_EXTENSION``.
    """
    found: dict[str, tuple[bool, bytes]] = {}
    while reader:
        extension = reader.enter(SEQUENCE)
        oid = extension.oid()
        critical = extension.default_false()
        value = extension.contents(OCTET_STRING)
        extension.done()
        if oid in found:
            raise MalformedError("DUPLICATE_EXTENSION", oid=oid)
        found[oid] = critical, value
    return found
