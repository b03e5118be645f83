"""The record of a ceremony: what was made, by whom, from which reviewed file; signed by the new root."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from cryptography import x509

from onecert.ca.authorities import Authority
from onecert.ca.ceremony_file import CeremonyFile

__all__ = ["RECORD_TYPE", "summary"]

RECORD_TYPE = "onecert-ceremony-record+json"


def summary(
    file: CeremonyFile, made_authorities: list[Authority], *, held_by: str, at: datetime
) -> dict[str, Any]:
    """Say what a ceremony has made, root first."""
    made = []
    for authority in made_authorities:
        certificate = x509.load_der_x509_certificate(authority.certificate_der)
        made.append(
            {
                "name": authority.name,
                "kind": authority.kind,
                "subject": certificate.subject.rfc4514_string(),
                "serial": authority.serial,
                "key_label": authority.key_label,
                "key_identifier": authority.issuer.key_id.hex(),
                "not_before": certificate.not_valid_before_utc.isoformat(),
                "not_after": certificate.not_valid_after_utc.isoformat(),
                "certificate_sha256": hashlib.sha256(authority.certificate_der).hexdigest(),
            }
        )
    return {
        "ceremony": file.name,
        "file_sha256": file.sha256,
        "people": list(file.people),
        "held_by": held_by,
        "held_at": at.isoformat(),
        "authorities": made,
        "profiles": [
            {"name": profile.name, "version": profile.version, "sha256": profile.sha256}
            for profile in file.profiles
        ],
    }
