"""Identity profiles: where one CA writes who its holder is, as data.

A profile is part of the CA's entry in the signed trust list. It lists the sources (extensions or subject
attributes) with the encodings allowed, the grammar and the kind of number; the rules that tell the class of a
certificate; and the scope, which is what this CA may assert at all. docs/department-developer.md shows one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from onecert.verifier.errors import MalformedError
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.decode import Form, decoder_of
from onecert.verifier.identity.errors import ProfileError
from onecert.verifier.jws import load_json
from onecert.verifier.strict_json import Node, StrictJsonError

PROFILE_MAX_BYTES = 64 * 1024
_POLICIES = "2.5.29.32"

T = TypeVar("T")
_ALTERNATIVE = re.compile(r"[0-2]", re.ASCII)
_TYPE_CODE = re.compile(r"[A-Z]{2}", re.ASCII)
_REGION = re.compile(r"([0-9]{2}){1,3}", re.ASCII)
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,39})){1,30}", re.ASCII)

# How many characters a number of each kind has; a source may list several kinds when these tell them apart.
_LENGTHS: Mapping[IdType, frozenset[int]] = {
    IdType.USCC: frozenset({18}),
    IdType.ORGANISATION_CODE: frozenset({9, 10}),
    IdType.REGISTRATION_NUMBER: frozenset({15}),
    IdType.TAX_NUMBER: frozenset({15, 18}),
    IdType.ID_CARD: frozenset({15, 18}),
    IdType.PASSPORT: frozenset(range(5, 21)),
    IdType.OFFICER: frozenset(range(4, 21)),
}


class SubjectKind(StrEnum):
    """Whom a number names: the legal entity, or a person (the citizen, or the agent of an entity)."""

    ENTITY = "entity"
    PERSON = "person"


class HolderClass(StrEnum):
    """机构, 机构员工或经办人, 个人, 设备, 业务."""

    ORGANISATION = "organisation"
    EMPLOYEE = "employee"
    CITIZEN = "citizen"
    DEVICE = "device"
    SERVICE = "service"


# By name, because asking an enumeration for its member costs more than reading the name.
_SUBJECT_KINDS = {kind.value: kind for kind in SubjectKind}
_HOLDER_CLASSES = {kind.value: kind for kind in HolderClass}
_ID_TYPES = {kind.value: kind for kind in IdType}
_FORMS = {form.value: form for form in Form}


@dataclass(frozen=True)
class Meaning:
    """What a number at one place may be, and whom it names."""

    id_types: tuple[IdType, ...]
    subject: SubjectKind

    def kind_of(self, value: str) -> IdType | None:
        """The kind that fits the length of a normalised value; the profile made sure there is one at most."""
        return self._by_length.get(len(value))

    @cached_property
    def _by_length(self) -> Mapping[int, IdType]:
        return {length: id_type for id_type in self.id_types for length in _LENGTHS[id_type]}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One place where this CA writes a number."""

    kind: str  # "extension" or "subject"
    oid: str
    forms: tuple[Form, ...]
    grammar: str  # "plain", "uid" or "short"
    required: bool
    country: str  # of passports
    meanings: Mapping[
        str, Meaning
    ]  # by alternative of the CHOICE ("0") or by type code of the grammar ("ZZ")
    ca_codes: tuple[str, ...] = ()  # allowed code4 of the grammar; empty: any

    @cached_property
    def place(self) -> str:
        """For people, and in claims: ``extension 1.2.3`` or ``subject 2.5.4.11``."""
        return f"{self.kind} {self.oid}"

    @cached_property
    def decode(self) -> Callable[[bytes], tuple[str, Form, int]]:
        """Decodes the value of an extension; see ``decode.decode``."""
        return decoder_of(self.forms)


