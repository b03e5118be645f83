"""Reasons for revoking (RFC 5280, section 5.3.1), in words for the person who has to choose one."""

from collections.abc import Mapping
from types import MappingProxyType

from onecert.ra.errors import RevocationReasonError
from onecert.ra.life.machine import Business
from onecert.server.languages import _

__all__ = [
    "EFFECTS",
    "HOLD",
    "NEED_NOTE",
    "REASONS",
    "REASON_NAMES",
    "RELEASE",
    "business_of",
    "check_reason",
]

HOLD = "certificateHold"
RELEASE = "removeFromCRL"

# What the revocation page offers: reason -> (name, when to choose it).
REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "keyCompromise": (
            _("Key lost or in wrong hands"),
            _("USB key lost or stolen, password known to others, key copied."),
        ),
        "affiliationChanged": (
            _("Name or affiliation changed"),
            _("The firm was renamed, the employee has left or moved."),
        ),
        "superseded": (_("Replaced by a new certificate"), _("A new certificate is already in use.")),
        "cessationOfOperation": (
            _("No longer needed"),
            _("The firm was dissolved, or the holder gives the certificate up."),
        ),
        "privilegeWithdrawn": (
            _("Right withdrawn"),
            _("The application was wrong, or an authority orders it."),
        ),
        "unspecified": (_("Other"), _("None of the above; say why in the remarks.")),
    }
)

# What each does, for the page of a revocation; only a hold can be undone.
EFFECTS: Mapping[str, str] = MappingProxyType(
    {
        "keyCompromise": _("For good. This key is never certified again: the holder needs a new one."),
        "affiliationChanged": _("For good. A new certificate with the new data can be issued."),
        "superseded": _("For good. The new certificate is not touched."),
        "cessationOfOperation": _("For good. The holder may apply again later."),
        "privilegeWithdrawn": _("For good. Write below who ordered it."),
        "unspecified": _("For good. Write below why."),
    }
)
# Reasons that say too little by themselves.
NEED_NOTE = frozenset({"privilegeWithdrawn", "unspecified"})

REASON_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{name: shown for name, (shown, _when) in REASONS.items()},
        HOLD: _("On hold"),
        RELEASE: _("Released from hold"),
        "cACompromise": _("The authority's key is in wrong hands"),
        "aACompromise": _("The attribute authority's key is in wrong hands"),
    }
)


def business_of(reason: str) -> Business:
    """Which business type a change of status is."""
    return {HOLD: Business.HOLD, RELEASE: Business.RELEASE}.get(reason, Business.REVOKE)


def check_reason(reason: str) -> None:
    """Raise `RevocationReasonError` unless a security officer may choose this reason."""
    if reason not in REASONS and reason not in {HOLD, RELEASE}:
        raise RevocationReasonError(reason, [*REASONS, HOLD, RELEASE])
