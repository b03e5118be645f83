"""Where an operator's word counts: which acceptance points, authorities and profiles.

A scope is a list of grants; each names a point, an authority and a profile, or `*` for any. An account
without a grant works at the main point, where everything was before there were points. `Scope.condition` is
the part of a WHERE clause that keeps other points' rows out, `Scope.covers` says the same of one row; both
are made from the same grants.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, false, insert, or_, select, true
from sqlalchemy.sql import ColumnCollection

from onecert.ra.errors import ScopeInvalidError
from onecert.ra.models import operator_scopes, points

__all__ = ["ANY", "EVERYWHERE", "MAIN_POINT", "Grant", "Scope", "check_grants", "load_scope", "write_scope"]

ANY = "*"
MAIN_POINT = "main"
MAX_GRANTS = 64


@dataclass(frozen=True, order=True)
class Grant:
    """One line of a scope; `*` stands for any."""

    point: str = ANY
    authority: str = ANY
    profile: str = ANY


@dataclass(frozen=True)
class Scope:
    """What an operator may see and touch."""

    grants: tuple[Grant, ...]

    def covers(self, point: str, authority: str = ANY, profile: str = ANY) -> bool:
        """Whether one grant holds for all three; `*` as an argument asks nothing of that part."""
        return any(
            _fits(grant.point, point) and _fits(grant.authority, authority) and _fits(grant.profile, profile)
            for grant in self.grants
        )

    def condition(self, columns: ColumnCollection[str, ColumnElement[str]]) -> ColumnElement[bool]:
        """The rows of a table with `point`, `authority` and `kind` that this scope covers."""
        named = (("point", "point"), ("authority", "authority"), ("kind", "profile"))
        lines = []
        for grant in self.grants:
            wanted = [
                columns[column] == getattr(grant, part)
                for column, part in named
                if getattr(grant, part) != ANY
            ]
            if not wanted:
                return true()
            lines.append(and_(*wanted))
        return or_(*lines) if lines else false()

    def home(self) -> str | None:
        """The one point that this operator works at; None when there are several."""
        named = {grant.point for grant in self.grants}
        if named == {ANY}:
            return MAIN_POINT
        return named.pop() if len(named) == 1 else None


EVERYWHERE = Scope((Grant(),))  # the service itself, and commands on the machine


def load_scope(connection: Connection, operator_id: str) -> Scope:
    """The scope of an account as it is now."""
    rows = connection.execute(select(operator_scopes).where(operator_scopes.c.operator_id == operator_id))
    grants = sorted(Grant(row.point, row.authority, row.profile) for row in rows)
    return Scope(tuple(grants) or (Grant(MAIN_POINT),))


def check_grants(connection: Connection, grants: Sequence[Grant]) -> tuple[Grant, ...]:
    """Return them in order, each once.

    Raises:
        ScopeInvalidError: none at all, too many, or a point that is not on record.
    """
    wanted = tuple(sorted(set(grants)))
    if not 1 <= len(wanted) <= MAX_GRANTS:
        raise ScopeInvalidError(str(len(wanted)))
    known = {ANY, *connection.scalars(select(points.c.id))}
    for grant in wanted:
        if grant.point not in known:
            raise ScopeInvalidError(grant.point)
        for part in (grant.authority, grant.profile):
            if not part or len(part) > 64 or not part.isprintable():
                raise ScopeInvalidError(part)
    return wanted


def write_scope(connection: Connection, operator_id: str, grants: Iterable[Grant]) -> None:
    """Replace the grants of an account; only `enrolment.py` does, after a second person has agreed."""
    connection.execute(delete(operator_scopes).where(operator_scopes.c.operator_id == operator_id))
    rows = [
        {"operator_id": operator_id, "point": g.point, "authority": g.authority, "profile": g.profile}
        for g in grants
    ]
    connection.execute(insert(operator_scopes), rows)


def _fits(granted: str, asked: str) -> bool:
    return ANY in {granted, asked} or granted == asked
