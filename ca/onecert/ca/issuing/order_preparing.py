"""Single orders, checked, drafted and linted in processes beside the service: the work of other cores.

One process of Python computes on one core. While an order is under way in the service, the next one may be
prepared beside it. That only saves work: what comes back is an intent like any other, serial, order and key
number are claimed when it goes on record, and whatever is unusual about an order (refused, known, a follow-up
of another certificate) is left to the service, which then begins anew, by itself.
"""

from __future__ import annotations

import logging
import pickle
import signal
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.certificates.checked_request import ordered_request
from onecert.ca.certificates.draft import random_serial
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.errors import CaError
from onecert.ca.issuing.group_commit import GroupCommit
from onecert.ca.issuing.ledger import Intent, Ledger, OrderKnownError, intent_of
from onecert.ca.issuing.orders import Order, OrderDesk
from onecert.ca.issuing.registration_authorities import RegistrationAuthorities
from onecert.ca.signatures.algorithms import ThrowAwayKeys
from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["OrderHelpers", "Prepared"]

log = logging.getLogger(__name__)

# An order takes a millisecond; a process that needs so long has been stopped, or its disk has.
PATIENCE = timedelta(seconds=5)
# How long an order waits for a helper that is busy. The service itself is what all orders share: what another
# process can do, it does not do.
WAIT = timedelta(milliseconds=5)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An order whose content is allowed, and what goes on record for it."""

    order: Order
    intent: Intent
    issuer_mark: tuple[object, ...]  # of the issuer as the helper knows it
    at: datetime


@dataclass(frozen=True, kw_only=True)
class _Settings:
    database: Database
    status_url: str
    max_age: timedelta
    test_identities: bool


class _Preparer:
    """Does in a helper what the service does up to the record; reads the database and writes nothing."""

    def __init__(self, settings: _Settings, at: datetime) -> None:
        self._clock = FixedClock(at)
        database = settings.database
        audit = AuditTrail("ca", self._clock)
        self._authorities = Authorities(database, settings.status_url, self._clock)
        self._desk = OrderDesk(
            RegistrationAuthorities(database, audit, self._clock, self._authorities.line_of),
            max_age=settings.max_age,
        )
        self._ledger = Ledger(database, GroupCommit(database, audit))
        self._test_identities = settings.test_identities
        self._throw_away = ThrowAwayKeys()

    def prepare(self, document: bytes, at: datetime) -> Prepared | None:
        """Prepare one order; None: the service must look at it."""
        self._clock.set(at)
        try:
            order = self._desk.open_order(document)
            if order.record.succession is not None:
                return None
            self._desk.check_age(order.created_at, at)
            profile = self._authorities.profile(
                order.authority, order.profile, order.profile_version, order.profile_sha256
            )
            request = ordered_request(order, profile, at=at, test_identities=self._test_identities)
            maker = self._authorities.get(order.authority).maker(profile)
            number = self._ledger.key_number(
                order.authority, request.entity, request.key.sha256, order_id=order.id
            )
            draft = maker.draft(request, serial=random_serial(), key_number=number, at=at)
            check_certificate(self._throw_away.sign(maker.issuer.algorithm, draft.tbs_der), draft)
        except (CaError, ServiceError, OrderKnownError):
            return None
        return Prepared(
            order=order, intent=intent_of(draft, order.record), issuer_mark=maker.issuer.mark, at=at
        )


def _work(connection: Connection, settings: _Settings, at: datetime) -> None:
    """The life of a helper; it ends with the service, whose end of the connection is closed then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preparer = _Preparer(settings, at)
    connection.send_bytes(b"ready")
    with suppress(EOFError, OSError):
        while True:
            document, at = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own service
            try:
                prepared = preparer.prepare(document, at)
            except Exception:
                log.exception("an order could not be prepared")
                prepared = None
            connection.send_bytes(pickle.dumps(prepared, pickle.HIGHEST_PROTOCOL))


