"""What auditors take with them: the trail as a file with its signed heads, and a certificate's whole life.

Taking either is itself an entry of the trail, written before anything is handed out; so the export holds the
entry about itself, under a head that is signed for it. It is the whole trail, because only a chain from its
first entry on proves that nothing is missing; an earlier export shows what came since.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from onecert.ra.desk.trail import is_everywhere
from onecert.ra.errors import OutOfReachError
from onecert.ra.models import applications, cases
from onecert.ra.operators.acting import with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR
from onecert.ra.vault.keys import Keys
from onecert.server.audit import AuditTrail
from onecert.server.audit.export import export_to_file
from onecert.server.database import Database
from onecert.server.folders import make_private_folder
from onecert.server.models import audit_entries
from onecert.server.operators import Operator

__all__ = ["Auditing"]

MAX_ENTRIES = 1000


class Auditing:
    """`folder` takes a file for as long as it is handed out."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        keys: Keys,
        reach: Reach,
        folder: Path,
    ) -> None:
        self._database = database
        self._audit = audit
        self._keys = keys
        self._reach = reach
        self._folder = folder

    def export(self, operator: Operator, *, name: str) -> Path:
        """Write the trail into a private file, which the caller removes.

        Raises:
            OutOfReachError: the trail is of all points, and this operator's scope is not.
            TokenNotReadyError: nobody can sign the head now.
        """
        key = self._keys.order_key()
        with self._database.transaction() as connection:
            operator = self._reach.account(connection, operator, AUDITOR)
            if not is_everywhere(self._reach.scope(connection, operator)):
                raise OutOfReachError("audit")
            self._record(connection, operator, event="audit.exported", subject="audit:ra")
        # In a few seconds another process may add entries; they stand after the head, and the check says so.
        self._audit.sign_head(self._database, key)
        path = make_private_folder(self._folder) / name
        export_to_file(self._database, path, service=self._audit.service)
        return path

    def life(self, operator: Operator, authority: str, serial_hex: str) -> Sequence[dict[str, Any]]:
        """All entries about a certificate, oldest first.

        Its own, and those of the application it came from, of what followed it and of the cases about it.

        Raises:
            NotFoundError: there is none in reach.
        """
        certificate = self._reach.certificate(operator, authority, serial_hex)
        own = f"certificate:{certificate.authority}/{certificate.serial_hex}"
        a, c = applications.c, cases.c
        with self._database.transaction() as connection:
            operator = self._reach.account(connection, operator, AUDITOR, ADMINISTRATOR)
            followers = connection.scalars(
                select(a.id).where(
                    a.follows_authority == certificate.authority,
                    a.follows_serial == certificate.serial_hex,
                )
            )
            about = connection.scalars(
                select(c.id).where(
                    c.authority == certificate.authority, c.serial_hex == certificate.serial_hex
                )
            )
            subjects = [
                own,
                f"application:{certificate.application_id}",
                *(f"application:{each}" for each in followers),
                *(f"case:{each}" for each in about),
            ]
            rows = connection.execute(
                select(audit_entries)
                .where(audit_entries.c.subject.in_(subjects))
                .order_by(audit_entries.c.seq)
                .limit(MAX_ENTRIES)
            ).mappings()
            found = [dict(row) for row in rows]
            self._record(connection, operator, event="audit.life_read", subject=own)
        return found

    def _record(self, connection: Connection, operator: Operator, *, event: str, subject: str) -> None:
        self._audit.record(
            connection,
            event=event,
            actor=operator.actor,
            subject=subject,
            details=with_certificate(operator),
        )
