"""What path validation is told from outside (RFC 5280, section 6.1.1), and what one search may cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from onecert.verifier.arguments import check_kind
from onecert.verifier.errors import BudgetError
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.purposes import LOGIN, Purpose
from onecert.verifier.revocation.evidence import RevocationPolicy
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, AlgorithmPolicy

__all__ = ["Budget", "PathParameters", "PolicyInputs"]


@dataclass(frozen=True, kw_only=True)
class PolicyInputs:
    """What is asked of certificate policies.

    Args:
        initial: policies that are acceptable, dotted OIDs in the anchor's terms; any by default.
        require_explicit: one of them must be valid along the whole path.
        inhibit_mapping: policies of one domain do not stand for those of another.
        inhibit_any: anyPolicy in a certificate stands for nothing.

    Raises:
        TypeError: ``initial`` is one string where a set of them belongs.

    Source: RFC 5280, section 6.1.1 (c), (e), (f), (g).
    """

    initial: frozenset[str] = frozenset({ANY_POLICY})
    require_explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False

    def __post_init__(self) -> None:
        """Take any collection of OIDs, but not the characters of one."""
        if isinstance(self.initial, (str, bytes)):
            raise TypeError("initial must be a set of object identifiers, not one string")
        object.__setattr__(self, "initial", frozenset(self.initial))


@dataclass(frozen=True, kw_only=True)
class PathParameters:
    """Everything that stays the same from one certificate to the next.

    Args:
        purpose: what the certificate is used for; one of ``onecert.verifier.purposes`` or your own.
        policies: which certificate policies are acceptable.
        revocation: how strictly revocation is judged.
        algorithms: which signature algorithms and keys are accepted, some until a date.
        limits: how much hostile input may cost.
        constraints_der: DER NameConstraints with the initial permitted and excluded subtrees, (h) and (i).
        processed_extensions: critical extensions, by OID, that the caller acts upon after validation.
        strict: also refuse what breaks a rule for issuers only; see ``path.strict``.
    """

    purpose: Purpose = LOGIN
    policies: PolicyInputs = field(default_factory=PolicyInputs)
    revocation: RevocationPolicy = field(default_factory=RevocationPolicy)
    algorithms: AlgorithmPolicy = DEFAULT_ALGORITHMS
    limits: Limits = DEFAULT_LIMITS
    constraints_der: bytes | None = None
    processed_extensions: frozenset[str] = frozenset()
    strict: bool = False

    def __post_init__(self) -> None:
        """Raise ``TypeError`` for a name or a text where one of our objects belongs."""
        for value, kind, what in (
            (self.purpose, Purpose, "purpose"),
            (self.policies, PolicyInputs, "policies"),
            (self.revocation, RevocationPolicy, "revocation"),
            (self.algorithms, AlgorithmPolicy, "algorithms"),
            (self.limits, Limits, "limits"),
        ):
            check_kind(value, kind, what)


class Budget:
    """Counts down over all branches of one search."""

    __slots__ = ("_limits", "comparisons", "signatures", "steps")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.signatures = 0
        self.steps = 0
        self.comparisons = 0

    def signature(self, cost: int = 1) -> None:
        """Called before each signature check."""
        self.signatures += cost
        if self.signatures > self._limits.signature_checks:
            raise BudgetError("PATH_BUDGET", spent=self._limits.signature_checks, kind="signature checks")

    def step(self) -> None:
        """Called for each candidate issuer that is looked at."""
        self.steps += 1
        if self.steps > self._limits.path_steps:
            raise BudgetError("PATH_BUDGET", spent=self._limits.path_steps, kind="steps")

    def compare(self, count: int) -> None:
        """Called before ``count`` comparisons of a name with a constraint."""
        self.comparisons += count
        if self.comparisons > self._limits.name_comparisons:
            raise BudgetError("PATH_BUDGET", spent=self._limits.name_comparisons, kind="name comparisons")
