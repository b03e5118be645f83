"""The status of one certificate by CRL: RFC 5280, section 6.3.3.

Full, partitioned, indirect and delta lists; which of them are about a certificate, ``crl_scope`` decides. Who
may sign a list is asked of the path search, which holds the certificates; here it is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.errors import BudgetError, CouldNotCheckError, VerifyError
from onecert.verifier.extensions import DistributionPoint
from onecert.verifier.names import display_name
from onecert.verifier.revocation.crl import Crl, RevokedEntry
from onecert.verifier.revocation.crl_scope import (
    ALL_REASONS,
    Subject,
    covered_reasons,
    crl_issuers,
    full_scope_matches,
)
from onecert.verifier.revocation.evidence import RevocationEvidence
from onecert.verifier.revocation.policy import RevocationPolicy
from onecert.verifier.revocation.tried import tell_tried

__all__ = ["CrlAnswer", "SignerCheck", "Subject", "check_by_crl"]

# Raises unless somebody entitled has signed the list. Answers until when that is known: ``None`` when it
# was the issuer of the certificate itself, else the end of what was learned about the signer.
SignerCheck = Callable[[Crl], datetime | None]

_REMOVE = "removeFromCRL"
# A list with one of these faults cannot say that a certificate is good; that it is revoked for good, it can.
_STILL_REVOKE = frozenset({"CRL_STALE", "CRL_NO_NEXT_UPDATE"})


@dataclass(frozen=True, slots=True)
class CrlAnswer:
    """``entry`` is ``None`` for a certificate that no list names.

    ``crls`` are the lists used, newest information first; ``signers_until`` bounds the trust in their
    signers and is ``None`` when the issuer of the certificate signed them all. ``watched`` are lists that
    cannot say that a certificate is good, and yet refuse those that they name.
    """

    entry: RevokedEntry | None
    crls: tuple[Crl, ...]
    signers_until: datetime | None
    watched: tuple[Crl, ...] = ()


def check_by_crl(
    subject: Subject,
    evidence: RevocationEvidence,
    policy: RevocationPolicy,
    at: datetime,
    check_signer: SignerCheck,
) -> CrlAnswer:
    """Find the status.

    Args:
        check_signer: raises unless somebody entitled has signed the list; see ``SignerCheck``.

    Raises:
        CouldNotCheckError: no lists, or they do not cover the certificate; the most telling reason is named,
            and the fact ``tried`` has each list with what was wrong with it.
        BudgetError: from ``check_signer``.
    """
    covered: frozenset[int] = frozenset()
    used: list[Crl] = []
    watched: list[Crl] = []
    signers_until: datetime | None = None
    failures: list[tuple[Crl, VerifyError]] = []
    for point, crl in _candidates(subject, evidence):
        try:
            reasons = covered_reasons(subject, point, crl)
            if reasons <= covered:
                continue
            ends = [_check_usable(crl, policy, at, check_signer)]
            delta, end = _find_delta(crl, evidence, policy, at, check_signer)
            entry = _look_up(subject, crl, delta)
            for stale in _stale_deltas(crl, evidence, policy, at):
                against = None if entry is not None else _find_in_stale_delta(subject, stale, check_signer)
                if against is not None:
                    return CrlAnswer(against, (stale, crl), None)
                watched.append(stale)
        except BudgetError:
            raise
        except VerifyError as exc:
            entry = _find_in_unusable(subject, crl, exc, check_signer)
            if entry is not None:
                return CrlAnswer(entry, (crl,), None)
            if exc.code in _STILL_REVOKE:
                watched.append(crl)
            failures.append((crl, exc))
            continue
        ends.append(end)
        used += [delta, crl] if delta is not None else [crl]
        signers_until = min((end for end in (signers_until, *ends) if end is not None), default=None)
        covered |= reasons
        if entry is not None or covered >= ALL_REASONS:
            return CrlAnswer(entry, tuple(used), signers_until, tuple(watched))
    if covered:
        error: VerifyError = CouldNotCheckError(
            "CRL_REASONS", source="RFC 5280, section 6.3.3", issuer=used[0].issuer_text
        )
    elif failures:
        error = max((failure for _, failure in failures), key=_telling)
    else:
        error = CouldNotCheckError("NO_EVIDENCE", issuer=display_name(subject.issuer_der))
    raise tell_tried(error, "crl", failures)


def _telling(failure: VerifyError) -> int:
    """A list that is the right one but stale says more than one that was about something else."""
    return 0 if failure.code == "CRL_SCOPE" else 1


def _candidates(
    subject: Subject, evidence: RevocationEvidence
) -> Iterator[tuple[DistributionPoint | None, Crl]]:
    for point in subject.points:
        for issuer in crl_issuers(point, subject):
            for crl in evidence.crls_of(issuer):
                yield point, crl
    # Last paragraph of section 6.3.3: any other list of the certificate's issuer.
    for crl in evidence.crls_of(subject.issuer):
        yield None, crl


def _check_usable(
    crl: Crl, policy: RevocationPolicy, at: datetime, check_signer: SignerCheck
) -> datetime | None:
    if crl.unknown_critical is not None:
        raise CouldNotCheckError(
            "CRL_CRITICAL_EXTENSION",
            source="RFC 5280, sections 5.2 and 5.3",
            issuer=crl.issuer_text,
            oid=crl.unknown_critical,
        )
    crl.check_fresh(at, grace=policy.allow_offline)
    return check_signer(crl)


def _find_in_unusable(
    subject: Subject, crl: Crl, failure: VerifyError, check_signer: SignerCheck
) -> RevokedEntry | None:
    """The entry for a certificate that is revoked for good, in a list that could not say that it is good."""
    if failure.code not in _STILL_REVOKE:
        return None
    with suppress(VerifyError):
        entry = crl.find(subject.serial, subject.issuer)
        if entry is not None and entry.reason not in {"certificateHold", _REMOVE}:
            check_signer(crl)
            return entry
    return None


def _look_up(subject: Subject, crl: Crl, delta: Crl | None) -> RevokedEntry | None:
    """(i) to (l): first the delta, then the complete list."""
    if delta is not None:
        entry = delta.find(subject.serial, subject.issuer)
        if entry is not None:
            return None if entry.reason == _REMOVE else entry
    return crl.find(subject.serial, subject.issuer)


def _fitting_deltas(crl: Crl, evidence: RevocationEvidence) -> Iterator[Crl]:
    """(c): the complete list is at least as new as the base, and older than the delta. Newest first."""
    for delta in evidence.deltas_of(crl.issuer):
        if (
            crl.number is not None
            and delta.base_number is not None
            and delta.number is not None
            and delta.base_number <= crl.number < delta.number
            and full_scope_matches(crl, delta)
        ):
            yield delta


def _find_delta(
    crl: Crl, evidence: RevocationEvidence, policy: RevocationPolicy, at: datetime, check_signer: SignerCheck
) -> tuple[Crl | None, datetime | None]:
    """The newest delta that is fresh. The offline allowance is for complete lists: without a fresh delta the
    complete list stands, as it does for who knows no deltas."""
    if policy.use_deltas:
        for delta in _fitting_deltas(crl, evidence):
            try:
                return delta, _check_usable(delta, _NO_ALLOWANCE, at, check_signer)
            except BudgetError:
                raise
            except VerifyError:
                continue
    return None, None


def _stale_deltas(
    crl: Crl, evidence: RevocationEvidence, policy: RevocationPolicy, at: datetime
) -> Iterator[Crl]:
    if policy.use_deltas:
        for delta in _fitting_deltas(crl, evidence):
            if delta.next_update is not None and delta.this_update <= at and delta.next_update <= at:
                yield delta


def _find_in_stale_delta(subject: Subject, delta: Crl, check_signer: SignerCheck) -> RevokedEntry | None:
    """What a delta that is over says against a certificate: it is still newer than the complete list."""
    with suppress(VerifyError):
        entry = delta.find(subject.serial, subject.issuer)
        if entry is not None and entry.reason != _REMOVE:
            check_signer(delta)
            return entry
    return None


_NO_ALLOWANCE = RevocationPolicy()
