"""For each holder on record, the values that rules read, from certificates that were good at a time.

One statement brings one row for each holder, its values in one text; equal texts are read once. So a hundred
thousand holders with some roles cost little more than that statement.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, literal, or_, select

from onecert.pmi.decisions.in_force import Rules
from onecert.pmi.decisions.status_then import was_good
from onecert.pmi.models import certificate_attributes as attributes
from onecert.pmi.models import certificates, holders
from onecert.verifier.decision.facts import texts_of
from onecert.verifier.decision.rules import Reads

__all__ = ["Fact", "Group", "read_groups"]

_FIELD, _ROW = "\x1f", "\x1e"
_ROLES_MAX = 500
_SHARED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Fact:
    """One value on record, as a rule reads it.

    Args:
        form: how its certificate names the holder.
        is_unread: it is on record by its hash only, so that the certificate has to be looked at.
    """

    name: str
    text: str
    authority: str
    under: str
    form: str
    is_unread: bool = False


class Group(NamedTuple):
    """Holders whom the rules cannot tell apart: hashes of their certificates, and what is on record for each.

    ``entity`` and ``person`` are empty where they make no difference.
    """

    facts: frozenset[Fact]
    entity: str
    person: str
    holders: list[str]


def read_groups(
    connection: Connection, at: datetime, rules: Rules, roles: frozenset[str] | None, reads: Reads
) -> list[Group]:
    """Return everybody for whom something that counts was on record then.

    Args:
        roles: those that count; None for all.
        reads: what the rules read; of its attributes those that the catalogue knows.
    """
    names = reads.principal & rules.policy.model.attributes
    if "principal" in reads.whole:
        names = rules.policy.model.attributes
    condition = _counting(roles, names)
    if condition is None:
        return []
    read = _reader(rules)
    if not (reads.holders or reads.principal & {"entity", "person"} or "principal" in reads.whole):
        by_text: dict[str, list[str]] = defaultdict(list)
        for digest, text in _rows(connection, at, condition):
            by_text[text].append(digest)
        if all(fact.form == "certificate" for text in by_text for fact in read(text)):
            return [Group(read(text), "", "", holders) for text, holders in by_text.items()]
    persons = _persons(connection) if reads.principal & {"person"} or reads.whole else {}
    of_holder = (certificates.c.key_sha256, certificates.c.entity)
    units = [
        _Unit(digest, key, entity, persons.get(digest, ""), read(text))
        for digest, key, entity, text in _rows(connection, at, condition, *of_holder)
    ]
    return _grouped(_shared(connection, units), reads)


class _Unit(NamedTuple):
    """One identity certificate and what is on record for it."""

    holder_sha256: str
    key_sha256: str
    entity: str
    person: str
    facts: frozenset[Fact]


def _grouped(units: Iterable[_Unit], reads: Reads) -> list[Group]:
    """Put those together whom the rules cannot tell apart."""
    is_whole = "principal" in reads.whole
    by_entity, by_person = "entity" in reads.principal, "person" in reads.principal
    groups: dict[tuple[frozenset[Fact], str, str], list[str]] = defaultdict(list)
    for unit in units:
        is_named = is_whole or by_entity or unit.entity in reads.holders
        person = unit.person if is_whole or by_person else ""
        groups[unit.facts, unit.entity if is_named else "", person].append(unit.holder_sha256)
    return [Group(*key, holders) for key, holders in groups.items()]


def _rows(
    connection: Connection, at: datetime, condition: ColumnElement[bool], *of_holder: ColumnElement[str]
) -> list[Any]:
    """One row for each holder: the hash, these columns, and all values in one text."""
    field = literal(_FIELD)
    row = (
        attributes.c.name
        + field
        + certificates.c.authority
        + field
        + func.coalesce(certificates.c.under, "")
        + field
        + certificates.c.holder_form
        + field
        + attributes.c.value
    )
    joined = func.group_concat if connection.dialect.name == "sqlite" else func.string_agg
    result: Any = connection.execute(
        select(certificates.c.holder_sha256, *of_holder, joined(row, _ROW))
        .join_from(attributes, certificates, certificates.c.serial == attributes.c.serial)
        .where(
            condition,
            certificates.c.kind == "grant",
            was_good(literal(at, certificates.c.not_before.type)),
        )
        .group_by(certificates.c.holder_sha256, *of_holder)
    )
    # The driver's own rows: all of it is text, and there may be a hundred thousand of them.
    rows: list[Any] = result.cursor.fetchall()
    return rows


def _counting(roles: frozenset[str] | None, names: frozenset[str]) -> ColumnElement[bool] | None:
    conditions = []
    is_role = attributes.c.name == "role"
    if roles is None or len(roles) > _ROLES_MAX:
        conditions.append(is_role)
    elif roles:
        conditions.append(and_(is_role, attributes.c.value.in_(sorted(roles))))
    if names:
        conditions.append(attributes.c.name.in_(sorted(names)))
    return or_(*conditions) if conditions else None


def _reader(rules: Rules):  # type: ignore[no-untyped-def]  # what lru_cache makes
    """Reads a text of one holder's values; those of authorities that could not give them are left out."""
    syntaxes = dict(rules.policy.model.by_oid.values())

    @lru_cache(maxsize=65_536)
    def read(text: str) -> frozenset[Fact]:
        return frozenset(_facts(text.split(_ROW), syntaxes, rules))

    return read


