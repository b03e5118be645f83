"""The shapes of XML signatures that are accepted, and which element each of them signs.

whole      the root, with the signature taken out (enveloped), or the Object inside the signature (enveloping)
part       another element, when the caller has named it
detached   the document beside the file, under the one address that the signature names
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lxml import etree

from onecert.verifier.errors import MalformedError, RefusedError

__all__ = ["DS", "DetachedForm", "Shape", "canonical", "find_shape", "octets_of", "only", "text_of"]

DS = "{http://www.w3.org/2000/09/xmldsig#}"
_EC = "{http://www.w3.org/2001/10/xml-exc-c14n#}"
_SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
_OBJECT = "http://www.w3.org/2000/09/xmldsig#Object"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
# Canonicalisation without comments; with them, the octets would say more than a person sees.
_INCLUSIVE = ("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11")
_NAME = re.compile(r"[^\W\d][\w.-]*")
_IDS = frozenset({"Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id"})
_MORE, _NEWER = "http://www.w3.org/2001/04/xmldsig-more#", "http://www.w3.org/2007/05/xmldsig-more#"
_ALGORITHMS = {
    "http://www.w3.org/2000/09/xmldsig#rsa-sha1": "rsa-sha1",
    _MORE + "ecdsa-sha1": "ecdsa-sha1",
    **{f"{_MORE}rsa-sha{bits}": f"rsa-sha{bits}" for bits in (224, 256, 384, 512)},
    **{f"{_MORE}ecdsa-sha{bits}": f"ecdsa-sha{bits}" for bits in (224, 256, 384, 512)},
    **{f"{_NEWER}sha{bits}-rsa-MGF1": f"rsa-pss-sha{bits}" for bits in (256, 384, 512)},
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """``document`` is the reference to what was signed, ``properties`` the element of XAdES, if present."""

    algorithm: str
    references: Sequence[Any]
    document: Any
    properties: Any = None
    method: Any = None

    def canonical_info(self, info: Any) -> bytes:
        """SignedInfo as it was signed."""
        return canonical(info, self.method)


@dataclass(frozen=True, kw_only=True)
class DetachedForm(Shape):
    """The document stands beside; ``uri`` is the signer's name for it."""

    uri: str


def find_shape(root: Any, signature: Any, element: str) -> Shape:
    """Decide what a signature signs, before anything is computed.

    Args:
        element: the name of the signed element, when only a part may be signed; empty for the whole.

    Raises:
        RefusedError: ``XML_REFERENCE``, ``XML_TRANSFORM``, ``XML_PARTLY_SIGNED``, ``XML_ELEMENT``,
            ``UNSUPPORTED_ALGORITHM``.
        MalformedError: ``XML_MALFORMED``.
    """
    info = only(signature, DS + "SignedInfo")
    method = only(info, DS + "CanonicalizationMethod")
    if method.get("Algorithm") not in {_EXCLUSIVE, *_INCLUSIVE}:
        _transform(method)
    uri = only(info, DS + "SignatureMethod").get("Algorithm", "")
    algorithm = _ALGORITHMS.get(uri)
    if algorithm is None:
        raise RefusedError("UNSUPPORTED_ALGORITHM", algorithm=uri[:100])
    references = info.findall(DS + "Reference")
    kinds: dict[str, Any] = {}
    for reference in references:
        kind = _kind(root, signature, reference)
        if kind in kinds:
            raise RefusedError("XML_REFERENCE", source="XMLDSig, section 4.4.3", found=f"{kind}: 2")
        kinds[kind] = reference
    document = kinds.get("document")
    if document is None:
        raise RefusedError("XML_REFERENCE", source="XMLDSig, section 4.4.3", found="-")
    known: dict[str, Any] = {
        "algorithm": algorithm,
        "references": references,
        "document": document,
        "method": method,
    }
    if "properties" in kinds:
        known["properties"] = _properties(root, signature, kinds["properties"])
    target = document.get("URI")
    if target and not target.startswith("#"):
        # Octets under an address: only those that the caller gave, and as they are.
        for transform in _transforms(document):
            raise RefusedError("XML_TRANSFORM", source="XMLDSig, section 4.4.3.4", algorithm=transform)
        if signature is not root:
            raise RefusedError("XML_REFERENCE", source="XMLDSig, section 4.4.3.2", found=target[:100])
        return DetachedForm(uri=target, **known)
    _check_target(root, signature, document, element)
    return Shape(**known)


def _kind(root: Any, signature: Any, reference: Any) -> str:
    """What a reference is to: the document, or something that belongs to the signature itself."""
    kind, uri = reference.get("Type"), reference.get("URI", "")
    if kind == _SIGNED_PROPERTIES:
        return "properties"
    if kind not in {None, _OBJECT}:
        raise RefusedError("XML_REFERENCE", source="XMLDSig, section 4.4.3", found=str(kind)[:100])
    if uri.startswith("#") and _by_id(root, uri) is signature.find(DS + "KeyInfo"):
        # Which key is meant, as some signers of XAdES say it.
        if _ENVELOPED in _transforms(reference):
            raise RefusedError("XML_TRANSFORM", source="XMLDSig, section 6.6.4", algorithm=_ENVELOPED)
        return "key"
    return "document"


