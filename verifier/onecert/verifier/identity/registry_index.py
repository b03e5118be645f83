"""An index of ``registry.jsonl`` on disk: looked up in microseconds, in the same memory whatever its size.

One SQLite file for each content, named by its digest, made once and shared by all processes. It is written
under another name and appears whole; what turns out to be damaged is made again from the snapshot. Nothing in
it is trusted more than the folder that it lies in: whoever may write there may also replace the programs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from onecert.verifier.errors import CouldNotCheckError, MalformedError
from onecert.verifier.files import locked
from onecert.verifier.identity.registry_keys import AliasKey, keys_of
from onecert.verifier.identity.registry_rows import ROW_MAX_BYTES, Row, known_row

__all__ = ["DataFile", "OpenData", "RegistryIndex", "check_data", "open_file"]

OpenData = Callable[[], BinaryIO]

# Part of the file name: another layout is another file.
_LAYOUT = 2
_CHUNK = 1024 * 1024
# A crash leaves a file without the right name, so that a journal would protect nothing. The larger cache is
# for the sorter.
_WITHOUT_CARE = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -32000
"""
# Rows come sorted. Aliases are sorted once at the end: in the order in which they lie nothing has to move.
_SCHEMA = """
CREATE TABLE entities (uscc TEXT PRIMARY KEY, line BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE aliases (
    id TEXT NOT NULL, uscc TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL,
    PRIMARY KEY (id, uscc, since, until)
) WITHOUT ROWID;
CREATE TABLE done (entries INTEGER NOT NULL);
CREATE TEMP TABLE unsorted (id TEXT, uscc TEXT, since TEXT, until TEXT);
"""
# A number that one firm names twice for the same time stands once.
_SORT = """
INSERT OR IGNORE INTO aliases SELECT id, uscc, since, until FROM unsorted ORDER BY id, uscc, since, until
"""
# Two entities that had one number at one time. Few numbers stand twice, and only those are compared.
_AMBIGUOUS = """
SELECT a.id FROM (SELECT id FROM aliases GROUP BY id HAVING count(*) > 1) AS several
JOIN aliases a ON a.id = several.id JOIN aliases b ON b.id = several.id AND a.uscc < b.uscc
WHERE a.since < b.until AND b.since < a.until LIMIT 1
"""


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """What the signed head says about ``registry.jsonl``."""

    sha256: str
    size: int
    entries: int


def open_file(path: Path) -> OpenData:
    """For a ``registry.jsonl`` that is a file of its own."""
    return lambda: open(path, "rb")


