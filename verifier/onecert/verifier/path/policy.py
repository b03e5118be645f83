"""Certificate policies: RFC 5280, sections 6.1.2 to 6.1.5, with the graph of RFC 9618 in place of the tree.

Only the deepest level of the graph is kept. A node is named by its policy and carries what later levels and
the answer need: the policies expected below it, and its *roots*, the policies in the anchor's own terms at
which its ancestors leave anyPolicy. Whole levels need not be stored, because pruning removes only nodes
without descendants, and those cannot reach the answer. Levels never grow beyond the policies that
certificates name, so the work is polynomial, which the tree's was not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RefusedError
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.limits import Limits
from onecert.verifier.path.inputs import PolicyInputs

__all__ = ["PolicyState", "acceptable_policies", "initial_state"]

# Greater than any path: "n + 1" of section 6.1.2 without knowing n in advance.
_NEVER = 1 << 30


class _Node(NamedTuple):
    expected: frozenset[str]
    roots: frozenset[str]


class PolicyState(NamedTuple):
    """The state variables (a), (d), (e), (f) of section 6.1.2. ``nodes`` is empty when the graph is NULL."""

    nodes: dict[str, _Node]
    explicit_policy: int
    inhibit_any: int
    policy_mapping: int

    def process(self, certificate: ParsedCertificate, *, final: bool, limits: Limits) -> PolicyState:
        """Section 6.1.3 (d), (e), (f)."""
        policies = certificate.policies
        nodes: dict[str, _Node] = {}
        if policies is not None and self.nodes:
            _check_count(certificate, len(policies), limits)
            any_allowed = self.inhibit_any > 0 or (not final and certificate.is_self_issued)
            nodes = self._next_level(policies, any_allowed=any_allowed)
        if not nodes and self.explicit_policy <= 0:
            _refuse(certificate)
        return PolicyState(nodes, self.explicit_policy, self.inhibit_any, self.policy_mapping)

    def _next_level(self, policies: Iterable[str], *, any_allowed: bool) -> dict[str, _Node]:
        expecting: dict[str, list[tuple[str, _Node]]] = {}
        for policy, node in self.nodes.items():
            for expected in node.expected:
                expecting.setdefault(expected, []).append((policy, node))
        nodes: dict[str, _Node] = {}
        # (d)(1): policies that a parent expects, else children of anyPolicy.
        for policy in policies:
            if policy == ANY_POLICY:
                continue
            if policy in expecting:
                nodes[policy] = _Node(frozenset({policy}), _roots(policy, expecting[policy]))
            elif ANY_POLICY in self.nodes:
                nodes[policy] = _Node(frozenset({policy}), frozenset({policy}))
        # (d)(2): anyPolicy continues whatever is expected and not named.
        if any_allowed and ANY_POLICY in policies:
            for policy, parents in expecting.items():
                if policy not in nodes:
                    nodes[policy] = _Node(frozenset({policy}), _roots(policy, parents))
        return nodes

    def prepare(self, certificate: ParsedCertificate, limits: Limits) -> PolicyState:
        """Section 6.1.4 (a), (b), (h), (i), (j)."""
        state = self
        mappings = certificate.policy_mappings
        if mappings:
            _check_count(certificate, len(mappings), limits)
            state = self._replace(nodes=self._map(certificate, mappings))
        explicit, mapping, any_policy = state.explicit_policy, state.policy_mapping, state.inhibit_any
        if not certificate.is_self_issued:
            explicit, mapping, any_policy = max(explicit - 1, 0), max(mapping - 1, 0), max(any_policy - 1, 0)
        constraints = certificate.policy_constraints
        if constraints is not None:
            if constraints.require_explicit_policy is not None:
                explicit = min(explicit, constraints.require_explicit_policy)
            if constraints.inhibit_policy_mapping is not None:
                mapping = min(mapping, constraints.inhibit_policy_mapping)
        if certificate.inhibit_any_policy is not None:
            any_policy = min(any_policy, certificate.inhibit_any_policy)
        return PolicyState(state.nodes, explicit, any_policy, mapping)

    def _map(self, certificate: ParsedCertificate, mappings: tuple[tuple[str, str], ...]) -> dict[str, _Node]:
        mapped: dict[str, set[str]] = {}
        for issuer_policy, subject_policy in mappings:
            if ANY_POLICY in {issuer_policy, subject_policy}:
                raise RefusedError(
                    "POLICY_MAPPING",
                    certificate=certificate.certificate,
                    source="RFC 5280, section 6.1.4 (a)",
                    subject=certificate.subject_text,
                )
            mapped.setdefault(issuer_policy, set()).add(subject_policy)
        nodes = dict(self.nodes)
        for policy, targets in mapped.items():
            if self.policy_mapping <= 0:
                nodes.pop(policy, None)
            elif policy in nodes:
                nodes[policy] = _Node(frozenset(targets), nodes[policy].roots)
            elif ANY_POLICY in nodes:
                # A child of the anyPolicy node of the level above, so the policy is its own root.
                nodes[policy] = _Node(frozenset(targets), frozenset({policy}))
        return nodes

    def finish(
        self, certificate: ParsedCertificate, acceptable: frozenset[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Section 6.1.5 (a), (b), (g): the authority-constrained and the user-constrained policy set."""
        explicit = self.explicit_policy
        # The names are compared only where a count of one depends on it.
        if explicit == 1 and not certificate.is_self_issued:
            explicit = 0
        constraints = certificate.policy_constraints
        if constraints is not None and constraints.require_explicit_policy == 0:
            explicit = 0
        authority = frozenset[str]().union(*[node.roots for node in self.nodes.values()])
        if ANY_POLICY in acceptable:
            constrained = authority
        elif ANY_POLICY in self.nodes:
            constrained = acceptable
        else:
            constrained = authority & acceptable
        if not constrained and explicit <= 0:
            _refuse(certificate)
        return authority, constrained


