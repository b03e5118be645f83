"""Who may ask for certificates and holders: registration authorities, each within its scope, and operators.

A registration authority signs its question (`onecert-search+json`: `created_at`, `asked_by`, `where`, and if
need be `limit` and `after`; `onecert-history+json`: `created_at`, `asked_by`, `authority`, `serial`). What it
may not order it does not find. Names and numbers are personal data: over the wire the numbers of people are
masked, and each first page is an audit entry, with the fields that were asked for and not their values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.errors import OrderOutOfScopeError, UnknownCertificateError
from onecert.ca.errors.search import SearchFieldError
from onecert.ca.issuing.orders import Fields, OrderDesk
from onecert.ca.issuing.registration_authorities import Scope
from onecert.ca.search.search import LIMIT_MAX, Page, Search
from onecert.ca.search.terms import Found, Query, read_query
from onecert.server.audit import AuditEntry, AuditTrail, Json
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = [
    "HISTORY_READ",
    "HISTORY_TYPE",
    "SEARCH_TYPE",
    "Enquiries",
    "found_json",
    "masked_entity",
    "page_json",
]

SEARCH_TYPE = "onecert-search+json"
HISTORY_TYPE = "onecert-history+json"
# The audit entry of whoever reads the life line of a certificate, or takes the certificate away.
HISTORY_READ = "certificate.history-read"
LIMIT = 100
# Not of organisations: their number is public.
_PERSONAL = frozenset({"idcard", "passport", "officer"})


@dataclass(frozen=True, kw_only=True)
class _Question:
    scope: Scope
    people: tuple[str, ...]
    payload: Mapping[str, Any]
    fields: Fields


class Enquiries:
    """Answers questions about certificates."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        desk: OrderDesk,
        search: Search,
        authorities: Authorities,
    ) -> None:
        self._authorities = authorities
        self._database = database
        self._audit = audit
        self._clock = clock
        self._desk = desk
        self._search = search

    def search_as_asked(self, document: bytes) -> dict[str, object]:
        """Answer the signed search of a registration authority.

        Raises:
            CaError
        """
        question = self._open(document, SEARCH_TYPE)
        where = question.fields.take("where", dict)
        limit = question.payload.get("limit", LIMIT)
        after = question.payload.get("after")
        question.fields.skip("limit", "after")
        question.fields.end()
        if after is not None and not isinstance(after, str):
            raise SearchFieldError("after")
        query, members = self._of_line(read_query(where))
        page = self.search(
            query,
            limit=limit,
            after=after,
            may_see=lambda found: (
                question.scope.may_order(found.record.authority, found.record.profile)
                and (not members or found.record.authority in members)
            ),
            actor=f"ra:{question.scope.name}",
            people=question.people,
        )
        return page_json(page)

    def _of_line(self, query: Query) -> tuple[Query, frozenset[str]]:
        """Let the name of a line stand for all its authorities, as in orders; nearly always it has one."""
        joined = self._authorities.line(query.authority) if query.authority is not None else ()
        if query.authority is None or not joined:
            return query, frozenset()
        return replace(query, authority=None), frozenset({query.authority, *joined})

    def search(
        self,
        query: Query,
        *,
        limit: object,
        after: str | None,
        actor: str,
        people: tuple[str, ...] = (),
        may_see: Callable[[Found], bool] = lambda _found: True,
    ) -> Page:
        """Search and put it on record.

        Raises:
            SearchFieldError, SearchCursorError, SearchTooWideError
        """
        if type(limit) is not int or not 1 <= limit <= LIMIT_MAX:
            raise SearchFieldError("limit")
        page = self._search.find(query, limit=limit, after=after, may_see=may_see)
        if after is None:
            asked = sorted(name for name, value in vars(query).items() if value is not None)
            self._record(
                AuditEntry(
                    event="certificates.searched",
                    actor=actor,
                    subject="certificates",
                    details={"fields": asked, "found": len(page.found), "asked_by": list(people)},
                )
            )
        return page

    def open_history(self, document: bytes) -> tuple[str, str]:
        """Check the signed question for one certificate's history; return authority and serial.

        Raises:
            CaError
        """
        question = self._open(document, HISTORY_TYPE)
        authority, serial = question.fields.text("authority"), question.fields.text("serial")
        question.fields.end()
        query, members = self._of_line(read_query({"authority": authority, "serial": serial}))
        page = self._search.find(
            query, limit=1, may_see=lambda found: not members or found.record.authority in members
        )
        if not question.scope.may_revoke(authority):
            raise OrderOutOfScopeError(question.scope.name, authority, "*")
        if not page.found:
            raise UnknownCertificateError(authority, serial[:64])
        record = page.found[0].record
        if not question.scope.may_order(record.authority, record.profile):
            raise OrderOutOfScopeError(question.scope.name, authority, record.profile)
        self.record_reading(
            record.authority,
            record.serial,
            actor=f"ra:{question.scope.name}",
            details={"asked_by": list(question.people)},
        )
        return record.authority, record.serial

    def record_reading(self, authority: str, serial: str, *, actor: str, details: dict[str, Json]) -> None:
        """Put on record that somebody reads the history of this certificate."""
        self._record(
            AuditEntry(event=HISTORY_READ, actor=actor, subject=f"{authority}/{serial}", details=details)
        )

    def _open(self, document: bytes, typ: str) -> _Question:
        payload, signer = self._desk.open(document, typ)
        fields = Fields(payload)
        created_at: datetime = fields.moment("created_at")
        people = fields.people("asked_by")
        self._desk.check_age(created_at, self._clock.now())
        return _Question(scope=signer, people=people, payload=payload, fields=fields)

    def _record(self, entry: AuditEntry) -> None:
        with self._database.transaction() as connection:
            self._audit.record_many(connection, [entry])


def page_json(page: Page) -> dict[str, object]:
    """A page as a registration authority is answered, without whole numbers of people."""
    return {
        "certificates": [found_json(found) for found in page.found],
        "sorted_by": page.sorted_by,
        "next": page.next,
    }


def found_json(found: Found, *, numbers: bool = False) -> dict[str, object]:
    """What is answered about one certificate."""
    record = found.record
    return {
        "authority": record.authority,
        "serial": record.serial,
        "subject": record.subject,
        "entity": record.entity if numbers else masked_entity(record.entity),
        "profile": record.profile,
        "profile_version": record.profile_version,
        "state": record.state,
        "status": record.status,
        "not_before": record.not_before.isoformat(),
        "not_after": record.not_after.isoformat(),
        "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
        "reason": record.reason,
        "invalidity_date": record.invalidity_date.isoformat() if record.invalidity_date else None,
        "partition": record.crl_partition,
        "order": record.order_id,
        "ordered_by": found.ordered_by,
        "key_sha256": record.key_sha256,
        "key_id": found.key_id,
        "sha256": found.sha256 if found.der else "",
        "sha1": found.sha1 if found.der else "",
    }


def masked_entity(entity: str) -> str:
    """Hide the middle of a person's number: `idcard:440300********0015`, of an employee's the last part."""
    kind, *parts = entity.split(":")
    if kind == "employee" and len(parts) == 2:
        return f"{kind}:{parts[0]}:{_masked(parts[1])}"
    if kind in _PERSONAL:
        return f"{kind}:{_masked(':'.join(parts))}"
    return entity


def _masked(number: str) -> str:
    if len(number) < 12:
        return number[:1] + "*" * max(len(number) - 3, 1) + number[-2:]
    return number[:6] + "*" * (len(number) - 10) + number[-4:]
