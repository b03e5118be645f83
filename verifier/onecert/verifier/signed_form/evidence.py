"""Making, renewing and checking evidence records: a signed form that can be judged again years later.

    record = make_evidence(form, stamp=client, at=now)                       # when the form is accepted
    record = renew_evidence(record, trust=trust, stamp=client, at=later)          # before the authority ends
    checked = check_evidence(record, document, trust=trust, at=much_later)        # without network or CA

With an archive timestamp the record is judged with what was known when it was stamped; without one the time
that the signature's own timestamp proves is all there is, and without either it is judged like a new form.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from onecert.verifier.arguments import as_octets, check_aware
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.path import PathParameters
from onecert.verifier.result import Notice
from onecert.verifier.revocation import RevocationEvidence
from onecert.verifier.signed_form.archive import (
    ArchiveChain,
    Stamp,
    add_entry,
    check_archive,
    judged_materials,
    load_materials,
    with_materials,
)
from onecert.verifier.signed_form.digests import digest
from onecert.verifier.signed_form.evidence_record import (
    EvidenceRecord,
    Materials,
    PointedRecord,
    load_evidence,
)
from onecert.verifier.signed_form.evidence_verdict import EvidenceTrust, compare_verdicts, verdict_of
from onecert.verifier.signed_form.form import judge_form
from onecert.verifier.signed_form.form_result import SignedForm
from onecert.verifier.signed_form.past_path import PathTrust
from onecert.verifier.signed_form.recorded_signature import schema_for
from onecert.verifier.signed_form.recorded_signers import IssuancesNow, RecordedSigners
from onecert.verifier.signed_form.signer_check import Content
from onecert.verifier.signed_form.signers import AnchoredSigners, ListedSigners, SignerJudge
from onecert.verifier.strict_json import format_time

__all__ = ["CheckedEvidence", "check_evidence", "make_evidence", "renew_evidence"]


@dataclass(frozen=True, kw_only=True)
class CheckedEvidence:
    """A record that holds. ``form`` is the form judged again; ``archive`` the stamps over the record."""

    record: EvidenceRecord = field(repr=False)
    form: SignedForm
    archive: ArchiveChain
    document_seen: bool
    notices: tuple[Notice, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of what a person may want to know."""
        codes = [notice.code for notice in self.notices]
        for signer in self.form.signers:
            codes += signer.warnings
        return tuple(dict.fromkeys(codes))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.form.as_dict(),
            "recorded_at": format_time(self.record.created_at),
            "document_seen": self.document_seen,
            "verdict": dict(self.record.verdict),
            "archive": [timestamp.as_dict() for timestamp in self.archive.timestamps],
            "warnings": list(self.warnings),
        }


def make_evidence(
    form: SignedForm,
    *,
    at: datetime,
    trust_list: bytes | None = None,
    stamp: Stamp | None = None,
    include_document: bool = False,
    hash_algorithm: str = "sha256",
) -> bytes:
    """The evidence record of a form that has just been accepted, as a JSON file.

    Args:
        at: now.
        trust_list: the signed list; by default the one that the form was judged by knows its own octets.
        stamp: gets the first archive timestamp; without one the record rests on the signature's own.
        include_document: keep the document in the record.

    Raises:
        RefusedError: ``EVIDENCE_LIST`` when the list is another one than the form was judged by.
        CouldNotCheckError: the timestamp authority did not answer; ``EVIDENCE_NO_TIMESTAMP_TRUST``;
            ``EVIDENCE_TOO_LARGE`` when lists or document are larger than a record may be.
    """
    check_aware(at)
    if form.content.data is None:
        raise CouldNotCheckError("FORM_DOCUMENT_NEEDED", algorithm="-")
    document = form.content.data
    names = {hash_algorithm, "sha256", *(s.digest_algorithm for s in form.signers if s.digest_algorithm)}
    materials = Materials()
    for signer in form.everybody:
        materials |= judged_materials(signer.judged.judged)
        if signer.timestamp is not None:
            materials |= judged_materials(signer.timestamp.judged)
    known = Materials(certificates=tuple(c.der for c in form.judge.candidates[:64]))
    signature = form.source if form.message is None else form.message.der
    lists = dict(signer.judged.pointed for signer in form.everybody if signer.judged.pointed is not None)
    pointed = tuple(
        PointedRecord(id=name, document=each.document, roots=each.roots) for name, each in lists.items()
    )
    record = EvidenceRecord(
        schema=3 if pointed else schema_for(signature),
        created_at=at.replace(microsecond=0),
        document_bytes=len(document),
        digests={name: digest(name, document) for name in sorted(names)},
        content=document if include_document else None,
        signature=signature,
        policy=form.policy,
        trust_list=_listed(form, trust_list),
        application=form.judge.application if isinstance(form.judge, ListedSigners) else "",
        materials=materials | known,
        verdict={"signers": [verdict_of(signer) for signer in form.signers]},
        pointed=pointed,
    )
    if stamp is not None:
        if form.timestamps is None:
            raise CouldNotCheckError("EVIDENCE_NO_TIMESTAMP_TRUST")
        record = add_entry(
            record,
            stamp=stamp,
            trust=form.timestamps,
            at=at,
            materials=Materials(),
            hash_algorithm=hash_algorithm,
        )
    return _file(record)


