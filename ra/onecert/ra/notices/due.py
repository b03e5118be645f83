"""Finds what is to be told: certificates that end in 60, 30 and 7 days, returned applications, accounts.

Each certificate meets each step once: a mark says how far they have been looked through in the order of
their end, and the notice's key makes a second one impossible even if the mark is lost. Steps that were missed
while everything was down are made up as one: only the nearest step of a certificate is told.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, tuple_

from onecert.ra.applications.records import load_application
from onecert.ra.models import application_events, certificates
from onecert.ra.notices.facts import renewal_under_way
from onecert.ra.notices.sending import About, put_notice
from onecert.ra.notices.tables import notice_marks, notices
from onecert.ra.notices.texts import NoticeKind
from onecert.server.database import Database
from onecert.server.operators import Operators

__all__ = ["ACCOUNT_STEPS", "STEPS", "Collector"]

STEPS = (60, 30, 7)
ACCOUNT_STEPS = (30, 7)
BATCH = 500
# How far back returned applications are looked for; the job runs every few minutes.
_RETURNED_SINCE = timedelta(days=2)
_Mark = tuple[datetime, str, str]


class Collector:
    """Puts notices on record; sends nothing. `tells_accounts`: there is an office that hears of accounts."""

    def __init__(self, *, database: Database, operators: Operators, tells_accounts: bool) -> None:
        self._database = database
        self._operators = operators
        self._tells_accounts = tells_accounts

    def run(self, at: datetime) -> None:
        """The job."""
        for step in STEPS:
            while self._renewals(step, at) == BATCH:
                pass
        self._returned(at)
        if self._tells_accounts:
            self._accounts(at)

    def _renewals(self, step: int, at: datetime) -> int:
        """One batch of the certificates that have come within a step; returns how many were looked at."""
        below = max((other for other in STEPS if other < step), default=0)
        c = certificates.c
        with self._database.transaction() as connection:
            start = (at + timedelta(days=below), "", "")
            after = max(start, self._mark(connection, step) or start)
            rows = connection.execute(
                select(c.authority, c.serial_hex, c.not_after, c.name, c.point, c.kind, c.status)
                .where(
                    # Said twice: the first is what PostgreSQL and SQLite both use the index for.
                    c.not_after >= after[0],
                    tuple_(c.not_after, c.authority, c.serial_hex) > tuple_(*after),
                    c.not_after <= at + timedelta(days=step),
                )
                .order_by(c.not_after, c.authority, c.serial_hex)
                .limit(BATCH)
            ).all()
            for row in rows:
                if row.status == "good" and not renewal_under_way(connection, row.authority, row.serial_hex):
                    self._put_renewal(connection, row, step, at)
            if rows:
                last = rows[-1]
                self._set_mark(connection, step, (last.not_after, last.authority, last.serial_hex))
        return len(rows)

    @staticmethod
    def _put_renewal(connection: Connection, row: Any, step: int, at: datetime) -> None:
        place = f"{row.authority}/{row.serial_hex}"
        about = About(
            subject=f"certificate:{place}",
            name=row.name,
            point=row.point,
            authority=row.authority,
            kind=row.kind,
            step=step,
        )
        put_notice(connection, NoticeKind.RENEWAL, key=f"renewal:{place}:{step}", about=about, at=at)

    def _returned(self, at: datetime) -> None:
        c = application_events.c
        with self._database.reading() as connection:
            rows = connection.execute(
                select(c.seq, c.application_id)
                .where(c.at > at - _RETURNED_SINCE, c.event == "returned")
                .order_by(c.seq)
            ).all()
            keys = {f"returned:{row.seq}": row.application_id for row in rows}
            known = set(connection.scalars(select(notices.c.key).where(notices.c.key.in_(list(keys)))))
        for key, application_id in keys.items():
            if key in known:
                continue
            with self._database.transaction() as connection:
                application = load_application(connection, application_id)
                about = About(
                    subject=f"application:{application_id}",
                    name=application.name,
                    point=application.point,
                    authority=application.authority,
                    kind=application.kind.value,
                )
                put_notice(connection, NoticeKind.RETURNED, key=key, about=about, at=at)

    def _accounts(self, at: datetime) -> None:
        with self._database.transaction() as connection:
            for account in self._operators.all(connection):
                left = account.valid_until - at
                steps = [step for step in ACCOUNT_STEPS if timedelta(0) < left <= timedelta(days=step)]
                if account.suspended_at is None and steps:
                    key = f"account:{account.id}:{account.valid_until.isoformat()}:{min(steps)}"
                    about = About(subject=f"operator:{account.id}", name=account.name, step=min(steps))
                    put_notice(connection, NoticeKind.ACCOUNT_ENDS, key=key, about=about, at=at)

    @staticmethod
    def _mark(connection: Connection, step: int) -> _Mark | None:
        row = connection.execute(select(notice_marks).where(notice_marks.c.step == step)).one_or_none()
        return None if row is None else (row.not_after, row.authority, row.serial_hex)

    @staticmethod
    def _set_mark(connection: Connection, step: int, mark: _Mark) -> None:
        connection.execute(delete(notice_marks).where(notice_marks.c.step == step))
        not_after, authority, serial_hex = mark
        connection.execute(
            insert(notice_marks).values(
                step=step, not_after=not_after, authority=authority, serial_hex=serial_hex
            )
        )
