"""Drills that somebody asks for on a page: answered at once, done by a job, while the page looks again.

An asked drill is a row of its own. The job takes one after the other; one process has the job at a time. What
a process that ended has left running is closed as failed, so that nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.drills.drills import ASKED, FAILED, LIVE, REHEARSAL, RUNNING, Drill, Drills, drill_profile
from onecert.ca.drills.models import drills as table
from onecert.ca.drills.rehearsal import Rehearsal
from onecert.ca.errors.mass_revocations import DrillRunningError
from onecert.ca.revocation.mass_documents import read_selection
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["AskedDrills"]

# The rehearsal of some million certificates takes minutes.
LEFT_AFTER = timedelta(hours=1)
INTERRUPTED = "INTERRUPTED"


class AskedDrills:
    """Takes wishes for drills, and does them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        authorities: Authorities,
        drills: Drills,
        rehearsal: Rehearsal,
    ) -> None:
        self._database = database
        self._clock = clock
        self._authorities = authorities
        self._drills = drills
        self._rehearsal = rehearsal

    def ask(self, kind: str, authority: str, *, actor: str) -> str:
        """Put a drill on the list; its number.

        Args:
            kind: `live` or `rehearsal`.

        Raises:
            UnknownAuthorityError, DrillProfileError, NotOfferedError: it could never be done.
            DrillRunningError: one of this authority is asked for or running already.
        """
        if kind == LIVE:
            drill_profile(self._authorities.get(authority))
        else:
            self._rehearsal.check(authority)
        for open_one in self._open():
            if open_one["authority"] == authority:
                raise DrillRunningError(authority, open_one["id"])
        return self._drills.begin(kind, authority, actor=actor, state=ASKED)

    def run(self) -> list[Drill]:
        """Do what was asked for, the oldest first; close what was left. For the job."""
        done = []
        for row in self._open():
            if row["state"] == RUNNING:
                if row["began_at"] + LEFT_AFTER < self._clock.now():
                    done.append(self._drills.end(row["id"], FAILED, {"failed": INTERRUPTED}))
            elif self._take(row["id"]):
                done.append(self._carry_out(row))
        return done

    def _carry_out(self, row: Mapping[Any, Any]) -> Drill:
        if row["kind"] == REHEARSAL:
            everything = read_selection({"everything": True})
            return self._rehearsal.carry_out(row["id"], row["authority"], everything, actor=row["actor"])
        return self._drills.carry_out(row["id"], row["authority"], actor=row["actor"])

    def _take(self, number: str) -> bool:
        with self._database.transaction() as connection:
            taken = connection.execute(
                update(table)
                .where(table.c.id == number, table.c.state == ASKED)
                .values(state=RUNNING, began_at=self._clock.now())
            )
        return taken.rowcount == 1

    def _open(self) -> list[Mapping[Any, Any]]:
        query = (
            select(table).where(table.c.state.in_((ASKED, RUNNING))).order_by(table.c.began_at, table.c.id)
        )
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
