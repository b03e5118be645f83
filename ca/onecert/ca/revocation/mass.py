"""Many certificates revoked by one decision: proposed, confirmed by a second person, stopped, gone on with.

States: `arriving` until the lines that a proposal names are there and the selection is frozen, `proposed`,
`confirmed`, `running` from the first chunk on, then `done`; `stopped` in between. What is confirmed is what
was shown: the frozen list of serials, by its number and its hash. `mass_revocation_work` revokes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, case, delete, func, insert, select, update

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.errors import (
    MassRevocationAlteredError,
    MassRevocationChangedError,
    MassRevocationExpiredError,
    MassRevocationStateError,
    NotOfferedError,
    OrderTimeError,
    TryAgainError,
    UnknownMassRevocationError,
)
from onecert.ca.issuing.orders import check_age, content_sha256
from onecert.ca.models import authorities
from onecert.ca.revocation.mass_documents import (
    CONFIRMATION_TYPE,
    PROPOSAL_TYPE,
    RESUMPTION_TYPE,
    STOP_TYPE,
    Proposal,
    Selection,
    read_confirmation,
    read_note,
    read_proposal,
    read_selection,
)
from onecert.ca.revocation.mass_models import mass_revocation_chunks, mass_revocations
from onecert.ca.revocation.mass_people import Desk, Signer, check_second_person
from onecert.ca.revocation.mass_selection import Selected, read_lines, select_certificates, unpack
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import insert_if_absent

__all__ = ["MassRevocation", "MassRevocations"]

ARRIVING, PROPOSED, CONFIRMED, RUNNING = "arriving", "proposed", "confirmed", "running"
STOPPED, DONE = "stopped", "done"
# Chunks written in one transaction while a selection is frozen: a megabyte or two.
_CHUNKS_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True)
class MassRevocation:
    """How a mass revocation stands: all that a person needs who is to confirm it."""

    mass_revocation: str
    state: str
    authority: str
    selection: Mapping[str, Any]
    is_whole: bool
    reason: str
    invalidity_date: datetime | None
    why: str
    proposed_by: str
    people: tuple[str, ...]
    proposed_at: datetime
    expires_at: datetime
    proposal_sha256: str
    certificates: int
    holders: int
    already: int
    serials_sha256: str | None
    confirmed_by: str | None
    confirmed_people: tuple[str, ...]
    confirmed_at: datetime | None
    began_at: datetime | None
    finished_at: datetime | None
    stopped_by: str | None
    crl_number: int | None
    done: int
    changed: int

    def as_json(self) -> dict[str, Any]:
        return {
            name: value.isoformat().replace("+00:00", "Z")
            if isinstance(value, datetime)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in vars(self).items()
        }


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the selection would be now, beside what is frozen."""

    certificates: int
    serials_sha256: str
    is_same: bool


