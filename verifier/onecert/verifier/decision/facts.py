"""What verified attribute certificates prove of a holder, in the form in which rules read it.

Roles are URIs. Every other attribute is a set of texts under its name in the catalogue:

| syntax | a value becomes |
| --- | --- |
| utf8, printable, ia5, uri, oid | the text |
| integer, boolean | its digits; ``true`` or ``false`` |
| ietf | each of its values; ``authority|value`` where it names a policy authority |
| clearance | ``policy:class`` for each class, ``policy:type=value`` for each category |
| service | canonical JSON |

Encrypted values, values of attributes that nobody registered, and values that cannot be read never reach a
rule; each is reported.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.parse import Attribute
from onecert.verifier.attribute_certificate.values import decode_value
from onecert.verifier.attribute_certificate.verify import Explanation
from onecert.verifier.decision.role_model import RoleModel
from onecert.verifier.errors import MalformedError
from onecert.verifier.remembered import remembered

__all__ = ["DroppedValue", "Facts", "prove", "texts_of"]

_ROLE = Oid.ROLE.dotted_string
_ENCRYPTED = Oid.ENCRYPTED_ATTRIBUTES.dotted_string


@dataclass(frozen=True, slots=True)
class DroppedValue:
    """A value that does not reach the policy: in which certificate, which attribute, and why."""

    serial: str
    name: str
    value: str
    reason: str
    """``ENCRYPTED``, ``NOT_REGISTERED``, ``UNREADABLE``, or what the verifier said (``Dropped.reason``)."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is proved of one holder."""

    roles: frozenset[str] = frozenset()
    attributes: Mapping[str, frozenset[str]]
    dropped: tuple[DroppedValue, ...] = ()


def prove(explained: Iterable[Explanation], model: RoleModel) -> Facts:
    """Put together what the certificates prove that were found good; the others give nothing.

    Args:
        explained: each certificate as the verifier of attribute certificates explained it.
        model: names and syntaxes of the attributes.
    """
    roles: set[str] = set()
    attributes: dict[str, set[str]] = defaultdict(set)
    dropped: list[DroppedValue] = []
    for each in explained:
        verified = each.verified
        if verified is None or each.findings:
            continue
        serial = verified.serial_hex
        roles.update(role.name for role in verified.roles)
        for old in verified.dropped:
            name = model.by_oid.get(old.oid, (old.oid, ""))[0]
            dropped.append(DroppedValue(serial, "role" if old.oid == _ROLE else name, old.value, old.reason))
        for attribute in verified.attributes:
            for name, text, reason in _values(attribute, model):
                if reason:
                    dropped.append(DroppedValue(serial, name, text, reason))
                else:
                    attributes[name].add(text)
    return Facts(
        roles=frozenset(roles),
        attributes={name: frozenset(values) for name, values in attributes.items()},
        dropped=tuple(dropped),
    )


def _values(attribute: Attribute, model: RoleModel) -> Iterator[tuple[str, str, str]]:
    """Yield name, text and, for what is dropped, the reason."""
    oid = attribute.oid.dotted_string
    if oid == _ROLE:
        return
    name, syntax = model.by_oid.get(oid, (oid, ""))
    if oid == _ENCRYPTED or syntax == "encrypted":
        yield name, "", "ENCRYPTED"
        return
    if not syntax:
        yield name, "", "NOT_REGISTERED"
        return
    for der in attribute.values:
        texts = _read(syntax, der)
        if texts is None:
            yield name, der.hex()[:80], "UNREADABLE"
            continue
        for text in texts:
            yield name, text, ""


@remembered(most=4096)
def _read(syntax: str, der: bytes) -> tuple[str, ...] | None:
    try:
        return tuple(texts_of(syntax, decode_value(syntax, der)))
    except MalformedError:
        return None


def texts_of(syntax: str, value: Any) -> Iterator[str]:
    """The texts that a value (JSON, as ``decode_value`` returns it) is to a rule."""
    if syntax == "ietf" and isinstance(value, Mapping):
        authorities = [_name(each) for each in value.get("authority", ())]
        prefix = ",".join(authorities) + "|" if authorities else ""
        yield from (f"{prefix}{each}" for each in value["values"])
    elif syntax == "clearance" and isinstance(value, Mapping):
        policy = value["policy"]
        yield from (f"{policy}:{each}" for each in value.get("classes", ["unclassified"]))
        yield from (f"{policy}:{each['type']}={each['value']}" for each in value.get("categories", ()))
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, str | int):
        yield str(value)
    else:
        yield json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _name(name: Mapping[str, str]) -> str:
    return next(iter(name.values()), "")
