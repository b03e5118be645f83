"""The folder of a SoftHSM store: its settings, its lock, and what keeps its files whole.

A store is ``softhsm2.conf``, ``tokens/`` and the lock file. SoftHSM reads its settings from the file named by
``SOFTHSM2_CONF`` when the module is initialised, so a process has one store.

SoftHSM rewrites ``token.object`` at every login: it empties the file, then fills it, and never syncs. A
process that is killed between the two leaves an empty file, and with it every key of the token is lost (seen
in 1 of 5 kills of a process that logs in without end). So a copy is kept beside it, refreshed whenever the
lock is let go, and put back when the file is found cut short. New keys are synced to the disk before anybody
may rely on them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onecert.hsm.errors import TokenUnavailableError
from onecert.hsm.lock import WAIT_S, file_lock

CONF = "softhsm2.conf"
LOCK = "onecert.lock"
KEPT = "token.object.kept"  # SoftHSM looks at names that end in .object only
GENERATION_OCTETS = 8  # a counter at the beginning of every object file, which each write raises


def prepare_store(store: Path) -> None:
    """Make the store's folder and settings, for the owner only. Safe to repeat; a moved folder is corrected.

    Raises:
        TokenUnavailableError: the folder cannot be written.
    """
    store = store.resolve()
    # SoftHSM writes errors to syslog. Slots are not removable, so the next free slot is always offered.
    wanted = (
        f"directories.tokendir = {store}/tokens\n"
        "objectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
    )
    try:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        (store / "tokens").mkdir(mode=0o700, exist_ok=True)
        conf = store / CONF
        if not conf.is_file() or conf.read_text() != wanted:
            replace_file(conf, wanted.encode())
    except OSError as exc:
        raise TokenUnavailableError(label=str(store), reason=f"{exc.filename}: {exc.strerror}") from exc


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a crash or a power cut leaves the old content or the new; for the owner only."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file, or a folder's list of names, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def has_tokens_folder(store: Path) -> bool:
    """Whether there is a store at all."""
    return (store / "tokens").is_dir()


def tokens_on_disk(store: Path) -> int:
    """How many tokens the store holds, whoever made them."""
    return sum(1 for _ in (store / "tokens").glob("*/token.object"))


@contextmanager
def store_lock(store: Path, *, label: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """Be alone among all processes that open, log in to or write to this store; see the head of this
    module."""
    with file_lock(store / LOCK, label=label, wait_s=wait_s):
        try:
            mend(store)
            before = _modified(store)
            try:
                yield
            finally:
                _keep(store)
                _settle(store, before)
        except OSError as exc:
            raise TokenUnavailableError(label=label, reason=f"{exc.filename}: {exc.strerror}") from exc


def mend(store: Path) -> list[Path]:
    """Put back every ``token.object`` that a crash has cut short; returns those. Call it with the lock
    held."""
    mended = []
    for kept in (store / "tokens").glob(f"*/{KEPT}"):
        token = kept.with_name("token.object")
        if not token.exists() or token.stat().st_size < kept.stat().st_size:
            replace_file(token, kept.read_bytes())
            mended.append(token)
    return mended


def _keep(store: Path) -> None:
    for token in (store / "tokens").glob("*/token.object"):
        content, kept = token.read_bytes(), token.with_name(KEPT)
        same = kept.exists() and kept.read_bytes()[GENERATION_OCTETS:] == content[GENERATION_OCTETS:]
        if content and not same:
            replace_file(kept, content)


def _modified(store: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (store / "tokens").glob("*/*.object")}


def _settle(store: Path, before: dict[Path, int]) -> None:
    """Sync what was written under the lock: a key that a certificate names must outlive a power cut."""
    folders = set()
    for path, at in _modified(store).items():
        if before.get(path) != at and path.name != "token.object":
            sync(path)
            folders.add(path.parent)
    for folder in folders:
        sync(folder)
