"""The signature in an evidence record, one shape for each kind, and how octets stand in a record.

    {"form": "cms", "value": B64}
    {"form": "raw", "value": B64, "certificate": B64, "algorithm": "", "document_form": "json",
     "timestamp": B64 or absent}
    {"form": "jws", "value": B64, "timestamp": B64 or absent}                                   since schema 2
    {"form": "xml", "value": B64, "element": ""}                                                since schema 2
    {"form": "pdf", "value": B64, "allow_filling": false}                                       since schema 2

The value of "xml" and of "pdf" is the whole file, since the signature stands inside.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from onecert.verifier.signed_form.extras import PdfSignature, XmlSignature
from onecert.verifier.signed_form.form_result import SignatureSource
from onecert.verifier.signed_form.jws_form import JwsSignature
from onecert.verifier.signed_form.raw import DocumentForm, RawSignature
from onecert.verifier.strict_json import Node, StrictJsonError

__all__ = [
    "SCHEMA_MAX",
    "blob",
    "blobs",
    "decode",
    "encode",
    "read_signature",
    "schema_for",
    "signature_dict",
    "text_of",
]

_BLOBS_MAX = 256
SCHEMA_MAX = 3
_EVERY = {"cms", "raw", "jws", "xml", "pdf"}
_FORMS = {1: {"cms", "raw"}, 2: _EVERY, 3: _EVERY}


def read_signature(node: Node, schema: int) -> SignatureSource:
    """The signature of a record with this schema.

    Raises:
        StrictJsonError: it has another shape.
    """
    value = blob(node, "value")
    form = node.choice("form", _FORMS[schema])
    if form == "raw":
        return RawSignature(
            value=value,
            certificate=blob(node, "certificate"),
            algorithm=text_of(node, "algorithm"),
            document_form=DocumentForm(
                node.choice("document_form", {document_form.value for document_form in DocumentForm})
            ),
            timestamp=_timestamp(node),
        )
    if form == "jws":
        return JwsSignature(value=value, timestamp=_timestamp(node))
    if form == "xml":
        return XmlSignature(value=value, element=text_of(node, "element"))
    if form == "pdf":
        return PdfSignature(value=value, allow_filling=node.boolean("allow_filling"))
    return value


def schema_for(signature: SignatureSource) -> int:
    """The oldest schema that can hold this signature."""
    return 1 if isinstance(signature, bytes | RawSignature) else 2


def signature_dict(signature: SignatureSource) -> dict[str, Any]:
    """For JSON; what ``read_signature`` reads."""
    if isinstance(signature, bytes):
        return {"form": "cms", "value": encode(signature)}
    value = encode(signature.value)
    if isinstance(signature, XmlSignature):
        return {"form": "xml", "value": value, "element": signature.element}
    if isinstance(signature, PdfSignature):
        return {"form": "pdf", "value": value, "allow_filling": signature.allow_filling}
    found: dict[str, Any] = {"form": "jws", "value": value}
    if isinstance(signature, RawSignature):
        found = {
            "form": "raw",
            "value": value,
            "certificate": encode(signature.certificate),
            "algorithm": signature.algorithm,
            "document_form": signature.document_form.value,
        }
    if signature.timestamp is not None:
        found["timestamp"] = encode(signature.timestamp)
    return found


def _timestamp(node: Node) -> bytes | None:
    return blob(node, "timestamp") if node.has("timestamp") else None


def blobs(node: Node, key: str) -> tuple[bytes, ...]:
    """A list of octets, at most 256."""
    return tuple(decode(item, node.place(key)) for item in node.items(key, high=_BLOBS_MAX))


def blob(node: Node, key: str) -> bytes:
    """Octets."""
    return decode(node.take(key), node.place(key))


def text_of(node: Node, key: str) -> str:
    """A string that may be empty."""
    value = node.take(key)
    if not isinstance(value, str) or len(value) > 1024:
        raise StrictJsonError(node.place(key), "must be text")
    return value


def encode(data: bytes) -> str:
    """Octets as base64."""
    return base64.b64encode(data).decode("ascii")


def decode(value: object, where: str) -> bytes:
    """Octets from base64, which has one spelling only."""
    if isinstance(value, str):
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise StrictJsonError(where, "must be base64") from exc
        if base64.b64encode(data).decode("ascii") == value:
            return data
    raise StrictJsonError(where, "must be base64")
