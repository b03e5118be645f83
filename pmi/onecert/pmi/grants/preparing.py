"""From the row of an approved grant to what will be signed: judged once more, one by one or many together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection

from onecert.pmi.authorities.directory import Authority
from onecert.pmi.grants.request import GRANT, Wanted
from onecert.pmi.grants.rules import Rules, Terms
from onecert.pmi.holders.identity import HolderIdentity
from onecert.pmi.issuing.attributes import search_values
from onecert.pmi.issuing.one import ToSign
from onecert.server.errors import ServiceError
from onecert.server.statements import Values
from onecert.verifier.certificate import ParsedCertificate, as_parsed

__all__ = ["Preparer", "wanted_of"]


class Preparer:
    """Judges grants in the transaction in which their certificates are put on record."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def prepare(self, connection: Connection, row: Values, authority: Authority, at: datetime) -> ToSign:
        """Judge an approved grant once more.

        Args:
            authority: as ``Authorities.load_to_issue`` returned it in this transaction.

        Raises:
            PmiError: what could be given when it was asked for cannot be given now.
        """
        wanted = wanted_of(row)
        holder = HolderIdentity(certificate=as_parsed(bytes(row["holder_der"])), entity=row["entity"])
        terms = self._rules.judge(connection, authority, wanted, holder, at, again=True)
        return self.to_sign(
            connection,
            authority,
            terms,
            wanted,
            holder=holder.certificate,
            period=(row["not_before"], row["not_after"]),
            at=at,
        )

    def prepare_many(
        self, connection: Connection, rows: Sequence[Values], authority: Authority, at: datetime
    ) -> Iterator[tuple[Values, ToSign | ServiceError]]:
        """Like ``prepare``, for the rows of a batch: what several have in common is judged once.

        Yields:
            each row with what will be signed, or with the reason why it cannot be given now.
        """
        common: dict[tuple[str, ...], tuple[Wanted, Terms, tuple[tuple[str, str], ...]]] = {}
        for row in rows:
            try:
                if row["recipient_der"] is not None or row["kind"] != GRANT:
                    yield row, self.prepare(connection, row, authority, at)
                    continue
                holder = HolderIdentity(certificate=as_parsed(bytes(row["holder_der"])), entity=row["entity"])
                key = (row["attributes"], row["holder_form"])
                known = common.get(key)
                if known is None:
                    wanted = wanted_of(row)
                    terms = self._rules.judge(connection, authority, wanted, holder, at, again=True)
                    found_by = tuple(search_values(terms.catalogue, wanted.attributes))
                    common[key] = (wanted, terms, found_by)
                else:
                    wanted, terms, found_by = known
                    self._rules.check_duties(
                        connection, terms.catalogue, wanted.roles, holder, at, again=True
                    )
                period = (row["not_before"], row["not_after"])
                under = self._rules.check_delegated(
                    connection, authority, terms, holder=holder.certificate, period=period, at=at
                )
                yield (
                    row,
                    ToSign(
                        authority=authority,
                        holder=holder.certificate,
                        attributes=terms.attributes,
                        found_by=found_by,
                        under=under,
                    ),
                )
            except ServiceError as exc:
                yield row, exc

    def to_sign(
        self,
        connection: Connection,
        authority: Authority,
        terms: Terms,
        wanted: Wanted,
        *,
        holder: ParsedCertificate,
        period: tuple[datetime, datetime],
        at: datetime,
    ) -> ToSign:
        """Say what will be signed on these terms, under the delegation that allows it, if one is needed.

        Raises:
            NoDelegationError, DelegationExceededError, DelegationLoopError: it is not delegated.
        """
        under = self._rules.check_delegated(connection, authority, terms, holder=holder, period=period, at=at)
        return ToSign(
            authority=authority,
            holder=holder,
            attributes=terms.attributes,
            found_by=tuple(search_values(terms.catalogue, wanted.attributes)),
            recipient=wanted.recipient,
            constraints=terms.constraints,
            under=under,
        )


def wanted_of(row: Values) -> Wanted:
    """Return what was asked for, from the row of a grant."""
    recipient = row["recipient_der"]
    return Wanted(
        id=row["id"],
        authority=row["authority"],
        attributes=json.loads(row["attributes"]),
        targets=json.loads(row["targets"]),
        target_groups=json.loads(row["target_groups"]),
        holder_form=row["holder_form"],
        short_lived=row["short_lived"],
        audit_identity=row["audit_identity"],
        recipient=None if recipient is None else as_parsed(bytes(recipient)),
        not_before=row["not_before"],
        not_after=row["not_after"],
        kind=row["kind"],
        constraints=json.loads(row["constraints"]),
        source=row["source"],
    )
