"""The catalogue: which roles and attributes there are, what they are called, who may give them and to whom.

Data, versioned, published as a whole; a version is never changed. ``reading`` makes it from a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import Any

from onecert.pmi.catalogue.errors import AttributeUnknownError
from onecert.pmi.errors import RoleNotAssignableError, RoleUnknownError

__all__ = [
    "ANY",
    "ENTITY",
    "PERSON",
    "ROLE",
    "Catalogue",
    "CatalogueAttribute",
    "CatalogueRole",
    "Exclusion",
]

ROLE = "role"
_NO_TEXTS = frozenset({"service", "clearance", "integer", "boolean"})
# Who may hold it: legal entities, natural persons, either.
ENTITY, PERSON, ANY = "entity", "person", "any"


@dataclass(frozen=True, kw_only=True)
class _Given:
    """What roles and attributes have in common. ``authorities`` are the names of those who may give it."""

    zh: str
    en: str
    authorities: tuple[str, ...]
    second_person: bool = False
    max_days: int = 366
    description_zh: str = ""
    description_en: str = ""
    holders: str = ANY

    def title(self, language: str) -> str:
        """Return what it is called in ``zh`` or ``en``."""
        return self.en if language == "en" else self.zh


@dataclass(frozen=True, kw_only=True)
class CatalogueRole(_Given):
    """One role. Who has it has the roles that it ``includes`` as well."""

    uri: str
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CatalogueAttribute(_Given):
    """One attribute besides roles.

    Args:
        oid: its dotted object identifier.
        syntax: one of ``onecert.verifier.attribute_certificate.values.SYNTAXES``.
        values: the values that may be given, as JSON; empty: any of the syntax.
        multiple: whether a holder may have several values.
        encrypted: whether it is given encrypted only, readable for the recipient that the request names.
    """

    name: str
    oid: str
    syntax: str
    values: tuple[Any, ...] = ()
    multiple: bool = False
    encrypted: bool = False

    @property
    def takes_json(self) -> bool:
        """Whether its values are no texts, so that people write them as JSON."""
        return self.syntax in _NO_TEXTS


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Separation of duty: nobody has two of these roles (static), or uses two at once (dynamic)."""

    name: str
    roles: tuple[str, ...]
    kind: str = "static"
    zh: str = ""
    en: str = ""

    def title(self, language: str) -> str:
        """Return what it is called in ``zh`` or ``en``."""
        return (self.en if language == "en" else self.zh) or self.name


@dataclass(frozen=True)
class Catalogue:
    """One version of the catalogue."""

    roles: Mapping[str, CatalogueRole] = field(default_factory=dict)
    version: int = 0
    attributes: Mapping[str, CatalogueAttribute] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()

    def role(self, uri: str) -> CatalogueRole:
        """Return a role. Raises RoleUnknownError."""
        found = self.roles.get(uri)
        if found is None:
            raise RoleUnknownError(uri)
        return found

    def attribute(self, name: str) -> CatalogueAttribute:
        """Return an attribute besides roles. Raises AttributeUnknownError."""
        found = self.attributes.get(name)
        if found is None:
            raise AttributeUnknownError(name)
        return found

    def assignable_by(self, authority: str) -> list[CatalogueRole]:
        """Return the roles that this authority may give, in the order of their URIs."""
        return [role for _, role in sorted(self.roles.items()) if authority in role.authorities]

    def attributes_of(self, authority: str) -> list[CatalogueAttribute]:
        """Return the attributes besides roles that this authority may give, in the order of their names."""
        return [each for _, each in sorted(self.attributes.items()) if authority in each.authorities]

    def check_assignable(self, authority: str, roles: Sequence[str]) -> list[CatalogueRole]:
        """Return these roles, if this authority may give every one of them.

        Raises:
            RoleUnknownError, RoleNotAssignableError: one of them is not there, or not this authority's.
        """
        found = [self.role(uri) for uri in roles]
        for role in found:
            if authority not in role.authorities:
                raise RoleNotAssignableError(role.uri, authority)
        return found

    def with_included(self, roles: Iterable[str]) -> frozenset[str]:
        """Return these roles and all that they include, however deep. One that is not here includes none."""
        return frozenset().union(*(self._included.get(uri, frozenset((uri,))) for uri in roles))

    def broken_exclusions(self, roles: Iterable[str], *, kind: str = "static") -> Iterator[Exclusion]:
        """Yield each exclusion of which somebody with these roles would have two."""
        held = self.with_included(roles)
        for exclusion in self.exclusions:
            if exclusion.kind == kind and len(held.intersection(exclusion.roles)) > 1:
                yield exclusion

    @cached_property
    def _included(self) -> Mapping[str, frozenset[str]]:
        # ``reading`` has seen that there is no cycle.
        known: dict[str, frozenset[str]] = {}

        def included(uri: str) -> frozenset[str]:
            if uri not in known:
                role = self.roles.get(uri)
                below = () if role is None else role.includes
                known[uri] = frozenset((uri,)).union(*map(included, below))
            return known[uri]

        for uri in self.roles:
            included(uri)
        return known

    def to_json(self) -> str:
        """Return the canonical JSON of the content; its SHA-256 names this content."""
        content: dict[str, Any] = {"roles": [_row(role) for _, role in sorted(self.roles.items())]}
        if self.attributes:
            content["attributes"] = [_row(each) for _, each in sorted(self.attributes.items())]
        if self.exclusions:
            content["exclusions"] = [_row(each) for each in sorted(self.exclusions, key=_name)]
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


# Added to roles after the first catalogues were published: left out where nothing is said, so that the
# canonical JSON of those is what it was.
_OPTIONAL = frozenset({"includes", "holders"})


def _row(given: CatalogueRole | CatalogueAttribute | Exclusion) -> dict[str, Any]:
    return {
        each.name: getattr(given, each.name)
        for each in fields(given)
        if each.name not in _OPTIONAL or getattr(given, each.name) != _default(each)
    }


def _default(of: Any) -> Any:
    return None if of.default is MISSING else of.default


def _name(exclusion: Exclusion) -> str:
    return exclusion.name
