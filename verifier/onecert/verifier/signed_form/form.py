"""A signed form: document and signature in, signers judged at the time that is proved, or a refusal.

    form = verify_form(document, signature, verifier=verifier, timestamps=timestamps, at=datetime.now(UTC))
    print(form.signer.identity.id, form.signer.signed_at)

The signature is CMS (attached or detached), raw with its certificate, JWS, or inside an XML or PDF document.
Non-repudiation needs a time: with a timestamp of an authority that we trust the signer is judged at that
time, whatever became of him since; without one he is judged now, and the result says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.arguments import as_octets, check_aware
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, RefusedError, RevokedError, VerifyError
from onecert.verifier.result import Notice
from onecert.verifier.signed_form.cms_form import open_cms
from onecert.verifier.signed_form.extras import PdfSignature, XmlSignature, open_extra
from onecert.verifier.signed_form.form_result import FormPolicy, FormSigner, SignatureSource, SignedForm
from onecert.verifier.signed_form.form_signature import Enclosed, FormSignature, OpenedForm
from onecert.verifier.signed_form.jws_form import JwsSignature, open_jws
from onecert.verifier.signed_form.listed_timestamps import listed_timestamps
from onecert.verifier.signed_form.past_path import PathTrust
from onecert.verifier.signed_form.proved_time import ProvedTime, Stamped, prove_time
from onecert.verifier.signed_form.raw import RawSignature, open_raw
from onecert.verifier.signed_form.signer_check import Content
from onecert.verifier.signed_form.signers import (
    AnchoredSigners,
    JudgedSigner,
    ListedSigners,
    SignerJudge,
    SignerQuestion,
)
from onecert.verifier.signed_form.timestamp import TimestampTrust
from onecert.verifier.verifier import Verifier

__all__ = ["judge_form", "verify_form"]


def verify_form(
    document: bytes | None,
    signature: SignatureSource,
    *,
    at: datetime,
    verifier: Verifier | None = None,
    trust: PathTrust | None = None,
    timestamps: TimestampTrust | None = None,
    policy: FormPolicy | None = None,
) -> SignedForm:
    """Check the signature of a form.

    Args:
        document: what was signed, or ``None`` when the signature carries it.
        signature: CMS SignedData in DER, BER or PEM; or a ``RawSignature``, ``JwsSignature``,
            ``XmlSignature`` or ``PdfSignature``.
        at: now, aware.
        verifier: the department's own; names the signers. Either this or ``trust``.
        trust: explicit anchors and evidence; names nobody.
        timestamps: whose timestamps count; ``None`` for the timestamp authorities of the verifier's list, and
            for nobody's with ``trust``.

    Raises:
        SignatureInvalidError: ``CMS_DIGEST`` and ``XML_DIGEST`` (another document), ``SIGNATURE_INVALID``.
        RevokedError: ``FORM_REVOKED_BEFORE_SIGNING``; ``FORM_REVOKED_TIME_NOT_PROVED`` when nothing proves
            that the signature is older than the revocation; ``FORM_KEY_INVALID_SINCE``.
        RefusedError: any other reason; ``code`` says which.
        CouldNotCheckError: ``FORM_EXTRA_MISSING`` when XML or PDF is not installed; the list or the evidence
            is missing or stale; when the signer's certificate has
            ended, also why the timestamp cannot be judged, such as ``TIMESTAMP_AUTHORITY_ENDED``.
    """
    if (verifier is None) == (trust is None):
        raise ValueError("give verifier or trust")
    check_aware(at)
    if document is not None:
        document = as_octets(document, "a document")
    judge: SignerJudge = AnchoredSigners(trust) if trust is not None else ListedSigners(_given(verifier))
    if verifier is not None and timestamps is None:
        timestamps = listed_timestamps(verifier, at)
    return judge_form(
        document, signature, judge=judge, timestamps=timestamps, policy=policy or FormPolicy(), at=at
    )


def _given(verifier: Verifier | None) -> Verifier:
    assert verifier is not None  # noqa: S101  the caller has looked
    return verifier


def judge_form(
    document: bytes | None,
    signature: SignatureSource,
    *,
    judge: SignerJudge,
    timestamps: TimestampTrust | None,
    policy: FormPolicy,
    at: datetime,
    known_at: datetime | None = None,
    archived_at: datetime | None = None,
    digests: Content | None = None,
) -> SignedForm:
    """``verify_form`` with a judge of signers, and for evidence records.

    Args:
        known_at: judge revocation with what was known then; ``None`` for ``at``.
        archived_at: an archive timestamp proves that the signature existed then.
        digests: of the document, in place of the document.
    """
    around = _Around(judge, timestamps, policy, at, known_at or at, archived_at)
    opened = _open(document, signature, policy, digests)
    if len(opened.signatures) > 1 and not policy.several_signers:
        raise RefusedError("CMS_SEVERAL_SIGNERS", count=len(opened.signatures))
    signers = tuple(_verify_signature(each, around) for each in opened.signatures)
    return SignedForm(
        content=opened.content(),
        signers=signers,
        checked_at=at,
        judge=judge,
        source=signature,
        timestamps=timestamps,
        policy=policy,
        message=opened.message,
    )


def _open(
    document: bytes | None, signature: SignatureSource, policy: FormPolicy, digests: Content | None
) -> OpenedForm:
    if isinstance(signature, RawSignature):
        return open_raw(document, signature)
    if isinstance(signature, JwsSignature):
        return open_jws(document, signature)
    if isinstance(signature, XmlSignature | PdfSignature):
        return open_extra(document, signature)
    return open_cms(document, signature, digests=digests, allow_no_attributes=policy.allow_no_attributes)


@dataclass(frozen=True, slots=True)
class _Around:
    judge: SignerJudge
    timestamps: TimestampTrust | None
    policy: FormPolicy
    at: datetime
    known_at: datetime
    archived_at: datetime | None

    def time_of(self, stamps: Sequence[Stamped], candidates: Sequence[ParsedCertificate] = ()) -> ProvedTime:
        proved = prove_time(
            stamps,
            trust=self.timestamps,
            at=self.at,
            candidates=candidates,
            known_at=self.known_at,
            archived_at=self.archived_at,
        )
        if self.policy.require_timestamp and not proved.is_proved:
            reason = "" if proved.failure is None else str(proved.failure)
            raise RefusedError("FORM_TIME_NOT_PROVED", reason=reason) from proved.failure
        return proved


def _verify_signature(signature: FormSignature, around: _Around) -> FormSigner:
    # 1. When did the signature exist?
    time = around.time_of(signature.stamps, signature.enclosed.certificates)
    # 2. Is it right, with algorithms that were accepted then, and whose certificates are they?
    checked = signature.check(around.judge.candidates, around.judge.algorithms, time.at)
    # 3. Could the signer be relied upon at that time?
    certificate, judged = _judge_one_of(checked.certificates, time, around, signature.enclosed)
    if not checked.names_certificate:
        _check_unbound(judged, certificate)
    # 4. What a person should know.
    countersigners, refused = _countersigners(signature, around)
    notices = [*time.notices, *_status_notices(judged, time, around), *checked.notices, *refused]
    claimed_at = checked.claimed_at
    if time.is_proved and claimed_at is not None and claimed_at > time.at:
        notices.append(Notice("FORM_CLAIMED_TIME", (("claimed_at", claimed_at), ("proved_at", time.at))))
    return FormSigner(
        certificate=certificate,
        judged=judged,
        time=time,
        claimed_at=claimed_at,
        digest_algorithm=signature.digest_algorithm,
        notices=tuple(notices),
        countersigners=tuple(countersigners),
    )


def _countersigners(signature: FormSignature, around: _Around) -> tuple[list[FormSigner], list[Notice]]:
    """Who vouches for a signature, and why others do not count.

    Anybody can add one, so that a bad one does not cost the form its signer.
    """
    found: list[FormSigner] = []
    refused: list[Notice] = []
    for each in signature.countersignatures:
        try:
            found.append(_verify_signature(each, around))
        except VerifyError as exc:
            refused.append(Notice("CMS_COUNTERSIGNATURE_REFUSED", (("reason", str(exc)),)))
    return found, refused


def _judge_one_of(
    certificates: Sequence[ParsedCertificate], time: ProvedTime, around: _Around, enclosed: Enclosed
) -> tuple[ParsedCertificate, JudgedSigner]:
    """The first certificate that may be relied upon: a key that was certified anew has several."""
    failure: VerifyError | None = None
    for certificate in certificates:
        try:
            return certificate, _judge(certificate, time, around, enclosed)
        except VerifyError as exc:
            failure = failure or exc
    assert failure is not None  # noqa: S101  there is at least one certificate
    raise failure


def _judge(
    certificate: ParsedCertificate, time: ProvedTime, around: _Around, enclosed: Enclosed
) -> JudgedSigner:
    question = SignerQuestion(
        certificate=certificate,
        at=time.at,
        known_at=max(around.known_at, time.at) if time.is_proved else time.at,
        time_proved=time.is_proved,
        candidates=enclosed.certificates,
        crls=enclosed.crls,
        ocsp=enclosed.ocsp,
    )
    try:
        return around.judge.judge(question)
    except RevokedError as exc:
        if exc.certificate != certificate.certificate or exc.code == "FORM_KEY_INVALID_SINCE":
            raise
        code = "FORM_REVOKED_BEFORE_SIGNING" if time.is_proved else "FORM_REVOKED_TIME_NOT_PROVED"
        error = RevokedError(
            code,
            revoked_at=exc.revoked_at,
            reason=exc.reason,
            certificate=exc.certificate,
            source=exc.source,
            **exc.contact(),
            subject=certificate.subject_text,
            signed_at=time.at,
        )
        error.attempts = exc.attempts
        raise error from exc
    except RefusedError as exc:
        # The timestamp may well be older than the end of the certificate: nobody can tell.
        if exc.code == "CERT_EXPIRED" and isinstance(time.failure, CouldNotCheckError):
            raise time.failure from exc
        raise


def _check_unbound(judged: JudgedSigner, certificate: ParsedCertificate) -> None:
    """A timestamp proves the signature, not the certificate: that may be a thief's, made later."""
    if judged.issuer_compromised:
        raise RefusedError(
            "FORM_CERTIFICATE_NOT_BOUND",
            certificate=certificate.certificate,
            source="RFC 5035, section 4",
            subject=certificate.subject_text,
        )


def _status_notices(judged: JudgedSigner, time: ProvedTime, around: _Around) -> list[Notice]:
    """A list made before the signature cannot know of a revocation that was on its way."""
    path = judged.judged
    if not time.is_proved or not path.path.sources or path.is_status_newer:
        return []
    newest = max(source.this_update for source in path.path.sources)
    if around.policy.require_later_status:
        raise CouldNotCheckError("FORM_STATUS_BEFORE_SIGNING", signed_at=time.at, this_update=newest)
    return [Notice("FORM_STATUS_BEFORE_SIGNING", (("signed_at", time.at), ("this_update", newest)))]
