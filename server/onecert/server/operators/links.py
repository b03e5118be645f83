"""One-time sign-in links: 256 random bits, stored as a hash, good for one use within a day.

Where a link may be used (loopback only) is checked by sign_in.py, which knows the request.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from onecert.server.operators.models import sign_in_links
from onecert.server.operators.roles import Operator, check_usable
from onecert.server.operators.sign_in_errors import LinkExpiredError, LinkUnknownError, LinkUsedError

__all__ = ["create", "find_operator_id", "token_sha256", "use"]

# How long a used or expired link is remembered, so that the page can say which of the two it is.
REMEMBER = timedelta(days=30)


def token_sha256(token: str) -> str:
    """What is stored of a token. One pass is enough: the token is random, there is nothing to guess from."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def create(connection: Connection, operator: Operator, *, lifetime: timedelta, at: datetime) -> str:
    """Store a new link and return its token. Raises when the account may not act."""
    check_usable(operator, at=at)
    connection.execute(delete(sign_in_links).where(sign_in_links.c.expires_at < at - REMEMBER))
    token = secrets.token_urlsafe(32)
    connection.execute(
        insert(sign_in_links).values(
            token_sha256=token_sha256(token),
            operator_id=operator.id,
            created_at=at,
            expires_at=at + lifetime,
            used_at=None,
        )
    )
    return token


def find_operator_id(connection: Connection, token: str, *, at: datetime) -> str:
    """Whose link this is, without using it.

    Raises:
        LinkUnknownError, LinkUsedError, LinkExpiredError: the link does not work (any more).
    """
    row = connection.execute(
        select(sign_in_links).where(sign_in_links.c.token_sha256 == token_sha256(token))
    ).one_or_none()
    if row is None:
        raise LinkUnknownError
    if row.used_at is not None:
        raise LinkUsedError(row.used_at)
    if at >= row.expires_at:
        raise LinkExpiredError(row.expires_at)
    return str(row.operator_id)


def use(connection: Connection, token: str, *, at: datetime) -> str:
    """Use up the link and return whose it is. Raises like ``find_operator_id``."""
    operator_id = find_operator_id(connection, token, at=at)
    # The condition is in the UPDATE itself: of two requests at the same moment one changes the row.
    used = connection.execute(
        update(sign_in_links)
        .where(sign_in_links.c.token_sha256 == token_sha256(token), sign_in_links.c.used_at.is_(None))
        .values(used_at=at)
    )
    if used.rowcount != 1:
        raise LinkUsedError(at)
    return operator_id
