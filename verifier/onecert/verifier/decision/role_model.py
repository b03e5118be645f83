"""What the catalogue says of roles as a whole: which include others, which exclude each other.

A role that includes others gives all of them (NIST RBAC, hierarchy). Two roles of one dynamic exclusion may
be held by one person but must not be active in one question (dynamic separation of duty); who holds both
names those that are to be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from onecert.verifier.attribute_certificate.values import STANDARD

__all__ = ["BASE_ATTRIBUTES", "Activation", "Exclusion", "RoleModel"]

# What is always known of a holder; no attribute of a certificate can go by one of these names.
BASE_ATTRIBUTES = frozenset({"entity", "person", "ca_service", "holder_class", "assurance"})


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Roles of which only one may be active in one question."""

    name: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Activation:
    """What is active in one question.

    Args:
        roles: with all that they include.
        exclusions: names of those that are violated, sorted. Not empty: nothing is permitted.
        not_held: roles that were to be used, but are not proved; they are not active.
    """

    roles: frozenset[str]
    exclusions: tuple[str, ...] = ()
    not_held: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RoleModel:
    """Hierarchy and exclusions of one version of the catalogue, and the names of its attributes.

    Args:
        includes: role -> roles that it includes directly. A circle is harmless: all in it are given.
        exclusions: the dynamic ones.
        registered: attributes beside the standard ones: name -> (dotted identifier, syntax).
        version: of the catalogue.
    """

    includes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()
    registered: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    version: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "_activate", lru_cache(maxsize=4096)(self._work_out))
        object.__setattr__(self, "_empty", dict.fromkeys(sorted(self.attributes), ()))

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Names of proved attributes. One that a holder lacks is the empty set to a rule; a name that is not
        here is an error to a rule, as a wrong name should be."""
        return frozenset(name for name, _ in self.by_oid.values())

    @cached_property
    def by_oid(self) -> Mapping[str, tuple[str, str]]:
        """Dotted identifier -> name and syntax of an attribute that rules can read; roles are not here."""
        standard = {row.oid.dotted_string: (name, row.syntax) for name, row in STANDARD.items()}
        registered = {
            oid: (name, syntax)
            for name, (oid, syntax) in self.registered.items()
            if name not in BASE_ATTRIBUTES and name not in STANDARD and oid not in standard
        }
        return {oid: row for oid, row in {**standard, **registered}.items() if row[0] != "role"}

    def with_included(self, roles: Iterable[str]) -> frozenset[str]:
        """Return the roles and all that they include."""
        found = set(roles)
        waiting = list(found)
        while waiting:
            for role in self.includes.get(waiting.pop(), ()):
                if role not in found:
                    found.add(role)
                    waiting.append(role)
        return frozenset(found)

    def activate(self, proved: frozenset[str], use_roles: frozenset[str] | None = None) -> Activation:
        """Say which roles are active: all that are proved, or those of them that are to be used."""
        found: Activation = self._activate(proved, use_roles)  # type: ignore[attr-defined]  # set above
        return found

    def _work_out(self, proved: frozenset[str], use_roles: frozenset[str] | None) -> Activation:
        held = self.with_included(proved)
        active = held if use_roles is None else self.with_included(use_roles & held)
        violated = sorted(each.name for each in self.exclusions if len(each.roles & active) > 1)
        return Activation(active, tuple(violated), tuple(sorted((use_roles or frozenset()) - held)))

    def complete(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Add the empty set for each known attribute that the holder lacks."""
        return {**self._empty, **attributes}  # type: ignore[attr-defined]  # set above

    def as_dict(self) -> dict[str, Any]:
        """For the signed document."""
        return {
            "version": self.version,
            "includes": {role: list(others) for role, others in sorted(self.includes.items()) if others},
            "exclusions": [{"name": each.name, "roles": sorted(each.roles)} for each in self.exclusions],
            "registered": {name: list(row) for name, row in sorted(self.registered.items())},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RoleModel:
        """Take over what a signed document holds. Raises KeyError, TypeError, ValueError."""
        return cls(
            version=int(content["version"]),
            includes={str(role): tuple(map(str, others)) for role, others in content["includes"].items()},
            exclusions=tuple(
                Exclusion(str(each["name"]), frozenset(map(str, each["roles"])))
                for each in content["exclusions"]
            ),
            registered={
                str(name): (str(oid), str(syntax)) for name, (oid, syntax) in content["registered"].items()
            },
        )
