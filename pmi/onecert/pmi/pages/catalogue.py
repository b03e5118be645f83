"""The catalogue: roles, attributes and exclusions of a version, and what it changed against another one.

Read-only: a catalogue is a file, which whoever runs the service publishes by a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import Connection, RowMapping, select

from onecert.pmi.catalogue.content import ANY, ENTITY, PERSON, Catalogue
from onecert.pmi.models import catalogues
from onecert.pmi.pages.common import READERS, actor_name
from onecert.pmi.parts import Parts
from onecert.server.languages import Message, _, current_language
from onecert.server.web import requires_role

__all__ = ["blueprint"]

HOLDERS: Mapping[str, Message] = {
    ANY: _("everybody"),
    ENTITY: _("legal entities"),
    PERSON: _("natural persons"),
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that is different. ``before`` or ``after`` is empty when it was not there."""

    name: str
    field: str
    before: str
    after: str


def blueprint(parts: Parts) -> Blueprint:
    """The page of the catalogue."""
    pages = Blueprint("catalogue", __name__, url_prefix="/catalogue")

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        with parts.context.database.reading() as connection:
            versions = _versions(connection)
            known = [row["version"] for row in versions]
            shown = _chosen("version", known, default=known[0] if known else 0)
            before = _chosen("before", known, default=max((n for n in known if n < shown), default=0))
            catalogue = parts.catalogues.load(connection, shown) if shown else Catalogue()
            other = parts.catalogues.load(connection, before) if before else Catalogue()
        return render_template(
            "catalogue.html",
            catalogue=catalogue,
            versions=[(row, actor_name(parts, row["published_by"])) for row in versions],
            shown=shown,
            before=before,
            changes=list(find_changes(other, catalogue)) if before else [],
            holders=HOLDERS,
            language=current_language(),
        )

    return pages


def _versions(connection: Connection) -> Sequence[RowMapping]:
    chosen = select(
        catalogues.c.version, catalogues.c.sha256, catalogues.c.published_at, catalogues.c.published_by
    )
    return connection.execute(chosen.order_by(catalogues.c.version.desc()).limit(200)).mappings().all()


def _chosen(name: str, known: Sequence[int], *, default: int) -> int:
    text = request.args.get(name, "")
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default
    return wanted if wanted in known else default


def find_changes(before: Catalogue, after: Catalogue) -> Iterator[Change]:
    """Yield what was added, taken out or changed, field by field."""
    for old, new in (
        (before.roles, after.roles),
        (before.attributes, after.attributes),
        ({each.name: each for each in before.exclusions}, {each.name: each for each in after.exclusions}),
    ):
        for name in sorted({*old, *new}):
            yield from _of_one(name, old.get(name), new.get(name))


def _of_one(name: str, old: Any, new: Any) -> Iterator[Change]:
    if old is None or new is None:
        given = old or new
        title = given.title(current_language())
        yield Change(
            name=name,
            field="",
            before=title if old is not None else "",
            after=title if new is not None else "",
        )
        return
    for each in fields(new):
        was, is_now = getattr(old, each.name), getattr(new, each.name)
        if was != is_now:
            yield Change(name=name, field=each.name, before=_text(was), after=_text(is_now))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value == "" else str(value)
