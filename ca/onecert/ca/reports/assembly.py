"""Puts the reports together, for the service and for the commands."""

from __future__ import annotations

from onecert.ca.parts import Parts
from onecert.ca.reports.issuance_reports import IssuanceReports
from onecert.server.members import Context

__all__ = ["issuance_reports"]


def issuance_reports(parts: Parts, context: Context) -> IssuanceReports:
    """The reports as the settings want them; nothing is opened yet."""
    pairs = (each.partition(":") for each in parts.config.issuance_reports)
    return IssuanceReports(
        parts.database,
        parts.audit,
        parts.clock,
        token=parts.token,
        services={authority: service or authority for authority, _, service in pairs},
        client=lambda: context.client("supervision"),
        alarm_after=parts.config.issuance_reports_alarm,
        joined=parts.authorities.line,
    )
