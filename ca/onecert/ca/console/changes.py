"""Hold, release and revoke: choose, see what it does, confirm exactly that, watch until verifiers refuse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask import url_for as url

from onecert.ca.console.common import ACTORS, READERS, Console, attempt, form_time, posted
from onecert.ca.drills.probe import Seen
from onecert.ca.errors import UnknownCertificateError
from onecert.ca.errors.console import FormValueError
from onecert.ca.lists.crl import HOLD, RELEASE
from onecert.ca.revocation.reason_words import REASON_WORDS, offered_reasons
from onecert.ca.revocation.status_changes import Change
from onecert.ca.search.masks import shown_holder
from onecert.server.languages import gettext
from onecert.server.web import current_operator, requires_role

__all__ = ["add_change_pages"]

# After this the page stops asking by itself.
WATCHED = timedelta(minutes=10)


def add_change_pages(pages: Blueprint, console: Console) -> None:
    """Add the pages under /ca/certificates/<authority>/<serial>/ that change something."""
    parts = console.parts
    base = "/certificates/<authority>/<serial>"

    @pages.route(f"{base}/change", methods=["GET", "POST"])
    @requires_role(*ACTORS)
    def choose(authority: str, serial: str) -> Any:
        operator = current_operator()
        record = console.desk.find_one(operator, authority, serial)

        def page(refusal: dict[str, Any] | None = None) -> str:
            return render_template(
                "ca/console/change.html",
                record=record,
                holder=shown_holder(record, full=True),
                reasons=[
                    (name, f"{_word(name, 'title')} ({name})", _word(name, "effect"))
                    for name in offered_reasons(record)
                ],
                reason=posted("reason") or request.args.get("reason", "")[:32],
                values=request.form,
                refusal=refusal,
            )

        def act() -> Any:
            if not posted("reason"):
                raise FormValueError("reason")
            shown = console.changes.preview(
                operator,
                record.authority,
                record.serial,
                reason=posted("reason", 32),
                invalidity_date=form_time("invalidity_date"),
            )
            return render_template(
                "ca/console/change_confirm.html",
                shown=shown,
                record=record,
                holder=shown_holder(record, full=True),
                words=REASON_WORDS[shown.reason],
                invalidity=posted("invalidity_date", 40),
                is_release=shown.reason == RELEASE,
                is_hold=shown.reason == HOLD,
                latest=parts.publisher.latest(record.authority, record.crl_partition),
            )

        return page() if request.method == "GET" else attempt(act, page)

    @pages.post(f"{base}/change/confirmed")
    @requires_role(*ACTORS)
    def confirm(authority: str, serial: str) -> Any:
        operator = current_operator()
        record = console.desk.find_one(operator, authority, serial)

        def act() -> Any:
            done = console.changes.carry_out(
                operator,
                record.authority,
                record.serial,
                reason=posted("reason", 32),
                invalidity_date=form_time("invalidity_date"),
                shown_sha256=posted("shown", 64),
            )
            return redirect(
                url("certificates.watch", authority=record.authority, serial=record.serial, number=done.id),
                303,
            )

        def again(refusal: dict[str, Any]) -> str:
            return render_template(
                "ca/console/change_refused.html",
                record=console.desk.find_one(operator, authority, serial),
                holder=shown_holder(record, full=True),
                refusal=refusal,
            )

        return attempt(act, again)

    @pages.get(f"{base}/watch/<number>")
    @requires_role(*READERS)
    def watch(authority: str, serial: str, number: str) -> str:
        record = console.desk.find_one(current_operator(), authority, serial)
        change = console.changes.find(number[:64])
        if change is None or (change.authority, change.serial) != (record.authority, record.serial):
            raise UnknownCertificateError(authority[:64], serial[:64])
        seen = console.changes.seen(change)
        answers = []
        if seen is None:
            answers = console.world.ask(record)
            seen = _settled(console, change, answers)
        age = parts.clock.now() - change.requested_at
        return render_template(
            "ca/console/watch.html",
            record=record,
            change=change,
            words=REASON_WORDS[change.reason],
            is_release=change.reason == RELEASE,
            answers=answers,
            seen=seen,
            age=age,
            is_given_up=age > WATCHED,
            latest=parts.publisher.latest(record.authority, record.crl_partition),
        )


def _settled(console: Console, change: Change, answers: list[Any]) -> dict[str, int] | None:
    """The times from request to look, once every way of asking tells the new status; then on record."""
    wanted = Seen.ACCEPTED if change.reason == RELEASE else Seen.REFUSED
    if not answers or any(answer.seen is not wanted for answer in answers):
        return None
    times = {}
    for answer in answers:
        passed = answer.asked_at - change.requested_at
        times[f"{answer.way}_ms"] = round(passed.total_seconds() * 1000) + answer.took_ms
    console.changes.note_seen(change, times)
    return times


def _word(reason: str, which: str) -> str:
    return gettext(getattr(REASON_WORDS[reason], which))
