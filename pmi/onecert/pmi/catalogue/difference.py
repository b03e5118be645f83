"""What publishing a catalogue would change: entry by entry, and which certificates and rules it touches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, func, select

from onecert.pmi.catalogue.content import ROLE, Catalogue
from onecert.pmi.models import certificate_attributes, certificates

__all__ = ["Change", "Touched", "changes_between", "touched_by"]

_LIVE = ("intended", "issued", "held")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One entry that is new, gone or different.

    Args:
        what: ``role``, ``attribute`` or ``exclusion``.
        name: its URI or name.
        kind: ``added``, ``removed`` or ``changed``.
        fields: of a changed entry, what was and what will be.
    """

    what: str
    name: str
    kind: str
    fields: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Touched:
    """What stands on an entry that goes.

    Args:
        live: certificates that are in force with it; they stay valid, and nothing in them is given again.
        in_policy: whether the policy in force names it.
    """

    what: str
    name: str
    live: int
    in_policy: bool


def changes_between(old: Catalogue, new: Catalogue) -> list[Change]:
    """Return what differs, in the order of kinds and names. Pure."""
    return [
        *_changes("role", old.roles, new.roles),
        *_changes("attribute", old.attributes, new.attributes),
        *_changes("exclusion", _by_name(old), _by_name(new)),
    ]


def touched_by(connection: Connection, changes: list[Change], *, rules: str) -> list[Touched]:
    """Look which certificates and rules stand on roles and attributes that go.

    Args:
        rules: the text of the rules that are in force; empty: there are none.
    """
    found = []
    for change in changes:
        if change.kind != "removed" or change.what == "exclusion":
            continue
        table = certificate_attributes
        chosen = (
            select(func.count(func.distinct(certificates.c.serial)))
            .join(table, table.c.serial == certificates.c.serial)
            .where(certificates.c.state.in_(_LIVE))
        )
        if change.what == ROLE:
            chosen = chosen.where(table.c.name == ROLE, table.c.value == change.name)
        else:
            chosen = chosen.where(table.c.name == change.name)
        live = connection.scalar(chosen) or 0
        in_policy = change.what == ROLE and f'"{change.name}"' in rules
        found.append(Touched(what=change.what, name=change.name, live=live, in_policy=in_policy))
    return found


def _changes(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield Change(what=what, name=name, kind="added", fields={})
        elif name not in new:
            yield Change(what=what, name=name, kind="removed", fields={})
        else:
            pairs = {
                each.name: (getattr(old[name], each.name), getattr(new[name], each.name))
                for each in fields(new[name])
            }
            different = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
            if different:
                yield Change(what=what, name=name, kind="changed", fields=different)


def _by_name(catalogue: Catalogue) -> Mapping[str, Any]:
    return {exclusion.name: exclusion for exclusion in catalogue.exclusions}
