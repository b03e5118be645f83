"""The CA's own figures for alert rules: lists, OCSP answers, intents, queues, the ends of certificates."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from prometheus_client import Gauge
from sqlalchemy import Connection, func, select

from onecert.ca.batches.models import batches
from onecert.ca.issuing.ledger import INTENDED
from onecert.ca.models import certificates
from onecert.ca.ocsp.prepared_answers import FILE_NAME, PreparedAnswers
from onecert.ca.parts import Parts
from onecert.ca.revocation.mass_models import mass_revocations
from onecert.server import metrics
from onecert.server.figures import moment

__all__ = ["take"]

_OPEN = ("confirmed", "running")


def _gauge(name: str, text: str, labels: list[str]) -> Gauge:
    return Gauge(f"onecert_ca_{name}", text, labels, registry=metrics.registry)


_this_update = _gauge("crl_this_update_timestamp_seconds", "When a list was made", ["list"])
_next_update = _gauge("crl_next_update_timestamp_seconds", "When a list or its delta lapses", ["list"])
_ocsp_due = _gauge(
    "ocsp_due_timestamp_seconds",
    "When the most urgent OCSP answer was to be signed anew; 0: there is none",
    ["authority"],
)
_ocsp_compared = _gauge(
    "ocsp_compared_timestamp_seconds", "When the answers were last compared with the record", ["authority"]
)
_intents = _gauge("unfinished_intents", "Certificates whose signing was begun and not ended", [])
_intent_oldest = _gauge("unfinished_intent_oldest_timestamp_seconds", "The oldest of them; 0: none", [])
_batches = _gauge("open_batches", "Batches that are accepted and not filled", [])
_batch_oldest = _gauge("open_batch_oldest_timestamp_seconds", "The oldest of them; 0: none", [])
_mass = _gauge("open_mass_revocations", "Mass revocations that are confirmed and not done", [])
_mass_oldest = _gauge("open_mass_revocation_oldest_timestamp_seconds", "The oldest of them; 0: none", [])
_certificate_end = _gauge(
    "certificate_expires_timestamp_seconds",
    "When the certificate ends that an authority, responder or timestamp unit uses now",
    ["kind", "authority"],
)


def take(parts: Parts, at: datetime) -> None:
    """Bring the figures up to date."""
    with parts.database.reading() as connection:
        _take_queues(connection)
    for authority in parts.authorities.everyone():
        if authority.state == "active":
            _certificate_end.labels("authority", authority.name).set(authority.issuer.not_after.timestamp())
        for partition in parts.publisher.partitions(authority.name):
            latest = parts.publisher.latest(authority.name, partition)
            if latest is not None:
                _this_update.labels(latest.name).set(latest.this_update.timestamp())
                _next_update.labels(latest.name).set(latest.first_to_lapse.timestamp())
        for kind, delegates in (("ocsp", parts.ocsp_delegates), ("timestamp", parts.timestamp_delegates)):
            delegate = delegates.current(authority) if delegates.serves(authority) else None
            if delegate is not None:
                _certificate_end.labels(kind, authority.name).set(delegate.not_after.timestamp())
    _take_answers(parts)


def _take_queues(connection: Connection) -> None:
    for count, oldest, table, column, which in (
        (_intents, _intent_oldest, certificates, certificates.c.not_before, certificates.c.state == INTENDED),
        (_batches, _batch_oldest, batches, batches.c.received_at, batches.c.state == "accepted"),
        (
            _mass,
            _mass_oldest,
            mass_revocations,
            mass_revocations.c.confirmed_at,
            mass_revocations.c.state.in_(_OPEN),
        ),
    ):
        row = connection.execute(select(func.count(), func.min(column)).select_from(table).where(which)).one()
        count.set(row[0])
        oldest.set(moment(row[1]))


def _take_answers(parts: Parts) -> None:
    store = PreparedAnswers(parts.files.folder / FILE_NAME, read_only=True)
    try:
        for authority in store.authorities():
            due = store.first_due(authority, parts.config.ocsp_prepared_hashes)
            seen = store.seen_at(authority)
            _ocsp_due.labels(authority).set(moment(due))
            _ocsp_compared.labels(authority).set(moment(seen))
    except (sqlite3.Error, OSError):
        return  # not made yet
    finally:
        store.close()
