"""What waits for an operator: grants to approve, certificates and authorities that end, lists that are old.

Counts end at ``COUNT_LIMIT``, so that a desk costs the same however much there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, func, literal, select

from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.grants.acts import APPROVER, OFFICER
from onecert.pmi.life.revocation import SECURITY
from onecert.pmi.models import acrls, batches, certificates, grants, rebindings
from onecert.pmi.parts import Parts
from onecert.server.languages import Message, _
from onecert.server.operators import Operator

__all__ = ["COUNT_LIMIT", "AuthorityTrouble", "Waiting", "find_trouble", "list_waiting"]

COUNT_LIMIT = 1000
ENDS_SOON = timedelta(days=30)
AUTHORITY_ENDS_SOON = timedelta(days=90)


_TO_APPROVE = (
    ("approve", _("to be approved by you"), "grant", APPROVER),
    ("delegations", _("delegations to be approved by you"), "delegation", ADMINISTRATOR),
)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One number on the desk. ``oldest``: since when the first of them waits."""

    name: str
    title: Message
    count: int
    oldest: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AuthorityTrouble:
    """Something about an authority that somebody should see to. ``kind`` as in a notice."""

    authority: str
    text: Message
    at: datetime | None
    kind: str = "warning"


def list_waiting(connection: Connection, operator: Operator, at: datetime) -> list[Waiting]:
    """The numbers for the roles of this operator."""
    found = []
    for name, title, kind, role in _TO_APPROVE:
        if operator.has_role(role):
            is_meant = (
                grants.c.state == "waiting",
                grants.c.kind == kind,
                grants.c.requested_by != operator.id,
                grants.c.batch_id.is_(None),
            )
            oldest = connection.scalar(select(func.min(grants.c.requested_at)).where(*is_meant))
            count = _count(connection, select(literal(1)).select_from(grants).where(*is_meant))
            found.append(Waiting(name=name, title=title, count=count, oldest=oldest))
    if operator.has_role(APPROVER):
        of_batch = batches.c.state == "waiting", batches.c.requested_by != operator.id
        oldest = connection.scalar(select(func.min(batches.c.requested_at)).where(*of_batch))
        count = _count(connection, select(literal(1)).select_from(batches).where(*of_batch))
        title = _("batches to be approved by you")
        found.append(Waiting(name="batches", title=title, count=count, oldest=oldest))
    if operator.has_role(OFFICER, ADMINISTRATOR):
        own = grants.c.state == "waiting", grants.c.requested_by == operator.id
        count = _count(connection, select(literal(1)).select_from(grants).where(*own))
        title = _("asked for by you, waiting for a second person")
        found.append(Waiting(name="own", title=title, count=count))
    if operator.has_role(OFFICER):
        ending = (
            certificates.c.state == "issued",
            certificates.c.not_after >= at,
            certificates.c.not_after < at + ENDS_SOON,
            certificates.c.short_lived.is_(False),
        )
        count = _count(connection, select(literal(1)).select_from(certificates).where(*ending))
        found.append(Waiting(name="ending", title=_("end within 30 days"), count=count))
        count = _count(connection, select(literal(1)).select_from(rebindings))
        found.append(Waiting(name="rebinding", title=_("holders with a new certificate"), count=count))
    if operator.has_role(OFFICER, APPROVER, SECURITY):
        held = certificates.c.state == "held"
        count = _count(connection, select(literal(1)).select_from(certificates).where(held))
        found.append(Waiting(name="held", title=_("on hold"), count=count))
    return found


def _count(connection: Connection, chosen: Select[Any]) -> int:
    return connection.scalar(select(func.count()).select_from(chosen.limit(COUNT_LIMIT).subquery())) or 0


def find_trouble(parts: Parts, connection: Connection, at: datetime) -> Sequence[AuthorityTrouble]:
    """What is wrong or soon will be with authorities and their revocation lists."""
    found = []
    lists = select(acrls.c.authority, func.max(acrls.c.next_update)).where(acrls.c.acrl_der.is_not(None))
    newest: dict[str, datetime] = {
        row[0]: row[1] for row in connection.execute(lists.group_by(acrls.c.authority))
    }
    for authority in parts.authorities.all(connection):
        name, ends = authority.name, authority.certificate.not_after
        if authority.state == "suspended":
            found.append(AuthorityTrouble(authority=name, text=_("is suspended"), at=None))
        if authority.state == "revoked":
            continue
        if ends < at:
            text = _("has no valid certificate any more")
            found.append(AuthorityTrouble(authority=name, text=text, at=ends, kind="danger"))
        elif ends < at + AUTHORITY_ENDS_SOON:
            found.append(AuthorityTrouble(authority=name, text=_("its certificate ends"), at=ends))
        due = newest.get(name)
        if due is None or due < at:
            text = _("its revocation list is out of date: relying parties refuse what it gave")
            found.append(AuthorityTrouble(authority=name, text=text, at=due, kind="danger"))
    return found
