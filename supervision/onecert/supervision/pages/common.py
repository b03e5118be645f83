"""What all pages share: the way to the member's parts, roles, times and uploads from forms, and refusals.

A form that is refused comes back with everything that was typed, the reason and what to do; files that were
chosen come back as text. A form carries the stamp of the draft it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, current_app, make_response, request

from onecert.server.audit import Json
from onecert.server.errors import ServiceError
from onecert.server.languages import CHINA_TIME, _, current_language, gettext
from onecert.server.web import current_operator
from onecert.supervision.draft import Draft
from onecert.supervision.errors import DraftChangedError, NoDraftError, UploadError
from onecert.supervision.records import DraftRecord, Publication, find_open_draft, find_publication
from onecert.supervision.service import Supervision
from onecert.supervision.uploads import pem_of

__all__ = [
    "EDITORS",
    "EXTENSION",
    "OFFICERS",
    "WORKERS",
    "Attempt",
    "actor",
    "both",
    "edit_draft",
    "form_time",
    "local_time",
    "open_draft",
    "posted",
    "service_options",
    "stamp",
    "the",
    "uploaded",
    "uploaded_text",
]

EXTENSION = "onecert.supervision"
EDITORS = ("list.editor",)
OFFICERS = ("list.officer",)
WORKERS = ("list.officer", "list.editor", "auditor")


def the() -> Supervision:
    """The supervision of this application."""
    supervision: Supervision = current_app.extensions[EXTENSION]
    return supervision


def actor() -> str:
    """Who acts, for the audit trail."""
    return current_operator().actor


def both() -> tuple[DraftRecord | None, Publication | None]:
    """The open draft and the published list."""
    with the().editor.database.reading() as connection:
        return find_open_draft(connection), find_publication(connection)


def open_draft() -> DraftRecord:
    """The open draft.

    Raises:
        NoDraftError: there is none.
    """
    record = both()[0]
    if record is None:
        raise NoDraftError
    return record


def stamp() -> str:
    """The draft that this form was made from."""
    return request.form.get("stamp", "")[:40]


def edit_draft(change: Callable[[Draft], Draft], details: Mapping[str, Json]) -> None:
    """Change the draft that this form was made from; ``details`` go to the audit trail.

    Raises:
        ServiceError: as ``Editor.edit``.
    """
    the().editor.edit(change, actor=actor(), details=details, stamp=stamp())


def posted(name: str, limit: int = 2000) -> str:
    """A text field of the form, without the blanks around it."""
    return request.form.get(name, "")[:limit].strip()


def uploaded(name: str, max_bytes: int) -> bytes:
    """A file, or what was pasted into the text field of the same name.

    Raises:
        UploadError: larger than ``max_bytes``.
    """
    file = request.files.get(f"{name}_file")
    if file is not None and file.filename:
        file.stream.seek(0)  # a form that comes back reads it a second time
        data = file.stream.read(max_bytes + 1)
    else:
        data = request.form.get(name, "").encode("utf-8", "replace")
    if len(data) > max_bytes:
        raise UploadError(gettext(_("it has more than %(kilobytes)s KiB"), kilobytes=max_bytes // 1024))
    return data


def uploaded_text(name: str, max_bytes: int) -> str:
    """What ``uploaded`` would give, as text for the form that is shown again; nothing is lost."""
    try:
        data = uploaded(name, max_bytes)
    except UploadError:
        return ""
    if data[:1] == b"\x30":
        return pem_of(data)
    return data.decode("utf-8", "replace").replace("\x00", "�")


def form_time(name: str) -> datetime | None:
    """A time as browsers send it (``2026-11-21T09:00``), in China; None when the field is empty.

    Raises:
        UploadError: it is not a time.
    """
    text = posted(name, 40)
    if not text:
        return None
    try:
        if not text.isascii():
            raise ValueError
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=CHINA_TIME)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise UploadError(gettext(_("%(text)s is not a time; write 2026-11-21T09:00"), text=text)) from None


def local_time(at: datetime | None) -> str:
    """A time as a field of type datetime-local wants it, in China."""
    return at.astimezone(CHINA_TIME).strftime("%Y-%m-%dT%H:%M:%S") if at is not None else ""


class Attempt:
    """A form that was sent: what became of it.

    ``page`` shows the form again, with the refusal as ``refusal``; it reads what was typed from the request.
    """

    def __init__(self, act: Callable[[], Any], page: Callable[[dict[str, str] | None], str]) -> None:
        self._act = act
        self._page = page

    def answer(self, done: Callable[[Any], Any]) -> Any:
        """The empty form for who asks for it; ``result`` for who sends it."""
        return self.result(done) if request.method == "POST" else self._page(None)

    def result(self, done: Callable[[Any], Any]) -> Any:
        """Do it: ``done`` answers when it went well, otherwise the form comes back."""
        try:
            value = self._act()
        except ServiceError as exc:
            if not exc.is_refusal:
                raise
            return _again(self._page(_refusal(exc)), exc.status)
        return done(value)


def _refusal(exc: ServiceError) -> dict[str, str]:
    hint = gettext(exc.hint, **exc.facts) if exc.hint else ""
    if isinstance(exc, DraftChangedError):
        record = both()[0]
        if record is not None:
            hint = gettext(
                _(
                    "%(who)s has changed the draft meanwhile. What you typed is still below: look at the"
                    " differences first, then send the form again to apply it to the draft as it is now."
                ),
                who=record.changed_by.removeprefix("operator:"),
            )
    return {"text": gettext(exc.text, **exc.facts), "hint": hint, "code": exc.code}


def _again(page: str, status: int) -> Response:
    return make_response(page, 409 if status == 404 else status)


def service_options(draft: Draft, *, without: str = "") -> list[tuple[str, str]]:
    """Ids and names of the services of a draft, for a choice."""
    language = current_language()
    return [
        (each.id, f"{each.name.get(language)} ({each.id})") for each in draft.services if each.id != without
    ]
