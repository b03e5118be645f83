"""Who works on which chunk: processes that fill the same batches take turns chunk by chunk.

A chunk belongs to the process that claimed it until it is done, given back, or the claim is over; what a dead
process claimed is free at once. A claim only saves work: whatever two do at once, the record decides.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, Select, or_, select, update

from onecert.ca.batches.batches import ACCEPTED, BEGUN, WAITING
from onecert.ca.batches.models import batch_chunks, batches
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.processes import Living

__all__ = ["ChunkClaims"]

# A chunk takes a second; where the token is slow, some ten.
CLAIM = timedelta(seconds=60)


class ChunkClaims:
    """The open chunks of accepted batches, as one of several processes claims them."""

    def __init__(self, database: Database, clock: Clock, processes: Living) -> None:
        self._database = database
        self._clock = clock
        self._processes = processes

    def free_chunks(self, limit: int) -> int:
        """Tell how many chunks nobody works on, up to this many. Locks nothing."""
        with self._database.reading() as connection:
            return len(connection.execute(self._free(limit)).all())

    def take(self) -> tuple[str, int] | None:
        """Claim the next chunk, the oldest batch first: batch and first line."""
        # Whoever comes at the same time takes the one behind it.
        query = self._free(1).with_for_update(skip_locked=True, of=batch_chunks)
        with self._database.transaction() as connection:
            found = connection.execute(query).one_or_none()
            if found is None:
                return None
            until = self._clock.now() + CLAIM
            claim = update(batch_chunks).values(claimed_by=self._processes.own, claimed_until=until)
            connection.execute(claim.where(_is_chunk(found.batch, found.first_line)))
            return found.batch, found.first_line

    def give_back(self, batch: str, first_line: int) -> None:
        """Let another process, or this one later, do a chunk that could not be done now."""
        is_own = batch_chunks.c.claimed_by == self._processes.own
        with self._database.transaction() as connection:
            connection.execute(
                update(batch_chunks).where(_is_chunk(batch, first_line), is_own).values(claimed_until=None)
            )

    def free_those_of_the_dead(self) -> None:
        """Give up the claims of processes that are gone, and of this one, which works on none now."""
        claimed = _is_open() & batch_chunks.c.claimed_until.is_not(None)
        with self._database.reading() as connection:
            names = connection.scalars(select(batch_chunks.c.claimed_by).where(claimed).distinct()).all()
        own = self._processes.own
        for name in names:
            if name == own or not self._processes.is_living(name or ""):
                of_name = claimed & (batch_chunks.c.claimed_by == name)
                with self._database.transaction() as connection:
                    connection.execute(update(batch_chunks).where(of_name).values(claimed_until=None))

    def _free(self, limit: int) -> Select[tuple[str, int]]:
        until = batch_chunks.c.claimed_until
        return (
            select(batch_chunks.c.batch, batch_chunks.c.first_line)
            .join(batches, batches.c.id == batch_chunks.c.batch)
            .where(batches.c.state == ACCEPTED, _is_open(), or_(until.is_(None), until <= self._clock.now()))
            .order_by(batches.c.received_at, batches.c.id, batch_chunks.c.first_line)
            .limit(limit)
        )


def _is_open() -> ColumnElement[bool]:
    return batch_chunks.c.state.in_((WAITING, BEGUN))


def _is_chunk(batch: str, first_line: int) -> ColumnElement[bool]:
    return (batch_chunks.c.batch == batch) & (batch_chunks.c.first_line == first_line)
