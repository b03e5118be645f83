"""Whether an attribute certificate was revoked at a moment (RFC 5755, section 6): lists, OCSP answers, both.

The moment is an argument. What was revoked at it is refused, whichever list or answer of that moment or of a
later one shows it; what was revoked only afterwards is not. That nothing was revoked can be told only by a
list or an answer that covers the moment itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from onecert.verifier.attribute_certificate.acrl import Revocation, RevocationList, StatusSource
from onecert.verifier.attribute_certificate.extensions import Extensions
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.ocsp import find_answer
from onecert.verifier.attribute_certificate.parse import AttributeCertificate
from onecert.verifier.attribute_certificate.trust import AttributeTrust, TrustedAuthority
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.revocation.ocsp import OcspResponse
from onecert.verifier.revocation.policy import RevocationSources
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, AlgorithmPolicy

HOLD = "certificateHold"


@runtime_checkable
class ListHistory(Protocol):
    """A source of lists that has older ones too, for questions about the past."""

    def find_lists(self, authority: TrustedAuthority, at: datetime) -> Sequence[RevocationList]:
        """Return verified lists of this authority: the newest of ``at`` or before, and any newer ones."""
        ...


class AnswerSource(Protocol):
    """Where OCSP answers about attribute certificates come from."""

    def find_answers(self, authority: TrustedAuthority, serial: int) -> Sequence[OcspResponse | bytes]:
        """Return answers that may speak of this serial number, unverified; none when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Status:
    """What was found: revoked, good, or (with ``detail``) not known.

    ``kind`` is ``acrl``, ``ocsp``, ``acrl+ocsp`` or ``short-lived``: what said so.
    """

    kind: str = ""
    revocation: Revocation | None = None
    detail: str = ""
    revocation_list: RevocationList | None = None

    @property
    def is_good(self) -> bool:
        return not self.detail and self.revocation is None

    def finding(self) -> Finding | None:
        """The fault, if it is one: ``REVOKED`` or ``STATUS_UNKNOWN``."""
        if self.revocation is not None:
            facts = {"revoked_at": self.revocation.revoked_at, "reason": self.revocation.reason}
            return Finding(Code.REVOKED, facts)
        return Finding(Code.STATUS_UNKNOWN, {"detail": self.detail}) if self.detail else None


SHORT_LIVED = Status("short-lived")