_ANY = frozenset({ANY_POLICY})
_ANY_NODE = _Node(_ANY, _ANY)


def acceptable_policies(inputs: PolicyInputs, anchor: TrustAnchor) -> frozenset[str]:
    """RFC 5937, section 4: what the anchor may stand for narrows what the caller asked for."""
    if anchor.policies is None:
        return inputs.initial
    return anchor.policies if ANY_POLICY in inputs.initial else anchor.policies & inputs.initial


def initial_state(inputs: PolicyInputs, anchor: TrustAnchor) -> PolicyState:
    """Section 6.1.2, with the limits of the anchor (RFC 5937, section 4)."""
    return PolicyState(
        {ANY_POLICY: _ANY_NODE},
        _first_count(inputs.require_explicit, anchor.require_explicit_policy),
        _first_count(inputs.inhibit_any, anchor.inhibit_any_policy),
        _first_count(inputs.inhibit_mapping, anchor.inhibit_policy_mapping),
    )


def _first_count(asked: bool, of_anchor: int | None) -> int:
    if asked:
        return 0
    return _NEVER if of_anchor is None else of_anchor


def _roots(policy: str, parents: list[tuple[str, _Node]]) -> frozenset[str]:
    roots: set[str] = set()
    for parent, node in parents:
        # A node whose parent is anyPolicy is where the graph enters the anchor's own policies.
        roots |= {policy} if parent == ANY_POLICY else node.roots
    return frozenset(roots)


def _check_count(certificate: ParsedCertificate, count: int, limits: Limits) -> None:
    if count > limits.policies_max:
        raise RefusedError(
            "CERT_TOO_COMPLEX",
            certificate=certificate.certificate,
            subject=certificate.subject_text,
            kind="policies",
            max=limits.policies_max,
        )


def _refuse(certificate: ParsedCertificate) -> None:
    raise RefusedError(
        "POLICY",
        certificate=certificate.certificate,
        source="RFC 5280, sections 6.1.3 (f) and 6.1.5 (g)",
        subject=certificate.subject_text,
    )
