"""What somebody can do, now or then: each act that the rules permit their holder, and on what it depends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Blueprint, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.decisions.what_can import Look, OfHolder
from onecert.pmi.errors import PmiError, RequestWrongError
from onecert.pmi.holders.seen import find_holder
from onecert.pmi.life.errors import HolderUnknownError
from onecert.pmi.life.offices import Who
from onecert.pmi.pages.common import READERS, error_text, moment_of, titles_of
from onecert.pmi.pages.holder_choice import find_named, given_who, read_who
from onecert.pmi.parts import Parts
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import requires_role
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.errors import VerifyError

__all__ = ["blueprint"]


def blueprint(parts: Parts) -> Blueprint:
    """The page of the question and its answer."""
    pages = Blueprint("what_can", __name__, url_prefix="/what-can")

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        return _show(parts)

    @pages.post("")
    @requires_role(*READERS)
    def ask() -> AnyResponse | tuple[str, int]:
        text = request.form.get("who_text", "").strip()[:512]
        try:
            who = given_who() if request.form.get("who") else read_who(text)
            if who is not None:
                return _no_store(_show(parts, found=_answer(parts, who)))
        except (PmiError, VerifyError) as exc:
            if isinstance(exc, ServiceError) and not exc.is_refusal:
                raise
            return _show(parts, errors=_errors(exc)), 422
        named = find_named(parts, text)
        if not named:
            nobody = {"who_text": gettext(_("Nobody of this name has been given anything here."))}
            return _show(parts, errors=nobody), 422
        return _no_store(
            render_template(
                "holder_names.html",
                named=named,
                text=text,
                title=_("What can they do?"),
                action=url_for("what_can.ask"),
                back=url_for("what_can.index"),
            )
        )

    return pages


def _answer(parts: Parts, who: Who) -> Sequence[OfHolder]:
    at = moment_of(request.form.get("at", ""), "at")
    target = request.form.get("target", "").split()
    look = Look(target=TargetIdentity.from_uris(*target) if target else None)
    if who.kind == "entity":
        return parts.what_can.of_entity(who.value, at=at, look=look)
    if who.kind != "certificate":
        raise RequestWrongError("who_text", _("by the certificate or the enterprise only"))
    with parts.context.database.reading() as connection:
        known = find_holder(connection, who.value)
    if known is None:
        raise HolderUnknownError(who.value)
    return [parts.what_can.of_certificate(known.certificate_der, at=at, look=look)]


def _show(
    parts: Parts, *, found: Sequence[OfHolder] | None = None, errors: Mapping[str, str] | None = None
) -> str:
    return render_template(
        "what_can.html", found=found, errors=errors or {}, given=request.form, titles=titles_of(parts)
    )


def _errors(exc: PmiError | VerifyError) -> dict[str, str]:
    if isinstance(exc, RequestWrongError):
        return {str(exc.facts["field"]): gettext(str(exc.facts["reason"]))}
    return {"who_text": error_text(exc)}


def _no_store(text: str) -> AnyResponse:
    page = make_response(text)
    page.headers["Cache-Control"] = "no-store"
    return page
