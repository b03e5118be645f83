"""Rounds of the checker: the whole record and all lists, again and again, a little at a time.

A round is a row that says how far it is. A job goes on where the last one stopped, in whichever process, so a
round takes as long as it takes and costs a fraction of a second a minute. What it finds stays on record, is
counted for the monitor and keeps readiness from saying that all is well until a later round finds nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Gauge
from sqlalchemy import Connection, bindparam, func, insert, select, update

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.checking.checked_record import Finding
from onecert.ca.checking.list_checker import ListChecker
from onecert.ca.checking.record_checker import Place, RecordChecker
from onecert.ca.errors import CheckFindingsError
from onecert.ca.models import check_rounds
from onecert.server import metrics
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["LISTS", "RECORD", "CheckRounds", "Round"]

log = logging.getLogger(__name__)

RECORD, LISTS = "record", "lists"
# The findings themselves are named again by `onecert ca check`; a row keeps the first of them.
KEPT_FINDINGS = 100

_NEWEST = (
    select(check_rounds)
    .where(check_rounds.c.kind == bindparam("k"))
    .order_by(check_rounds.c.number.desc())
    .limit(1)
)
_findings = Gauge(
    "onecert_ca_check_findings",
    "What the newest round of the checker found wrong",
    ["kind"],
    registry=metrics.registry,
)
_finished = Gauge(
    "onecert_ca_check_finished_timestamp_seconds",
    "When the checker last finished a round",
    ["kind"],
    registry=metrics.registry,
)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One row. A round that is not finished goes on behind `place`."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    place: Place
    checked: int
    findings: int
    first_findings: tuple[Finding, ...]


class CheckRounds:
    """Goes over record and lists in rounds.

    Args:
        every: a new round over the record begins no sooner than this after the last one began.
        at_once: how many certificates one step reads, about.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        authorities: Authorities,
        checker: RecordChecker,
        list_checker: ListChecker,
        every: timedelta,
        at_once: int,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._checker = checker
        self._list_checker = list_checker
        self._every = every
        self._at_once = at_once

    def step(self) -> None:
        """Read the next part of the record; does nothing between two rounds. Each page is kept by itself."""
        current = self._open_round()
        checked = 0
        while current is not None and checked < self._at_once:
            page = self._checker.page(current.place)
            checked += max(page.checked, 1)
            current = self._advance(current, page.place, page.checked, page.findings, is_last=page.is_last)

    def check_lists(self) -> tuple[Finding, ...]:
        """Check all lists in one round of their own."""
        started = self._clock.now()
        found = tuple(
            finding
            for authority in self._authorities.reload()
            for finding in self._list_checker.check(authority)
        )
        self.record(LISTS, started, 0, found)
        return found

    def record(self, kind: str, started: datetime, checked: int, found: Sequence[Finding]) -> None:
        """Put a whole round on record that was gone in one piece; a round that is under way begins anew."""
        with self._database.transaction() as connection:
            number = _newest_number(connection, kind) + 1
            connection.execute(
                insert(check_rounds).values(
                    kind=kind,
                    number=number,
                    started_at=started,
                    finished_at=self._clock.now(),
                    authority="",
                    serial="",
                    seq=0,
                    checked=checked,
                    findings=len(found),
                    first_findings=_kept(found),
                )
            )
            self._finish(connection, kind, number, checked, len(found))

    def newest(self) -> dict[str, Round]:
        """The newest round of each kind, for people; a kind that never was is not there."""
        found = {kind: self._newest(kind) for kind in (RECORD, LISTS)}
        return {kind: one for kind, one in found.items() if one is not None}

    def check(self) -> None:
        """Readiness.

        Raises:
            CheckFindingsError: the newest round of one kind has found something.
        """
        for kind in (RECORD, LISTS):
            newest = self._newest(kind)
            if newest is not None:
                _findings.labels(kind).set(newest.findings)
                if newest.finished_at is not None:
                    _finished.labels(kind).set(newest.finished_at.timestamp())
            if newest is not None and newest.findings:
                raise CheckFindingsError(newest.findings, newest.first_findings[0].rule)

    def _open_round(self) -> Round | None:
        """The round that is under way, or a new one when it is time, or None."""
        newest, now = self._newest(RECORD), self._clock.now()
        if newest is not None and newest.finished_at is None:
            return newest
        if newest is not None and now - newest.started_at < self._every:
            return None
        number = newest.number + 1 if newest else 1
        with self._database.transaction() as connection:
            if _newest_number(connection, RECORD) >= number:
                return None  # another process was faster; the next step goes on with its round
            connection.execute(
                insert(check_rounds).values(
                    kind=RECORD,
                    number=number,
                    started_at=now,
                    finished_at=None,
                    authority="",
                    serial="",
                    seq=0,
                    checked=0,
                    findings=0,
                    first_findings="[]",
                )
            )
        return self._newest(RECORD)

    def _advance(
        self, current: Round, place: Place, checked: int, found: Sequence[Finding], *, is_last: bool
    ) -> Round | None:
        """Keep how far the round is; None when it is finished, or when another process went on with it."""
        for finding in found:
            log.error("the checker found something wrong", extra={"finding": finding.as_json()})
        this = (
            (check_rounds.c.kind == RECORD)
            & (check_rounds.c.number == current.number)
            & (check_rounds.c.authority == current.place.authority)
            & (check_rounds.c.serial == current.place.serial)
            & (check_rounds.c.seq == current.place.seq)
            & check_rounds.c.finished_at.is_(None)
        )
        total, findings = current.checked + checked, current.findings + len(found)
        with self._database.transaction() as connection:
            moved = connection.execute(
                update(check_rounds)
                .where(this)
                .values(
                    authority=place.authority,
                    serial=place.serial,
                    seq=place.seq,
                    checked=total,
                    findings=findings,
                    first_findings=_kept((*current.first_findings, *found)),
                    finished_at=self._clock.now() if is_last else None,
                )
            )
            if moved.rowcount != 1:
                return None
            if is_last:
                self._finish(connection, RECORD, current.number, total, findings)
        return None if is_last else self._newest(RECORD)

    def _finish(self, connection: Connection, kind: str, number: int, checked: int, findings: int) -> None:
        if kind == RECORD or findings:
            self._audit.record(
                connection,
                event="check.finished",
                actor="job:ca.check",
                subject=f"{kind}/{number}",
                details={"checked": checked, "findings": findings},
            )

    def _newest(self, kind: str) -> Round | None:
        with self._database.reading() as connection:
            row = connection.execute(_NEWEST, {"k": kind}).one_or_none()
        if row is None:
            return None
        return Round(
            number=row.number,
            started_at=row.started_at,
            finished_at=row.finished_at,
            place=Place(authority=row.authority, serial=row.serial, seq=row.seq),
            checked=row.checked,
            findings=row.findings,
            first_findings=tuple(Finding(**each) for each in json.loads(row.first_findings)),
        )


def _newest_number(connection: Connection, kind: str) -> int:
    query = select(func.max(check_rounds.c.number)).where(check_rounds.c.kind == kind)
    return connection.execute(query).scalar() or 0


def _kept(found: Iterable[Finding]) -> str:
    return json.dumps([each.as_json() for each in found][:KEPT_FINDINGS], ensure_ascii=False)
