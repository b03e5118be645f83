"""Path search: depth-first with backtracking from the target to any anchor, then validation from the top.

Follows RFC 4158 in spirit: key identifiers only order the candidates, loops are cut by (name, key),
signatures are checked before a branch is followed, and a budget over all branches ends hostile input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import BudgetError, RefusedError, RevocationUnknownError, VerifyError
from onecert.verifier.names import CanonicalName
from onecert.verifier.path.checks import check_alone, check_is_ca
from onecert.verifier.path.inputs import Budget
from onecert.verifier.path.order import best_first, key_id_fits
from onecert.verifier.path.signature_memory import SignatureMemory
from onecert.verifier.path.signers import check_crl_signer, check_responder, may_certify_signers
from onecert.verifier.path.statements import ask_known_lists
from onecert.verifier.path.status import StatusQuestion, find_status
from onecert.verifier.path.validate import NOT_ASKED, PathState, RevocationAnswer, finish, start, step
from onecert.verifier.path.verdict import choose_reason, unknown_issuer
from onecert.verifier.result import Attempt, ValidatedPath
from onecert.verifier.revocation.ocsp import OcspResponse
from onecert.verifier.revocation.policy import RevocationMode
from onecert.verifier.signatures import PublicKey, load_public_key

if TYPE_CHECKING:
    from onecert.verifier.path.validator import PathValidator

__all__ = ["Search", "key_id_fits"]

_ATTEMPTS_MAX = 64
# Larger certificates are forgotten with the search: anybody may send thousands of them.
_REMEMBERED_MAX_BYTES = 8192


# Anchor, certificates below it, what is being asked, and who vouches for itself.
_Step = tuple[int, tuple[bytes, ...], frozenset[bytes], frozenset[bytes]]


@dataclass
class Search:
    """One call of ``validate``: its budget, its time, what was tried."""

    validator: PathValidator
    at: datetime
    candidates: dict[CanonicalName, list[ParsedCertificate]]
    responses: tuple[OcspResponse, ...]
    budget: Budget = field(init=False)
    attempts: list[Attempt] = field(default_factory=list)
    # Certificates whose revocation is being found out: nobody whose own status is the question speaks in it.
    asking: frozenset[bytes] = frozenset()
    # Of these, signers of lists that only their own list speaks about: there the circle is cut.
    vouching: frozenset[bytes] = frozenset()
    signatures: SignatureMemory = field(default_factory=SignatureMemory)
    _keys: dict[bytes, PublicKey] = field(default_factory=dict)
    # What is concluded while a status is being asked takes it for granted, and holds for that question only.
    _stepped: dict[_Step, PathState | VerifyError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.budget = Budget(self.validator.parameters.limits)

    def run(
        self, target: ParsedCertificate, keep: Callable[[PathState], object] = lambda _: None
    ) -> ValidatedPath:
        """Search all paths until one validates.

        Args:
            keep: is told the state above the target, for others of the same issuer.
        """
        exhausted: BudgetError | None = None
        try:
            for path, state in self.accepted(target):
                keep(state)
                return path
        except BudgetError as exc:
            exhausted = exc
        raise self.reason(target, exhausted)

    def reason(self, target: ParsedCertificate, exhausted: BudgetError | None) -> VerifyError:
        """Why no path validates, with all that was tried."""
        error = choose_reason(target, self.attempts, exhausted)
        error.attempts = tuple(self.attempts)
        return error

    def accepted(self, target: ParsedCertificate) -> Iterator[tuple[ValidatedPath, PathState]]:
        """Every path that validates, the most likely first; ``attempts`` collects the others.

        Raises:
            BudgetError: there may be more.
        """
        if not target.issuer:
            self._note((target,), None, unknown_issuer(target))
            return
        for anchor, chain in self._paths([target]):
            try:
                state = self.state_above(anchor, chain[1:])
                path = finish(state, target, self.validator.parameters, self)
            except BudgetError:
                raise
            except VerifyError as exc:
                self._note(chain, anchor, exc)
                continue
            yield path, state

    def state_above(self, anchor: TrustAnchor, cas: tuple[ParsedCertificate, ...]) -> PathState:
        """The state below the CA certificates ``cas`` (lowest first), from the memory of this search."""
        key = (id(anchor), tuple([certificate.der for certificate in cas]), self.asking, self.vouching)
        known = self._stepped.get(key)
        if known is None:
            try:
                if cas:
                    above = self.state_above(anchor, cas[1:])
                    known = step(above, cas[0], self.validator.parameters, self)
                else:
                    known = start(anchor, self.validator.parameters, self.at)
            except BudgetError:
                raise
            except VerifyError as exc:
                known = exc
            self._stepped[key] = known
        if isinstance(known, VerifyError):
            raise known
        return known

    def _paths(
        self, chain: list[ParsedCertificate]
    ) -> Iterator[tuple[TrustAnchor, tuple[ParsedCertificate, ...]]]:
        """All chains from ``chain`` upwards to an anchor whose signatures hold."""
        last = chain[-1]
        anchors = self.validator.anchors.get(last.issuer, [])
        if len(anchors) > 1:
            anchors = sorted(anchors, key=lambda item: not key_id_fits(last, item.subject_key_id))
        for anchor in anchors:
            self.budget.step()
            spki = anchor.public_key_der
            if any(anchor.name == other.subject and spki == other.spki_der for other in chain[1:]):
                continue  # a loop: this path has left the anchor before
            if self._is_signed(chain, anchor, anchor.public_key_der):
                yield anchor, tuple(chain)
        issuers = best_first(last, self.candidates_for(last.issuer), self.validator.anchors)
        if len(chain) > self.validator.parameters.limits.path_max_intermediates:
            if issuers:
                self._turn_back(chain, None, _too_deep)
            return
        dead_end = not anchors
        for issuer in issuers:
            self.budget.step()
            # The keys first: the name of an end certificate need not be put in canonical form at all.
            if any(issuer.spki_der == other.spki_der and issuer.subject == other.subject for other in chain):
                continue  # a loop
            dead_end = False
            try:
                check_is_ca(issuer, self.at)
            except RefusedError as exc:
                self._note((*chain, issuer), None, exc)
                continue
            if not self._is_signed(chain, issuer, issuer.spki_der):
                continue
            chain.append(issuer)
            yield from self._paths(chain)
            chain.pop()
        if dead_end:
            self._turn_back(chain, None, unknown_issuer)

    def _is_signed(
        self, chain: list[ParsedCertificate], issuer: ParsedCertificate | TrustAnchor, spki: bytes
    ) -> bool:
        last = chain[-1]
        try:
            key = issuer.public_key if isinstance(issuer, TrustAnchor) else self.load_key(spki)
            self.check_signature(last, key, spki, final=len(chain) == 1)
        except BudgetError:
            raise
        except VerifyError as exc:
            exc.certificate = exc.certificate or last.certificate
            if isinstance(issuer, TrustAnchor):
                path, anchor = tuple(chain), issuer
            else:
                path, anchor = (*chain, issuer), None
            if key_id_fits(last, issuer.subject_key_id):
                self._note(path, anchor, exc)
            else:
                # A candidate of the same name that names another key was never meant: no finding.
                self._turn_back(path, anchor, exc)
            return False
        return True

    def _note(
        self, path: Sequence[ParsedCertificate], anchor: TrustAnchor | None, error: VerifyError
    ) -> None:
        if len(self.attempts) < _ATTEMPTS_MAX:
            self.attempts.append(Attempt(tuple(path), anchor, error))

    def _turn_back(
        self,
        path: Sequence[ParsedCertificate],
        anchor: TrustAnchor | None,
        reason: VerifyError | Callable[[ParsedCertificate], VerifyError],
    ) -> None:
        """Called where a branch ends without a finding: nothing to a verdict, something to explain.

        Args:
            reason: why, or what makes the reason for the last certificate of ``path``.
        """

    def signer_path(
        self, signer: ParsedCertificate, state: PathState, *, by_superiors: bool
    ) -> ValidatedPath:
        """Validate a certificate that signed a CRL; its path must end at the anchor of the target's path.

        Args:
            by_superiors: it must be certified by the last authority of ``state`` or by one above that.
            Otherwise any authority under the anchor could give a signer that name, and call off others'
            revocations.
        """
        outer, self.attempts = self.attempts, []
        parameters = self.validator.signer_parameters
        try:
            check_alone(signer, parameters, self.at)
            for candidate, chain in self._paths([signer]):
                if candidate is not state.anchor:
                    continue
                if not may_certify_signers(chain[1:], state, self.asking, by_superiors=by_superiors):
                    continue
                try:
                    return finish(self.state_above(candidate, chain[1:]), signer, parameters, self)
                except BudgetError:
                    raise
                except VerifyError as exc:
                    self._note(chain, candidate, exc)
            raise choose_reason(signer, self.attempts, None)
        finally:
            self.attempts = outer

    def candidates_for(self, name: CanonicalName) -> list[ParsedCertificate]:
        """All candidates with this subject, those of this call first."""
        return [*self.candidates.get(name, ()), *self.validator.candidates_for(name)]

    # What validation borrows (path.validate.Surroundings).

    def load_key(self, public_key_der: bytes) -> PublicKey:
        """A key that this search has met, or a new one."""
        key = self._keys.get(public_key_der)
        if key is None:
            key = self._keys[public_key_der] = load_public_key(public_key_der)
        return key

    def check_signature(
        self, certificate: ParsedCertificate, key: PublicKey, key_spki_der: bytes, *, final: bool
    ) -> None:
        """Check ``certificate`` with ``key``. CA certificates are remembered across searches."""
        is_kept = not final and len(certificate.der) + len(key_spki_der) <= _REMEMBERED_MAX_BYTES
        memory = self.validator.signatures if is_kept else self.signatures
        memory.check(
            certificate,
            key,
            key_spki_der,
            algorithms=self.validator.parameters.algorithms,
            at=self.at,
            budget=self.budget,
        )

    def check_revocation(
        self, certificate: ParsedCertificate, state: PathState, *, use_ocsp: bool = True
    ) -> RevocationAnswer:
        """Raise unless ``certificate``, issued by the last authority of ``state``, is good."""
        validator, der = self.validator, certificate.der
        policy, evidence = validator.parameters.revocation, validator.evidence
        if policy.mode_for(is_ca=certificate.is_ca) is RevocationMode.OFF or der in self.asking:
            return NOT_ASKED
        responses = (*self.responses, *evidence.ocsp) if use_ocsp else ()
        known = ask_known_lists(certificate, state, evidence, responses, self.at)
        if known is not None:
            return known
        question = StatusQuestion(
            certificate=certificate,
            state=state,
            at=self.at,
            evidence=evidence,
            responses=responses,
            lists_only=not use_ocsp,
            policy=policy,
            check_signer=lambda crl: check_crl_signer(self, crl, state),
            check_responder=lambda response: check_responder(self, response, state),
        )
        return self.asked(der, lambda: find_status(question))

    def asked(self, der: bytes, ask: Callable[[], RevocationAnswer]) -> RevocationAnswer:
        """Ask for the status of a certificate, on which nobody whose own status is the question speaks."""
        asking, vouching = self.asking, self.vouching
        self.asking = asking | {der}
        try:
            try:
                return ask()
            except RevocationUnknownError:
                if not asking:
                    raise
            # A signer of lists about which nobody else says anything: CAs that have a key for their lists
            # often name it there, too. Whoever says that it is revoked has been heard before.
            self.vouching = vouching | {der}
            return ask()
        finally:
            self.asking, self.vouching = asking, vouching


def _too_deep(certificate: ParsedCertificate) -> VerifyError:
    return RefusedError(
        "PATH_TOO_DEEP", certificate=certificate.certificate, subject=certificate.subject_text
    )
