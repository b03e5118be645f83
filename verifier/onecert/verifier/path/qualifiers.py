"""What policies a path leaves valid, with their qualifiers: the outputs of RFC 5280, section 6.1.5 (g), as
RFC 9618, section 5.6, words it.

The two sets come with every answer. Qualifiers are collected when somebody asks for them: validation keeps
the deepest level of the policy graph only, and here all levels of one path are made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onecert.verifier.der import SEQUENCE, DerError, Reader
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.messages import harmless

if TYPE_CHECKING:
    from onecert.verifier.certificate import ParsedCertificate
    from onecert.verifier.limits import Limits
    from onecert.verifier.path.policy import PolicyState

__all__ = ["PolicyQualifier", "ValidPolicies", "parse_qualifiers"]

_CPS, _USER_NOTICE = "1.3.6.1.5.5.7.2.1", "1.3.6.1.5.5.7.2.2"
# RFC 5280, section 4.2.1.4: DisplayText has at most 200 characters; addresses are bounded by us.
_TEXT_MAX, _URI_MAX = 200, 2048
_QUALIFIERS_MAX = 256
_DISPLAY_TEXT = {0x0C: "utf-8", 0x16: "ascii", 0x1A: "ascii", 0x1E: "utf-16-be"}


@dataclass(frozen=True, kw_only=True)
class PolicyQualifier:
    """One qualifier of a policy, for people; nothing is decided by it.

    Texts have at most 200 characters, addresses 2048, and control characters are replaced.

    Args:
        kind: ``cps``, ``user_notice``, or the OID of another kind or of one that cannot be read.
        uri: address of the certification practice statement; do not fetch it without thought.
        text: the notice that the relying party should read.
        organization, numbers: where else the notice stands.

    Source: RFC 5280, section 4.2.1.4.
    """

    kind: str
    uri: str = ""
    text: str = ""
    organization: str = ""
    numbers: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON; empty fields are left out."""
        fields = {
            "kind": self.kind,
            "uri": self.uri,
            "text": self.text,
            "organization": self.organization,
            "numbers": list(self.numbers),
        }
        return {name: value for name, value in fields.items() if value}


class ValidPolicies:
    """The policies that are valid along one path.

    ``user`` is the user-constrained and ``authority`` the authority-constrained policy set, both in the
    anchor's own terms. ``{"2.5.29.32.0"}`` stands for any policy, the empty set says that none is valid.
    """

    __slots__ = ("_chain", "_limits", "_qualifiers", "_start", "authority", "user")

    def __init__(
        self,
        authority: frozenset[str],
        user: frozenset[str],
        start: PolicyState,
        chain: tuple[ParsedCertificate, ...],
        limits: Limits,
    ) -> None:
        """Take the sets, and what qualifiers are found from: the first state and the certificates below."""
        self.authority = authority
        self.user = user
        self._start = start
        self._chain = chain
        self._limits = limits
        self._qualifiers: Mapping[str, tuple[PolicyQualifier, ...]] | None = None

    @property
    def qualifiers(self) -> Mapping[str, tuple[PolicyQualifier, ...]]:
        """Policy of ``user`` -> its qualifiers, nearest to the anchor first; only where there are any."""
        if self._qualifiers is None:
            by_root = _collect(self._start, self._chain, self._limits)
            # A policy that was asked for and that only anyPolicy stands for has the qualifiers of that.
            root = {policy: policy if policy in self.authority else ANY_POLICY for policy in self.user}
            found = {policy: by_root.get(root[policy], ()) for policy in sorted(self.user)}
            self._qualifiers = {policy: rows for policy, rows in found.items() if rows}
        return self._qualifiers


def _collect(
    start: PolicyState, chain: tuple[ParsedCertificate, ...], limits: Limits
) -> dict[str, tuple[PolicyQualifier, ...]]:
    """Policy in the anchor's terms -> qualifiers of its node, its ancestors and its descendants."""
    levels = [start]
    for certificate in chain[:-1]:
        levels.append(
            levels[-1].process(certificate, final=False, limits=limits).prepare(certificate, limits)
        )
    levels.append(levels[-1].process(chain[-1], final=True, limits=limits))
    # From the target upwards, so that branches without a node at the last level are never looked at.
    wanted: dict[str, set[str]] = {policy: set(node.roots) for policy, node in levels[-1].nodes.items()}
    found: list[tuple[str, bytes]] = []
    for depth in range(len(chain), 0, -1):
        named = chain[depth - 1].policies or {}
        above: dict[str, set[str]] = {}
        for policy, roots in wanted.items():
            der = named.get(policy, named.get(ANY_POLICY, b""))
            found += [(root, der) for root in roots if der]
            for parent in _parents(levels[depth - 1], policy):
                # Above the root all is anyPolicy, and its qualifiers belong to every root below it.
                node = levels[depth - 1].nodes[parent]
                passed = roots if parent == ANY_POLICY else roots & node.roots
                above.setdefault(parent, set()).update(passed)
        wanted = above
    qualifiers: dict[str, list[PolicyQualifier]] = {}
    for root, der in reversed(found):
        rows = qualifiers.setdefault(root, [])
        rows += [row for row in parse_qualifiers(der) if row not in rows][: _QUALIFIERS_MAX - len(rows)]
    return {root: tuple(rows) for root, rows in qualifiers.items()}


def _parents(level: PolicyState, policy: str) -> list[str]:
    expecting = [name for name, node in level.nodes.items() if policy in node.expected]
    return expecting or [ANY_POLICY]


def parse_qualifiers(policy_qualifiers_der: bytes) -> list[PolicyQualifier]:
    """Read a DER ``policyQualifiers`` field. What breaks the grammar is given by its OID alone."""
    rows: list[PolicyQualifier] = []
    try:
        sequence = Reader(policy_qualifiers_der).enter(SEQUENCE)
        while sequence and len(rows) < _QUALIFIERS_MAX:
            information = sequence.enter(SEQUENCE)
            rows.append(_qualifier(information.oid(), information))
    except DerError:
        pass  # qualifiers decide nothing; those before the fault stand
    return rows


def _qualifier(oid: str, reader: Reader) -> PolicyQualifier:
    try:
        if oid == _CPS:
            uri = reader.contents(0x16).decode("ascii")
            return PolicyQualifier(kind="cps", uri=harmless(uri, _URI_MAX))
        if oid == _USER_NOTICE:
            return _user_notice(reader.enter(SEQUENCE))
    except (DerError, UnicodeDecodeError):
        pass
    return PolicyQualifier(kind=oid)


def _user_notice(reader: Reader) -> PolicyQualifier:
    organization, text = "", ""
    numbers: list[int] = []
    if reader.peek() == SEQUENCE:
        reference = reader.enter(SEQUENCE)
        organization = _display_text(reference)
        list_of = reference.enter(SEQUENCE)
        while list_of and len(numbers) < _TEXT_MAX:
            number = list_of.integer()
            if 0 <= number < 1 << 63:
                numbers.append(number)
    if reader:
        text = _display_text(reader)
    return PolicyQualifier(kind="user_notice", text=text, organization=organization, numbers=tuple(numbers))


def _display_text(reader: Reader) -> str:
    tag, contents = reader.any()
    if tag not in _DISPLAY_TEXT:
        raise DerError("not a DisplayText")
    return harmless(contents.decode(_DISPLAY_TEXT[tag]), _TEXT_MAX)