def _check_target(root: Any, signature: Any, reference: Any, element: str) -> None:
    target = root if reference.get("URI") == "" else _by_id(root, reference.get("URI"))
    is_around = signature is target or any(parent is target for parent in signature.iterancestors())
    takes_out = _ENVELOPED in _transforms(reference)
    if signature is target or (is_around and not takes_out):
        raise RefusedError("XML_TRANSFORM", source="XMLDSig, section 6.6.4", algorithm=_ENVELOPED)
    if element and target.tag != element:
        raise RefusedError("XML_ELEMENT", found=str(target.tag)[:200], expected=element)
    is_enveloping = signature is root and target.getparent() is signature and target.tag == DS + "Object"
    if not element and target is not root and not is_enveloping:
        raise RefusedError(
            "XML_PARTLY_SIGNED", source="XMLDSig Best Practices, section 4", found=str(target.tag)[:200]
        )


def _transforms(reference: Any) -> list[str]:
    """The transforms of a reference: the signature out, then one canonicalisation; each at most once."""
    listed = reference.find(DS + "Transforms")
    found: list[str] = []
    for transform in () if listed is None else listed.findall(DS + "Transform"):
        algorithm = transform.get("Algorithm", "")
        is_first = algorithm == _ENVELOPED and not found
        is_last = algorithm in {_EXCLUSIVE, *_INCLUSIVE} and found in ([], [_ENVELOPED])
        if not is_first and not is_last:
            _transform(transform)
        found.append(algorithm)
    return found


def _properties(root: Any, signature: Any, reference: Any) -> Any:
    """SignedProperties of this very signature (XAdES, EN 319 132-1, section 4.4)."""
    target = _by_id(root, reference.get("URI"))
    parents = [parent for parent, _ in zip(target.iterancestors(), range(3), strict=False)]
    names = [etree.QName(parent).localname for parent in parents]
    if names != ["QualifyingProperties", "Object", "Signature"] or parents[2] is not signature:
        raise RefusedError("XML_REFERENCE", source="EN 319 132-1, section 4.4", found=str(target.tag)[:100])
    if _ENVELOPED in _transforms(reference):
        raise RefusedError("XML_TRANSFORM", source="EN 319 132-1, section 4.4", algorithm=_ENVELOPED)
    return target


def _by_id(root: Any, uri: str | None) -> Any:
    """The one element with this identifier, under whatever attribute."""
    name = uri[1:] if uri is not None and uri.startswith("#") else ""
    if _NAME.fullmatch(name) is None:
        # Also XPointers, which choose by other things than a name.
        raise RefusedError("XML_REFERENCE", source="XMLDSig, section 4.4.3.2", found=str(uri)[:100])
    found = [each for each in root.iter(etree.Element) if _has_id(each, name)]
    if len(found) != 1:
        raise RefusedError("XML_REFERENCE", source="XMLDSig, section 4.4.3.2", found=f"{uri}: {len(found)}")
    return found[0]


def _has_id(element: Any, name: str) -> bool:
    # Any attribute that some reader takes for an identifier counts, also with a prefix (wsu:Id).
    return any(
        value == name and (key in _IDS or etree.QName(key).localname in _IDS)
        for key, value in element.attrib.items()
    )


def canonical(node: Any, method: Any) -> bytes:
    """A node in canonical XML, with the method that an element names; none for Canonical XML 1.0.

    Raises:
        RefusedError: ``XML_TRANSFORM``.
    """
    algorithm = _INCLUSIVE[0] if method is None else method.get("Algorithm", "")
    if algorithm not in {_EXCLUSIVE, *_INCLUSIVE}:
        _transform(method)
    prefixes = None
    if algorithm == _EXCLUSIVE and method is not None:
        listed = method.find(_EC + "InclusiveNamespaces")
        prefixes = None if listed is None else listed.get("PrefixList", "").split()
    # Only the namespaces that are in force here, not the attributes of elements above.
    inside = etree.fromstring(etree.tostring(node.getparent(), with_tail=False))[node.getparent().index(node)]
    octets: bytes = etree.tostring(
        inside,
        method="c14n",
        exclusive=algorithm == _EXCLUSIVE,
        with_comments=False,
        inclusive_ns_prefixes=prefixes,
    )
    return octets


def only(parent: Any, name: str) -> Any:
    """The one child of this name.

    Raises:
        MalformedError: ``XML_MALFORMED``.
    """
    found = parent.findall(name)
    if len(found) != 1:
        _malformed(f"{etree.QName(name).localname} occurs {len(found)} times")
    return found[0]


def text_of(element: Any) -> str:
    """The text of an element without comments: those are not signed, and must not cut or lengthen it."""
    found: str = element.xpath("string()")
    return found


def octets_of(element: Any) -> bytes:
    """The octets that an element holds as base64.

    Raises:
        MalformedError: ``XML_MALFORMED``.
    """
    try:
        return base64.b64decode("".join(text_of(element).split()), validate=True)
    except (binascii.Error, ValueError):
        _malformed(f"{etree.QName(element).localname} is not base64")


def _transform(element: Any) -> NoReturn:
    algorithm = element.get("Algorithm", "")
    raise RefusedError("XML_TRANSFORM", source="XMLDSig, section 4.4.3.4", algorithm=algorithm[:100])


def _malformed(detail: str) -> NoReturn:
    raise MalformedError("XML_MALFORMED", source="XMLDSig", detail=detail)
