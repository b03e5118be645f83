"""Signing OCSP answers ahead of the questions, and keeping what was signed true.

`follow` runs every second: it drops what the record has overtaken and signs for what was issued or changed
since the last time. `prepare` renews what is past half of its time and, now and then, goes over all
certificates. `find` compares with the record before it hands out anything; while the record cannot be asked,
what was signed stays in use until its own end.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, union_all

from onecert.ca.authorities.authorities import Authority
from onecert.ca.authorities.delegates import Delegate, Delegates
from onecert.ca.issuing.ledger import ABANDONED, GOOD, ISSUED
from onecert.ca.models import authorities, certificates, crl_entries, crl_removals
from onecert.ca.ocsp.messages import PREPARED_HASHES, IssuerHashes, Status
from onecert.ca.ocsp.prepared_answers import PreparedAnswer, PreparedAnswers
from onecert.ca.ocsp.signing import signed_answer
from onecert.ca.ocsp.stored_answers import READ_ERRORS, OcspAnswer, StoredAnswers
from onecert.ca.signatures.signer import Signer
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.models import audit_entries

__all__ = ["AnsweringAhead"]

log = logging.getLogger(__name__)

PAGE = 400
# How long a change of status that another process has made may stay unnoticed here.
NOTICE_EVERY = timedelta(seconds=1)
# How long one run of the job signs; the next goes on where it stopped.
RUN = timedelta(seconds=20)
FOLLOWING = timedelta(seconds=5)
# How often all certificates are compared with the store, beyond what the cursor over the audit trail finds.
SWEEP_EVERY = timedelta(hours=6)
# Whatever may have been signed has a status.
_EVENTS = frozenset(("certificate.issued", "certificate.abandoned"))
_SIGNED = (ISSUED, ABANDONED)

_COLUMNS = (
    certificates.c.serial,
    certificates.c.state,
    certificates.c.status,
    certificates.c.revoked_at,
    certificates.c.reason,
    certificates.c.not_after,
)
_OF_AUTHORITY = certificates.c.authority == bindparam("a")
_PAGE = (
    select(*_COLUMNS)
    .where(
        _OF_AUTHORITY,
        certificates.c.serial > bindparam("after"),
        certificates.c.state.in_(_SIGNED),
        certificates.c.not_after > bindparam("at"),
    )
    .order_by(certificates.c.serial)
    .limit(PAGE)
)
_THESE = select(*_COLUMNS).where(_OF_AUTHORITY, certificates.c.serial.in_(bindparam("these", expanding=True)))
_VERSION = select(authorities.c.status_version).where(authorities.c.name == bindparam("a"))
# Whatever is not good has an entry for the next list, however it came about; what became good has a removal.
_CHANGED = union_all(
    *(
        select(table.c.serial).where(
            table.c.authority == bindparam("a"), table.c.status_version > bindparam("v")
        )
        for table in (crl_entries, crl_removals)
    )
)
_NEWEST_ENTRY = select(func.max(audit_entries.c.seq))
_ENTRIES = (
    select(audit_entries.c.seq, audit_entries.c.event, audit_entries.c.subject)
    .where(audit_entries.c.seq > bindparam("seq"))
    .order_by(audit_entries.c.seq)
    .limit(PAGE)
)


class AnsweringAhead:
    """Prepared answers of all issuing authorities.

    Args:
        lifetime: from this to next update of a prepared answer.
        hash_names: the hashes of CertIDs that answers are signed for, of `PREPARED_HASHES`.
        hashes_of: names the issuer of an authority.
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
        hashes_of: Callable[[str], IssuerHashes | None],
        hash_names: Sequence[str] = PREPARED_HASHES[:1],
    ) -> None:
        self._database = database
        self._clock = clock
        self.store = store
        self._delegates = delegates
        self._signer = signer
        self._lifetime = lifetime
        self._hash_names = tuple(hash_names)
        self._hashes_of = hashes_of
        self._stored = StoredAnswers(store, clock.now, hashes_of=hashes_of)
        self._noticed: dict[str, timedelta] = {}
        self._lock = threading.Lock()
        self._stopped_at: dict[str, str] = {}
        self._swept: dict[str, timedelta] = {}

    def find(self, authority: str, request_der: bytes) -> OcspAnswer | None:
        """The prepared answer to a plain question, valid now; None: the record has to be asked."""
        if self._hashes_of(authority) is None:
            return None
        try:
            self._notice(authority)
        except READ_ERRORS:
            log.exception("prepared answers not readable", extra={"authority": authority})
            return None
        return self._stored.find(authority, request_der)

    def forget(self, authority: str, *serials: str) -> None:
        """Drop the answers about serials whose status changes; whatever goes wrong, the status changes."""
        try:
            self.store.drop(authority, serials, hash_names=self._hash_names)
        except sqlite3.Error:
            # The version in the database tells it to `find`, which answers nothing until it could drop.
            log.exception(
                "prepared answers not dropped", extra={"authority": authority, "serials": len(serials)}
            )

    def follow(self, authority: Authority, hashes: IssuerHashes) -> int:
        """Sign about what was issued or changed a moment ago; tell how many answers were signed.

        Raises:
            TokenError, ServiceError: not now; what was signed before is kept.
        """
        responder = self._responder(authority)
        if responder is None:
            return 0
        begun = self._clock.elapsed()
        signed = self._sign_due(authority, responder, hashes, upto=None, until=begun + FOLLOWING)
        seq = self.store.issued_seq(authority.name)
        while self._clock.elapsed() - begun <= FOLLOWING:
            with self._database.reading() as connection:
                entries = connection.execute(_ENTRIES, {"seq": seq}).all()
            beginning = f"{authority.name}/"
            serials = [
                entry.subject.removeprefix(beginning)
                for entry in entries
                if entry.event in _EVENTS and entry.subject.startswith(beginning)
            ]
            signed += self._sign_about(authority, responder, hashes, serials, only_new=True)
            seq = entries[-1].seq if entries else seq
            self.store.reached(authority.name, issued_seq=seq, at=self._clock.now())
            if len(entries) < PAGE:
                break
        return signed

    def prepare(self, authority: Authority, hashes: IssuerHashes) -> int:
        """Sign what needs an answer, for a while; tell how many were signed.

        Raises:
            TokenError, ServiceError: not now; what was signed before is kept.
        """
        responder = self._responder(authority)
        if responder is None:
            return 0
        until = self._clock.elapsed() + RUN
        signed = self._sweep(authority, responder, hashes, until=until)
        signed += self.follow(authority, hashes)
        return signed + self._sign_due(authority, responder, hashes, upto=self._clock.now(), until=until)

    def start_over(self, authority: str) -> None:
        """Forget every answer of an authority."""
        with self._database.reading() as connection:
            version = connection.execute(_VERSION, {"a": authority}).scalar() or 0
        self.store.clear(authority, status_version=version)

    def drop_ended(self) -> None:
        """Forget answers about certificates that have ended."""
        self.store.drop_ended(self._clock.now())

    # ------------------------------------------------------------------ what to sign

    def _responder(self, authority: Authority) -> Delegate | None:
        """The key that signs now; and the store is told whose answers still count."""
        self._notice(authority.name)
        responder, believed = self._delegates.current(authority), self._delegates.believed(authority)
        if responder is not None and responder.key_label not in believed:
            # It was revoked: no answer of it counts any more.
            self._delegates.load(authority)
            responder = self._delegates.current(authority)
        if responder is not None:
            self.store.keep_responders(authority.name, believed, current=responder.key_label)
        return responder

    def _sweep(
        self, authority: Authority, responder: Delegate, hashes: IssuerHashes, *, until: timedelta
    ) -> int:
        """Go over all certificates, from time to time, over several runs when they are many."""
        name, signed = authority.name, 0
        last = self._swept.get(name)
        if last is not None and self._clock.elapsed() - last < SWEEP_EVERY:
            return 0
        after = self._stopped_at.pop(name, "")
        newest: int | None = None
        if not after and not self.store.issued_seq(name):
            # Whatever was issued before this entry is found by going over all of them.
            with self._database.reading() as connection:
                newest = connection.execute(_NEWEST_ENTRY).scalar() or 0
            self.store.reached(name, issued_seq=newest, at=self._clock.now())
        while True:
            names = {"a": name, "after": after, "at": self._clock.now()}
            with self._database.reading() as connection:
                serials = list(connection.execute(_PAGE, names).scalars())
            if not serials:
                self._swept[name] = self._clock.elapsed()
                return signed
            signed += self._sign_about(authority, responder, hashes, serials, only_new=True)
            after = serials[-1]
            if self._clock.elapsed() > until:
                self._stopped_at[name] = after
                return signed

    def _sign_due(
        self,
        authority: Authority,
        responder: Delegate,
        hashes: IssuerHashes,
        *,
        upto: datetime | None,
        until: timedelta,
    ) -> int:
        """Sign again what is past half of its time; `upto` None: only what has no answer at all."""
        signed = 0
        for hash_name in self._hash_names:
            while self._clock.elapsed() <= until:
                serials = self.store.due(authority.name, hash_name, at=upto)
                if not serials:
                    break
                count = self._sign_about(authority, responder, hashes, serials, hash_names=(hash_name,))
                signed += count
                if not count:
                    # What was dropped meanwhile is for the next run.
                    break
        return signed

    def _sign_about(
        self,
        authority: Authority,
        responder: Delegate,
        hashes: IssuerHashes,
        serials: Sequence[str],
        *,
        only_new: bool = False,
        hash_names: Iterable[str] | None = None,
    ) -> int:
        signed = 0
        for hash_name in hash_names or self._hash_names:
            known = self.store.known(authority.name, hash_name, serials) if only_new else frozenset()
            wanted = [serial for serial in serials if serial not in known]
            if not wanted:
                continue
            # Asked before the statuses are read: what changes after this is not stored.
            drops = self.store.drops(authority.name)
            at = self._clock.now().replace(microsecond=0)
            with self._database.reading() as connection:
                rows = connection.execute(_THESE, {"a": authority.name, "these": wanted}).all()
            answers = [
                self._answer(responder, hashes, row, hash_name, at)
                for row in rows
                if row.state in _SIGNED and row.not_after > at
            ]
            if len(answers) < len(wanted):
                answered = {answer.serial for answer in answers}
                self.store.remove(authority.name, [each for each in wanted if each not in answered])
            if answers and self.store.store(authority.name, answers, drops=drops):
                signed += len(answers)
        return signed

    def _answer(
        self, responder: Delegate, hashes: IssuerHashes, row: Any, hash_name: str, at: datetime
    ) -> PreparedAnswer:
        status = Status(known=True)
        if row.status != GOOD or row.state == ABANDONED:
            status = Status(known=True, revoked_at=row.revoked_at, reason=row.reason)
        about = [(hashes.cert_id(int(row.serial, 16), hash_name), status)]
        made = signed_answer(self._signer, responder, about, at=at, lifetime=self._lifetime)
        return PreparedAnswer(
            serial=row.serial,
            hash_name=hash_name,
            ends=row.not_after,
            due=at + (made.next_update - at) / 2,
            key_label=responder.key_label,
            this_update=made.this_update,
            next_update=made.next_update,
            data_der=made.data_der,
            signature=made.signature,
        )

    # ------------------------------------------------------------------ what was overtaken

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
        known = self.store.status_version(authority)
        names = {"a": authority, "v": known}
        try:
            with self._database.reading() as connection:
                version = connection.execute(_VERSION, names).scalar()
                is_behind = known is not None and version is not None and version > known
                changed = connection.execute(_CHANGED, names).scalars().all() if is_behind else ()
        except ServiceError:
            log.warning("statuses not asked; prepared answers stay in use", extra={"authority": authority})
            return
        if version is None:
            return
        if known is None or version < known:
            # A record that went back: what was signed ahead is about one that is gone.
            self.store.clear(authority, status_version=version)
        elif is_behind:
            self.store.drop(authority, changed, hash_names=self._hash_names, status_version=version)
