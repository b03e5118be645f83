"""Structured values (RFC 5755, section 4.4; X.509): JSON to DER and back. ``values.py`` has the shapes."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from onecert.verifier.attribute_certificate.encoding import check_der, tlv
from onecert.verifier.attribute_certificate.general_names import URI, GeneralName
from onecert.verifier.attribute_certificate.value_parts import (
    JsonValue,
    check_hex,
    check_items,
    check_members,
    check_uri,
    encode_authority,
    encode_oid,
    take_authority,
)
from onecert.verifier.attribute_certificate.value_text import BadValueError, check_text
from onecert.verifier.der import BIT_STRING, OCTET_STRING, OID, SEQUENCE, SET, Reader, decode_oid

__all__ = [
    "decode_clearance",
    "decode_ietf",
    "decode_role",
    "decode_service",
    "encode_clearance",
    "encode_ietf",
    "encode_role",
    "encode_service",
]

UTF8_STRING = 0x0C
_KINDS = MappingProxyType({"octets": OCTET_STRING, "oid": OID, "string": UTF8_STRING})
_CLASSES = ("unmarked", "unclassified", "restricted", "confidential", "secret", "topSecret")
_UNCLASSIFIED = frozenset({1})
_MAX_CLASS_BIT = 63


def encode_role(value: JsonValue) -> bytes:
    """``RoleSyntax`` (X.509, section 14.4)."""
    members = {"name": value} if isinstance(value, str) else check_members(value, {"name", "authority"})
    name = GeneralName.uri(check_uri(members["name"])).to_der()
    return tlv(SEQUENCE, encode_authority(members), tlv(0xA1, name))


def decode_role(outer: Reader) -> JsonValue:
    """The JSON of ``RoleSyntax``."""
    reader = outer.enter(SEQUENCE)
    authority = take_authority(reader)
    # roleName is a CHOICE, so its tag is explicit (X.680, section 31.2.7).
    inner = reader.enter(0xA1)
    name = GeneralName.from_der(inner.raw())
    inner.done()
    reader.done()
    if name.tag != URI:
        raise BadValueError("the name of the role is not a URI")
    text = check_uri(str(name))
    return {"name": text, **authority} if authority else text


def encode_ietf(value: JsonValue) -> bytes:
    """``IetfAttrSyntax`` (RFC 5755, section 4.4)."""
    if isinstance(value, str):
        value = {"kind": "string", "values": [value]}
    members = check_members(value, {"kind", "values"}, {"authority"})
    if members["kind"] not in _KINDS:
        raise BadValueError("kind is none of string, oid and octets")
    values = [_ietf_item(members["kind"], each) for each in check_items(members["values"])]
    if len(set(values)) != len(values):
        raise BadValueError("a value twice")
    return tlv(SEQUENCE, encode_authority(members), tlv(SEQUENCE, *values))


def _ietf_item(kind: str, value: JsonValue) -> bytes:
    if kind == "string":
        return tlv(UTF8_STRING, check_text(value).encode())
    return tlv(_KINDS[kind], encode_oid(value) if kind == "oid" else check_hex(value))


def decode_ietf(outer: Reader) -> JsonValue:
    """The JSON of ``IetfAttrSyntax``."""
    reader = outer.enter(SEQUENCE)
    authority = take_authority(reader)
    inner, values, kinds, seen = reader.enter(SEQUENCE), [], set(), set()
    reader.done()
    while inner:
        tag, contents = inner.any()
        kind = next((name for name, own in _KINDS.items() if own == tag), "")
        if not kind or (tag, contents) in seen:
            raise BadValueError("neither string, oid nor octets, or a value twice")
        kinds.add(kind)
        seen.add((tag, contents))
        values.append(_read_ietf_item(kind, contents))
    if len(kinds) != 1:
        # RFC 5755, section 4.4: all values of one kind.
        raise BadValueError("values of different kinds, or none")
    check_items(values)
    if kinds == {"string"} and len(values) == 1 and not authority:
        return values[0]
    return {"kind": kinds.pop(), "values": values, **authority}


def _read_ietf_item(kind: str, contents: bytes) -> str:
    if kind == "string":
        return check_text(contents.decode("utf-8"))
    return decode_oid(contents) if kind == "oid" else contents.hex()


def encode_service(value: JsonValue) -> bytes:
    """``SvceAuthInfo`` (RFC 5755, section 4.4.1)."""
    members = check_members(value, {"service", "ident"}, {"auth_info"})
    info = tlv(OCTET_STRING, check_hex(members["auth_info"])) if "auth_info" in members else b""
    names = (GeneralName.from_json(members[each]).to_der() for each in ("service", "ident"))
    return tlv(SEQUENCE, *names, info)


def decode_service(outer: Reader) -> JsonValue:
    """The JSON of ``SvceAuthInfo``."""
    reader = outer.enter(SEQUENCE)
    value: dict[str, JsonValue] = {
        each: GeneralName.from_der(reader.raw()).to_json() for each in ("service", "ident")
    }
    if reader:
        value["auth_info"] = reader.contents(OCTET_STRING).hex()
    reader.done()
    return value


def encode_clearance(value: JsonValue) -> bytes:
    """``Clearance`` (RFC 5755, section 4.4.6)."""
    members = check_members(value, {"policy"}, {"classes", "categories", "form"})
    is_old = "form" in members
    if is_old and members["form"] != "rfc3281":
        raise BadValueError("form is not rfc3281")
    tags = (0x80, 0x81, 0xA2) if is_old else (OID, BIT_STRING, SET)
    bits = _bits(members["classes"]) if "classes" in members else _UNCLASSIFIED
    classes = b"" if bits == _UNCLASSIFIED else tlv(tags[1], _bit_string(bits))
    categories = b""
    if "categories" in members:
        encoded = {_category(each) for each in check_items(members["categories"])}
        if len(encoded) != len(members["categories"]):
            raise BadValueError("a category twice")
        categories = tlv(tags[2], *sorted(encoded))
    return tlv(SEQUENCE, tlv(tags[0], encode_oid(members["policy"])), classes, categories)


def _category(value: JsonValue) -> bytes:
    members = check_members(value, {"type", "value"})
    content = check_hex(members["value"])
    check_der(content)
    return tlv(SEQUENCE, tlv(0x80, encode_oid(members["type"])), tlv(0xA1, content))


def _bits(value: JsonValue) -> frozenset[int]:
    numbers = []
    for each in check_items(value, least=0):
        if isinstance(each, str) and each in _CLASSES:
            numbers.append(_CLASSES.index(each))
        elif isinstance(each, int) and len(_CLASSES) <= each <= _MAX_CLASS_BIT:
            numbers.append(each)
        else:
            raise BadValueError(f"a class is none of {', '.join(_CLASSES)}, and no bit from 6 to 63")
    if len(set(numbers)) != len(numbers):
        raise BadValueError("a class twice")
    return frozenset(numbers)


def _bit_string(bits: Iterable[int]) -> bytes:
    # X.690, section 11.2.2: named bits, so no zero bits at the end.
    last = max(bits, default=-1)
    size = (last + 8) // 8
    number = sum(1 << (8 * size - 1 - bit) for bit in bits)
    return bytes((8 * size - last - 1,)) + number.to_bytes(size, "big")


def decode_clearance(outer: Reader) -> JsonValue:
    """The JSON of ``Clearance``, in either form."""
    reader = outer.enter(SEQUENCE)
    is_old = reader.peek() == 0x80
    policy, classes, categories = (0x80, 0x81, 0xA2) if is_old else (OID, BIT_STRING, SET)
    value: dict[str, JsonValue] = {"policy": reader.oid(policy)}
    bits = _UNCLASSIFIED
    if reader.peek() == classes:
        bits = reader.named_bits(classes)
        if bits == _UNCLASSIFIED:
            raise BadValueError("the default is encoded")
    if max(bits, default=0) > _MAX_CLASS_BIT:
        raise BadValueError("a class above bit 63")
    value["classes"] = [_CLASSES[bit] if bit < len(_CLASSES) else bit for bit in sorted(bits)]
    if reader.peek() == categories:
        value["categories"] = _read_categories(reader.enter(categories))
    reader.done()
    return {**value, "form": "rfc3281"} if is_old else value


def _read_categories(reader: Reader) -> list[JsonValue]:
    found: list[JsonValue] = []
    last = b""
    while reader:
        raw = reader.raw()
        # Also below RFC 3281's implicit tag, where the check of DER sees no SET.
        if raw <= last:
            raise BadValueError("categories out of order, or one twice")
        last = raw
        inner = Reader(raw).enter(SEQUENCE)
        kind = inner.oid(0x80)
        content = inner.contents(0xA1)
        inner.done()
        check_der(content)
        found.append({"type": kind, "value": content.hex()})
    return check_items(found)
