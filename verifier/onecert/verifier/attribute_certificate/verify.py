"""Verify an attribute certificate (RFC 5755, section 5), step by step, each step with its reason code.

``verify`` stops at the first finding and raises it; ``explain`` walks on and returns all of them. The order
is that of the codes in ``findings.py``. The holder's certificate is not optional: attributes of nobody in
particular are attributes of anybody. Its own path and status are verified before, by ``Verifier``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509

from onecert.verifier.attribute_certificate.acrl import StatusSource
from onecert.verifier.attribute_certificate.delegation import Constraints, constraints_of
from onecert.verifier.attribute_certificate.delegation_source import (
    Delegations,
    DelegationSource,
    DelegationsTogether,
)
from onecert.verifier.attribute_certificate.delegation_walk import DelegationSearch, Route
from onecert.verifier.attribute_certificate.extensions import NO_EXTENSIONS, Extensions, TargetIdentity
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.holder import is_issued_to
from onecert.verifier.attribute_certificate.parse import PEM_LABEL, AttributeCertificate, parse
from onecert.verifier.attribute_certificate.proved import (
    Candidate,
    Dropped,
    Explanation,
    VerifiedAttributeCertificate,
    assignable,
)
from onecert.verifier.attribute_certificate.signed import SignatureCheck
from onecert.verifier.attribute_certificate.status import AnswerSource, Status, StatusCheck
from onecert.verifier.attribute_certificate.steps import check_form, check_time
from onecert.verifier.attribute_certificate.trust import AttributeTrust
from onecert.verifier.certificate import ParsedCertificate, as_parsed, decode_pem
from onecert.verifier.errors import CouldNotCheckError, MalformedError
from onecert.verifier.revocation.policy import RevocationSources
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, AlgorithmPolicy

__all__ = [
    "AttributeCertificateVerifier",
    "Candidate",
    "Dropped",
    "Explanation",
    "VerifiedAttributeCertificate",
    "assignable",
]


@dataclass(kw_only=True, slots=True)
class _Walk:
    """What the walk has learned so far."""

    certificate: AttributeCertificate
    holder: ParsedCertificate
    at: datetime
    target: TargetIdentity | None = None
    identity: str | None = None
    delegations: DelegationSource | None = None
    is_explained: bool = False
    extensions: Extensions = NO_EXTENSIONS
    unknown: Finding | None = None
    ways: list[_Way] = field(default_factory=list)
    signatures: dict[bytes, tuple[Finding, ...]] = field(default_factory=dict)
    """What was found with which key: many ways lead to one."""
    taken: _Way | None = None


@dataclass(slots=True)
class _Way:
    """The certificate on one way to its authority; each question is asked once, when its turn comes.

    It does not hold the walk that holds it: nothing is left for the garbage collector.
    """

    route: Route
    _signature: tuple[Finding, ...] | None = None
    _status: tuple[tuple[Finding, ...], Status] | None = None
    _delegation: tuple[Finding, ...] | None = None

    def signature(self, verifier: AttributeCertificateVerifier, walk: _Walk) -> tuple[Finding, ...]:
        if self._signature is None:
            authority = self.route.authority
            known = walk.signatures.get(authority.public_key_der)
            if known is None:
                known = tuple(verifier.signatures.check(walk.certificate, authority, walk.at))
                walk.signatures[authority.public_key_der] = known
            self._signature = known
        return self._signature

    def status(
        self, verifier: AttributeCertificateVerifier, walk: _Walk
    ) -> tuple[tuple[Finding, ...], Status]:
        if self._status is None:
            self._status = verifier.status_check.findings(
                walk.certificate, walk.extensions, self.route.authority, walk.at
            )
        return self._status

    def delegation(self, walk: _Walk) -> tuple[Finding, ...]:
        """What speaks against the delegations, and whether the certificate exceeds them."""
        if self._delegation is None:
            exceeding = _exceeding(walk, self.route) if self.route.path else ()
            self._delegation = (*self.route.findings, *exceeding)
        return self._delegation

    def findings(self, verifier: AttributeCertificateVerifier, walk: _Walk) -> tuple[Finding, ...]:
        """All of it, dearest last: nobody's list is asked for because of a wrong signature."""
        found = (*self.route.examined.findings, *self.delegation(walk))
        if not found or walk.is_explained:
            found = (*found, *self.signature(verifier, walk))
        if not found or walk.is_explained:
            found = (*found, *self.status(verifier, walk)[0])
        return found


