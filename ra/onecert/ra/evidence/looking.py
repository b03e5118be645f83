"""Looks at a file before it is kept: what it is, whether it is whole and harmless, and its hash."""

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from onecert.ra.errors import EvidenceRefusedError
from onecert.ra.evidence.pdfs import look_at_pdf
from onecert.ra.evidence.sniffing import PDF, check_one_type, in_megabytes, media_type_of

__all__ = ["Seen", "look_at"]

_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A file that can be kept. `preview` (JPEG) is there for images only."""

    media_type: str
    sha256: str
    size: int
    width: int | None = None
    height: int | None = None
    preview: bytes | None = None


def look_at(file: BinaryIO, *, max_octets: int) -> Seen:
    """Look at a file that can be read from any place, such as an upload's.

    Raises:
        EvidenceRefusedError: why it is not taken.
    """
    size = file.seek(0, 2)
    if size > max_octets:
        raise EvidenceRefusedError(
            "EVIDENCE_TOO_LARGE", size=in_megabytes(size), limit=in_megabytes(max_octets)
        )
    media_type = media_type_of(file)
    check_one_type(file, media_type)
    if media_type == PDF:
        look_at_pdf(file)
        return Seen(media_type=media_type, sha256=_sha256(file), size=size)
    from onecert.ra.evidence.images import look_at_image  # noqa: PLC0415 - Pillow takes long to load

    picture = look_at_image(file, media_type)
    return Seen(
        media_type=media_type,
        sha256=_sha256(file),
        size=size,
        width=picture.width,
        height=picture.height,
        preview=picture.preview,
    )


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
