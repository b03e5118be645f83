"""What CAs report to have issued: from the registered key only, each certificate once, and when it counts.

A CA that has lost its licence, or a thief of its keys, must not be able to issue into the past. Therefore the
time on record is when the report came. Only for a service that is granted by the published list, a report
that comes within a short grace of the stated time (``issuance_grace``) counts as of the stated time; and a CA
that comes under the duty later may bring what it issued before as stated, until a moment that the officers
set (``--stated-until``). Both times are kept.

A report is a JWS, typ ``onecert-issuance-report+json``:
``{"service": "pearl", "certificates": [{"sha256": "…", "serial": "3f9a", "issued_at": "…"}]}``, up to 1000 of
them. The same certificate again changes nothing, so that a report may be repeated until it is acknowledged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.supervision import issuance_rows
from onecert.supervision.errors import AuthorityUnknownError
from onecert.supervision.issuance_errors import (
    ReporterExistsError,
    ReporterKeyError,
    ReporterUnknownError,
    ReportMalformedError,
    ReportSignatureError,
)
from onecert.supervision.issuance_rows import IssuanceRow, Reporter
from onecert.supervision.records import find_open_draft, find_publication
from onecert.verifier.certificate import decode_pem
from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.jws import algorithms_for, key_id, verify_document
from onecert.verifier.signatures import PublicKey, check_key, load_public_key
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list import Status

__all__ = ["REPORT_MAX_BYTES", "REPORT_TYP", "IssuanceReports", "Taken"]

REPORT_TYP = "onecert-issuance-report+json"
REPORT_MAX_BYTES = 512 * 1024
_CERTIFICATES_MAX = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SERIAL = re.compile(r"[0-9a-f]{1,40}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The acknowledgement: how many were new, were known, and are on record now."""

    service: str
    new: int
    known: int
    entries: int


@dataclass(frozen=True)
class _Report:
    service: str
    certificates: tuple[tuple[str, str, datetime], ...]  # SHA-256, serial, stated time


class IssuanceReports:
    """Registers who reports, and takes reports.

    Args:
        grace: a report that comes so soon counts as of the time that it states.
    """

    def __init__(self, *, database: Database, audit: AuditTrail, clock: Clock, grace: timedelta) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._grace = grace

    def add_reporter(
        self,
        service: str,
        key_pem: str,
        *,
        actor: str,
        replace: bool = False,
        stated_until: datetime | None = None,
    ) -> Reporter:
        """Register the key that reports for a service of the published list or of the open draft.

        Args:
            key_pem: SubjectPublicKeyInfo.
            replace: the service has a key already; it counts no more from now on.
            stated_until: until then, times count as the CA states them.

        Raises:
            AuthorityUnknownError, ReporterKeyError, ReporterExistsError.
        """
        key = _read_key(key_pem)
        kid = key_id(key)
        with self._database.transaction() as connection:
            _check_listed(connection, service)
            before = issuance_rows.lock_reporter(connection, service)
            if before is not None and before.removed_at is None and before.kid != kid and not replace:
                raise ReporterExistsError(service, before.kid)
            issuance_rows.save_reporter(
                connection,
                service,
                is_new=before is None,
                kid=kid,
                spki_pem=key_pem,
                stated_until=stated_until,
                added_at=self._clock.now(),
                added_by=actor,
                removed_at=None,
            )
            details: dict[str, Any] = {"kid": kid}
            if stated_until is not None:
                details["stated_until"] = stated_until.isoformat()
            if before is not None and before.kid != kid:
                details["instead_of"] = before.kid
            self._audit.record(
                connection,
                event="reporter.added",
                actor=actor,
                subject=f"reporter:{service}",
                details=details,
            )
            return _loaded(connection, service)

    def remove_reporter(self, service: str, *, actor: str) -> Reporter:
        """Take no more reports for a service; what was reported stays on record.

        Raises:
            ReporterUnknownError: nobody reports for it.
        """
        with self._database.transaction() as connection:
            found = _loaded(connection, service)
            now = self._clock.now()
            issuance_rows.update_reporter(connection, service, removed_at=now)
            self._audit.record(
                connection,
                event="reporter.removed",
                actor=actor,
                subject=f"reporter:{service}",
                details={"kid": found.kid},
            )
        return found

    def reporters(self) -> list[Reporter]:
        """Who reports, by service."""
        with self._database.reading() as connection:
            return issuance_rows.reporter_list(connection)

    def take(self, document: bytes) -> Taken:
        """Put the certificates of a report on record; when this returns they are.

        Raises:
            ReportMalformedError, ReportSignatureError: nothing of it was taken.
        """
        # 1. Who reports? Nothing of the content is looked at before.
        reporters = self.reporters()
        try:
            payload = verify_document(
                document, typ=REPORT_TYP, keys=(keys := _Keys(reporters)), max_bytes=REPORT_MAX_BYTES
            )
        except MalformedError as exc:
            raise ReportMalformedError(exc.text("en")) from exc
        except VerifyError as exc:
            raise ReportSignatureError("") from exc
        report = _read(payload)
        if all(each.service != report.service or each.kid not in keys.used for each in reporters):
            raise ReportSignatureError(report.service)
        # 2. Its certificates, with the time that counts.
        with self._database.transaction() as connection:
            reporter = _loaded(connection, report.service)
            if reporter.kid not in keys.used:
                raise ReportSignatureError(report.service)
            now = self._clock.now().replace(microsecond=0)
            digests = [sha256 for sha256, _, _ in report.certificates]
            known = issuance_rows.known_digests(connection, report.service, digests)
            since = self._trusted_since(connection, reporter, now)
            rows = [
                IssuanceRow(
                    sha256=sha256,
                    serial=serial,
                    stated_at=stated,
                    recorded_at=stated if since <= stated <= now else now,
                )
                for sha256, serial, stated in report.certificates
                if sha256 not in known
            ]
            entries = issuance_rows.add_issuances(connection, reporter, rows, at=now)
            if rows:
                late = sum(row.recorded_at != row.stated_at for row in rows)
                self._audit.record(
                    connection,
                    event="issuance.reported",
                    actor=f"reporter:{report.service}",
                    subject=f"reporter:{report.service}",
                    details={"new": len(rows), "late": late, "entries": entries, "kid": reporter.kid},
                )
        return Taken(service=report.service, new=len(rows), known=len(known), entries=entries)

    def _trusted_since(self, connection: Connection, reporter: Reporter, now: datetime) -> datetime:
        """Stated times from here on count."""
        if reporter.stated_until is not None and now < reporter.stated_until:
            return datetime.min.replace(tzinfo=now.tzinfo)
        publication = find_publication(connection)
        services = publication.draft.services if publication is not None else ()
        entries = [
            entry
            for service in services
            if service.id == reporter.service
            for entry in service.history
            if entry.start <= now
        ]
        if not entries or max(entries, key=lambda entry: entry.start).status is not Status.GRANTED:
            return now
        return now - self._grace


