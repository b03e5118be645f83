"""The life line of a certificate for people: each event in words, with who did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from onecert.ca.revocation.reason_words import REASON_WORDS
from onecert.server.languages import _, gettext

__all__ = ["life_line", "readings_line"]

_TITLES: Mapping[str, tuple[str, str]] = {
    "order.received": (_("Order received"), "neutral"),
    "certificate.issued": (_("Issued"), "success"),
    "certificate.held": (_("Put on hold"), "warning"),
    "certificate.released": (_("Released"), "success"),
    "certificate.revoked": (_("Revoked"), "danger"),
    "certificate.abandoned": (_("Given up, serial revoked"), "danger"),
    "certificate.followed": (_("Followed by a new certificate"), "info"),
    "certificate.follows": (_("Follows an older certificate"), "info"),
    "certificate.delivered": (_("Handed over"), "info"),
    "list.first": (_("On the list"), "info"),
    "status.seen": (_("Seen by a verifier"), "info"),
}
_FACTS: Mapping[str, str] = {
    "approved_by": _("approved by %(value)s"),
    "requested_by": _("requested by %(value)s"),
    "asked_by": _("asked by %(value)s"),
    "crl_number": _("list number %(value)s"),
    "serial": _("serial %(value)s"),
    "ocsp_ms": _("OCSP after %(value)s ms"),
    "crl_ms": _("list after %(value)s ms"),
    "why": _("because: %(value)s"),
    "audit_entry": _("audit entry %(value)s"),
}


def life_line(events: Sequence[Mapping[str, Any]], *, full: bool) -> list[dict[str, Any]]:
    """Write events as the component `lifeline` shows them.

    Args:
        events: as `certificate_history` tells them.
        full: whether to name people who asked on behalf of others.
    """
    return [_shown(event, full=full) for event in events]


def readings_line(readings: Mapping[str, Any]) -> str:
    """Say how often somebody looked at it, and the last time; empty when nobody has."""
    last = readings["last"]
    if last is None:
        return ""
    at = datetime.fromisoformat(last["at"])
    text = _("Looked at %(count)s times, last %(at)s by %(by)s.")
    return gettext(text, count=readings["count"], at=at, by=last["actor"])


def _shown(event: Mapping[str, Any], *, full: bool) -> dict[str, Any]:
    title, kind = _TITLES.get(event["event"], (event["event"], "neutral"))
    details = event["details"]
    told = []
    words = REASON_WORDS.get(details.get("reason") or "")
    if words is not None:
        told.append(f"{gettext(words.title)} ({details['reason']})")
    for name, text in _FACTS.items():
        value = details.get(name)
        if value not in (None, "", []) and (full or name != "asked_by"):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            told.append(gettext(text, value=shown))
    return {
        "at": datetime.fromisoformat(event["at"]),
        "title": gettext(title) if event["event"] in _TITLES else title,
        "text": " · ".join(told),
        "by": str(event["actor"]),
        "kind": kind,
    }
