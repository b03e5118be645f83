"""What stands under an authority: its delegations, those given under them, and every certificate.

Everything is found by the record: who gave it, and under which delegation (column ``under``). Rows are read
in bulk; a hundred thousand certificates are one query.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from onecert.pmi.models import authorities as authorities_table
from onecert.pmi.models import authority_keys, certificates
from onecert.verifier.certificate import as_parsed

__all__ = ["LIVE", "Survey", "Under", "UnderOne", "chunks", "read_under", "under_clauses"]

# What may count now, or again: signed or about to be.
LIVE = ("intended", "issued", "held")
_CHUNK = 500
_COLUMNS = (
    certificates.c.serial,
    certificates.c.authority,
    certificates.c.kind,
    certificates.c.state,
    certificates.c.holder_name,
    certificates.c.entity,
    certificates.c.not_after,
    certificates.c.under,
)


@dataclass(frozen=True, kw_only=True)
class UnderOne:
    """One delegation or certificate under an authority."""

    serial: str
    authority: str
    kind: str
    state: str
    holder_name: str
    entity: str
    not_after: datetime
    under: str | None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What an act on an authority would do, to be shown before it is done.

    Args:
        act: ``suspend``, ``resume`` or ``revoke``.
        each: every certificate is changed; otherwise they end with the chain above them.
        given_to: delegations that the authority holds.
        below: delegations that it gave, and all under those.
        certificates: how many certificates of holders stand under it, by the authority that gave them.
        holders: how many holders have them.
        waiting: the act of a first person that waits for a second one.
    """

    authority: str
    act: str
    kind: str
    state: str
    reason: str
    each: bool
    given_to: Sequence[UnderOne]
    below: Sequence[UnderOne]
    certificates: Mapping[str, int]
    holders: int
    needs_second: bool
    waiting: str | None = None
    waiting_for: str | None = None

    @property
    def authorities(self) -> tuple[str, ...]:
        """The names of all authorities whose certificates or delegations are concerned."""
        names = {self.authority, *self.certificates}
        names |= {each.authority for each in (*self.given_to, *self.below)}
        return tuple(sorted(names))

    @property
    def total(self) -> int:
        """How many certificates of holders stand under it."""
        return sum(self.certificates.values())

    @property
    def content_sha256(self) -> str:
        """Name what is decided here: who, what, why, and each delegation.

        Not the number of certificates: an authority that is at work gives new ones every moment, and in an
        emergency it must be possible to end it all the same.
        """
        content = {
            "authority": self.authority,
            "act": self.act,
            "state": self.state,
            "reason": self.reason,
            "each": self.each,
            "delegations": sorted(each.serial for each in (*self.given_to, *self.below)),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Under:
    """Everything under an authority, row by row."""

    given_to: Sequence[UnderOne]
    below: Sequence[UnderOne]
    rows: Sequence[Any]  # serial, authority, entity, state

    def counted(self) -> tuple[dict[str, int], int]:
        """Count the certificates by authority, and their holders."""
        by_authority = Counter(row.authority for row in self.rows)
        return dict(sorted(by_authority.items())), len({row.entity for row in self.rows})

    @property
    def serials_sha256(self) -> str:
        """Name the certificates: SHA-256 of their serials in order, one a line."""
        text = "\n".join(sorted(row.serial for row in self.rows))
        return hashlib.sha256(text.encode()).hexdigest()


def read_under(
    connection: Connection, name: str, at: datetime, *, lock: bool = False, each: bool = False
) -> Under:
    """Read what stands under an authority and has not ended.

    Args:
        lock: until the end of the transaction nobody else changes these delegations (PostgreSQL),
        each: nor these certificates.
    """
    is_live = certificates.c.state.in_(LIVE) & (certificates.c.not_after >= at)
    is_delegation = certificates.c.kind == "delegation"
    delegations = select(*_COLUMNS).where(is_live, is_delegation).order_by(certificates.c.serial)
    given_to = _rows(
        connection, delegations.where(certificates.c.key_sha256.in_(_keys(connection, name))), lock=lock
    )
    below = {
        row.serial: row
        for row in _rows(connection, delegations.where(certificates.c.authority == name), lock=lock)
    }
    newest = list(below)
    while newest:
        found = [
            row
            for chunk in chunks(newest)
            for row in _rows(connection, delegations.where(certificates.c.under.in_(chunk)), lock=lock)
        ]
        newest = [row.serial for row in found if row.serial not in below]
        below.update((row.serial, row) for row in found)
    grants = select(
        certificates.c.serial, certificates.c.authority, certificates.c.entity, certificates.c.state
    ).where(is_live, ~is_delegation)
    if lock and each:
        grants = grants.with_for_update()
    rows: dict[str, Any] = {}
    for where in under_clauses(name, below):
        for row in connection.execute(grants.where(where)):
            rows[row.serial] = row
    return Under(given_to=given_to, below=tuple(below.values()), rows=tuple(rows.values()))


def under_clauses(name: str, delegations: Iterable[str]) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that together name the certificates of an authority and those under delegations."""
    yield certificates.c.authority == name
    for chunk in chunks(delegations):
        yield certificates.c.under.in_(chunk)


def chunks(serials: Iterable[str]) -> Iterator[list[str]]:
    """Cut a list of serials into pieces that one statement takes."""
    every = list(serials)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]


def _rows(connection: Connection, query: Select[Any], *, lock: bool) -> list[UnderOne]:
    found = connection.execute(query.with_for_update() if lock else query)
    return [UnderOne(**row) for row in found.mappings()]


def _keys(connection: Connection, name: str) -> list[str]:
    """Return the SHA-256 of every key that the authority has or had, as certificates are on record by."""
    present = select(authorities_table.c.certificate_der).where(authorities_table.c.name == name)
    others = select(authority_keys.c.certificate_der).where(authority_keys.c.authority == name)
    ders = [*connection.scalars(present), *connection.scalars(others)]
    return [hashlib.sha256(as_parsed(bytes(der)).spki_der).hexdigest() for der in ders if der is not None]
