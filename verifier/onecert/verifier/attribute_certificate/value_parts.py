"""What the values of attributes are made of, checked the same way whether they come as JSON or as DER."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from onecert.verifier.attribute_certificate.encoding import CONSTRUCTED, CONTEXT, tlv
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.attribute_certificate.roles import is_role_name
from onecert.verifier.attribute_certificate.value_text import BadValueError
from onecert.verifier.der import OID, Reader, decode_oid

__all__ = [
    "JsonValue",
    "check_hex",
    "check_items",
    "check_members",
    "check_uri",
    "encode_authority",
    "encode_oid",
    "take_authority",
]

JsonValue = Any

MAX_ITEMS = 64
MAX_NAMES = 8
_NAMES = CONTEXT | CONSTRUCTED  # [0] GeneralNames: policyAuthority and roleAuthority
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_DOTTED = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,37})){1,31}")


def check_uri(value: JsonValue) -> str:
    """Return a URI: at most 500 characters of ASCII, so that no letter of another script looks like it."""
    if not isinstance(value, str) or not is_role_name(value):
        raise BadValueError("not a URI of at most 500 characters in ASCII")
    return value


def check_members(
    value: JsonValue, required: AbstractSet[str], optional: AbstractSet[str] = frozenset()
) -> Mapping[str, JsonValue]:
    """Return an object that has these members and no other."""
    if not isinstance(value, Mapping):
        raise BadValueError("not an object")
    missing, unknown = required - value.keys(), value.keys() - required - optional
    if missing or unknown:
        named = ", ".join(sorted(map(str, missing or unknown))[:8])
        raise BadValueError(f"missing: {named}" if missing else f"not known: {named}")
    return value


def check_items(value: JsonValue, most: int = MAX_ITEMS, *, least: int = 1) -> list[JsonValue]:
    """Return a list that is neither too short nor too long."""
    if not isinstance(value, (list, tuple)) or not least <= len(value) <= most:
        raise BadValueError(f"not a list of {least} to {most}")
    return list(value)


def check_hex(value: JsonValue) -> bytes:
    """Return octets written in lower-case hexadecimal."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise BadValueError("not octets in hexadecimal")
    return bytes.fromhex(value)


def encode_oid(value: JsonValue) -> bytes:
    """Return the contents octets of a dotted object identifier."""
    if not isinstance(value, str) or not _DOTTED.fullmatch(value):
        raise BadValueError("not an object identifier")
    octets = Reader(asn1.encode_der(ObjectIdentifier(value))).contents(OID)
    decode_oid(octets)  # bounded as everywhere
    return octets


def encode_authority(members: Mapping[str, JsonValue]) -> bytes:
    """Return ``[0] GeneralNames`` of the member ``authority``, or nothing."""
    if "authority" not in members:
        return b""
    names = check_items(members["authority"], MAX_NAMES)
    return tlv(_NAMES, *(GeneralName.from_json(each).to_der() for each in names))


def take_authority(reader: Reader) -> dict[str, JsonValue]:
    """Read ``[0] GeneralNames`` if it comes next: the member ``authority``, or nothing."""
    if reader.peek() != _NAMES:
        return {}
    inner, names = reader.enter(_NAMES), []
    while inner:
        names.append(GeneralName.from_der(inner.raw()).to_json())
    return {"authority": check_items(names, MAX_NAMES)}
