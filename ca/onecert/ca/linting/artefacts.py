"""Finds what a file holds: certificates, revocation lists and requests, in DER, or any number of them in PEM.

PEM is read strictly (RFC 7468): base64 between its lines, text around the blocks passed over. Blocks of other
kinds, such as private keys, are passed over and never looked into.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from onecert.ca import der

__all__ = ["CERTIFICATE", "CRL", "FILE_MAX_BYTES", "REQUEST", "UNREADABLE", "Artefact", "find_artefacts"]

CERTIFICATE, CRL, REQUEST, UNREADABLE = "certificate", "crl", "request", "unreadable"
# A list of a million entries has some 40 MB.
FILE_MAX_BYTES = 256 * 1024 * 1024
_LABELS = {
    b"CERTIFICATE": CERTIFICATE,
    b"X509 CERTIFICATE": CERTIFICATE,
    b"TRUSTED CERTIFICATE": UNREADABLE,
    b"X509 CRL": CRL,
    b"CERTIFICATE REQUEST": REQUEST,
    b"NEW CERTIFICATE REQUEST": REQUEST,
}
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----\s*?\n(.*?)-----END \1-----", re.DOTALL)


@dataclass(frozen=True)
class Artefact:
    """One thing to be read; of what is unreadable, `content` says why."""

    kind: str
    content: bytes  # DER


def find_artefacts(content: bytes) -> Iterator[Artefact]:
    """Find everything in the content of one file; what cannot be read is named, too."""
    if len(content) > FILE_MAX_BYTES:
        yield Artefact(UNREADABLE, f"more than {FILE_MAX_BYTES >> 20} MiB".encode())
    elif b"-----BEGIN" not in content:
        yield Artefact(_kind_of(content) or UNREADABLE, content if _kind_of(content) else b"not DER, nor PEM")
    else:
        yield from _of_blocks(content)


def _of_blocks(content: bytes) -> Iterator[Artefact]:
    found = 0
    for block in _BLOCK.finditer(content):
        kind = _LABELS.get(block[1])
        if kind is None:
            continue
        found += 1
        if kind == UNREADABLE:
            yield Artefact(UNREADABLE, block[1])
            continue
        try:
            decoded = binascii.a2b_base64(b"".join(block[2].split()), strict_mode=True)
        except ValueError as exc:
            yield Artefact(UNREADABLE, f"base64: {exc}".encode())
        else:
            yield Artefact(kind, decoded)
    if not found:
        yield Artefact(UNREADABLE, b"no PEM block of these kinds")


def _kind_of(content: bytes) -> str:
    """Tell them apart by their first fields (RFC 5280, 4.1 and 5.1; RFC 2986, 4.1); empty: none of them."""
    tags: list[int] = []
    try:
        signed = der.Reader(der.content_of(content)).enter()
        while len(tags) < 4 and signed.more():
            tags.append(signed.element()[0])
    except der.DerError:
        return ""
    if tags[:1] == [0xA0] or tags[:4] == [der.INTEGER, der.SEQUENCE, der.SEQUENCE, der.SEQUENCE]:
        # A certificate of version 1: serial, algorithm, issuer, validity; a list has a time as its fourth.
        return CERTIFICATE
    if tags[:4] == [der.INTEGER, der.SEQUENCE, der.SEQUENCE, 0xA0]:
        return REQUEST
    times = {der.UTC_TIME, der.GENERALIZED_TIME}
    if tags[:3] == [der.INTEGER, der.SEQUENCE, der.SEQUENCE] or (
        tags[:2] == [der.SEQUENCE] * 2 and tags[2] in times
    ):
        return CRL
    return ""
