"""The record of a ceremony: what was made, by whom, from which reviewed file.

Signed by the root that was used, by the new authority when others certify it, and with the audit key when no
authority's key was used at all.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from cryptography import x509
from sqlalchemy import select

from onecert.ca.authorities.authorities import ROLL_OVER, Authority
from onecert.ca.ceremonies.plans import CeremonyFile
from onecert.ca.models import authority_certificates, certificates
from onecert.ca.parts import Parts

__all__ = ["RECORD_TYPE", "summary"]

RECORD_TYPE = "onecert-ceremony-record+json"


def summary(file: CeremonyFile, parts: Parts, *, held_by: str, at: datetime) -> dict[str, Any]:
    """Say what a ceremony has made, root first."""
    content: dict[str, Any] = {
        "ceremony": file.name,
        "file_sha256": file.sha256,
        "people": list(file.people),
        "held_by": held_by,
        "held_at": at.isoformat(),
        "authorities": [_authority(parts.authorities.get(plan.name)) for plan in file.plans],
        "profiles": [
            {"name": profile.name, "version": profile.version, "sha256": profile.sha256}
            for profile in file.profiles
        ],
    }
    if file.kind != "root-and-issuing":
        content |= {"kind": file.kind, "certificates": _certificates(file, parts)}
    return content


def _authority(authority: Authority) -> dict[str, Any]:
    return {
        "name": authority.name,
        "kind": authority.kind,
        "key_label": authority.key_label,
        "key_identifier": authority.issuer.key_id.hex(),
        **_certificate(authority.certificate_der),
    }


def _certificate(certificate_der: bytes) -> dict[str, Any]:
    certificate = x509.load_der_x509_certificate(certificate_der)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "certificate_sha256": hashlib.sha256(certificate_der).hexdigest(),
    }


def _certificates(file: CeremonyFile, parts: Parts) -> list[dict[str, Any]]:
    """Certificates beside those of the authorities themselves: for others, by others, roll-overs."""
    table, order = authority_certificates, f"ceremony.{file.name}."
    for_others = [order + what for what in ("new-with-old", "old-with-new", "subordinate", "cross")]
    with parts.database.reading() as connection:
        made = connection.execute(
            select(certificates.c.authority, certificates.c.certificate_der)
            .where(certificates.c.order_id.in_(for_others))
            .order_by(certificates.c.order_id)
        ).all()
        kept = connection.execute(
            select(table.c.authority, table.c.origin, table.c.certificate_der)
            .where(table.c.ceremony == file.name, table.c.origin != ROLL_OVER)
            .order_by(table.c.position)
        ).all()
    found = [{"issuer": row.authority, **_certificate(row.certificate_der)} for row in made]
    return found + [
        {"authority": row.authority, "origin": row.origin, **_certificate(row.certificate_der)}
        for row in kept
    ]
