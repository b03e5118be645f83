"""End of office: everything that somebody who leaves holds, over all authorities, ended by one confirmed act.

What is ended: certificates and delegations that are valid, on hold or being signed, and grants that wait for
an approval or for their certificate. Whoever leaves is named by a certificate (then it is that person in that
entity, under whatever certificate they ever came), by the number of an entity (everybody in it), or by a
person's (in every entity). What is shown has a hash, and the act is confirmed by it. It takes effect at once,
or at a time that is set: then for everything that is held at that time, also what was granted since.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, insert, or_, select, update

from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.request import DELEGATION
from onecert.pmi.holders.seen import KnownHolder, find_holder, of_identity
from onecert.pmi.life.changes import Changes
from onecert.pmi.life.errors import (
    DepartureStateError,
    DepartureUnknownError,
    HolderUnknownError,
    SelectionChangedError,
)
from onecert.pmi.life.revocation import REVOKERS
from onecert.pmi.models import certificates, departures, grants
from onecert.pmi.repository.search import STATE, Record, load_certificates
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import Message, _
from onecert.server.operators import Operator, check_role, check_usable
from onecert.verifier.certificate import parse_certificate

__all__ = ["DEPARTURE_STATES", "Departure", "Leaving", "Offices", "WaitingGrant", "Who"]

log = logging.getLogger(__name__)

REASON = "affiliationChanged"
WHY_REFUSED = "end of office"
DEPARTURE_STATES: dict[str, Message] = {
    "scheduled": _("still to come"),
    "done": _("done"),
    "withdrawn": _("withdrawn"),
}
_LIVE = ("issued", "held", "intended")
_OPEN = ("waiting", "approved")
_MOST = 10_000


@dataclass(frozen=True)
class Who:
    """Who leaves: ``kind`` is certificate (then ``value`` is its SHA-256), entity or person."""

    kind: str
    value: str

    @classmethod
    def read(cls, *, certificate: bytes = b"", entity: str = "", person: str = "") -> Who:
        """Take exactly one of these. A certificate is PEM, DER, or its SHA-256 in hexadecimal.

        Raises:
            RequestWrongError, VerifyError: it is none, several, or no certificate.
        """
        given = [name for name in (certificate, entity, person) if name]
        if len(given) != 1:
            raise RequestWrongError("holder", _("name one: a certificate, an entity, or a person"))
        if not certificate:
            return cls("entity", entity[:128]) if entity else cls("person", person[:128])
        text = certificate.strip().lower()
        if len(text) == 64 and set(text) <= set(b"0123456789abcdef"):
            return cls("certificate", text.decode("ascii"))
        # It need not be good any more: the CA may have revoked it already.
        return cls("certificate", hashlib.sha256(parse_certificate(certificate).der).hexdigest())


@dataclass(frozen=True, kw_only=True)
class WaitingGrant:
    """A grant that has no certificate yet."""

    id: str
    authority: str
    kind: str
    state: str
    attributes: Mapping[str, Sequence[Any]]
    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """Everything that somebody holds at a time."""

    who: Who
    name: str
    records: Sequence[Record]
    waiting: Sequence[WaitingGrant]

    @cached_property
    def sha256(self) -> str:
        """What a confirmation names."""
        content = {
            "who": [self.who.kind, self.who.value],
            "serials": [record.serial for record in self.records],
            "grants": [grant.id for grant in self.waiting],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Departure:
    """An end of office on record; ``receipt`` says what was revoked and refused, once it is done."""

    id: str
    who: Who
    name: str
    state: str
    content_sha256: str
    effective_at: datetime
    requested_by: str
    requested_at: datetime
    done_at: datetime | None
    receipt: Mapping[str, Any]


class Offices:
    """Ends of office."""

    def __init__(self, *, database: Database, audit: AuditTrail, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._changes = changes

    def leaving(self, who: Who) -> Leaving:
        """Return everything that they hold now. Raises HolderUnknownError."""
        with self._database.reading() as connection:
            return _leaving(connection, who)

    def leave(
        self,
        who: Who,
        operator: Operator,
        *,
        content_sha256: str,
        effective_at: datetime | None = None,
        number: str = "",
    ) -> Departure:
        """End their office: at once, or at a time that is set.

        Args:
            content_sha256: of what was shown. The same again answers with what was done.
            number: a UUID that makes it safe to ask twice, whatever has changed meanwhile.

        Raises:
            SelectionChangedError: they hold something else than was shown; nothing was changed.
            HolderUnknownError: nobody is known by this.
        """
        check_role(operator, *REVOKERS, ADMINISTRATOR)
        now = self._clock.now()
        check_usable(operator, at=now)
        effective = now if effective_at is None else effective_at.astimezone(UTC).replace(microsecond=0)
        is_later = effective > now
        with self._database.transaction() as connection:
            known = _find_known(connection, number, content_sha256, effective if is_later else None)
            if known is not None:
                return known
            leaving = _leaving(connection, who)
            if leaving.sha256 != content_sha256:
                raise SelectionChangedError(len(leaving.records) + len(leaving.waiting), leaving.sha256)
            kinds = {each.kind for each in leaving.records} | {each.kind for each in leaving.waiting}
            for kind in sorted(kinds):
                # Delegations are the business of those who answer for the authorities.
                check_role(operator, *((ADMINISTRATOR,) if kind == DELEGATION else REVOKERS))
            departure_id = number or str(uuid.uuid4())
            connection.execute(
                insert(departures).values(
                    id=departure_id,
                    who_kind=who.kind,
                    who=who.value,
                    name=leaving.name,
                    state="scheduled",
                    content_sha256=content_sha256,
                    effective_at=effective,
                    requested_by=operator.id,
                    requested_at=now,
                    done_at=None,
                    receipt="{}",
                )
            )
            self._record(
                connection,
                "end_of_office.requested",
                departure_id,
                operator.actor,
                {"effective_at": effective.isoformat(), "content_sha256": content_sha256},
            )
            if not is_later:
                self._carry_out(connection, departure_id, leaving, operator.actor, now)
        if not is_later:
            self._changes.publish(leaving.records)
        return self.load(departure_id)

    def carry_out_due(self, at: datetime) -> None:
        """Carry out those whose time has come. The job of the timer; each is done once."""
        with self._database.reading() as connection:
            due = select(departures.c.id).where(
                departures.c.state == "scheduled", departures.c.effective_at <= at
            )
            ids = list(connection.scalars(due.order_by(departures.c.effective_at).limit(1000)))
        for departure_id in ids:
            with self._database.transaction() as connection:
                row = _lock(connection, departure_id)
                if row is None or row["state"] != "scheduled":
                    continue
                leaving = _leaving(connection, Who(row["who_kind"], row["who"]), is_known=False)
                actor = f"operator:{row['requested_by']}"
                self._carry_out(connection, departure_id, leaving, actor, self._clock.now())
            self._changes.publish(leaving.records)

    def withdraw(self, departure_id: str, operator: Operator) -> Departure:
        """Give up one that is still to come. Raises DepartureStateError when it is done."""
        check_role(operator, *REVOKERS, ADMINISTRATOR)
        check_usable(operator, at=self._clock.now())
        with self._database.transaction() as connection:
            row = _lock(connection, departure_id)
            if row is None:
                raise DepartureUnknownError(departure_id)
            if row["state"] == "done":
                raise DepartureStateError(departure_id, DEPARTURE_STATES["done"])
            if row["state"] == "scheduled":
                chosen = update(departures).where(departures.c.id == departure_id)
                connection.execute(chosen.values(state="withdrawn"))
                self._record(connection, "end_of_office.withdrawn", departure_id, operator.actor, {})
        return self.load(departure_id)

    def load(self, departure_id: str) -> Departure:
        """Return one. Raises DepartureUnknownError."""
        with self._database.reading() as connection:
            chosen = select(departures).where(departures.c.id == departure_id)
            row = connection.execute(chosen).mappings().first()
        if row is None:
            raise DepartureUnknownError(departure_id)
        return _departure(row)

    def page(self, *, state: str = "", most: int = 100) -> Sequence[Departure]:
        """Return the newest by their time, of one state or of all."""
        states = [state] if state else list(DEPARTURE_STATES)
        found: list[Departure] = []
        with self._database.reading() as connection:
            for each in states:
                chosen = select(departures).where(departures.c.state == each)
                chosen = chosen.order_by(departures.c.effective_at.desc()).limit(most)
                found += [_departure(row) for row in connection.execute(chosen).mappings()]
        return sorted(found, key=lambda departure: departure.effective_at, reverse=True)[:most]

    def _carry_out(
        self, connection: Connection, departure_id: str, leaving: Leaving, actor: str, at: datetime
    ) -> None:
        for grant in leaving.waiting:
            changed = connection.execute(
                update(grants)
                .where(grants.c.id == grant.id, grants.c.state.in_(_OPEN))
                .values(
                    state="refused",
                    refused_by=actor.removeprefix("operator:"),
                    refused_at=at,
                    refused_why=WHY_REFUSED,
                )
            )
            if changed.rowcount:
                self._audit.record(
                    connection,
                    event="grant.refused",
                    actor=actor,
                    subject=f"grant:{grant.id}",
                    details={"why": WHY_REFUSED, "departure": departure_id},
                )
        revoked = self._changes.revoke(connection, leaving.records, reason=REASON, actor=actor, at=at)
        receipt = {
            "revoked": [_line(record) for record in revoked],
            "refused": [
                {"grant": each.id, "authority": each.authority, "attributes": dict(each.attributes)}
                for each in leaving.waiting
            ],
        }
        connection.execute(
            update(departures)
            .where(departures.c.id == departure_id)
            .values(state="done", done_at=at, receipt=json.dumps(receipt, ensure_ascii=False))
        )
        self._record(
            connection,
            "end_of_office.done",
            departure_id,
            actor,
            {"revoked": len(revoked), "refused": len(leaving.waiting)},
        )
        log.info("end of office", extra={"revoked": len(revoked), "refused": len(leaving.waiting)})

    def _record(
        self, connection: Connection, event: str, departure_id: str, actor: str, details: dict[str, Any]
    ) -> None:
        subject = f"departure:{departure_id}"
        self._audit.record(connection, event=event, actor=actor, subject=subject, details=details)


def _line(record: Record) -> dict[str, Any]:
    return {
        "serial": record.serial,
        "authority": record.authority,
        "kind": record.kind,
        "attributes": dict(record.attributes),
        "not_after": record.not_after.isoformat(),
    }


def _leaving(connection: Connection, who: Who, *, is_known: bool = True) -> Leaving:
    """Everything held now.

    Args:
        is_known: refuse when nothing at all is known of them.
    """
    certificate, grant = certificates.c, grants.c
    known = _known(connection, who)
    hashes = sorted({each.sha256 for each in known} | ({who.value} if who.kind == "certificate" else set()))
    entities = {each.entity for each in known} | ({who.value} if who.kind == "entity" else set())
    is_theirs: ColumnElement[bool] = certificate.holder_sha256.in_(hashes)
    if who.kind == "entity":
        is_theirs = certificate.entity == who.value
    elif known:
        is_theirs = or_(is_theirs, certificate.key_sha256.in_(sorted({each.key_sha256 for each in known})))
    chosen = select(certificate.serial, certificate.entity).where(is_theirs, STATE.in_(_LIVE))
    rows = connection.execute(chosen.limit(_MOST)).all()
    entities |= {row.entity for row in rows}
    records = load_certificates(connection, [row.serial for row in rows])
    waiting: list[WaitingGrant] = []
    name = known[0].name if known else (records[0].holder_name if records else "")
    for entity in sorted(entities):
        open_grants = select(grants).where(and_(grant.entity == entity, grant.state.in_(_OPEN)))
        for row in connection.execute(open_grants.limit(_MOST)).mappings():
            sha256 = hashlib.sha256(row["holder_der"]).hexdigest()
            if who.kind == "entity" or sha256 in hashes:
                waiting.append(_waiting(row))
                name = name or row["holder_name"]
    if is_known and not (known or records or waiting):
        raise HolderUnknownError(who.value)
    return Leaving(who=who, name=name, records=records, waiting=sorted(waiting, key=lambda grant: grant.id))


def _known(connection: Connection, who: Who) -> Sequence[KnownHolder]:
    if who.kind == "entity":
        return of_identity(connection, entity=who.value)
    if who.kind == "person":
        return of_identity(connection, person=who.value)
    found = find_holder(connection, who.value)
    return of_identity(connection, entity=found.entity, person=found.person) if found else ()


def _waiting(row: RowMapping) -> WaitingGrant:
    values = {name: row[name] for name in WaitingGrant.__dataclass_fields__}
    return WaitingGrant(**{**values, "attributes": json.loads(row["attributes"])})


def _find_known(
    connection: Connection, number: str, content_sha256: str, effective_at: datetime | None
) -> Departure | None:
    """The one on record that this request repeats."""
    chosen = select(departures).where(departures.c.state != "withdrawn")
    if number:
        chosen = chosen.where(departures.c.id == number)
    else:
        chosen = chosen.where(departures.c.content_sha256 == content_sha256)
        if effective_at is None:
            chosen = chosen.where(departures.c.state == "done")
        else:
            chosen = chosen.where(departures.c.effective_at == effective_at)
    row = connection.execute(chosen.order_by(departures.c.requested_at.desc()).limit(1)).mappings().first()
    return None if row is None else _departure(row)


def _lock(connection: Connection, departure_id: str) -> RowMapping | None:
    chosen = select(departures).where(departures.c.id == departure_id).with_for_update()
    return connection.execute(chosen).mappings().first()


def _departure(row: RowMapping) -> Departure:
    values = {name: row[name] for name in Departure.__dataclass_fields__ if name in row}
    who = Who(row["who_kind"], row["who"])
    return Departure(**{**values, "who": who, "receipt": json.loads(row["receipt"])})
