"""Several certificates in one go: all of one holder, or all on one token, each shown by its serial.

What is confirmed is what was shown: the hash of the certificates and their statuses goes with the form, and
is compared again before anything is signed. Each change is a request of its own; a repeated form repeats
nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement

from onecert.ra.certificates.records import Certificate, list_certificates
from onecert.ra.errors import RevocationRefusedError, StaleFormError
from onecert.ra.models import certificates
from onecert.ra.operators.reach import Reach
from onecert.ra.revocation.requests import Certificates
from onecert.ra.revocation.revoking import Revoking
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.operators import Operator

__all__ = ["MAX", "Several", "Turn", "hash_of"]

# More than this is an emergency, with two people.
MAX = 20


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What became of one certificate: `state` is done, pending or refused."""

    certificate: Certificate
    state: str
    revocation_id: str = ""
    problem: ServiceError | None = None


class Several:
    """Finds what belongs together, and asks for each."""

    def __init__(
        self, *, database: Database, clock: Clock, reach: Reach, requests: Certificates, revoking: Revoking
    ) -> None:
        self._database = database
        self._clock = clock
        self._reach = reach
        self._requests = requests
        self._revoking = revoking

    def of_holder(self, operator: Operator, certificate: Certificate) -> list[Certificate]:
        """The holder's certificates that are not over, this one first; one more than `MAX` tells of more."""
        table = certificates.c
        where: ColumnElement[bool]
        if certificate.uscc and not certificate.idcard_masked:
            where = (table.uscc == certificate.uscc) & table.idcard_masked.is_(None)
        elif certificate.idcard_masked:
            with self._database.reading() as connection:
                hashed = connection.scalar(
                    certificates.select()
                    .with_only_columns(table.idcard_hmac)
                    .where(
                        table.authority == certificate.authority, table.serial_hex == certificate.serial_hex
                    )
                )
            where = table.idcard_hmac == hashed
        else:
            where = table.name == certificate.name
        return self._found(operator, certificate, where)

    def on_token(self, operator: Operator, certificate: Certificate) -> list[Certificate]:
        """The certificates on the same token that are not over, this one first."""
        if not certificate.token_number:
            return [certificate]
        return self._found(operator, certificate, certificates.c.token_number == certificate.token_number)

    def change(
        self,
        operator: Operator,
        chosen: Sequence[Certificate],
        *,
        shown_sha256: str,
        reason: str,
        note: str,
        invalidity_date: datetime | None,
        request_key: str,
    ) -> list[Turn]:
        """Ask for each, in order.

        Raises:
            StaleFormError: these are not the certificates and statuses that were shown; nothing is done.
        """
        if not 1 <= len(chosen) <= MAX:
            raise RevocationRefusedError("TOO_MANY")
        if hash_of(chosen) != shown_sha256:
            raise StaleFormError
        turns = []
        for number, certificate in enumerate(chosen):
            key = request_key if number == 0 else f"{request_key}:{number}"
            try:
                made = self._requests.request_change(
                    operator,
                    certificate.authority,
                    certificate.serial_hex,
                    reason=reason,
                    note=note,
                    invalidity_date=invalidity_date,
                    request_key=key,
                )
                state = self._revoking.carry_out(made)
            except ServiceError as exc:
                if number == 0:
                    raise
                turns.append(Turn(certificate=certificate, state="refused", problem=exc))
            else:
                turns.append(Turn(certificate=certificate, state=state, revocation_id=made))
        return turns

    def _found(
        self, operator: Operator, certificate: Certificate, where: ColumnElement[bool]
    ) -> list[Certificate]:
        table = certificates.c
        alive = table.status.in_(("good", "hold")) & (table.not_after > self._clock.now())
        with self._database.reading() as connection:
            scope = self._reach.scope(connection, operator)
            found = list_certificates(connection, scope, alive & where, limit=MAX + 1)
        others = [
            each
            for each in found
            if (each.authority, each.serial_hex) != (certificate.authority, certificate.serial_hex)
        ]
        return [certificate, *others]


def hash_of(shown: Sequence[Certificate]) -> str:
    """The hash of what a form shows: which certificates, and how each stands."""
    lines = sorted(f"{each.authority}/{each.serial_hex}/{each.status}" for each in shown)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
