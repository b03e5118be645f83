"""The stock of tokens at each point: received, used, spoiled, returned; and what is written on which.

A token is known by its own serial number. It serves one application at a time: a renewal may use the token
of the certificate that it follows, and one whose application came to nothing is free again. Where the setting
`media_stock_required` is off, a token that was never received is taken into the stock at its first use.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from onecert.ra.applications.records import Application, load_application
from onecert.ra.certificates.records import Certificate, find_by_application
from onecert.ra.errors import MediumRefusedError, PointUnknownError, ReasonMissingError
from onecert.ra.keys.origins import find_origin
from onecert.ra.life.machine import State
from onecert.ra.media.tables import media, media_events
from onecert.ra.models import certificates, points
from onecert.ra.operators.acting import certificate_of, with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import MEDIA
from onecert.ra.operators.scopes import Scope
from onecert.ra.points.points import check_place
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import _
from onecert.server.operators import Operator

__all__ = [
    "COUNT_LIMIT",
    "EVENT_NAMES",
    "STATE_NAMES",
    "Medium",
    "MediumEvent",
    "Stock",
    "normal_token_number",
]

COUNT_LIMIT = 1000
STATE_NAMES: Mapping[str, str] = MappingProxyType(
    {"stock": _("In stock"), "used": _("In use"), "spoiled": _("Spoiled"), "returned": _("Returned")}
)
EVENT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "received": _("Received"),
        "key": _("Key made on it"),
        "written": _("Certificate written"),
        "unlocked": _("Unlocked"),
        "spoiled": _("Recorded as spoiled"),
        "returned": _("Returned"),
    }
)
MAX_RECEIVED = 1000
_NUMBER = re.compile(r"[0-9A-Z][0-9A-Z-]{3,31}")
_FREE = frozenset({State.REJECTED, State.WITHDRAWN})


@dataclass(frozen=True, kw_only=True)
class Medium:
    """One token."""

    token_number: str
    kind: str
    point: str
    state: str
    state_since: datetime
    received_at: datetime
    application_id: str | None
    authority: str | None
    serial_hex: str | None


@dataclass(frozen=True, kw_only=True)
class MediumEvent:
    """One step in the life of a token."""

    at: datetime
    actor: str
    event: str
    application_id: str | None
    note: str | None


def normal_token_number(text: str) -> str:
    """A token's serial number in our spelling: upper case, no blanks.

    Raises:
        MediumRefusedError: it cannot be one.
    """
    plain = re.sub(r"\s", "", text).upper()
    if not _NUMBER.fullmatch(plain):
        raise MediumRefusedError("MEDIUM_NUMBER", text.strip())
    return plain


class Stock:
    """What media clerks do with tokens; each act is one transaction with its audit entry."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        reach: Reach,
        stock_required: bool,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._reach = reach
        self._stock_required = stock_required

    def receive(self, operator: Operator, numbers: Sequence[str], *, kind: str, point: str | None) -> int:
        """Take tokens into the stock; returns how many are new. Those of this point's stock stay as they are.

        Raises:
            MediumRefusedError: not a serial number, or on record elsewhere or in another state.
        """
        wanted = sorted({normal_token_number(number) for number in numbers})
        if not 1 <= len(wanted) <= MAX_RECEIVED or not 1 <= len(kind.strip()) <= 32:
            raise MediumRefusedError("MEDIUM_NUMBER", "-")
        with self._database.transaction() as connection:
            now = self._clock.now()
            operator = self._reach.account(connection, operator, MEDIA, at=now)
            place = self._point(connection, operator, point)
            there = {
                row.token_number: row
                for row in connection.execute(select(media).where(media.c.token_number.in_(wanted)))
            }
            for row in there.values():
                if (row.point, row.state) != (place, "stock"):
                    raise MediumRefusedError("MEDIUM_KNOWN", row.token_number)
            new = [number for number in wanted if number not in there]
            for number in new:
                self._insert(connection, number, kind.strip(), place, now)
                self._write(connection, operator, number, place, "received", at=now)
        return len(new)

    def take(
        self,
        connection: Connection,
        operator: Operator,
        token: str,
        application: Application,
        *,
        at: datetime,
    ) -> None:
        """A key for this application was made on it; within the caller's transaction."""
        number = normal_token_number(token)
        row = connection.execute(
            select(media).where(media.c.token_number == number).with_for_update()
        ).one_or_none()
        if row is None:
            if self._stock_required:
                raise MediumRefusedError("MEDIUM_UNKNOWN", number)
            self._insert(connection, number, "usb", application.point, at)
            self._write(connection, operator, number, application.point, "received", at=at)
        else:
            self._check_free(connection, row, application)
        self._change(connection, number, "used", at, application_id=application.id)
        self._write(connection, operator, number, application.point, "key", business=application.id, at=at)

    def written(self, operator: Operator, application_id: str, token: str) -> Certificate:
        """The certificate and its chain are on the token, beside their key.

        Raises:
            MediumRefusedError: no certificate yet, or the key is on another token.
        """
        number = normal_token_number(token)
        self._reach.application(operator, application_id)
        with self._database.transaction() as connection:
            now = self._clock.now()
            operator = self._reach.account(connection, operator, MEDIA, at=now)
            application = load_application(connection, application_id, lock=True)
            certificate = find_by_application(connection, application_id)
            if certificate is None:
                raise MediumRefusedError("MEDIUM_NOT_ISSUED", number)
            origin = find_origin(connection, application_id, application.key_sha256)
            if origin is None or origin.token_number != number:
                raise MediumRefusedError("MEDIUM_OTHER_KEY", number)
            place = (certificate.authority, certificate.serial_hex)
            row = connection.execute(select(media).where(media.c.token_number == number)).one()
            if (row.authority, row.serial_hex) != place:
                self._change(
                    connection,
                    number,
                    "used",
                    now,
                    application_id=application_id,
                    authority=certificate.authority,
                    serial_hex=certificate.serial_hex,
                )
                connection.execute(
                    update(certificates)
                    .where(
                        certificates.c.authority == certificate.authority,
                        certificates.c.serial_hex == certificate.serial_hex,
                    )
                    .values(token_number=number)
                )
                self._write(
                    connection, operator, number, row.point, "written", business=application_id, at=now
                )
        return certificate

    def note_unlocked(self, operator: Operator, token: str, case_id: str) -> None:
        """It was given a new PIN; the case itself is completed elsewhere."""
        number = normal_token_number(token)
        with self._database.transaction() as connection:
            now = self._clock.now()
            operator = self._reach.account(connection, operator, MEDIA, at=now)
            row = connection.execute(select(media).where(media.c.token_number == number)).one_or_none()
            if row is not None:
                self._write(connection, operator, number, row.point, "unlocked", business=case_id, at=now)

    def put_aside(self, operator: Operator, token: str, *, event: str, note: str) -> None:
        """Record it as `spoiled` or `returned`, with a reason; again changes nothing.

        Raises:
            MediumRefusedError: not on record in reach, or already put aside otherwise.
        """
        number, note = normal_token_number(token), note.strip()
        if event not in {"spoiled", "returned"}:
            raise MediumRefusedError("MEDIUM_STATE", number)
        if not 2 <= len(note) <= 200:
            raise ReasonMissingError
        with self._database.transaction() as connection:
            now = self._clock.now()
            operator = self._reach.account(connection, operator, MEDIA, at=now)
            row = connection.execute(
                select(media).where(media.c.token_number == number).with_for_update()
            ).one_or_none()
            if row is None or not self._reach.scope(connection, operator).covers(row.point):
                raise MediumRefusedError("MEDIUM_UNKNOWN", number)
            if row.state == event:
                return
            if row.state not in {"stock", "used"}:
                raise MediumRefusedError("MEDIUM_STATE", number)
            self._change(connection, number, event, now)
            self._write(
                connection, operator, number, row.point, event, business=row.application_id, at=now, note=note
            )

    # --- reading ----------------------------------------------------------------------------------

    @staticmethod
    def counts(connection: Connection, scope: Scope) -> dict[str, dict[str, int]]:
        """Point -> state -> how many tokens; more than `COUNT_LIMIT` are not counted."""
        found: dict[str, dict[str, int]] = {}
        for point in connection.scalars(select(points.c.id).order_by(points.c.id)):
            if not scope.covers(point):
                continue
            counted = [
                select(media.c.state)
                .where(media.c.point == point, media.c.state == state)
                .limit(COUNT_LIMIT)
                .subquery()
                for state in STATE_NAMES
            ]
            row = connection.execute(
                select(*(select(func.count()).select_from(each).scalar_subquery() for each in counted))
            ).one()
            if any(row):
                found[point] = dict(zip(STATE_NAMES, row, strict=True))
        return found

    @staticmethod
    def find(connection: Connection, scope: Scope, number: str) -> tuple[Medium, list[MediumEvent]] | None:
        """A token in reach with its life."""
        row = connection.execute(select(media).where(media.c.token_number == number)).one_or_none()
        if row is None or not scope.covers(row.point):
            return None
        columns = [
            getattr(media_events.c, name) for name in ("at", "actor", "event", "application_id", "note")
        ]
        events = connection.execute(
            select(*columns).where(media_events.c.token_number == number).order_by(media_events.c.seq)
        )
        return Medium(**row._asdict()), [MediumEvent(**event._asdict()) for event in events]

    @staticmethod
    def of_application(connection: Connection, application_id: str) -> list[Medium]:
        """The tokens that were taken for an application."""
        rows = connection.execute(select(media).where(media.c.application_id == application_id))
        return [Medium(**row._asdict()) for row in rows]

    # --- helpers ----------------------------------------------------------------------------------

    def _point(self, connection: Connection, operator: Operator, point: str | None) -> str:
        scope = self._reach.scope(connection, operator)
        place = point or scope.home()
        if place is None or not scope.covers(place):
            raise PointUnknownError(point or "-")
        check_place(connection, place, None)
        return place

    @staticmethod
    def _check_free(connection: Connection, row: Any, application: Application) -> None:
        if row.state in {"spoiled", "returned"}:
            raise MediumRefusedError("MEDIUM_SPOILED", row.token_number)
        if row.point != application.point:
            raise MediumRefusedError("MEDIUM_UNKNOWN", row.token_number)
        if row.application_id in {None, application.id}:
            return
        follows = (application.follows_authority, application.follows_serial)
        if row.serial_hex is not None and follows == (row.authority, row.serial_hex):
            return
        holder = load_application(connection, row.application_id)
        if holder.state not in _FREE:
            raise MediumRefusedError("MEDIUM_IN_USE", row.token_number, number=holder.number)

    @staticmethod
    def _insert(connection: Connection, number: str, kind: str, point: str, at: datetime) -> None:
        connection.execute(
            insert(media).values(
                token_number=number, kind=kind, point=point, state="stock", state_since=at, received_at=at
            )
        )

    @staticmethod
    def _change(connection: Connection, number: str, state: str, at: datetime, **more: str | None) -> None:
        connection.execute(
            update(media).where(media.c.token_number == number).values(state=state, state_since=at, **more)
        )

    def _write(
        self,
        connection: Connection,
        operator: Operator,
        number: str,
        point: str,
        event: str,
        *,
        at: datetime,
        business: str | None = None,
        note: str | None = None,
    ) -> None:
        """Its life line and the audit entry."""
        connection.execute(
            insert(media_events).values(
                token_number=number,
                point=point,
                at=at,
                actor=operator.id,
                event=event,
                application_id=business,
                note=note,
                certificate_sha256=certificate_of(operator),
            )
        )
        details = {"point": point, "application": business, "note": note, **with_certificate(operator)}
        self._audit.record(
            connection,
            event=f"medium.{event}",
            actor=operator.actor,
            subject=f"medium:{number}",
            details={name: value for name, value in details.items() if value is not None},
        )
