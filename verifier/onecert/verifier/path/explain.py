"""All candidate paths of one certificate, each with its verdict: the search of ``search`` carried to its end.

Only who asks pays: the usual search stops at the first path that validates and keeps no record of branches
that say nothing about the verdict. The same budget holds for both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import BudgetError, CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.explanation import CandidatePath, Explanation, Step
from onecert.verifier.path.checks import check_alone
from onecert.verifier.path.search import Search
from onecert.verifier.path.validate import PathState
from onecert.verifier.result import ValidatedPath
from onecert.verifier.signatures import parse_algorithm

if TYPE_CHECKING:
    from onecert.verifier.names import CanonicalName

__all__ = ["ExhaustiveSearch", "explain_search"]

_PATHS_MAX = 512


@dataclass(frozen=True)
class _Entry:
    """One candidate path as the search met it, target first."""

    chain: tuple[ParsedCertificate, ...]
    anchor: TrustAnchor | None
    outcome: ValidatedPath | VerifyError


@dataclass
class ExhaustiveSearch(Search):
    """A search that also writes down where it turned back."""

    entries: list[_Entry] = field(default_factory=list)
    _findings: object = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._findings = self.attempts

    def add(
        self,
        chain: Sequence[ParsedCertificate],
        anchor: TrustAnchor | None,
        outcome: ValidatedPath | VerifyError,
    ) -> None:
        """Write down one candidate path of the target, not of a CRL signer."""
        if self.attempts is self._findings and len(self.entries) < _PATHS_MAX:
            self.entries.append(_Entry(tuple(chain), anchor, outcome))

    def _note(
        self, path: Sequence[ParsedCertificate], anchor: TrustAnchor | None, error: VerifyError
    ) -> None:
        super()._note(path, anchor, error)
        self.add(path, anchor, error)

    def _turn_back(
        self,
        path: Sequence[ParsedCertificate],
        anchor: TrustAnchor | None,
        reason: VerifyError | Callable[[ParsedCertificate], VerifyError],
    ) -> None:
        self.add(path, anchor, reason if isinstance(reason, VerifyError) else reason(path[-1]))

    def known_state(
        self, anchor: TrustAnchor, cas: tuple[ParsedCertificate, ...]
    ) -> PathState | VerifyError | None:
        """What this search has concluded below ``cas``, lowest first."""
        ders = tuple(certificate.der for certificate in cas)
        return self._stepped.get((id(anchor), ders, frozenset(), frozenset()))

    def is_good_signature(self, certificate: ParsedCertificate, spki_der: bytes) -> bool:
        """Tell whether the certificate's signature was checked with this key and found good."""
        memories = (self.signatures, self.validator.signatures)
        return any(memory.find(certificate, spki_der) == "" for memory in memories)


def explain_search(search: ExhaustiveSearch, target: ParsedCertificate) -> Explanation:
    """Carry the search to its end and say what it met.

    A target that is refused for itself (dates, key usage, …) is searched for all the same, so that one answer
    names everything that has to be put right.
    """
    parameters = search.validator.parameters
    alone: VerifyError | None = None
    exhausted: BudgetError | None = None
    chosen: ValidatedPath | None = None
    try:
        check_alone(target, parameters, search.at)
    except VerifyError as exc:
        alone = exc
    try:
        for path, _ in search.accepted(target):
            search.add(path.chain, path.anchor, alone or path)
            chosen = chosen or path
    except BudgetError as exc:
        exhausted = exc
    answer = alone or chosen or search.reason(target, exhausted)
    entries = [entry for entry in search.entries if entry.outcome is chosen or not _is_detour(search, entry)]
    decisive = next((entry for entry in entries if entry.outcome is answer), None)
    return Explanation(
        target=target,
        at=search.at,
        purpose=parameters.purpose.name,
        answer=answer,
        paths=tuple(_candidate(search, entry, chosen=entry is decisive) for entry in entries),
        complete=exhausted is None and len(search.entries) < _PATHS_MAX,
    )


def _is_detour(search: Search, entry: _Entry) -> bool:
    """A path whose last certificate is an anchor's own: the path without it stands beside it."""
    last = entry.chain[-1]
    return len(entry.chain) > 1 and any(
        anchor.public_key_der == last.spki_der for anchor in _anchors(search, last.subject)
    )


