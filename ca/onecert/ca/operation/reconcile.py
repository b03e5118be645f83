"""After a restore: the record is told what is outside and what it has forgotten.

It goes by what was signed and nothing else. A list of ours with a higher number: the number is spent, so that
no list is published with a lower one, and what it says was revoked stays so. A certificate of ours that is
not on record: it is put on record by its serial and revoked, because nobody can say any more to whom it was
given and why; whoever holds it orders a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from sqlalchemy import Connection, insert, select, update

from onecert.ca.authorities.authorities import Authority
from onecert.ca.issuing.ledger import ABANDONED, GOOD, REVOKED
from onecert.ca.lists.crl import entry_der
from onecert.ca.lists.snapshot import newest
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import certificates, crl_entries, crls
from onecert.ca.operation.record_guard import RECONCILED
from onecert.ca.parts import Parts
from onecert.ca.revocation.revocation import lock_authority
from onecert.ca.signatures.algorithms import is_signature_valid
from onecert.server.backup.ages import RETURN_SUBJECT
from onecert.server.statements import insert_if_absent

__all__ = ["Outside", "Reconciliation", "read_outside", "reconcile"]

# What an unknown certificate is revoked with; RFC 5280 has no reason for "we have lost its record".
REASON = "cessationOfOperation"


@dataclass
class Outside:
    """What was found outside, each signed by the authority whose name stands with it."""

    lists: list[tuple[Authority, x509.CertificateRevocationList]] = field(default_factory=list)
    certificates: list[tuple[Authority, x509.Certificate]] = field(default_factory=list)
    foreign: int = 0  # signed by nobody here


@dataclass
class Reconciliation:
    """What the record did not know."""

    numbers: dict[str, int] = field(default_factory=dict)  # authority -> number that is spent
    revoked: list[tuple[str, str]] = field(default_factory=list)  # on record as good, on a list as revoked
    unknown: list[tuple[str, str]] = field(default_factory=list)  # certificates without a row
    only_listed: list[tuple[str, str]] = field(default_factory=list)  # on a list, without row or certificate


def read_outside(parts: Parts, contents: Sequence[bytes]) -> Outside:
    """Read lists (DER) and certificates (DER or PEM, several in a file); all else is foreign."""
    found, known = Outside(), parts.authorities.reload()
    for content in contents:
        crl = _crl(content)
        if crl is not None:
            owner = _owner(known, crl.signature, crl.tbs_certlist_bytes)
            found.lists += [(owner, crl)] if owner is not None else []
            found.foreign += owner is None
            continue
        read = _certificates(content)
        found.foreign += not read
        for certificate in read:
            owner = _owner(known, certificate.signature, certificate.tbs_certificate_bytes)
            found.certificates += [(owner, certificate)] if owner is not None else []
            found.foreign += owner is None
    return found


def reconcile(
    parts: Parts, outside: Outside, *, approved_by: Sequence[str], apply: bool, actor: str
) -> Reconciliation:
    """Compare what is outside with the record and, if `apply`, record what is missing; safe to repeat."""
    done, at = Reconciliation(), parts.clock.now().replace(microsecond=0)
    people = list(approved_by)
    with parts.database.transaction() as connection:
        for name in sorted({owner.name for owner, _found in (*outside.lists, *outside.certificates)}):
            lock_authority(connection, name)
            before = len(done.revoked) + len(done.unknown) + (name in done.numbers)
            _certificates_of(connection, done, outside, name, at, apply=apply)
            _lists_of(connection, done, outside, name, apply=apply)
            after = len(done.revoked) + len(done.unknown) + (name in done.numbers)
            if apply and after > before:
                parts.audit.record(
                    connection,
                    event="record.reconciled",
                    actor=actor,
                    subject=name,
                    details={
                        "approved_by": people,
                        "number": done.numbers.get(name, 0),
                        "revoked": [serial for owner, serial in done.revoked if owner == name][:200],
                        "unknown": [serial for owner, serial in done.unknown if owner == name][:200],
                    },
                )
        if apply:
            # Also when nothing was missing: two people have looked, and the record may be used again.
            parts.audit.record(
                connection,
                event=RECONCILED,
                actor=actor,
                subject=RETURN_SUBJECT,
                details={
                    "approved_by": people,
                    "lists": len(outside.lists),
                    "certificates": len(outside.certificates),
                },
            )
    if apply:
        # What was signed ahead before the record went back may say "good" of what is revoked now.
        for name in sorted({name for name, _serial in (*done.revoked, *done.unknown)}):
            parts.responders.start_over(name)
    return done


def _certificates_of(
    connection: Connection, done: Reconciliation, outside: Outside, name: str, at: datetime, *, apply: bool
) -> None:
    for owner, certificate in outside.certificates:
        serial = f"{certificate.serial_number:x}"
        if owner.name != name or (name, serial) in done.unknown or _status(connection, name, serial):
            continue
        done.unknown.append((name, serial))
        if apply:
            spki = certificate.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            digest = hashes.Hash(hashes.SHA256())
            digest.update(spki)
            row = {
                "authority": name,
                "serial": serial,
                "state": ABANDONED,
                "profile": "unknown",
                "profile_version": 0,
                "profile_sha256": "0" * 64,
                "entity": f"unknown:{serial}",
                "subject": certificate.subject.rfc4514_string()[:512],
                "key_sha256": digest.finalize().hex(),
                "not_before": certificate.not_valid_before_utc,
                "not_after": certificate.not_valid_after_utc,
                "order_id": f"reconcile.{serial}"[:64],
                "tbs_der": certificate.tbs_certificate_bytes,
                "certificate_der": certificate.public_bytes(serialization.Encoding.DER),
                "status": GOOD,
                "crl_partition": 0,
            }
            connection.execute(insert(certificates).values(row))
            _revoke(connection, name, serial, at, REASON)


def _lists_of(
    connection: Connection, done: Reconciliation, outside: Outside, name: str, *, apply: bool
) -> None:
    for owner, crl in outside.lists:
        if owner.name != name:
            continue
        for entry in crl:
            serial = f"{entry.serial_number:x}"
            status = _status(connection, name, serial)
            if status is None:
                if (name, serial) not in done.unknown and (name, serial) not in done.only_listed:
                    done.only_listed.append((name, serial))
            elif status == GOOD and (name, serial) not in done.revoked:
                done.revoked.append((name, serial))
                if apply:
                    _revoke(connection, name, serial, entry.revocation_date_utc, _reason(entry))
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        if number > max(newest(connection, name)[0], done.numbers.get(name, 0)):
            done.numbers[name] = number
            if apply:
                version = connection.scalar(
                    select(authorities_table.c.status_version).where(authorities_table.c.name == name)
                )
                # As a list whose signing was begun: its number is spent, and nothing else of it counts.
                row = {
                    "authority": name,
                    "crl_partition": 0,
                    "number": number,
                    "this_update": crl.last_update_utc,
                    "next_update": crl.next_update_utc or crl.last_update_utc,
                    "status_version": version or 0,
                    "entries": 0,
                    "tbs_sha256": "0" * 64,
                }
                insert_if_absent(connection, crls, row)


def _revoke(connection: Connection, name: str, serial: str, at: datetime, reason: str) -> None:
    of_this = (certificates.c.authority == name) & (certificates.c.serial == serial)
    version = authorities_table.c.status_version
    of_authority = authorities_table.c.name == name
    connection.execute(update(authorities_table).where(of_authority).values(status_version=version + 1))
    row = connection.execute(
        select(certificates.c.not_after, certificates.c.crl_partition).where(of_this)
    ).one()
    connection.execute(
        update(certificates)
        .where(of_this)
        .values(status="hold" if reason == "certificateHold" else REVOKED, revoked_at=at, reason=reason)
    )
    entry = {
        "authority": name,
        "serial": serial,
        "not_after": row.not_after,
        "entry_der": entry_der(int(serial, 16), at, reason, None),
        "crl_partition": row.crl_partition,
        "status_version": connection.scalar(select(version).where(of_authority)),
    }
    connection.execute(insert(crl_entries).values(entry))


def _status(connection: Connection, name: str, serial: str) -> str | None:
    of_this = (certificates.c.authority == name) & (certificates.c.serial == serial)
    found: str | None = connection.scalar(select(certificates.c.status).where(of_this))
    return found


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return str(entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value)
    except x509.ExtensionNotFound:
        return "unspecified"


def _owner(known: Sequence[Authority], signature: bytes, tbs_der: bytes) -> Authority | None:
    return next(
        (each for each in known if is_signature_valid(each.issuer.public_key, signature, tbs_der)), None
    )


def _crl(content: bytes) -> x509.CertificateRevocationList | None:
    try:
        return x509.load_der_x509_crl(content)
    except ValueError:
        return None


def _certificates(content: bytes) -> list[x509.Certificate]:
    try:
        if b"-----BEGIN CERTIFICATE" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except ValueError:
        return []
