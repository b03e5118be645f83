"""The web application: pages for people, REST under /v1/, on the server's frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, request

from onecert.ra import rest
from onecert.ra.errors import FieldFault, InvalidApplicationError
from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR, ENTRY, MEDIA, REVIEW, SECURITY
from onecert.ra.pages import (
    applications,
    audit,
    batches,
    cases,
    certificates,
    csr,
    delivery,
    emergency,
    evidence,
    home,
    media,
    organisation,
    papers,
    public,
)
from onecert.ra.pages import auditing as auditing_pages
from onecert.ra.pages import notices as notice_pages
from onecert.ra.pages import reports as report_pages
from onecert.ra.pages import search as search_pages
from onecert.ra.pages.common import EXTENSION, install_helpers
from onecert.ra.service import Ra
from onecert.server.languages import _, gettext
from onecert.server.members import Context, Member
from onecert.server.web import NavItem, SearchBox, create_frame

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["create_app"]

NAVIGATION = (
    NavItem(_("My desk"), "home.index", key="h"),
    NavItem(_("Applications"), "applications.index", key="q"),
    NavItem(_("Batches"), "batches.index", (ENTRY, REVIEW, AUDITOR), key="b"),
    NavItem(_("Cases"), "cases.index", key="f"),
    NavItem(_("Tokens"), "media.index", (MEDIA, AUDITOR), key="t"),
    NavItem(_("Certificates"), "certificates.index", key="c"),
    NavItem(_("Renewals due"), "notices.index", key="d"),
    NavItem(_("Reports"), "reports.index", key="r"),
    NavItem(_("Organisation"), "organisation.index", (AUDITOR, ADMINISTRATOR), key="o"),
    NavItem(_("Emergency"), "emergency.index", (SECURITY, AUDITOR), key="e"),
    NavItem(_("Audit trail"), "audit.index", (AUDITOR, ADMINISTRATOR), key="a"),
)
SEARCH = SearchBox(_("Name, credit code, id number, serial, thumbprint"), "search.find")


def create_app(member: Member | str, context: Context, ra: Ra) -> Flask:
    """Build the application; tests build a new one each time."""
    app = create_frame(member, context, navigation=NAVIGATION, search=SEARCH, package="onecert.ra")
    app.extensions[EXTENSION] = ra
    install_helpers(app)
    app.register_blueprint(home.blueprint())
    app.register_blueprint(applications.blueprint())
    app.register_blueprint(batches.blueprint())
    app.register_blueprint(cases.blueprint())
    app.register_blueprint(certificates.blueprint())
    app.register_blueprint(csr.blueprint())
    app.register_blueprint(delivery.blueprint())
    app.register_blueprint(evidence.blueprint())
    app.register_blueprint(papers.blueprint())
    evidence.install(app)
    app.register_blueprint(media.blueprint())
    app.register_blueprint(public.blueprint())
    app.register_blueprint(audit.blueprint())
    app.register_blueprint(auditing_pages.blueprint())
    app.register_blueprint(notice_pages.blueprint())
    app.register_blueprint(report_pages.blueprint())
    app.register_blueprint(search_pages.blueprint())
    app.register_blueprint(emergency.blueprint())
    app.register_blueprint(organisation.blueprint())
    app.register_blueprint(rest.blueprint(), url_prefix="/v1")
    app.register_error_handler(InvalidApplicationError, _invalid_application)
    app.wsgi_app = _WithoutNul(app.wsgi_app)  # type: ignore[method-assign] # Flask's way to wrap an app
    return app


class _WithoutNul:
    """No text of PostgreSQL holds a NUL: in an address it becomes U+FFFD, which names nothing."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = environ.get("PATH_INFO", "").replace("\0", "\xef\xbf\xbd")
        environ["QUERY_STRING"] = environ.get("QUERY_STRING", "").replace("%00", "%EF%BF%BD")
        return self._app(environ, start_response)


def _invalid_application(error: InvalidApplicationError) -> Response:
    """The frame's problem JSON with one entry for each field; pages show faults next to the fields
    themselves."""
    problem = {
        "type": "urn:onecert:problem:fields-invalid",
        "title": gettext(_("Refused")),
        "status": error.status,
        "detail": gettext(error.text, **error.facts),
        "hint": gettext(error.hint, **error.facts),
        "instance": request.script_root + request.path,
        "code": error.code,
        "errors": [fault_json(fault) for fault in error.faults],
    }
    response = jsonify(problem)
    response.status_code = error.status
    response.content_type = "application/problem+json"
    return response


def fault_json(fault: FieldFault) -> dict[str, str]:
    """One faulty field for a program: stable code, and text in the language asked for."""
    return {
        "field": fault.field,
        "code": fault.code,
        "detail": gettext(fault.text, **fault.facts),
        "hint": gettext(fault.hint, **fault.facts) if fault.hint else "",
    }
