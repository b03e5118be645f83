"""Renewals of one organisation in one go: what ends soon, and a draft for each certificate that is chosen.

Each draft is the act `Applications.follow` with its own audit entry; the key of the form is part of the keys
of its drafts, so that a second click finds the same ones. Every draft wants a new key and a second person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, select

from onecert.ra.applications.acts import Applications
from onecert.ra.applications.entries import Entry
from onecert.ra.applications.following import Followed
from onecert.ra.applications.records import Application, load_application
from onecert.ra.certificates.records import Certificate
from onecert.ra.content.fields import Kind
from onecert.ra.errors import FollowRefusedError
from onecert.ra.life.machine import Business, State
from onecert.ra.models import applications, certificates
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.scopes import Scope
from onecert.server.operators import Operator

__all__ = ["AT_ONCE", "WINDOW", "Renewable", "list_renewable", "renew_several"]

# Usual is a renewal within the last month (the packaged profiles say 30 days); before it the authority wants
# a reason, from who may give one.
WINDOW = timedelta(days=31)
SHOWN = timedelta(days=60)
AT_ONCE = 100
_OVER = (State.WITHDRAWN.value, State.REJECTED.value)


@dataclass(frozen=True, kw_only=True)
class Renewable:
    """A certificate that ends soon. `follower`: the application that renews it already."""

    authority: str
    serial_hex: str
    kind: Kind
    name: str
    not_after: datetime
    follower: Application | None

    def is_open(self, at: datetime) -> bool:
        """Whether it can be renewed now, without a reason."""
        return self.follower is None and self.not_after - at <= WINDOW


def list_renewable(connection: Connection, scope: Scope, uscc: str, *, at: datetime) -> Sequence[Renewable]:
    """Valid certificates of this organisation, its devices and employees that end within 60 days, by end."""
    c, a = certificates.c, applications.c
    followed = and_(
        a.follows_authority == c.authority, a.follows_serial == c.serial_hex, a.state.not_in(_OVER)
    )
    query = (
        select(c.authority, c.serial_hex, c.kind, c.name, c.not_after, a.id)
        .select_from(certificates.outerjoin(applications, followed))
        .where(c.uscc == uscc, c.not_after > at, c.not_after <= at + SHOWN, c.status == "good")
        .where(scope.condition(c))
        .order_by(c.not_after, c.authority, c.serial_hex, a.seq.desc())
        .limit(2 * AT_ONCE)
    )
    found: dict[tuple[str, str], Renewable] = {}
    for row in connection.execute(query):
        found.setdefault(
            (row.authority, row.serial_hex),
            Renewable(
                authority=row.authority,
                serial_hex=row.serial_hex,
                kind=Kind(row.kind),
                name=row.name,
                not_after=row.not_after,
                follower=load_application(connection, row.id) if row.id else None,
            ),
        )
    return list(found.values())[:AT_ONCE]


def renew_several(
    applications: Applications,
    reach: Reach,
    operator: Operator,
    wanted: Iterable[tuple[str, str]],
    *,
    request_key: str,
    consent_version: str,
) -> tuple[list[Application], list[tuple[Certificate, FollowRefusedError]]]:
    """A draft of a renewal for each (authority, serial); what the certificate's status refuses comes back.

    Args:
        consent_version: in force now; what was agreed to in another version is not taken over.
    """
    made, refused = [], []
    for authority, serial in list(wanted)[:AT_ONCE]:
        certificate = reach.certificate(operator, authority, serial)
        before = reach.frozen(operator, certificate.application_id)
        is_agreed = before.values.get("consent_version") == consent_version
        entry = Entry(
            kind=certificate.kind,
            authority=certificate.authority,
            fields={} if is_agreed else {"consent": "", "consent_version": ""},
            csr="",
        )
        followed = Followed.of(Business.RENEW, certificate)
        key = f"{request_key[:40]}:{certificate.serial_hex}"
        try:
            made.append(applications.follow(operator, followed, entry, request_key=key))
        except FollowRefusedError as exc:
            refused.append((certificate, exc))
    return made, refused
