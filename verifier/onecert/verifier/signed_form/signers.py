"""Whom to believe as a signer: by explicit anchors, or by the trust list with an identity.

Both answer the same question, so that everything above them is written once: may this certificate be relied
upon for a signature at S, with what is known at C, and whose is it?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RefusedError
from onecert.verifier.identity.errors import IdentityError
from onecert.verifier.identity.identity import Identity, identify
from onecert.verifier.path import PathParameters
from onecert.verifier.purposes import SIGNING, Purpose
from onecert.verifier.revocation import Crl, OcspResponse
from onecert.verifier.service_status import Moments, check_service, name_service, service_facts
from onecert.verifier.service_terms import check_terms
from onecert.verifier.signed_form.past_path import HARMLESS_REASONS, JudgedPath, PathTrust, judge_path
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.pointers import check_missing
from onecert.verifier.trust_list.vocabulary import Status
from onecert.verifier.verifier import Verifier

__all__ = ["AnchoredSigners", "JudgedSigner", "ListedSigners", "SignerJudge", "SignerQuestion"]


@dataclass(frozen=True, kw_only=True)
class SignerQuestion:
    """One signer: his certificate, the time he is judged at, and what came with the signature.

    ``at`` is the proved time of signing when ``time_proved``, else the same as ``known_at``.
    """

    certificate: ParsedCertificate
    at: datetime
    known_at: datetime
    time_proved: bool
    candidates: Sequence[ParsedCertificate] = ()
    crls: Sequence[Crl] = ()
    ocsp: Sequence[OcspResponse] = ()


@dataclass(frozen=True, kw_only=True)
class JudgedSigner:
    """A signer who may be relied upon. ``identity`` and ``list_…`` come from a trust list only.

    ``pointed`` is the list that ours points to, with the id of the pointer, when the signer's CA is on that.

    ``issuer_compromised`` says that a key above the signer was lost after he signed: whoever has it can write
    certificates with old dates, so that the signature itself must name the certificate.
    """

    judged: JudgedPath
    identity: Identity | None = None
    ca_service: str = ""
    ca_status: str = ""
    list_sequence: int | None = None
    list_sha256: str = ""
    list_document: bytes = field(default=b"", repr=False)
    pointed: tuple[str, TrustList] | None = field(default=None, repr=False)
    issuer_compromised: bool = False
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "identity": self.identity and self.identity.as_dict(),
            "ca_service": self.ca_service,
            "ca_status": self.ca_status,
            "list_sequence": self.list_sequence,
        }


class SignerJudge(Protocol):
    """Judges signers."""

    @property
    def algorithms(self) -> AlgorithmPolicy:
        """Which algorithms a signature may use."""

    @property
    def candidates(self) -> Sequence[ParsedCertificate]:
        """Certificates known beforehand."""

    def judge(self, question: SignerQuestion) -> JudgedSigner:
        """Raise unless the signer may be relied upon."""


@dataclass(frozen=True)
class AnchoredSigners:
    """Signers below explicit anchors; nobody is named."""

    trust: PathTrust
    purpose: Purpose = SIGNING

    @property
    def algorithms(self) -> AlgorithmPolicy:
        """See ``SignerJudge``."""
        return self.trust.parameters.algorithms

    @property
    def candidates(self) -> Sequence[ParsedCertificate]:
        """See ``SignerJudge``."""
        return self.trust.candidates

    def judge(self, question: SignerQuestion) -> JudgedSigner:
        """See ``SignerJudge``."""
        judged = _judge_path(question, self.trust, self.purpose)
        return JudgedSigner(
            judged=judged,
            issuer_compromised=_is_issuer_compromised(judged),
            warnings=tuple(notice.code for notice in judged.path.warnings),
        )


class ListedSigners:
    """Signers below the services of the trust list, named as each service writes its holders.

    Args:
        verifier: the department's own; its list, evidence, registry and rules apply.
    """

    def __init__(self, verifier: Verifier, *, purpose: Purpose = SIGNING) -> None:
        self._verifier = verifier
        self._purpose = purpose

    @property
    def algorithms(self) -> AlgorithmPolicy:
        """See ``SignerJudge``."""
        return self._verifier.algorithms

    @property
    def candidates(self) -> Sequence[ParsedCertificate]:
        """See ``SignerJudge``."""
        return self._verifier._candidates

    @property
    def application(self) -> str:
        """The application that the verifier works for."""
        return self._verifier.application

    def list_for(self, question: SignerQuestion) -> TrustList:
        """The list that this question is answered by: the one in use when everything is known."""
        return self._verifier.trust_list(question.known_at)

    def judge(self, question: SignerQuestion) -> JudgedSigner:
        """See ``SignerJudge``; the steps are those of ``Verifier.verify``, with two times."""
        verifier, known_at = self._verifier, question.known_at
        trust_list = self.list_for(question)
        trust = PathTrust(
            anchors=trust_list.anchors,
            candidates=verifier._candidates,
            evidence=verifier._evidence.lists(trust_list, known_at),
            parameters=PathParameters(
                revocation=verifier.revocation_policy(self._purpose),
                algorithms=verifier.algorithms,
                limits=verifier._limits,
            ),
        )
        target = question.certificate
        answers = verifier._evidence.answers(target, trust_list, known_at)
        try:
            judged = _judge_path(question, trust, self._purpose, answers)
        except RefusedError as exc:
            check_missing(exc, trust_list)
            name_service(exc, target, trust_list)
            raise
        service = trust_list.by_id.get(judged.path.anchor.label)
        if service is None:
            raise RefusedError("CERT_ISSUER_NOT_LISTED", certificate=target.certificate)
        recorded = verifier.recorded_issue(service, target, known_at)
        moments = Moments(
            issued=recorded or target.not_before,
            used=question.at,
            checked=known_at,
            recorded=recorded is not None,
            time_proved=question.time_proved,
            status_answered=judged.is_answered,
        )
        verdict = check_service(service, moments)
        check_terms(service, judged.path, question.at)
        if service.identity_profile is None:
            raise IdentityError("CA_PROFILE_MISSING", **service_facts(service))
        identity = identify(
            target,
            service.identity_profile,
            ca_service=service.id,
            at=question.at,
            persons=verifier._persons,
            registry=verifier._registry,
        )
        codes = (
            *trust_list.warnings,
            *(notice.code for notice in judged.path.warnings),
            *verdict.warnings,
            *identity.warnings,
        )
        return JudgedSigner(
            judged=judged,
            identity=identity,
            ca_service=service.id,
            ca_status=verdict.at_use.value,
            list_sequence=trust_list.sequence,
            list_sha256=trust_list.sha256,
            list_document=trust_list.document,
            pointed=trust_list.list_of(service.id),
            issuer_compromised=_is_issuer_compromised(judged)
            or any(
                entry.status is Status.KEY_COMPROMISED and entry.start <= known_at
                for entry in service.history
            ),
            warnings=tuple(dict.fromkeys(codes)),
        )


def _judge_path(
    question: SignerQuestion, trust: PathTrust, purpose: Purpose, answers: Sequence[OcspResponse] = ()
) -> JudgedPath:
    return judge_path(
        question.certificate,
        trust,
        purpose=purpose,
        at=question.at,
        known_at=question.known_at,
        candidates=question.candidates,
        crls=question.crls,
        ocsp=(*question.ocsp, *answers),
    )


def _is_issuer_compromised(judged: JudgedPath) -> bool:
    return any(later.certificate.is_ca and later.reason not in HARMLESS_REASONS for later in judged.later)
