"""Signed XML and signed PDF: what is handed in, and the door to the modules that need a further library.

``onecert-verifier[xml]`` brings signxml, ``onecert-verifier[pdf]`` brings pyHanko. Nothing of either is
imported before a form of that kind is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from onecert.verifier.arguments import as_octets
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.signed_form.form_signature import OpenedForm

__all__ = ["PdfSignature", "XmlSignature", "open_extra"]

_MODULE = "onecert.verifier.signed_form."


@dataclass(frozen=True, kw_only=True)
class XmlSignature:
    """An XML file with exactly one signature (XMLDSig, with or without XAdES).

    Args:
        value: the file. Enveloped and enveloping signatures carry the document; for a detached one it is
            given beside it.
        element: expected name of the signed element, ``{namespace}name``, when only a part of the file is
            signed; empty when the whole file has to be.
    """

    value: bytes
    element: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", as_octets(self.value, "a signed XML file"))


@dataclass(frozen=True, kw_only=True)
class PdfSignature:
    """A PDF file with its signatures (ISO 32000-2, section 12.8; PAdES).

    Args:
        value: the file.
        allow_filling: accept that form fields were filled in, within what the signatures allow, after the
            last signature; never anything else.
    """

    value: bytes
    allow_filling: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", as_octets(self.value, "a signed PDF file"))


def open_extra(document: bytes | None, signature: XmlSignature | PdfSignature) -> OpenedForm:
    """Read a signed XML or PDF file.

    Raises:
        CouldNotCheckError: ``FORM_EXTRA_MISSING``.
        RefusedError: ``XML_*``, ``PDF_*``.
    """
    name = "xml" if isinstance(signature, XmlSignature) else "pdf"
    try:
        module = import_module(_MODULE + name)
    except ImportError as exc:
        raise CouldNotCheckError("FORM_EXTRA_MISSING", extra=name, detail=str(exc)[:200]) from exc
    opened: OpenedForm = module.open_form(document, signature)
    return opened
