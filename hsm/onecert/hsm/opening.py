"""Opens tokens: settings in, an open ``Token`` out, one login for each token and process.

Several ``Token`` objects for one token in one process share its sessions, because a login belongs to the
process: the last one that closes logs out.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakKeyDictionary

from onecert.hsm.config import TokenConfig
from onecert.hsm.errors import TokenUnavailableError
from onecert.hsm.lock import file_lock
from onecert.hsm.login import Login
from onecert.hsm.messages import Reason
from onecert.hsm.module import Module, load_module
from onecert.hsm.pin import PinBrake, read_pin_file
from onecert.hsm.pool import SessionPool
from onecert.hsm.softhsm import find_module
from onecert.hsm.store import LOCK, prepare_store, store_lock, tokens_on_disk
from onecert.hsm.token import Connection, Token

log = logging.getLogger(__name__)

_connections: WeakKeyDictionary[Module, dict[str, Connection]] = WeakKeyDictionary()


def utc_now() -> datetime:
    """The real time; only the brake on wrong PINs asks for it."""
    return datetime.now(UTC)


def open_token(
    config: TokenConfig, *, pin: str | None = None, now: Callable[[], datetime] = utc_now
) -> Token:
    """Load the module, find the token, log in, open the sessions.

    Args:
        config: which token; its PIN is read from the PIN file, now and whenever the login is lost.
        pin: the PIN itself, of a token without a PIN file; see ``PersonalToken``.
        now: the time in UTC, for the brake on wrong PINs.

    Raises:
        TokenUnavailableError: or a subclass: no module, no such token, wrong PIN, PIN file, busy, forked.
    """
    if config.softhsm is not None:
        prepare_store(config.softhsm)
    folder = state_folder(config)

    def lock() -> AbstractContextManager[None]:
        if config.softhsm is not None:
            return store_lock(folder, label=config.label)
        return file_lock(folder / LOCK, label=config.label)

    def read_pin() -> str:
        if pin is not None:
            return pin
        assert config.pin_file is not None  # noqa: S101  a person's token is opened with its PIN
        return read_pin_file(config.pin_file, config.label)

    module = load_module(config.module or find_module(config.softhsm), config.softhsm, lock())
    with module.lock:
        connection = _connections.setdefault(module, {}).get(config.label)
        if connection is not None:
            connection.pool.prove(read_pin)
        else:
            if config.softhsm is not None:
                _notice_new_tokens(module, config.softhsm, lock)
            pool = SessionPool(
                module,
                config.label,
                config.sessions,
                access=Login(
                    config.label,
                    read_pin,
                    PinBrake(folder, config.label, now, wrong_max=config.wrong_pins_max),
                ),
                lock=lock,
            )
            pool.recover(0)
            connection = _connections[module][config.label] = Connection(pool, lock, _forget)
            log.info("token opened", extra={"token": config.label, "path": str(module.path)})
        connection.users += 1
        return Token(module, connection)


def state_folder(config: TokenConfig) -> Path:
    """Where the lock and the note of wrong PINs lie: in the store, beside the PIN, or in a folder of our
    own."""
    if config.softhsm is not None:
        return config.softhsm.resolve()
    if config.notes is not None:
        return config.notes.resolve()
    folder = Path.cwd() if config.pin_file is None else config.pin_file.resolve().parent
    if os.access(folder, os.W_OK):
        return folder
    own = Path(tempfile.gettempdir()) / f"onecert-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if own.stat().st_uid != os.getuid():
        raise TokenUnavailableError(label=config.label, reason=Reason("FOREIGN_FOLDER", folder=own))
    return own


def _notice_new_tokens(module: Module, store: Path, lock: Callable[[], AbstractContextManager[None]]) -> None:
    """SoftHSM lists tokens once: after another process has made one, only a reset shows it."""
    with lock():
        if module.count_tokens() != tokens_on_disk(store):
            module.reset()


def _forget(pool: SessionPool) -> None:
    _connections.get(pool.module, {}).pop(pool.label, None)
