"""The one box: find anything, say what it was read as, let the user correct that.

The question comes by POST. What a person is found by is answered in place, so that it stands in no address;
anything else gets an address that can be opened again. One hit opens at once.
"""

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.operators.roles import SECURITY
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.search.find import Answer, Hit
from onecert.ra.search.terms import PERSONAL, READ_NAMES, TEXT_MAX, Read, readings

__all__ = ["blueprint", "find"]


def blueprint() -> Blueprint:
    """Everybody who is signed in may search; what is found is cut to their scope."""
    pages = Blueprint("search", __name__)
    pages.add_url_rule("/search", "find", find, methods=["GET", "POST"])
    return pages


def find() -> AnyResponse | str:
    """Look for what was typed; also for the search box of other pages."""
    given = request.form if request.method == "POST" else request.args
    text = given.get("q", "").strip()[:TEXT_MAX]
    read_as = _read_as(given.get("as", ""))
    if not text:
        return _page("", read_as, Answer())
    known = readings(text)
    personal = any(reading.kind in PERSONAL for reading in known)
    if request.method == "GET" and personal and read_as in {None, *PERSONAL}:
        # Somebody wrote it into the address: it is not repeated, and not answered from there.
        return redirect(url_for("search.find"), 303)
    answer = the_ra().search.find(
        the_operator(), text, read_as=read_as, cursor=given.get("cursor", "")[:400] or None
    )
    if answer.only is not None and not given.get("stay"):
        return redirect(_address(answer.only), 303)
    if request.method == "POST" and not personal:
        wanted: dict[str, Any] = {name: given.get(name) or None for name in ("as", "cursor", "stay")}
        return redirect(url_for("search.find", q=text, **wanted), 303)
    page = make_response(_page(text, read_as, answer, personal=personal))
    page.headers["Cache-Control"] = "no-store"
    return page


def _page(text: str, read_as: Read | None, answer: Answer, *, personal: bool = False) -> str:
    ra = the_ra()
    return render_template(
        "ra/search.html",
        text=text,
        read_as=read_as,
        answer=answer,
        read_names=READ_NAMES,
        personal=personal,
        at=ra.clock.now(),
        behind=[task for task in ra.backfill.progress() if task.finished_at is None],
        may_change=the_operator().has_role(SECURITY),
    )


def _read_as(word: str) -> Read | None:
    return Read(word) if word in set(Read) else None


def _address(hit: Hit) -> str:
    if hit.certificate is not None:
        return url_for(
            "certificates.show", authority=hit.certificate.authority, serial=hit.certificate.serial_hex
        )
    if hit.application is not None:
        return url_for("applications.show", application_id=hit.application.id)
    assert hit.case is not None  # noqa: S101 - one of the three
    return url_for("certificates.show", authority=hit.case.authority, serial=hit.case.serial_hex)
