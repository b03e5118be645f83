"""``policy.json``: how long the supervision lets a department without network rely on a bundle.

    {"version": 1, "max_age": {"login": 604800, "signing": 259200, "otherwise": 86400},
     "closed": {"cancelled": "refuse", "revoked": "warn"}}

``max_age`` counts seconds since the bundle was made, for each purpose; ``otherwise`` is for all that are not
named, and 0 means: not offline. Within that age a revocation list of the bundle is used after its own end,
with a warning; that is what being offline means, and the reason why the supervision and not the department
decides how long. A bundle without a policy gives nothing: its lists are used until their own end.

The policy can only make stricter what the verifier asks: there is always an answer about revocation, and a
department's own limits hold beside it, whichever is stricter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from onecert.verifier.errors import MalformedError
from onecert.verifier.identity.registry import ClosedEntities
from onecert.verifier.jws import load_json
from onecert.verifier.purposes import ENCRYPTION, LOGIN, SIGNING, Purpose
from onecert.verifier.strict_json import Node, StrictJsonError

__all__ = ["POLICY_MAX_BYTES", "OfflinePolicy", "load_policy"]

POLICY_MAX_BYTES = 64 * 1024
_OTHERWISE = "otherwise"
_SECONDS_MAX = 190 * 24 * 3600
_PURPOSES = (LOGIN.name, SIGNING.name, ENCRYPTION.name, _OTHERWISE)


@dataclass(frozen=True, kw_only=True)
class OfflinePolicy:
    """How old a bundle may be for each purpose, and what becomes of closed entities."""

    max_age: Mapping[str, timedelta]
    closed: ClosedEntities = field(default_factory=ClosedEntities)

    def age_for(self, purpose: Purpose) -> timedelta:
        """How old the bundle may be for this purpose."""
        return self.max_age.get(purpose.name, self.max_age.get(_OTHERWISE, timedelta(0)))

    def as_dict(self) -> dict[str, Any]:
        """For JSON, as in the file."""
        return {
            "version": 1,
            "max_age": {name: int(age.total_seconds()) for name, age in self.max_age.items()},
            "closed": {"cancelled": self.closed.cancelled, "revoked": self.closed.revoked},
        }


def load_policy(data: bytes) -> OfflinePolicy:
    """Read ``policy.json``, at most 64 KiB.

    Raises:
        MalformedError: BUNDLE_POLICY.
    """
    try:
        with Node(load_json(data, max_bytes=POLICY_MAX_BYTES), "") as node:
            node.integer("version", low=1, high=1)
            with node.node("max_age") as ages:
                found = {
                    name: timedelta(seconds=ages.integer(name, low=0, high=_SECONDS_MAX))
                    for name in _PURPOSES
                    if ages.has(name)
                }
            closed = ClosedEntities()
            if node.has("closed"):
                with node.node("closed") as rules:
                    closed = ClosedEntities(
                        cancelled=rules.choice("cancelled", ("refuse", "warn"), default="refuse"),
                        revoked=rules.choice("revoked", ("refuse", "warn"), default="warn"),
                    )
    except StrictJsonError as exc:
        raise MalformedError("BUNDLE_POLICY", detail=str(exc)[:300]) from exc
    except MalformedError as exc:
        raise MalformedError("BUNDLE_POLICY", detail=exc.text("en")) from exc
    return OfflinePolicy(max_age=found, closed=closed)
