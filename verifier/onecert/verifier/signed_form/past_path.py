"""The path of a signer at the time when he signed, with what is known about revocation today.

RFC 5280 judges one moment. A signature has two: dates, constraints and algorithms are judged at the proved
time S, revocation with everything known at the later time C. A revocation from before S refuses; one after S
is reported. Of several answers the newest counts; one from after S is better than one that was fresh at S.
What a CA says after its own revocation does not count, and neither does the silence of a list about a
certificate that had expired before the list was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RevocationUnknownError, RevokedError
from onecert.verifier.names import CanonicalName
from onecert.verifier.path import PathParameters, PathValidator
from onecert.verifier.path.checks import check_alone
from onecert.verifier.path.search import Search
from onecert.verifier.path.signers import check_crl_signer, check_responder
from onecert.verifier.path.status import StatusQuestion, find_status
from onecert.verifier.path.validate import PathState, RevocationAnswer
from onecert.verifier.purposes import Purpose
from onecert.verifier.result import Notice, ValidatedPath
from onecert.verifier.revocation import Crl, OcspResponse, RevocationEvidence, RevocationMode

__all__ = ["HARMLESS_REASONS", "JoinedEvidence", "JudgedPath", "LaterRevocation", "PathTrust", "judge_path"]

_LATER_MOMENTS_MAX = 8
# RFC 3161, section 4 (1): a revocation for one of these says nothing against what the key signed before; one
# without a reason does.
HARMLESS_REASONS = frozenset({"affiliationChanged", "superseded", "cessationOfOperation"})
_OTHER_LISTS_MAX = 16
_SECOND = timedelta(seconds=1)
_STALE = "REVOCATION_STALE"
_NOT_ASKED = RevocationAnswer((), (), None, None)


@dataclass(frozen=True, kw_only=True)
class PathTrust:
    """Explicit inputs for the paths of signers or of timestamp authorities.

    Args:
        anchors: whom we trust.
        candidates: CA certificates in any order, unverified.
        evidence: lists and answers, unverified.
        parameters: everything else; the purpose in it is not looked at.
    """

    anchors: tuple[TrustAnchor, ...]
    candidates: tuple[ParsedCertificate, ...] = ()
    evidence: RevocationEvidence = field(default_factory=RevocationEvidence)
    parameters: PathParameters = field(default_factory=PathParameters)


@dataclass(frozen=True, slots=True)
class LaterRevocation:
    """A certificate of the path that was revoked after it was used."""

    certificate: ParsedCertificate
    revoked_at: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class JudgedPath:
    """A path that held at ``path.at``.

    ``later`` are the revocations that came after it; ``crls`` and ``ocsp`` are the lists and answers that
    were looked at, for a record. ``is_answered`` says that the status of the target itself is known, and not
    only from evidence that was over and is allowed offline.
    """

    path: ValidatedPath
    known_at: datetime
    later: tuple[LaterRevocation, ...]
    crls: tuple[Crl, ...]
    ocsp: tuple[OcspResponse, ...]
    is_answered: bool

    @property
    def is_status_newer(self) -> bool:
        """Whether the status of the signer was asked after the time that is judged."""
        target = self.path.target
        if any(later.certificate.der == target.der for later in self.later):
            return True
        return any(
            source.certificate.der == target.der and source.this_update >= self.path.at
            for source in self.path.sources
        )


def judge_path(
    target: ParsedCertificate,
    trust: PathTrust,
    *,
    purpose: Purpose,
    at: datetime,
    known_at: datetime,
    candidates: Iterable[ParsedCertificate] = (),
    crls: Sequence[Crl] = (),
    ocsp: Sequence[OcspResponse] = (),
) -> JudgedPath:
    """Find and validate a path at ``at`` with what is known at ``known_at``.

    Args:
        at: the proved time of use; fractions of a second are cut off.
        known_at: not before ``at``; equal when the time of use is not proved.
        candidates, crls, ocsp: what came along; unverified.

    Raises:
        RefusedError, CouldNotCheckError: as ``validate_path``; ``FORM_KEY_INVALID_SINCE`` when a later
            revocation says that the key was not its holder's at ``at`` any more.
    """
    at = at.replace(microsecond=0)
    known_at = max(at, known_at)
    evidence = JoinedEvidence(trust.evidence, crls, ocsp)
    parameters = replace(trust.parameters, purpose=purpose)
    validator = PathValidator(
        anchors=trust.anchors, candidates=trust.candidates, evidence=evidence, parameters=parameters
    )
    check_alone(target, parameters, at)
    further: dict[CanonicalName, list[ParsedCertificate]] = {}
    for candidate in dict.fromkeys(candidates):
        further.setdefault(candidate.subject, []).append(candidate)
    search = _PastSearch(validator, at, further, ())
    search.known_at = known_at
    path = search.run(target)
    on_path = {certificate.der for certificate in path.chain}
    later = tuple(item for item in search.later.values() if item.certificate.der in on_path)
    notices = tuple(_later_notice(item) for item in later)
    serials = {certificate.serial for certificate in path.chain}
    return JudgedPath(
        path=replace(path, warnings=tuple(dict.fromkeys((*path.warnings, *notices)))),
        known_at=known_at,
        later=later,
        crls=_worth_keeping(evidence.asked.values(), path, at),
        ocsp=tuple(
            answer for answer in evidence.ocsp if any(one.serial in serials for one in answer.answers)
        ),
        is_answered=target.der in search.answered,
    )


def _worth_keeping(asked: Iterable[Crl], path: ValidatedPath, at: datetime) -> tuple[Crl, ...]:
    """The lists that decided, and the newest of the others: a folder may hold those of years."""
    decisive = {source.answer.der for source in path.sources}
    newest_first = sorted(asked, key=lambda crl: crl.this_update, reverse=True)
    others = [crl for crl in newest_first if crl.next_update is None or crl.next_update > at]
    kept = {crl.der: crl for crl in newest_first if crl.der in decisive}
    kept |= {crl.der: crl for crl in others[:_OTHER_LISTS_MAX]}
    return tuple(kept.values())


def _later_notice(item: LaterRevocation) -> Notice:
    facts = (
        ("subject", item.certificate.subject_text),
        ("revoked_at", item.revoked_at),
        ("reason", item.reason),
    )
    return Notice("FORM_REVOKED_AFTER_SIGNING", facts)


class JoinedEvidence(RevocationEvidence):
    """The caller's lists and those of a message, without copying; remembers what was looked at."""

    def __init__(self, base: RevocationEvidence, crls: Sequence[Crl], ocsp: Sequence[OcspResponse]) -> None:
        super().__init__(crls=crls, ocsp=ocsp)
        self._base = base
        self.ocsp = (*self.ocsp, *base.ocsp)
        self.asked: dict[bytes, Crl] = {}

    def crls_of(self, issuer: CanonicalName) -> tuple[Crl, ...]:
        return self._joined(super().crls_of(issuer), self._base.crls_of(issuer))

    def deltas_of(self, issuer: CanonicalName) -> tuple[Crl, ...]:
        return self._joined(super().deltas_of(issuer), self._base.deltas_of(issuer))

    def _joined(self, ours: tuple[Crl, ...], theirs: tuple[Crl, ...]) -> tuple[Crl, ...]:
        # By content, the caller's copy first: its signature may have been checked already.
        found = {crl.der: crl for crl in (*ours, *theirs)}
        self.asked |= found
        if not ours or not theirs:
            return ours or theirs
        return tuple(sorted(found.values(), key=lambda crl: (crl.this_update, crl.number or 0), reverse=True))


