"""Forms signed as PDF: whole files, and what somebody appends to a signed one.

The first octet says which. Whatever is accepted begins with the very octets that the firm has signed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import cache

from fuzz.rules import require
from fuzz.signed_files import pdf
from fuzz.targets.signed import judged
from onecert.verifier import PdfSignature

IS_DER = False

logging.getLogger("pyhanko").setLevel(logging.CRITICAL)  # it tells the log of each refusal at length

_TAIL = b"trailer\n<</Size 6/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n"


@cache
def _base() -> bytes:
    return pdf()


def seeds() -> Iterable[bytes]:
    """A signed file; revisions with nothing, another page, a filled field, certificates for later."""
    yield b"\x00" + _base()
    yield b"\x01" + _revision({})
    yield b"\x01" + _revision({3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"})
    catalog = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/SigFlags 3>>/DSS<</Certs[]>>>>"
    yield b"\x01" + _revision({1: catalog})
    yield b"\x01" + _revision({1: catalog.replace(b"/DSS<</Certs[]>>", b"/OpenAction[3 0 R/Fit]")})


def _revision(objects: dict[int, bytes]) -> bytes:
    """What is appended to the signed file: changed objects and their table."""
    data = _base()
    before = int(re.findall(rb"startxref\n(\d+)", data)[-1])
    entries = b"xref\n0 1\n0000000000 65535 f \n"
    body = b""
    for number, value in objects.items():
        entries += b"%d 1\n%010d 00000 n \n" % (number, len(data) + len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, value)
    return body + entries + _TAIL % (before, len(data) + len(body))


def run(data: bytes) -> None:
    """What the first octet says."""
    base = _base()
    value = base + data[1:] if data[:1] == b"\x01" else data[1:]
    for allow_filling in (False, True):
        form = judged(None, PdfSignature(value=value, allow_filling=allow_filling))
        if form is None:
            continue
        require(form.document == value, "another file")
        start, end = base.index(b"/Contents <"), base.index(b">>\nendobj\nxref")
        # The hexadecimal digits of the signature itself may be written in either case.
        same = value[:start] == base[:start] and value[end : len(base)] == base[end:]
        require(same, "a file that nobody signed")
