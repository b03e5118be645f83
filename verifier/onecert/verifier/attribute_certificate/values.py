"""Values of attributes as JSON and as DER: all of RFC 5755, section 4.4, X.509's role and clearance, and
simple types for attributes that a city registers itself.

What ``decode_value`` returns can be given to ``encode_value`` again, and the same octets come out. Shapes:

========= ==========================================================================================
syntax    JSON value
========= ==========================================================================================
role      ``"urn:…"``, the URI of a role; or ``{"name": "urn:…", "authority": [NAME…]}``
ietf      ``"text"``; or ``{"kind": "string"|"oid"|"octets", "values": […], "authority": [NAME…]}``:
          values all of one kind (section 4.4), octets in hexadecimal
service   ``{"service": NAME, "ident": NAME, "auth_info": "hex"}``, the last optional
clearance ``{"policy": "1.2…", "classes": ["secret", 7…], "categories": [{"type": "1.2…", "value": "hex"}]}``:
          without ``classes`` "unclassified"; bits above 5 by number; values of categories in DER
utf8      ``"text"``, NFC, at most 1,000 characters, none of them invisible or changing the direction
printable ``"text"`` of PrintableString's alphabet
ia5       ``"text"`` in visible ASCII
uri       ``"https://…"`` in ASCII; a UTF8String as X.520's ``URI``
integer   a number of at most 20 octets
boolean   ``true`` or ``false``
oid       ``"1.2.3"``
encrypted ``"base64"`` of the ContentInfo of encrypted attributes, see ``encrypted.py``
========= ==========================================================================================

NAME is a general name, ``{"uri": …}``, ``{"dns": …}``, ``{"mail": …}``, ``{"ip": …}``, ``{"oid": …}``,
``{"directory": "CN=…,C=CN"}`` (RFC 4514), or ``{"der": "hex"}`` for every other.

Clearance: written as RFC 5755 and X.501 have it, ``policyId`` and ``classList`` without tags. RFC 3281 tagged
them [0], [1] and [2]; that form is read too, and said in the JSON as ``"form": "rfc3281"``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.x509 import ObjectIdentifier

from onecert.verifier.attribute_certificate import structured_values as structured
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encoding import check_der, tlv
from onecert.verifier.attribute_certificate.value_parts import (
    JsonValue,
    check_uri,
    encode_oid,
)
from onecert.verifier.attribute_certificate.value_text import BadValueError, check_text
from onecert.verifier.der import BOOLEAN, INTEGER, OID, SEQUENCE, Reader
from onecert.verifier.errors import MalformedError

__all__ = ["STANDARD", "SYNTAXES", "StandardAttribute", "decode_value", "encode_value", "split_value"]

MAX_OCTETS = 4096
MAX_ENCRYPTED_OCTETS = 32 * 1024
_MAX_INTEGER_BITS = 159
_PRINTABLE_STRING, _IA5_STRING = 0x13, 0x16
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]+")
_IA5 = re.compile(r"[\x20-\x7e]+")
_ENVELOPED_DATA = "1.2.840.113549.1.7.3"


def encode_value(syntax: str, value: JsonValue) -> bytes:
    """Return the DER of one value.

    Args:
        syntax: one of ``SYNTAXES``.
        value: its JSON, of the shape above; nothing but these members.

    Raises:
        MalformedError: ``ATTRIBUTE_VALUE``, with ``detail``; ``ATTRIBUTE_TEXT`` for a text with characters
            that cannot be seen, that change the direction, or that are not in NFC.
    """
    try:
        der = _codec(syntax).encode(value)
        if len(der) > _max_octets(syntax):
            raise BadValueError("too long")
    except BadValueError as exc:
        raise exc.error(syntax) from exc
    except (ValueError, TypeError, OverflowError) as exc:
        raise MalformedError("ATTRIBUTE_VALUE", syntax=syntax, detail=str(exc)) from exc
    return der


def decode_value(syntax: str, der: bytes) -> JsonValue:
    """Return the JSON of one value, read strictly: DER, nothing left over, nothing that cannot be written.

    Args:
        syntax: one of ``SYNTAXES``.
        der: the whole value, at most 4 KiB (encrypted attributes: 32 KiB).

    Raises:
        MalformedError: as ``encode_value``.
    """
    try:
        if len(der) > _max_octets(syntax):
            raise BadValueError("too long")
        check_der(der)
        reader = Reader(der)
        value = _codec(syntax).decode(reader)
        reader.done()
    except BadValueError as exc:
        raise exc.error(syntax) from exc
    except (ValueError, TypeError, OverflowError) as exc:
        raise MalformedError("ATTRIBUTE_VALUE", syntax=syntax, detail=str(exc)) from exc
    return value


def split_value(syntax: str, der: bytes) -> tuple[bytes, ...]:
    """Return the smallest values that together say the same, in DER.

    The groups of one ``IetfAttrSyntax`` are one each; every other syntax has one part, its own octets. For
    asking whether one attribute holds all that another does.

    Raises:
        MalformedError: as ``decode_value``.
    """
    value = decode_value(syntax, der)
    if syntax != "ietf" or isinstance(value, str):
        return (der,)
    return tuple(encode_value(syntax, {**value, "values": [each]}) for each in value["values"])


@dataclass(frozen=True, slots=True)
class StandardAttribute:
    """An attribute of RFC 5755, section 4.4.

    ``single`` attributes have one value only; several names stand inside of it. ``without`` are members that
    the syntax has and this attribute must not have.
    """

    oid: ObjectIdentifier
    syntax: str
    single: bool = False
    without: frozenset[str] = frozenset()

    def encode(self, value: JsonValue) -> bytes:
        """Return the DER of one value; raises as ``encode_value``."""
        self._check(value)
        return encode_value(self.syntax, value)

    def decode(self, der: bytes) -> JsonValue:
        """Return the JSON of one value; raises as ``decode_value``."""
        value = decode_value(self.syntax, der)
        self._check(value)
        return value

    def _check(self, value: JsonValue) -> None:
        if isinstance(value, Mapping) and (members := self.without & value.keys()):
            detail = f"this attribute has no {', '.join(sorted(members))}"
            raise MalformedError("ATTRIBUTE_VALUE", syntax=self.syntax, detail=detail)


STANDARD: Mapping[str, StandardAttribute] = MappingProxyType(
    {
        "authenticationInfo": StandardAttribute(Oid.AUTHENTICATION_INFO, "service"),
        "accessIdentity": StandardAttribute(
            # Section 4.4.2: who somebody is, never how he proves it.
            Oid.ACCESS_IDENTITY,
            "service",
            without=frozenset({"auth_info"}),
        ),
        "chargingIdentity": StandardAttribute(Oid.CHARGING_IDENTITY, "ietf", single=True),
        "group": StandardAttribute(Oid.GROUP, "ietf", single=True),
        "role": StandardAttribute(Oid.ROLE, "role"),
        "clearance": StandardAttribute(Oid.CLEARANCE, "clearance"),
    }
)


@dataclass(frozen=True, slots=True)
class _Codec:
    encode: Callable[[JsonValue], bytes]
    decode: Callable[[Reader], JsonValue]


def _text(tag: int, check: Callable[[JsonValue], str]) -> _Codec:
    return _Codec(
        lambda value: tlv(tag, check(value).encode()),
        lambda reader: check(reader.contents(tag).decode("utf-8")),
    )


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[JsonValue], str]:
    def check(value: JsonValue) -> str:
        text = check_text(value)
        if not pattern.fullmatch(text):
            raise BadValueError(what)
        return text

    return check


def _encode_integer(value: JsonValue) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool) or _is_too_long(value):
        raise BadValueError("not a number of at most 20 octets")
    length = (value + (value < 0)).bit_length() // 8 + 1
    return tlv(INTEGER, value.to_bytes(length, "big", signed=True))


def _decode_integer(reader: Reader) -> int:
    value = reader.integer()
    if _is_too_long(value):
        raise BadValueError("not a number of at most 20 octets")
    return value


def _is_too_long(value: int) -> bool:
    return (value + (value < 0)).bit_length() > _MAX_INTEGER_BITS


def _encode_boolean(value: JsonValue) -> bytes:
    if not isinstance(value, bool):
        raise BadValueError("neither true nor false")
    return tlv(BOOLEAN, b"\xff" if value else b"\x00")


def _encode_encrypted(value: JsonValue) -> bytes:
    if not isinstance(value, str):
        raise BadValueError("not base64")
    der = base64.b64decode(value, validate=True)
    check_der(der)
    _decode_encrypted(Reader(der))
    return der


def _decode_encrypted(outer: Reader) -> str:
    raw = outer.raw()
    # ContentInfo of CMS: what is inside is for ``encrypted.py`` and those who have a key.
    reader = Reader(raw).enter(SEQUENCE)
    if reader.oid() != _ENVELOPED_DATA:
        raise BadValueError("not EnvelopedData")
    reader.contents(0xA0)
    reader.done()
    return base64.b64encode(raw).decode("ascii")


_CODECS: Mapping[str, _Codec] = MappingProxyType(
    {
        "role": _Codec(structured.encode_role, structured.decode_role),
        "ietf": _Codec(structured.encode_ietf, structured.decode_ietf),
        "service": _Codec(structured.encode_service, structured.decode_service),
        "clearance": _Codec(structured.encode_clearance, structured.decode_clearance),
        "utf8": _text(structured.UTF8_STRING, check_text),
        "printable": _text(_PRINTABLE_STRING, _matching(_PRINTABLE, "not of PrintableString's alphabet")),
        "ia5": _text(_IA5_STRING, _matching(_IA5, "not visible ASCII")),
        "uri": _text(structured.UTF8_STRING, check_uri),
        "integer": _Codec(_encode_integer, _decode_integer),
        "boolean": _Codec(_encode_boolean, Reader.boolean),
        "oid": _Codec(lambda value: tlv(OID, encode_oid(value)), Reader.oid),
        "encrypted": _Codec(_encode_encrypted, _decode_encrypted),
    }
)
SYNTAXES = tuple(_CODECS)


def _codec(syntax: str) -> _Codec:
    if syntax not in _CODECS:
        raise BadValueError("no such syntax")
    return _CODECS[syntax]


def _max_octets(syntax: str) -> int:
    return MAX_ENCRYPTED_OCTETS if syntax == "encrypted" else MAX_OCTETS
