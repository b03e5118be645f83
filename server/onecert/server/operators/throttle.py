"""Slows down an address whose sign-ins are refused again and again.

Counted in the database, so several processes count together. Only refusals count: a correct sign-in is
never slow.
"""

from __future__ import annotations

import contextlib
import math

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators.config import SignInConfig
from onecert.server.operators.models import sign_in_failures
from onecert.server.operators.sign_in_errors import TooManyAttemptsError

__all__ = ["Throttle"]


class Throttle:
    """Counts refused sign-ins by source within a window."""

    def __init__(self, database: Database, *, clock: Clock, config: SignInConfig) -> None:
        self._database = database
        self._clock = clock
        self._config = config

    def check(self, source: str) -> None:
        """Raises TooManyAttemptsError while this source has to wait."""
        now = self._clock.now()
        with self._database.reading() as connection:
            row = connection.execute(
                select(sign_in_failures).where(sign_in_failures.c.source == source[:64])
            ).one_or_none()
        if row is not None and row.failures >= self._config.max_failures and now < row.window_ends_at:
            seconds = math.ceil((row.window_ends_at - now).total_seconds())
            raise TooManyAttemptsError(row.window_ends_at, seconds)

    def refused(self, source: str) -> None:
        """Count one refusal."""
        with contextlib.suppress(IntegrityError):
            self._count(source[:64])
            return
        # Another process began this source's count between our UPDATE and INSERT; now there is a row.
        self._count(source[:64])

    def _count(self, source: str) -> None:
        now = self._clock.now()
        with self._database.transaction() as connection:
            connection.execute(delete(sign_in_failures).where(sign_in_failures.c.window_ends_at <= now))
            counted = connection.execute(
                update(sign_in_failures)
                .where(sign_in_failures.c.source == source)
                .values(failures=sign_in_failures.c.failures + 1)
            )
            if counted.rowcount == 0:
                connection.execute(
                    insert(sign_in_failures).values(
                        source=source, failures=1, window_ends_at=now + self._config.failure_window
                    )
                )
