"""An operator as the rest of a service sees one, and the rules about roles and people.

These checks stand below the web layer: a service calls them where the act happens, whoever asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from onecert.server.operators.errors import (
    OperatorExpiredError,
    OperatorSuspendedError,
    RoleRequiredError,
    SamePersonError,
)

__all__ = ["Operator", "check_different_people", "check_role", "check_usable"]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An account of one service. ``person`` is equal for two accounts of one natural person."""

    id: str
    name: str
    roles: frozenset[str]
    person: str
    valid_until: datetime
    suspended_at: datetime | None = None

    @property
    def actor(self) -> str:
        """How the audit trail names this operator."""
        return f"operator:{self.id}"

    def has_role(self, *roles: str) -> bool:
        """Whether the operator has at least one of these roles."""
        return not self.roles.isdisjoint(roles)


def check_usable(operator: Operator, *, at: datetime) -> None:
    """Raises OperatorSuspendedError or OperatorExpiredError when the account may not act at this time."""
    if operator.suspended_at is not None:
        raise OperatorSuspendedError(operator.id, operator.suspended_at)
    if at >= operator.valid_until:
        raise OperatorExpiredError(operator.id, operator.valid_until)


def check_role(operator: Operator, *roles: str) -> None:
    """Raises RoleRequiredError unless the operator has at least one of these roles."""
    if not operator.has_role(*roles):
        raise RoleRequiredError(roles)


def check_different_people(*operators: Operator) -> None:
    """Raises SamePersonError when two of these are one account, or two accounts of one natural person."""
    for first, second in combinations(operators, 2):
        if first.id == second.id or first.person == second.person:
            raise SamePersonError(first.id, second.id)
