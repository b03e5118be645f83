"""What a validator keeps between calls: the states above the leaves of the CAs it has met.

A state is kept with all that it depends on, so that an answer from memory is the answer of a new validator:

- the lists and answers at hand: when they change, an epoch ends, and its states go with it;
- what came with the call: the state serves calls with the same candidates only, and none whose OCSP answers
  might speak about its CAs;
- the time: an epoch is cut where any list, answer, certificate, anchor or algorithm begins or ends. Between
  two cuts nothing changes, so a state serves the times between the same two cuts as the time it was made
  for. That is stricter than the state's own dates, which know nothing of a newer list that counts later on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from threading import Lock

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.names import CanonicalName
from onecert.verifier.path.inputs import PathParameters
from onecert.verifier.path.validate import PathState
from onecert.verifier.revocation.evidence import RevocationEvidence
from onecert.verifier.revocation.ocsp import OcspResponse
from onecert.verifier.revocation.ocsp_check import end_of_answer
from onecert.verifier.revocation.policy import RevocationPolicy

__all__ = ["Epoch", "Given", "Inputs", "StateMemory"]

_ISSUERS_MAX = 1024
_STATES_PER_ISSUER = 8
_SECOND = timedelta(seconds=1)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)

# When something begins and ends, as far as it does.
Span = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a validator judges by. Not the validator itself: who validates once leaves no cycle to collect."""

    anchors: Mapping[CanonicalName, Sequence[TrustAnchor]]
    candidates: Mapping[CanonicalName, Sequence[ParsedCertificate]]
    evidence: RevocationEvidence
    parameters: PathParameters

    def spans(self) -> Iterator[Span]:
        """When each thing begins and ends."""
        for anchors in self.anchors.values():
            for anchor in anchors:
                yield anchor.valid_from, anchor.valid_until
        for candidates in self.candidates.values():
            for candidate in candidates:
                yield candidate.not_before, candidate.not_after
        for end in self.parameters.algorithms.algorithms.values():
            yield None, end
        yield from _spans_of(self.evidence, self.parameters.revocation)


@dataclass(frozen=True, slots=True)
class Given:
    """What came with one call: the DER of its candidates, and its OCSP answers."""

    candidates: frozenset[bytes] = frozenset()
    answers: tuple[OcspResponse, ...] = ()

    def may_concern(self, state: PathState) -> bool:
        """Tell whether one of the answers might be about a CA of the state."""
        if not self.answers:
            return False
        serials = {certificate.serial for certificate in state.chain}
        return any(single.serial in serials for answer in self.answers for single in answer.answers)


@dataclass(slots=True)
class _Kept:
    state: PathState
    candidates: frozenset[bytes]
    at: datetime
    begin: datetime | None = None  # of the span between two cuts; found when the state is first asked for
    end: datetime = _END


class Epoch:
    """The states found while the lists and answers were the same."""

    def __init__(self, inputs: Inputs) -> None:
        """Begin with the evidence that there is now."""
        self._inputs = inputs
        self._version, self._answers = inputs.evidence.version, inputs.evidence.ocsp
        self._lock = Lock()
        self._kept: dict[bytes, tuple[_Kept, ...]] = {}

    @property
    def is_over(self) -> bool:
        """Whether the evidence has changed."""
        evidence = self._inputs.evidence
        return self._version != evidence.version or self._answers is not evidence.ocsp

    def find(self, issuer_der: bytes, given: Given, at: datetime) -> Iterator[PathState]:
        """States below which a certificate of this issuer may be judged at this time, the newest first."""
        for kept in self._kept.get(issuer_der, ()):
            if kept.candidates != given.candidates or given.may_concern(kept.state):
                continue
            if kept.begin is None:
                self._find_span(kept)
            if kept.begin is not None and kept.begin <= at < kept.end:
                yield kept.state

    def keep(self, issuer_der: bytes, state: PathState, given: Given, at: datetime) -> None:
        """Keep a state below which a certificate of this issuer was accepted at this time."""
        if given.may_concern(state):
            return
        new = _Kept(state, given.candidates, at)
        with self._lock:
            known = self._kept.get(issuer_der, ())
            # A path found again takes the place of the older one: a newer time is likelier to be asked about.
            others = [
                old
                for old in known
                if old.state.chain != state.chain
                or old.state.anchor is not state.anchor
                or old.candidates != new.candidates
            ]
            self._kept[issuer_der] = (new, *others[: _STATES_PER_ISSUER - 1])
            if len(self._kept) > _ISSUERS_MAX:
                del self._kept[next(iter(self._kept))]  # the oldest

    @cached_property
    def _cuts(self) -> Sequence[datetime]:
        cuts = set()
        for moment in {moment for span in self._inputs.spans() for moment in span if moment is not None}:
            cuts.add(moment)
            # The last second of a certificate belongs to it, that of a list does not: cut on both sides.
            if moment < _END - _SECOND:
                cuts.add(moment + _SECOND)
        return sorted(cuts)

    def _find_span(self, kept: _Kept) -> None:
        cuts = self._cuts
        if self.is_over:
            return  # meanwhile: the cuts may be those of other lists
        index = bisect_right(cuts, kept.at)
        kept.end = min(cuts[index] if index < len(cuts) else _END, kept.state.valid_until)
        kept.begin = max(cuts[index - 1] if index else _BEGINNING, kept.state.valid_from)


class StateMemory:
    """The epoch of now. Safe to share between threads."""

    def __init__(self, inputs: Inputs) -> None:
        """Begin with nothing."""
        self._inputs = inputs
        self._epoch = Epoch(inputs)

    def now(self) -> Epoch:
        """To be asked before a search, and told after it: what arrives meanwhile begins another epoch."""
        epoch = self._epoch
        if epoch.is_over:
            epoch = self._epoch = Epoch(self._inputs)
        return epoch


def _spans_of(evidence: RevocationEvidence, policy: RevocationPolicy) -> Iterator[Span]:
    for crl in evidence.all_crls():
        yield crl.this_update, crl.next_update
        if crl.next_update is not None:
            yield None, policy.last_use(crl.next_update)
    for answer in evidence.ocsp:
        yield _later(answer.produced_at, -policy.clock_skew), answer.produced_at
        for single in answer.answers:
            yield _later(single.this_update, -policy.clock_skew), single.this_update
            end = end_of_answer(single, policy)
            yield end, policy.last_use(end)
        for certificate in answer.certificates:
            yield certificate.not_before, certificate.not_after


def _later(moment: datetime, by: timedelta) -> datetime | None:
    try:
        return moment + by
    except OverflowError:  # a list may say 9999-12-31
        return None
