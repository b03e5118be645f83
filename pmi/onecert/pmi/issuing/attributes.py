"""Attributes of a grant as they stand in a certificate, and as they are searched by.

The JSON of the records goes in, ``Attribute`` with the DER of its values comes out; which identifier and
which syntax a name has is said by the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.x509 import ObjectIdentifier

from onecert.pmi.catalogue.content import ROLE, Catalogue
from onecert.pmi.catalogue.errors import AttributeValueError
from onecert.pmi.repository.search import attribute_text
from onecert.verifier.attribute_certificate.delegation import Constraints
from onecert.verifier.attribute_certificate.parse import Attribute
from onecert.verifier.attribute_certificate.values import STANDARD, encode_value
from onecert.verifier.errors import VerifyError

__all__ = [
    "EncodedAttributes",
    "constraints_from_json",
    "encode_attributes",
    "search_values",
]

# What stands in the index for a value that only its recipient may read.
ENCRYPTED = "encrypted"


@dataclass(frozen=True)
class EncodedAttributes:
    """Attributes in the order of their identifiers: for everybody, and for the recipient alone."""

    clear: tuple[Attribute, ...]
    secret: tuple[Attribute, ...] = ()


def encode_attributes(catalogue: Catalogue, attributes: Mapping[str, Sequence[Any]]) -> EncodedAttributes:
    """Encode the attributes of a grant.

    Args:
        attributes: name in the catalogue -> values as JSON, at least one each.

    Raises:
        AttributeUnknownError: the catalogue has no such attribute.
        AttributeValueError: a value is not one of the attribute's syntax.
    """
    clear: list[Attribute] = []
    secret: list[Attribute] = []
    for name, values in attributes.items():
        if name == ROLE:
            clear.append(_encode(name, str(STANDARD[ROLE].oid.dotted_string), ROLE, _text(values)))
            continue
        entry = catalogue.attribute(name)
        encoded = _encode(name, entry.oid, entry.syntax, _text(values))
        (secret if entry.encrypted else clear).append(encoded)
    return EncodedAttributes(tuple(sorted(clear, key=_oid)), tuple(sorted(secret, key=_oid)))


@lru_cache(maxsize=8192)
def _encode(name: str, oid: str, syntax: str, values_json: str) -> Attribute:
    values = json.loads(values_json)
    standard = STANDARD.get(name)
    if standard is not None and standard.single and len(values) > 1:
        # RFC 5755, sections 4.4.3 and 4.4.4: one value, with several names in it.
        if not all(isinstance(value, str) for value in values):
            raise AttributeValueError(name, values_json, "several values of it are texts")
        values = [{"kind": "string", "values": values}]
    found = []
    for value in values:
        try:
            found.append(encode_value(syntax, value) if standard is None else standard.encode(value))
        except VerifyError as exc:
            raise AttributeValueError(name, _text(value), str(exc)) from exc
    if len(set(found)) != len(found):
        raise AttributeValueError(name, values_json, "two values are the same when encoded")
    # X.690, section 11.6: the values of a SET OF ascend.
    return Attribute(ObjectIdentifier(oid), tuple(sorted(found)))


def search_values(catalogue: Catalogue, attributes: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each value, as ``pmi_certificate_attributes`` holds them."""
    for name, values in attributes.items():
        entry = catalogue.attributes.get(name)
        if entry is not None and entry.encrypted:
            yield name, ENCRYPTED
            continue
        for value in values:
            yield name, attribute_text(value)


def constraints_from_json(content: Mapping[str, Any]) -> Constraints:
    """Return what a delegation is limited to.

    Raises:
        ValueError: a name is not in the form of RFC 4514.
    """
    names = {
        kind: [x509.Name.from_rfc4514_string(text) for text in content.get(kind, ())]
        for kind in ("permitted", "excluded")
    }
    return Constraints.within(content.get("depth"), **names)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _oid(attribute: Attribute) -> str:
    return attribute.oid.dotted_string
