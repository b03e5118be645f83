"""What the registration authority signs for the CA about an emergency: proposal, confirmation, stop, go on.

Each names its people: who proposed, who approved, who stopped. What an officer wrote as the reason stays
here: the CA shows its mass revocations to anybody who has their number. It gets the number of the emergency
and the hash of all that two people approved, by which the two records are put side by side.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from onecert.ra.ca.mass import MassAnswer
from onecert.ra.emergency.records import Emergency
from onecert.ra.orders.documents import timestamp

__all__ = [
    "CONFIRMATION_TYP",
    "PROPOSAL_TYP",
    "RESUMPTION_TYP",
    "STOP_TYP",
    "confirmation_payload",
    "lines_of",
    "note_payload",
    "proposal_payload",
    "selection_of",
]

PROPOSAL_TYP = "onecert-mass-revocation+json"
CONFIRMATION_TYP = "onecert-mass-revocation-confirmation+json"
STOP_TYP = "onecert-mass-revocation-stop+json"
RESUMPTION_TYP = "onecert-mass-revocation-resumption+json"


def lines_of(serials: Sequence[str]) -> bytes:
    """The serials as the CA takes them: hexadecimal, one a line, each ended by a line feed."""
    return "".join(f"{serial}\n" for serial in serials).encode("ascii")


def selection_of(lines: bytes) -> dict[str, Any]:
    """The selection of a proposal: these lines, by number and hash."""
    sha256 = hashlib.sha256(lines).hexdigest()
    return {"lines": {"kind": "serial", "count": lines.count(b"\n"), "sha256": sha256}}


def proposal_payload(
    emergency: Emergency, number: str, authority: str, lines: bytes, *, name: str, at: datetime
) -> dict[str, Any]:
    """The proposal to revoke what the lines name, by who proposed the emergency."""
    since = emergency.invalidity_date
    return {
        "mass_revocation": number,
        "registration_authority": name,
        "created_at": timestamp(at),
        "authority": authority,
        "selection": selection_of(lines),
        "reason": emergency.reason,
        "invalidity_date": timestamp(since) if since else None,
        "requested_by": [emergency.proposed_by],
        "why": _why(emergency),
    }


def confirmation_payload(
    emergency: Emergency, number: str, shown: MassAnswer, *, name: str, at: datetime
) -> dict[str, Any]:
    """The second person's word to what the CA has frozen."""
    return {
        "mass_revocation": number,
        "registration_authority": name,
        "created_at": timestamp(at),
        "proposal_sha256": shown.proposal_sha256,
        "serials_sha256": shown.serials_sha256,
        "certificates": shown.certificates,
        "confirmed_by": [emergency.decided_by],
    }


def note_payload(emergency: Emergency, number: str, by: str, *, name: str, at: datetime) -> dict[str, Any]:
    """A stop, or the wish to go on."""
    return {
        "mass_revocation": number,
        "registration_authority": name,
        "created_at": timestamp(at),
        "requested_by": [by],
        "why": _why(emergency),
    }


def _why(emergency: Emergency) -> str:
    what = "drill" if emergency.is_drill else "emergency"
    return f"{what} {emergency.seq}, content {emergency.content_sha256}"
