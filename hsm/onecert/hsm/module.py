"""A PKCS#11 module in this process: loaded and initialised once, reset when a token went and came back, safe
at fork.

The rules that keep it whole:

* ``C_Initialize`` is called here first, with OS locking; a module that other code initialised is refused.
* Every call into the module happens either with ``Module.lock`` held or with a session taken out of a pool.
  So whoever
  holds the lock and has drained all pools is alone: it may reset the module, or fork.
* ``os.fork`` waits for that moment. The child never uses inherited handles: its pools answer ``ForkedError``,
  and the
  first ``load_module`` in it ends the inherited state and begins afresh.
"""

import logging
import os
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

import pkcs11
from pkcs11 import _pkcs11

from onecert.hsm.cryptoki import CKR_CRYPTOKI_ALREADY_INITIALIZED, CKR_OK, Cryptoki, describe
from onecert.hsm.errors import ForkedError, ModuleError, StoreConflictError, TokenNotFoundError

log = logging.getLogger(__name__)

FORK_WAIT_S = 10.0


class Drainable(Protocol):
    """A session pool, as the module sees it."""

    def drain(self, wait_s: float) -> bool: ...
    def refill(self) -> None: ...
    def invalidate(self) -> None: ...
    def disown(self) -> None: ...


class _Library(_pkcs11.lib):
    """python-pkcs11's library object without its own C_Initialize; it then never finalizes either."""

    def initialize(self) -> None:
        """Already done, with locking."""


class Module:
    """One loaded module. Made by ``load_module`` only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.pools: WeakSet[Drainable] = WeakSet()
        self.inherited = False  # True in a child process until it begins afresh
        self.fork_was_safe = True
        try:
            self.raw = Cryptoki(path)
        except OSError as exc:
            raise ModuleError(module=path, reason=str(exc)) from exc
        self._initialize()

    def _initialize(self) -> None:
        rv = self.raw.initialize()
        if rv == CKR_CRYPTOKI_ALREADY_INITIALIZED:
            raise ModuleError("MODULE_FOREIGN", module=self.path)
        if rv != CKR_OK:
            raise ModuleError(module=self.path, reason=f"C_Initialize: {describe(rv)}")
        try:
            self._library = _Library(str(self.path))
        except pkcs11.PKCS11Error as exc:
            raise ModuleError(module=self.path, reason=type(exc).__name__) from exc

    def tokens(self) -> list[pkcs11.Token]:
        """Initialised tokens that answer. One that is gone must not hide the others, so each slot is asked
        alone."""
        found = []
        for slot in self._slots():
            try:
                token = slot.get_token()
            except pkcs11.PKCS11Error:
                continue
            if token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED:
                found.append(token)
        return found

    def _slots(self) -> list[pkcs11.Slot]:
        try:
            return list(self._library.get_slots(token_present=True))
        except pkcs11.PKCS11Error as exc:
            raise ModuleError(module=self.path, reason=type(exc).__name__) from exc

    def count_tokens(self) -> int:
        """How many initialised tokens this process sees."""
        return len(self.tokens())

    def find_token(self, label: str) -> pkcs11.Token | None:
        """The token of that label.

        Raises:
            TokenNotFoundError: several have it, so none is certainly meant.
        """
        found = [token for token in self.tokens() if token.label == label]
        if len(found) > 1:
            raise TokenNotFoundError("TOKEN_AMBIGUOUS", label=label, module=self.path, count=len(found))
        return found[0] if found else None

    def free_slot(self) -> int | None:
        """A slot whose token is not initialised yet; SoftHSM always offers one."""
        for slot in self._slots():
            try:
                if not slot.get_token().flags & pkcs11.TokenFlag.TOKEN_INITIALIZED:
                    return int(slot.slot_id)
            except pkcs11.PKCS11Error:
                continue
        return None

    def reset(self, wait_s: float = FORK_WAIT_S) -> bool:
        """C_Finalize and C_Initialize: the only way in which SoftHSM sees a token again that went and came
        back.

        Call it with ``lock`` held. Every pool loses its sessions and opens new ones at its next use, because
        the module numbers its handles anew and an old number could mean another key. False: a pool stayed in
        use.
        """
        drained: list[Drainable] = []
        try:
            for pool in list(self.pools):
                if not pool.drain(wait_s):
                    return False
                drained.append(pool)
            for pool in drained:
                pool.invalidate()
            log.warning("PKCS#11 module reset", extra={"path": str(self.path)})
            self.raw.finalize()
            self._initialize()
            return True
        finally:
            for pool in drained:
                pool.refill()


_registry_lock = threading.RLock()
_modules: dict[Path, Module] = {}
_store: Path | None = None
_held: list[tuple[Module, list[Drainable], bool]] = []  # between "before fork" and "after fork"


def load_module(path: Path, store: Path | None, lock: AbstractContextManager[None]) -> Module:
    """The module at this path, loaded at the first call.

    Args:
        path: the shared library.
        store: the folder of a SoftHSM store, or None.
        lock: the file lock, held while the module is initialised: SoftHSM then lists the tokens and keeps
        what it
            sees, which must not be a token that another process has half made.

    Raises:
        StoreConflictError: this process already uses another SoftHSM store.
        ForkedError: this process was forked in the middle of a call, so the module's state cannot be trusted.
        ModuleError: the module cannot be loaded or initialised, or was initialised by other code.
    """
    global _store  # the store is a property of the process, as SOFTHSM2_CONF is
    path = path.resolve()
    with _registry_lock:
        if store is not None:
            store = store.resolve()
            if _store is not None and _store != store:
                raise StoreConflictError(used=_store, wanted=store)
        module = _modules.get(path)
        if module is not None and not module.inherited:
            if store is not None and _store is None:
                raise StoreConflictError(used=os.environ.get("SOFTHSM2_CONF", "-"), wanted=store)
            return module
        if store is not None:
            os.environ["SOFTHSM2_CONF"] = str(store / "softhsm2.conf")
        if module is not None:
            if not module.fork_was_safe:
                raise ForkedError("TOKEN_FORK_UNSAFE", label="-")
            module.raw.finalize()  # ends what was inherited; our parent's state is another copy
        with lock:
            loaded = Module(path)
        _modules[path], _store = loaded, store
        return loaded


def _before_fork() -> None:
    _registry_lock.acquire()
    for module in _modules.values():
        locked = module.lock.acquire(timeout=FORK_WAIT_S)
        drained: list[Drainable] = []
        safe = locked
        for pool in list(module.pools):
            if safe and pool.drain(FORK_WAIT_S):
                drained.append(pool)
            else:
                safe = False
        module.fork_was_safe = module.fork_was_safe and safe if module.inherited else safe
        _held.append((module, drained, locked))


def _after_fork_in_parent() -> None:
    for module, drained, locked in _held:
        for pool in drained:
            pool.refill()
        if locked:
            module.lock.release()
    _held.clear()
    _registry_lock.release()


def _after_fork_in_child() -> None:
    for module, _drained, _locked in _held:
        module.inherited = True
        module.lock = threading.RLock()
        for pool in list(module.pools):
            pool.disown()
    _held.clear()
    _registry_lock.release()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
