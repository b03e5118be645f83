"""Orders to the CA: their payload, and their signature by the registration authority's own key.

An issuance order carries what was approved and nothing else, with the hash of the approved content and the
people who entered and approved it. A revocation order carries serial, reason and who asked. Both are JWS
documents (see onecert.server.documents); the same bytes are posted until the answer is known.
"""

from calendar import monthrange
from datetime import UTC, datetime
from typing import Any

from onecert.ra.applications.records import Application
from onecert.ra.ca.authorities import ProfileInfo
from onecert.ra.content.checking import CheckedContent, order_identity, order_subject
from onecert.server.documents import PrivateKey, sign_document

__all__ = ["ORDER_TYP", "REVOCATION_TYP", "issuance_payload", "revocation_payload", "sign_order"]

ORDER_TYP = "onecert-order+json"
REVOCATION_TYP = "onecert-revocation+json"


def issuance_payload(
    application: Application,
    content: CheckedContent,
    profile: ProfileInfo | None,
    *,
    registration_authority: str,
    at: datetime,
) -> dict[str, Any]:
    """The order for one approved application; identity numbers that its profile has no place for are left
    out."""
    identity = order_identity(content)
    if profile is not None:
        identity = {name: value for name, value in identity.items() if profile.takes_identity(name)}
    return {
        "order": application.order_id,
        "registration_authority": registration_authority,
        "created_at": timestamp(at),
        "authority": application.authority,
        "profile": application.profile,
        "profile_version": application.profile_version,
        "subject": order_subject(content),
        "identity": identity,
        "csr_pem": content.request.pem,
        "application_sha256": application.content_sha256,
        "approved_by": [
            name
            for name in (application.submitted_by, application.passed_on_by, application.reviewed_by)
            if name is not None
        ],
        **_shorter_term(content, profile, at),
    }


def _shorter_term(content: CheckedContent, profile: ProfileInfo | None, at: datetime) -> dict[str, str]:
    """The end that was applied for, where it lies before the profile's own."""
    months = int(content.values.get("certificate_months", "0"))
    longest = profile.longest_months if profile is not None else None
    if not months or (longest is not None and months >= longest):
        return {}
    return {"not_after": timestamp(months_later(at, months))}


def months_later(at: datetime, months: int) -> datetime:
    """The same day of a later month, or its last one."""
    years, month = divmod(at.month - 1 + months, 12)
    year, month = at.year + years, month + 1
    return at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1]))


def revocation_payload(
    *,
    revocation_id: str,
    registration_authority: str,
    authority: str,
    serial_hex: str,
    reason: str,
    invalidity_date: datetime | None,
    requested_by: str,
    at: datetime,
) -> dict[str, Any]:
    """The order to revoke, hold (certificateHold) or release (removeFromCRL) one certificate."""
    return {
        "revocation": revocation_id,
        "registration_authority": registration_authority,
        "created_at": timestamp(at),
        "authority": authority,
        "serial": serial_hex,
        "reason": reason,
        "invalidity_date": timestamp(invalidity_date) if invalidity_date else None,
        "requested_by": [requested_by],
    }


def sign_order(payload: dict[str, Any], *, typ: str, key: PrivateKey) -> bytes:
    """The signed document, as posted."""
    return sign_document(payload, typ=typ, keys=[key])


def timestamp(at: datetime) -> str:
    """A moment on the wire: UTC, whole seconds, `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
