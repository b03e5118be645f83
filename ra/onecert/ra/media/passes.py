"""Passes of the program on the counter's PC: a code from the media page, exchanged once for a pass.

The pass acts as the media clerk who asked for the code, under the certificate that the clerk was signed in
with, for one working day. The program may also come with the clerk's own client certificate, and needs none.
"""

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, or_, select, update

from onecert.ra.delivery.codes import ALPHABET, LENGTH, typed
from onecert.ra.delivery.tries import Tries
from onecert.ra.errors import CounterCodeError
from onecert.ra.media.tables import counter_passes
from onecert.ra.operators.acting import ActingOperator, acting, certificate_of, with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import MEDIA
from onecert.ra.vault.sealed import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, Operators

__all__ = ["Passes"]

CODE_LIFE = timedelta(minutes=10)
PASS_LIFE = timedelta(hours=10)
ADDRESS_LIMIT = 20


class Passes:
    """Gives out codes, exchanges them, and says whom a pass belongs to."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        reach: Reach,
        operators: Operators,
        tries: Tries,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._reach = reach
        self._operators = operators
        self._tries = tries

    def give_code(self, operator: Operator) -> tuple[str, datetime]:
        """A code for the program, and until when it can be exchanged; codes and passes of before end."""
        code = "".join(secrets.choice(ALPHABET) for _place in range(LENGTH))
        hashed = self._hmac(code)
        with self._database.transaction() as connection:
            now = self._clock.now()
            operator = self._reach.account(connection, operator, MEDIA, at=now)
            connection.execute(
                delete(counter_passes).where(
                    or_(counter_passes.c.operator_id == operator.id, counter_passes.c.until <= now)
                )
            )
            pass_id = str(uuid.uuid4())
            connection.execute(
                insert(counter_passes).values(
                    id=pass_id,
                    operator_id=operator.id,
                    certificate_sha256=certificate_of(operator),
                    code_hmac=hashed,
                    code_until=now + CODE_LIFE,
                    until=now + PASS_LIFE,
                )
            )
            self._audit.record(
                connection,
                event="counter.code",
                actor=operator.actor,
                subject=f"operator:{operator.id}",
                details={"pass": pass_id, **with_certificate(operator)},
            )
        return code, now + CODE_LIFE

    def exchange(self, code: str, *, source: str) -> tuple[str, datetime]:
        """The pass for a code, and until when it counts. A code is good for one.

        Raises:
            CounterCodeError: unknown, used, or too old. TooManyTriesError: too many from this address.
        """
        self._tries.count("address", source, limit=ADDRESS_LIMIT)
        hashed, made = self._hmac(typed(code)), secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            now = self._clock.now()
            same = (counter_passes.c.code_hmac == hashed, counter_passes.c.code_until > now)
            row = connection.execute(select(counter_passes).where(*same).with_for_update()).one_or_none()
            if row is None:
                raise CounterCodeError
            connection.execute(
                update(counter_passes)
                .where(counter_passes.c.id == row.id)
                .values(code_hmac=None, pass_sha256=_sha256(made))
            )
            self._audit.record(
                connection,
                event="counter.signed_in",
                actor=f"operator:{row.operator_id}",
                subject=f"operator:{row.operator_id}",
                details={"pass": row.id},
            )
        return made, row.until

    def operator(self, given: str) -> ActingOperator:
        """Whose pass this is.

        Raises:
            CounterCodeError: nobody's, or it has ended.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(counter_passes).where(counter_passes.c.pass_sha256 == _sha256(given))
            ).one_or_none()
            if row is None or row.until <= self._clock.now():
                raise CounterCodeError
            return acting(self._operators.load(connection, row.operator_id), row.certificate_sha256)

    def end(self, given: str) -> None:
        """The clerk signs the program out; again changes nothing."""
        with self._database.transaction() as connection:
            connection.execute(delete(counter_passes).where(counter_passes.c.pass_sha256 == _sha256(given)))

    def _hmac(self, code: str) -> str:
        return self._vault.content_hmac(f"counter\0{code}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
