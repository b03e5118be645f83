"""What waits for a media clerk (待制证): no key yet, a certificate to be written, one to be handed over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select

from onecert.ra.applications.records import Application, load_applications
from onecert.ra.keys.origins import TOKEN
from onecert.ra.keys.tables import key_origins
from onecert.ra.life.machine import CERTIFICATE, State
from onecert.ra.media.tables import media
from onecert.ra.models import applications, certificates
from onecert.ra.operators.scopes import Scope

__all__ = ["Waiting", "waiting"]

LIMIT = 50
# So many that are issued and not handed over, the oldest, are asked whether their certificate is written.
LOOKED_AT = 1_000


@dataclass(frozen=True)
class Waiting:
    """At most 50 of each, oldest first."""

    for_key: Sequence[Application]
    to_write: Sequence[tuple[Application, str]]  # with the number of the token that has the key
    to_hand_over: Sequence[Application]


def waiting(connection: Connection, scope: Scope) -> Waiting:
    """The three lists within a scope."""
    mine = scope.condition(applications.c)
    for_key = (
        select(applications.c.id)
        .where(
            mine,
            applications.c.state.in_([State.DRAFT.value, State.RETURNED.value]),
            applications.c.key_sha256.is_(None),
            applications.c.business.in_(sorted(business.value for business in CERTIFICATE)),
        )
        .order_by(applications.c.state_since, applications.c.seq)
        .limit(LIMIT)
    )
    is_unwritten = or_(
        media.c.serial_hex.is_(None),
        media.c.serial_hex != certificates.c.serial_hex,
        media.c.authority != certificates.c.authority,
    )
    # From an index alone: to join first what is issued anywhere would read the whole stock.
    standing = (
        select(applications.c.id, applications.c.state_since, applications.c.seq)
        .where(mine, applications.c.state == State.ISSUED.value)
        .order_by(applications.c.state_since, applications.c.seq)
    )
    oldest = standing.limit(LOOKED_AT).subquery()
    issued: Select[Any] = (
        select(applications.c.id, key_origins.c.token_number)
        .join_from(oldest, applications, applications.c.id == oldest.c.id)
        .join(certificates, certificates.c.application_id == applications.c.id)
        .join(
            key_origins,
            and_(
                key_origins.c.application_id == applications.c.id,
                key_origins.c.key_sha256 == applications.c.key_sha256,
                key_origins.c.origin == TOKEN,
            ),
        )
        .join(media, media.c.token_number == key_origins.c.token_number)
        .where(is_unwritten)
        .order_by(oldest.c.state_since, oldest.c.seq)
        .limit(LIMIT)
    )
    tokens = {row[0]: row[1] for row in connection.execute(issued)}
    all_issued = connection.scalars(standing.limit(LIMIT + len(tokens)))
    handed = [each for each in all_issued if each not in tokens][:LIMIT]
    keyless = list(connection.scalars(for_key))
    found = {one.id: one for one in load_applications(connection, [*keyless, *tokens, *handed])}
    return Waiting(
        for_key=[found[each] for each in keyless],
        to_write=[(found[each], token) for each, token in tokens.items()],
        to_hand_over=[found[each] for each in handed],
    )
