"""Sessions kept by the server: the browser holds a random token, the database its hash.

A session ends by sign-out, after a while without a request, after a fixed time, and when its account is
suspended or expires; its operator can end it from another one. An account has a limited number of them. A
token is made at sign-in and never taken from the browser, so nobody can plant one (session fixation).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.operators.config import SignInConfig
from onecert.server.operators.links import token_sha256
from onecert.server.operators.models import sessions
from onecert.server.operators.roles import Operator, check_usable
from onecert.server.operators.store import Operators

__all__ = ["OpenSession", "Session", "Sessions"]

# The time of the last request is written at most so often: a page view should not be a database write.
SEEN_STEP = timedelta(minutes=1)
MAX_NOTICES = 5


@dataclass(frozen=True, kw_only=True)
class Session:
    """An open session and whose it is."""

    token_sha256: str
    operator: Operator
    method: str
    certificate_sha256: str | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class OpenSession:
    """One of an operator's sessions, for their own eyes."""

    token_sha256: str
    method: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime

    @property
    def name(self) -> str:
        """Names it on a page; too short to be taken for the hash."""
        return self.token_sha256[:16]


class Sessions:
    """Opens, finds and ends the sessions of one service."""

    def __init__(
        self, database: Database, operators: Operators, *, clock: Clock, config: SignInConfig
    ) -> None:
        self._database = database
        self._operators = operators
        self._clock = clock
        self._config = config

    def open(
        self,
        connection: Connection,
        operator: Operator,
        *,
        method: str,
        certificate_sha256: str | None = None,
        not_after: datetime | None = None,
    ) -> str:
        """Open a session within the sign-in's transaction and return its token for the cookie.

        Args:
            not_after: end of the certificate's validity; a session never outlives it.
        """
        now = self._clock.now()
        connection.execute(delete(sessions).where(sessions.c.expires_at < now))
        kept = self.of(connection, operator.id)[: max(self._config.max_sessions, 1) - 1]
        connection.execute(
            delete(sessions).where(
                sessions.c.operator_id == operator.id,
                sessions.c.token_sha256.not_in([each.token_sha256 for each in kept]),
            )
        )
        token = secrets.token_urlsafe(32)
        ends = [now + self._config.session_absolute, operator.valid_until]
        connection.execute(
            insert(sessions).values(
                token_sha256=token_sha256(token),
                operator_id=operator.id,
                method=method,
                certificate_sha256=certificate_sha256,
                created_at=now,
                seen_at=now,
                expires_at=min([*ends, not_after] if not_after else ends),
                notices="[]",
            )
        )
        return token

    def find(self, token: str) -> Session | None:
        """The session of this cookie, if it is alive; None otherwise.

        Whether this connection may use it is not asked here; see ``SignIn.find_session``.
        """
        now = self._clock.now()
        key = token_sha256(token)
        with self._database.reading() as connection:
            row = connection.execute(select(sessions).where(sessions.c.token_sha256 == key)).one_or_none()
            operator = None if row is None else self._operators.find(connection, row.operator_id)
        if row is None or operator is None:
            return None
        if now >= row.expires_at or now - row.seen_at >= self._config.session_idle:
            return None
        try:
            check_usable(operator, at=now)
        except ServiceError:
            return None
        if now - row.seen_at >= SEEN_STEP:
            with self._database.transaction() as connection:
                connection.execute(update(sessions).where(sessions.c.token_sha256 == key).values(seen_at=now))
        return Session(
            token_sha256=key,
            operator=operator,
            method=row.method,
            certificate_sha256=row.certificate_sha256,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )

    def of(self, connection: Connection, operator_id: str) -> list[OpenSession]:
        """The open sessions of an account, the one that was used last first."""
        now = self._clock.now()
        query = select(*(sessions.c[each.name] for each in fields(OpenSession))).where(
            sessions.c.operator_id == operator_id,
            sessions.c.expires_at > now,
            sessions.c.seen_at > now - self._config.session_idle,
        )
        rows = connection.execute(query.order_by(sessions.c.seen_at.desc(), sessions.c.created_at.desc()))
        return [OpenSession(**row._mapping) for row in rows]

    def end(self, connection: Connection, key: str) -> bool:
        """Forget the session with this hash of its token. False when there was none."""
        return connection.execute(delete(sessions).where(sessions.c.token_sha256 == key)).rowcount == 1

    def add_notice(self, key: str, notice: Mapping[str, str]) -> None:
        """Keep a sentence for the next page of this session."""
        with self._database.transaction() as connection:
            kept = connection.scalar(select(sessions.c.notices).where(sessions.c.token_sha256 == key))
            if kept is not None:
                notices = [*json.loads(kept), dict(notice)][-MAX_NOTICES:]
                connection.execute(
                    update(sessions)
                    .where(sessions.c.token_sha256 == key)
                    .values(notices=json.dumps(notices, ensure_ascii=False))
                )

    def take_notices(self, key: str) -> list[dict[str, str]]:
        """The sentences kept for this page; each is told once."""
        with self._database.reading() as connection:
            kept = connection.scalar(select(sessions.c.notices).where(sessions.c.token_sha256 == key))
        if kept is None or kept == "[]":
            return []
        with self._database.transaction() as connection:
            connection.execute(update(sessions).where(sessions.c.token_sha256 == key).values(notices="[]"))
        notices: list[dict[str, str]] = json.loads(kept)
        return notices