def check_data(file: BinaryIO, expected: DataFile) -> None:
    """Check size and digest of the whole file; it is left at its beginning.

    Raises:
        MalformedError: ``REGISTRY_DATA``.
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(_CHUNK):
        size += len(chunk)
        if size > expected.size:
            break
        digest.update(chunk)
    if size != expected.size or digest.hexdigest() != expected.sha256:
        raise MalformedError("REGISTRY_DATA")
    file.seek(0)


class RegistryIndex:
    """Entities by credit code and by older numbers. Safe to share between threads and to inherit by a fork.

    Args:
        folder: where index files lie; made with mode 0700.
        data: opens the ``registry.jsonl`` that it is made of; asked only when there is no whole index yet.
    """

    def __init__(self, folder: Path, data: OpenData, expected: DataFile) -> None:
        """Open the index, or make it.

        Raises:
            MalformedError: REGISTRY_DATA, REGISTRY_ROW, REGISTRY_AMBIGUOUS.
            CouldNotCheckError: REGISTRY_INDEX.
        """
        self._folder = folder
        self._data = data
        self._expected = expected
        self._path = folder / f"registry-{expected.sha256[:40]}-{_LAYOUT}.sqlite"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._close: Callable[[], object] = _nothing
        self._process = 0
        with self._lock, _translated():
            self._open()

    def find(self, uscc: str) -> Row | None:
        """The entity of a credit code."""
        found = self._query("SELECT line FROM entities WHERE uscc = ?", uscc)
        return found[0] if found else None

    def find_alias(self, alias: str) -> list[Row]:
        """The entities that an older number has ever belonged to; one that had it twice comes twice."""
        return self._query("SELECT line FROM aliases JOIN entities USING (uscc) WHERE id = ?", alias)

    def close(self) -> None:
        """Let go of the file; the next question opens it again."""
        with self._lock:
            self._release()

    def _query(self, sql: str, value: str) -> list[Row]:
        with self._lock:
            try:
                if self._connection is None or self._process != os.getpid():
                    self._open()
                return self._ask(sql, value)
            except (sqlite3.DatabaseError, ValueError, LookupError, TypeError):
                # Damaged: made again, once.
                with _translated():
                    self._release()
                    self._path.unlink(missing_ok=True)
                    self._open()
                    return self._ask(sql, value)
            except OSError as exc:
                raise CouldNotCheckError("REGISTRY_INDEX", detail=str(exc)[:200]) from exc

    def _ask(self, sql: str, value: str) -> list[Row]:
        assert self._connection is not None  # noqa: S101  opened by who asks
        return [known_row(line) for (line,) in self._connection.execute(sql, (value,))]

    def _open(self) -> None:
        if not self._try():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._folder / "registry-index.lock"):
                # Another process may have made it in the meantime.
                if not self._try():
                    self._build()
                    self._remove_others()
            if not self._try():
                raise CouldNotCheckError("REGISTRY_INDEX", detail=self._path.name)

    def _try(self) -> bool:
        """Open the file that is there; ``False`` when there is none that is whole."""
        if not self._path.is_file():
            return False
        # It is never changed once it has its name, so that no locks and no journal are needed.
        uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            connection.execute("PRAGMA cache_size = -16000")
            known = connection.execute("SELECT entries FROM done").fetchall()
            if known != [(self._expected.entries,)]:
                raise sqlite3.DatabaseError("not whole")
        except sqlite3.DatabaseError:
            connection.close()
            self._path.unlink(missing_ok=True)
            return False
        self._release()
        self._connection = connection
        self._process = os.getpid()
        self._close = weakref.finalize(self, connection.close)
        return True

    def _release(self) -> None:
        self._close()
        self._close = _nothing
        self._connection = None

    def _build(self) -> None:
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".registry-")
        os.close(descriptor)
        try:
            with (
                self._data() as data,
                contextlib.closing(sqlite3.connect(name, isolation_level=None)) as connection,
            ):
                check_data(data, self._expected)
                _fill(connection, data, self._expected)
            os.replace(name, self._path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def _remove_others(self) -> None:
        for path in self._folder.glob("registry-*.sqlite"):
            if path != self._path:
                with contextlib.suppress(OSError):
                    path.unlink()


def _fill(connection: sqlite3.Connection, data: BinaryIO, expected: DataFile) -> None:
    connection.executescript(_WITHOUT_CARE)
    connection.executescript(_SCHEMA)
    connection.execute("BEGIN")
    # 1. Every row, judged.
    count, before = 0, ""
    for lines in _lines(data, expected):
        entities: list[tuple[str, bytes]] = []
        aliases: list[AliasKey] = []
        for number, line in enumerate(lines, start=count + 1):
            uscc, keys = _keys_of(line, number)
            if uscc <= before:
                raise _wrong(
                    number, "the entity is there twice" if uscc == before else "the rows are not sorted"
                )
            before = uscc
            entities.append((uscc, line))
            aliases += keys
        connection.executemany("INSERT INTO entities VALUES (?, ?)", entities)
        connection.executemany("INSERT INTO unsorted VALUES (?, ?, ?, ?)", aliases)
        count += len(lines)
    if count != expected.entries:
        raise MalformedError("REGISTRY_DATA")
    # 2. The older numbers, each of one entity at one time.
    connection.execute(_SORT)
    twice = connection.execute(_AMBIGUOUS).fetchone()
    if twice is not None:
        raise MalformedError("REGISTRY_AMBIGUOUS", id=twice[0])
    connection.execute("INSERT INTO done VALUES (?)", (count,))
    connection.execute("COMMIT")


def _keys_of(line: bytes, number: int) -> tuple[str, list[AliasKey]]:
    try:
        return keys_of(line)
    except MalformedError as exc:
        raise _wrong(number, str(exc.facts.get("detail", exc.text("en")))) from exc


def _wrong(number: int, detail: str) -> MalformedError:
    return MalformedError("REGISTRY_LINE", line=number, detail=detail)


def _lines(data: BinaryIO, expected: DataFile) -> Iterator[list[bytes]]:
    """The lines, many at a time. The digest is taken again: the file may change while it is read."""
    digest = hashlib.sha256()
    count, rest = 0, b""
    while chunk := data.read(_CHUNK):
        digest.update(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield lines
        count += len(lines)
        if len(rest) > ROW_MAX_BYTES:
            break
    if rest:
        raise _wrong(count + 1, "it does not end, or is too long")
    if digest.hexdigest() != expected.sha256:
        raise MalformedError("REGISTRY_DATA")


def _nothing() -> None:
    """Nothing is open."""


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as exc:
        raise CouldNotCheckError("REGISTRY_INDEX", detail=str(exc)[:200]) from exc
