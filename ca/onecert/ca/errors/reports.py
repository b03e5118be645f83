"""Reporting to the supervision what was issued."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import _

__all__ = ["NotReportingError", "ReportRefusedError", "SupervisionAwayError", "UnreportedError"]


class SupervisionAwayError(CaError):
    """The supervision does not answer; what is to be reported waits."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "SUPERVISION_AWAY",
            status=503,
            text=_("The supervision does not answer: %(detail)s"),
            hint=_("Nothing is lost: reports are sent again until they are acknowledged."),
            detail=detail,
        )


class ReportRefusedError(CaError):
    """The supervision does not take a report."""

    def __init__(self, authority: str, said: str) -> None:
        super().__init__(
            "REPORT_REFUSED",
            status=503,
            text=_("The supervision refuses the report of what “%(authority)s” has issued: %(said)s."),
            hint=_("Let it register the key that “onecert ca report key” shows."),
            authority=authority,
            said=said,
        )


class UnreportedError(CaError):
    """What was issued is not on the supervision's record for too long: departments refuse it."""

    def __init__(self, authority: str, since: str) -> None:
        super().__init__(
            "ISSUANCE_UNREPORTED",
            status=503,
            text=_("What “%(authority)s” has issued since %(since)s is not on the supervision's record."),
            hint=_("Look at the connection to the supervision: “onecert ca report send” shows the error."),
            authority=authority,
            since=since,
        )


class NotReportingError(CaError):
    """The settings do not say that this authority reports."""

    def __init__(self, authority: str) -> None:
        super().__init__(
            "NOT_REPORTING",
            status=404,
            text=_("By the settings, “%(authority)s” reports to nobody."),
            hint=_("Set issuance_reports in the section [ca]."),
            authority=authority,
        )
