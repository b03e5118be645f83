"""The status of one certificate by OCSP: RFC 6960, sections 2.2, 3.2 and 4.2.2.2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onecert.verifier.errors import BudgetError, CouldNotCheckError, VerifyError
from onecert.verifier.revocation.ocsp import OcspResponse
from onecert.verifier.revocation.ocsp_answer import NEVER_ISSUED_SINCE, SingleAnswer
from onecert.verifier.revocation.policy import RevocationPolicy, later
from onecert.verifier.revocation.tried import tell_tried

__all__ = ["OcspAnswer", "ResponderCheck", "check_by_ocsp", "end_of_answer"]

# Raises unless the issuer, or a responder that it authorised, has signed. Answers until when that is known:
# ``None`` when it was the issuer itself.
ResponderCheck = Callable[[OcspResponse], datetime | None]


class Questioned(Protocol):
    """What is asked about: a public-key certificate, or an attribute certificate."""

    @property
    def serial(self) -> int: ...
    @property
    def issuer_der(self) -> bytes: ...
    @property
    def not_after(self) -> datetime: ...
    @property
    def issuer_text(self) -> str: ...
    @property
    def subject_text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """A believed answer, "good" or "revoked"; ``signer_until`` bounds the trust in a delegated responder."""

    single: SingleAnswer
    response: OcspResponse
    signer_until: datetime | None

    @property
    def was_never_issued(self) -> bool:
        """The responder says that its CA has not issued such a certificate (RFC 6960, section 2.2)."""
        single = self.single
        return self.response.extended_revoke and single.is_on_hold and single.revoked_at == NEVER_ISSUED_SINCE


def check_by_ocsp(
    certificate: Questioned,
    issuer_spki_der: bytes,
    responses: Sequence[OcspResponse],
    *,
    policy: RevocationPolicy,
    at: datetime,
    check_responder: ResponderCheck,
) -> OcspAnswer:
    """Find the status.

    Args:
        check_responder: raises unless somebody entitled has signed; see ``ResponderCheck``.

    Raises:
        CouldNotCheckError: no answer about this certificate can be believed; ``OCSP_UNKNOWN`` when the
            responder itself does not know it. The fact ``tried`` has each answer with what was wrong with it.
        BudgetError: from ``check_responder``.
    """
    believed: list[OcspAnswer] = []
    failures: list[tuple[OcspResponse, VerifyError]] = []
    for response in responses:
        singles = [
            single
            for single in response.answers
            if single.matches(certificate.serial, certificate.issuer_der, issuer_spki_der)
        ]
        if not singles:
            continue
        try:
            _check_response(response, policy, at)
            for single in singles:
                _check_single(certificate, single, response, policy, at)
            until = check_responder(response)
        except BudgetError:
            raise
        except VerifyError as exc:
            lasting = _find_lasting(singles, response, exc, check_responder)
            if lasting is not None:
                return lasting
            failures.append((response, exc))
            continue
        believed += [OcspAnswer(single, response, until) for single in singles]
    if not believed:
        error = CouldNotCheckError(
            "OCSP_NO_MATCH" if responses else "NO_EVIDENCE", issuer=certificate.issuer_text
        )
        raise tell_tried(failures[0][1] if failures else error, "ocsp", failures)

    # Several answers: the newest counts, and two different ones of one moment count for nothing.
    newest = max(answer.single.this_update for answer in believed)
    latest = [answer for answer in believed if answer.single.this_update == newest]
    answer = latest[0]
    if len({answer.single.status for answer in latest}) > 1:
        conflict = CouldNotCheckError("REVOCATION_CONFLICT", subject=certificate.subject_text)
        raise tell_tried(conflict, "ocsp", [(one.response, conflict) for one in latest])
    if answer.single.status == "unknown":
        unknown = CouldNotCheckError(
            "OCSP_UNKNOWN", source="RFC 6960, section 2.2", subject=certificate.subject_text
        )
        raise tell_tried(unknown, "ocsp", [(answer.response, unknown)])
    return answer


def end_of_answer(single: SingleAnswer, policy: RevocationPolicy) -> datetime:
    """Until when an answer is good: its next_update, or an age that the policy sets."""
    return single.next_update or later(single.this_update, policy.ocsp_max_age)


def _find_lasting(
    singles: list[SingleAnswer], response: OcspResponse, failure: VerifyError, check_responder: ResponderCheck
) -> OcspAnswer | None:
    """An answer that is over cannot say that a certificate is good; that it is revoked for good, it can."""
    if failure.code == "OCSP_STALE":
        for single in singles:
            if single.status == "revoked" and not single.is_on_hold:
                with suppress(VerifyError):
                    return OcspAnswer(single, response, check_responder(response))
    return None


def _check_response(response: OcspResponse, policy: RevocationPolicy, at: datetime) -> None:
    if response.unknown_critical is not None:
        raise CouldNotCheckError("OCSP_CRITICAL_EXTENSION", oid=response.unknown_critical)
    if policy.nonce is not None and response.nonce != policy.nonce:
        raise CouldNotCheckError("OCSP_NONCE", source="RFC 9654")
    if _is_future(response.produced_at, at, policy):
        raise CouldNotCheckError("OCSP_FUTURE", this_update=response.produced_at)


def _check_single(
    certificate: Questioned,
    single: SingleAnswer,
    response: OcspResponse,
    policy: RevocationPolicy,
    at: datetime,
) -> None:
    if single.unknown_critical is not None:
        raise CouldNotCheckError("OCSP_CRITICAL_EXTENSION", oid=single.unknown_critical)
    if _is_future(single.this_update, min(at, response.produced_at), policy):
        raise CouldNotCheckError("OCSP_FUTURE", this_update=single.this_update)
    if (
        single.status == "good"
        and single.archive_cutoff is not None
        and certificate.not_after < single.archive_cutoff
    ):
        raise CouldNotCheckError(
            "OCSP_ARCHIVE", source="RFC 6960, section 4.4.4", archive_cutoff=single.archive_cutoff
        )
    until = end_of_answer(single, policy)
    if at >= policy.last_use(until) or until < single.this_update:
        raise CouldNotCheckError("OCSP_STALE", next_update=until)


def _is_future(moment: datetime, at: datetime, policy: RevocationPolicy) -> bool:
    return moment > at and moment - at > policy.clock_skew
