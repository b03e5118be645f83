"""The form of a profile file: a JSON Schema, and the reader that checks a file against it.

The schema (draft 2020-12) is what `profiles/profile.schema.json` publishes. The reader knows the few keywords
that it uses, names every fault in the reader's language, and gives the same verdict as any other validator.
What a form cannot say, which values go together, is in `profile_rules.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onecert.ca.certificates.identity import SYNTAXES, VALUES
from onecert.ca.certificates.names import ALPHABETS, ATTRIBUTES
from onecert.ca.profiles.values import EXTENDED_KEY_USAGE_OIDS, HOLDERS, KEY_KINDS, KEY_USAGE_BITS
from onecert.server.languages import Sentence, _

__all__ = ["find_form_faults", "profile_schema"]

SCHEMA_ID = "urn:onecert:schema:profile:1"
VALIDITY = ("validity_days", "validity_months", "validity_years")
REQUIRED = ("name", "version", "holder", "title", "key_kinds", "subject", "key_usage")
_OID = r"^[0-2](\.(0|[1-9][0-9]{0,18})){1,20}$"
# Printable characters without line breaks and what turns text around (Unicode categories C and Z but blank).
_TEXT = r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+$"


def profile_schema() -> dict[str, Any]:
    """The schema, from the values that the code knows."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "OneCert certificate profile",
        "type": "object",
        "additionalProperties": False,
        "required": list(REQUIRED),
        "oneOf": [{"required": [key]} for key in VALIDITY],
        "properties": {
            "name": _text(32, r"^[a-z][a-z0-9-]{1,31}$"),
            "version": _number(1, 1_000_000),
            "holder": _choice(HOLDERS),
            "title": _table({"zh": _text(64, _TEXT), "en": _text(64, _TEXT)}, ["zh", "en"]),
            "validity_days": _number(1, 36525),
            "validity_months": _number(1, 1200),
            "validity_years": _number(1, 100),
            "backdate_minutes": _number(0, 30),
            "clip_to_issuer": {"type": "boolean"},
            "renewal_same_key": {"type": "boolean"},
            "renewal_window_days": _number(0, 3660),
            "renewal_after_expiry_days": _number(0, 3660),
            "key_kinds": _choices(KEY_KINDS, at_least=1),
            "key_usage": _choices(KEY_USAGE_BITS, at_least=1),
            "extended_key_usage": _choices(EXTENDED_KEY_USAGE_OIDS),
            "is_authority": {"type": "boolean"},
            "path_length": _number(0, 16),
            "alternative_names": {"type": "boolean"},
            "status_pointers": {"type": "boolean"},
            "freshest_crl": {"type": "boolean"},
            "ocsp_no_check": {"type": "boolean"},
            "attribute_controls": {"type": "boolean"},
            "identity_required": _choices(VALUES),
            "identity_optional": _choices(VALUES),
            "policies": _list({"type": "string", "pattern": _OID, "maxLength": 64}, 16),
            "subject": _table(dict.fromkeys(ATTRIBUTES, _SUBJECT_RULE), []),
            "identity": {**_list(_IDENTITY_FORM, 16), "uniqueItems": False},
        },
    }


