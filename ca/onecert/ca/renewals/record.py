"""What follows what, on record: checked ahead, and once more in the transaction of the new intent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from onecert.ca.certificates.draft import CheckedRequest
from onecert.ca.certificates.names import subject_text
from onecert.ca.errors.renewals import (
    PredecessorHolderError,
    PredecessorStateError,
    RenewalWindowError,
    SameKeyError,
    SubjectChangedError,
    SuccessorExistsError,
)
from onecert.ca.errors.status import UnknownCertificateError
from onecert.ca.models import certificates
from onecert.ca.profiles.profile import Profile
from onecert.ca.profiles.term import first_second, last_second
from onecert.ca.renewals.models import NOTHING, WAITING, successions
from onecert.ca.renewals.renewal import CHANGE, FIRST, NEVER, RENEW, Follow
from onecert.server.database import Database
from onecert.server.statements import insert_if_absent

__all__ = ["Renewals", "Succession", "write_first", "write_succession"]

_NAMES = (
    "state",
    "status",
    "reason",
    "profile",
    "entity",
    "subject",
    "key_sha256",
    "not_before",
    "not_after",
)
_OLD = select(*(certificates.c[name] for name in _NAMES)).where(
    certificates.c.authority == bindparam("a"), certificates.c.serial == bindparam("s")
)
# A successor that was revoked, or given up, leaves its place to another.
_STANDING = (
    select(successions.c.new_serial)
    .join(
        certificates,
        (certificates.c.authority == successions.c.new_authority)
        & (certificates.c.serial == successions.c.new_serial),
    )
    .where(
        successions.c.authority == bindparam("a"),
        successions.c.serial == bindparam("s"),
        successions.c.order_id != bindparam("id"),
        certificates.c.status != "revoked",
    )
    .limit(1)
)


class Renewals:
    """Checks orders against the certificates that they follow; reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_on_record(self, authority: str, serial: str) -> bool:
        """Whether this authority issued, or began to issue, a certificate with this serial."""
        with self._database.reading() as connection:
            return connection.execute(_OLD, {"a": authority, "s": serial}).first() is not None

    def check(self, follow: Follow, request: CheckedRequest, order_id: str, at: datetime) -> CheckedRequest:
        """Check an order whose content is checked; return its request with the end that its kind gives it.

        Raises:
            UnknownCertificateError, PredecessorStateError, PredecessorHolderError, SubjectChangedError,
            SameKeyError, RenewalWindowError, SuccessorExistsError
        """
        with self._database.reading() as connection:
            old = _check_standing(connection, follow, order_id)
        profile = request.profile
        if (old["profile"], old["entity"]) != (profile.name, request.entity):
            raise PredecessorHolderError(follow.serial)
        if follow.kind != CHANGE and old["subject"] != subject_text(request.subject):
            raise SubjectChangedError(follow.kind, follow.serial)
        same_key_allowed = profile.renewal_same_key and follow.kind in {RENEW, CHANGE}
        if old["key_sha256"] == request.key.sha256 and not same_key_allowed:
            raise SameKeyError(follow.kind)
        end: datetime = old["not_after"]
        if follow.kind == RENEW:
            _check_window(profile, follow, old["not_before"], end, at)
            return request
        if at > end:
            raise PredecessorStateError(follow.kind, follow.serial, "expired")
        if request.not_after is not None:
            return request
        # The old one may have had a longer term, by an earlier version of the profile.
        return replace(request, not_after=min(end, last_second(profile, first_second(profile, at))))


def _check_window(profile: Profile, follow: Follow, start: datetime, end: datetime, at: datetime) -> None:
    begin = end - timedelta(days=profile.renewal_window_days) if profile.renewal_window_days else None
    last = end + timedelta(days=profile.renewal_after_expiry_days)
    is_early = begin is not None and at < begin and follow.early is None
    if is_early or at > last:
        raise RenewalWindowError(follow.serial, (begin or start).isoformat(), last.isoformat())


def _check_standing(
    connection: Connection, follow: Follow, order_id: str, *, lock: bool = False
) -> RowMapping:
    names = {"a": follow.authority, "s": follow.serial}
    query = _OLD.with_for_update() if lock else _OLD
    old = connection.execute(query, names).mappings().one_or_none()
    if old is None:
        raise UnknownCertificateError(follow.authority, follow.serial)
    follow.check_state(old["state"], old["status"], old["reason"])
    successor = connection.scalar(_STANDING, names | {"id": order_id})
    if successor is not None:
        raise SuccessorExistsError(follow.serial, successor)
    return old


@dataclass(frozen=True, kw_only=True)
class Succession:
    """What goes on record about one order that follows a certificate."""

    follow: Follow
    order_id: str
    ordered_by: str
    approved_by: Sequence[str]

    def row(self, at: datetime) -> dict[str, Any]:
        follow = self.follow
        return {
            "order_id": self.order_id,
            "kind": follow.kind,
            "authority": follow.authority,
            "serial": follow.serial,
            "state": NOTHING if follow.when == NEVER else WAITING,
            "reason": follow.reason,
            "revoke_when": follow.when,
            "revoke_at": follow.at,
            "ordered_by": self.ordered_by,
            "approved_by": json.dumps(list(self.approved_by)),
            "recorded_at": at,
        }


def write_succession(
    connection: Connection, succession: Succession, authority: str, serial: str, at: datetime
) -> None:
    """Write, in the transaction of the new certificate's intent, that it follows the old one.

    The row of the old certificate is locked, so that of two orders at the same moment one is refused.

    Args:
        authority, serial: the new certificate.

    Raises:
        UnknownCertificateError, PredecessorStateError, SuccessorExistsError
    """
    _check_standing(connection, succession.follow, succession.order_id, lock=True)
    new = {"new_authority": authority, "new_serial": serial}
    if not insert_if_absent(connection, successions, succession.row(at) | new):
        connection.execute(
            update(successions).where(successions.c.order_id == succession.order_id).values(new)
        )


def write_first(connection: Connection, succession: Succession, at: datetime) -> None:
    """Write, before anything else, that an old certificate is to be revoked for its replacement.

    Raises:
        UnknownCertificateError, PredecessorStateError, SuccessorExistsError
    """
    if succession.follow.when == FIRST:
        _check_standing(connection, succession.follow, succession.order_id, lock=True)
        insert_if_absent(connection, successions, succession.row(at))
