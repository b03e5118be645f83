"""PDF files: whole, not locked, and without programs or further files inside (ISO 32000-1).

Nothing is rendered here, so a PDF is never shown inside a page: it is downloaded, and opened by the reader
that the reviewer's machine has. That reader is why active content is refused: names of ISO 32000-1, sections
12.6.4 (actions) and 7.11.4 (embedded files), also where they are written with #xx and inside compressed
object streams (7.5.7), which are opened up to a limit.
"""

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from onecert.ra.errors import EvidenceRefusedError

__all__ = ["look_at_pdf"]

_NAME = re.compile(rb"/([A-Za-z0-9#]{2,40})")
_HEX = re.compile(rb"#([0-9A-Fa-f]{2})")
_ACTIVE = frozenset(
    {b"JavaScript", b"JS", b"Launch", b"EmbeddedFile", b"EmbeddedFiles", b"RichMedia", b"XFA", b"SubmitForm"}
)
_OBJECT_STREAM = re.compile(rb"/ObjStm\b.{0,400}?stream\r?\n", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n.*?endstream", re.DOTALL)
_OPENED_MAX = 8 << 20


def look_at_pdf(file: BinaryIO) -> None:
    """Raise `EVIDENCE_BROKEN`, `EVIDENCE_LOCKED` or `EVIDENCE_ACTIVE` unless it can be kept."""
    file.seek(0)
    content = file.read()
    tail = content[-2048:]
    if b"%%EOF" not in tail or b"startxref" not in tail:
        raise EvidenceRefusedError("EVIDENCE_BROKEN")
    for text in _readable(content):
        names = {_plain(name) for name in _NAME.findall(text)}
        if b"Encrypt" in names:
            raise EvidenceRefusedError("EVIDENCE_LOCKED")
        if found := names & _ACTIVE:
            raise EvidenceRefusedError("EVIDENCE_ACTIVE", found=", ".join(sorted(n.decode() for n in found)))


def _readable(content: bytes) -> Iterator[bytes]:
    """What stands in the open, without the data of streams, and then what object streams contain."""
    yield _STREAM.sub(b"stream", content)
    opened = 0
    for begin in _OBJECT_STREAM.finditer(content):
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(content[begin.end() :], _OPENED_MAX - opened)
        except zlib.error:
            continue  # not packed, or damaged: its reader will say so
        yield text
        opened += len(text)
        if opened >= _OPENED_MAX or unpacker.unconsumed_tail:
            # Nobody writes this much structure into a scan.
            raise EvidenceRefusedError("EVIDENCE_BROKEN")


def _plain(name: bytes) -> bytes:
    return _HEX.sub(lambda digits: bytes([int(digits[1], 16)]), name)
