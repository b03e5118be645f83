"""What the evidence at hand says about one certificate on a path, each kind for itself.

``ask_ocsp`` and ``ask_crls`` answer with a statement of one believed source, or raise; ``path.status`` weighs
what they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.path.validate import PathState, RevocationAnswer
from onecert.verifier.result import Notice, Source
from onecert.verifier.revocation.crl import Crl
from onecert.verifier.revocation.crl_check import SignerCheck, Subject, check_by_crl
from onecert.verifier.revocation.evidence import RevocationEvidence
from onecert.verifier.revocation.ocsp import OcspResponse
from onecert.verifier.revocation.ocsp_check import ResponderCheck, check_by_ocsp, end_of_answer
from onecert.verifier.revocation.policy import RevocationPolicy, RevocationSources

__all__ = ["NEVER_ISSUED", "Statement", "StatusQuestion", "ask_crls", "ask_known_lists", "ask_ocsp"]

NEVER_ISSUED = "neverIssued"
_CRL_POINTS = "2.5.29.31"
_PLANS_MAX = 64
_LISTS_SUFFICE = frozenset(RevocationSources) - {RevocationSources.BOTH, RevocationSources.OCSP}


@dataclass(frozen=True, slots=True)
class StatusQuestion:
    """One certificate, issued by the last authority of ``state``, and what may be used to answer.

    ``check_signer`` raises unless somebody entitled has signed a CRL, ``check_responder`` the same for an
    answer. ``lists_only`` leaves OCSP out whatever the policy says: a responder does not speak about itself.
    """

    certificate: ParsedCertificate
    state: PathState
    at: datetime
    evidence: RevocationEvidence
    responses: tuple[OcspResponse, ...]
    policy: RevocationPolicy
    check_signer: SignerCheck
    check_responder: ResponderCheck
    lists_only: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One believed source, in the words that both kinds share."""

    revoked_at: datetime | None
    reason: str
    source: Source
    valid_from: datetime
    valid_until: datetime
    warnings: tuple[Notice, ...] = ()

    @property
    def stale(self) -> bool:
        """It is over, and used because the policy allows it offline."""
        return bool(self.warnings)


def _stale_warning(source: Source, end: datetime, at: datetime) -> tuple[Notice, ...]:
    if at < end:
        return ()
    facts = {
        "kind": source.kind,
        "issuer": source.answer.source_text,
        "this_update": source.this_update,
        "next_update": end,
        "age": at - source.this_update,
    }
    return (Notice("REVOCATION_STALE", tuple(facts.items())),)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The lists that answer for every certificate of one CA with the same distribution points.

    ``asked`` are those that were used, newest information first, and those that can only refuse.
    """

    version: int
    asked: tuple[Crl, ...]
    valid_from: datetime
    valid_until: datetime


def ask_known_lists(
    certificate: ParsedCertificate,
    state: PathState,
    evidence: RevocationEvidence,
    responses: Sequence[OcspResponse],
    at: datetime,
) -> RevocationAnswer | None:
    """The short way: lists that have already answered for a sibling, none of which names this certificate.

    ``None`` sends the question the long way, also when a list names the certificate, because a delta may
    release it, or when an answer speaks of its serial number.
    """
    plan = state.plans.get((certificate.extension_value(_CRL_POINTS), certificate.is_ca))
    if plan is None or plan.version != evidence.version or not plan.valid_from <= at < plan.valid_until:
        return None
    serial, issuer = certificate.serial, state.issuer
    for response in responses:
        if serial in response.serials:
            return None
    for crl in plan.asked:
        if crl.find(serial, issuer) is not None:
            return None
    newest = plan.asked[0]
    source = Source("crl", certificate, newest, newest.this_update, newest.next_update)
    return RevocationAnswer((source,), (), plan.valid_from, plan.valid_until)


def ask_ocsp(question: StatusQuestion, *, revoked_only: bool) -> Statement:
    """The newest OCSP answer that can be believed.

    Args:
        revoked_only: look at those only that say "revoked".

    Raises:
        CouldNotCheckError, BudgetError: see ``check_by_ocsp``.
    """
    certificate, policy, at = question.certificate, question.policy, question.at
    spki_der, responses = question.state.spki_der, question.responses
    if revoked_only:
        # Do not pay for signatures of answers that can change nothing.
        responses = tuple(
            response
            for response in responses
            if any(
                single.status == "revoked"
                and single.matches(certificate.serial, certificate.issuer_der, spki_der)
                for single in response.answers
            )
        )
    answer = check_by_ocsp(
        certificate, spki_der, responses, policy=policy, at=at, check_responder=question.check_responder
    )
    single = answer.single
    end = end_of_answer(single, policy)
    since, until = single.this_update, end if at < end else policy.last_use(end)
    if answer.signer_until is not None:
        since, until = max(since, at), min(until, answer.signer_until)
    source = Source("ocsp", certificate, answer.response, single.this_update, single.next_update)
    reason = NEVER_ISSUED if answer.was_never_issued else single.reason
    return Statement(single.revoked_at, reason, source, since, until, _stale_warning(source, end, at))


def ask_crls(question: StatusQuestion, *, revoked_only: bool) -> Statement:
    """The lists that cover the certificate.

    Raises:
        CouldNotCheckError, BudgetError: see ``check_by_crl``.
    """
    certificate, policy, at = question.certificate, question.policy, question.at
    version = question.evidence.version
    answer = check_by_crl(Subject.of(certificate), question.evidence, policy, at, question.check_signer)
    newest, entry = answer.crls[0], answer.entry
    source = Source("crl", certificate, newest, newest.this_update, newest.next_update)
    since = max(crl.this_update for crl in answer.crls)
    end = min((crl.next_update for crl in answer.crls if crl.next_update is not None), default=at)
    stale = at >= end
    until = policy.last_use(end) if stale else end
    if answer.signers_until is not None:
        # What was learned about another signer holds from now until its own evidence ends.
        since, until = at, min(until, answer.signers_until)
    is_enough = policy.sources_for(is_ca=certificate.is_ca) in _LISTS_SUFFICE
    if is_enough and not stale and entry is None and answer.signers_until is None:
        plans = question.state.plans
        if len(plans) >= _PLANS_MAX:
            plans.clear()
        key = (certificate.extension_value(_CRL_POINTS), certificate.is_ca)
        plans[key] = _Plan(version, answer.crls + answer.watched, since, until)
    return Statement(
        None if entry is None else entry.revoked_at,
        "" if entry is None else entry.reason,
        source,
        since,
        until,
        _stale_warning(source, end, at),
    )
