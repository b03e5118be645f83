"""The hand-over of a key recovery to the key centre: a document signed by the registration authority, laid
into an outbox folder where the key centre takes it.

The document is on record in the transaction that completes the case; the file follows, and a job writes what
could not be written then. File name: `<case number>.jws`, mode 0600, written whole or not at all.

    {"handover": <case id>, "case": <number>, "business": "recovery", "registration_authority": …,
     "created_at": …, "authority": …, "serial": …, "certificate_sha256": …, "content_sha256": …, "note": …,
     "asked_by": …, "reviewed_by": …, "consented_by": …, "handed_over_by": …}
"""

import logging
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, update

from onecert.ra.cases.records import Case, load_case
from onecert.ra.cases.tables import handovers
from onecert.ra.orders.documents import sign_order, timestamp
from onecert.ra.vault.keys import Keys
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["HANDOVER_TYP", "HandOvers", "find_handover"]

log = logging.getLogger(__name__)

HANDOVER_TYP = "onecert-recovery+json"
BATCH = 100


class HandOvers:
    """Signs, keeps and lays out. `outbox` is made when the first document comes."""

    def __init__(
        self, *, database: Database, clock: Clock, keys: Keys, outbox: Path, registration_authority: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._outbox = outbox
        self._name = registration_authority

    def sign(self, case: Case, *, certificate_sha256: str, people: dict[str, str | None]) -> str:
        """The signed document; needs the token, so it is made outside the write transaction.

        Args:
            people: `consented_by` and `handed_over_by`, ids of operators.
        """
        payload: dict[str, Any] = {
            "handover": case.id,
            "case": case.number,
            "business": case.business.value,
            "registration_authority": self._name,
            "created_at": timestamp(self._clock.now()),
            "authority": case.authority,
            "serial": case.serial_hex,
            "certificate_sha256": certificate_sha256,
            "content_sha256": case.content_sha256,
            "note": case.note,
            "asked_by": case.created_by,
            "reviewed_by": case.reviewed_by,
            **people,
        }
        return sign_order(payload, typ=HANDOVER_TYP, key=self._keys.order_key()).decode()

    def keep(self, connection: Connection, case_id: str, document: str, *, at: datetime) -> None:
        """Put it on record, in the transaction of the act."""
        connection.execute(insert(handovers).values(case_id=case_id, document=document, at=at))

    def lay_out(self, case_id: str) -> bool:
        """Write the file if it is not there yet; False: the folder cannot be written just now."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(handovers).where(handovers.c.case_id == case_id, handovers.c.written_at.is_(None))
            ).one_or_none()
            if row is None:
                return True
            name = f"{load_case(connection, case_id).number}.jws"
        try:
            _write(self._outbox, name, row.document)
        except OSError as exc:
            log.error("hand-over not written", extra={"case": case_id, "reason": exc.strerror})
            return False
        with self._database.transaction() as connection:
            connection.execute(
                update(handovers).where(handovers.c.case_id == case_id).values(written_at=self._clock.now())
            )
        return True

    def run(self, _at: datetime) -> None:
        """The job: every document whose file is missing."""
        with self._database.reading() as connection:
            waiting = list(
                connection.scalars(
                    select(handovers.c.case_id).where(handovers.c.written_at.is_(None)).limit(BATCH)
                )
            )
        for case_id in waiting:
            if not self.lay_out(case_id):
                return


def find_handover(connection: Connection, case_id: str) -> str | None:
    """The signed document of a case; None: it has not been handed over."""
    document: str | None = connection.scalar(
        select(handovers.c.document).where(handovers.c.case_id == case_id)
    )
    return document


def _write(folder: Path, name: str, text: str) -> None:
    """Whole or not at all, the owner's only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f".{name}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)
