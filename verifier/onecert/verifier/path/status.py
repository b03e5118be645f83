"""Revocation of one certificate on a path: asks OCSP answers and CRLs, and weighs what they say.

Any of them that says *revoked* refuses. A hold can be lifted, so between a hold and a good answer the newer
one counts. Which kind may say *good* is the policy's choice (``RevocationSources``); when nothing can be
believed, the policy's mode decides.
"""

from __future__ import annotations

from typing import Protocol

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import BudgetError, RevocationUnknownError, RevokedError, VerifyError
from onecert.verifier.path.statements import (
    NEVER_ISSUED,
    Statement,
    StatusQuestion,
    ask_crls,
    ask_ocsp,
)
from onecert.verifier.path.validate import NOT_ASKED, RevocationAnswer
from onecert.verifier.result import Notice
from onecert.verifier.revocation.policy import RevocationMode, RevocationSources
from onecert.verifier.revocation.unavailable import has_no_revocation

__all__ = ["StatusQuestion", "find_status"]

_HOLD = "certificateHold"
# There was nothing to look at; every other failure says that something was there and could not be believed.
_NOTHING = "NO_EVIDENCE"


class _Ask(Protocol):
    def __call__(self, question: StatusQuestion, *, revoked_only: bool) -> Statement: ...


def find_status(question: StatusQuestion) -> RevocationAnswer:
    """Answer for a certificate that is good.

    Raises:
        RevokedError: ``CERT_REVOKED``, ``CERT_HELD``, ``CERT_NEVER_ISSUED``.
        RevocationUnknownError: ``REVOCATION_UNKNOWN``; the fact ``causes`` has the codes behind it, ``tried``
            each list and answer that was looked at.
    """
    certificate, policy = question.certificate, question.policy
    mode = policy.mode_for(is_ca=certificate.is_ca)
    if mode is RevocationMode.OFF:
        return NOT_ASKED
    sources = policy.sources_for(is_ca=certificate.is_ca)
    if question.lists_only:
        sources = RevocationSources.CRL
    # 1. Ask the kinds in their order. Of a kind that is no longer needed only a revocation is of interest.
    statements: dict[_Ask, Statement] = {}
    failures: list[VerifyError] = []
    order, trusted = _ORDERS[sources]
    for ask in order:
        satisfied = sources not in _ALL_ASKED and any(
            one.revoked_at is None and not one.stale for one in statements.values()
        )
        try:
            statements[ask] = ask(question, revoked_only=satisfied or ask not in trusted)
        except BudgetError:
            raise
        except VerifyError as exc:
            # Also a revoked CRL signer: that is no answer about this certificate.
            if ask in trusted:
                failures.append(exc)
    # 2. Whoever says "revoked" is heard, whichever kind was wanted.
    agree = sources is RevocationSources.BOTH
    _refuse_revoked(certificate, list(statements.values()), agree=agree)
    # 3. Those that may say "good", in the order of the policy.
    good = [statements[ask] for ask in trusted if ask in statements and statements[ask].revoked_at is None]
    if good and (not agree or len(good) == len(trusted)):
        return _accept(sources, good)
    if has_no_revocation(certificate):
        facts = (("subject", certificate.subject_text),)
        return RevocationAnswer((), (Notice("REVOCATION_NOT_AVAILABLE", facts),), None, None)
    return _unknown(certificate, mode, failures)


_ORDERS: dict[RevocationSources, tuple[tuple[_Ask, ...], tuple[_Ask, ...]]] = {
    # What is asked, and what is believed when it says "good"; in order.
    RevocationSources.EITHER: ((ask_ocsp, ask_crls), (ask_ocsp, ask_crls)),
    RevocationSources.BOTH: ((ask_ocsp, ask_crls), (ask_ocsp, ask_crls)),
    RevocationSources.PREFER_OCSP: ((ask_ocsp, ask_crls), (ask_ocsp, ask_crls)),
    RevocationSources.PREFER_CRL: ((ask_crls, ask_ocsp), (ask_crls, ask_ocsp)),
    RevocationSources.OCSP: ((ask_ocsp, ask_crls), (ask_ocsp,)),
    RevocationSources.CRL: ((ask_crls, ask_ocsp), (ask_crls,)),
}
_ALL_ASKED = frozenset({RevocationSources.EITHER, RevocationSources.BOTH})


def _refuse_revoked(certificate: ParsedCertificate, statements: list[Statement], *, agree: bool) -> None:
    """A hold counts when it is the newest thing known, or when all must agree."""
    newest_first = sorted(statements, key=lambda item: item.source.this_update, reverse=True)
    for statement in newest_first:
        if statement.revoked_at is not None and statement.reason != _HOLD:
            never = statement.reason == NEVER_ISSUED
            _refuse("CERT_NEVER_ISSUED" if never else "CERT_REVOKED", certificate, statement)
    for statement in newest_first if agree else newest_first[:1]:
        if statement.revoked_at is not None:
            _refuse("CERT_HELD", certificate, statement)


def _accept(sources: RevocationSources, good: list[Statement]) -> RevocationAnswer:
    """Fresh ones before stale ones, and of two kinds in order of preference the first."""
    if sources is not RevocationSources.BOTH:
        good = [one for one in good if not one.stale] or good
        if sources is not RevocationSources.EITHER:
            good = good[:1]
    good.sort(key=lambda item: item.source.this_update, reverse=True)
    return RevocationAnswer(
        tuple(one.source for one in good),
        tuple(warning for one in good for warning in one.warnings),
        max(one.valid_from for one in good),
        min(one.valid_until for one in good),
    )


def _refuse(code: str, certificate: ParsedCertificate, statement: Statement) -> None:
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
    tried: list[str] = []
    for failure in failures:
        found = failure.facts.get("tried")
        tried += found if isinstance(found, tuple) else [failure.code]
    facts = {
        "subject": certificate.subject_text,
        "detail": "; ".join(str(failure) for failure in telling),
        "causes": causes,
        "tried": tuple(tried),
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
