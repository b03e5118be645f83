"""From bytes to a list that may be relied upon: signatures of enough officers, current, never backwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Protocol

from onecert.verifier.arguments import check_aware, check_kind
from onecert.verifier.trust_list.errors import TrustListError, TrustListUnavailableError
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.parse import read_trust_list
from onecert.verifier.trust_list.roles import CLOCK_SKEW, Role, RoleKeys
from onecert.verifier.trust_list.signed_part import SignedPart
from onecert.verifier.trust_list.state import Seen, TrustState
from onecert.verifier.trust_list.timestamp import TrustTimestamp
from onecert.verifier.trust_list.vocabulary import MAX_BYTES, TYP

_PART = SignedPart(
    typ=TYP,
    max_bytes=MAX_BYTES,
    malformed=lambda detail: TrustListError("TRUST_LIST_MALFORMED", detail=detail),
    unsigned=lambda detail: TrustListError("TRUST_LIST_SIGNATURE", detail=detail),
)


def load_trust_list(
    data: bytes,
    *,
    keys: RoleKeys,
    at: datetime,
    timestamp: TrustTimestamp | None = None,
    state: TrustState | None = None,
) -> TrustList:
    """Check and read a signed list.

    Args:
        data: the signed document, at most 16 MiB.
        keys: the officers', ``TrustRoot.list_keys``.
        at: the time of the check.
        timestamp: must name this list. Without it a list that was replaced is accepted until its own end.
        state: what was seen before. Without it an old list that has not expired is accepted.

    Raises:
        TrustListError: TRUST_LIST_SIGNATURE, TRUST_LIST_MALFORMED and the others of parsing.
        TrustListRollbackError: the list goes backwards.
        TrustListUnavailableError: TRUST_LIST_EXPIRED, TRUST_LIST_FUTURE, TRUST_LIST_STATE, TRUST_PARTS_MIXED.
    """
    check_kind(keys, RoleKeys, "keys")
    # 1. Enough officers signed these very bytes.
    payload = _PART.check(data, keys)
    # 2. They say what a list must say.
    trust_list = replace(read_trust_list(payload), document=bytes(data))
    # 3. It is current, the newest, and not older than what was seen here.
    check_current(trust_list, at)
    if timestamp is not None:
        timestamp.check_names(Role.LIST, trust_list.sequence, trust_list.sha256)
    if state is not None:
        state.advance({Role.LIST: seen_list(trust_list, keys)})
    return trust_list


def seen_list(trust_list: TrustList, keys: RoleKeys) -> Seen:
    """What a memory keeps of a list."""
    return Seen(epoch=keys.epoch, number=trust_list.sequence, sha256=trust_list.sha256)


def check_current(trust_list: TrustList, at: datetime) -> None:
    """Refuse to work with a list outside its time.

    Raises:
        TrustListUnavailableError: TRUST_LIST_EXPIRED or TRUST_LIST_FUTURE.
    """
    check_aware(at)
    if at >= trust_list.next_update:
        raise TrustListUnavailableError(
            "TRUST_LIST_EXPIRED", sequence=trust_list.sequence, next_update=trust_list.next_update
        )
    if at < trust_list.issued_at - CLOCK_SKEW:
        raise TrustListUnavailableError(
            "TRUST_LIST_FUTURE", sequence=trust_list.sequence, issued_at=trust_list.issued_at
        )


class TrustListSource(Protocol):
    """Gives the façade the list to use now."""

    def current(self, at: datetime) -> TrustList:
        """The newest acceptable list; raises a ``VerifyError`` when there is none."""
        ...


class FixedTrustList:
    """One list that was loaded before; its time is checked at each use."""

    def __init__(self, trust_list: TrustList) -> None:
        self._list = trust_list

    def current(self, at: datetime) -> TrustList:
        """See ``TrustListSource``."""
        check_current(self._list, at)
        return self._list
