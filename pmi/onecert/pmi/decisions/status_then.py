"""The status of our own certificates as it is on record: now, or at any time before.

A list that was published says less: it is as old as it is, and lists of years ago are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select

from onecert.pmi.models import certificates, holds
from onecert.server.database import Database
from onecert.server.statements import Statement
from onecert.verifier.attribute_certificate import RevocationList, TrustedAuthority
from onecert.verifier.attribute_certificate.acrl import Revocation

__all__ = ["StatusThen", "was_good"]

_HELD_AT = (
    select(func.min(holds.c.held_at))
    .where(
        holds.c.serial == certificates.c.serial,
        holds.c.held_at <= bindparam("at"),
        or_(holds.c.released_at.is_(None), holds.c.released_at > bindparam("at")),
    )
    .correlate(certificates)
    .scalar_subquery()
)
_ONE = Statement(
    select(
        certificates.c.state,
        certificates.c.issued_at,
        certificates.c.revoked_at,
        certificates.c.reason,
        _HELD_AT.label("held_at"),
    ).where(certificates.c.serial == bindparam("serial"))
)


def was_good(at: ColumnElement[datetime]) -> ColumnElement[bool]:
    """The condition that a certificate was issued, in its period, neither revoked nor on hold at a time."""
    held = exists().where(
        holds.c.serial == certificates.c.serial,
        holds.c.held_at <= at,
        or_(holds.c.released_at.is_(None), holds.c.released_at > at),
    )
    return and_(
        certificates.c.issued_at <= at,
        certificates.c.not_before <= at,
        certificates.c.not_after >= at,
        or_(certificates.c.revoked_at.is_(None), certificates.c.revoked_at > at),
        ~held,
    )


class StatusThen:
    """A ``StatusSource`` for one time, from the record.

    Args:
        at: the time asked about.
        good: serial numbers that are known to be good then, so that nobody has to look.
    """

    def __init__(self, database: Database, at: datetime, good: frozenset[int] = frozenset()) -> None:
        self._revoked = _Recorded(database, at, good)
        self._at = at

    def find_list(self, authority: TrustedAuthority) -> RevocationList | None:
        """Every authority whose certificates we verify is one of ours: its status is on record here."""
        return RevocationList(
            authority=authority,
            number=0,
            this_update=self._at,
            next_update=self._at + timedelta(minutes=1),
            revoked=self._revoked,
        )


@dataclass(frozen=True)
class _Recorded(Mapping[int, Revocation]):
    """What is not on record as issued counts as revoked: a row is there before the key is used.

    Serial numbers are looked up one at a time; nobody walks through all that were ever issued.
    """

    database: Database
    at: datetime
    good: frozenset[int]

    def __getitem__(self, serial: int) -> Revocation:
        if serial in self.good:
            raise KeyError(serial)
        row = _ONE.look_up(self.database, {"serial": f"{serial:x}", "at": self.at})
        if row is None or row["issued_at"] is None:
            return Revocation(self.at, "unspecified")
        if row["revoked_at"] is not None and row["revoked_at"] <= self.at:
            return Revocation(row["revoked_at"], row["reason"] or "unspecified")
        if row["held_at"] is not None:
            return Revocation(row["held_at"], "certificateHold")
        raise KeyError(serial)

    def __iter__(self) -> Iterator[int]:
        raise TypeError("serial numbers are looked up one at a time")

    def __len__(self) -> int:
        raise TypeError("serial numbers are looked up one at a time")
