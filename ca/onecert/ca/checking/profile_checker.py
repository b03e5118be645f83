"""Every installed version of a profile against those who approved it: two officers, or a ceremony.

A version that came after the ceremony carries the document that was signed. It is verified again, with the
keys of all officers there have ever been: who left has signed nevertheless. What came with a ceremony has no
document; its hash is in the audit entry of the authority. The content on record must be what was approved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256

from cryptography.hazmat.primitives import serialization
from sqlalchemy import Connection, Row, select

from onecert.ca.checking.checked_record import Finding
from onecert.ca.errors.profiles import ProfileSignaturesError
from onecert.ca.models import profiles
from onecert.ca.profiles.documents import SIGNATURES, open_profile
from onecert.ca.revocation.mass_models import security_officers
from onecert.server.models import audit_entries
from onecert.server.operators.models import operators
from onecert.verifier.signatures import PublicKey

__all__ = ["find_unsigned"]


def find_unsigned(connection: Connection, authority: str | None = None) -> Iterator[Finding]:
    """Name the versions that nobody entitled has approved as they are, also those that are withdrawn.

    Args:
        authority: only the profiles of this one.
    """
    query = select(profiles).order_by(profiles.c.authority, profiles.c.name, profiles.c.version)
    if authority is not None:
        query = query.where(profiles.c.authority == authority)
    rows = connection.execute(query).all()
    officers = _keys_by_person(connection)
    ceremonies = _ceremony_hashes(connection, {row.authority for row in rows})
    for row in rows:
        fault = _altered(row)
        if not fault and row.document is not None:
            fault = _document_fault(row, officers)
        elif not fault and row.sha256 not in ceremonies.get((row.authority, row.name), set()):
            fault = "no document"
        if fault:
            facts = f"{row.name} {row.version}: {fault}"
            yield Finding(rule="profile-unsigned", authority=row.authority, facts=facts)


def _altered(row: Row[tuple[object, ...]]) -> str:
    content = sha256(row.content.encode()).hexdigest()
    return "" if content == row.sha256 else "content"


def _document_fault(row: Row[tuple[object, ...]], officers: Mapping[str, Mapping[str, PublicKey]]) -> str:
    """What is wrong with the signed document of a version; "" when it says what is on record."""
    everyone = {kid: key for keys in officers.values() for kid, key in keys.items()}
    try:
        signed = open_profile(row.document, everyone, needed=SIGNATURES)
    except ProfileSignaturesError:
        return "signatures"
    if sum(_has_signed(row.document, keys) for keys in officers.values()) < SIGNATURES:
        return "one person"
    said = {
        "authority": signed.authority == row.authority,
        "name": signed.profile.name == row.name,
        "version": signed.profile.version == row.version,
        "content": signed.profile.sha256 == row.sha256,
        "in_force_from": signed.in_force_from == row.in_force_from,
    }
    return ", ".join(name for name, agrees in said.items() if not agrees)


def _has_signed(document: bytes, keys: Mapping[str, PublicKey]) -> bool:
    try:
        open_profile(document, keys, needed=1)
    except ProfileSignaturesError:
        return False
    return True


def _keys_by_person(connection: Connection) -> dict[str, dict[str, PublicKey]]:
    """Person -> key id -> key, of officers of now and then."""
    query = select(security_officers.c.kid, security_officers.c.key_pem, operators.c.person).join(
        operators, operators.c.id == security_officers.c.id
    )
    found: dict[str, dict[str, PublicKey]] = {}
    for kid, key_pem, person in connection.execute(query):
        try:
            key = serialization.load_pem_public_key(key_pem.encode())
        except ValueError:
            continue  # whatever it signed is found
        found.setdefault(person, {})[kid] = key  # type: ignore[assignment]
    return found


def _ceremony_hashes(connection: Connection, authorities: set[str]) -> dict[tuple[str, str], set[str]]:
    """(authority, profile) -> hashes that the ceremonies' audit entries name."""
    query = select(audit_entries.c.subject, audit_entries.c.details).where(
        audit_entries.c.subject.in_(sorted(authorities)), audit_entries.c.event == "authority.installed"
    )
    found: dict[tuple[str, str], set[str]] = {}
    for name, details in connection.execute(query):
        for profile, approved in json.loads(details).get("profiles", {}).items():
            found.setdefault((name, profile), set()).add(approved)
    return found
