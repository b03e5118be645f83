"""Reports to the supervision what was issued, for authorities that the trust list obliges to it.

Nothing is written when a certificate is issued: the audit trail has an entry for it, made in the same
transaction and numbered without gaps in the order of the commits, so that a cursor over those numbers loses
nothing and doubles nothing. A report holds what follows the cursor; the cursor moves when the supervision has
acknowledged. A crash in between sends the report again, which changes nothing there.

A report is a JWS, typ ``onecert-issuance-report+json``, by a key of its own on the token:
``{"service": "harbour", "certificates": [{"sha256": "…", "serial": "3f9a", "issued_at": "…"}]}``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from prometheus_client import Gauge
from sqlalchemy import BigInteger, Column, Connection, String, Table, bindparam, select, update

from onecert.ca.errors.reports import (
    NotReportingError,
    ReportRefusedError,
    SupervisionAwayError,
    UnreportedError,
)
from onecert.ca.models import certificates, metadata
from onecert.ca.signatures.tokens import KeyToken, document_key
from onecert.server import metrics
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database, UtcDateTime
from onecert.server.documents import PrivateKey, sign_document
from onecert.server.errors import ServiceError
from onecert.server.models import audit_entries
from onecert.server.statements import insert_if_absent
from onecert.verifier.strict_json import format_time

__all__ = ["KEY_LABEL", "REPORT_TYP", "IssuanceReports", "Standing", "report_cursors"]

REPORT_TYP = "onecert-issuance-report+json"
KEY_LABEL = "issuance-reports"
_PATH = "v1/issuance-reports"
_ISSUED = "certificate.issued"
# The supervision takes 1000 certificates in one report. Entries of other acts are passed over.
_CERTIFICATES_MAX = 500
_ENTRIES_MAX = 2000

report_cursors = Table(
    "ca_report_cursors",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),  # up to this entry of the audit trail, everything is reported
    Column("reported", BigInteger, nullable=False),  # certificates that were acknowledged
    Column("acknowledged_at", UtcDateTime, nullable=True),
)

_CERTIFICATE = select(certificates.c.certificate_der).where(
    certificates.c.authority == bindparam("a"), certificates.c.serial == bindparam("s")
)
_oldest = Gauge(
    "onecert_ca_unreported_age_seconds",
    "Age of the oldest certificate that the supervision has not acknowledged; 0 when there is none",
    ["authority"],
    registry=metrics.registry,
)
_reported = Gauge(
    "onecert_ca_reported_certificates",
    "Certificates that the supervision has acknowledged",
    ["authority"],
    registry=metrics.registry,
)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far the reports of one authority have come."""

    authority: str
    service: str
    reported: int
    acknowledged_at: datetime | None
    oldest_unreported: datetime | None


@dataclass(frozen=True)
class _Cursor:
    seq: int = 0
    reported: int = 0
    acknowledged_at: datetime | None = None