def _number(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


def _text(longest: int, pattern: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": pattern}


def _choice(values: Sequence[str] | Mapping[str, Any] | frozenset[str]) -> dict[str, Any]:
    return {"type": "string", "enum": sorted(values) if isinstance(values, frozenset) else list(values)}


def _list(items: Mapping[str, Any], at_most: int, at_least: int = 0) -> dict[str, Any]:
    return {
        "type": "array", "items": items, "minItems": at_least, "maxItems": at_most, "uniqueItems": True
    }  # fmt: skip


def _choices(values: Sequence[str] | Mapping[str, Any], at_least: int = 0) -> dict[str, Any]:
    return _list(_choice(values), len(values), at_least)


def _table(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": dict(properties),
    }


_SUBJECT_RULE = _table(
    {
        "required": {"type": "boolean"},
        "max_length": _number(1, 128),
        "alphabet": _choice(ALPHABETS),
        "fixed": _text(128, _TEXT),
    },
    [],
)
_IDENTITY_FORM = _table(
    {
        "oid": {"type": "string", "pattern": _OID, "maxLength": 64},
        "value": _choice((*VALUES, "class")),
        "syntax": _choice(SYNTAXES),
        "uid": {"type": "boolean"},
        "code": _text(4, r"^[0-9A-Za-z]{4}$"),
        "type": _text(2, r"^[A-Z]{2}$"),
        "base64": {"type": "boolean"},
        "first_key": _number(1, 1_000_000),
        "text": _text(64, _TEXT),
    },
    ["oid", "value", "syntax"],
)

_TYPES: Mapping[str, type] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
_TYPE_NAMES = {
    "object": _("a table"),
    "array": _("a list"),
    "string": _("a text"),
    "integer": _("a whole number"),
    "boolean": _("true or false"),
}


def find_form_faults(data: object) -> list[Sentence]:
    """Name every fault in the form of a profile, whatever it is; none: it fits the schema."""
    return list(_faults(data, _schema(), ""))


def _schema() -> dict[str, Any]:
    return profile_schema()


def _faults(value: object, schema: Mapping[str, Any], place: str) -> Iterator[Sentence]:
    kind = schema["type"]
    # bool is an int in Python, and neither in TOML nor in JSON.
    if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        yield Sentence(_("“%(key)s” is %(kind)s"), key=place or "profile", kind=_TYPE_NAMES[kind])
    elif isinstance(value, dict):
        yield from _faults_of_table(value, schema, place)
    elif isinstance(value, list):
        yield from _faults_of_list(value, schema, place)
    elif isinstance(value, str):
        yield from _faults_of_text(value, schema, place)
    elif kind == "integer" and not schema["minimum"] <= value <= schema["maximum"]:
        low, high = schema["minimum"], schema["maximum"]
        yield Sentence(_("“%(key)s” is a number from %(low)s to %(high)s"), key=place, low=low, high=high)


def _faults_of_table(value: dict[Any, Any], schema: Mapping[str, Any], place: str) -> Iterator[Sentence]:
    properties = schema["properties"]
    for key, entry in value.items():
        path = _short(f"{place}.{key}" if place else str(key))
        if key in properties:
            yield from _faults(entry, properties[key], path)
        else:
            yield Sentence(_("unknown key “%(key)s”"), key=path)
    for key in schema["required"]:
        if key not in value:
            yield Sentence(_("“%(key)s” is missing"), key=f"{place}.{key}" if place else key)
    ways = [way["required"][0] for way in schema.get("oneOf", ())]
    if ways and sum(way in value for way in ways) != 1:
        yield Sentence(_("exactly one of %(keys)s must be there"), keys=", ".join(ways))


def _faults_of_list(value: list[Any], schema: Mapping[str, Any], place: str) -> Iterator[Sentence]:
    if not schema["minItems"] <= len(value) <= schema["maxItems"]:
        low, high = schema["minItems"], schema["maxItems"]
        yield Sentence(_("“%(key)s” has %(low)s to %(high)s entries"), key=place, low=low, high=high)
        return
    for number, entry in enumerate(value, start=1):
        yield from _faults(entry, schema["items"], f"{place}[{number}]")
    if schema["uniqueItems"] and len({repr(entry) for entry in value}) != len(value):
        yield Sentence(_("“%(key)s” says something twice"), key=place)


def _faults_of_text(value: str, schema: Mapping[str, Any], place: str) -> Iterator[Sentence]:
    if "enum" in schema:
        if value not in schema["enum"]:
            choices = ", ".join(schema["enum"])
            yield Sentence(
                _("“%(key)s” knows no “%(value)s”, only %(choices)s"),
                key=place, value=_short(value), choices=choices,
            )  # fmt: skip
    elif len(value) > schema["maxLength"] or len(value) < schema.get("minLength", 0):
        yield Sentence(_("“%(key)s” has 1 to %(high)s characters"), key=place, high=schema["maxLength"])
    elif not re.search(schema["pattern"], value) or value.endswith("\n"):
        yield Sentence(_("“%(key)s” has not the form %(form)s"), key=place, form=schema["pattern"])


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
