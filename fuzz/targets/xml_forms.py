"""Forms signed in XML: files as they come, and with ``SignedInfo`` signed anew by the firm.

What is handed out of an untouched signature is what the firm signed; of one made anew, what its digest says.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any

from lxml import etree

from fuzz.rules import require
from fuzz.signed_files import XML_FORM, signature_value, xml
from fuzz.targets.signed import judged
from onecert.verifier import VerifyError, XmlSignature
from onecert.verifier.signed_form.xml_shape import DS, canonical

IS_DER = False

_KINDS = ("enveloped", "enveloping", "detached")
_ELEMENT = "{urn:tax}form"
_DIGESTS = ("sha1", "sha224", "sha256", "sha384", "sha512")


def seeds() -> Iterable[bytes]:
    """The three shapes; a form inside another; comments and instructions; further elements of a signature."""
    yield from map(xml, _KINDS)
    enveloped = xml("enveloped")
    yield b"<forms>" + enveloped + b'<form xmlns="urn:tax"><sum>9</sum></form></forms>'
    yield enveloped.replace(b"<sum>1", b"<sum><!--9-->1").replace(b"<firm>", b"<?pay 9?><firm>")
    properties = (
        b'<ds:Object><x:QualifyingProperties xmlns:x="http://uri.etsi.org/01903/v1.3.2#">'
        b'<x:SignedProperties Id="p-1"><x:SignedSignatureProperties><x:SigningTime>2026-11-21T08:00:00Z'
        b"</x:SigningTime></x:SignedSignatureProperties></x:SignedProperties></x:QualifyingProperties>"
        b"</ds:Object></ds:Signature>"
    )
    yield enveloped.replace(b"</ds:Signature>", properties)


@cache
def _genuine() -> frozenset[bytes]:
    return frozenset(
        form.document
        for kind in _KINDS
        for document in (None, XML_FORM)
        if (form := judged(document, XmlSignature(value=xml(kind)))) is not None and form.document is not None
    )


def run(data: bytes) -> None:
    """As it comes, and signed anew."""
    require(len(_genuine()) == len({"in a form, as a file", "in an Object"}), "the seeds are not accepted")
    anew = _sign_anew(data)
    for document in (None, XML_FORM):
        for element in ("", _ELEMENT):
            form = judged(document, XmlSignature(value=data, element=element))
            require(form is None or form.document in _genuine(), "a form that nobody signed")
            if anew is not None:
                form = judged(document, XmlSignature(value=anew, element=element))
                if form is not None and form.document is not None:
                    require(any(each in anew for each in _digests(form.document)), "another digest")


def _digests(document: bytes) -> list[bytes]:
    return [base64.b64encode(hashlib.new(name, document).digest()) for name in _DIGESTS]


def _sign_anew(data: bytes) -> bytes | None:
    """The same file with a signature that fits its SignedInfo."""
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        root: Any = etree.fromstring(data, parser)
        signature = next(root.iter(DS + "Signature"), None)
        info = None if signature is None else signature.find(DS + "SignedInfo")
        value = None if signature is None else signature.find(DS + "SignatureValue")
        if info is None or value is None:
            return None
        octets = canonical(info, info.find(DS + "CanonicalizationMethod"))
    except (etree.LxmlError, ValueError, LookupError, VerifyError):
        return None
    value[:] = []
    value.text = base64.b64encode(signature_value(octets)).decode()
    anew: bytes = etree.tostring(root)
    return anew
