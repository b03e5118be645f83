"""The CA's own console: server-rendered pages over services that check every act themselves.

No script at all: what moves on a page is fetched anew by the browser (meta refresh), and every page can be
worked by keyboard. `common.py` has what the pages share; templates are in `templates/ca/console/`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask

from onecert.ca.console.authorities import authority_pages, batch_pages
from onecert.ca.console.certificates import certificate_pages
from onecert.ca.console.checks import check_pages, drill_pages
from onecert.ca.console.common import EVERYONE, READERS, Console
from onecert.ca.console.mass import mass_pages
from onecert.ca.console.overview import overview_pages
from onecert.ca.parts import Parts
from onecert.ca.revocation.status_changes import StatusChanges
from onecert.ca.search.certificate_desk import CertificateDesk
from onecert.ca.status.world import WorldStatus
from onecert.server.languages import _
from onecert.server.members import Context
from onecert.server.web import NavItem
from onecert.verifier.fetch import HttpFetch

__all__ = ["NAVIGATION", "add_console"]

NAVIGATION = (
    NavItem(_("Overview"), "overview.index", EVERYONE),
    NavItem(_("Certificates"), "certificates.index", READERS),
    NavItem(_("Mass revocations"), "mass.index", READERS),
    NavItem(_("Drills"), "drills.index", READERS),
    NavItem(_("Authorities"), "authorities.index", EVERYONE),
    NavItem(_("Batches"), "batches.index", READERS),
    NavItem(_("Checks"), "checks.index", EVERYONE),
)


def add_console(app: Flask, parts: Parts, context: Context) -> None:
    """Add the pages to the application of the CA."""
    host = [urlsplit(context.status_url).hostname or ""]
    console = Console(
        parts=parts,
        context=context,
        desk=CertificateDesk(parts.database, parts.audit, authorities=parts.authorities, ledger=parts.ledger),
        changes=StatusChanges(
            parts.database,
            parts.audit,
            parts.clock,
            authorities=parts.authorities,
            ledger=parts.ledger,
            revocation=parts.revocation,
        ),
        world=WorldStatus(parts.authorities, parts.clock, HttpFetch(allow=host, only=host)),
    )
    for pages in (
        overview_pages,
        certificate_pages,
        mass_pages,
        drill_pages,
        authority_pages,
        batch_pages,
        check_pages,
    ):
        app.register_blueprint(pages(console))
