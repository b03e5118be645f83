"""Scans and photos: read to their end within limits, and a small clean copy made for the screen.

The original is kept as it came, for proof. What pages show is the copy: decoded and encoded anew, turned as
the camera says, without the metadata that telephones add (place, owner). Pillow decodes, and only the format
that the content has; the number of pixels is looked at before any is decoded.
"""

import threading
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from onecert.ra.errors import EvidenceRefusedError
from onecert.ra.evidence.sniffing import JPEG

__all__ = ["Picture", "look_at_image", "turned"]

# A JPEG is decoded at a fraction of its size; a PNG and a progressive JPEG are held whole meanwhile: 40
# million pixels are A4 at 600 dpi.
_PIXELS_MAX = 40_000_000
_PIXELS_MAX_BASELINE = 150_000_000
_SIDE_MAX = 30_000
PREVIEW_SIDE = 1800
_QUALITY = 82
_TURNS = {  # Pillow counts the other way round
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
# Decoding takes up to 200 MB; two at a time, whoever else uploads waits.
_DECODING = threading.BoundedSemaphore(2)
Image.MAX_IMAGE_PIXELS = _PIXELS_MAX_BASELINE
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, IndexError, TypeError)


@dataclass(frozen=True)
class Picture:
    """An image that was read to its end; `preview` is its copy (JPEG)."""

    width: int
    height: int
    preview: bytes


def look_at_image(file: BinaryIO, media_type: str) -> Picture:
    """Read an image.

    Raises:
        EvidenceRefusedError: `EVIDENCE_PIXELS`, `EVIDENCE_BROKEN`.
    """
    file.seek(0)
    try:
        with _DECODING:
            image = Image.open(file, formats=[media_type.partition("/")[2].upper()])
            width, height = image.size
            is_baseline = media_type == JPEG and "progressive" not in image.info
            _check_pixels(width, height, _PIXELS_MAX_BASELINE if is_baseline else _PIXELS_MAX)
            if media_type == JPEG:
                image.draft("RGB", (PREVIEW_SIDE, PREVIEW_SIDE))
            image.load()
            return Picture(width, height, _preview(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        limit = _PIXELS_MAX // 1_000_000
        raise EvidenceRefusedError("EVIDENCE_PIXELS", width="?", height="?", limit=limit) from exc
    except _UNREADABLE as exc:
        raise EvidenceRefusedError("EVIDENCE_BROKEN") from exc


def turned(preview: bytes, degrees: int) -> bytes:
    """A copy turned clockwise by a multiple of 90 degrees."""
    if degrees not in _TURNS:
        return preview
    with _DECODING, Image.open(BytesIO(preview), formats=["JPEG"]) as image:
        return _encoded(image.transpose(_TURNS[degrees]))


def _check_pixels(width: int, height: int, limit: int) -> None:
    if width * height > limit or max(width, height) > _SIDE_MAX:
        raise EvidenceRefusedError("EVIDENCE_PIXELS", width=width, height=height, limit=limit // 1_000_000)


def _preview(image: Image.Image) -> bytes:
    """The copy: upright, at most `PREVIEW_SIDE` pixels long, on white where the image is transparent."""
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), reducing_gap=2.0)
    upright = ImageOps.exif_transpose(image)
    if "A" in upright.getbands() or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        upright = Image.new("RGBA", layer.size, "white")
        upright.alpha_composite(layer)
    return _encoded(upright.convert("RGB"))


def _encoded(image: Image.Image) -> bytes:
    out = BytesIO()
    # Nothing of the original's metadata: not given is not written.
    image.info.clear()
    image.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()
