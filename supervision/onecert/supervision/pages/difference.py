"""Published against draft, and any two published lists, side by side."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request

from onecert.server.languages import gettext
from onecert.server.web import public, requires_role
from onecert.supervision.described import FIELD_NAMES
from onecert.supervision.described_pointer import POINTER_FIELDS
from onecert.supervision.differences import compare_drafts
from onecert.supervision.pages.common import WORKERS, both, open_draft, the
from onecert.supervision.records import find_publication, publication_list

__all__ = ["add_to", "field_name"]

CHOICES = 100
_NAMES = {**FIELD_NAMES, **POINTER_FIELDS}


def add_to(history: Blueprint, draft: Blueprint) -> None:
    """Add the public page of published lists, and that of the draft."""
    history.add_url_rule("/differences", "differences", _published)
    draft.add_url_rule("/draft/differences", "differences", _draft)


def field_name(key: str) -> str:
    """A key of the draft file for people."""
    return gettext(_NAMES[key]) if key in _NAMES else key


@requires_role(*WORKERS)
def _draft() -> str:
    record, published = open_draft(), both()[1]
    return render_template(
        "supervision/differences.html",
        differences=compare_drafts(published.draft if published else None, record.draft),
        old_number=published.sequence if published else None,
        new_number=None,
        choices=[],
    )


@public
def _published() -> str:
    """Any two lists of the history, which is public."""
    with the().editor.database.reading() as connection:
        newest = publication_list(connection, limit=CHOICES)
        numbers = [each.sequence for each in newest]
        wanted = [request.args.get(name, "") for name in ("old", "new")]
        if any(text and not (text.isascii() and text.isdigit() and len(text) < 17) for text in wanted):
            abort(404)
        defaults = [numbers[1] if len(numbers) > 1 else 0, numbers[0] if numbers else 0]
        chosen = [int(text) if text else default for text, default in zip(wanted, defaults, strict=True)]
        old, new = (find_publication(connection, number) if number else None for number in chosen)
    if new is None or (old is None and chosen[0]):
        abort(404)
    return render_template(
        "supervision/differences.html",
        differences=compare_drafts(old.draft if old else None, new.draft),
        old_number=chosen[0] or None,
        new_number=chosen[1],
        choices=[(each.sequence, each.sequence) for each in newest],
    )