def _anchors(search: Search, name: CanonicalName) -> Sequence[TrustAnchor]:
    return search.validator.anchors.get(name, ())


def _candidate(search: ExhaustiveSearch, entry: _Entry, *, chosen: bool) -> CandidatePath:
    error = entry.outcome if isinstance(entry.outcome, VerifyError) else None
    steps: list[Step] = []
    state: PathState | None = None
    failed = entry.anchor is None  # no anchor, no validation
    if entry.anchor is not None:
        below = search.known_state(entry.anchor, ())
        state, failed = (below, False) if isinstance(below, PathState) else (None, True)
    for i in range(len(entry.chain) - 1, 0, -1):
        known = None
        if not failed and entry.anchor is not None:
            known = search.known_state(entry.anchor, entry.chain[i:])
        if isinstance(known, PathState) and state is not None:
            steps.append(_passed(search, entry, i, state, known))
            state = known
        elif isinstance(known, VerifyError):
            steps.append(_failed(search, entry, i, known))
            failed = True
        else:
            steps.append(_not_reached(search, entry, i))
            failed = True
    steps.append(_target_step(search, entry, state, failed=failed))
    return CandidatePath(
        anchor=entry.anchor,
        steps=tuple(reversed(steps)),
        error=error,
        chosen=chosen,
    )


def _target_step(search: ExhaustiveSearch, entry: _Entry, state: PathState | None, *, failed: bool) -> Step:
    outcome = entry.outcome
    target = entry.chain[0]
    if isinstance(outcome, ValidatedPath):
        inherited = () if state is None else state.sources
        warnings = () if state is None else state.warnings
        return Step(
            certificate=target,
            outcome="accepted",
            algorithm=_algorithm(target),
            signed_by=_signer(search, entry, 0),
            policies=outcome.policies,
            evidence=tuple(source.evidence(search.at) for source in outcome.sources[len(inherited) :]),
            warnings=outcome.warnings[len(warnings) :],
        )
    if not failed or outcome.certificate == target.certificate:
        return _failed(search, entry, 0, outcome)
    return _not_reached(search, entry, 0)


def _passed(search: ExhaustiveSearch, entry: _Entry, i: int, above: PathState, below: PathState) -> Step:
    certificate = entry.chain[i]
    return Step(
        certificate=certificate,
        outcome="accepted",
        algorithm=_algorithm(certificate),
        signed_by=_signer(search, entry, i),
        policies=frozenset(below.policy.nodes),
        evidence=tuple(source.evidence(search.at) for source in below.sources[len(above.sources) :]),
        warnings=below.warnings[len(above.warnings) :],
    )


def _failed(search: ExhaustiveSearch, entry: _Entry, i: int, error: VerifyError) -> Step:
    certificate = entry.chain[i]
    return Step(
        certificate=certificate,
        outcome="could_not_check" if isinstance(error, CouldNotCheckError) else "refused",
        algorithm=_algorithm(certificate),
        signed_by=_signer(search, entry, i),
        error=error,
    )


def _not_reached(search: ExhaustiveSearch, entry: _Entry, i: int) -> Step:
    certificate = entry.chain[i]
    error = entry.outcome if isinstance(entry.outcome, VerifyError) else None
    if error is not None and error.certificate == certificate.certificate:
        return _failed(search, entry, i, error)
    return Step(
        certificate=certificate,
        outcome="not_reached",
        algorithm=_algorithm(certificate),
        signed_by=_signer(search, entry, i),
    )


def _signer(search: ExhaustiveSearch, entry: _Entry, i: int) -> str:
    """The key above certificate ``i``, if this search or an earlier one has found that it signed."""
    if i + 1 < len(entry.chain):
        spki_der = entry.chain[i + 1].spki_der
    elif entry.anchor is not None:
        spki_der = entry.anchor.public_key_der
    else:
        return ""
    return hashlib.sha256(spki_der).hexdigest() if search.is_good_signature(entry.chain[i], spki_der) else ""


def _algorithm(certificate: ParsedCertificate) -> str:
    try:
        return parse_algorithm(certificate.algorithm_der).name
    except RefusedError as exc:
        return str(exc.facts.get("algorithm", ""))