def check_evidence(
    data: bytes | EvidenceRecord, document: bytes | None = None, *, trust: EvidenceTrust, at: datetime
) -> CheckedEvidence:
    """Judge a record again, with nothing but the record and the checker's own trust.

    Args:
        document: compared with the record when it is given; needed for bare and raw signatures unless the
            record holds it.
        at: now.

    Raises:
        MalformedError: ``EVIDENCE_MALFORMED``, ``DOCUMENT_MALFORMED``, ``TOO_LARGE``.
        RefusedError: ``EVIDENCE_ALTERED``, ``EVIDENCE_DOCUMENT``, ``EVIDENCE_VERDICT``, ``EVIDENCE_ARCHIVE``,
            ``EVIDENCE_LIST``, or the reason why the form itself is refused.
        CouldNotCheckError: ``EVIDENCE_ARCHIVE_UNKNOWN``, ``EVIDENCE_RENEWAL_MISSED``, and those of a form.
    """
    check_aware(at)
    if document is not None:
        document = as_octets(document, "a document")
    record = data if isinstance(data, EvidenceRecord) else load_evidence(data)
    # 1. It is about this document.
    content = record.content if document is None else document
    _check_document(record, content)
    # 2. It has not changed since it was stamped, and every stamp held until the next one.
    archive = check_archive(record, trust=trust.timestamps, at=at)
    # 3. The form is judged with what was known then.
    timestamps = trust.timestamps
    if timestamps is not None:
        timestamps = with_materials(timestamps, record.all_materials)
    form = judge_form(
        content,
        record.signature,
        judge=_judge_of(record, trust, archive, at),
        timestamps=timestamps,
        policy=record.policy,
        at=at,
        known_at=archive.archived_at,
        archived_at=archive.archived_at,
        digests=Content(digests=record.digests),
    )
    if content is None:
        # The signature may have carried the document itself: then the digests must be of that.
        _check_document(record, form.content.data)
    # 4. The verdict is the recorded one.
    notices = compare_verdicts(record, form, trust)
    notices += [Notice("EVIDENCE_POINTED_LIST", (("list", each.id),)) for each in record.pointed]
    return CheckedEvidence(
        record=record,
        form=form,
        archive=archive,
        document_seen=content is not None,
        notices=tuple(dict.fromkeys(notices)),
    )


def renew_evidence(
    data: bytes,
    *,
    trust: EvidenceTrust,
    stamp: Stamp,
    at: datetime,
    document: bytes | None = None,
    hash_algorithm: str = "sha256",
) -> bytes:
    """Stamp a record once more, before the last authority's certificate or a digest comes to its end.

    Args:
        document: lets the new entry hold its digest with ``hash_algorithm`` too; without it the document
            stays bound by the older digests.

    Raises:
        VerifyError: the record does not hold any more, or the authority did not answer.
    """
    checked = check_evidence(data, document, trust=trust, at=at)
    if trust.timestamps is None:
        raise CouldNotCheckError("EVIDENCE_NO_TIMESTAMP_TRUST")
    materials = Materials()
    if checked.archive.timestamps:
        materials = judged_materials(checked.archive.timestamps[-1].judged)
    digests = {} if document is None else {hash_algorithm: digest(hash_algorithm, document)}
    record = add_entry(
        checked.record,
        stamp=stamp,
        trust=trust.timestamps,
        at=at,
        materials=materials,
        hash_algorithm=hash_algorithm,
        document_digests=digests,
    )
    return _file(record)


def _file(record: EvidenceRecord) -> bytes:
    """The record as a file that ``load_evidence`` will read."""
    data = record.to_json()
    try:
        load_evidence(data)
    except MalformedError as exc:
        raise CouldNotCheckError("EVIDENCE_TOO_LARGE", detail=str(exc)) from exc
    return data


def _listed(form: SignedForm, trust_list: bytes | None) -> bytes | None:
    """The list's bytes, when they are the list that the form was judged by."""
    if not isinstance(form.judge, ListedSigners):
        return None
    used = {signer.judged.list_sha256 for signer in form.signers}
    listed = trust_list or form.signer.judged.list_document
    if not listed or RecordedSigners.list_sha256(listed) not in used:
        raise RefusedError("EVIDENCE_LIST")
    return listed


def _check_document(record: EvidenceRecord, content: bytes | None) -> None:
    if content is None:
        return
    if len(content) != record.document_bytes:
        raise RefusedError("EVIDENCE_DOCUMENT", algorithm="length")
    for name, value in record.all_digests:
        if not hmac.compare_digest(digest(name, content), value):
            raise RefusedError("EVIDENCE_DOCUMENT", algorithm=name)


def _judge_of(
    record: EvidenceRecord, trust: EvidenceTrust, archive: ArchiveChain, at: datetime
) -> SignerJudge:
    certificates, crls, answers = load_materials(record.all_materials)
    evidence = RevocationEvidence(crls=crls, ocsp=answers)
    if record.trust_list is None:
        parameters = PathParameters(revocation=trust.revocation, algorithms=trust.algorithms)
        return AnchoredSigners(
            PathTrust(
                anchors=trust.anchors, candidates=certificates, evidence=evidence, parameters=parameters
            )
        )
    return RecordedSigners.load(
        record.trust_list,
        pointed=record.pointed,
        keys=trust.keys_and_ends(),
        issuances=None if trust.issuances is None else IssuancesNow(trust.issuances, at),
        created_at=record.created_at,
        archived_at=archive.archived_at,
        application=record.application,
        pairwise_key=trust.pairwise_key,
        registry=trust.registry,
        candidates=certificates,
        evidence=evidence,
        revocation=trust.revocation,
        algorithms=trust.algorithms,
    )
