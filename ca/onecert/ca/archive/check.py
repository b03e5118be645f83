"""Checks an archive offline: the file and the public key of the audit heads, no database, no network.

Of each certificate: the signature of its authority, its serial and end, the signature and content of its
order, and the hash of each audit entry; of the whole: the manifest's signature, hashes and counts. With an
export of the audit trail (`onecert audit export`) each entry is found in it too, and the export is checked
against its signed heads.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from onecert.ca.archive.acts import KINDS, act_documents, act_faults, is_act, signers_of
from onecert.ca.archive.file import Archive
from onecert.ca.archive.record import Record, octets
from onecert.ca.archive.stamp import has_digest
from onecert.ca.errors.archives import ArchiveFaultyError
from onecert.ca.issuing.order_documents import payload_of
from onecert.ca.issuing.orders import ORDER_TYPE, content_sha256
from onecert.ca.issuing.signed_documents import DOCUMENT_MAX_BYTES
from onecert.ca.signatures.algorithms import is_signature_valid
from onecert.ca.signatures.public_keys import key_of_certificate
from onecert.server.audit.canonical import entry_hash, entry_text
from onecert.server.audit.check import verify_export
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import verify_document
from onecert.verifier.signatures import PublicKey

__all__ = ["ArchiveReport", "check_archive"]

FAULTS_MAX = 100
# The serials of a mass revocation may stand in its proposal.
ACT_MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ArchiveReport:
    """An archive that proves what it says."""

    archive: str
    authority: str
    certificates: int
    audit_entries: int
    orders_signed: int  # by a registration authority whose key is in the manifest
    orders_unproved: int  # by one whose key was not registered any more
    has_timestamp: bool
    audit_export: bool  # each entry was found in an export


@dataclass
class _Counts:
    certificates: int = 0
    entries: int = 0
    signed: int = 0
    unproved: int = 0
    faults: list[str] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)


def check_archive(
    path: Path, keys: Mapping[str, PublicKey], *, audit_export: Path | None = None
) -> ArchiveReport:
    """Check a whole archive.

    Args:
        keys: ``key_id(key)`` -> key: whose signed manifests count.
        audit_export: of the same service, made when these certificates were on record or later.

    Raises:
        ArchiveFaultyError: names what is wrong, up to a hundred things.
        AuditExportError: the export is not as it was signed.
    """
    with Archive(path, keys) as archive:
        manifest = archive.manifest
        counts = _Counts()
        checker = _checker_of(manifest, keeps_hashes=audit_export is not None)
        for number in range(1, archive.segments + 1):
            records = archive.segment(number)
            for record in records:
                counts.certificates += 1
                counts.faults += checker.faults(record, counts)
            if len(counts.faults) > FAULTS_MAX:
                break
        indexed = [] if counts.faults else _index_faults(archive, manifest)
        has_timestamp = archive.stamp is not None
        if archive.stamp is not None and not has_digest(archive.stamp, archive.manifest_document):
            counts.faults.append("the timestamp is about something else")
    faults = counts.faults + indexed
    if not faults and counts.certificates != manifest["certificates"]:
        faults.append(f"{counts.certificates} certificates instead of {manifest['certificates']}")
    if audit_export is not None and not faults:
        faults += _not_in_export(counts.hashes, audit_export, keys)
    if faults:
        raise ArchiveFaultyError(faults[:FAULTS_MAX])
    return ArchiveReport(
        archive=manifest["archive"],
        authority=manifest["authority"],
        certificates=counts.certificates,
        audit_entries=counts.entries,
        orders_signed=counts.signed,
        orders_unproved=counts.unproved,
        has_timestamp=has_timestamp,
        audit_export=audit_export is not None,
    )


def _checker_of(manifest: Mapping[str, Any], *, keeps_hashes: bool) -> _RecordChecker | _ActChecker:
    if is_act(manifest["authority"]):
        return _ActChecker(manifest, keeps_hashes=keeps_hashes)
    return _RecordChecker(manifest, keeps_hashes=keeps_hashes)


class _ActChecker:
    """Checks batches and mass revocations, which stand where others have certificates."""

    def __init__(self, manifest: Mapping[str, Any], *, keeps_hashes: bool) -> None:
        self._kind = KINDS[manifest["authority"]]
        self._signers = signers_of(manifest)
        self._keeps_hashes = keeps_hashes

    def faults(self, record: Record, counts: _Counts) -> list[str]:
        """Name what is wrong with one record."""
        try:
            name = self._kind.subject(record["act"])
            found = [*act_faults(record, self._kind), *self._signature_faults(record, counts)]
            for entry in record["audit"]:
                counts.entries += 1
                if entry["subject"] != name or _hash(entry) != entry["hash"]:
                    found.append(f"audit entry {entry['seq']} is not as it was written")
                if self._keeps_hashes:
                    counts.hashes[entry["seq"]] = entry["hash"]
        except (ValueError, KeyError, TypeError, zlib.error) as exc:
            return [type(exc).__name__]
        return [f"{name}: {fault}" for fault in found]

    def _signature_faults(self, record: Record, counts: _Counts) -> Iterator[str]:
        for typ, document in act_documents(record, self._kind):
            if _kid_of(document) not in self._signers:
                counts.unproved += 1
                continue
            try:
                verify_document(document, typ=typ, keys=self._signers, max_bytes=ACT_MAX_BYTES)
                counts.signed += 1
            except VerifyError as exc:
                yield f"the signature of {typ}: {exc.code}"


class _RecordChecker:
    def __init__(self, manifest: Mapping[str, Any], *, keeps_hashes: bool) -> None:
        issuer = x509.load_der_x509_certificate(octets(manifest["authority_certificate"]))
        self._issuer_key = key_of_certificate(issuer)
        self._authority = manifest["authority"]
        self._from = datetime.fromisoformat(manifest["ended_from"])
        self._until = datetime.fromisoformat(manifest["ended_until"])
        self._signers: dict[str, Any] = {
            each["kid"]: load_pem_public_key(each["pem"].encode())
            for each in manifest["registration_authorities"]
        }
        self._keeps_hashes = keeps_hashes

    def faults(self, record: Record, counts: _Counts) -> list[str]:
        """Name what is wrong with one record."""
        row = record["certificate"]
        name = f"{row['authority']}/{row['serial']}"
        try:
            return [f"{name}: {fault}" for fault in self._faults(record, row, name, counts)]
        except (ValueError, KeyError, TypeError, x509.DuplicateExtension) as exc:
            return [f"{name}: {type(exc).__name__}"]

    def _faults(self, record: Record, row: Record, name: str, counts: _Counts) -> Iterator[str]:
        ended = datetime.fromisoformat(row["not_after"])
        if row["authority"] != self._authority or not self._from <= ended < self._until:
            yield "does not belong into this archive"
        if row["certificate_der"]:
            yield from self._certificate_faults(row, ended)
        elif row["state"] != "abandoned":
            yield "the certificate is missing"
        yield from self._order_faults(record["order"], row, counts)
        issued = False
        for entry in record["audit"]:
            counts.entries += 1
            issued = issued or entry["event"] == "certificate.issued"
            if entry["subject"] != name or _hash(entry) != entry["hash"]:
                yield f"audit entry {entry['seq']} is not as it was written"
            if self._keeps_hashes:
                counts.hashes[entry["seq"]] = entry["hash"]
        if row["certificate_der"] and not issued:
            yield "no audit entry tells that it was issued"

    def _certificate_faults(self, row: Record, ended: datetime) -> Iterator[str]:
        certificate = x509.load_der_x509_certificate(octets(row["certificate_der"]))
        tbs_der = certificate.tbs_certificate_bytes
        if not is_signature_valid(self._issuer_key, certificate.signature, tbs_der):
            yield "the signature is not one of this authority's key"
        if f"{certificate.serial_number:x}" != row["serial"] or certificate.not_valid_after_utc != ended:
            yield "the certificate is another one"

    def _order_faults(self, order: Record | None, row: Record, counts: _Counts) -> Iterator[str]:
        if order is None:
            yield "the order is missing"
            return
        document = octets(order["document"])
        payload = payload_of(document)
        if (order["id"], order["serial"]) != (row["order_id"], row["serial"]):
            yield "the order is another one"
        if not order["ordered_by"].startswith("ra:"):
            return
        if content_sha256(payload) != order["content_sha256"]:
            yield "the order does not have the content it was recorded with"
        if b'"signatures"' not in document[-DOCUMENT_MAX_BYTES:] or "signatures" not in json.loads(document):
            # A line of a batch; the signature is the one of the batch's head.
            return
        kid = _kid_of(document)
        if kid not in self._signers:
            counts.unproved += 1
            return
        try:
            verify_document(document, typ=ORDER_TYPE, keys=self._signers, max_bytes=DOCUMENT_MAX_BYTES)
            counts.signed += 1
        except VerifyError as exc:
            yield f"the order's signature: {exc.code}"


def _kid_of(document: bytes) -> str:
    protected = json.loads(document)["signatures"][0]["protected"]
    header = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
    return str(header["kid"])


def _hash(entry: Mapping[str, Any]) -> str:
    return entry_hash(entry_text(**{name: value for name, value in entry.items() if name != "hash"}))


def _index_faults(archive: Archive, manifest: Mapping[str, Any]) -> list[str]:
    lines = sum(1 for _line in archive.index())
    return [] if lines == manifest["certificates"] else [f"{lines} lines in the index"]


def _not_in_export(hashes: dict[int, str], export: Path, keys: Mapping[str, PublicKey]) -> list[str]:
    """The entries that a checked export does not have with the same hash."""
    verify_export(export, keys=keys)
    with export.open("rb") as file:
        for line in file:
            entry = json.loads(line)
            if "seq" in entry and hashes.get(entry["seq"]) == entry["hash"]:
                del hashes[entry["seq"]]
    return [f"audit entry {seq} is not in the export" for seq in sorted(hashes)]