class MassRevocations:
    """The record of mass revocations.

    Args:
        valid: how long a proposal may wait for its confirmation.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        desk: Desk,
        authorities: Authorities,
        max_age: timedelta,
        valid: timedelta,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._desk = desk
        self._authorities = authorities
        self._max_age = max_age
        self._valid = valid

    # ------------------------------------------------------------------ proposing

    def propose(self, document: bytes) -> tuple[MassRevocation, bool]:
        """Take a proposal and freeze its selection, unless its lines are still to come. The same proposal
        again changes nothing.

        Returns:
            how it stands, and whether it is new.

        Raises:
            CaError: refused; nothing is frozen.
        """
        payload, signer = self._desk.open(document, PROPOSAL_TYPE)
        proposal = read_proposal(payload)
        people = signer.check_people(proposal.people)
        sha256 = content_sha256(payload)
        row = self._find(proposal.id)
        if row is not None:
            if row["content_sha256"] != sha256:
                raise MassRevocationAlteredError(proposal.id)
            if row["state"] == ARRIVING and not proposal.selection.lines:
                return self._freeze(
                    proposal.id, self._selected(proposal.authority, proposal.selection, [])
                ), False
            return self.show(proposal.id), False
        at = self._clock.now()
        check_age(proposal.created_at, at, self._max_age)
        self.check(proposal)
        signer.check_scope(proposal.authority, is_whole=proposal.selection.is_whole)
        # A rule that finds nothing leaves no trace.
        selected = None
        if not proposal.selection.lines:
            selected = self._selected(proposal.authority, proposal.selection, [])
        values = {
            "id": proposal.id,
            "content_sha256": sha256,
            "authority": proposal.authority,
            "state": ARRIVING,
            "selection": json.dumps(proposal.selection_json, ensure_ascii=False, sort_keys=True),
            "is_whole": proposal.selection.is_whole,
            "reason": proposal.reason,
            "invalidity_date": proposal.invalidity_date,
            "why": proposal.why,
            "document": document,
            "proposed_by": signer.actor,
            "people": json.dumps(people),
            "proposed_at": at,
            "certificates": 0,
            "holders": 0,
            "already": 0,
        }
        with self._database.transaction() as connection:
            is_new = insert_if_absent(connection, mass_revocations, values)
        if not is_new:
            return self.propose(document)
        return (self.show(proposal.id) if selected is None else self._freeze(proposal.id, selected)), True

    def add_lines(self, number: str, content: bytes) -> MassRevocation:
        """Take the lines that a proposal names by number and hash, and freeze the selection.

        No signature is needed: the proposal says by hash what the lines are.

        Raises:
            UnknownMassRevocationError
            MassRevocationSelectionError, MassRevocationLinesError, MassRevocationEmptyError: nothing is
                frozen; lines that name nothing are named one by one.
        """
        row = self._load(number)
        selection = read_selection(json.loads(row["selection"]))
        lines = read_lines(selection, content)
        if row["state"] != ARRIVING:
            return self.show(number)
        return self._freeze(number, self._selected(row["authority"], selection, lines))

    def preview(self, proposal: Proposal, content: bytes = b"") -> Selected:
        """What a proposal would freeze; the answer of a dry run."""
        self.check(proposal)
        selection = proposal.selection
        lines = read_lines(selection, content) if selection.lines else []
        return self._selected(proposal.authority, selection, lines)

    def check(self, proposal: Proposal) -> None:
        """Check what does not depend on who proposes.

        Raises:
            UnknownAuthorityError
            NotOfferedError: a root, whose few certificates are revoked one by one.
            OrderTimeError: the invalidity date is in the future.
        """
        if self._authorities.get(proposal.authority).is_root:
            raise NotOfferedError(proposal.authority, "*")
        if proposal.invalidity_date is not None and proposal.invalidity_date > self._clock.now():
            raise OrderTimeError(proposal.invalidity_date.isoformat())

    # ------------------------------------------------------------------ looking

    def show(self, number: str) -> MassRevocation:
        """How it stands.

        Raises:
            UnknownMassRevocationError
        """
        with self._database.reading() as connection:
            return self._shown(connection, _row(connection, number))

    def latest(self, limit: int = 100) -> list[MassRevocation]:
        """The newest, newest first."""
        query = select(mass_revocations).order_by(
            mass_revocations.c.proposed_at.desc(), mass_revocations.c.id.desc()
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit)).mappings().all()
            return [self._shown(connection, row) for row in rows]

    def serials(self, number: str) -> Iterator[str]:
        """The frozen serials, sorted."""
        self._load(number)
        query = select(mass_revocation_chunks.c.serials).where(
            mass_revocation_chunks.c.mass_revocation == number
        )
        with self._database.reading() as connection:
            packed = connection.execute(query.order_by(mass_revocation_chunks.c.number)).scalars().all()
        for each in packed:
            yield from unpack(each)

    def drift(self, number: str) -> Drift | None:
        """Select anew and compare with what is frozen; None where the selection is a list of lines.

        The more certificates the authority has, the longer it takes: some seconds for a million.
        """
        row = self._load(number)
        selection = read_selection(json.loads(row["selection"]))
        if selection.lines:
            return None
        with self._database.reading() as connection:
            now = select_certificates(connection, row["authority"], selection, [], at=self._clock.now())
        return Drift(
            certificates=now.certificates,
            serials_sha256=now.serials_sha256,
            is_same=now.serials_sha256 == row["serials_sha256"],
        )

    # ------------------------------------------------------------------ deciding

    def confirm(self, document: bytes) -> MassRevocation:
        """Take the confirmation of a second person; from now on it is carried out.

        Raises:
            UnknownMassRevocationError, MassRevocationStateError, MassRevocationExpiredError
            MassRevocationChangedError: it repeats something else than what is frozen.
            SecondPersonError: it is not a second person, or nobody can tell.
        """
        payload, signer = self._desk.open(document, CONFIRMATION_TYPE)
        said = read_confirmation(payload)
        people = signer.check_people(said.people)
        sha256, at = content_sha256(payload), self._clock.now()
        with self._database.transaction() as connection:
            row = _row(connection, said.id, locked=True)
            if row["confirmation_sha256"] == sha256:
                return self._shown(connection, row)
            check_age(said.created_at, at, self._max_age)
            if row["state"] != PROPOSED:
                raise MassRevocationStateError(said.id, row["state"])
            if at >= row["proposed_at"] + self._valid:
                raise MassRevocationExpiredError(said.id, (row["proposed_at"] + self._valid).isoformat())
            signer.check_scope(row["authority"], is_whole=row["is_whole"])
            shown = (row["content_sha256"], row["serials_sha256"], row["certificates"])
            if (said.proposal_sha256, said.serials_sha256, said.certificates) != shown:
                raise MassRevocationChangedError(said.id)
            check_second_person(
                self._desk,
                said.id,
                proposed_by=row["proposed_by"],
                proposers=json.loads(row["people"]),
                signer=signer,
                people=people,
            )
            connection.execute(
                update(mass_revocations)
                .where(mass_revocations.c.id == said.id)
                .values(
                    state=CONFIRMED,
                    confirmed_by=signer.actor,
                    confirmed_people=json.dumps(people),
                    confirmed_at=at,
                    confirmation=document,
                    confirmation_sha256=sha256,
                )
            )
            if row["is_whole"]:
                # Nothing new comes from it while the old ones are revoked, nor ever after.
                connection.execute(
                    update(authorities)
                    .where(authorities.c.name == row["authority"], authorities.c.state == "active")
                    .values(state="retired")
                )
            self._note(connection, row, "confirmed", signer, people)
            return self._shown(connection, _row(connection, said.id))

    def stop(self, document: bytes) -> MassRevocation:
        """Stop it: one person may. What is revoked stays so; a proposal can no more be confirmed."""
        return self._turn(document, STOP_TYPE, (ARRIVING, PROPOSED, CONFIRMED, RUNNING), STOPPED, "stopped")

    def resume(self, document: bytes) -> MassRevocation:
        """Go on with one that two people had confirmed before it was stopped."""
        return self._turn(document, RESUMPTION_TYPE, (STOPPED,), RUNNING, "resumed")

    def _turn(
        self, document: bytes, typ: str, states: tuple[str, ...], state: str, event: str
    ) -> MassRevocation:
        payload, signer = self._desk.open(document, typ)
        note = read_note(payload)
        people, at = signer.check_people(note.people), self._clock.now()
        check_age(note.created_at, at, self._max_age)
        with self._database.transaction() as connection:
            row = _row(connection, note.id, locked=True)
            signer.check_scope(row["authority"], is_whole=row["is_whole"])
            if row["state"] == state:
                return self._shown(connection, row)
            if row["state"] not in states or (state == RUNNING and row["confirmed_at"] is None):
                raise MassRevocationStateError(note.id, row["state"])
            is_stop = state == STOPPED
            connection.execute(
                update(mass_revocations)
                .where(mass_revocations.c.id == note.id)
                .values(
                    state=state,
                    stopped_by=signer.actor if is_stop else None,
                    stopped_at=at if is_stop else None,
                )
            )
            self._note(connection, row, event, signer, people, why=note.why)
            return self._shown(connection, _row(connection, note.id))

    # ------------------------------------------------------------------ inside

    def _selected(self, authority: str, selection: Selection, lines: list[str]) -> Selected:
        with self._database.reading() as connection:
            return select_certificates(connection, authority, selection, lines, at=self._clock.now())

    def _freeze(self, number: str, selected: Selected) -> MassRevocation:
        """Write the chunks, some at a time, then the numbers that make it a proposal."""
        mine = secrets.token_hex(16)
        of_mine = (mass_revocations.c.id == number) & (mass_revocations.c.frozen_by == mine)
        chunks = mass_revocation_chunks
        with self._database.transaction() as connection:
            # 1. Whatever another attempt has written is not ours.
            taken = connection.execute(
                update(mass_revocations)
                .where(mass_revocations.c.id == number, mass_revocations.c.state == ARRIVING)
                .values(frozen_by=mine)
            )
            if taken.rowcount:
                connection.execute(delete(chunks).where(chunks.c.mass_revocation == number))
        if not taken.rowcount:
            return self.show(number)
        # 2. The chunks, as long as nobody else has taken over.
        for begin in range(0, len(selected.chunks), _CHUNKS_AT_ONCE):
            rows = [
                {
                    "mass_revocation": number,
                    "number": chunk.number,
                    "certificates": chunk.certificates,
                    "is_done": False,
                    "changed": 0,
                    "serials": chunk.packed,
                }
                for chunk in selected.chunks[begin : begin + _CHUNKS_AT_ONCE]
            ]
            with self._database.transaction() as connection:
                if not connection.execute(
                    update(mass_revocations).where(of_mine).values(frozen_by=mine)
                ).rowcount:
                    raise TryAgainError
                connection.execute(insert(chunks), rows)
        # 3. From here on it can be shown and confirmed.
        with self._database.transaction() as connection:
            row = _row(connection, number, locked=True)
            if row["frozen_by"] != mine or row["state"] != ARRIVING:
                raise TryAgainError
            connection.execute(
                update(mass_revocations)
                .where(of_mine)
                .values(
                    state=PROPOSED,
                    certificates=selected.certificates,
                    holders=selected.holders,
                    already=selected.already,
                    serials_sha256=selected.serials_sha256,
                )
            )
            self._audit.record(
                connection,
                event="mass-revocation.proposed",
                actor=row["proposed_by"],
                subject=f"{row['authority']}/{number}",
                details={
                    "requested_by": json.loads(row["people"]),
                    "why": row["why"],
                    "reason": row["reason"],
                    "certificates": selected.certificates,
                    "serials_sha256": selected.serials_sha256,
                },
            )
            return self._shown(connection, _row(connection, number))

    def _note(
        self,
        connection: Connection,
        row: RowMapping,
        event: str,
        signer: Signer,
        people: tuple[str, ...],
        **details: str,
    ) -> None:
        self._audit.record(
            connection,
            event=f"mass-revocation.{event}",
            actor=signer.actor,
            subject=f"{row['authority']}/{row['id']}",
            details={
                "people": list(people),
                "certificates": row["certificates"],
                "serials_sha256": row["serials_sha256"] or "",
                **details,
            },
        )

    def _find(self, number: str) -> RowMapping | None:
        with self._database.reading() as connection:
            query = select(mass_revocations).where(mass_revocations.c.id == number)
            return connection.execute(query).mappings().one_or_none()

    def _load(self, number: str) -> RowMapping:
        row = self._find(number)
        if row is None:
            raise UnknownMassRevocationError(number[:64])
        return row

    def _shown(self, connection: Connection, row: RowMapping) -> MassRevocation:
        chunks = mass_revocation_chunks.c
        done, changed = connection.execute(
            select(
                func.coalesce(func.sum(case((chunks.is_done, chunks.certificates), else_=0)), 0),
                func.coalesce(func.sum(chunks.changed), 0),
            ).where(chunks.mass_revocation == row["id"])
        ).one()
        same = {name: row[name] for name in MassRevocation.__dataclass_fields__ if name in row}
        return MassRevocation(
            **same
            | {
                "mass_revocation": row["id"],
                "selection": json.loads(row["selection"]),
                "people": tuple(json.loads(row["people"])),
                "confirmed_people": tuple(json.loads(row["confirmed_people"] or "[]")),
                "expires_at": row["proposed_at"] + self._valid,
                "proposal_sha256": row["content_sha256"],
                "done": int(done),
                "changed": int(changed),
            }
        )


def _row(connection: Connection, number: str, *, locked: bool = False) -> RowMapping:
    query = select(mass_revocations).where(mass_revocations.c.id == number)
    row = connection.execute(query.with_for_update() if locked else query).mappings().one_or_none()
    if row is None:
        raise UnknownMassRevocationError(number[:64])
    return row
