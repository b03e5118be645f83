"""Sessions on one token: used by many threads, lost and found again.

A login belongs to the process, not to a session: one session logs in and is kept, the others are opened
beside it. (Closing the session that logged in would log everybody out, so it is closed last.) When a call
shows that the token or the login is lost, one thread takes all sessions out, logs in anew under the file
lock, and every waiting call goes on. A call is repeated after such a recovery, at most twice.
"""

import logging
import queue
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Mechanism, PKCS11Error

from onecert.hsm.errors import (
    ForkedError,
    KeyNotFoundError,
    PinError,
    TokenBusyError,
    TokenClosedError,
    TokenNotFoundError,
    TokenOperationError,
    TokenUnavailableError,
)
from onecert.hsm.handles import LOST, KeyReference, Worker
from onecert.hsm.login import Login
from onecert.hsm.messages import Reason
from onecert.hsm.module import Module

log = logging.getLogger(__name__)
T = TypeVar("T")

WAIT_S = 30.0  # for a free session
RETRIES = 2  # after a recovery; the second for a token that is lost twice at the same moment
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0  # between attempts to reach a token that is gone
TOGETHER = 16  # signatures of one series before its session is given back
HANDLES_MAX = 512  # cached for each session; unwrapped keys come and go


class SessionPool:
    """A fixed number of sessions on the token of one label, logged in as its user."""

    def __init__(
        self,
        module: Module,
        label: str,
        size: int,
        *,
        access: Login,
        lock: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.module = module
        self.label = label
        self._access = access
        self._file_lock = lock
        self._login: Any = None
        self._slot: pkcs11.Slot | None = None
        self._generation = 0
        self._stopped: Callable[[], Exception] | None = None
        self._pause_s, self._not_before = 0.0, 0.0
        self._drained = 1
        self._workers = [Worker(module.raw) for _ in range(size)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self.refill()
        module.pools.add(self)

    # --- use --------------------------------------------------------------------------------------

    def sign(
        self, reference: KeyReference, data: bytes, mechanism: Mechanism, parameter: Any = None
    ) -> bytes:
        """Sign with the key. The fast way: one session taken, one cached handle, one call."""
        worker = self._take()
        try:
            key = worker.handles.get(reference) or self.locate(worker, reference)
            signature: bytes = key.sign(data, mechanism=mechanism, mechanism_param=parameter)
            return signature
        except PKCS11Error as exc:
            lost, generation = exc, worker.generation
        finally:
            self._idle.put(worker)

        def again(worker: Worker) -> bytes:
            key = self.locate(worker, reference)
            signature: bytes = key.sign(data, mechanism=mechanism, mechanism_param=parameter)
            return signature

        return self._again(again, "sign", lost, generation)

    def sign_many(
        self, reference: KeyReference, data: Sequence[bytes], mechanism: Mechanism, parameter: Any = None
    ) -> list[bytes]:
        """Sign several with the key, in their order.

        Between two signatures there is next to nothing: whatever else is run there is fetched into the
        processor's caches anew each time. The session is given back now and then, for who waits for one.
        """
        signatures: list[bytes] = []
        for at in range(0, len(data), TOGETHER):
            some = data[at : at + TOGETHER]
            worker = self._take()
            try:
                key = worker.handles.get(reference) or self.locate(worker, reference)
                sign = partial(key.sign, mechanism=mechanism, mechanism_param=parameter)
                signatures.extend(map(sign, some))
            except PKCS11Error:
                log.info("a series of signatures was interrupted", extra={"token": self.label})
            finally:
                self._idle.put(worker)
            # What is missing is signed one by one, which knows what to do about a token that is lost.
            signatures += [
                self.sign(reference, each, mechanism, parameter) for each in some[len(signatures) - at :]
            ]
        return signatures

    def with_key(self, reference: KeyReference, operation: str, act: Callable[[Any], T]) -> T:
        """Do something else with the key's handle; ``operation`` names it for messages."""
        return self.run(operation, lambda worker: act(self.locate(worker, reference)))

    def run(self, operation: str, act: Callable[[Worker], T]) -> T:
        """Do something with a session: once, and once more if the token was lost and found again."""
        worker = self._take()
        try:
            return act(worker)
        except PKCS11Error as exc:
            lost, generation = exc, worker.generation
        finally:
            self._idle.put(worker)
        return self._again(act, operation, lost, generation)

    def _take(self) -> Worker:
        while True:
            if self._stopped is not None:
                raise self._stopped()
            try:
                worker = self._idle.get(timeout=WAIT_S)
            except queue.Empty:
                raise TokenBusyError(label=self.label, seconds=round(WAIT_S)) from None
            if worker.session is not None:
                return worker
            generation = worker.generation
            self._idle.put(worker)
            self.recover(generation)

    def locate(self, worker: Worker, reference: KeyReference) -> Any:
        """The key's handle on this session, cached after the first time."""
        key = worker.handles.get(reference)
        if key is None:
            key = reference.locate(worker)
            if key is None:
                # SoftHSM finds nothing, without an error, on a token that is gone and after a logout.
                self.ask()
                raise KeyNotFoundError(label=self.label, key=reference.label)
            if len(worker.handles) >= HANDLES_MAX:
                oldest = next(iter(worker.handles))
                oldest.release(worker.handles.pop(oldest))
            worker.handles[reference] = key
        return key

    def ask(self) -> pkcs11.Token:
        """Ask the token for its state; a PKCS#11 error when it is gone or we are no longer logged in.

        Call it with a session taken, or with the module's lock held.
        """
        token = None if self._slot is None else self._slot.get_token()
        if token is None or token.label != self.label:
            raise pkcs11.exceptions.TokenNotPresent
        if self._login is None or not self.module.raw.is_user(self._login.handle):
            raise pkcs11.exceptions.UserNotLoggedIn
        return token

    def _again(self, act: Callable[[Worker], T], operation: str, lost: PKCS11Error, generation: int) -> T:
        for _attempt in range(RETRIES):
            if not isinstance(lost, LOST):
                raise self._refused(operation, lost) from lost
            self.recover(generation)
            worker = self._take()
            try:
                return act(worker)
            except PKCS11Error as exc:
                lost, generation = exc, worker.generation
            finally:
                self._idle.put(worker)
        if not isinstance(lost, LOST):
            raise self._refused(operation, lost) from lost
        self._slow_down()  # it answers to a login and to nothing else: no login for each call, please
        raise TokenUnavailableError(label=self.label, reason=type(lost).__name__) from lost

    def _refused(self, operation: str, error: PKCS11Error) -> TokenOperationError:
        return TokenOperationError(label=self.label, operation=operation, reason=type(error).__name__)

    # --- open, lose, recover ----------------------------------------------------------------------

    def recover(self, generation: int) -> None:
        """Log in anew and open all sessions, unless another thread has done so since ``generation``.

        Raises:
            TokenUnavailableError: the token is still gone, or was asked for a moment ago.
            PinError: the PIN file no longer holds its PIN.
        """
        with self.module.lock:
            if self._stopped is not None:
                raise self._stopped()
            if self._generation != generation and self._login is not None:
                return
            if time.monotonic() < self._not_before:
                raise TokenUnavailableError(label=self.label, reason=Reason("RESTING"))
            try:
                with self._file_lock():
                    self._reopen()
            except PinError:
                raise  # has a brake of its own
            except Exception:
                self._slow_down()
                raise
            if self._pause_s or generation:
                log.warning("token recovered", extra={"token": self.label})
            self._pause_s = 0.0

    def _slow_down(self) -> None:
        self._pause_s = min(max(self._pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._not_before = time.monotonic() + self._pause_s

    def _reopen(self) -> None:
        """First as things stand, then once more after a reset of the module: see Module.reset."""
        try:
            self._open()
        except (PKCS11Error, TokenNotFoundError) as first:
            if self._generation == 0 and not isinstance(first, PKCS11Error):
                raise  # opened for the first time under a label that is not there: nothing came back
            if not self.module.reset():
                raise TokenBusyError(label=self.label, seconds=round(WAIT_S)) from first
            try:
                self._open()
            except PKCS11Error as exc:
                raise TokenUnavailableError(label=self.label, reason=type(exc).__name__) from exc

    def _open(self) -> None:
        if not self.drain(WAIT_S):
            raise TokenBusyError(label=self.label, seconds=round(WAIT_S))
        try:
            self._close_sessions()
            token = self.module.find_token(self.label)
            if token is None:
                raise TokenNotFoundError(label=self.label, module=self.module.path)
            self._slot = token.slot
            login: Any = token.open()  # the implementation has `handle`, its declared type has not
            try:
                self._access.log_in(self.module.raw, login.handle)
            except BaseException as exc:
                with suppress(PKCS11Error):
                    login.close()
                    if isinstance(exc, PinError):
                        flags = token.slot.get_token().flags
                        exc.is_final_try = bool(flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY)
                raise
            self._login = login
            self._generation += 1
            for worker in self._workers:
                worker.session, worker.generation = token.open(), self._generation
        except BaseException:
            self._close_sessions()
            raise
        finally:
            self.refill()

    def prove(self, read_pin: Callable[[], str]) -> None:
        """Make sure that whoever opens the same token again knows its PIN, though the process is logged in.

        Raises:
            PinError: wrong; whoever uses the token already goes on undisturbed.
        """
        with self.module.lock:
            if self._login is not None and self._access.is_proven(read_pin()):
                return
            before, self._access.read_pin = self._access.read_pin, read_pin
            try:
                with self._file_lock():
                    self._reopen()
            except BaseException:
                self._access.read_pin = before
                if self._access.has_worked:
                    with suppress(TokenUnavailableError), self._file_lock():
                        self._reopen()
                raise

    def _close_sessions(self) -> None:
        """Close the working sessions, log out, close the login session. What is lost already does not
        matter."""
        for worker in self._workers:
            self._forget(worker)
        if self._login is not None:
            self.module.raw.logout(self._login.handle)
            with suppress(PKCS11Error):
                self._login.close()
            self._login = None

    @staticmethod
    def _forget(worker: Worker) -> None:
        session, worker.session = worker.session, None
        worker.handles.clear()
        if session is not None:
            with suppress(PKCS11Error):
                session.close()

    def write_session(self) -> pkcs11.Session:
        """A read-write session for making and destroying keys; the caller holds both locks and closes it."""
        if self._slot is None:
            raise TokenUnavailableError(label=self.label, reason=Reason("NOT_OPEN"))
        return self._slot.get_token().open(rw=True)

    def close(self) -> None:
        """Wait for calls under way, log out, close everything. Later calls raise TokenClosedError."""
        with self.module.lock:
            if self._stopped is not None:
                return
            drained = self.drain(WAIT_S)
            self._stopped = lambda: TokenClosedError(label=self.label)
            self.module.pools.discard(self)
            if drained:
                self._close_sessions()
                self.refill()

    # --- for the module (see Drainable) -----------------------------------------------------------

    def drain(self, wait_s: float) -> bool:
        """Take every session out, waiting for calls under way.

        Call it with the module's lock held. Draining what is drained already is allowed and counted.

        Returns:
            False, with nothing taken, when a session does not come back in time.
        """
        if self._drained:
            self._drained += 1
            return True
        deadline = time.monotonic() + wait_s
        taken: list[Worker] = []
        try:
            while len(taken) < len(self._workers):
                taken.append(self._idle.get(timeout=max(0.0, deadline - time.monotonic())))
        except queue.Empty:
            for worker in taken:
                self._idle.put(worker)
            return False
        self._drained = 1
        return True

    def refill(self) -> None:
        """Undo one ``drain``."""
        self._drained -= 1
        if self._drained == 0:
            for worker in self._workers:
                self._idle.put(worker)

    def invalidate(self) -> None:
        """The module is about to be reset: forget every handle, they mean nothing afterwards."""
        for worker in self._workers:
            worker.session = None
            worker.handles.clear()
        self._login = None

    def disown(self) -> None:
        """We are in a child process: nothing of this pool may be used."""
        self._stopped = lambda: ForkedError(label=self.label)
        self.invalidate()
