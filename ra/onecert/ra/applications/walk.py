"""Reads a page of a long list along an index, and never more than a bounded part of the list.

What a filter leaves out costs as much as what it lets through: a clerk who asks for the one application of a
project among a million must not wait until all of them have been read. So the indexes that a list is read by
have the columns that filters ask, `LOOKED_AT` of their entries are looked at for one page, and then the page
says how far it came, and goes on from there.

A list is made of lanes: stretches of an index that are in the order of the list by themselves, such as one
state at one acceptance point. Lanes are read one by one and merged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, select, true, tuple_
from sqlalchemy.sql import ColumnCollection

from onecert.ra.operators.scopes import ANY, Scope

__all__ = ["LOOKED_AT", "NEWEST", "Columns", "Key", "Order", "Walk", "lanes_of", "walk"]

LOOKED_AT = 10_000
# Lanes of single points; a scope with more of them is read as one.
_POINTS = 8
# Beyond every running number: a list from the newest on is a range of its index, too.
NEWEST = (2**53,)
Key = tuple[Any, ...]
Columns = ColumnCollection[str, Any]


@dataclass(frozen=True)
class Order:
    """By which columns a list is sorted, the last of them once for each row, and which columns its indexes
    have besides, so that the table itself is not read for what does not fit."""

    by: Sequence[Column[Any]]
    covered: Sequence[str]
    descending: bool = False


@dataclass(frozen=True)
class Walk:
    """Keys of rows in the order of the list, and the key after which the next page begins; `next` None: that
    was all. `is_cut`: the bound was reached before the page was full."""

    found: Sequence[Key]
    next: Key | None
    is_cut: bool = False


def walk(
    connection: Connection,
    order: Order,
    lanes: Sequence[ColumnElement[bool]],
    fits: Callable[[Columns], ColumnElement[bool]],
    *,
    after: Key | None,
    limit: int,
    looked_at: int | None = None,
) -> Walk:
    """Read one page.

    Args:
        lanes: conditions on the leading columns of an index; no row is in two.
        fits: what else is asked of a row, told the columns of the order and those covered.
        after: the key of the last row of the page before.
        looked_at: entries of each lane at most; `LOOKED_AT` when it is not given.
    """
    bound = looked_at or LOOKED_AT
    names = [column.name for column in order.by]
    table = order.by[0].table
    found: list[Key] = []
    ends: list[Key] = []
    for lane in lanes:
        base = select(*order.by, *(table.c[name] for name in order.covered if name not in names)).where(lane)
        if after is not None:
            base = base.where(_beyond(order, after))
        base = base.order_by(*_sorted(order, order.by))
        entries = base.limit(bound).subquery()
        keys = [entries.c[name] for name in names]
        query = select(*keys).where(fits(entries.c)).order_by(*_sorted(order, keys)).limit(limit + 1)
        rows = [tuple(row) for row in connection.execute(query)]
        found += rows
        if len(rows) <= limit:
            last = connection.execute(base.with_only_columns(*order.by).offset(bound - 1).limit(1)).first()
            if last is not None:
                ends.append(tuple(last))
    found.sort(reverse=order.descending)
    if ends:
        # Further than the shortest lane nobody knows the order.
        end = max(ends) if order.descending else min(ends)
        found = [key for key in found if (key >= end if order.descending else key <= end)]
        if len(found) <= limit:
            return Walk(found, end, is_cut=True)
    more = len(found) > limit
    found = found[:limit]
    return Walk(found, found[-1] if more else None)


def lanes_of(
    scope: Scope, point_column: Column[Any], *, point: str | None = None, each: Sequence[Any] = (True,)
) -> list[ColumnElement[bool]]:
    """The lanes of a scope: one for each acceptance point, or one for all; for each of these conditions."""
    named = sorted({point} if point else {grant.point for grant in scope.grants})
    if ANY in named or not 0 < len(named) <= _POINTS:
        points: list[ColumnElement[bool]] = [true()]
    else:
        points = [point_column == name for name in named]
    return [and_(true(), condition, place) for condition in each for place in points]


def _sorted(order: Order, columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [column.desc() if order.descending else column for column in columns]


def _beyond(order: Order, after: Key) -> ColumnElement[bool]:
    first, *rest = order.by
    if not rest:
        beyond: ColumnElement[bool] = first < after[0] if order.descending else first > after[0]
        return beyond
    # The first by itself is what an index begins with; the others settle which of equal ones.
    if order.descending:
        return and_(first <= after[0], tuple_(*order.by) < after)
    return and_(first >= after[0], tuple_(*order.by) > after)
