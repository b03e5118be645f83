"""Certificates for operators who look: search by one field, and the whole of one; every view on record.

Whoever has no need sees a person's name and numbers masked. Which fields were searched is put on record,
never what for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.errors import UnknownAuthorityError, UnknownCertificateError
from onecert.ca.errors.search import SearchFieldError
from onecert.ca.issuing.ledger import CertificateRecord, Ledger
from onecert.ca.profiles.profile import Profile
from onecert.ca.revocation.security_officers import SECURITY_OFFICER
from onecert.ca.search.guess import guesses
from onecert.ca.search.history import history
from onecert.ca.search.masks import is_personal, masked_life, masked_row
from onecert.ca.search.questions import HISTORY_READ, found_json
from onecert.ca.search.search import LIMIT_MAX, Page, Search
from onecert.ca.search.terms import read_query
from onecert.server.audit import AuditEntry, AuditTrail
from onecert.server.database import Database
from onecert.server.operators import Operator, check_role

__all__ = ["READERS", "CertificateDesk", "Result", "Viewed"]

READERS = (SECURITY_OFFICER, "ca.operator")
PAGE = 25


@dataclass(frozen=True, kw_only=True)
class Result:
    """A page of a search. `by` is the field in which the text was found, or "" without a text."""

    page: Page
    by: str
    full: bool  # whether this reader sees people's names and numbers

    def as_json(self) -> dict[str, Any]:
        """The page as this reader may have it."""
        rows = [found_json(found, numbers=True) for found in self.page.found]
        return {
            "certificates": rows if self.full else [masked_row(row) for row in rows],
            "sorted_by": self.page.sorted_by,
            "next": self.page.next,
        }


@dataclass(frozen=True, kw_only=True)
class Viewed:
    """One certificate, with its history as `certificate_history` tells it."""

    record: CertificateRecord
    profile: Profile | None
    told: Mapping[str, Any]
    full: bool

    def as_json(self) -> dict[str, Any]:
        """The whole as this reader may have it."""
        return dict(self.told) if self.full else masked_life(self.told)


class CertificateDesk:
    """Answers operators, on pages and over REST."""

    def __init__(
        self, database: Database, audit: AuditTrail, *, authorities: Authorities, ledger: Ledger
    ) -> None:
        self._database = database
        self._audit = audit
        self._authorities = authorities
        self._ledger = ledger
        self._search = Search(database)

    def find(
        self,
        operator: Operator,
        text: str,
        filters: Mapping[str, str],
        *,
        by: str = "",
        after: str | None = None,
    ) -> Result | None:
        """Search by a text that may be anything, and by filters; None when the text can be nothing.

        Args:
            by: the field that the page before found the text in; `after` belongs to it.

        Raises:
            RoleRequiredError, SearchFieldError, SearchCursorError, SearchTooWideError
        """
        check_role(operator, *READERS)
        tried = guesses(text) if text else [{}]
        if by:
            tried = [guess for guess in tried if by in guess]
        result: Result | None = None
        for guess in tried:
            page = self._search.find(read_query({**filters, **guess}), limit=PAGE, after=after)
            result = Result(page=page, by=next(iter(guess), ""), full=_sees_people(operator))
            if page.found or page.next is not None:
                break
        if result is not None and after is None:
            asked = sorted({*filters, *(name for guess in tried for name in guess)})
            self._record_search(operator, asked, result)
        return result

    def search(
        self, operator: Operator, asked: Mapping[str, str], *, limit: int, after: str | None = None
    ) -> Result:
        """Search by fields that are named.

        Args:
            limit: from 1 to `LIMIT_MAX`.

        Raises:
            RoleRequiredError, SearchFieldError, SearchCursorError, SearchTooWideError
        """
        check_role(operator, *READERS)
        query = read_query(asked)
        if not 1 <= limit <= LIMIT_MAX:
            raise SearchFieldError("limit")
        page = self._search.find(query, limit=limit, after=after)
        result = Result(page=page, by="", full=_sees_people(operator))
        if after is None:
            self._record_search(operator, sorted(asked), result)
        return result

    def view(self, operator: Operator, authority: str, serial: str) -> Viewed:
        """Show one certificate with its life.

        Raises:
            RoleRequiredError, UnknownCertificateError
        """
        record = self.find_one(operator, authority, serial)
        told = history(self._database, self._authorities, record.authority, record.serial, numbers=True)
        profile = self._profile(record)
        full = _sees_people(operator) or not is_personal(record.entity, profile)
        subject = f"{record.authority}/{record.serial}"
        self._record(HISTORY_READ, operator, subject, {"masked": not full})
        return Viewed(record=record, profile=profile, told=told, full=full)

    def find_one(self, operator: Operator, authority: str, serial: str) -> CertificateRecord:
        """The record of one certificate; shows nobody anything.

        Raises:
            RoleRequiredError, UnknownCertificateError
        """
        check_role(operator, *READERS)
        plain = serial[:64].lower().lstrip("0")
        try:
            return self._ledger.certificate(self._authorities.get(authority).name, plain)
        except UnknownAuthorityError as exc:
            raise UnknownCertificateError(authority[:64], serial[:64]) from exc

    def download(self, operator: Operator, authority: str, serial: str) -> CertificateRecord:
        """Hand out a certificate; a person's only to whom sees it whole.

        Raises:
            RoleRequiredError, UnknownCertificateError
        """
        record = self.find_one(operator, authority, serial)
        if is_personal(record.entity, self._profile(record)):
            check_role(operator, SECURITY_OFFICER)
        if record.certificate_der is None:
            raise UnknownCertificateError(authority[:64], serial[:64])
        subject = f"{record.authority}/{record.serial}"
        self._record(HISTORY_READ, operator, subject, {"downloaded": True})
        return record

    def _profile(self, record: CertificateRecord) -> Profile | None:
        versions = self._authorities.get(record.authority).versions.everyone()
        return next((each for each in versions if each.sha256 == record.profile_sha256), None)

    def _record_search(self, operator: Operator, fields: list[str], result: Result) -> None:
        details = {"fields": fields, "found": len(result.page.found), "masked": not result.full}
        self._record("certificates.searched", operator, "certificates", details)

    def _record(self, event: str, operator: Operator, subject: str, details: dict[str, Any]) -> None:
        entry = AuditEntry(event=event, actor=operator.actor, subject=subject, details=details)
        with self._database.transaction() as connection:
            self._audit.record_many(connection, [entry])


def _sees_people(operator: Operator) -> bool:
    """Whoever holds and revokes must know whose certificate it is; whoever runs the machine need not."""
    return operator.has_role(SECURITY_OFFICER)
