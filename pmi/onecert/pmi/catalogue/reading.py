"""Reads a catalogue from TOML, or from the JSON of the records, and says every fault at once.

[[roles]]
uri = "urn:onecert:role:tax.approver"
zh = "税务审批人"
en = "Tax approver"
authorities = ["tax-office"]
second_person = true
max_days = 366
includes = ["urn:onecert:role:tax.reader"]
holders = "person"

[[attributes]]
name = "region"
oid = "1.3.6.1.4.1.99999.1.7"
syntax = "printable"
zh = "区划"
en = "Region"
authorities = ["tax-office"]
values = ["440303", "440304"]
multiple = true

[[exclusions]]
name = "four-eyes"
zh = "审批与稽核分离"
en = "Approval and audit are apart"
roles = ["urn:onecert:role:tax.approver", "urn:onecert:role:tax.auditor"]
kind = "static"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.x509 import ObjectIdentifier

from onecert.pmi.catalogue.content import (
    ANY,
    ENTITY,
    PERSON,
    ROLE,
    Catalogue,
    CatalogueAttribute,
    CatalogueRole,
    Exclusion,
)
from onecert.pmi.errors import CatalogueWrongError
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.roles import is_role_name
from onecert.verifier.attribute_certificate.values import STANDARD, SYNTAXES, encode_value
from onecert.verifier.errors import VerifyError

__all__ = ["load_catalogue", "read_catalogue"]

MAX_BYTES = 1024 * 1024
MAX_DAYS = 3660
MAX_ROWS = 5000
MAX_VALUES = 1000
MAX_DEPTH = 16

_NAME = re.compile(r"[a-z][A-Za-z0-9-]{0,62}", re.ASCII)
_GIVEN = {
    "zh",
    "en",
    "authorities",
    "second_person",
    "max_days",
    "description_zh",
    "description_en",
    "holders",
}
_ROLE_KEYS = _GIVEN | {"uri", "includes"}
_ATTRIBUTE_KEYS = _GIVEN | {"name", "oid", "syntax", "values", "multiple", "encrypted"}
_EXCLUSION_KEYS = {"name", "roles", "kind", "zh", "en"}
# What is written here is written by us, in a form of its own.
_OWN_SYNTAXES = {"role", "encrypted"}
_SYNTAXES = [syntax for syntax in SYNTAXES if syntax not in _OWN_SYNTAXES]
_TAKEN_OIDS = {each.oid.dotted_string for each in STANDARD.values()} | {
    Oid.ENCRYPTED_ATTRIBUTES.dotted_string
}


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue from a TOML file.

    Raises:
        CatalogueWrongError: with every fault.
    """
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise CatalogueWrongError(["the file is larger than 1 MiB"])
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise CatalogueWrongError([str(exc)]) from exc
    return load_catalogue(content)


def load_catalogue(content: Mapping[str, Any], *, version: int = 0) -> Catalogue:
    """Take over the content of a catalogue.

    Raises:
        CatalogueWrongError: with every fault.
    """
    faults = [f"unknown key {key}" for key in sorted(content.keys() - {"roles", "attributes", "exclusions"})]
    rows = {kind: content.get(kind, []) for kind in ("roles", "attributes", "exclusions")}
    for kind, found in rows.items():
        if not isinstance(found, list) or len(found) > MAX_ROWS:
            raise CatalogueWrongError([*faults, f"[[{kind}]] is not a list of at most {MAX_ROWS}"])
    if not rows["roles"] and not rows["attributes"]:
        raise CatalogueWrongError([*faults, "there is no [[roles]] and no [[attributes]]"])
    roles: dict[str, CatalogueRole] = {}
    attributes: dict[str, CatalogueAttribute] = {}
    exclusions: dict[str, Exclusion] = {}
    faults += _take(rows["roles"], "role", _role_faults, _role, roles)
    faults += _take(rows["attributes"], "attribute", _attribute_faults, _attribute, attributes)
    faults += _take(rows["exclusions"], "exclusion", _exclusion_faults, _exclusion, exclusions)
    faults += _faults_between(roles, attributes, exclusions)
    if faults:
        raise CatalogueWrongError(faults)
    return Catalogue(roles, version, attributes, tuple(exclusions.values()))


