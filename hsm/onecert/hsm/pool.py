"""Sessions on one token: used by many threads, lost and found again.

A login belongs to the process, not to a session: one session logs in and is kept, the others are opened
beside it. (Closing the session that logged in would log everybody out, so it is closed last.) When a call
shows that the token or the login is lost, one thread takes all sessions out, logs in anew under the file
lock, and every waiting call goes on. A call is repeated after such a recovery, at most twice.
"""

import hmac
import logging
import queue
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, Mechanism, ObjectClass, PKCS11Error

from onecert.hsm.cryptoki import (
    CKR_OK,
    CKR_PIN_INCORRECT,
    CKR_PIN_INVALID,
    CKR_PIN_LEN_RANGE,
    CKR_PIN_LOCKED,
    CKR_USER_ALREADY_LOGGED_IN,
    CKR_USER_PIN_NOT_INITIALIZED,
    CKU_USER,
    Cryptoki,
    describe,
)
from onecert.hsm.errors import (
    ForkedError,
    KeyNotFoundError,
    PinError,
    PinLockedError,
    TokenBusyError,
    TokenClosedError,
    TokenNotFoundError,
    TokenOperationError,
    TokenUnavailableError,
)
from onecert.hsm.messages import Reason
from onecert.hsm.module import Module
from onecert.hsm.pin import LONGEST_WAIT, PinBrake

log = logging.getLogger(__name__)
T = TypeVar("T")

WAIT_S = 30.0  # for a free session
RETRIES = 2  # after a recovery; the second for a token that is lost twice at the same moment
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0  # between attempts to reach a token that is gone
HANDLES_MAX = 512  # cached for each session; unwrapped keys come and go

# What says "the session, the login or the token is lost", and not "this request is wrong".
LOST = (
    pkcs11.exceptions.ObjectHandleInvalid,
    pkcs11.exceptions.KeyHandleInvalid,
    pkcs11.exceptions.SessionHandleInvalid,
    pkcs11.exceptions.SessionClosed,
    pkcs11.exceptions.UserNotLoggedIn,
    pkcs11.exceptions.DeviceError,
    pkcs11.exceptions.DeviceRemoved,
    pkcs11.exceptions.TokenNotPresent,
    pkcs11.exceptions.TokenNotRecognised,
    pkcs11.exceptions.SlotIDInvalid,
    pkcs11.exceptions.OperationActive,
    pkcs11.exceptions.OperationNotInitialized,
    pkcs11.exceptions.GeneralError,
    pkcs11.exceptions.FunctionFailed,
)


_FINGERPRINT_KEY = secrets.token_bytes(32)


def _fingerprint(pin: str) -> bytes:
    """Tells whether two PINs are equal, within this process, without keeping them."""
    return hmac.digest(_FINGERPRINT_KEY, pin.encode(), "sha256")


class KeyReference:
    """Where a key lies on the token. One object for each key, so that a session finds its handle by
    identity."""

    __slots__ = ("key_id", "label", "object_class")

    def __init__(self, object_class: ObjectClass, label: str, key_id: bytes) -> None:
        self.object_class = object_class
        self.label = label
        self.key_id = key_id

    def locate(self, worker: "Worker") -> Any | None:
        """The key's handle on this session, or None. The ID is part of the search: a new key that took over a
        destroyed key's label must not be used in its name."""
        template = {
            Attribute.TOKEN: True,
            Attribute.CLASS: self.object_class,
            Attribute.LABEL: self.label,
            Attribute.ID: self.key_id,
        }
        return next(iter(worker.list_objects(template)), None)

    def release(self, handle: Any) -> None:
        """The handle is no longer cached. A key that is stored on the token stays."""


class Worker:
    """One session and the key handles known on it. ``session`` is None while the token is lost."""

    __slots__ = ("_raw", "generation", "handles", "session")

    def __init__(self, raw: Cryptoki) -> None:
        self._raw = raw
        self.session: pkcs11.Session | None = None
        self.handles: dict[KeyReference, Any] = {}
        self.generation = 0

    @property
    def opened(self) -> pkcs11.Session:
        """The session; a PKCS#11 error while the token is lost."""
        if self.session is None:
            raise pkcs11.exceptions.SessionClosed
        return self.session

    def list_objects(self, template: dict[Attribute, Any]) -> list[Any]:
        """All objects that match, as handles on this session.

        The session is asked first: when a search cannot even begin, python-pkcs11 leaves an exception behind
        that nobody can catch.
        """
        session: Any = self.opened
        if not self._raw.is_user(session.handle):
            raise pkcs11.exceptions.UserNotLoggedIn
        return list(session.get_objects(template))


class SessionPool:
    """A fixed number of sessions on the token of one label, logged in as its user."""

    def __init__(
        self,
        module: Module,
        label: str,
        size: int,
        *,
        read_pin: Callable[[], str],
        brake: PinBrake,
        lock: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.module = module
        self.label = label
        self._read_pin = read_pin
        self._brake = brake
        self._file_lock = lock
        self._login: Any = None
        self._slot: pkcs11.Slot | None = None
        self._generation = 0
        self._stopped: Callable[[], Exception] | None = None
        self._pause_s, self._not_before = 0.0, 0.0
        self._drained = 1
        self._proven = b""
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
                self._log_in(login.handle)
            except BaseException:
                with suppress(PKCS11Error):
                    login.close()
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

    def _log_in(self, session: int) -> None:
        pin = self._read_pin()
        digest = _fingerprint(pin)
        if digest != self._proven:
            self._brake.check()  # a PIN that has worked before need not wait for somebody else's mistakes
        rv = self.module.raw.login(session, CKU_USER, pin)
        if rv == CKR_USER_ALREADY_LOGGED_IN:
            # The login outlived our sessions, or other code logged in: only a login of our own proves our
            # PIN.
            self.module.raw.logout(session)
            rv = self.module.raw.login(session, CKU_USER, pin)
        if rv == CKR_OK:
            self._proven = digest
            self._brake.succeeded()
        elif rv in (CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE):
            raise PinError(label=self.label, retry_after=self._brake.failed())
        elif rv == CKR_USER_PIN_NOT_INITIALIZED:
            # SoftHSM keeps what it saw when it listed the token: another process may have set the PIN since.
            raise pkcs11.exceptions.UserPinNotInitialized
        elif rv == CKR_PIN_LOCKED:
            raise PinLockedError("PIN_LOCKED", label=self.label, retry_after=LONGEST_WAIT)
        else:
            raise TokenUnavailableError(label=self.label, reason=f"C_Login: {describe(rv)}")

    def prove(self, read_pin: Callable[[], str]) -> None:
        """Make sure that somebody who opens the same token again knows its PIN, though the process is logged
        in.

        Raises:
            PinError: wrong; whoever uses the token already goes on undisturbed.
        """
        with self.module.lock:
            if self._login is not None and _fingerprint(read_pin()) == self._proven:
                return
            before, self._read_pin = self._read_pin, read_pin
            try:
                with self._file_lock():
                    self._reopen()
            except PinError:
                self._read_pin = before
                if self._proven:
                    with self._file_lock():
                        self._reopen()
                raise

    def _close_sessions(self) -> None:
        """Close the working sessions, then log out and close the login session; what is lost already does not
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
            if drained:
                self._close_sessions()
            self.module.pools.discard(self)
            self.refill()

    # --- for the module (see Drainable) -----------------------------------------------------------

    def drain(self, wait_s: float) -> bool:
        """Take every session out, waiting for calls under way. False (and nothing taken) when one does not
        come back.

        Call it with the module's lock held. Draining what is drained already is allowed: it changes nothing.
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
