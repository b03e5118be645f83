"""What the pages of the console share: their parts, posted fields, and a refused form shown again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Response, make_response, request

from onecert.ca.errors.console import FormValueError
from onecert.ca.parts import Parts
from onecert.ca.revocation.security_officers import PROFILE_OFFICER, SECURITY_OFFICER
from onecert.ca.revocation.status_changes import StatusChanges
from onecert.ca.search.certificate_desk import CertificateDesk
from onecert.ca.status.world import WorldStatus
from onecert.server.errors import ServiceError
from onecert.server.languages import CHINA_TIME, gettext
from onecert.server.members import Context
from onecert.server.operators import RoleRequiredError

__all__ = ["ACTORS", "EVERYONE", "Console", "attempt", "form_time", "local_time", "posted"]

ACTORS = (SECURITY_OFFICER,)
READERS = ("ca.operator", SECURITY_OFFICER)
EVERYONE = (*READERS, PROFILE_OFFICER)


@dataclass(frozen=True, kw_only=True)
class Console:
    """The parts behind the pages."""

    parts: Parts
    context: Context
    desk: CertificateDesk
    changes: StatusChanges
    world: WorldStatus


def posted(name: str, limit: int = 500) -> str:
    """A field of the form, without the blanks around it."""
    return request.form.get(name, "")[:limit].strip()


def form_time(name: str) -> datetime | None:
    """A time as browsers send it, in China; None when the field is empty.

    Raises:
        FormValueError
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
        raise FormValueError(name) from None


def local_time(at: datetime | None) -> str:
    """A time as a field of type datetime-local wants it, in China."""
    return "" if at is None else at.astimezone(CHINA_TIME).strftime("%Y-%m-%dT%H:%M:%S")


def attempt(act: Callable[[], Any], again: Callable[[dict[str, Any]], str]) -> Any:
    """Do what a form asks for; when it is refused, show the form again with the reason and what to do."""
    try:
        return act()
    except ServiceError as exc:
        if not exc.is_refusal or exc.status in {401, 404} or isinstance(exc, RoleRequiredError):
            raise
        return _answer(again(refusal_of(exc)), exc.status)


def refusal_of(exc: ServiceError) -> dict[str, Any]:
    """What a page says of a refusal; `lines` when single lines of an upload are at fault."""
    return {
        "code": exc.code,
        "text": gettext(exc.text, **exc.facts),
        "hint": gettext(exc.hint, **exc.facts) if exc.hint else "",
        "lines": [str(fault) for fault in getattr(exc, "faults", ())][:50],
    }


def _answer(page: str, status: int) -> Response:
    return make_response(page, status)
