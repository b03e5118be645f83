"""Reasons of a revocation in words: what each is called, and what it does.

RFC 5280, section 5.3.1; `cACompromise` and `aACompromise` are offered for authorities alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onecert.ca.issuing.ledger import GOOD, ON_HOLD, REVOKED, CertificateRecord
from onecert.ca.lists.crl import HOLD, RELEASE
from onecert.server.languages import _

__all__ = ["REASON_WORDS", "ReasonWords", "offered_reasons"]

COMPROMISE = "keyCompromise"


@dataclass(frozen=True)
class ReasonWords:
    """Marked texts: the name for people, and what choosing it does."""

    title: str
    effect: str


REASON_WORDS: Mapping[str, ReasonWords] = {
    COMPROMISE: ReasonWords(
        _("Key compromised"),
        _("Key lost, stolen, copied, or in doubt. For good; this key is never certified again."),
    ),
    "affiliationChanged": ReasonWords(
        _("Left or moved"), _("The person left the firm or changed office. For good.")
    ),
    "superseded": ReasonWords(_("Replaced"), _("A new certificate is in use. For good.")),
    "cessationOfOperation": ReasonWords(
        _("No longer needed"), _("Firm closed, device out of use. For good.")
    ),
    "privilegeWithdrawn": ReasonWords(
        _("Right withdrawn"), _("The holder may no longer use it; nothing is wrong with the key. For good.")
    ),
    "unspecified": ReasonWords(_("Not stated"), _("Only if nothing else fits. For good.")),
    "aACompromise": ReasonWords(
        _("Attribute authority compromised"),
        _("What it said about roles is in doubt. For good."),
    ),
    "cACompromise": ReasonWords(
        _("Authority compromised"), _("Everything that it issued is in doubt. For good.")
    ),
    HOLD: ReasonWords(
        _("On hold"), _("Refused everywhere like a revoked one, until you release it. When you are not sure.")
    ),
    RELEASE: ReasonWords(_("Release"), _("Accepted again everywhere, as if it had never been on hold.")),
}
_FOR_GOOD = (
    COMPROMISE,
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
    "unspecified",
)


def offered_reasons(record: CertificateRecord) -> tuple[str, ...]:
    """What can be done with a certificate as it is now; nothing is left once its key is known to be out."""
    if record.status == GOOD:
        return (HOLD, *_FOR_GOOD, *(["aACompromise"] if record.profile == "attribute-authority" else []))
    if record.status == ON_HOLD:
        return (RELEASE, *_FOR_GOOD)
    return (COMPROMISE,) if record.status == REVOKED and record.reason != COMPROMISE else ()
