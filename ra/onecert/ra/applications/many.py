"""Many applications entered, submitted and approved at once, as rows of a batch that people have approved.

What holds for each act holds here: account, role, certificate, scope, place, two people, the states of the
machine, one claim for each entity and key, the frozen content; each application has the same life line and
the same audit entries, in one transaction for all. Whatever is not plain (a claim is held, a row was begun
before, materials or a second reviewer are wanted) is done act by act instead, which says what is wrong.
"""

import json
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from onecert.ra.applications.entries import Entries, Entry
from onecert.ra.applications.records import Application, load_applications
from onecert.ra.applications.steps import OperatorSteps, Step
from onecert.ra.ca.authorities import Directory
from onecert.ra.life.machine import Act, State, check_move, roles_of
from onecert.ra.models import applications, claims
from onecert.ra.operators.acting import ActingOperator
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ENTRY
from onecert.ra.points.points import check_place
from onecert.ra.review.thresholds import TwoReviewers, facts_of
from onecert.ra.search.index import remember_names
from onecert.ra.search.tables import marks
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import check_different_people, check_role

__all__ = ["ManyApplications"]


class ManyApplications:
    """Enters what is plain, all or none."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        directory: Directory,
        reach: Reach,
        entries: Entries,
        steps: OperatorSteps[Application],
        two_reviewers: TwoReviewers,
        materials_required: tuple[str, ...],
    ) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._reach = reach
        self._entries = entries
        self._steps = steps
        self._two_reviewers = two_reviewers
        self._materials_required = materials_required

    def enter_approved(
        self, clerk: ActingOperator, reviewer: ActingOperator, wanted: Mapping[str, Entry]
    ) -> dict[str, str] | None:
        """Make an approved application of each entry; by request key, their ids.

        All entries have authority, type and place in common, and follow no certificate. None: they are not
        plain, and nothing was written.

        Raises:
            OperatorError, SamePersonError, OutOfReachError: these people may not do it.
        """
        if self._materials_required or not wanted:
            return None
        at, rows = self._clock.now(), []
        for key, entry in wanted.items():
            row = self._row(clerk, reviewer, key, entry, at)
            if row is None:
                return None
            rows.append(row)
        try:
            with self._database.transaction() as connection:
                return self._write(connection, clerk, reviewer, rows, at)
        except (IntegrityError, _NotPlainError):
            return None

    def _row(
        self, clerk: ActingOperator, reviewer: ActingOperator, key: str, entry: Entry, at: datetime
    ) -> "_Row | None":
        """What needs the token, before the transaction; None: it has a fault."""
        application_id, salt = str(uuid.uuid4()), secrets.token_hex(16)
        prepared = self._entries.prepare(entry, application_id, salt)
        checked = prepared.outcome.content
        if checked is None or prepared.entity_key is None:
            return None
        findings = self._entries.findings.freeze(checked.values, recorded_by=clerk.id, at=at)
        profile = self._directory.profile(entry.authority, entry.kind.value)
        columns = {
            **prepared.columns(),
            "id": application_id,
            "request_key": f"{clerk.id}:{key}"[:128],
            "request_hmac": prepared.request_hmac,
            "profile": profile.name,
            "profile_version": profile.version,
            "state": State.APPROVED.value,
            "state_since": at,
            "revision": 3,
            "created_at": at,
            "created_by": clerk.id,
            "submitted_by": clerk.id,
            "reviewed_by": reviewer.id,
            "order_id": str(uuid.uuid4()),
            "point": entry.point,
            "project": entry.project,
            "content_sha256": checked.sha256(salt, findings=findings),
            "findings": json.dumps(findings, ensure_ascii=False),
        }
        return _Row(key, columns, checked.values, prepared.marks)

    def _write(
        self,
        connection: Connection,
        clerk: ActingOperator,
        reviewer: ActingOperator,
        rows: Sequence["_Row"],
        at: datetime,
    ) -> dict[str, str]:
        connection.execute(insert(applications), [row.columns for row in rows])
        ids = [row.columns["id"] for row in rows]
        made = {each.id: each for each in load_applications(connection, ids)}
        self._check_people(connection, clerk, reviewer, made[ids[0]], at)
        if any(self._two_reviewers.needed(facts_of(made[row.columns["id"]], row.values)) for row in rows):
            raise _NotPlainError
        self._claim(connection, rows)
        remember_names(connection, [row.columns["name"] for row in rows])
        found = [
            {"mark": mark, "application_id": row.columns["id"], "kind": kind}
            for row in rows
            for kind, mark in row.marks.items()
        ]
        if found:
            connection.execute(insert(marks), found)
        steps = [step for each in ids for step in _steps(made[each], clerk, reviewer)]
        self._steps.write_many(connection, steps, at=at)
        return {row.key: row.columns["id"] for row in rows}

    def _check_people(
        self,
        connection: Connection,
        clerk: ActingOperator,
        reviewer: ActingOperator,
        one: Application,
        at: datetime,
    ) -> None:
        """What `OperatorSteps.begin` checks of each, once for all: they have place and type in common."""
        self._reach.account(connection, clerk, ENTRY, at=at)
        state = State.DRAFT
        for operator, act in ((clerk, Act.SUBMIT), (reviewer, Act.APPROVE)):
            move = check_move(one.business, state, act)
            known = self._reach.account(connection, operator, *roles_of(one.business, act), at=at)
            check_role(known, *move.roles)
            self._reach.check(connection, known, one)
            state = move.after
        check_different_people(reviewer, clerk)
        check_place(connection, one.point, one.project)

    def _claim(self, connection: Connection, rows: Sequence["_Row"]) -> None:
        """One claim for each entity and key; a held one is for the act by itself to judge."""
        wanted = [claim for row in rows for claim in row.claims()]
        keys = [claim["entity_key"] for claim in wanted]
        if connection.scalar(select(claims.c.application_id).where(claims.c.entity_key.in_(keys)).limit(1)):
            raise _NotPlainError
        connection.execute(insert(claims), wanted)


class _NotPlainError(Exception):
    """One of them needs the act by itself; undoes what was written."""


@dataclass(frozen=True)
class _Row:
    key: str
    columns: Mapping[str, Any]
    values: Mapping[str, str]
    marks: Mapping[str, str]

    def claims(self) -> Iterator[dict[str, Any]]:
        """As `duplicates.take_claim` and `take_key` write them."""
        row, application = self.columns, {"application_id": self.columns["id"]}
        place = {"authority": row["authority"], "kind": row["kind"]}
        yield {"entity_key": row["entity_key"], **place, **application}
        yield {"entity_key": f"key:{row['key_sha256']}", "authority": "*", "kind": "*", **application}


def _steps(
    approved: Application, clerk: ActingOperator, reviewer: ActingOperator
) -> Iterator[Step[Application]]:
    """The three steps, each with the record as it was then."""
    submitted = replace(approved, state=State.SUBMITTED, revision=2, reviewed_by=None, order_id=None)
    created = replace(submitted, state=State.DRAFT, revision=1, submitted_by=None, content_sha256=None)
    yield Step(created, "created", clerk)
    yield Step(submitted, "submitted", clerk)
    yield Step(approved, "approved", reviewer)
