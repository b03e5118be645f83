"""What the database knows of the entities and keys of many rows, asked for hundreds at a time.

Two questions for a stretch of rows: who holds these entities and keys (`ra_claims`, at any authority), and
which earlier row of the same batch has them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from onecert.ra.applications.records import Application, load_applications
from onecert.ra.batches.records import USABLE
from onecert.ra.batches.tables import batch_rows
from onecert.ra.content.fields import Kind
from onecert.ra.life.machine import HAS_CERTIFICATE, OPEN
from onecert.ra.models import certificates, claims

__all__ = ["Known", "look_up"]

_AT_ONCE = 400


@dataclass(frozen=True)
class Known:
    """What was found: entity or key -> holder, and -> number of the earlier row."""

    here: dict[str, Application]  # entity -> who holds it at this authority for this type
    elsewhere: dict[str, Application]  # entity -> somebody who holds it at another authority
    keys: dict[str, Application]  # hash of a public key -> the application that used it
    rows: dict[str, int]  # entity -> row of this batch
    key_rows: dict[str, int]  # hash of a public key -> row of this batch


def look_up(
    connection: Connection,
    batch_id: str,
    *,
    authority: str,
    kind: Kind,
    entities: Sequence[str],
    keys: Sequence[str],
    at: datetime,
) -> Known:
    """Ask for all of them; applications that no longer hold what they claimed are not there."""
    held = list(_held(connection, entities))
    key_held = list(_held(connection, [f"key:{key}" for key in keys]))
    holders = _live(connection, {row[3] for row in held}, at)
    key_holders = {found.id: found for found in load_applications(connection, {row[3] for row in key_held})}
    here: dict[str, Application] = {}
    elsewhere: dict[str, Application] = {}
    for entity, at_authority, of_kind, holder in held:
        found = holders.get(holder)
        if found is None:
            continue
        if at_authority != authority:
            elsewhere[entity] = found
        elif of_kind in {kind.value, f"{kind.value}+"}:
            here[entity] = found
    return Known(
        here=here,
        elsewhere=elsewhere,
        keys={row[0].removeprefix("key:"): key_holders[row[3]] for row in key_held if row[3] in key_holders},
        rows=_earlier(connection, batch_id, "entity_key", entities),
        key_rows=_earlier(connection, batch_id, "key_sha256", keys),
    )


def _held(connection: Connection, keys: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    columns = (claims.c.entity_key, claims.c.authority, claims.c.kind, claims.c.application_id)
    for some in _stretches(keys):
        for row in connection.execute(select(*columns).where(claims.c.entity_key.in_(some))):
            yield row.entity_key, row.authority, row.kind, row.application_id


def _live(connection: Connection, ids: Iterable[str], at: datetime) -> dict[str, Application]:
    """Those that are open, or whose certificate is live."""
    found = {each.id: each for each in load_applications(connection, ids)}
    issued = [each.id for each in found.values() if each.state in HAS_CERTIFICATE]
    live: set[str] = set()
    for some in _stretches(issued):
        query = select(certificates.c.application_id).where(
            certificates.c.application_id.in_(some),
            certificates.c.status != "revoked",
            certificates.c.not_after > at,
        )
        live.update(connection.scalars(query))
    return {name: each for name, each in found.items() if each.state in OPEN or name in live}


def _earlier(connection: Connection, batch_id: str, column: str, values: Sequence[str]) -> dict[str, int]:
    """Value -> the row that has it and can be entered."""
    found: dict[str, int] = {}
    for some in _stretches(values):
        query = select(batch_rows.c[column], batch_rows.c.row).where(
            batch_rows.c.batch_id == batch_id,
            batch_rows.c[column].in_(some),
            batch_rows.c.state.in_([state.value for state in USABLE]),
        )
        for value, row in connection.execute(query):
            found[value] = min(row, found.get(value, row))
    return found


def _stretches(values: Iterable[str]) -> Iterator[list[str]]:
    known = sorted(set(values))
    for at in range(0, len(known), _AT_ONCE):
        yield known[at : at + _AT_ONCE]