class IssuanceReports:
    """Sends what is not acknowledged yet.

    Args:
        services: authority -> its service on the trust list; empty: nothing is reported. An authority that
            joined its line, with the next key, is reported under the same service unless it is named itself.
        client: opens the way to the supervision.
        alarm_after: so old the oldest unreported certificate may be before the service is not ready.
        joined: names the authorities that joined a line after its first.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        token: KeyToken,
        services: Mapping[str, str],
        client: Callable[[], httpx.Client],
        alarm_after: timedelta,
        joined: Callable[[str], Sequence[str]] = lambda _authority: (),
    ) -> None:
        self._joined = joined
        self._database = database
        self._audit = audit
        self._clock = clock
        self._token = token
        self._services = dict(services)
        self._client = client
        self._alarm_after = alarm_after

    def run(self) -> int:
        """Send everything that is due, in order; one authority's failure does not stop the others.

        Returns:
            how many certificates were acknowledged.

        Raises:
            SupervisionAwayError, ReportRefusedError, TokenGoneError: the rest waits.
        """
        sent, failures = 0, []
        for authority in self.services():
            try:
                while (count := self._send_next(authority)) is not None:
                    sent += count
            except ServiceError as exc:
                failures.append(exc)
            self._tell(authority)
        if failures:
            raise failures[0]
        return sent

    def services(self) -> dict[str, str]:
        """The authorities that are reported, each with its service; later ones of a line behind its first."""
        found = dict(self._services)
        for authority, service in self._services.items():
            for each in self._joined(authority):
                found.setdefault(each, service)
        return found

    def check(self) -> None:
        """Readiness.

        Raises:
            UnreportedError
        """
        at = self._clock.now()
        for standing in self.standing():
            since = standing.oldest_unreported
            if since is not None and at - since > self._alarm_after:
                raise UnreportedError(standing.authority, since.isoformat(timespec="seconds"))

    def standing(self) -> list[Standing]:
        """How far the reports have come."""
        with self._database.reading() as connection:
            return [
                Standing(
                    authority=authority,
                    service=service,
                    reported=cursor.reported,
                    acknowledged_at=cursor.acknowledged_at,
                    oldest_unreported=_oldest_after(connection, authority, cursor.seq),
                )
                for authority, service in self.services().items()
                for cursor in [_cursor(connection, authority)]
            ]

    def begin_again(self, authority: str, *, actor: str) -> None:
        """Report everything once more: the supervision was restored from a backup.

        Raises:
            NotReportingError
        """
        if authority not in self.services():
            raise NotReportingError(authority)
        with self._database.transaction() as connection:
            connection.execute(
                update(report_cursors)
                .where(report_cursors.c.authority == authority)
                .values(seq=0, reported=0)
            )
            self._audit.record(connection, event="reports.begun-again", actor=actor, subject=authority)

    def public_key_pem(self) -> str:
        """The key to be registered at the supervision; made when there is none.

        Raises:
            TokenGoneError
        """
        public = self._key().public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    # Inside

    def _key(self) -> PrivateKey:
        return document_key(self._token, KEY_LABEL)

    def _send_next(self, authority: str) -> int | None:
        """Send one report and move the cursor; None when nothing is left."""
        with self._database.reading() as connection:
            cursor = _cursor(connection, authority)
            upto, found = _next_certificates(connection, authority, cursor.seq)
        if upto == cursor.seq:
            return None
        if found:
            self._post(authority, found)
        with self._database.transaction() as connection:
            values: dict[str, Any] = {"seq": upto, "reported": cursor.reported + len(found)}
            if found:
                values["acknowledged_at"] = self._clock.now()
            else:
                values["acknowledged_at"] = cursor.acknowledged_at
            if not insert_if_absent(connection, report_cursors, {"authority": authority, **values}):
                # Another process may have sent the same; then its cursor stands.
                connection.execute(
                    update(report_cursors)
                    .where(report_cursors.c.authority == authority, report_cursors.c.seq == cursor.seq)
                    .values(**values)
                )
        return len(found)

    def _post(self, authority: str, found: Sequence[Mapping[str, str]]) -> None:
        service = self.services()[authority]
        payload = {"service": service, "certificates": list(found)}
        document = sign_document(payload, typ=REPORT_TYP, keys=[self._key()])
        try:
            with self._client() as client:
                answer = client.post(
                    _PATH, content=document, headers={"Content-Type": "application/jose+json"}
                )
        except httpx.HTTPError as exc:
            raise SupervisionAwayError(type(exc).__name__) from exc
        try:
            said = answer.json()
        except ValueError:
            said = None
        said = said if isinstance(said, dict) else {}
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise SupervisionAwayError(f"HTTP {answer.status_code}")
        if answer.status_code != httpx.codes.OK:
            raise ReportRefusedError(authority, str(said.get("code", f"HTTP {answer.status_code}"))[:64])
        # Some other server that says "200" to everything is no acknowledgement.
        counts = [said.get("new"), said.get("known")]
        if said.get("service") != service or not _add_up(counts, len(found)):
            raise SupervisionAwayError("an answer that is no acknowledgement")

    def _tell(self, authority: str) -> None:
        with self._database.reading() as connection:
            cursor = _cursor(connection, authority)
            oldest = _oldest_after(connection, authority, cursor.seq)
        age = timedelta(0) if oldest is None else self._clock.now() - oldest
        _oldest.labels(authority).set(max(age.total_seconds(), 0))
        _reported.labels(authority).set(cursor.reported)


def _add_up(counts: Sequence[object], total: int) -> bool:
    numbers = [count for count in counts if isinstance(count, int)]
    return len(numbers) == len(counts) and sum(numbers) == total


def _cursor(connection: Connection, authority: str) -> _Cursor:
    query = select(report_cursors).where(report_cursors.c.authority == authority)
    row = connection.execute(query).one_or_none()
    return _Cursor() if row is None else _Cursor(row.seq, row.reported, row.acknowledged_at)


def _next_certificates(
    connection: Connection, authority: str, after: int
) -> tuple[int, list[Mapping[str, str]]]:
    """What was issued after an entry of the trail, in order, and up to which entry that is."""
    query = (
        select(audit_entries.c.seq, audit_entries.c.at, audit_entries.c.event, audit_entries.c.subject)
        .where(audit_entries.c.seq > after)
        .order_by(audit_entries.c.seq)
        .limit(_ENTRIES_MAX)
    )
    found: list[Mapping[str, str]] = []
    upto = after
    for row in connection.execute(query).all():
        if row.event == _ISSUED and row.subject.startswith(f"{authority}/"):
            if len(found) == _CERTIFICATES_MAX:
                break
            serial = row.subject.removeprefix(f"{authority}/")
            der = connection.execute(_CERTIFICATE, {"a": authority, "s": serial}).scalar_one_or_none()
            if der is None:
                upto = row.seq  # archived: it ended years ago
                continue
            found.append(
                {
                    "sha256": hashlib.sha256(der).hexdigest(),
                    "serial": serial,
                    "issued_at": format_time(row.at.replace(microsecond=0)),
                }
            )
        upto = row.seq
    return upto, found


def _oldest_after(connection: Connection, authority: str, seq: int) -> datetime | None:
    query = (
        select(audit_entries.c.at)
        .where(
            audit_entries.c.seq > seq,
            audit_entries.c.event == _ISSUED,
            audit_entries.c.subject.startswith(f"{authority}/", autoescape=True),
        )
        .order_by(audit_entries.c.seq)
        .limit(1)
    )
    return connection.execute(query).scalar()
