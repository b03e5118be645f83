"""Mass revocations: list, propose, confirm by a second officer, stop, go on.

Pages prepare and show; what counts is signed with the officer's own token, by PIN.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask import url_for as url

from onecert.ca.console.common import ACTORS, READERS, Console, attempt, form_time, posted
from onecert.ca.errors.console import FormValueError
from onecert.ca.lists.crl import REASONS
from onecert.ca.revocation.mass import ARRIVING, CONFIRMED, PROPOSED, RUNNING, STOPPED, MassRevocation
from onecert.ca.revocation.mass_documents import LINE_KINDS
from onecert.ca.revocation.officer_desk import OfficerDesk, Wish, new_number, selection_of_lines
from onecert.ca.revocation.reason_words import REASON_WORDS
from onecert.server.languages import CHINA_TIME, _, gettext
from onecert.server.operators import SamePersonError, check_different_people
from onecert.server.web import current_operator, notify, requires_role

__all__ = ["mass_pages"]

RULES = ("profile", "registration_authority", "batch")
PIN_MAX = 300  # longer than any PIN


def mass_pages(console: Console) -> Blueprint:
    """The pages under /ca/mass-revocations."""
    pages = Blueprint("mass", __name__)
    parts = console.parts
    desk = OfficerDesk(parts.mass_revocations, parts.officer_tokens, parts.clock)

    @pages.get("/mass-revocations")
    @requires_role(*READERS)
    def index() -> str:
        may = current_operator().has_role(*ACTORS)
        return render_template("ca/console/mass.html", latest=parts.mass_revocations.latest(), may_act=may)

    @pages.get("/mass-revocations/<number>")
    @requires_role(*READERS)
    def show(number: str) -> str:
        return _page(console, number)

    _add_proposing(pages, console, desk)
    _add_deciding(pages, console, desk)
    return pages


def _add_proposing(pages: Blueprint, console: Console, desk: OfficerDesk) -> None:
    parts = console.parts

    @pages.route("/mass-revocations/new", methods=["GET", "POST"])
    @requires_role(*ACTORS)
    def propose() -> Any:
        def page(refusal: dict[str, Any] | None = None, **shown: Any) -> str:
            issuing = [each for each in parts.authorities.reload() if not each.is_root]
            return render_template(
                "ca/console/mass_propose.html",
                values=request.form,
                lines=_lines(),
                authorities=[(each.name, each.name) for each in issuing],
                profiles=[(name, name) for name in sorted({n for each in issuing for n in each.profiles})],
                reasons=[
                    (name, f"{gettext(REASON_WORDS[name].title)} ({name})")
                    for name in REASONS
                    if name in REASON_WORDS and name != "certificateHold"
                ],
                is_officer=_is_officer(console),
                refusal=refusal,
                **shown,
            )

        def act() -> Any:
            wish = _wish(console)
            if posted("act") == "propose":
                made = desk.propose(current_operator(), wish, pin=_pin(), seen_sha256=posted("seen", 64))
                notify(_("Proposed. Another officer confirms it now."))
                return redirect(url("mass.show", number=made.mass_revocation), 303)
            return page(selected=desk.preview(current_operator(), wish), wish=wish)

        def again(refusal: dict[str, Any]) -> str:
            # A wrong PIN leaves the preview where it is; whatever else is refused is shown anew.
            if refusal["code"].startswith(("PIN", "TOKEN", "OFFICER")) and posted("act") == "propose":
                wish = _wish(console)
                return page(refusal, selected=desk.preview(current_operator(), wish), wish=wish)
            return page(refusal)

        return page() if request.method == "GET" else attempt(act, again)


def _add_deciding(pages: Blueprint, console: Console, desk: OfficerDesk) -> None:
    def acting(act: Callable[[str], MassRevocation]) -> Callable[[str], Any]:
        @requires_role(*ACTORS)
        def view(number: str) -> Any:
            def done() -> Any:
                act(number)
                return redirect(url("mass.show", number=number), 303)

            return attempt(done, lambda refusal: _page(console, number, refusal))

        return view

    def confirm(number: str) -> MassRevocation:
        return desk.confirm(
            current_operator(),
            number,
            pin=_pin(),
            proposal_sha256=posted("proposal", 64),
            serials_sha256=posted("seen", 64),
        )

    def stop(number: str) -> MassRevocation:
        return desk.stop(current_operator(), number, pin=_pin(), why=_why())

    def resume(number: str) -> MassRevocation:
        return desk.resume(current_operator(), number, pin=_pin(), why=_why())

    for name, act in (("confirm", confirm), ("stop", stop), ("resume", resume)):
        rule = f"/mass-revocations/<number>/{name}"
        pages.add_url_rule(rule, name, acting(act), methods=["POST"])


def _page(console: Console, number: str, refusal: dict[str, Any] | None = None) -> str:
    service, operator = console.parts.mass_revocations, current_operator()
    made = service.show(number[:64])
    acts = operator.has_role(*ACTORS) and _is_officer(console)
    is_open = made.state == PROPOSED and console.parts.clock.now() < made.expires_at
    return render_template(
        "ca/console/mass_show.html",
        made=made,
        words=REASON_WORDS.get(made.reason),
        drift=service.drift(made.mass_revocation) if is_open else None,
        is_expired=made.state == PROPOSED and not is_open,
        may_act=acts,
        is_mine=made.proposed_by == operator.actor or _is_same_person(console, made),
        is_by_officer=made.proposed_by.startswith("operator:"),
        can_confirm=is_open,
        can_stop=made.state in {ARRIVING, PROPOSED, CONFIRMED, RUNNING},
        can_resume=made.state == STOPPED and made.confirmed_at is not None,
        is_moving=made.state in {CONFIRMED, RUNNING},
        values=request.form,
        refusal=refusal,
    )


def _wish(console: Console) -> Wish:
    kind, content = posted("kind", 20), b""
    selection: dict[str, Any]
    if kind == "everything":
        selection = {"everything": True}
    elif kind in LINE_KINDS:
        selection, content = selection_of_lines(kind, _lines())
        if not content:
            raise FormValueError("lines")
    else:
        selection = {name: posted(name, 64) for name in RULES if posted(name, 64)} | _days()
    created_at = console.parts.clock.now().isoformat()
    return Wish(
        number=posted("number", 64) or new_number(),
        created_at=posted("created_at", 40) or created_at,
        authority=posted("authority", 64),
        selection=selection,
        content=content,
        reason=posted("reason", 32),
        invalidity_date=form_time("invalidity_date"),
        why=_why(),
    )


def _days() -> dict[str, str]:
    """Days of issue, as China has them; the second is the first that is not meant any more."""
    found = {}
    for name in ("issued_from", "issued_until"):
        text = posted(name, 10)
        if text:
            try:
                day = date.fromisoformat(text)
            except ValueError:
                raise FormValueError(name) from None
            found[name] = datetime.combine(day, time(), CHINA_TIME).isoformat()
    return found


def _lines() -> str:
    """The lines that were pasted, or those of a file."""
    file = request.files.get("file")
    if file is not None and file.filename:
        file.stream.seek(0)  # a form that comes back reads it a second time
        return file.stream.read().decode("utf-8", "replace").replace("\x00", "\ufffd")
    return request.form.get("lines", "")


def _why() -> str:
    return " ".join(posted("why", 500).split())


def _pin() -> str:
    return request.form.get("pin", "")[:PIN_MAX]  # with its blanks, if it has any


def _is_officer(console: Console) -> bool:
    return any(each.id == current_operator().id for each in console.parts.security_officers.everyone())


def _is_same_person(console: Console, made: MassRevocation) -> bool:
    for each in console.parts.security_officers.everyone():
        if each.operator.actor == made.proposed_by:
            try:
                check_different_people(each.operator, current_operator())
            except SamePersonError:
                return True
    return False
