"""Path validation, RFC 5280, section 6.1, one certificate at a time from the anchor downwards.

``start`` makes the state below an anchor, ``step`` takes it below one more CA certificate, ``finish``
judges the target. A state is immutable and says how long it holds, so that the state above the leaves of
one CA is computed once and used for each of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import RefusedError
from onecert.verifier.names import CanonicalName
from onecert.verifier.path.checks import KEY_CERT_SIGN, check_is_ca, check_unknown_extensions
from onecert.verifier.path.inputs import Budget, PathParameters
from onecert.verifier.path.name_constraints import Layer, check_names, layer_from_der
from onecert.verifier.path.policy import PolicyState, acceptable_policies, initial_state
from onecert.verifier.path.qualifiers import ValidPolicies
from onecert.verifier.path.strict import check_profile
from onecert.verifier.result import Notice, Source, ValidatedPath
from onecert.verifier.signatures import (
    PublicKey,
    check_key,
    parse_algorithm,
)

__all__ = [
    "NOT_ASKED",
    "PathState",
    "RevocationAnswer",
    "Surroundings",
    "finish",
    "start",
    "step",
]

_POLICIES, _POLICY_CONSTRAINTS = "2.5.29.32", "2.5.29.36"
_POLICY_SETS_MAX = 256
_NO_LIMIT = 1 << 30
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


class PathState(NamedTuple):
    """What is known below the last CA of ``chain`` (anchor first, the anchor itself left out)."""

    anchor: TrustAnchor
    chain: tuple[ParsedCertificate, ...]
    issuer: CanonicalName
    issuer_der: bytes
    key: PublicKey
    spki_der: bytes
    key_id: bytes | None
    key_usage: frozenset[int] | None
    acceptable: frozenset[str]  # policies
    first_policy: PolicyState
    policy: PolicyState
    constraints: tuple[Layer, ...]
    path_length: int
    valid_from: datetime
    valid_until: datetime
    sources: tuple[Source, ...]
    warnings: tuple[Notice, ...]
    # Memories of what came out for siblings: policies here, lists in ``path.statements``. They die with the
    # state.
    policy_sets: dict[tuple[bytes | None, bytes | None], ValidPolicies]
    plans: dict[tuple[bytes | None, bool], Any]


class RevocationAnswer(NamedTuple):
    """Good, as far as ``sources`` say and within the two times."""

    sources: tuple[Source, ...]
    warnings: tuple[Notice, ...]
    valid_from: datetime | None
    valid_until: datetime | None


NOT_ASKED = RevocationAnswer((), (), None, None)


class Surroundings(Protocol):
    """What the search lends to validation: signature checks with a memory, and revocation."""

    @property
    def budget(self) -> Budget:
        """What may still be spent."""

    @property
    def at(self) -> datetime:
        """The moment that is asked about."""

    def load_key(self, public_key_der: bytes) -> PublicKey:
        """``load_public_key`` with a memory."""

    def check_signature(
        self, certificate: ParsedCertificate, key: PublicKey, key_spki_der: bytes, *, final: bool
    ) -> None:
        """Raise unless ``certificate`` is signed by ``key``."""

    def check_revocation(self, certificate: ParsedCertificate, state: PathState) -> RevocationAnswer:
        """Raise unless the certificate, issued below ``state``, is good."""


def start(anchor: TrustAnchor, parameters: PathParameters, at: datetime) -> PathState:
    """Section 6.1.2.

    Raises:
        RefusedError: ``ANCHOR_EXPIRED``, ``ANCHOR_NOT_YET_VALID``, ``WEAK_KEY``, ``KEY_INVALID``.
    """
    if anchor.valid_from is not None and at < anchor.valid_from:
        raise RefusedError("ANCHOR_NOT_YET_VALID", subject=anchor.subject, not_before=anchor.valid_from)
    if anchor.valid_until is not None and at > anchor.valid_until:
        raise RefusedError("ANCHOR_EXPIRED", subject=anchor.subject, not_after=anchor.valid_until)
    if anchor.key_usage is not None and KEY_CERT_SIGN not in anchor.key_usage:
        raise RefusedError("CA_KEY_USAGE", source="RFC 5937, section 4", subject=anchor.subject)
    check_key(anchor.public_key, parameters.algorithms)
    if parameters.strict and anchor.certificate is not None:
        check_profile(as_parsed(anchor.certificate))
    constraints = []
    if parameters.constraints_der is not None:
        constraints.append(layer_from_der("the caller", parameters.constraints_der))
    if anchor.constraints_der is not None:
        constraints.append(layer_from_der(anchor.subject, anchor.constraints_der))
    policy = initial_state(parameters.policies, anchor)
    return PathState(
        anchor=anchor,
        chain=(),
        issuer=anchor.name,
        issuer_der=anchor.name_der,
        key=anchor.public_key,
        spki_der=anchor.public_key_der,
        key_id=anchor.subject_key_id,
        key_usage=anchor.key_usage,
        acceptable=acceptable_policies(parameters.policies, anchor),
        first_policy=policy,
        policy=policy,
        constraints=tuple(constraints),
        path_length=_NO_LIMIT if anchor.max_path_length is None else anchor.max_path_length,
        valid_from=anchor.valid_from or _BEGINNING,
        valid_until=anchor.valid_until or _END,
        sources=(),
        warnings=(),
        policy_sets={},
        plans={},
    )


def step(
    state: PathState, certificate: ParsedCertificate, parameters: PathParameters, around: Surroundings
) -> PathState:
    """Sections 6.1.3 and 6.1.4 for a CA certificate."""
    check_is_ca(certificate, around.at)
    self_issued = certificate.is_self_issued
    check_unknown_extensions(certificate, parameters)
    if parameters.strict:
        check_profile(certificate)
    parameters.purpose.check_ca(certificate)
    # 6.1.4 (l): self-issued certificates do not count.
    path_length = state.path_length
    if not self_issued:
        if path_length <= 0:
            raise RefusedError(
                "PATH_TOO_LONG",
                certificate=certificate.certificate,
                source="RFC 5280, section 6.1.4 (l)",
                subject=state.anchor.subject if not state.chain else state.chain[-1].subject_text,
                max=0,
            )
        path_length -= 1
    basic = certificate.basic_constraints
    if basic is not None and basic.path_length is not None:
        path_length = min(path_length, basic.path_length)

    _check_names(state, certificate, parameters, around, final=False)
    policy = state.policy.process(certificate, final=False, limits=parameters.limits)
    answer = _check_issuer(state, certificate, around, final=False)
    policy = policy.prepare(certificate, parameters.limits)
    # 6.1.4 (g)
    constraints = state.constraints
    if certificate.name_constraints is not None:
        constraints = (*constraints, Layer(certificate.subject_text, certificate.name_constraints))
    key = _load_key(certificate, parameters, around)
    return PathState(
        anchor=state.anchor,
        chain=(*state.chain, certificate),
        issuer=certificate.subject,
        issuer_der=certificate.subject_der,
        key=key,
        spki_der=certificate.spki_der,
        key_id=certificate.subject_key_id,
        key_usage=certificate.key_usage,
        acceptable=state.acceptable,
        first_policy=state.first_policy,
        policy=policy,
        constraints=constraints,
        path_length=path_length,
        valid_from=max(state.valid_from, certificate.not_before, answer.valid_from or _BEGINNING),
        valid_until=min(
            state.valid_until,
            certificate.not_after,
            answer.valid_until or _END,
            parameters.algorithms.end(parse_algorithm(certificate.algorithm_der)) or _END,
        ),
        sources=state.sources + answer.sources,
        warnings=state.warnings + answer.warnings,
        policy_sets={},
        plans={},
    )


def _load_key(certificate: ParsedCertificate, parameters: PathParameters, around: Surroundings) -> PublicKey:
    try:
        key = around.load_key(certificate.spki_der)
        check_key(key, parameters.algorithms)
    except RefusedError as exc:
        exc.certificate = certificate.certificate
        raise
    return key


def finish(
    state: PathState, target: ParsedCertificate, parameters: PathParameters, around: Surroundings
) -> ValidatedPath:
    """Sections 6.1.3 and 6.1.5 for the target, for which ``check_alone`` has already passed."""
    _check_names(state, target, parameters, around, final=True)
    policies = _final_policies(state, target, parameters)
    answer = _check_issuer(state, target, around, final=True)
    valid_until = min(state.valid_until, target.not_after)
    if answer.valid_until is not None:
        valid_until = min(valid_until, answer.valid_until)
    return ValidatedPath(
        target=target,
        chain=(target, *reversed(state.chain)),
        anchor=state.anchor,
        at=around.at,
        purpose=parameters.purpose.name,
        policy=policies,
        sources=state.sources + answer.sources,
        warnings=tuple([warning.at(around.at) for warning in state.warnings + answer.warnings]),
        valid_until=valid_until,
    )


def _final_policies(state: PathState, target: ParsedCertificate, parameters: PathParameters) -> ValidPolicies:
    """Sections 6.1.3 (d) to (f) and 6.1.5 (a), (b), (g): the same for all leaves with the same policies."""
    key = (target.extension_value(_POLICIES), target.extension_value(_POLICY_CONSTRAINTS))
    known = state.policy_sets.get(key)
    if known is None:
        policy = state.policy.process(target, final=True, limits=parameters.limits)
        authority, user = policy.finish(target, state.acceptable)
        known = ValidPolicies(authority, user, state.first_policy, (*state.chain, target), parameters.limits)
        # With one certificate left until a policy is needed, it matters whether the target is self-issued.
        if state.policy.explicit_policy != 1 and len(state.policy_sets) < _POLICY_SETS_MAX:
            state.policy_sets[key] = known
    return known


def _check_names(
    state: PathState,
    certificate: ParsedCertificate,
    parameters: PathParameters,
    around: Surroundings,
    *,
    final: bool,
) -> None:
    """Section 6.1.3 (b), (c)."""
    if state.constraints and (final or not certificate.is_self_issued):
        check_names(certificate, state.constraints, budget=around.budget, limits=parameters.limits)


def _check_issuer(
    state: PathState, certificate: ParsedCertificate, around: Surroundings, *, final: bool
) -> RevocationAnswer:
    """Section 6.1.3 (a)(1) and (a)(3); dates and names, (a)(2) and (a)(4), have been compared by the caller.

    The costly checks come last, and nothing is believed before they have passed.
    """
    around.check_signature(certificate, state.key, state.spki_der, final=final)
    return around.check_revocation(certificate, state)
