"""What a file is, by its content; its name and what the browser says of it count for nothing.

JPEG, PNG and PDF are taken. Everything else is named, so that a clerk knows what was chosen. A file that is
two kinds at once (a ZIP behind an image, HTML inside one) is refused as such: whoever opens it with another
program must not get something that no reviewer saw.
"""

import re
import zipfile
from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO

from onecert.ra.errors import EvidenceRefusedError
from onecert.server.languages import Message, _

__all__ = ["EXTENSIONS", "JPEG", "PDF", "PNG", "check_one_type", "in_megabytes", "media_type_of"]

JPEG, PNG, PDF = "image/jpeg", "image/png", "application/pdf"
EXTENSIONS: Mapping[str, str] = MappingProxyType({JPEG: "jpg", PNG: "png", PDF: "pdf"})

_TAKEN = ((b"\xff\xd8\xff", JPEG), (b"\x89PNG\r\n\x1a\n", PNG), (b"%PDF-", PDF))
_ZIP = _("a ZIP archive or an Office document")
_OTHERS: tuple[tuple[bytes, int, Message], ...] = (
    (b"PK\x03\x04", 0, _ZIP),
    (b"PK\x05\x06", 0, _ZIP),
    (b"GIF8", 0, _("a GIF image")),
    (b"II*\0", 0, _("a TIFF image")),
    (b"MM\0*", 0, _("a TIFF image")),
    (b"BM", 0, _("a BMP image")),
    (b"WEBP", 8, _("a WebP image")),
    (b"ftyphei", 4, _("a HEIC photo, as some telephones make")),
    (b"ftypmif", 4, _("a HEIC photo, as some telephones make")),
    (b"ftypavif", 4, _("an AVIF image")),
    (b"ftyp", 4, _("a video")),
    (b"MZ", 0, _("a program")),
    (b"\x7fELF", 0, _("a program")),
    (b"\xd0\xcf\x11\xe0", 0, _("an Office document")),
    (b"Rar!", 0, _("an archive")),
    (b"7z\xbc\xaf", 0, _("an archive")),
    (b"\x1f\x8b", 0, _("an archive")),
)
_WEB = re.compile(rb"<\s*(svg|html|script|iframe|!doctype\s+html|\?php)", re.IGNORECASE)
_WEB_NAMES: Mapping[bytes, Message] = MappingProxyType({b"svg": _("an SVG drawing")})
_PIECE = 1 << 20


def media_type_of(file: BinaryIO) -> str:
    """The type of what is in the file, one of JPEG, PNG, PDF.

    Raises:
        EvidenceRefusedError: `EVIDENCE_EMPTY`, or `EVIDENCE_TYPE` with what it is.
    """
    file.seek(0)
    head = file.read(1024)
    if not head:
        raise EvidenceRefusedError("EVIDENCE_EMPTY")
    for magic, media_type in _TAKEN:
        if head.startswith(magic):
            return media_type
    for magic, at, name in _OTHERS:
        if head[at:].startswith(magic):
            raise EvidenceRefusedError("EVIDENCE_TYPE", found=name)
    if (web := _WEB.search(head)) is not None:
        raise EvidenceRefusedError("EVIDENCE_TYPE", found=_WEB_NAMES.get(web[1].lower(), _("a web page")))
    is_text = all(octet >= 32 or octet in b"\t\r\n\f" for octet in head)
    raise EvidenceRefusedError(
        "EVIDENCE_TYPE", found=_("a text file") if is_text else _("a file of another type")
    )


def check_one_type(file: BinaryIO, media_type: str) -> None:
    """Raise `EVIDENCE_TWO_TYPES` when the file can be read as something else, too.

    An archive is found from its end, as its programs do; a PDF within the first 1024 octets, as its readers
    do; web pages anywhere in an image, and in the first 1024 octets of a PDF, where browsers look.
    """
    file.seek(0)
    if zipfile.is_zipfile(file):
        raise EvidenceRefusedError("EVIDENCE_TWO_TYPES", found=_ZIP)
    file.seek(0)
    head = file.read(1024)
    if media_type == PDF:
        if _WEB.search(head):
            raise EvidenceRefusedError("EVIDENCE_TWO_TYPES", found=_("a web page"))
        return
    if b"%PDF-" in head:
        raise EvidenceRefusedError("EVIDENCE_TWO_TYPES", found=_("a PDF"))
    file.seek(0)
    before = b""
    while piece := file.read(_PIECE):
        if _WEB.search(before + piece):
            raise EvidenceRefusedError("EVIDENCE_TWO_TYPES", found=_("a web page"))
        before = piece[-64:]


def in_megabytes(octets: int) -> str:
    """`1.5`, as people read sizes of files."""
    return f"{max(octets / 1_000_000, 0.1):.1f}".removesuffix(".0")