def _facts(rows: Iterable[str], syntaxes: Mapping[str, str], rules: Rules) -> Iterator[Fact]:
    for row in rows:
        name, authority, under, form, value = row.split(_FIELD, 4)
        if authority not in rules.active or (under and under not in rules.chained):
            continue
        if name == "role":
            yield Fact(name, value, authority, under, form)
            continue
        syntax = syntaxes.get(name, "")
        if not syntax or syntax == "encrypted":
            continue
        if value.startswith("sha256:"):
            yield Fact(name, "", authority, under, form, is_unread=True)
            continue
        try:
            json_value = json.loads(value) if value.startswith("{") else value
            texts = list(texts_of(syntax, json_value))
        except (ValueError, KeyError, TypeError):
            texts = [value]
        for text in texts:
            yield Fact(name, text, authority, under, form)


def _persons(connection: Connection) -> dict[str, str]:
    rows = connection.execute(select(holders.c.sha256, holders.c.person).where(holders.c.person != ""))
    return {row.sha256: row.person for row in rows}


def _shared(connection: Connection, units: list[_Unit]) -> list[_Unit]:
    """Give what was given to an identity or a key to every certificate of it."""
    by_entity: dict[str, set[Fact]] = defaultdict(set)
    by_key: dict[str, set[Fact]] = defaultdict(set)
    shared = lru_cache(maxsize=None)(lambda facts: [each for each in facts if each.form != "certificate"])
    for unit in units:
        for fact in shared(unit.facts):
            if fact.form in {"entity", "name"}:
                by_entity[unit.entity].add(fact)
            elif fact.form == "key":
                by_key[unit.key_sha256].add(fact)
    if not by_entity and not by_key:
        return units
    known = {unit.holder_sha256: unit for unit in units}
    for row in connection.execute(
        select(holders.c.sha256, holders.c.key_sha256, holders.c.entity, holders.c.person).where(
            or_(
                holders.c.entity.in_(sorted(by_entity)[:_SHARED_MAX]),
                holders.c.key_sha256.in_(sorted(by_key)[:_SHARED_MAX]),
            )
        )
    ):
        known.setdefault(row.sha256, _Unit(row.sha256, row.key_sha256, row.entity, row.person, frozenset()))
    return [
        unit._replace(
            facts=unit.facts | by_entity.get(unit.entity, set()) | by_key.get(unit.key_sha256, set()),
        )
        for unit in known.values()
    ]