def _take(
    rows: Iterable[Any],
    what: str,
    faults_of: Callable[[Mapping[str, Any]], Iterator[str]],
    make: Callable[[Mapping[str, Any]], tuple[str, Any]],
    found: dict[str, Any],
) -> Iterator[str]:
    for number, row in enumerate(rows, start=1):
        faults = list(faults_of(row)) if isinstance(row, dict) else ["not a table"]
        yield from (f"{what} {number}: {fault}" for fault in faults)
        if not faults:
            key, made = make(row)
            if key in found:
                yield f"{what} {number}: {key} occurs twice"
            found[key] = made


def _role(row: Mapping[str, Any]) -> tuple[str, CatalogueRole]:
    texts = {name: tuple(row.get(name, ())) for name in ("authorities", "includes")}
    return row["uri"], CatalogueRole(**{**row, **texts})


def _attribute(row: Mapping[str, Any]) -> tuple[str, CatalogueAttribute]:
    standard = STANDARD.get(row["name"])
    known = {} if standard is None else {"oid": standard.oid.dotted_string, "syntax": standard.syntax}
    texts = {name: tuple(row.get(name, ())) for name in ("authorities", "values")}
    return row["name"], CatalogueAttribute(**{**row, **known, **texts})


def _exclusion(row: Mapping[str, Any]) -> tuple[str, Exclusion]:
    return row["name"], Exclusion(**{**row, "roles": tuple(row["roles"])})


