"""The life line of one certificate: everything that happened to it, in the order in which it happened."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from onecert.ca.authorities.authorities import Authorities, pem
from onecert.ca.errors import UnknownCertificateError
from onecert.ca.issuing.order_documents import payload_of
from onecert.ca.models import crls, orders, revocations
from onecert.ca.renewals.models import successions
from onecert.ca.search.index import load
from onecert.ca.search.questions import HISTORY_READ, found_json
from onecert.ca.search.terms import Found
from onecert.server.database import Database
from onecert.server.languages import _, gettext
from onecert.server.models import audit_entries

__all__ = ["history", "history_lines"]

_EVENTS_MAX = 1000


def history(
    database: Database, authorities: Authorities, authority: str, serial: str, *, numbers: bool = False
) -> dict[str, Any]:
    """Tell the life of a certificate.

    Returns:
        `certificate` as a search answers it, `certificate_pem`, `chain_pem` (issuing authority first, root
        last), `follows` and `followed_by` (orders with their certificates), `events`, oldest first, each
        with `at`, `event`, `actor` and `details`, and `readings`: `count` of the times that somebody read
        this, and the `last` of them as an event, or None.

    Raises:
        UnknownCertificateError
    """
    with database.reading() as connection:
        found = load(connection, [(authority, serial)]).get((authority, serial))
        if found is None:
            raise UnknownCertificateError(authority, serial)
        order = _order(connection, found)
        followed = [dict(row) for row in _successions(connection, authority, serial)]
        readings = _readings(connection, f"{authority}/{serial}")
        events = [
            *_audited(connection, f"{authority}/{serial}"),
            *_listed(connection, found),
            *_succeeded(followed, authority, serial),
        ]
        if order is not None:
            events.append(_event(order["received_at"], "order.received", order["ordered_by"], order))
    record = found.record
    chain = [above.certificate_pem for above in authorities.chain(authorities.get(authority))]
    return {
        "certificate": found_json(found, numbers=numbers),
        "certificate_pem": pem(record.certificate_der) if record.certificate_der else None,
        "chain_pem": chain,
        "follows": next((_link(row, "") for row in followed if row["new_serial"] == serial), None),
        "followed_by": [_link(row, "new_") for row in followed if row["serial"] == serial],
        "events": sorted(events, key=lambda event: (event["at"], _RANK.get(event["event"], 5))),
        "readings": readings,
    }


# What happens within one moment happens in this order.
_RANK = {"order.received": 0, "certificate.issued": 1, "list.first": 9}


def history_lines(told: dict[str, Any]) -> list[str]:
    """Write a history for people, a line for each event."""
    certificate = told["certificate"]
    lines = [
        f"{certificate['authority']}/{certificate['serial']}  {certificate['subject']}",
        "  ".join(str(certificate[name]) for name in ("profile", "status", "not_before", "not_after")),
    ]
    last = told["readings"]["last"]
    for event in [*told["events"], *([last] if last else [])]:
        details = ", ".join(f"{name}: {_spelled(value)}" for name, value in event["details"].items())
        lines.append(f"{event['at']}  {event['event']:<26}  {event['actor']:<20}  {details}".rstrip())
    if last:
        lines[-1] += " " + gettext(_("(the last of %(count)s times)"), count=told["readings"]["count"])
    return lines


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _event(at: datetime, event: str, actor: str, details: dict[str, Any]) -> dict[str, Any]:
    plain = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in details.items()
    }
    return {"at": at.isoformat(), "event": event, "actor": actor, "details": plain}


def _order(connection: Connection, found: Found) -> dict[str, Any] | None:
    columns = (orders.c.id, orders.c.ordered_by, orders.c.received_at, orders.c.content_sha256)
    query = select(*columns, orders.c.document).where(orders.c.id == found.record.order_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    told = dict(row)
    early = payload_of(told.pop("document")).get("early")
    return told | ({"early": early} if early else {})


def _successions(connection: Connection, authority: str, serial: str) -> list[Any]:
    table = successions.c
    query = select(successions).where(
        or_(
            (table.authority == authority) & (table.serial == serial),
            (table.new_authority == authority) & (table.new_serial == serial),
        )
    )
    return list(connection.execute(query.order_by(table.recorded_at)).mappings())


def _link(row: dict[str, Any], which: str) -> dict[str, Any]:
    return {
        "order": row["order_id"],
        "kind": row["kind"],
        "authority": row[f"{which}authority"],
        "serial": row[f"{which}serial"],
        "revocation": row["state"],
    }


def _succeeded(rows: list[dict[str, Any]], authority: str, serial: str) -> list[dict[str, Any]]:
    events = []
    for row in rows:
        is_old = (row["authority"], row["serial"]) == (authority, serial)
        event = "certificate.followed" if is_old else "certificate.follows"
        details = _link(row, "new_" if is_old else "")
        events.append(_event(row["recorded_at"], event, row["ordered_by"], details))
        if row["delivered_at"] is not None and not is_old:
            details = {"order": row["order_id"]}
            events.append(_event(row["delivered_at"], "certificate.delivered", row["ordered_by"], details))
    return events


def _audited(connection: Connection, subject: str) -> list[dict[str, Any]]:
    table = audit_entries.c
    query = (
        select(table.seq, table.at, table.event, table.actor, table.details)
        .where(table.subject == subject, table.event != HISTORY_READ)
        .order_by(table.seq)
        .limit(_EVENTS_MAX)
    )
    return [_entry(row) for row in connection.execute(query)]


def _readings(connection: Connection, subject: str) -> dict[str, Any]:
    """How often somebody looked, and the last time; however often, it pushes out no act."""
    table = audit_entries.c
    reading = (table.subject == subject) & (table.event == HISTORY_READ)
    count = connection.execute(select(func.count()).select_from(audit_entries).where(reading)).scalar_one()
    query = select(table.seq, table.at, table.event, table.actor, table.details).where(reading)
    last = connection.execute(query.order_by(table.seq.desc()).limit(1)).one_or_none()
    return {"count": count, "last": None if last is None else _entry(last)}


def _entry(row: Any) -> dict[str, Any]:
    return _event(row.at, row.event, row.actor, json.loads(row.details) | {"audit_entry": row.seq})


def _listed(connection: Connection, found: Found) -> list[dict[str, Any]]:
    """The first list of each kind that says what each change of status was."""
    record = found.record
    query = select(revocations).where(
        revocations.c.authority == record.authority, revocations.c.serial == record.serial
    )
    changes = connection.execute(query.order_by(revocations.c.status_version)).mappings().all()
    events = []
    for change in changes:
        for partition in sorted({0, record.crl_partition}):
            first = (
                select(crls.c.number, crls.c.this_update)
                .where(
                    crls.c.authority == record.authority,
                    crls.c.crl_partition == partition,
                    crls.c.next_update > change["revoked_at"],
                    crls.c.status_version >= change["status_version"],
                    crls.c.sha256.is_not(None),
                )
                .order_by(crls.c.next_update, crls.c.number)
                .limit(1)
            )
            row = connection.execute(first).one_or_none()
            if row is not None:
                details = {"reason": change["reason"], "crl_number": row.number, "crl_partition": partition}
                events.append(_event(row.this_update, "list.first", f"ca:{record.authority}", details))
    return events
