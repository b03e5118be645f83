"""Reasons for revoking (RFC 5280, section 5.3.1), in words for the person who has to choose one."""

from collections.abc import Mapping
from types import MappingProxyType

from onecert.ra.errors import RevocationReasonError
from onecert.ra.life.machine import Business
from onecert.server.languages import _

__all__ = ["HOLD", "REASONS", "REASON_NAMES", "RELEASE", "business_of", "check_reason"]

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
