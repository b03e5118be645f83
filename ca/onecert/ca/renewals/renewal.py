"""Orders that follow a certificate: renew, re-key, change, replace; what each may do, and to what.

An order says `kind` and names the certificate it follows (`replaces`). Without `kind` it is for a new
certificate, as orders have always been. All kinds stay with the holder and the profile; the authority may be
another one, the next of a roll-over.

- `renew`: the same subject for another term, within the profile's window around the end of the old one;
  before it only with `early`, a reason in words, from who may do so.
- `rekey`: the same subject with a new key, until the end of the old one.
- `change`: another subject of the same holder, until the end of the old one, which the order says when to
  revoke: `issued`, `delivered`, or a moment.
- `replace`: after a loss; the old one is revoked before the new one exists.

RFC 3647, sections 4.4.6 to 4.4.8, uses the first three words so, but for "renew", which here may bring a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.ca.errors.orders import OrderMalformedError
from onecert.ca.errors.renewals import PredecessorStateError

__all__ = [
    "AT",
    "CHANGE",
    "DELIVERED",
    "FIRST",
    "ISSUE",
    "ISSUED",
    "NEVER",
    "REKEY",
    "RENEW",
    "REPLACE",
    "Follow",
]

ISSUE, RENEW, REKEY, CHANGE, REPLACE = "issue", "renew", "rekey", "change", "replace"
# When the old certificate is revoked.
NEVER, FIRST, ISSUED, DELIVERED, AT = "never", "first", "issued", "delivered", "at"
_REASONS: Mapping[str, frozenset[str]] = {
    RENEW: frozenset({"superseded"}),
    REKEY: frozenset({"superseded"}),
    CHANGE: frozenset({"superseded", "affiliationChanged"}),
    REPLACE: frozenset({"superseded", "keyCompromise"}),
}
# A certificate revoked for another reason has a holder who may have none (RFC 5280, section 5.3.1).
_REPLACEABLE = frozenset({"unspecified", "superseded", "keyCompromise"})
_NAME = re.compile(r"[A-Za-z0-9._:@-]{1,64}", re.ASCII)
_SERIAL = re.compile(r"[0-9A-Fa-f]{1,40}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Follow:
    """The certificate that an order follows, and what becomes of it."""

    kind: str
    authority: str
    serial: str
    reason: str | None  # None: it is not revoked
    when: str
    at: datetime | None  # with `AT`
    early: str | None = None  # why it is renewed before the profile's window

    def check_state(self, state: str, status: str, reason: str | None) -> None:
        """Check that a certificate in this state may be followed so.

        Raises:
            PredecessorStateError
        """
        lost = self.kind == REPLACE and (status == "hold" or (status == "revoked" and reason in _REPLACEABLE))
        if state != "issued" or not (status == "good" or lost):
            raise PredecessorStateError(self.kind, self.serial, status if state == "issued" else state)


def read_follow(payload: Mapping[str, Any]) -> Follow | None:
    """Read `kind`, `replaces`, `revoke_replaced` and `early` of an order; None: it follows nothing.

    Raises:
        OrderMalformedError
    """
    kind = payload.get("kind", ISSUE)
    if kind == ISSUE:
        for name in ("replaces", "revoke_replaced", "early"):
            if payload.get(name) is not None:
                raise OrderMalformedError(name)
        return None
    if not isinstance(kind, str) or kind not in _REASONS:
        raise OrderMalformedError("kind")
    replaces = payload.get("replaces")
    if (
        not isinstance(replaces, dict)
        or replaces.keys() != {"authority", "serial"}
        or not _matches(_NAME, replaces["authority"])
        or not _matches(_SERIAL, replaces["serial"])
    ):
        raise OrderMalformedError("replaces")
    early = payload.get("early")
    if early is not None and (kind != RENEW or not _is_reason(early)):
        raise OrderMalformedError("early")
    reason, when, at = _revocation(kind, payload.get("revoke_replaced"))
    return Follow(
        kind=kind,
        authority=replaces["authority"],
        serial=replaces["serial"].lower().lstrip("0"),
        reason=reason,
        when=when,
        at=at,
        early=early,
    )


def _revocation(kind: str, said: object) -> tuple[str | None, str, datetime | None]:
    if said is None and kind in {RENEW, REKEY}:
        return None, NEVER, None
    names = {"reason"} if kind == REPLACE else {"reason", "when"}
    if (
        not isinstance(said, dict)
        or said.keys() != names
        or not isinstance(said["reason"], str)
        or said["reason"] not in _REASONS[kind]
    ):
        raise OrderMalformedError("revoke_replaced")
    when = said.get("when", FIRST)
    if not isinstance(when, str):
        raise OrderMalformedError("revoke_replaced")
    if when in {FIRST, ISSUED, DELIVERED} and (when == FIRST) == (kind == REPLACE):
        return said["reason"], when, None
    try:
        at = datetime.fromisoformat(when)
    except ValueError as exc:
        raise OrderMalformedError("revoke_replaced") from exc
    if at.tzinfo is None:
        raise OrderMalformedError("revoke_replaced")
    return said["reason"], AT, at


def _is_reason(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and 3 <= len(value.strip()) <= len(value) <= 200


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