def _limit_waiting(connection: Connection) -> None:
    """Let the kernel end a read that waits too long: to poll first costs as much as the read."""
    with socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as same:
        patience = struct.pack("ll", int(PATIENCE.total_seconds()), 0)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)


@dataclass(eq=False)
class _Helper:
    process: BaseProcess
    connection: Connection
    is_ready: bool = field(default=False)

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()


class OrderHelpers:
    """Processes beside the service; started when two orders are first under way at once.

    Args:
        processes: how many; 0: none, the service does everything itself.
    """

    def __init__(
        self,
        database: Database,
        status_url: str,
        *,
        max_age: timedelta,
        test_identities: bool = False,
        processes: int = 0,
    ) -> None:
        self._settings = _Settings(
            database=database, status_url=status_url, max_age=max_age, test_identities=test_identities
        )
        self._wanted = processes
        self._idle: SimpleQueue[_Helper] = SimpleQueue()
        self._all: list[_Helper] = []
        self._starting: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def prepare(self, document: bytes, at: datetime) -> Prepared | None:
        """Have an order prepared; None: nobody is free, or the service must look at it."""
        helper = self._take(at)
        if helper is None:
            return None
        try:
            helper.connection.send_bytes(pickle.dumps((document, at), pickle.HIGHEST_PROTOCOL))
            prepared: Prepared | None = pickle.loads(helper.connection.recv_bytes())  # noqa: S301
        except (OSError, EOFError):
            log.warning("a process that prepares orders ended")
            self._forget(helper)
            return None
        self._give_back(helper)
        return prepared

    def _take(self, at: datetime) -> _Helper | None:
        """A helper that is free now or in a moment; None while none is ready, or all are busy for longer."""
        idle = self._idle
        try:
            return idle.get_nowait()
        except Empty:
            self._start_more(at)
        if not any(helper.is_ready for helper in self._all):
            return None
        try:
            return idle.get(timeout=WAIT.total_seconds())
        except Empty:
            return None

    def _give_back(self, helper: _Helper) -> None:
        with self._lock:
            if helper in self._all:
                helper.is_ready = True
                self._idle.put(helper)

    def all(self) -> list[_Helper]:
        """Those that are there, ready or about to be."""
        with self._lock:
            return list(self._all)

    def start(self, at: datetime) -> int:
        """Start one more, if one is missing, and wait until all are ready; return how many there are."""
        self._start_more(at)
        while self._starting:
            self._starting.pop().join()
        return len(self._all)

    def renew(self) -> None:
        """End all helpers: what they know of an authority is out of date. Others follow."""
        with self._lock:
            helpers, self._all = self._all, []
            self._idle = SimpleQueue()
        for helper in helpers:
            with suppress(AttributeError, OSError):  # not started yet
                helper.end()

    def close(self) -> None:
        """End all helpers for good."""
        self._is_closed = True
        self.renew()

    def _start_more(self, at: datetime) -> None:
        with self._lock:
            if self._is_closed or len(self._all) >= self._wanted:
                return
            ours, theirs = get_context("spawn").Pipe()
            # Forked threads would take their locks with them, and the token's login.
            process = get_context("spawn").Process(
                target=_work, args=(theirs, self._settings, at), daemon=True, name="orders"
            )
            helper = _Helper(process, ours)
            self._all.append(helper)
            thread = threading.Thread(target=self._start, args=(helper, theirs), daemon=True)
            self._starting.append(thread)
        thread.start()

    def _start(self, helper: _Helper, theirs: Connection) -> None:
        """Start one, which takes a second; orders go on meanwhile."""
        try:
            helper.process.start()
            theirs.close()
            helper.connection.recv_bytes()
            _limit_waiting(helper.connection)
        except (OSError, EOFError):
            log.warning("a process that prepares orders did not start")
            self._forget(helper)
        else:
            self._give_back(helper)

    def _forget(self, helper: _Helper) -> None:
        with self._lock:
            if helper in self._all:
                self._all.remove(helper)
        with suppress(AttributeError, OSError):
            helper.end()