def _role_faults(row: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown_keys(row, _ROLE_KEYS)
    if not _is_role(row.get("uri")):
        yield "uri is not the URI of a role"
    includes = row.get("includes", [])
    if not _are_texts(includes) or not all(map(_is_role, includes)):
        yield "includes is not a list of URIs of roles"
    yield from _given_faults(row)


def _attribute_faults(row: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown_keys(row, _ATTRIBUTE_KEYS)
    name = row.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == ROLE:
        yield "name is not a small letter and up to 62 letters, digits and hyphens; roles are in [[roles]]"
        return
    syntax = row.get("syntax")
    standard = STANDARD.get(name)
    if standard is not None:
        if row.get("oid", standard.oid.dotted_string) != standard.oid.dotted_string:
            yield f"oid of {name} is {standard.oid.dotted_string}"
        if row.get("syntax", standard.syntax) != standard.syntax:
            yield f"syntax of {name} is {standard.syntax}"
        syntax = standard.syntax
    else:
        if not _is_oid(row.get("oid")):
            yield "oid is not an object identifier such as 1.3.6.1.4.1.99999.1.7"
        elif row["oid"] in _TAKEN_OIDS:
            yield f"oid {row['oid']} belongs to an attribute of RFC 5755"
        if syntax not in _SYNTAXES:
            yield f"syntax is one of {', '.join(_SYNTAXES)}"
    for flag in ("multiple", "encrypted"):
        if not isinstance(row.get(flag, False), bool):
            yield f"{flag} is true or false"
    if name == "authenticationInfo" and row.get("encrypted") is not True:
        # RFC 5755, section 4.4.1: it usually holds a password.
        yield "authenticationInfo is given encrypted only"
    if syntax in _SYNTAXES:
        yield from _value_faults(row.get("values", []), syntax)
    yield from _given_faults(row)


def _value_faults(values: Any, syntax: str) -> Iterator[str]:
    if not isinstance(values, list) or len(values) > MAX_VALUES:
        yield f"values is not a list of at most {MAX_VALUES}"
        return
    for value in values:
        try:
            encode_value(syntax, value)
        except VerifyError as exc:
            yield f"the value {str(value)[:80]} is not one of the syntax {syntax}: {exc}"


def _exclusion_faults(row: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown_keys(row, _EXCLUSION_KEYS)
    name = row.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield "name is not a small letter and up to 62 letters, digits and hyphens"
    roles = row.get("roles")
    if not _are_texts(roles) or not all(map(_is_role, roles or ())) or len(set(roles or ())) < 2:
        yield "roles names fewer than two roles"
    if row.get("kind", "static") not in {"static", "dynamic"}:
        yield "kind is static or dynamic"
    yield from _title_faults(row)


def _given_faults(row: Mapping[str, Any]) -> Iterator[str]:
    yield from _title_faults(row)
    yield from (
        f"{name} is not a text of at most 500 characters"
        for name in ("description_zh", "description_en")
        if not isinstance(row.get(name, ""), str) or len(row.get(name, "")) > 500
    )
    if not _are_texts(row.get("authorities")) or not row["authorities"]:
        yield "authorities names nobody who may give it"
    if not isinstance(row.get("second_person", False), bool):
        yield "second_person is true or false"
    days = row.get("max_days", 366)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        yield f"max_days is between 1 and {MAX_DAYS}"
    if row.get("holders", ANY) not in (ENTITY, PERSON, ANY):
        yield "holders is entity, person or any"


def _title_faults(row: Mapping[str, Any]) -> Iterator[str]:
    for name in ("zh", "en"):
        if not isinstance(row.get(name), str) or not 1 <= len(row[name].strip()) <= 80:
            yield f"{name} is not a name of 1 to 80 characters"


def _unknown_keys(row: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    yield from (f"unknown key {key}" for key in sorted(row.keys() - known))


def _faults_between(
    roles: Mapping[str, CatalogueRole],
    attributes: Mapping[str, CatalogueAttribute],
    exclusions: Mapping[str, Exclusion],
) -> Iterator[str]:
    for role in roles.values():
        yield from (
            f"{role.uri} includes {uri}, which is not here" for uri in role.includes if uri not in roles
        )
    cycle = _find_cycle(roles)
    if cycle:
        yield f"roles include each other in a circle: {' → '.join(cycle)}"
        return
    deepest = _depth(roles)
    if deepest > MAX_DEPTH:
        yield f"roles include each other more than {MAX_DEPTH} deep"
        return
    by_oid: dict[str, str] = {}
    for attribute in attributes.values():
        other = by_oid.setdefault(attribute.oid, attribute.name)
        if other != attribute.name:
            yield f"{attribute.name} and {other} have the same oid {attribute.oid}"
    for exclusion in exclusions.values():
        missing = [uri for uri in exclusion.roles if uri not in roles]
        yield from (f"exclusion {exclusion.name} names {uri}, which is not here" for uri in missing)
    catalogue = Catalogue(roles, 0, attributes, tuple(exclusions.values()))
    for uri in roles:
        # One who was given this role alone would break the rule at once.
        for exclusion in catalogue.broken_exclusions([uri]):
            yield f"{uri} includes two roles that exclude each other ({exclusion.name})"


def _depth(roles: Mapping[str, CatalogueRole]) -> int:
    """Return how many roles the longest chain has, at most one more than is allowed."""
    level, depth = set(roles), 0
    while level and depth <= MAX_DEPTH:
        level = {below for uri in level if uri in roles for below in roles[uri].includes}
        depth += 1
    return depth


def _find_cycle(roles: Mapping[str, CatalogueRole]) -> list[str]:
    """Return a circle of roles that include each other, first and last the same; empty when there is none."""
    done: set[str] = set()
    for start in roles:
        # Depth first without recursion: a chain may be as long as the catalogue.
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            uri, entering = stack.pop()
            if not entering:
                done.add(path.pop())
            elif uri in path:
                return [*path[path.index(uri) :], uri]
            elif uri not in done and uri in roles:
                path.append(uri)
                stack.append((uri, False))
                stack += [(below, True) for below in roles[uri].includes]
    return []


def _is_role(value: object) -> bool:
    return isinstance(value, str) and is_role_name(value) and not value.endswith("*")


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_oid(value: object) -> bool:
    try:
        return isinstance(value, str) and ObjectIdentifier(value).dotted_string == value
    except ValueError:
        return False
