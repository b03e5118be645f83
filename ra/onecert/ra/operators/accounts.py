"""Operators as an administrator or auditor looks at them: account, scope, certificates, and how it stands."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, select

from onecert.ra.models import operator_scopes
from onecert.ra.operators.scopes import MAIN_POINT, Grant
from onecert.server.operators import Operator
from onecert.server.operators.models import operator_certificates

__all__ = ["ENDS_SOON", "Account", "Bound", "Standing", "describe_accounts"]

ENDS_SOON = timedelta(days=30)


class Standing(StrEnum):
    """Whether an account works; `ENDING`: it does, for less than `ENDS_SOON`."""

    WORKING = "working"
    ENDING = "ending"
    ENDED = "ended"
    SUSPENDED = "suspended"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A certificate that signs in as this account; whether it is good is asked at each sign-in."""

    sha256: str
    subject: str
    serial_hex: str
    not_after: datetime
    bound_at: datetime


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account with what belongs to it. Certificates: the one bound last comes first."""

    operator: Operator
    standing: Standing
    grants: tuple[Grant, ...]
    certificates: tuple[Bound, ...]


def describe_accounts(
    connection: Connection, operators: Sequence[Operator], *, at: datetime
) -> list[Account]:
    """The same accounts in the same order, with two statements for all of them."""
    ids = [operator.id for operator in operators]
    grants: dict[str, list[Grant]] = defaultdict(list)
    for row in connection.execute(select(operator_scopes).where(operator_scopes.c.operator_id.in_(ids))):
        grants[row.operator_id].append(Grant(row.point, row.authority, row.profile))
    bound: dict[str, list[Bound]] = defaultdict(list)
    held = select(operator_certificates).where(operator_certificates.c.operator_id.in_(ids))
    for row in connection.execute(held.order_by(operator_certificates.c.bound_at.desc())):
        bound[row.operator_id].append(
            Bound(
                sha256=row.sha256,
                subject=row.subject,
                serial_hex=row.serial_hex,
                not_after=row.not_after,
                bound_at=row.bound_at,
            )
        )
    return [
        Account(
            operator=operator,
            standing=_standing(operator, at),
            grants=tuple(sorted(grants[operator.id])) or (Grant(MAIN_POINT),),
            certificates=tuple(bound[operator.id]),
        )
        for operator in operators
    ]


def _standing(operator: Operator, at: datetime) -> Standing:
    if operator.suspended_at is not None:
        return Standing.SUSPENDED
    if operator.valid_until <= at:
        return Standing.ENDED
    return Standing.ENDING if operator.valid_until - at < ENDS_SOON else Standing.WORKING
