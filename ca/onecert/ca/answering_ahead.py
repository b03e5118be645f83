"""Signing OCSP answers ahead of the questions, and keeping what was signed true.

`prepare` goes over an authority's certificates and signs what has no answer, or one past half of its time.
`find` follows the changes of status in the database before it hands out anything; while the database cannot
be asked, what was signed stays in use until its own end.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select

from onecert.ca.authorities import Authority
from onecert.ca.delegates import Delegate, Delegates
from onecert.ca.draft import serial_hex
from onecert.ca.ledger import GOOD, ISSUED
from onecert.ca.models import authorities, certificates, revocations
from onecert.ca.ocsp import CertId, IssuerHashes, Status
from onecert.ca.ocsp_signing import SignedAnswer, signed_answer
from onecert.ca.prepared_answers import PreparedAnswer, PreparedAnswers
from onecert.ca.signer import Signer
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["AnsweringAhead"]

log = logging.getLogger(__name__)

PAGE = 500
# How long a change of status that another process has made may stay unnoticed here.
NOTICE_EVERY = timedelta(seconds=1)
# How long one run of the job signs; the next goes on where it stopped.
RUN = timedelta(seconds=20)

_PAGE = (
    select(
        certificates.c.serial,
        certificates.c.status,
        certificates.c.revoked_at,
        certificates.c.reason,
    )
    .where(
        certificates.c.authority == bindparam("a"),
        certificates.c.serial > bindparam("after"),
        certificates.c.state == ISSUED,
        certificates.c.not_after > bindparam("at"),
    )
    .order_by(certificates.c.serial)
    .limit(PAGE)
)
_VERSION = select(authorities.c.status_version).where(authorities.c.name == bindparam("a"))
_CHANGED = select(revocations.c.serial).where(
    revocations.c.authority == bindparam("a"), revocations.c.status_version > bindparam("v")
)


class AnsweringAhead:
    """Prepared answers of all issuing authorities.

    Args:
        lifetime: from this to next update of a prepared answer.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        store: PreparedAnswers,
        *,
        delegates: Delegates,
        signer: Signer,
        lifetime: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._store = store
        self._delegates = delegates
        self._signer = signer
        self._lifetime = lifetime
        self._noticed: dict[str, timedelta] = {}
        self._lock = threading.Lock()
        self._stopped_at: dict[str, str] = {}

    def find(
        self, authority: Authority, responder: Delegate, cert_id: CertId, hashes: IssuerHashes
    ) -> SignedAnswer | None:
        """The prepared answer to exactly this CertID, valid now; None: the database has to be asked."""
        if cert_id.raw != hashes.cert_id(cert_id.serial).raw:
            return None
        try:
            self._notice(authority.name)
            found = self._store.find(authority.name, serial_hex(cert_id.serial))
        except (sqlite3.Error, ValueError, TypeError, OverflowError, OSError):
            # Also a damaged file, in which a column may hold anything.
            log.exception("prepared answers not readable", extra={"authority": authority.name})
            return None
        at = self._clock.now()
        if (
            found is None
            or found.key_label != responder.key_label
            or not found.this_update <= at < found.next_update
        ):
            return None
        return SignedAnswer(
            data_der=found.data_der,
            signature=found.signature,
            this_update=found.this_update,
            next_update=found.next_update,
        )

    def forget(self, authority: str, serial: str) -> None:
        """Drop the answer about a serial whose status changes; whatever goes wrong, the status changes."""
        try:
            self._store.drop(authority, [serial])
        except sqlite3.Error:
            # The version in the database tells it to `find`, which answers nothing until it could drop.
            log.exception("prepared answer not dropped", extra={"authority": authority, "serial": serial})

    def prepare(self, authority: Authority, hashes: IssuerHashes) -> int:
        """Sign what needs an answer, for a while; tell how many were signed.

        Raises:
            TokenError, ServiceError: not now; what was signed before is kept.
        """
        responder = self._delegates.current(authority)
        if responder is None:
            return 0
        self._notice(authority.name)
        begun, signed = self._clock.elapsed(), 0
        after = self._stopped_at.pop(authority.name, "")
        while True:
            # Asked before the statuses are read: what changes after this is not stored.
            drops = self._store.drops(authority.name)
            at = self._clock.now().replace(microsecond=0)
            names = {"a": authority.name, "after": after, "at": at}
            with self._database.reading() as connection:
                rows = connection.execute(_PAGE, names).all()
            if not rows:
                return signed
            answers = self._page(authority, responder, hashes, rows, at)
            if answers and self._store.store(authority.name, answers, drops=drops):
                signed += len(answers)
            after = rows[-1].serial
            if self._clock.elapsed() - begun > RUN:
                self._stopped_at[authority.name] = after
                return signed

    def drop_ended(self) -> None:
        """Forget answers that are over."""
        self._store.drop_ended(self._clock.now())

    def _page(
        self,
        authority: Authority,
        responder: Delegate,
        hashes: IssuerHashes,
        rows: Sequence[Any],
        at: datetime,
    ) -> list[PreparedAnswer]:
        fresh = self._store.fresh(
            authority.name,
            [row.serial for row in rows],
            since=at - self._lifetime / 2,
            key_label=responder.key_label,
        )
        return [self._answer(responder, hashes, row, at) for row in rows if row.serial not in fresh]

    def _answer(self, responder: Delegate, hashes: IssuerHashes, row: Any, at: datetime) -> PreparedAnswer:
        status = Status(known=True)
        if row.status != GOOD:
            status = Status(known=True, revoked_at=row.revoked_at, reason=row.reason)
        about = [(hashes.cert_id(int(row.serial, 16)), status)]
        made = signed_answer(self._signer, responder, about, at=at, lifetime=self._lifetime)
        return PreparedAnswer(
            serial=row.serial,
            key_label=responder.key_label,
            this_update=made.this_update,
            next_update=made.next_update,
            data_der=made.data_der,
            signature=made.signature,
        )

    def _notice(self, authority: str) -> None:
        """Drop what the database has overtaken; where that fails, nothing may be handed out."""
        now, last = self._clock.elapsed(), self._noticed.get(authority)
        if last is not None and now - last < NOTICE_EVERY:
            return
        # Who comes while somebody asks, uses what is there, unless it was never compared in this process.
        if not self._lock.acquire(blocking=last is None):
            return
        try:
            self._compare(authority)
            self._noticed[authority] = now
        finally:
            self._lock.release()

    def _compare(self, authority: str) -> None:
        known = self._store.status_version(authority)
        names = {"a": authority, "v": known}
        try:
            with self._database.reading() as connection:
                version = connection.execute(_VERSION, names).scalar_one()
                is_behind = known is not None and version > known
                changed = connection.execute(_CHANGED, names).scalars().all() if is_behind else ()
        except ServiceError:
            log.warning("statuses not asked; prepared answers stay in use", extra={"authority": authority})
            return
        if known is None:
            self._store.clear(authority, status_version=version)
        elif is_behind:
            self._store.drop(authority, changed, status_version=version)
