"""Many certificates against the same anchors: what was learned from one serves the next.

A path that validates leaves its state above the leaf behind; the next leaf of the same CA costs one signature
and one look-up. The search itself is in ``search``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.arguments import check_aware, check_kind
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import (
    MalformedError,
    VerifyError,
)
from onecert.verifier.explanation import Explanation
from onecert.verifier.names import CanonicalName
from onecert.verifier.path.batch import AnyCertificate, answer_each
from onecert.verifier.path.checks import check_alone
from onecert.verifier.path.explain import ExhaustiveSearch, explain_search
from onecert.verifier.path.inputs import PathParameters, PolicyInputs
from onecert.verifier.path.memory import Given, Inputs, StateMemory
from onecert.verifier.path.search import Search, key_id_fits
from onecert.verifier.path.signature_memory import SignatureMemory
from onecert.verifier.path.validate import finish
from onecert.verifier.purposes import CRL_SIGNING, OCSP_SIGNING
from onecert.verifier.result import ValidatedPath
from onecert.verifier.revocation.evidence import RevocationEvidence
from onecert.verifier.revocation.ocsp import OcspResponse, load_ocsp

__all__ = ["AnyCertificate", "PathValidator"]

_NOTHING_GIVEN = Given()


class PathValidator:
    """Validates many certificates against the same anchors, candidates and parameters.

    Safe to share between threads. Lists may be added to ``evidence`` at any time; what was concluded from the
    older ones is then dropped.
    """

    def __init__(
        self,
        *,
        anchors: Iterable[TrustAnchor],
        candidates: Iterable[AnyCertificate] = (),
        evidence: RevocationEvidence | None = None,
        parameters: PathParameters | None = None,
    ) -> None:
        """Take what stays the same.

        Args:
            anchors: what is trusted, in any order; without any, everything is refused.
            candidates: CA certificates that may lie between a target and an anchor, in any order, unverified.
            evidence: lists and answers about revocation, unverified; nothing is known by default.
            parameters: purpose, policies and limits; a login with the strict defaults unless it is given.

        Raises:
            MalformedError: a candidate, or the name of an anchor, cannot be read.
        """
        self.parameters = parameters or PathParameters()
        self.evidence = evidence or RevocationEvidence()
        self.anchors: dict[CanonicalName, list[TrustAnchor]] = {}
        check_kind(self.parameters, PathParameters, "parameters")
        check_kind(self.evidence, RevocationEvidence, "evidence")
        for anchor in anchors:
            check_kind(anchor, TrustAnchor, "an anchor")
            self.anchors.setdefault(anchor.name, []).append(anchor)
        self._candidates = _by_subject(candidates)
        self.signatures = SignatureMemory()  # of CA certificates
        self._memory = StateMemory(Inputs(self.anchors, self._candidates, self.evidence, self.parameters))

    @cached_property
    def signer_parameters(self) -> PathParameters:
        """For the path of a CRL signer."""
        return replace(self.parameters, purpose=CRL_SIGNING, policies=PolicyInputs())

    @cached_property
    def responder_parameters(self) -> PathParameters:
        """For the certificate of an OCSP responder."""
        return replace(self.parameters, purpose=OCSP_SIGNING, policies=PolicyInputs())

    def validate(
        self,
        target: AnyCertificate,
        *,
        at: datetime,
        candidates: Iterable[AnyCertificate] = (),
        ocsp: Sequence[OcspResponse | bytes] = (),
    ) -> ValidatedPath:
        """Find and validate a path for ``target``.

        Args:
            at: the moment that is asked about, aware.
            candidates: further CA certificates, for this call only; those that cannot be read are ignored.
            ocsp: answers that came with the target, for this call only.

        Raises:
            RefusedError, CouldNotCheckError: see ``errors``; ``attempts`` lists every path that was tried.
        """
        parsed = as_parsed(target)
        answers = tuple([item if isinstance(item, OcspResponse) else load_ocsp(item) for item in ocsp])
        further = _by_subject(candidates, skip_unreadable=True) if candidates else {}
        return self._validate(parsed, _whole_seconds(at), further, answers)

    def validate_many(
        self,
        targets: Iterable[AnyCertificate],
        *,
        at: datetime,
        candidates: Iterable[AnyCertificate] = (),
        threads: int = 1,
    ) -> Iterator[ValidatedPath | VerifyError]:
        """Validate many targets over threads: one answer for each, in their order, as they become known.

        An answer is what ``validate`` would have returned or raised, so that a bad certificate does not stop
        the batch. Both the targets and the answers may be endless: some hundred of them are held at a time.

            for answer in validator.validate_many(certificates, at=now):
                if isinstance(answer, ValidatedPath): ...

        Args:
            targets: taken in the caller's thread, some hundred ahead of the answers.
            at: the moment that is asked about, aware; the same for all.
            candidates: as for ``validate``, for all targets.
            threads: how many. More than one gains where a signature check takes long, as with P-384; with
                RSA-2048 and P-256 it does not.
        """
        moment = _whole_seconds(at)
        further = _by_subject(candidates, skip_unreadable=True) if candidates else {}
        return answer_each(
            lambda target: self._validate(target, moment, further, ()), targets, threads=threads
        )

    def _validate(
        self,
        target: ParsedCertificate,
        at: datetime,
        further: dict[CanonicalName, list[ParsedCertificate]],
        answers: tuple[OcspResponse, ...],
    ) -> ValidatedPath:
        check_alone(target, self.parameters, at)
        search = Search(self, at, further, answers)
        given = _NOTHING_GIVEN
        if further or answers:
            ders = frozenset(candidate.der for found in further.values() for candidate in found)
            given = Given(ders, answers)
        epoch = self._memory.now()
        issuer_der = target.issuer_der
        for state in epoch.find(issuer_der, given, at):
            if not key_id_fits(target, state.key_id):
                continue
            try:
                return finish(state, target, self.parameters, search)
            except VerifyError:
                break  # another path may still be good, and the full search names the reason
        return search.run(target, keep=lambda state: epoch.keep(issuer_der, state, given, at))

    def explain(
        self,
        target: AnyCertificate,
        *,
        at: datetime,
        candidates: Iterable[AnyCertificate] = (),
        ocsp: Sequence[OcspResponse | bytes] = (),
    ) -> Explanation:
        """Find every candidate path for ``target`` and say what becomes of each, within the same budget.

        Takes the arguments of ``validate``. A refusal is not raised but is the ``answer``. It costs as much
        as a search that finds nothing: ask when a person wants to know.

        Raises:
            MalformedError: ``target`` or an answer of ``ocsp`` cannot be read.
        """
        answers = tuple([item if isinstance(item, OcspResponse) else load_ocsp(item) for item in ocsp])
        further = _by_subject(candidates, skip_unreadable=True)
        search = ExhaustiveSearch(self, _whole_seconds(at), further, answers)
        return explain_search(search, as_parsed(target))

    def candidates_for(self, name: CanonicalName) -> Sequence[ParsedCertificate]:
        """Candidates with this subject."""
        return self._candidates.get(name, ())


def _whole_seconds(at: datetime) -> datetime:
    """Certificates count in whole seconds; the last one is included."""
    check_aware(at)
    return at.replace(microsecond=0) if at.microsecond else at


def _by_subject(
    certificates: Iterable[AnyCertificate], *, skip_unreadable: bool = False
) -> dict[CanonicalName, list[ParsedCertificate]]:
    found: dict[CanonicalName, list[ParsedCertificate]] = {}
    seen: set[bytes] = set()
    for certificate in certificates:
        try:
            parsed = as_parsed(certificate)
        except MalformedError:
            if skip_unreadable:
                continue
            raise
        if parsed.der not in seen:
            seen.add(parsed.der)
            found.setdefault(parsed.subject, []).append(parsed)
    return found
