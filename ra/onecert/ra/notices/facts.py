"""What a notice about a renewal, a returned application or an account says, read when it is sent.

What is on record then decides: a certificate that was revoked or renewed meanwhile is told of no more.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from onecert.ra.applications.records import Frozen, load_frozen
from onecert.ra.ca.authorities import Directory
from onecert.ra.certificates.records import load_certificate
from onecert.ra.life.machine import State
from onecert.ra.models import applications, points
from onecert.ra.notices.texts import NoticeKind
from onecert.ra.vault.sealed import Vault
from onecert.server.database import Database
from onecert.server.operators import Operators

__all__ = [
    "ENDED",
    "Facts",
    "NeedlessError",
    "NoAddressError",
    "address_of",
    "days_left",
    "renewal_under_way",
    "shown_place",
]

# An application in one of these renews nothing.
ENDED = (State.DRAFT.value, State.WITHDRAWN.value, State.REJECTED.value)


class NeedlessError(Exception):
    """Nothing needs to be told any more; `why` is a word for the page."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NoAddressError(Exception):
    """There is no e-mail address on record."""


class Facts:
    """Reads them. `office` is the address that hears of accounts; operators have no address of their own."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        directory: Directory,
        operators: Operators,
        office: str | None,
    ) -> None:
        self._database = database
        self._vault = vault
        self._directory = directory
        self._operators = operators
        self._office = office

    def of(
        self, kind: NoticeKind, about: str, step: int | None, *, at: datetime
    ) -> tuple[str, Mapping[str, Any]]:
        """The address and the facts.

        Raises:
            NeedlessError, NoAddressError
        """
        subject = about.partition(":")[2]
        match kind:
            case NoticeKind.RENEWAL:
                return self._renewal(subject, at)
            case NoticeKind.RETURNED:
                return self._returned(subject)
            case NoticeKind.ACCOUNT_ENDS:
                return self._account(subject, at)
        raise NeedlessError("content")

    def _renewal(self, subject: str, at: datetime) -> tuple[str, Mapping[str, Any]]:
        authority, _slash, serial_hex = subject.partition("/")
        with self._database.reading() as connection:
            certificate = load_certificate(connection, authority, serial_hex)
            if certificate.status != "good":
                raise NeedlessError(certificate.status)
            if certificate.not_after <= at:
                raise NeedlessError("expired")
            if renewal_under_way(connection, authority, serial_hex):
                raise NeedlessError("renewed")
            frozen = load_frozen(connection, self._vault, certificate.application_id)
            place = shown_place(connection, certificate.point)
        return address_of(frozen), {
            "name": certificate.name,
            "authority": _Title(self._directory, authority),
            "serial": f"…{certificate.serial_hex[-10:]}",
            "not_after": certificate.not_after,
            "days": days_left(certificate.not_after, at),
            "place": place,
        }

    def _returned(self, subject: str) -> tuple[str, Mapping[str, Any]]:
        with self._database.reading() as connection:
            frozen = load_frozen(connection, self._vault, subject)
            application = frozen.application
            if application.state is not State.RETURNED:
                raise NeedlessError(application.state.value)
            place = shown_place(connection, application.point)
        return address_of(frozen), {
            "name": application.name,
            "number": application.number,
            "reason": application.reason or "",
            "place": place,
        }

    def _account(self, subject: str, at: datetime) -> tuple[str, Mapping[str, Any]]:
        if self._office is None:
            raise NoAddressError
        with self._database.reading() as connection:
            account = self._operators.load(connection, subject)
        if account.suspended_at is not None:
            raise NeedlessError("suspended")
        return self._office, {
            "account": account.id,
            "name": account.name,
            "valid_until": account.valid_until,
            "days": days_left(account.valid_until, at),
        }


class _Title:
    """An authority's title in the language that is spoken when it is written."""

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._name = name

    def __str__(self) -> str:
        return self._directory.listing().shown(self._name)


def days_left(end: datetime, at: datetime) -> int:
    """Whole days until then, the begun one counted."""
    return max(0, -((at - end) // timedelta(days=1)))


def renewal_under_way(connection: Connection, authority: str, serial_hex: str) -> bool:
    """Whether an application that was submitted already follows this certificate."""
    found = connection.scalar(
        select(applications.c.id)
        .where(
            applications.c.follows_authority == authority,
            applications.c.follows_serial == serial_hex,
            applications.c.state.not_in(ENDED),
        )
        .limit(1)
    )
    return found is not None


def address_of(frozen: Frozen) -> str:
    """The agent's e-mail address as typed. Raises `NoAddressError` when there is none."""
    address = frozen.values.get("email", "").strip()
    if not address:
        raise NoAddressError
    return address


def shown_place(connection: Connection, point: str) -> str:
    """Name, address and telephone of an acceptance point."""
    row = connection.execute(select(points).where(points.c.id == point)).one_or_none()
    if row is None:
        return point
    return ", ".join(part for part in (row.name, row.address, row.phone) if part)