def _exceeding(walk: _Walk, route: Route) -> Iterator[Finding]:
    limits, certificate = route.limits, walk.certificate
    if limits is None or certificate.not_before is None or certificate.not_after is None:
        return
    basic = walk.extensions.basic
    further: Constraints | None = None
    if basic is not None and basic.authority:
        further = constraints_of(certificate)
    yield from limits.findings(
        certificate.attributes, walk.holder, certificate.not_before, certificate.not_after, further
    )


@dataclass(frozen=True, kw_only=True)
class AttributeCertificateVerifier:
    """Verifies attribute certificates against one trust configuration. Safe to share between threads.

    Args:
        trust: the attribute authorities that are believed.
        status: where their revocation lists come from.
        delegations: where delegations come from; without it only authorities of the configuration count.
        answers: where OCSP answers come from.
        sources: which kind of status can say that a certificate is good: ``either`` (a list is asked first),
            ``prefer-ocsp``, ``prefer-crl``, ``ocsp``, ``crl``, or ``both``.
        max_unrevocable: the longest lifetime of a certificate that says it cannot be revoked (noRevAvail).
        algorithms: the signature algorithms that are accepted.
    """

    trust: AttributeTrust
    status: StatusSource
    delegations: DelegationSource | None = None
    answers: AnswerSource | None = None
    sources: RevocationSources = RevocationSources.EITHER
    max_unrevocable: timedelta = timedelta(hours=24)
    algorithms: AlgorithmPolicy = DEFAULT_ALGORITHMS
    signatures: SignatureCheck = field(init=False, repr=False, compare=False)
    status_check: StatusCheck = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put together what each verification uses."""
        check = StatusCheck(
            lists=self.status,
            answers=self.answers,
            sources=RevocationSources(self.sources),
            trust=self.trust,
            algorithms=self.algorithms,
            max_unrevocable=self.max_unrevocable,
        )
        object.__setattr__(self, "signatures", SignatureCheck(self.algorithms))
        object.__setattr__(self, "status_check", check)

    def with_delegations(self, pairs: Sequence[tuple[bytes, bytes]]) -> AttributeCertificateVerifier:
        """Return one that also knows these delegations, such as those that came with a holder's certificates.

        Args:
            pairs: the delegation and the sub-authority's public-key certificate, DER, unverified.

        Raises:
            MalformedError: a public-key certificate cannot be read.
        """
        if not pairs:
            return self
        further = replace(self, delegations=_together(self.delegations, Delegations(pairs)))
        # What has been found right stays right, whoever presents it.
        object.__setattr__(further, "signatures", self.signatures)
        return further

    def verify(
        self,
        data: bytes,
        *,
        holder: x509.Certificate | ParsedCertificate | bytes,
        at: datetime,
        target: TargetIdentity | None = None,
        identity: str | None = None,
        delegations: DelegationSource | None = None,
    ) -> VerifiedAttributeCertificate:
        """Verify one attribute certificate.

        Args:
            data: DER, or one PEM block ``ATTRIBUTE CERTIFICATE``; at most 64 KiB.
            holder: the identity certificate just authenticated, itself already verified at this time.
            at: the moment of use, aware.
            target: who the relying party is; without it a certificate that has targets is refused.
            identity: the canonical id of the legal entity, when ``Verifier`` found one; certificates that
                name their holder by it belong to nobody without it.
            delegations: those that came with this certificate, beside the ones that are at hand.

        Raises:
            RefusedError: with the first code that applies.
            CouldNotCheckError: ``STATUS_UNKNOWN``, ``AA_PATH_UNKNOWN``, ``DELEGATION_UNKNOWN`` or
                ``DELEGATION_LIMIT``.
        """
        walk = self._begin(data, holder, at)
        walk.target, walk.identity, walk.delegations = target, identity, delegations
        for finding in self._findings(walk):
            raise finding.error()
        return self._result(walk)

    def explain(
        self,
        data: bytes,
        *,
        holder: x509.Certificate | ParsedCertificate | bytes,
        at: datetime,
        target: TargetIdentity | None = None,
        identity: str | None = None,
        delegations: DelegationSource | None = None,
    ) -> Explanation:
        """Like ``verify``, but name every fault instead of the first; never raises for what was presented."""
        try:
            walk = self._begin(data, holder, at)
        except MalformedError as exc:
            return Explanation(findings=(Finding(exc.code, exc.facts),), certificate=None, verified=None)
        walk.target, walk.identity, walk.delegations = target, identity, delegations
        walk.is_explained = True
        findings = tuple(self._findings(walk))
        return Explanation(
            findings=findings,
            certificate=walk.certificate,
            verified=None if findings else self._result(walk),
            candidates=tuple(
                Candidate(way.route.names, way.findings(self, walk), way is walk.taken) for way in walk.ways
            ),
        )

    def _begin(
        self, data: bytes, holder: x509.Certificate | ParsedCertificate | bytes, at: datetime
    ) -> _Walk:
        if at.tzinfo is None:
            raise ValueError("`at` must be an aware time")
        der = decode_pem(data, PEM_LABEL) if data[:5] == b"-----" else data
        return _Walk(certificate=parse(der), holder=as_parsed(holder), at=at)

    def _findings(self, walk: _Walk) -> Iterator[Finding]:
        certificate = walk.certificate
        # 1. to 3. Form, extensions, algorithms.
        walk.extensions, faults = check_form(certificate)
        yield from faults
        # 4. Who issued it: by configuration or delegation, never by what the certificate says; and may it,
        # at this time.
        way = self._find_way(walk)
        if way is not None:
            yield from way.route.examined.findings
            # 5. The signature, with the key of the configuration or of the delegation.
            yield from way.signature(self, walk)
        elif certificate.issuer is not None:
            yield walk.unknown or Finding(Code.UNTRUSTED, {"issuer": str(certificate.issuer)})
        # 6. Time.
        yield from check_time(certificate, walk.at)
        # 7. The holder is the one who was just authenticated.
        if not is_issued_to(certificate.holder, walk.holder, walk.identity):
            yield Finding(Code.HOLDER, {"holder": walk.holder.subject_text})
        # 8. We are among those it was meant for.
        targets = walk.extensions.targets
        if targets is not None and not targets.admits(walk.target):
            yield Finding(Code.TARGET)
        if way is not None:
            # 9. It has not been revoked.
            yield from way.status(self, walk)[0]
            # 10. Its authority was delegated what it gives.
            yield from way.delegation(walk)

    def _find_way(self, walk: _Walk) -> _Way | None:
        issuer = walk.certificate.issuer
        if issuer is None:
            return None  # ISSUER_FORM has been said
        # The configuration names the authority: then there is no other way.
        direct = self.trust.find(issuer.value, walk.extensions.key_identifier)
        if direct is not None:
            route = Route(direct, self.trust.examine(direct, walk.at), names=(direct.label,))
            walk.taken = _Way(route)
            walk.ways.append(walk.taken)
            return walk.taken
        search = DelegationSearch(
            trust=self.trust,
            delegations=_together(self.delegations, walk.delegations),
            status=self.status_check,
            signatures=self.signatures,
            at=walk.at,
            target=walk.target,
        )
        try:
            for route in search.delegated(issuer, walk.extensions):
                way = _Way(route)
                walk.ways.append(way)
                if walk.taken is None and not way.findings(self, walk):
                    walk.taken = way
                    if not walk.is_explained:
                        break
        except CouldNotCheckError as exc:
            # The source of delegations does not answer: there may be a way that we do not see.
            facts = {"authority": str(issuer), "serial": walk.certificate.serial_hex, "reason": exc.code}
            walk.unknown = Finding(Code.DELEGATION_UNKNOWN, facts)
        if walk.taken is None and walk.ways and walk.unknown is None:
            walk.taken = min(walk.ways, key=lambda way: _rank(way.findings(self, walk)))
        return walk.taken

    def _result(self, walk: _Walk) -> VerifiedAttributeCertificate:
        certificate, way = walk.certificate, walk.taken
        if way is None or certificate.not_before is None or certificate.not_after is None:
            raise MalformedError("NOT_DER", kind="attribute certificate", detail="incomplete")
        no_assertion = walk.extensions.no_assertion
        roles, attributes, dropped = assignable(certificate.attributes, way.route, no_assertion=no_assertion)
        status = way.status(self, walk)[1]
        return VerifiedAttributeCertificate(
            certificate=certificate,
            holder=walk.holder,
            authority=way.route.authority,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            roles=tuple(roles),
            attributes=tuple(attributes),
            dropped=tuple(dropped),
            status=status.kind,
            revocation_list=status.revocation_list,
            audit_identity=walk.extensions.audit_identity,
            path=way.route.path,
            route=way.route,
        )


def _together(one: DelegationSource | None, other: DelegationSource | None) -> DelegationSource | None:
    return DelegationsTogether(one, other) if one is not None and other is not None else one or other


def _rank(findings: tuple[Finding, ...]) -> tuple[bool, int]:
    """Of ways that all fail, tell of one that may be good when asked later, or of the one nearest to good."""
    return any(finding.is_refusal for finding in findings), len(findings)
