"""The web application: the published list and its history for everybody, the editor for who works with it."""

from __future__ import annotations

from flask import Blueprint, Flask

from onecert.server.languages import _, current_language
from onecert.server.members import Context, Member
from onecert.server.web import NavItem, create_frame
from onecert.supervision import rest
from onecert.supervision.compare import status_name
from onecert.supervision.described import entry_line, supply_name
from onecert.supervision.effect_desk import EffectDesk
from onecert.supervision.pages import (
    difference,
    draft,
    effect,
    emergency,
    identity,
    known,
    pointers,
    published,
    service,
    sign,
    status_change,
    terms,
)
from onecert.supervision.pages.common import EXTENSION, WORKERS
from onecert.supervision.service import Supervision
from onecert.supervision.uploads import DRAFT_MAX_BYTES

__all__ = ["create_app"]

NAVIGATION = (
    NavItem(_("Trust list"), "lists.index"),
    NavItem(_("History"), "history.index"),
    NavItem(_("Draft"), "draft.index", WORKERS),
    NavItem(_("Known certificates"), "known.index", WORKERS),
    NavItem(_("Emergency"), "emergency.index", ("list.officer", "list.editor")),
)

STATUS_KINDS = {
    "granted": "success",
    "suspended": "warning",
    "withdrawn": "danger",
    "terminated": "danger",
    "key_compromised": "danger",
}


def create_app(member: Member | str, context: Context, supervision: Supervision) -> Flask:
    """Build the application; tests build a new one each time."""
    app = create_frame(
        member,
        context,
        navigation=NAVIGATION,
        package="onecert.supervision",
        # A draft and its form around it.
        max_request_bytes=DRAFT_MAX_BYTES + 64 * 1024,
    )
    app.extensions[EXTENSION] = supervision
    app.jinja_env.globals.update(
        status_name=status_name,
        status_kinds=STATUS_KINDS,
        supply_name=supply_name,
        field_name=difference.field_name,
        entry_line=entry_line,
    )
    app.jinja_env.filters["local"] = lambda text: text.get(current_language())
    app.jinja_env.filters["groups"] = _groups
    blueprints = [Blueprint(name, __name__) for name in ("lists", "history", "draft", "known", "emergency")]
    of_lists, of_history, of_draft, of_known, of_emergency = blueprints
    published.add_to(of_lists, of_history)
    difference.add_to(of_history, of_draft)
    for each in (draft, service, status_change, terms, identity, pointers, sign):
        each.add_to(of_draft)
    effect.add_to(of_draft, EffectDesk(supervision.editor, supervision.pointed))
    known.add_to(of_known)
    emergency.add_to(of_emergency)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    app.register_blueprint(rest.blueprint(), url_prefix="/v1")
    return app


def _groups(digest: str) -> str:
    """A digest in groups of four digits, to be compared aloud."""
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))
