"""A mass revocation rehearsed: everything is done but kept, and each step is timed.

The selection is read; some chunks go through their whole transaction and are rolled back; the next lists are
built with all of it, signed with a throw-away key, linted and thrown away. Nothing is signed with the
authority's key, no number is spent, and nobody else waits longer than for a chunk of a real one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, bindparam, select

from onecert.ca.authorities.authorities import Authorities, Authority
from onecert.ca.drills.drills import DONE, FAILED, REHEARSAL, Drill, Drills
from onecert.ca.errors import NotOfferedError
from onecert.ca.lists.crl import Scope, check_crl, draft_crl
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.lists.snapshot import read_snapshot
from onecert.ca.models import certificates
from onecert.ca.revocation.mass_documents import Selection
from onecert.ca.revocation.mass_selection import Selected, select_certificates, unpack
from onecert.ca.revocation.mass_work import prepare_entries, revoke_chunk
from onecert.ca.signatures.algorithms import ThrowAwayKeys
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["Rehearsal"]

log = logging.getLogger(__name__)

CHUNKS = 4
_PARTITIONS = select(certificates.c.serial, certificates.c.crl_partition, certificates.c.status).where(
    certificates.c.authority == bindparam("a"),
    certificates.c.serial.in_(bindparam("serials", expanding=True)),
)


class _UndoneError(Exception):
    """Ends a transaction that is not meant to be kept."""


@dataclass(frozen=True)
class _Stopwatch:
    times: dict[str, float]

    def take(self, name: str, begun: float) -> float:
        """Keep what passed since, in milliseconds; the moment to count from next."""
        now = perf_counter()
        self.times[name] = round((now - begun) * 1000, 1)
        return now


class Rehearsal:
    """Rehearses on one authority's record."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        authorities: Authorities,
        publisher: CrlPublisher,
        drills: Drills,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._publisher = publisher
        self._drills = drills
        self._throw_away = ThrowAwayKeys()

    def run(
        self, authority_name: str, selection: Selection, lines: Sequence[str], *, reason: str, actor: str
    ) -> Drill:
        """Rehearse; the result has the times of all steps and what the whole would take.

        A rehearsal that is refused leaves nothing behind.

        Raises:
            UnknownAuthorityError, NotOfferedError: not an issuing authority.
            MassRevocationLinesError, MassRevocationEmptyError, MassRevocationSelectionError
            LintError, CrlIncompleteError: the next list could not be made.
        """
        self.check(authority_name)
        result = self._measure(authority_name, selection, lines, reason, actor, lambda _step: None)
        number = self._drills.begin(REHEARSAL, authority_name, actor=actor)
        return self._drills.end(number, DONE, result)

    def check(self, authority_name: str) -> None:
        """Refuse an authority that issues nothing to holders.

        Raises:
            UnknownAuthorityError, NotOfferedError
        """
        if self._authorities.get(authority_name).is_root:
            raise NotOfferedError(authority_name, "*")

    def carry_out(self, number: str, authority_name: str, selection: Selection, *, actor: str) -> Drill:
        """Do the rehearsal that was begun under this number; whatever happens, it ends."""
        try:
            self.check(authority_name)
            result = self._measure(
                authority_name,
                selection,
                [],
                "keyCompromise",
                actor,
                lambda step: self._drills.note(number, step),
            )
        except (ServiceError, OSError) as exc:
            code = getattr(exc, "code", type(exc).__name__)
            log.warning("rehearsal failed", extra={"drill": number, "code": code})
            return self._drills.end(number, FAILED, {"failed": code})
        return self._drills.end(number, DONE, result)

    def _measure(  # noqa: PLR0917 - the one caller of each hands over its own
        self,
        authority_name: str,
        selection: Selection,
        lines: Sequence[str],
        reason: str,
        actor: str,
        note: Callable[[str], None],
    ) -> dict[str, Any]:
        authority = self._authorities.get(authority_name)
        watch, at = _Stopwatch({}), self._clock.now()
        row = {"id": "rehearsal", "authority": authority_name, "reason": reason, "invalidity_date": None}
        # 1. The selection, as a proposal would freeze it.
        begun = perf_counter()
        with self._database.reading() as connection:
            selected = select_certificates(connection, authority_name, selection, lines, at=at)
        begun = watch.take("selected", begun)
        note("selected")
        # 2. Some chunks in real transactions, undone.
        locked = [
            self._try_chunk(row | {"proposed_by": actor}, each.packed, at)
            for each in selected.chunks[:CHUNKS]
        ]
        begun = watch.take("chunks_tried", begun)
        note("chunks-tried")
        # 3. Every list that would change, complete, with a signature that nobody could believe.
        lists = self._lists(authority, row, selected, at)
        watch.take("lists_built", begun)
        tried = sum(each.certificates for each in selected.chunks[:CHUNKS])
        result: dict[str, Any] = {
            "certificates": selected.certificates,
            "holders": selected.holders,
            "already": selected.already,
            "serials_sha256": selected.serials_sha256,
            "times_ms": watch.times,
            "chunk_locked_ms": [round(each * 1000, 1) for each in locked],
            "per_second": round(tried / (watch.times["chunks_tried"] / 1000)) if tried else 0,
            "lists": lists,
        }
        whole = watch.times["chunks_tried"] / tried * selected.certificates + watch.times["lists_built"]
        result["estimated_s"] = round(whole / 1000, 1)
        return result

    def _try_chunk(self, row: Mapping[str, Any], packed: bytes, at: datetime) -> float:
        """Do one chunk and undo it; how long others had to wait, in seconds."""
        prepared = prepare_entries(row, unpack(packed), at)
        begun = perf_counter()
        try:
            with self._database.transaction() as connection:
                begun = perf_counter()
                _result, entries = revoke_chunk(connection, row, prepared, at)
                self._audit.record_many(connection, entries)
                raise _UndoneError
        except _UndoneError:
            return perf_counter() - begun

    def _lists(
        self, authority: Authority, row: Mapping[str, Any], selected: Selected, at: datetime
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with self._database.reading() as connection:
            by_partition, held = self._entries(connection, authority.name, row, selected, at)
            for partition in self._publisher.partitions(authority.name):
                added = by_partition.get(partition, []) if partition else list(chain(*by_partition.values()))
                if not added:
                    continue
                begun = perf_counter()
                snapshot = read_snapshot(
                    connection, authority.name, partition, now=at.replace(microsecond=0), with_delta=False
                )
                entries = snapshot.entries.changed(drop=held, put=added)
                url = authority.issuer.crl_url_of(partition) if partition else ""
                draft = draft_crl(
                    authority.issuer,
                    number=snapshot.last_number + 1,
                    this_update=snapshot.this_update,
                    next_update=min(
                        snapshot.this_update + authority.crl_lifetime, authority.issuer.not_after
                    ),
                    entries=entries.segments,
                    count=entries.count,
                    scope=Scope(url=url),
                )
                crl_der = self._throw_away.sign(authority.issuer.algorithm, draft.tbs_der)
                check_crl(crl_der, draft)
                found.append(
                    {
                        "partition": partition,
                        "entries": entries.count,
                        "octets": len(crl_der),
                        "built_ms": round((perf_counter() - begun) * 1000, 1),
                    }
                )
        return found

    @staticmethod
    def _entries(
        connection: Connection, authority: str, row: Mapping[str, Any], selected: Selected, at: datetime
    ) -> tuple[dict[int, list[bytes]], list[int]]:
        """The new entries by partition, and the serials whose entries of before they replace."""
        by_partition: dict[int, list[bytes]] = {}
        held: list[int] = []
        for chunk in selected.chunks:
            prepared = prepare_entries(row, unpack(chunk.packed), at)
            names = {"a": authority, "serials": list(prepared)}
            for each in connection.execute(_PARTITIONS, names):
                by_partition.setdefault(each.crl_partition, []).append(prepared[each.serial])
                if each.status != "good":
                    held.append(int(each.serial, 16))
        return by_partition, held