class _Keys(Mapping[str, PublicKey]):
    """The registered keys by their id, read when the check asks; ``used`` are those it asked for."""

    def __init__(self, reporters: list[Reporter]) -> None:
        self._pems = {each.kid: each.spki_pem for each in reporters}
        self.used: set[str] = set()

    def __getitem__(self, kid: str) -> PublicKey:
        key = _read_key(self._pems[kid])
        self.used.add(kid)
        return key

    def __iter__(self) -> Iterator[str]:
        return iter(self._pems)

    def __len__(self) -> int:
        return len(self._pems)


def _read(payload: Mapping[str, Any]) -> _Report:
    try:
        with Node(payload, "") as node:
            service = node.text("service", max_length=95)
            certificates = tuple(map(_certificate, node.nodes("certificates", low=1, high=_CERTIFICATES_MAX)))
    except StrictJsonError as exc:
        raise ReportMalformedError(str(exc)[:300]) from exc
    if len({sha256 for sha256, _, _ in certificates}) != len(certificates):
        raise ReportMalformedError("certificates: one stands there twice")
    return _Report(service, certificates)


def _certificate(node: Node) -> tuple[str, str, datetime]:
    with node:
        sha256, serial = node.text("sha256", max_length=64), node.text("serial", max_length=40)
        if _SHA256.fullmatch(sha256) is None:
            raise StrictJsonError(node.place("sha256"), "must be 64 lower-case hexadecimal digits")
        if _SERIAL.fullmatch(serial) is None:
            raise StrictJsonError(node.place("serial"), "must be lower-case hexadecimal digits, at most 40")
        return sha256, serial, node.time("issued_at")


def _read_key(pem: str) -> PublicKey:
    try:
        key = load_public_key(decode_pem(pem.encode("utf-8", "replace"), "PUBLIC KEY"))
        check_key(key)
    except VerifyError as exc:
        raise ReporterKeyError(exc.text("en")) from exc
    if not algorithms_for(key):
        raise ReporterKeyError("no algorithm for documents")
    return key


def _check_listed(connection: Connection, service: str) -> None:
    draft, publication = find_open_draft(connection), find_publication(connection)
    known = [*(draft.draft.services if draft else ()), *(publication.draft.services if publication else ())]
    if all(each.id != service for each in known):
        raise AuthorityUnknownError(service, tuple(dict.fromkeys(each.id for each in known)))


def _loaded(connection: Connection, service: str) -> Reporter:
    found = issuance_rows.lock_reporter(connection, service)
    if found is None or found.removed_at is not None:
        raise ReporterUnknownError(service)
    return found
