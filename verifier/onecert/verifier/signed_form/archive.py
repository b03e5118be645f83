"""The chain of archive timestamps over an evidence record (RFC 4998, section 5, without hash trees).

Each token stamps the whole former record, tokens included, with a digest that was sound when it was made. A
token counts when its authority's path and algorithms still held at the time of the next token (now, for the
last): so neither an authority that has gone nor a digest that was broken since hurts, as long as somebody
renewed in time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import (
    CouldNotCheckError,
    MalformedError,
    RefusedError,
    SignatureInvalidError,
    VerifyError,
)
from onecert.verifier.revocation import Crl, OcspResponse, load_crl, load_ocsp
from onecert.verifier.signed_form.evidence_record import ArchiveEntry, EvidenceRecord, Materials
from onecert.verifier.signed_form.past_path import JoinedEvidence, JudgedPath
from onecert.verifier.signed_form.proved_time import whole_second_after
from onecert.verifier.signed_form.timestamp import Timestamp, TimestampTrust, check_timestamp

__all__ = [
    "ArchiveChain",
    "Stamp",
    "add_entry",
    "check_archive",
    "judged_materials",
    "load_materials",
    "with_materials",
]


class Stamp(Protocol):
    """Gets a TimeStampToken for ``data``; ``TimestampClient`` is one."""

    def __call__(self, data: bytes, hash_algorithm: str = "sha256") -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class ArchiveChain:
    """Checked archive timestamps, oldest first."""

    timestamps: tuple[Timestamp, ...] = ()

    @property
    def archived_at(self) -> datetime | None:
        """The record existed then; ``None`` when it was never stamped."""
        return whole_second_after(self.timestamps[0].latest) if self.timestamps else None


def check_archive(record: EvidenceRecord, *, trust: TimestampTrust | None, at: datetime) -> ArchiveChain:
    """Check every archive timestamp of a record.

    Raises:
        RefusedError: ``EVIDENCE_ALTERED``; ``EVIDENCE_ARCHIVE`` with the reason of a token.
        CouldNotCheckError: ``EVIDENCE_ARCHIVE_UNKNOWN``; ``EVIDENCE_RENEWAL_MISSED`` when an authority's
            certificates ended before the record was stamped again; ``EVIDENCE_NO_TIMESTAMP_TRUST``.
    """
    if not record.archive:
        return ArchiveChain()
    if trust is None:
        raise CouldNotCheckError("EVIDENCE_NO_TIMESTAMP_TRUST")
    trust = with_materials(trust, record.all_materials)
    # From the newest to the oldest: the time of each is that at which the one before had to hold.
    found: list[Timestamp] = []
    known_at = at
    for number in range(len(record.archive), 0, -1):
        timestamp = _check_entry(record, number, trust, at=at, known_at=known_at)
        found.insert(0, timestamp)
        known_at = whole_second_after(timestamp.latest)
    return ArchiveChain(timestamps=tuple(found))


def _check_entry(
    record: EvidenceRecord, number: int, trust: TimestampTrust, *, at: datetime, known_at: datetime
) -> Timestamp:
    entry = record.archive[number - 1]
    try:
        timestamp = check_timestamp(
            entry.token, record.stamped_data(number), trust=trust, at=at, known_at=known_at
        )
        if timestamp.hash_algorithm != entry.hash_algorithm:
            raise RefusedError("EVIDENCE_ALTERED", part=f"archive {number}")
    except SignatureInvalidError as exc:
        if exc.code == "TIMESTAMP_IMPRINT":
            raise RefusedError("EVIDENCE_ALTERED", part=f"archive {number}") from exc
        raise RefusedError("EVIDENCE_ARCHIVE", number=number, reason=str(exc)) from exc
    except RefusedError as exc:
        if exc.code == "EVIDENCE_ALTERED":
            raise
        raise RefusedError("EVIDENCE_ARCHIVE", number=number, reason=str(exc)) from exc
    except VerifyError as exc:
        if exc.code == "TIMESTAMP_AUTHORITY_ENDED":
            raise CouldNotCheckError(
                "EVIDENCE_RENEWAL_MISSED",
                source="RFC 4998, section 5.3",
                number=number,
                authority=exc.facts["authority"],
                ended=exc.facts["ended"],
            ) from exc
        raise CouldNotCheckError("EVIDENCE_ARCHIVE_UNKNOWN", number=number, reason=str(exc)) from exc
    if timestamp.time > known_at and number < len(record.archive):
        raise RefusedError("EVIDENCE_ARCHIVE", number=number, reason="it is newer than the one after it")
    return timestamp


def add_entry(
    record: EvidenceRecord,
    *,
    stamp: Stamp,
    trust: TimestampTrust,
    at: datetime,
    materials: Materials,
    hash_algorithm: str,
    document_digests: dict[str, bytes] | None = None,
) -> EvidenceRecord:
    """Stamp a record as it is now, and check what came back before anybody relies on it.

    Args:
        materials: what the check of the former tokens needs, besides what the record already holds.

    Raises:
        VerifyError: the authority did not answer, or its token is not good.
    """
    known = record.all_materials
    materials |= _materials_of_anchors(trust, at)
    fresh = Materials(
        certificates=tuple(item for item in materials.certificates if item not in known.certificates),
        crls=tuple(item for item in materials.crls if item not in known.crls),
        ocsp=tuple(item for item in materials.ocsp if item not in known.ocsp),
    )
    entry = ArchiveEntry(
        hash_algorithm=hash_algorithm, document_digests=document_digests or {}, materials=fresh
    )
    bare = record.with_entry(entry)
    data = bare.stamped_data(len(bare.archive))
    stamped = record.with_entry(replace(entry, token=stamp(data, hash_algorithm)))
    check_archive(stamped, trust=trust, at=at)
    return stamped


def _materials_of_anchors(trust: TimestampTrust, at: datetime) -> Materials:
    """Lists about the authorities; which of them will stamp is known only afterwards."""
    crls: list[bytes] = []
    names = dict.fromkeys(
        [anchor.name for anchor in trust.path.anchors] + [c.subject for c in trust.path.candidates]
    )
    for name in names:
        evidence = trust.path.evidence
        for lists in (evidence.crls_of(name), evidence.deltas_of(name)):
            crls += [crl.der for crl in lists if crl.next_update is None or crl.next_update > at][:4]
    answers = tuple(answer.der for answer in trust.path.evidence.ocsp[:16])
    return Materials(
        certificates=tuple(c.der for c in trust.path.candidates[:16]), crls=tuple(crls), ocsp=answers
    )


def judged_materials(judged: JudgedPath) -> Materials:
    """What a path was judged with."""
    return Materials(
        certificates=tuple(certificate.der for certificate in judged.path.chain),
        crls=tuple(crl.der for crl in judged.crls),
        ocsp=tuple(answer.der for answer in judged.ocsp),
    )


def with_materials(trust: TimestampTrust, materials: Materials) -> TimestampTrust:
    """The same anchors, with the certificates and lists of a record beside the checker's own."""
    certificates, crls, answers = load_materials(materials)
    path = replace(
        trust.path,
        candidates=(*trust.path.candidates, *certificates),
        evidence=JoinedEvidence(trust.path.evidence, crls, answers),
    )
    return replace(trust, path=path)


def load_materials(
    materials: Materials,
) -> tuple[tuple[ParsedCertificate, ...], tuple[Crl, ...], tuple[OcspResponse, ...]]:
    """Parsed; what cannot be read in a record makes it a wrong record.

    Raises:
        MalformedError: ``EVIDENCE_MALFORMED``.
    """
    try:
        return (
            tuple(parse_certificate(item) for item in materials.certificates),
            tuple(load_crl(item) for item in materials.crls),
            tuple(load_ocsp(item) for item in materials.ocsp),
        )
    except MalformedError as exc:
        raise MalformedError("EVIDENCE_MALFORMED", detail=str(exc)[:300]) from exc
