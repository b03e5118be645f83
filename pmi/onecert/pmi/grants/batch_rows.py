"""The rows of a batch, each judged like a single grant, and against the other rows.

Nothing is put on record here. Holders are verified outside of any transaction, because the verifier may have
to fetch a revocation list.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from onecert.pmi.authorities.directory import ACTIVE, STATES, Authorities, Authority
from onecert.pmi.authorities.errors import AuthorityStateError
from onecert.pmi.catalogue.content import ROLE, Catalogue
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import OFFICER, Grants
from onecert.pmi.grants.errors import DutySeparatedError
from onecert.pmi.grants.request import GRANT, Grant, GrantRequest, Wanted, grant_of
from onecert.pmi.grants.rows import row_of
from onecert.pmi.grants.rules import Rules
from onecert.pmi.holders.identity import HolderIdentity
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.operators import Operator, check_role, check_usable
from onecert.server.statements import Values
from onecert.verifier.errors import VerifyError

__all__ = ["MAX_ROWS", "BatchRow", "Judged", "RowJudge"]

MAX_ROWS = 100_000


@dataclass(frozen=True, kw_only=True)
class BatchRow:
    """What became of one row: its grant, or what is wrong with it.

    Args:
        number: from 1, in the order in which they came.
        error: a ServiceError or VerifyError, with code, text and hint.
    """

    number: int
    grant: Grant | None = None
    error: ServiceError | VerifyError | None = None


@dataclass(frozen=True)
class Judged:
    """One row, with the columns of its grant and its holder when it is good."""

    row: BatchRow
    columns: Values | None = None
    holder: HolderIdentity | None = None


class RowJudge:
    """Judges the rows of a batch. One object per process; safe to share between threads."""

    def __init__(
        self, *, database: Database, clock: Clock, authorities: Authorities, grants: Grants, rules: Rules
    ) -> None:
        self._database = database
        self._clock = clock
        self._authorities = authorities
        self._grants = grants
        self._rules = rules

    def judge(
        self,
        batch_id: str,
        authority: str,
        rows: Sequence[GrantRequest | ServiceError],
        operator: Operator,
    ) -> list[Judged]:
        """Judge each row.

        Args:
            rows: requests, or what was wrong already where the row was read.

        Raises:
            RequestWrongError, AuthorityStateError, AuthorityUnknownError: nothing can be judged.
        """
        check_role(operator, OFFICER)
        now = self._clock.now()
        check_usable(operator, at=now)
        if not 0 < len(rows) <= MAX_ROWS:
            raise RequestWrongError("rows", _("none, or more than 100,000"))
        holders = [self._find_holder(row, now) for row in rows]
        judged: list[Judged] = []
        roles: dict[tuple[str, str], set[str]] = {}
        with self._database.reading() as connection:
            giver = self._authorities.load(connection, authority)
            if giver.state != ACTIVE:
                raise AuthorityStateError(authority, STATES[giver.state])
            for number, (row, holder) in enumerate(zip(rows, holders, strict=True), start=1):
                try:
                    if isinstance(row, ServiceError):
                        raise row
                    if isinstance(holder, ServiceError | VerifyError):
                        raise holder
                    columns, catalogue = self._row(
                        connection,
                        giver,
                        row,
                        batch_id=batch_id,
                        number=number,
                        holder=holder,
                        operator=operator,
                        now=now,
                    )
                    _check_among(catalogue, columns, holder, roles)
                    judged.append(Judged(BatchRow(number=number, grant=grant_of(columns)), columns, holder))
                except (ServiceError, VerifyError) as exc:
                    judged.append(Judged(BatchRow(number=number, error=exc)))
        return judged

    def _find_holder(
        self, row: GrantRequest | ServiceError, now: datetime
    ) -> HolderIdentity | ServiceError | VerifyError:
        if isinstance(row, ServiceError):
            return row
        try:
            # Outside of any transaction: the verifier may have to fetch a revocation list.
            return self._grants.find_holder(GRANT, row.holder, now)
        except (ServiceError, VerifyError) as exc:
            return exc

    def _row(
        self,
        connection: Connection,
        giver: Authority,
        asked: GrantRequest,
        *,
        batch_id: str,
        number: int,
        holder: HolderIdentity,
        operator: Operator,
        now: datetime,
    ) -> tuple[dict[str, Any], Catalogue]:
        """Judge one row as a single grant; return its columns. Raises ServiceError."""
        if asked.kind != GRANT:
            raise RequestWrongError("kind", _("a batch holds no delegations"))
        source, grant_id = f"batch:{batch_id}", str(uuid.uuid5(uuid.UUID(batch_id), str(number)))
        wanted = Wanted.of(replace(asked, authority=giver.name, id=grant_id, source=source))
        terms = self._rules.judge(connection, giver, wanted, holder, now, locks=False)
        columns = row_of(wanted, terms, giver, holder=holder, operator=operator, now=now)
        self._rules.check_delegated(
            connection,
            giver,
            terms,
            holder=holder.certificate,
            period=(columns["not_before"], columns["not_after"]),
            at=now,
        )
        columns["batch_id"] = batch_id
        return columns, terms.catalogue


def _check_among(
    catalogue: Catalogue, columns: Values, holder: HolderIdentity, roles: dict[tuple[str, str], set[str]]
) -> None:
    """Separation of duty among the rows themselves. Raises DutySeparatedError."""
    given = json.loads(columns["attributes"]).get(ROLE, ())
    others = roles.setdefault((holder.entity, holder.person), set())
    for rule in catalogue.broken_exclusions([*others, *given]):
        both = catalogue.with_included([*others, *given]).intersection(rule.roles)
        raise DutySeparatedError(rule.title("en"), sorted(both), "")
    others.update(given)
