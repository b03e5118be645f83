"""PDF files that are written to take long or to fill the memory; each is refused before it does.

root -> issuing CA -> signer ("Firm"), who signs with pyHanko
"""

from __future__ import annotations

import importlib.util
import re
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from onecert.verifier import PdfSignature


def _forms() -> Any:
    spec = importlib.util.spec_from_file_location("pdf_forms", Path(__file__).with_name("test_pdf_forms.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


forms = _forms()


def revised(data: bytes, times: int, *, word: bytes = b"startxref") -> bytes:
    """Revisions that change nothing: seventy octets each, and each is compared with all before it."""
    place = int(re.findall(rb"startxref\s+(\d+)", data)[-1])
    size, root = re.findall(rb"/Size (\d+)", data)[-1], re.findall(rb"/Root (\d+ 0 R)", data)[-1]
    grown = bytearray(data)
    for number in range(times):
        before, place = place, len(grown) + 1
        grown += b"\nxref\n0 1\n0000000000 65535 f \ntrailer\n"
        grown += b"<</Size %b/Root %b/Prev %d>>\n" % (size, root, before)
        if word or number == times - 1:
            grown += b"startxref\n%d\n%%%%EOF\n" % place
    return bytes(grown)


def test_revisions(office: Any) -> None:
    """A long-lived form has some; a hundred thousand, also without their own ends, would take hours."""
    signed = forms.sign(office, forms.blank())
    assert office.verify(PdfSignature(value=revised(signed, 40)), None)
    for times, word in ((100, b"startxref"), (400, b"startxref"), (400, b""), (100_000, b"")):
        error = forms.refused(office, revised(signed, times, word=word))
        assert (error.code, error.facts["detail"]) == ("PDF_MALFORMED", "too many revisions")


@pytest.mark.parametrize("name", [b"/XRef", b"/X#52ef", b"/#58#52#65#66"])
def test_sections_that_are_streams(office: Any, name: bytes) -> None:
    """Their type is counted however it is spelt."""
    signed = forms.sign(office, forms.blank())
    error = forms.refused(office, signed + b"%" + name * 300 + b"\n")
    assert error.facts["detail"] == "too many revisions"


@pytest.mark.parametrize("key", ["/Certs", "/CRLs", "/OCSPs"])
def test_bombs(office: Any, key: str) -> None:
    """Streams of the document security store that grow a thousandfold."""
    writer = IncrementalPdfFileWriter(BytesIO(forms.sign(office, forms.blank())))
    packed = zlib.compress(bytes(32 * 1024 * 1024), 9)
    kind = {generic.NameObject("/Filter"): generic.NameObject("/FlateDecode")}
    bombs = [writer.add_object(generic.StreamObject(kind, encoded_data=packed)) for _ in range(16)]
    store = {
        generic.NameObject("/Type"): generic.NameObject("/DSS"),
        generic.NameObject(key): generic.ArrayObject(bombs),
    }
    writer.root[generic.NameObject("/DSS")] = writer.add_object(generic.DictionaryObject(store))
    writer.update_root()
    error = forms.refused(office, forms.written(writer))
    assert error.code == "PDF_MALFORMED"
    assert "exceeds the limit" in str(error.facts["detail"])
