"""A signed form: document and signature in, signers judged at the time that is proved, or a refusal.

    form = verify_form(document, signature, verifier=verifier, timestamps=timestamps, at=datetime.now(UTC))
    print(form.signer.identity.id, form.signer.signed_at)

The signature is CMS (attached or detached) or raw with its certificate. Non-repudiation needs a time: with a
timestamp of an authority that we trust the signer is judged at that time, whatever became of him since;
without one he is judged now, and the result says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from onecert.verifier.arguments import as_octets, check_aware
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, RefusedError, RevokedError, VerifyError
from onecert.verifier.keys import load_public_key
from onecert.verifier.login import default_algorithm
from onecert.verifier.result import Notice
from onecert.verifier.signatures import verify_signature
from onecert.verifier.signed_form.attributes import COUNTERSIGNATURE, SIGNATURE_TIMESTAMP
from onecert.verifier.signed_form.cms import SignedData, SignerInfo, load_signed_data
from onecert.verifier.signed_form.form_result import FormPolicy, FormSigner, SignedForm
from onecert.verifier.signed_form.past_path import PathTrust
from onecert.verifier.signed_form.proved_time import ProvedTime, prove_time
from onecert.verifier.signed_form.raw import RawSignature
from onecert.verifier.signed_form.signer_check import Content, check_signer_info, content_of
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
    signature: bytes | RawSignature,
    *,
    at: datetime,
    verifier: Verifier | None = None,
    trust: PathTrust | None = None,
    timestamps: TimestampTrust | None = None,
    policy: FormPolicy | None = None,
) -> SignedForm:
    """Check the signature of a form.

    Args:
        document: what was signed, or ``None`` when a CMS message carries it.
        signature: CMS SignedData in DER, BER or PEM, or a raw signature with its certificate.
        at: now, aware.
        verifier: the department's own; names the signers. Either this or ``trust``.
        trust: explicit anchors and evidence; names nobody.
        timestamps: whose timestamps count; ``None`` for nobody's.

    Raises:
        SignatureInvalidError: ``CMS_DIGEST`` (another document), ``SIGNATURE_INVALID``.
        RevokedError: ``FORM_REVOKED_BEFORE_SIGNING``; ``FORM_REVOKED_TIME_NOT_PROVED`` when nothing proves
            that the signature is older than the revocation; ``FORM_KEY_INVALID_SINCE``.
        RefusedError: any other reason; ``code`` says which.
        CouldNotCheckError: the list or the evidence is missing or stale; when the signer's certificate has
            ended, also why the timestamp cannot be judged, such as ``TIMESTAMP_AUTHORITY_ENDED``.
    """
    if (verifier is None) == (trust is None):
        raise ValueError("give verifier or trust")
    check_aware(at)
    if document is not None:
        document = as_octets(document, "a document")
    judge: SignerJudge = AnchoredSigners(trust) if trust is not None else ListedSigners(_given(verifier))
    return judge_form(
        document, signature, judge=judge, timestamps=timestamps, policy=policy or FormPolicy(), at=at
    )


def _given(verifier: Verifier | None) -> Verifier:
    assert verifier is not None  # noqa: S101  the caller has looked
    return verifier


def judge_form(
    document: bytes | None,
    signature: bytes | RawSignature,
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
    if isinstance(signature, RawSignature):
        return _verify_raw(document, signature, around)
    message = load_signed_data(signature)
    if digests is not None and document is None and message.content is None:
        content = digests
    else:
        content = content_of(message, document)
    if len(message.signers) > 1 and not policy.several_signers:
        raise RefusedError("CMS_SEVERAL_SIGNERS", count=len(message.signers))
    signers = tuple(_verify_signer(signer, message, content, around) for signer in message.signers)
    return SignedForm(
        content=content,
        signers=signers,
        checked_at=at,
        judge=judge,
        timestamps=timestamps,
        policy=policy,
        message=message,
    )


@dataclass(frozen=True, slots=True)
class _Around:
    judge: SignerJudge
    timestamps: TimestampTrust | None
    policy: FormPolicy
    at: datetime
    known_at: datetime
    archived_at: datetime | None

    def time_of(
        self, signature: bytes, tokens: Sequence[bytes], candidates: Sequence[ParsedCertificate] = ()
    ) -> ProvedTime:
        proved = prove_time(
            signature,
            tokens,
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


def _verify_signer(signer: SignerInfo, message: SignedData, content: Content, around: _Around) -> FormSigner:
    # 1. When did the signature exist?
    tokens = () if signer.unsigned is None else signer.unsigned.values.get(SIGNATURE_TIMESTAMP, ())
    time = around.time_of(signer.signature, tokens, message.certificates)
    # 2. Is it right, with algorithms that were accepted then, and whose certificates are they?
    certificates = (*message.certificates, *around.judge.candidates)
    named = check_signer_info(
        signer,
        message.content_type,
        content,
        certificates=certificates,
        policy=around.judge.algorithms,
        at=time.at,
        allow_no_attributes=around.policy.allow_no_attributes,
    )
    # 3. Could the signer be relied upon at that time?
    certificate, judged = _judge_one_of(named, time, around, message)
    if signer.signed is None or not signer.signed.certificate_hashes():
        _check_unbound(judged, certificate)
    # 4. What a person should know.
    claimed_at = None if signer.signed is None else signer.signed.signing_time
    notices = [*time.notices, *_status_notices(judged, time, around)]
    if time.is_proved and claimed_at is not None and claimed_at > time.at:
        notices.append(Notice("FORM_CLAIMED_TIME", (("claimed_at", claimed_at), ("proved_at", time.at))))
    if signer.unsigned is not None and COUNTERSIGNATURE in signer.unsigned.values:
        notices.append(Notice("CMS_COUNTERSIGNED"))
    return FormSigner(
        certificate=certificate,
        judged=judged,
        time=time,
        claimed_at=claimed_at,
        digest_algorithm=signer.digest_algorithm,
        notices=tuple(notices),
    )


def _verify_raw(document: bytes | None, signature: RawSignature, around: _Around) -> SignedForm:
    if document is None:
        raise CouldNotCheckError("FORM_DOCUMENT_NEEDED", algorithm="-")
    certificate = signature.parse_certificate()
    data = signature.signed_data(document)
    tokens = () if signature.timestamp is None else (signature.timestamp,)
    time = around.time_of(signature.value, tokens)
    algorithms = around.judge.algorithms
    key = load_public_key(certificate.spki_der)
    verify_signature(
        key,
        signature.algorithm or default_algorithm(key),
        signature.value,
        data,
        policy=algorithms,
        at=time.at,
    )
    judged = _judge(certificate, time, around, None)
    _check_unbound(judged, certificate)
    signer = FormSigner(
        certificate=certificate,
        judged=judged,
        time=time,
        claimed_at=None,
        digest_algorithm="",
        notices=(*time.notices, *_status_notices(judged, time, around)),
    )
    return SignedForm(
        content=Content(data=document),
        signers=(signer,),
        checked_at=around.at,
        judge=around.judge,
        timestamps=around.timestamps,
        policy=around.policy,
        raw=signature,
    )


def _judge_one_of(
    certificates: Sequence[ParsedCertificate], time: ProvedTime, around: _Around, message: SignedData
) -> tuple[ParsedCertificate, JudgedSigner]:
    """The first certificate that may be relied upon: a key that was certified anew has several."""
    failure: VerifyError | None = None
    for certificate in certificates:
        try:
            return certificate, _judge(certificate, time, around, message)
        except VerifyError as exc:
            failure = failure or exc
    assert failure is not None  # noqa: S101  there is at least one certificate
    raise failure


def _judge(
    certificate: ParsedCertificate, time: ProvedTime, around: _Around, message: SignedData | None
) -> JudgedSigner:
    question = SignerQuestion(
        certificate=certificate,
        at=time.at,
        known_at=max(around.known_at, time.at) if time.is_proved else time.at,
        time_proved=time.is_proved,
    )
    if message is not None:
        question = replace(question, candidates=message.certificates, crls=message.crls, ocsp=message.ocsp)
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
