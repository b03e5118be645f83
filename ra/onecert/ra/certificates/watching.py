"""The clock from a change of status to the moment that the world acts on it.

Each source (OCSP, list, verifier) is asked until it says what was ordered; the first time that it does is put
on record, once, and shown from there ever after. Asking changes nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from onecert.ra.certificates.records import Certificate, Revocation
from onecert.ra.certificates.relying import Relying
from onecert.ra.certificates.tables import first_sightings
from onecert.ra.certificates.world import Sighting, World
from onecert.ra.revocation.reasons import HOLD, RELEASE
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import insert_if_absent

__all__ = ["SOURCES", "First", "Watch", "Watching"]

SOURCES = ("ocsp", "crl", "verifier")
# After so long the page shows the record and asks no more by itself.
ASKED_FOR = timedelta(hours=6)


@dataclass(frozen=True, kw_only=True)
class First:
    """The first time that a source said what was ordered."""

    source: str
    state: str
    at: datetime
    since: datetime | None
    detail: str


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How far one change of status has come."""

    revocation: Revocation
    first: Mapping[str, First]  # by source
    now: Mapping[str, Sighting]  # what the others say at this moment
    at: datetime
    is_over: bool  # nothing is waited for any more

    @property
    def last(self) -> datetime:
        """Up to when the clock runs: the last sighting once all are there, otherwise now."""
        seen = [each.at for each in self.first.values()]
        return max(seen) if self.is_over and seen else self.at


class Watching:
    """Asks and remembers."""

    def __init__(self, *, database: Database, clock: Clock, world: World, relying: Relying) -> None:
        self._database = database
        self._clock = clock
        self._world = world
        self._relying = relying

    def look(self, certificate: Certificate, revocation: Revocation) -> Watch:
        """Ask the sources that have not said it yet."""
        wanted = {HOLD: ("hold",), RELEASE: ("good",)}.get(revocation.reason, ("revoked",))
        first = self.recorded(revocation.id)
        now = self._clock.now()
        is_asked = revocation.state == "done" and now <= revocation.created_at + ASKED_FOR
        missing = [source for source in SOURCES if source not in first]
        if not self._relying.is_configured and "verifier" in missing:
            missing.remove("verifier")
        seen: dict[str, Sighting] = {}
        if is_asked and missing:
            for sighting in self._ask(certificate, missing, now):
                # A certificate may name several addresses; the slowest counts.
                known = seen.get(sighting.source)
                if known is None or known.state in wanted:
                    seen[sighting.source] = sighting
            # A certificate that names no address of a source has none to wait for.
            missing = [source for source in missing if source in seen]
            said = [each for each in seen.values() if each.state in wanted]
            if said:
                self._record(revocation.id, said)
                first = self.recorded(revocation.id)
        is_over = revocation.state == "refused" or (
            revocation.state == "done" and (not is_asked or all(source in first for source in missing))
        )
        return Watch(revocation=revocation, first=first, now=seen, at=self._clock.now(), is_over=is_over)

    def recorded(self, revocation_id: str) -> dict[str, First]:
        """What is on record, by source."""
        query = select(first_sightings).where(first_sightings.c.revocation_id == revocation_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {
            row.source: First(
                source=row.source, state=row.state, at=row.at, since=row.since, detail=row.detail
            )
            for row in rows
        }

    def _ask(self, certificate: Certificate, missing: Sequence[str], at: datetime) -> list[Sighting]:
        found: list[Sighting] = []
        if {"ocsp", "crl"} & set(missing):
            looked = self._world.look(
                certificate.certificate_pem, certificate.chain_pem, at=at, sources=missing
            )
            found += looked
        if "verifier" in missing:
            found.append(self._relying.look(certificate.certificate_pem, at=at))
        return found

    def _record(self, revocation_id: str, said: Sequence[Sighting]) -> None:
        at = self._clock.now()
        with self._database.transaction() as connection:
            for sighting in said:
                insert_if_absent(
                    connection,
                    first_sightings,
                    {
                        "revocation_id": revocation_id,
                        "source": sighting.source,
                        "state": sighting.state,
                        "at": at,
                        "since": sighting.since,
                        "detail": sighting.detail[:200],
                    },
                )
