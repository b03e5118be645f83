"""One-time codes: an applicant without an account shows with one that the application is theirs.

    code = codes.make(connection, prepared)        shown once to the clerk, or printed on the receipt
    codes.check("20261122-000007", "K7WM-3PXR-9T", purpose=FETCH, source="192.0.2.7") -> Opened

Ten characters of an alphabet without look-alikes (49 bits); kept only as a keyed hash that is bound to the
application and the purpose; ends after some days; five wrong tries end it; a new one ends the one before.
Whatever is wrong, the answer is the same words.
"""

import hmac
import secrets
import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from onecert.ra.applications.records import Application, load_application
from onecert.ra.delivery.numbers import find_by_number
from onecert.ra.delivery.tables import codes
from onecert.ra.delivery.tries import Tries
from onecert.ra.errors import CodeRefusedError
from onecert.ra.vault.sealed import Vault
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["FETCH", "KEY", "Codes", "Opened", "Standing", "shown_code"]

KEY, FETCH = "key", "fetch"
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no 0 O, 1 I L, U (V)
LENGTH = 10
WRONG_MAX = 5
ADDRESS_LIMIT, APPLICATION_LIMIT = 60, 40


@dataclass(frozen=True)
class Prepared:
    """A new code, before it is written down."""

    id: str
    code: str
    hmac: str
    application_id: str
    purpose: str


@dataclass(frozen=True)
class Opened:
    """What a right code opens."""

    application: Application
    code_id: str
    made_by: str


@dataclass(frozen=True)
class Standing:
    """The newest code of an application, without the code."""

    created_at: datetime
    created_by: str
    expires_at: datetime
    wrong: int
    used_at: datetime | None
    ended_why: str | None

    def is_valid(self, at: datetime) -> bool:
        """Whether it still opens."""
        return self.ended_why is None and at < self.expires_at


def shown_code(code: str) -> str:
    """In groups that are easily read out."""
    return f"{code[:4]}-{code[4:8]}-{code[8:]}"


def typed(text: str) -> str:
    """What somebody typed, in one spelling: upper case, half width, without blanks and dashes."""
    half_width = unicodedata.normalize("NFKC", text[:64])
    return "".join(char for char in half_width if char.isalnum()).upper()


class Codes:
    """Makes and checks codes."""

    def __init__(
        self, *, database: Database, vault: Vault, clock: Clock, tries: Tries, life: timedelta
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._tries = tries
        self._life = life

    def prepare(self, application_id: str, purpose: str) -> Prepared:
        """Draw a code; not within a transaction, because it may need the token."""
        code = "".join(secrets.choice(ALPHABET) for _place in range(LENGTH))
        hashed = self._hmac(application_id, purpose, code)
        return Prepared(str(uuid.uuid4()), code, hashed, application_id, purpose)

    def make(self, connection: Connection, prepared: Prepared, *, by: str, at: datetime) -> datetime:
        """Write it down, and end the one before; returns when it ends."""
        until = at + self._life
        connection.execute(
            update(codes)
            .where(
                codes.c.application_id == prepared.application_id,
                codes.c.purpose == prepared.purpose,
                codes.c.ended_at.is_(None),
            )
            .values(ended_at=at, ended_why="replaced")
        )
        connection.execute(
            insert(codes).values(
                id=prepared.id,
                application_id=prepared.application_id,
                purpose=prepared.purpose,
                code_hmac=prepared.hmac,
                created_at=at,
                created_by=by,
                expires_at=until,
                wrong=0,
            )
        )
        return until

    def check(self, number: str, code: str, *, purpose: str, source: str) -> Opened:
        """Return what the code opens.

        Raises:
            CodeRefusedError: wrong number, wrong code, ended, or never made: always the same words.
            TooManyTriesError: too many tries from this address or for this number.
        """
        self._tries.count("address", source, limit=ADDRESS_LIMIT)
        number = number[:32].replace(" ", "")
        self._tries.count("application", number, limit=APPLICATION_LIMIT)
        application_id = self._find(number) or "-"
        given = self._hmac(application_id, purpose, typed(code))
        with self._database.transaction() as connection:
            row = connection.execute(_newest(application_id, purpose).with_for_update()).one_or_none()
            now = self._clock.now()
            right = hmac.compare_digest(given, row.code_hmac if row else "0" * 64)
            usable = row is not None and row.ended_at is None and now < row.expires_at
            if row is not None and usable and right:
                if row.used_at is None:
                    connection.execute(update(codes).where(codes.c.id == row.id).values(used_at=now))
                return Opened(load_application(connection, application_id), row.id, row.created_by)
            if row is not None and usable:
                wrong = row.wrong + 1
                ended = {"ended_at": now, "ended_why": "locked"} if wrong >= WRONG_MAX else {}
                connection.execute(update(codes).where(codes.c.id == row.id).values(wrong=wrong, **ended))
        raise CodeRefusedError

    @staticmethod
    def end(connection: Connection, code_id: str, *, at: datetime) -> None:
        """It has done its work."""
        connection.execute(
            update(codes)
            .where(codes.c.id == code_id, codes.c.ended_at.is_(None))
            .values(ended_at=at, ended_why="done")
        )

    @staticmethod
    def standing(connection: Connection, application_id: str, purpose: str) -> Standing | None:
        """The newest code of an application; None: none was made."""
        row = connection.execute(_newest(application_id, purpose)).one_or_none()
        if row is None:
            return None
        return Standing(
            created_at=row.created_at,
            created_by=row.created_by,
            expires_at=row.expires_at,
            wrong=row.wrong,
            used_at=row.used_at,
            ended_why=row.ended_why,
        )

    def _find(self, number: str) -> str | None:
        with self._database.reading() as connection:
            found = find_by_number(connection, number)
        return None if found is None else found.id

    def _hmac(self, application_id: str, purpose: str, code: str) -> str:
        return self._vault.content_hmac(f"code\0{purpose}\0{application_id}\0{code}")


def _newest(application_id: str, purpose: str) -> Select[Any]:
    return (
        select(codes)
        .where(codes.c.application_id == application_id, codes.c.purpose == purpose)
        .order_by(codes.c.seq.desc())
        .limit(1)
    )
