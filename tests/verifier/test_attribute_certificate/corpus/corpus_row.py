"""What one row of the corpus says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from corpus_world import Parts, T, parts


@dataclass(frozen=True, kw_only=True)
class Row:
    """One attribute certificate, how it is presented, and what must be said about it.

    Args:
        code: the first code; empty when it is accepted.
        at: the moment of use.
        target, groups: who the relying party is; None: it does not say.
        lists: files of revocation lists, by default one good list of every authority.
        delegations: pairs of files, the delegation and the certificate of the sub-authority.
        dropped: reasons of what reaches no decision although the certificate is accepted.
        kind: ``forbidden`` (RFC 5755 or what it refers to forbids it, whoever reads), ``local`` (right in
            itself, wrong here: another holder, time, target, authority) or ``good``.
    """

    slug: str
    der: bytes
    code: str
    rule: str
    source: str
    holder: str = "holder"
    at: datetime = T
    target: str | None = None
    groups: tuple[str, ...] = ()
    identity: str | None = None
    authority: str = "aa-p256"
    lists: tuple[str, ...] | None = None
    delegations: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    kind: str = "forbidden"
    extra_files: dict[str, bytes] = field(default_factory=dict)

    def to_json(self, file: str) -> dict[str, Any]:
        """What the JSON file says of it."""
        verdict = "accepted" if not self.code else "refused"
        if self.code in {"STATUS_UNKNOWN", "AA_PATH_UNKNOWN", "DELEGATION_UNKNOWN", "DELEGATION_LIMIT"}:
            verdict = "could-not-check"
        return {
            "file": file,
            "verdict": verdict,
            "code": self.code,
            "rule": self.rule,
            "source": self.source,
            "kind": "good" if not self.code else self.kind,
            "holder": f"{self.holder}.cer",
            "authority": f"{self.authority}.cer",
            "at": f"{self.at:%Y-%m-%dT%H:%M:%SZ}",
            "target": self.target,
            "groups": list(self.groups),
            "identity": self.identity,
            "lists": None if self.lists is None else list(self.lists),
            "delegations": [list(pair) for pair in self.delegations],
            "dropped": list(self.dropped),
        }


def changed(
    slug: str, code: str, rule: str, source: str, more: dict[str, Any] | None = None, **pieces: Any
) -> Row:
    """A row with some pieces changed; ``more`` are fields of the row."""
    more = more or {}
    return Row(slug=slug, der=made(slug, **pieces).sign(), code=code, rule=rule, source=source, **more)


def made(slug: str, **pieces: Any) -> Parts:
    """The pieces of a row."""
    return parts(slug, **pieces)
