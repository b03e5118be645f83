"""A version of a profile as two people sign it: its content, its hash, its authority, its day.

A document of type `onecert-profile+json`. The hash is that of the canonical spelling (`Profile.as_json`),
which is on record with every certificate; whoever verifies the document spells it anew and compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.ca.errors.profiles import ProfileSignaturesError
from onecert.ca.profiles.profile import Profile, profile_from_json
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import verify_document
from onecert.verifier.signatures import PublicKey

__all__ = ["PROFILE_TYPE", "SIGNATURES", "SignedProfile", "open_profile", "profile_payload"]

PROFILE_TYPE = "onecert-profile+json"
SIGNATURES = 2
DOCUMENT_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class SignedProfile:
    """What a document says."""

    authority: str
    profile: Profile
    in_force_from: datetime


def profile_payload(signed: SignedProfile) -> dict[str, Any]:
    """Write what is to be signed."""
    return {
        "authority": signed.authority,
        "in_force_from": signed.in_force_from.isoformat(),
        "profile": json.loads(signed.profile.as_json()),
        "sha256": signed.profile.sha256,
    }


def open_profile(
    document: bytes, keys: Mapping[str, PublicKey], *, needed: int = SIGNATURES
) -> SignedProfile:
    """Check the signatures of a document and read it.

    Args:
        keys: key id -> key, of every officer whose signature counts.
        needed: so many different keys must have signed.

    Raises:
        ProfileSignaturesError: too few, altered, or not a profile that was spelled here.
    """
    try:
        payload = verify_document(
            document, typ=PROFILE_TYPE, keys=keys, threshold=needed, max_bytes=DOCUMENT_MAX_BYTES
        )
        profile = profile_from_json(json.dumps(payload["profile"]))
        if profile.sha256 != payload["sha256"]:
            raise ProfileSignaturesError(0, needed)
        return SignedProfile(
            authority=payload["authority"],
            profile=profile,
            in_force_from=datetime.fromisoformat(payload["in_force_from"]),
        )
    except (VerifyError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise ProfileSignaturesError(0, needed) from exc