class _PastSearch(Search):
    """A search at S that asks about revocation at C, and at the times of older evidence after S."""

    known_at: datetime

    def __post_init__(self) -> None:
        super().__post_init__()
        self.known_at = self.at
        self.later: dict[bytes, LaterRevocation] = {}
        self.answered: set[bytes] = set()

    def check_revocation(
        self, certificate: ParsedCertificate, state: PathState, *, use_ocsp: bool = True
    ) -> RevocationAnswer:
        """See ``Search``: raise unless the certificate was good at S, as far as is known at C."""
        policy = self.validator.parameters.revocation
        if policy.mode_for(is_ca=certificate.is_ca) is RevocationMode.OFF or certificate.der in self.asking:
            return _NOT_ASKED
        return self.asked(certificate.der, lambda: self._ask_moments(certificate, state, use_ocsp=use_ocsp))

    def _ask_moments(
        self, certificate: ParsedCertificate, state: PathState, *, use_ocsp: bool
    ) -> RevocationAnswer:
        self.answered.discard(certificate.der)
        failure: RevocationUnknownError | None = None
        unknown: RevocationAnswer | None = None
        for moment in self._moments(certificate, state):
            try:
                answer = self._ask(certificate, state, moment, use_ocsp=use_ocsp)
            except RevocationUnknownError as exc:
                failure = exc
                continue
            except RevokedError as exc:
                self._check_is_later(certificate, exc)
                self.later[certificate.der] = LaterRevocation(certificate, exc.revoked_at, exc.reason)
                self.answered.add(certificate.der)
                return _NOT_ASKED
            if not answer.sources:
                unknown = answer  # nothing is known, and the policy lets it pass
            elif moment <= certificate.not_after:
                if all(warning.code != _STALE for warning in answer.warnings):
                    self.answered.add(certificate.der)
                return answer
            # RFC 5280, section 3.3: entries may leave the list after the certificate has expired.
        if unknown is not None:
            return unknown
        raise failure or RevocationUnknownError(
            "REVOCATION_UNKNOWN", certificate=certificate.certificate, subject=certificate.subject_text
        )

    def _moments(self, certificate: ParsedCertificate, state: PathState) -> list[datetime]:
        known = self.known_at
        for authority in state.chain:
            later = self.later.get(authority.der)
            if later is not None:
                known = min(known, later.revoked_at - _SECOND)
        if known <= self.at:
            return [self.at]
        evidence = self.validator.evidence
        updates = {crl.this_update for crl in evidence.crls_of(certificate.issuer)}
        updates |= {answer.produced_at for answer in evidence.ocsp}
        between = sorted((moment for moment in updates if self.at < moment < known), reverse=True)
        # The last one before the certificate expired may be the only one that speaks for it.
        alive = [moment for moment in between if moment <= certificate.not_after][:1]
        return list(dict.fromkeys((known, *between[:_LATER_MOMENTS_MAX], *alive, self.at)))

    def _ask(
        self, certificate: ParsedCertificate, state: PathState, moment: datetime, *, use_ocsp: bool
    ) -> RevocationAnswer:
        return find_status(
            StatusQuestion(
                certificate=certificate,
                state=state,
                at=moment,
                evidence=self.validator.evidence,
                responses=tuple(self.validator.evidence.ocsp) if use_ocsp else (),
                lists_only=not use_ocsp,
                policy=self.validator.parameters.revocation,
                check_signer=lambda crl: check_crl_signer(self._at(crl.this_update), crl, state),
                check_responder=lambda answer: check_responder(self._at(answer.produced_at), answer, state),
            )
        )

    def _at(self, moment: datetime) -> _PastSearch:
        """This search at the time of some evidence, for the path of who signed it."""
        if moment == self.at:
            return self
        other = _PastSearch(self.validator, moment, self.candidates, self.responses)
        other.budget, other.asking, other.vouching = self.budget, self.asking, self.vouching
        other.known_at = max(moment, self.known_at)
        return other

    def _check_is_later(self, certificate: ParsedCertificate, exc: RevokedError) -> None:
        """Raise unless the revocation came after S and does not reach back to it."""
        if self.known_at <= self.at or exc.revoked_at <= self.at:
            raise exc
        for crl in self.validator.evidence.crls_of(certificate.issuer):
            entry = crl.find(certificate.serial, certificate.issuer)
            # RFC 5280, section 5.3.2: from then on the key was, or may have been, somebody else's.
            if entry is not None and entry.invalid_since is not None and entry.invalid_since <= self.at:
                raise RevokedError(
                    "FORM_KEY_INVALID_SINCE",
                    revoked_at=exc.revoked_at,
                    reason=exc.reason,
                    certificate=certificate.certificate,
                    source="RFC 5280, section 5.3.2",
                    subject=certificate.subject_text,
                    invalid_since=entry.invalid_since,
                ) from exc
