"""How often strangers may try on the public pages: counted for each address and for each application.

A window of 15 minutes from the first try. What is counted is a keyed hash: the table names nobody.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from onecert.ra.delivery.tables import public_tries
from onecert.ra.errors import TooManyTriesError
from onecert.ra.vault.sealed import Vault
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["Tries"]

WINDOW = timedelta(minutes=15)


class Tries:
    """Counts in the database, so that several processes count together."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    def count(self, what: str, name: str, *, limit: int) -> None:
        """Count one more try of `name`, such as an address.

        Raises:
            TooManyTriesError: more than `limit` within the window; counted all the same.
        """
        now = self._clock.now()
        hashed = self._vault.content_hmac(f"try\0{what}\0{name}")
        key = f"{what}:{hashed}"
        same = public_tries.c.key == key
        more = update(public_tries).where(same).values(count=public_tries.c.count + 1)
        with self._database.transaction() as connection:
            connection.execute(delete(public_tries).where(same, public_tries.c.since <= now - WINDOW))
            if connection.execute(more).rowcount == 0:
                try:
                    with connection.begin_nested():
                        connection.execute(insert(public_tries).values(key=key, since=now, count=1))
                except IntegrityError:  # another process was first
                    connection.execute(more)
            count = connection.scalar(select(public_tries.c.count).where(same)) or 0
        if count > limit:
            raise TooManyTriesError

    def forget_old(self, at: datetime) -> None:
        """The job: windows that are over."""
        with self._database.transaction() as connection:
            connection.execute(delete(public_tries).where(public_tries.c.since <= at - WINDOW))
