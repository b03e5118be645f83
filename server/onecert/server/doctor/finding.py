"""One thing that was looked at, and what was found."""

from __future__ import annotations

from dataclasses import dataclass

from onecert.server.errors import ServiceError
from onecert.server.languages import gettext

__all__ = ["Finding", "fault_of", "sound"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`code` is "ok", or the stable name of the fault; text and hint are in the current language."""

    place: str  # machine, or the name of a service
    subject: str  # what was looked at
    code: str = "ok"
    text: str = ""
    hint: str = ""

    @property
    def is_fault(self) -> bool:
        """Something is to be done."""
        return self.code != "ok"


def sound(place: str, subject: str, text: str = "") -> Finding:
    """Nothing wrong; the text, if any, says how it stands."""
    return Finding(place=place, subject=subject, text=text)


def fault_of(place: str, subject: str, exc: ServiceError) -> Finding:
    """What an error of ours says."""
    return Finding(
        place=place,
        subject=subject,
        code=exc.code,
        text=gettext(exc.text, **exc.facts),
        hint=gettext(exc.hint, **exc.facts) if exc.hint else "",
    )
