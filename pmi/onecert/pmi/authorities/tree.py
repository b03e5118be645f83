"""The delegations on record as a tree: who gave them, who holds them, how deep, and what is under each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from onecert.pmi.models import certificates, grants

__all__ = ["MOST", "Node", "read_tree"]

# More delegations than these are not shown as a tree.
MOST = 2000
_LIVE = ("issued", "held", "intended")


@dataclass(kw_only=True)
class Node:
    """One delegation. ``holder`` is the name of the authority that holds it when it is one of ours.

    Args:
        attributes: what its holder may give: name in the catalogue -> values.
        certificates: how many certificates of holders were given under it and have not ended.
    """

    serial: str
    authority: str
    holder: str
    holder_name: str
    state: str
    not_before: datetime
    not_after: datetime
    attributes: Mapping[str, Sequence[Any]]
    constraints: Mapping[str, Any]
    certificates: int
    below: list[Node] = field(default_factory=list)

    @property
    def roles(self) -> int:
        """How many values it lets be given."""
        return sum(len(values) for values in self.attributes.values())

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "serial": self.serial,
            "authority": self.authority,
            "holder": self.holder,
            "holder_name": self.holder_name,
            "state": self.state,
            "attributes": self.attributes,
            "constraints": self.constraints,
            "not_before": self.not_before.isoformat(),
            "not_after": self.not_after.isoformat(),
            "certificates": self.certificates,
            "delegations": [each.as_dict() for each in self.below],
        }

    @property
    def total(self) -> int:
        """How many certificates stand under it and under all below it."""
        return self.certificates + sum(each.total for each in self.below)


def read_tree(connection: Connection, at: datetime) -> tuple[Mapping[str, Sequence[Node]], Mapping[str, int]]:
    """Read the delegations that have not ended.

    Returns:
        By the name of an authority the delegations that it gave and that stand under no other, each with
        those below; and how many certificates each authority gave in all.
    """
    is_live = (certificates.c.state.in_(_LIVE)) & (certificates.c.not_after >= at)
    of_holders = select(certificates.c.under, certificates.c.authority, func.count()).where(
        is_live, certificates.c.kind == "grant"
    )
    under: dict[str, int] = defaultdict(int)
    given: dict[str, int] = defaultdict(int)
    for delegation, name, count in connection.execute(
        of_holders.group_by(certificates.c.under, certificates.c.authority)
    ):
        given[name] += count
        if delegation:
            under[delegation] += count
    rows = connection.execute(
        select(certificates, grants.c.constraints, grants.c.attributes)
        .join(grants, grants.c.id == certificates.c.grant_id)
        .where(is_live, certificates.c.kind == "delegation")
        .order_by(certificates.c.intended_at, certificates.c.serial)
        .limit(MOST)
    ).mappings()
    nodes: dict[str, Node] = {}
    above: dict[str, str | None] = {}
    for row in rows:
        nodes[row["serial"]] = Node(
            serial=row["serial"],
            authority=row["authority"],
            holder=row["entity"].removeprefix("authority:") if row["entity"].startswith("authority:") else "",
            holder_name=row["holder_name"],
            state=row["state"],
            not_before=row["not_before"],
            not_after=row["not_after"],
            attributes=json.loads(row["attributes"]),
            constraints=json.loads(row["constraints"]),
            certificates=under.get(row["serial"], 0),
        )
        above[row["serial"]] = row["under"]
    tree: dict[str, list[Node]] = defaultdict(list)
    for serial, node in nodes.items():
        parent = nodes.get(above[serial] or "")
        (tree[node.authority] if parent is None else parent.below).append(node)
    return tree, given
