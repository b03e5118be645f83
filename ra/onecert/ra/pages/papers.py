"""Papers of an application as PDF: form, receipt, hand-over slip."""

from typing import Any

from flask import Blueprint, Response

from onecert.ra.pages.common import the_operator, the_ra

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """The papers; `ra/papers_links.html` links to those that the state allows."""
    pages = Blueprint("papers", __name__)
    pages.add_url_rule("/applications/<uuid:application_id>/form.pdf", "form", _form)
    pages.add_url_rule("/applications/<uuid:application_id>/receipt.pdf", "receipt", _receipt)
    pages.add_url_rule("/applications/<uuid:application_id>/handover.pdf", "handover", _handover)
    return pages


def _form(application_id: Any) -> Response:
    return _pdf(the_ra().printing.application_form(the_operator(), str(application_id)), "form")


def _receipt(application_id: Any) -> Response:
    return _pdf(the_ra().printing.receipt(the_operator(), str(application_id)), "receipt")


def _handover(application_id: Any) -> Response:
    return _pdf(the_ra().printing.hand_over_slip(the_operator(), str(application_id)), "handover")


def _pdf(content: bytes, name: str) -> Response:
    """Shown by the browser's own reader, from which it is printed; kept nowhere."""
    return Response(
        content,
        mimetype="application/pdf",
        headers={
            "Content-Disposition": f'inline; filename="{name}.pdf"',
            "Cache-Control": "no-store",
        },
    )
