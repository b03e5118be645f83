"""Errors of the record of issued certificates: reports of CAs, and the record that departments read."""

from __future__ import annotations

from onecert.server.languages import _
from onecert.supervision.errors import SupervisionError

__all__ = [
    "IssuanceRecordAheadError",
    "IssuanceRecordOverdueError",
    "IssuanceRecordUnreadableError",
    "ReportMalformedError",
    "ReportSignatureError",
    "ReporterExistsError",
    "ReporterKeyError",
    "ReporterUnknownError",
]


class ReportMalformedError(SupervisionError):
    """What was posted is no report."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "ISSUANCE_REPORT_MALFORMED",
            status=422,
            text=_("The report of issued certificates cannot be read: %(detail)s"),
            hint=_("The CA's program must be corrected; supervision/README.md has the form of a report."),
            detail=detail,
        )


class ReportSignatureError(SupervisionError):
    """No key that is registered for this service has signed the report."""

    def __init__(self, service: str) -> None:
        super().__init__(
            "ISSUANCE_REPORT_SIGNATURE",
            status=403,
            text=_("The report is not signed by the key that is registered for the service %(service)s."),
            hint=_("Register the CA's key with “onecert trust-list reporter add”."),
            service=service or "-",
        )


class ReporterUnknownError(SupervisionError):
    """Nobody reports for this service."""

    def __init__(self, service: str) -> None:
        super().__init__(
            "REPORTER_UNKNOWN",
            status=404,
            text=_("No key is registered to report what the service %(service)s issues."),
            hint=_("See “onecert trust-list reporter list”."),
            service=service,
        )


class ReporterExistsError(SupervisionError):
    """Another key reports for this service."""

    def __init__(self, service: str, kid: str) -> None:
        super().__init__(
            "REPORTER_EXISTS",
            status=409,
            text=_("The service %(service)s reports with the key %(kid)s already."),
            hint=_("Give --replace when the CA has a new key; the old one counts no more then."),
            service=service,
            kid=kid,
        )


class ReporterKeyError(SupervisionError):
    """The file is no public key that can sign reports."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "REPORTER_KEY",
            status=422,
            text=_("This is not a public key that can sign reports: %(detail)s"),
            hint=_("Take the file that “onecert ca report key” wrote at the CA."),
            detail=detail,
        )


class IssuanceRecordAheadError(SupervisionError):
    """Departments have seen certificates that are not on record here: the database is an old backup."""

    def __init__(self, service: str, published: int, recorded: int) -> None:
        super().__init__(
            "ISSUANCE_RECORD_AHEAD",
            status=503,
            text=_(
                "The published record names %(published)s certificates of %(service)s, but only %(recorded)s "
                "are on record here."
            ),
            hint=_("After a restored backup: “onecert trust-list reporter recover --apply”."),
            service=service,
            published=published,
            recorded=recorded,
        )


class IssuanceRecordOverdueError(SupervisionError):
    """The published record is over: departments refuse every certificate of services that must report."""

    def __init__(self, number: int) -> None:
        super().__init__(
            "ISSUANCE_RECORD_OVERDUE",
            status=503,
            text=_("The record of issued certificates number %(number)s is over."),
            hint=_("Look at token and database; the log says why none was signed."),
            number=number,
        )


class IssuanceRecordUnreadableError(SupervisionError):
    """The published record cannot be read back."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "ISSUANCE_RECORD_UNREADABLE",
            status=422,
            text=_("The published record of issued certificates cannot be read: %(detail)s"),
            hint=_("Take the files from another host or from a mirror, or let the CA report again."),
            detail=detail,
        )
