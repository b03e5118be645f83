"""The keys of responders and timestamp authorities: destroyed when their certificate has ended.

A key whose certificate has ended can still sign; nobody needs it any more, so it is not kept.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import select

from onecert.ca.authorities.authorities import Authority
from onecert.ca.errors import CaError
from onecert.ca.issuing.ledger import ISSUED
from onecert.ca.models import certificates, destroyed_keys
from onecert.ca.ocsp.responder import PROFILE as OCSP
from onecert.ca.parts import Parts
from onecert.ca.timestamps.authority import PROFILE as TIMESTAMP
from onecert.server.statements import insert_if_absent

__all__ = ["delegate_labels", "destroy_ended", "note_destroyed"]

log = logging.getLogger(__name__)

# A clock that is corrected, and an answer that is under way.
GRACE = timedelta(days=1)


def delegate_labels(parts: Parts, authority: Authority, *, ended_only: bool = False) -> list[str]:
    """The labels of an authority's delegated keys that are not destroyed yet.

    Args:
        ended_only: leave out those whose certificate has not ended a day ago.
    """
    table = certificates
    entities = [f"system:{profile}:{authority.name}" for profile in (OCSP, TIMESTAMP)]
    query = (
        select(table.c.order_id)
        .where(
            table.c.authority == authority.name,
            table.c.entity.in_(entities),
            table.c.state == ISSUED,
            table.c.order_id.not_in(select(destroyed_keys.c.label)),
        )
        .order_by(table.c.not_after, table.c.order_id)
    )
    if ended_only:
        query = query.where(table.c.not_after < parts.clock.now() - GRACE)
    with parts.database.reading() as connection:
        found = connection.execute(query).scalars().all()
    # A certificate of the same name by command has no key of ours.
    ours = (f"ocsp-{authority.name}-", f"tsa-{authority.name}-")
    return [label for label in found if label.startswith(ours)]


def destroy_ended(parts: Parts) -> int:
    """Destroy every delegated key whose certificate has ended; tell how many.

    Raises:
        CaError: of the first that could not be destroyed, after the others.
    """
    count, failure = 0, None
    for authority in parts.authorities.everyone():
        for label in () if authority.is_root else delegate_labels(parts, authority, ended_only=True):
            try:
                parts.token.destroy(label)
            except CaError as exc:
                failure = failure or exc
                continue
            note_destroyed(parts, authority.name, label, parts.token.label, actor="job:ca.delegates")
            count += 1
    if failure is not None:
        raise failure
    return count


def note_destroyed(parts: Parts, authority: str, label: str, token: str, *, actor: str) -> None:
    """Put on record that a key is gone, once."""
    row = {"label": label, "authority": authority, "token": token, "destroyed_at": parts.clock.now()}
    with parts.database.transaction() as connection:
        if insert_if_absent(connection, destroyed_keys, row):
            parts.audit.record(
                connection, event="key.destroyed", actor=actor, subject=f"{token}/{label}",
                details={"authority": authority},
            )  # fmt: skip
            log.warning("key destroyed", extra={"token": token, "key": label})
