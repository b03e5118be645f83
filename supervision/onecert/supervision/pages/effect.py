"""The effect of the draft: which known certificates get another verdict, on a page and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for

from onecert.server.languages import _
from onecert.server.web import notify, requires_role
from onecert.supervision.effect import Effect
from onecert.supervision.effect_desk import EffectDesk
from onecert.supervision.pages.common import WORKERS, both, open_draft, the
from onecert.supervision.records import DraftRecord, Publication
from onecert.verifier.strict_json import StrictJsonError, format_time, parse_time

__all__ = ["add_to", "effect_csv"]

PAGE_SIZE = 100
NEAR = timedelta(minutes=5)  # of two moments as near as this, one is offered


def add_to(pages: Blueprint, desk: EffectDesk) -> None:
    """Add the pages of effects; ``desk`` works them out."""

    @requires_role(*WORKERS)
    def effect() -> Any:
        record, published = open_draft(), both()[1]
        moments = _moments(record, published)
        if "at" not in request.args:
            return redirect(url_for("draft.effect", at=format_time(moments[0])), 303)
        at = _moment()
        preview = desk.ask(at)
        page = _page_number()
        return render_template(
            "supervision/effect.html",
            record=record,
            preview=preview,
            effect=preview.effect,
            at=at,
            moments=[
                (format_time(each), each)
                for each in sorted([at, *(each for each in moments if abs(each - at) > NEAR)])
            ],
            rows=preview.effect.rows[(page - 1) * PAGE_SIZE : page * PAGE_SIZE] if preview.effect else (),
            page=page,
            pages=max(1, -(-len(preview.effect.rows) // PAGE_SIZE)) if preview.effect else 1,
        )

    @requires_role(*WORKERS)
    def effect_file() -> Any:
        open_draft()
        at = _moment()
        preview = desk.ask(at)
        if preview.effect is None:
            notify(_("The effect is still being worked out; the file is there once it is."), "info")
            return redirect(url_for("draft.effect", at=format_time(at)), 303)
        response = Response(effect_csv(preview.effect), content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = 'attachment; filename="effect.csv"'
        return response

    pages.add_url_rule("/draft/effect", "effect", effect)
    pages.add_url_rule("/draft/effect.csv", "effect_file", effect_file)


def effect_csv(effect: Effect) -> bytes:
    """UTF-8 with the mark that spreadsheets want; no cell is taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    sides = [f"{side}_{name}" for side in ("before", "after") for name in ("code", "text_zh", "text_en")]
    writer.writerow(["service", "serial", "subject", "sha256", "source", *sides])
    for row in effect.rows:
        verdicts = [
            value
            for each in (row.before, row.after)
            for value in (each.code, each.text("zh"), each.text("en"))
        ]
        cells = [row.service, row.serial_hex, row.subject, row.sha256, row.source, *verdicts]
        writer.writerow([f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell for cell in cells])
    return out.getvalue().encode("utf-8-sig")


def _moments(record: DraftRecord, published: Publication | None) -> list[datetime]:
    """Moments worth a look, the best first: when the draft's last new status has begun, and now."""
    now = the().editor.clock.now().replace(microsecond=0)
    old = {each.id: each.history for each in published.draft.services} if published else {}
    new = [
        entry
        for service in record.draft.services
        for entry in service.history
        if entry not in old.get(service.id, ())
    ]
    later = {entry.start for entry in new} | {entry.existing_until for entry in new if entry.existing_until}
    to_come = sorted(each for each in later if each > now)
    starts = sorted(entry.start for entry in new if entry.start > now)
    return list(dict.fromkeys([starts[-1] if starts else now, now, *to_come]))


def _moment() -> datetime:
    try:
        return parse_time(request.args.get("at", "")[:40], "at").astimezone(UTC)
    except StrictJsonError:
        abort(404)


def _page_number() -> int:
    text = request.args.get("page", "1")
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 6 and int(text) else 1
