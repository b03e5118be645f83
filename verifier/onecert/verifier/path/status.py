"""Revocation of one certificate on a path: asks OCSP answers and CRLs, and weighs what they say.

Any of them that says *revoked* refuses. A hold can be lifted, so between a hold and a good answer the newer
one counts. When nothing can be believed, the policy's mode decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import BudgetError, RevocationUnknownError, RevokedError, VerifyError
from onecert.verifier.path.validate import PathState, RevocationAnswer
from onecert.verifier.result import Notice, Source
from onecert.verifier.revocation.crl import Crl
from onecert.verifier.revocation.crl_check import SignerCheck, Subject, check_by_crl
from onecert.verifier.revocation.evidence import RevocationEvidence, RevocationMode, RevocationPolicy
from onecert.verifier.revocation.ocsp import OcspResponse
from onecert.verifier.revocation.ocsp_check import check_by_ocsp

__all__ = ["StatusQuestion", "find_status"]

_HOLD = "certificateHold"
# There was nothing to look at; every other failure says that something was there and could not be believed.
_NOTHING = "NO_EVIDENCE"
_NOTHING_ASKED = RevocationAnswer((), (), None, None)
_CRL_POINTS = "2.5.29.31"
_PLANS_MAX = 64


@dataclass(frozen=True, slots=True)
class StatusQuestion:
    """One certificate, issued by the last authority of ``state``, and what may be used to answer.

    ``check_signer`` raises unless somebody entitled has signed a CRL, ``check_responder`` the same for an
    answer.
    """

    certificate: ParsedCertificate
    state: PathState
    at: datetime
    evidence: RevocationEvidence
    responses: tuple[OcspResponse, ...]
    policy: RevocationPolicy
    check_signer: SignerCheck
    check_responder: Callable[[OcspResponse], None]


@dataclass(frozen=True, slots=True)
class _Statement:
    """One believed source, in the words that both kinds share."""

    revoked_at: datetime | None
    reason: str
    source: Source
    valid_from: datetime
    valid_until: datetime
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """The lists that answer for every certificate of one CA with the same distribution points."""

    version: int
    crls: tuple[Crl, ...]
    valid_from: datetime
    valid_until: datetime


def find_status(question: StatusQuestion) -> RevocationAnswer:
    """Answer for a certificate that is good.

    Raises:
        RevokedError: ``CERT_REVOKED``, ``CERT_HELD``.
        RevocationUnknownError: ``REVOCATION_UNKNOWN``; the fact ``causes`` has the codes behind it.
    """
    mode = question.policy.mode_for(is_ca=question.certificate.is_ca)
    if mode is RevocationMode.OFF:
        return _NOTHING_ASKED
    if not question.responses:
        known = _ask_known_lists(question)
        if known is not None:
            return known
    statements: list[_Statement] = []
    failures: list[VerifyError] = []
    for ask in (_ask_ocsp, _ask_crls) if question.responses else (_ask_crls,):
        try:
            statements.append(ask(question))
        except BudgetError:
            raise
        except VerifyError as exc:
            # Also a revoked CRL signer: that is no answer about this certificate.
            failures.append(exc)
    if statements:
        return _weigh(question.certificate, statements)
    return _unknown(question.certificate, mode, failures)


def _ask_known_lists(question: StatusQuestion) -> RevocationAnswer | None:
    """The short way: lists that have already answered for a sibling, none of which names this certificate.

    ``None`` sends the question the long way, also when a list names the certificate: a delta may release it.
    """
    certificate, state = question.certificate, question.state
    plan = state.plans.get((certificate.extension_value(_CRL_POINTS), certificate.is_ca))
    if (
        plan is None
        or plan.version != question.evidence.version
        or not plan.valid_from <= question.at < plan.valid_until
    ):
        return None
    serial, issuer = certificate.serial, state.issuer
    for crl in plan.crls:
        if crl.find(serial, issuer) is not None:
            return None
    newest = plan.crls[0]
    source = Source("crl", certificate, newest, newest.this_update, newest.next_update)
    return RevocationAnswer((source,), (), plan.valid_from, plan.valid_until)


def _ask_ocsp(question: StatusQuestion) -> _Statement:
    certificate, policy = question.certificate, question.policy
    answer = check_by_ocsp(
        certificate,
        question.state.spki_der,
        question.responses,
        policy=policy,
        at=question.at,
        check_responder=question.check_responder,
    )
    single = answer.single
    source = Source("ocsp", certificate, answer.response, single.this_update, single.next_update)
    until = single.next_update or single.this_update + policy.ocsp_max_age
    return _Statement(single.revoked_at, single.reason, source, single.this_update, until)


def _ask_crls(question: StatusQuestion) -> _Statement:
    certificate, policy, at = question.certificate, question.policy, question.at
    version = question.evidence.version
    answer = check_by_crl(Subject.of(certificate), question.evidence, policy, at, question.check_signer)
    newest = answer.crls[0]
    since = max(crl.this_update for crl in answer.crls)
    until = min(crl.next_update for crl in answer.crls if crl.next_update is not None)
    warnings: tuple[Notice, ...] = ()
    stale = at >= until
    if stale:
        warnings = (Notice("CRL_STALE", (("issuer", newest.issuer_text), ("next_update", until))),)
        until += policy.crl_grace
    if answer.signers_until is not None:
        # What was learned about another signer holds from now until its own evidence ends.
        since, until = at, min(until, answer.signers_until)
    if not stale and answer.entry is None and answer.signers_until is None:
        plans = question.state.plans
        if len(plans) >= _PLANS_MAX:
            plans.clear()
        key = (certificate.extension_value(_CRL_POINTS), certificate.is_ca)
        plans[key] = _Plan(version, answer.crls, since, until)
    entry = answer.entry
    return _Statement(
        None if entry is None else entry.revoked_at,
        "" if entry is None else entry.reason,
        Source("crl", certificate, newest, newest.this_update, newest.next_update),
        since,
        until,
        warnings,
    )


def _weigh(certificate: ParsedCertificate, statements: list[_Statement]) -> RevocationAnswer:
    newest_first = sorted(statements, key=lambda item: item.source.this_update, reverse=True)
    for statement in newest_first:
        if statement.revoked_at is not None and statement.reason != _HOLD:
            _refuse("CERT_REVOKED", certificate, statement)
    decisive = newest_first[0]
    if decisive.revoked_at is not None:
        _refuse("CERT_HELD", certificate, decisive)
    good = [statement for statement in newest_first if statement.revoked_at is None]
    return RevocationAnswer(
        tuple(statement.source for statement in good),
        tuple(warning for statement in good for warning in statement.warnings),
        max(statement.valid_from for statement in good),
        min(statement.valid_until for statement in good),
    )


def _refuse(code: str, certificate: ParsedCertificate, statement: _Statement) -> None:
    assert statement.revoked_at is not None  # noqa: S101  the caller has looked
    raise RevokedError(
        code,
        revoked_at=statement.revoked_at,
        reason=statement.reason,
        certificate=certificate.certificate,
        source="RFC 5280, section 6.1.3 (a)(3)",
        subject=certificate.subject_text,
        serial=f"{certificate.serial:x}",
        by=statement.source.kind,
    )


def _unknown(
    certificate: ParsedCertificate, mode: RevocationMode, failures: list[VerifyError]
) -> RevocationAnswer:
    telling = [failure for failure in failures if failure.code != _NOTHING] or failures[:1]
    causes = tuple(failure.code for failure in telling)
    facts = {
        "subject": certificate.subject_text,
        "detail": "; ".join(str(failure) for failure in telling),
        "causes": causes,
    }
    # "The responder does not know it" is an answer, and not a reassuring one.
    if mode is RevocationMode.PREFER and "OCSP_UNKNOWN" not in causes:
        return RevocationAnswer((), (Notice("REVOCATION_NOT_CHECKED", tuple(facts.items())),), None, None)
    raise RevocationUnknownError(
        "REVOCATION_UNKNOWN",
        certificate=certificate.certificate,
        source="RFC 5280, section 6.1.3 (a)(3)",
        **facts,
    )
