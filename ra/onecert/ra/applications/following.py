"""Renewal, change and replacement: an application that follows a certificate.

What follows goes the whole way of a new application; its order names the certificate it follows, and the CA
revokes that one as the order says. Holder and type stay; a renewal and a replacement also keep what stands in
the certificate. A new key is always wanted.

| business | the old one must be | and is revoked |
| renew    | good                | as superseded, once the new one is handed over |
| change   | good                | as affiliationChanged or superseded, once the new one is handed over |
| replace  | good, on hold, or revoked as lost | before the new one exists |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from onecert.ra.applications.records import Application, Frozen
from onecert.ra.ca.questions import following
from onecert.ra.certificates.records import Certificate
from onecert.ra.content.fields import CERTIFICATE_FIELDS, Kind
from onecert.ra.errors import FieldFault, FollowRefusedError, InvalidApplicationError
from onecert.ra.life.machine import Business
from onecert.server.languages import _

__all__ = ["Followed", "check_followed", "check_kept", "follow_payload", "kept_faults"]

# What may be the reason for revoking the old one; the first is taken when none is named.
REASONS: Mapping[Business, tuple[str, ...]] = MappingProxyType(
    {
        Business.RENEW: ("superseded",),
        Business.CHANGE: ("affiliationChanged", "superseded"),
        Business.REPLACE: ("keyCompromise", "superseded"),
    }
)
EARLY_MAX = 200
_LOST = frozenset({"unspecified", "superseded", "keyCompromise"})


@dataclass(frozen=True, kw_only=True)
class Followed:
    """The certificate that an application follows, and why that one ends."""

    business: Business
    authority: str
    serial_hex: str
    reason: str
    early: str = ""  # why it is renewed before the profile's window; for whom the CA permits it

    @classmethod
    def of(
        cls, business: Business, certificate: Certificate, reason: str = "", *, early: str = ""
    ) -> "Followed":
        """Raises `FollowRefusedError` when this reason does not fit, or what is early is no renewal."""
        early = early.strip()
        is_sentence = 2 <= len(early) <= EARLY_MAX and early.isprintable()
        if early and (business is not Business.RENEW or not is_sentence):
            raise FollowRefusedError("FOLLOW_EARLY", str(EARLY_MAX))
        reasons = REASONS.get(business)
        if reasons is None or (reason and reason not in reasons):
            raise FollowRefusedError("FOLLOW_REASON", ", ".join(reasons or ()))
        return cls(
            business=business,
            authority=certificate.authority,
            serial_hex=certificate.serial_hex,
            reason=reason or reasons[0],
            early=early,
        )


def check_followed(business: Business, certificate: Certificate) -> None:
    """Raise `FollowRefusedError` when the certificate's status does not let it be followed so."""
    if certificate.status == "good":
        return
    lost = certificate.status == "hold" or (certificate.status == "revoked" and certificate.reason in _LOST)
    if business is not Business.REPLACE or not lost:
        raise FollowRefusedError("FOLLOW_STATUS", certificate.status)


def check_kept(frozen: Frozen, before: Frozen) -> None:
    """Raise unless the holder is the same, and in a renewal or replacement all that the certificate says."""
    application = frozen.application
    if application.entity_key != before.application.entity_key:
        raise FollowRefusedError("FOLLOW_HOLDER", before.application.number)
    faults = kept_faults(application.business, application.kind, frozen.values, before.values)
    if faults:
        raise InvalidApplicationError(faults)


def kept_faults(
    business: Business, kind: Kind, values: Mapping[str, str], before: Mapping[str, str]
) -> list[FieldFault]:
    """Fields of the certificate that were changed where the business keeps them."""
    if business is Business.CHANGE:
        return []
    text = _("A renewal or replacement keeps what stands in the certificate.")
    hint = _("Take the value of the old certificate, or enter a change of data instead.")
    return [
        FieldFault(name, "FIELD_KEPT", text, hint)
        for name in sorted(CERTIFICATE_FIELDS[kind])
        if values.get(name, "") != before.get(name, "")
    ]


def follow_payload(payload: dict[str, Any], application: Application) -> dict[str, Any]:
    """The order's payload, with the certificate that it follows."""
    if application.follows_authority is None or application.follows_serial is None:
        return payload
    return following(
        payload,
        kind=application.business.value,
        authority=application.follows_authority,
        serial_hex=application.follows_serial,
        reason=application.follows_reason,
        when=None if application.business is Business.REPLACE else "delivered",
        early=application.follows_early,
    )
