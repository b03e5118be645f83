"""Words for requests about operators and for how accounts stand, for pages in both languages."""

from collections.abc import Mapping
from types import MappingProxyType

from onecert.server.languages import _

__all__ = ["ASK_NAMES", "ASK_STATES", "STANDING_KINDS", "STANDING_NAMES"]

ASK_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "enrol": _("New operator"),
        "roles": _("Change of roles"),
        "scope": _("Change of scope"),
        "certificate": _("Further certificate"),
        "resume": _("Lift the suspension"),
    }
)
ASK_STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "waiting": (_("Waiting for a second administrator"), "info"),
        "done": (_("Agreed"), "success"),
        "refused": (_("Refused"), "danger"),
    }
)
STANDING_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "working": _("Working"),
        "ending": _("Ends within 30 days"),
        "ended": _("Ended"),
        "suspended": _("Suspended"),
    }
)
STANDING_KINDS: Mapping[str, str] = MappingProxyType(
    {"working": "success", "ending": "warning", "ended": "neutral", "suspended": "danger"}
)