@dataclass(frozen=True, kw_only=True)
class StatusCheck:
    """Asks lists and answers in the order that was chosen.

    Args:
        lists: where revocation lists come from.
        answers: where OCSP answers come from; None: nobody gives any.
        sources: which kind can say that a certificate is good; see ``RevocationSources``.
        trust: for the certificates of OCSP responders.
        max_unrevocable: the longest lifetime of a certificate that says it cannot be revoked (noRevAvail).
    """

    lists: StatusSource
    answers: AnswerSource | None
    sources: RevocationSources
    trust: AttributeTrust
    algorithms: AlgorithmPolicy = DEFAULT_ALGORITHMS
    max_unrevocable: timedelta = timedelta(hours=24)
    _find_lists: Callable[[TrustedAuthority, datetime], Sequence[RevocationList]] = field(init=False)
    _asked: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """See once what the sources can do."""
        lists = self.lists
        find = lists.find_lists if isinstance(lists, ListHistory) else self._find_newest
        object.__setattr__(self, "_find_lists", find)
        asked = _ORDER[self.sources]
        if self.answers is None and self.sources is not RevocationSources.BOTH:
            asked = tuple(kind for kind in asked if kind != "ocsp") or asked
        object.__setattr__(self, "_asked", asked)

    def _find_newest(self, authority: TrustedAuthority, at: datetime) -> Sequence[RevocationList]:
        found = self.lists.find_list(authority)
        return () if found is None else (found,)

    def findings(
        self,
        certificate: AttributeCertificate,
        extensions: Extensions,
        authority: TrustedAuthority,
        at: datetime,
    ) -> tuple[tuple[Finding, ...], Status]:
        """Judge the status: a certificate that cannot be revoked is short-lived, any other is asked about."""
        if extensions.no_revocation_available:
            if extensions.has_status_pointer:
                return (Finding(Code.STATUS_CONTRADICTION),), SHORT_LIVED
            start, end = certificate.not_before, certificate.not_after
            if start is not None and end is not None and end - start > self.max_unrevocable:
                detail = f"noRevAvail for {end - start}"
                return (Finding(Code.STATUS_UNKNOWN, {"detail": detail}),), SHORT_LIVED
            return (), SHORT_LIVED
        status = self.check(certificate, authority, at)
        finding = status.finding()
        return (() if finding is None else (finding,)), status

    def check(self, certificate: AttributeCertificate, authority: TrustedAuthority, at: datetime) -> Status:
        """Find the status of one certificate of this authority."""
        found: list[Status] = []
        for kind in self._asked:
            by = self._by_list if kind == "acrl" else self._by_answer
            try:
                status = by(certificate, authority, at)
            except CouldNotCheckError as exc:
                status = Status(kind, detail=exc.code)  # the source itself cannot tell
            if status.revocation is not None:
                return status
            if status.is_good and self.sources is not RevocationSources.BOTH:
                return status
            found.append(status)
        unknown = next((status for status in found if status.detail), None)
        return unknown or Status("acrl+ocsp", revocation_list=found[0].revocation_list)

    def _by_list(
        self, certificate: AttributeCertificate, authority: TrustedAuthority, at: datetime
    ) -> Status:
        return status_by_lists(self._find_lists(authority, at), certificate.serial, at)

    def _by_answer(
        self, certificate: AttributeCertificate, authority: TrustedAuthority, at: datetime
    ) -> Status:
        if self.answers is None:
            return Status("ocsp", detail="no OCSP answer")
        answers = self.answers.find_answers(authority, certificate.serial)
        found = find_answer(
            answers, certificate, authority, trust=self.trust, at=at, algorithms=self.algorithms
        )
        return Status("ocsp", detail=found) if isinstance(found, str) else Status("ocsp", revocation=found)


_ORDER: dict[RevocationSources, tuple[str, ...]] = {
    RevocationSources.EITHER: ("acrl", "ocsp"),
    RevocationSources.PREFER_CRL: ("acrl", "ocsp"),
    RevocationSources.PREFER_OCSP: ("ocsp", "acrl"),
    RevocationSources.CRL: ("acrl",),
    RevocationSources.OCSP: ("ocsp",),
    RevocationSources.BOTH: ("acrl", "ocsp"),
}


def status_by_lists(lists: Sequence[RevocationList], serial: int, at: datetime) -> Status:
    """Find the status of a serial number at a moment in verified lists of one authority, in any order."""
    current: RevocationList | None = None
    for each in lists:
        if each.this_update <= at:
            if current is None or (each.this_update, each.number) > (current.this_update, current.number):
                current = each
            continue
        # A later list: whatever was revoked at the moment was revoked, even if nobody could know it yet.
        revocation = each.find(serial)
        if revocation is not None and revocation.revoked_at <= at:
            return Status("acrl", revocation, revocation_list=each)
    if current is None:
        if not lists:
            return Status("acrl", detail="no revocation list")
        return Status("acrl", detail=_covers(lists[0]), revocation_list=lists[0])
    # A revocation counts even in a list that is too old to prove that nothing else was revoked.
    revocation = current.find(serial)
    if revocation is not None and revocation.revoked_at <= at:
        return Status("acrl", revocation, revocation_list=current)
    if at > current.next_update:
        return Status("acrl", detail=_covers(current), revocation_list=current)
    return Status("acrl", None, "", current)


def _covers(found: RevocationList) -> str:
    return f"the revocation list covers {found.this_update:%F %T}Z to {found.next_update:%F %T}Z"