@dataclass(frozen=True, kw_only=True)
class ClassRule:
    """How to tell one class: a policy, the text of an extension, or which numbers are there."""

    holder_class: HolderClass
    assurance: str
    policy: str | None = None
    extension: str | None = None
    value: str | None = None
    claims: SubjectKind | None = None


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the licence lets this CA assert. Empty regions mean any."""

    id_types: frozenset[IdType]
    classes: frozenset[HolderClass]
    entity_regions: tuple[str, ...] = ()
    person_regions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class IdentityProfile:
    """A checked profile."""

    name: str
    version: int
    sources: tuple[Source, ...]
    classes: tuple[ClassRule, ...]
    scope: Scope
    strict: bool = True
    test_ids: bool = False
    login_without_key_usage: bool = False

    @cached_property
    def extensions_read(self) -> tuple[str, ...]:
        """The extensions, by OID, that a reading depends on; the subject always counts too."""
        sources = [source.oid for source in self.sources if source.kind == "extension"]
        classes = [rule.extension for rule in self.classes if rule.extension is not None]
        policies = [_POLICIES] if any(rule.policy is not None for rule in self.classes) else []
        return tuple(dict.fromkeys([*sources, *classes, *policies]))


def load_profile(data: bytes) -> IdentityProfile:
    """Read a profile file (JSON, at most 64 KiB).

    Raises:
        ProfileError: PROFILE_MALFORMED with the place and the fault.
    """
    try:
        value = load_json(data, max_bytes=PROFILE_MAX_BYTES)
    except MalformedError as exc:
        raise ProfileError("PROFILE_MALFORMED", detail=exc.text("en")) from exc
    return parse_profile(value)


def parse_profile(value: object, where: str = "") -> IdentityProfile:
    """Read a profile from decoded JSON.

    Raises:
        ProfileError: PROFILE_MALFORMED with the place and the fault.
    """
    try:
        with Node(value, where) as node:
            return IdentityProfile(
                name=node.text("name", max_length=64),
                version=node.integer("version", low=1, high=1_000_000),
                sources=_sources(node),
                classes=tuple(_class_rule(rule) for rule in node.nodes("classes", low=1, high=32)),
                scope=_scope(node.node("scope")),
                strict=node.choice("check", {"strict", "warn"}, default="strict") == "strict",
                test_ids=node.boolean("test_ids", default=False),
                login_without_key_usage=node.boolean("login_without_key_usage", default=False),
            )
    except StrictJsonError as exc:
        raise ProfileError("PROFILE_MALFORMED", detail=str(exc)[:300]) from exc


def _sources(node: Node) -> tuple[Source, ...]:
    sources = tuple(_source(item) for item in node.nodes("sources", low=1, high=32))
    places = [(source.kind, source.oid) for source in sources]
    if len(set(places)) != len(places):
        raise StrictJsonError(node.place("sources"), "two sources name the same place")
    return sources


def _source(node: Node) -> Source:
    with node:
        kind = node.choice("source", {"extension", "subject"})
        grammar = node.choice("grammar", {"plain", "uid", "short"}, default="plain")
        if kind == "extension":
            forms = _choices(node, "forms", _FORMS)
        elif node.has("forms"):
            raise StrictJsonError(node.place("forms"), "only extensions have forms")
        else:
            forms = ()
        meanings = _meanings(node, grammar)
        ca_codes = node.texts("ca_codes", default=[]) if grammar == "uid" else ()
        passports = any(IdType.PASSPORT in meaning.id_types for meaning in meanings.values())
        return Source(
            kind=kind,
            oid=_oid(node, "oid"),
            forms=forms,
            grammar=grammar,
            required=node.boolean("required", default=False),
            country=node.text("country", max_length=3) if passports else "",
            meanings=meanings,
            ca_codes=ca_codes,
        )


def _meanings(node: Node, grammar: str) -> Mapping[str, Meaning]:
    """``types`` maps alternatives or type codes; ``id_types`` and ``subject`` are short for alternative 0."""
    if grammar == "plain" and not node.has("types"):
        return {"0": _meaning(node)}
    types = node.take("types")
    if not isinstance(types, dict) or not 1 <= len(types) <= 32:
        raise StrictJsonError(node.place("types"), "must be an object of 1 to 32 entries")
    pattern = _ALTERNATIVE if grammar == "plain" else _TYPE_CODE
    result: dict[str, Meaning] = {}
    for key, value in types.items():
        if pattern.fullmatch(key) is None:
            raise StrictJsonError(node.place("types"), f"wrong key {key[:20]}")
        with Node(value, f"{node.place('types')}.{key}") as inner:
            result[key] = _meaning(inner)
    return result


def _meaning(node: Node) -> Meaning:
    id_types = _choices(node, "id_types", _ID_TYPES)
    lengths: set[int] = set()
    for id_type in id_types:
        if lengths & _LENGTHS[id_type]:
            raise StrictJsonError(node.place("id_types"), "their lengths do not tell these kinds apart")
        lengths |= _LENGTHS[id_type]
    return Meaning(id_types, _SUBJECT_KINDS[node.choice("subject", _SUBJECT_KINDS)])


def _class_rule(node: Node) -> ClassRule:
    with node:
        ways = [key for key in ("policy", "extension", "claims") if node.has(key)]
        if len(ways) != 1:
            raise StrictJsonError(node.where, "needs exactly one of policy, extension, claims")
        holder_class = _HOLDER_CLASSES[node.choice("class", _HOLDER_CLASSES)]
        assurance = node.choice("assurance", {"low", "substantial", "high"}, default="substantial")
        if ways == ["policy"]:
            return ClassRule(holder_class=holder_class, assurance=assurance, policy=_oid(node, "policy"))
        if ways == ["claims"]:
            claims = _SUBJECT_KINDS[node.choice("claims", _SUBJECT_KINDS)]
            return ClassRule(holder_class=holder_class, assurance=assurance, claims=claims)
        return ClassRule(
            holder_class=holder_class,
            assurance=assurance,
            extension=_oid(node, "extension"),
            value=node.text("value", max_length=64),
        )


def _scope(node: Node) -> Scope:
    with node:
        return Scope(
            id_types=frozenset(_choices(node, "id_types", _ID_TYPES)),
            classes=frozenset(_choices(node, "classes", _HOLDER_CLASSES)),
            entity_regions=_regions(node, "entity_regions"),
            person_regions=_regions(node, "person_regions"),
        )


def _regions(node: Node, key: str) -> tuple[str, ...]:
    regions = node.texts(key, default=[])
    if not all(_REGION.fullmatch(region) for region in regions):
        raise StrictJsonError(node.place(key), "regions have 2, 4 or 6 digits")
    return regions


def _choices(node: Node, key: str, allowed: Mapping[str, T]) -> tuple[T, ...]:
    values = node.texts(key, low=1)
    try:
        return tuple([allowed[value] for value in values])
    except KeyError:
        unknown = sorted(set(values) - allowed.keys())
        raise StrictJsonError(node.place(key), f"unknown: {', '.join(unknown)[:100]}") from None


def _oid(node: Node, key: str) -> str:
    value = node.text(key, max_length=128)
    if _OID.fullmatch(value) is None:
        raise StrictJsonError(node.place(key), "not an object identifier")
    return value
