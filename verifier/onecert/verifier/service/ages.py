"""How old everything is that a verdict rests on, besides list and revocation lists: for ``Health``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.verifier.errors import VerifyError
from onecert.verifier.identity.registry_head import SnapshotHead
from onecert.verifier.verifier import Verifier

__all__ = ["Age", "ages_of"]


@dataclass(frozen=True, kw_only=True)
class Age:
    """One part: its number among its like, from when it is, and until when it may be used."""

    name: str
    number: int | None
    issued_at: datetime
    ends_at: datetime

    def as_dict(self, at: datetime) -> dict[str, Any]:
        """For JSON; seconds."""
        found: dict[str, Any] = {} if self.number is None else {"number": self.number}
        return {
            **found,
            "age_s": int((at - self.issued_at).total_seconds()),
            "left_s": int((self.ends_at - at).total_seconds()),
        }


def ages_of(verifier: Verifier, at: datetime) -> list[Age]:
    """``root``, ``timestamp``, ``bundle`` and ``registry``, those that this verifier works with.

    Raises:
        VerifyError: there is no list that may be used.
    """
    found = []
    parts = verifier.parts(at)
    if parts is not None:
        root, stamp = parts.root, parts.timestamp
        found += [
            Age(name="root", number=root.version, issued_at=root.issued_at, ends_at=root.expires_at),
            Age(name="timestamp", number=stamp.version, issued_at=stamp.issued_at, ends_at=stamp.expires_at),
        ]
    source = getattr(verifier, "source", None)
    if source is not None:
        manifest = source.bundle(at).manifest
        made_at, use_until = manifest.made_at, manifest.use_until
        found.append(Age(name="bundle", number=None, issued_at=made_at, ends_at=use_until))
    head = _register(verifier, at)
    if head is not None:
        found.append(
            Age(name="registry", number=head.number, issued_at=head.issued_at, ends_at=head.next_update)
        )
    return found


def _register(verifier: Verifier, at: datetime) -> SnapshotHead | None:
    """Logins with a credit code do not need it, so that its absence is none of theirs."""
    ask = getattr(verifier.registry, "head", None)
    try:
        found: SnapshotHead | None = None if ask is None else ask(at)
    except VerifyError:
        return None
    return found
