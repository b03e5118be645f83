"""A timestamp of our own timestamp authority about an archive's manifest (RFC 3161, section 2.4)."""

from __future__ import annotations

import hashlib

from onecert.ca.errors.archives import ArchiveFaultyError
from onecert.ca.timestamps.authority import TimestampAuthorities

__all__ = ["has_digest", "stamped"]

# TimeStampReq: version 1, SHA-256 of 32 octets, and at its end: the certificate is wanted.
_HEAD = bytes.fromhex("30390201013031300d060960864801650304020105000420")
_TAIL = bytes.fromhex("0101ff")
# TimeStampResp: PKIStatusInfo with status 0 (granted) and nothing else.
_GRANTED = bytes.fromhex("3003020100")


def stamped(timestamps: TimestampAuthorities, authority: str, document: bytes) -> bytes:
    """A `TimeStampResp` about the SHA-256 of a document, DER.

    Raises:
        ArchiveFaultyError: none was granted.
    """
    response = timestamps.answer(authority, _HEAD + hashlib.sha256(document).digest() + _TAIL)
    if _GRANTED not in response[:16] or not has_digest(response, document):
        raise ArchiveFaultyError([f"no timestamp from {authority}"])
    return response


def has_digest(response: bytes, document: bytes) -> bool:
    """Tell whether a response is about this document; `openssl ts -verify` checks its signature."""
    return hashlib.sha256(document).digest() in response
