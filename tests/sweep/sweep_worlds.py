"""Worlds to break: a prepared CA, copied in milliseconds, opened as a new process would, and opened again."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from sweep_token import SweptToken

from onecert.ca.config import CaConfig
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate

__all__ = [
    "Folders",
    "Place",
    "Prepared",
    "World",
    "open_database",
    "postgresql_place",
    "postgresql_server",
    "sqlite_place",
]


def _tests_of_ca() -> Any:
    """The world of the CA's own tests, under a name that no other conftest has."""
    path = Path(__file__).parents[1] / "ca" / "conftest.py"
    spec = importlib.util.spec_from_file_location("sweep_ca_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_ca = _tests_of_ca()
World = _ca.World
T = _ca.T
Folders = Callable[[], Path]
_PACKAGES = ("onecert.server.migrations", "onecert.ca.migrations")
_CONFIG = CaConfig(batch_workers=0, timestamp_needs_kept_clock=False)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A closed world and what its scenario remembers."""

    folder: Path
    database: str  # the URL, or the name of a template
    token: SweptToken
    roots: SweptToken
    ra_key: Any
    at: Any
    memo: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where worlds live: how a database is made, copied, told that its process died, and removed."""

    engine: str
    folders: Folders
    new: Callable[[Path], str]  # -> URL
    copied: Callable[[str, Path], str]  # URL -> URL
    end_connections: Callable[[str], None]
    remove: Callable[[str], None]
    empty: list[tuple[Path, str]] = field(default_factory=list)  # a folder and a database with tables alone

    def prepare(self, prepare: Callable[[Any, dict[str, Any]], None]) -> Prepared:
        """Make a world, let `prepare` act in it, and close it."""
        folder = self.folders()
        url = self._with_tables(folder)
        clock = FixedClock(T)
        world = self._world(folder, url, SweptToken("ca"), SweptToken("ca-root"), clock, None)
        memo: dict[str, Any] = {}
        prepare(world, memo)
        close(world)
        self.end_connections(url)
        return Prepared(
            folder=folder,
            database=url,
            token=world.token,
            roots=world.roots,
            ra_key=world.ra_key,
            at=world.clock.now(),
            memo=memo,
        )

    @contextmanager
    def opened(
        self, prepared: Prepared, *, keep_tokens: bool = False
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        """A copy of a prepared world; removed at the end.

        Args:
            keep_tokens: the tokens write keys and log into the folder, for when a process is killed.
        """
        folder = self.folders()
        shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
        url = self.copied(prepared.database, folder)
        kept = []
        for name in ("token", "roots"):
            kept.append(folder / f"swept-{name}" if keep_tokens else None)
            if keep_tokens:
                (folder / f"swept-{name}").mkdir()
        token, roots = prepared.token.copy(kept[0]), prepared.roots.copy(kept[1])
        world = self._world(folder, url, token, roots, FixedClock(prepared.at), prepared.ra_key)
        try:
            yield world, copy.copy(prepared.memo)
        finally:
            close(world)
            self.end_connections(url)
            self.remove(url)
            shutil.rmtree(folder, ignore_errors=True)

    def reopen(self, world: Any) -> None:
        """What a new process does: nothing of the old one's memory is left."""
        url = world.swept_url
        close(world)
        self.end_connections(url)
        world.context = _ca.make_context(world.context.shared, open_database(url), world.clock)
        world.restart()

    def _with_tables(self, folder: Path) -> str:
        """A database with all tables and nothing in them, made once and copied."""
        if not self.empty:
            home = self.folders()
            url = self.new(home)
            made = open_database(url)
            migrate(made, *_PACKAGES)
            made.close()
            self.end_connections(url)
            self.empty.append((home, url))
        ((home, url),) = self.empty
        shutil.copytree(home, folder, dirs_exist_ok=True)
        return self.copied(url, folder)

    def _world(
        self, folder: Path, url: str, token: SweptToken, roots: SweptToken, clock: FixedClock, ra_key: Any
    ) -> Any:
        more = {} if ra_key is None else {"ra_key": ra_key}
        world = World(
            context=_ca.make_context(folder, open_database(url), clock),
            config=_CONFIG,
            token=token,
            roots=roots,
            clock=clock,
            **more,
        )
        world.swept_url = url
        return world


# A world has one process: whoever waits longer waits for himself.
_LOCKS = timedelta(seconds=5)


class _Compiled(dict[Any, Any]):
    """What SQLAlchemy compiled, for all worlds on one kind of engine; its own is for one world."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), value)


_compiled = _Compiled()


def open_database(url: str) -> Database:
    """Open a world's database."""
    made = Database(url, lock_timeout=_LOCKS)
    for engine in (made._write_engine, made._read_engine):
        engine._compiled_cache = _compiled  # type: ignore[assignment]
    return made


def close(world: Any) -> None:
    """Close what a process would lose when it ends."""
    parts = world.parts
    parts.mass_revocation_work.close()
    parts.batch_work.close()
    parts.issuance.close()
    parts.responders._ahead.store.close()
    world.context.database.close()


def sqlite_place(home: Path) -> Place:
    """Worlds on SQLite, in folders below one (in memory, when it can be)."""
    numbers = itertools.count()

    def folder() -> Path:
        made = home / f"{next(numbers)}"
        made.mkdir()
        return made

    return Place(
        engine="sqlite",
        folders=folder,
        new=lambda path: f"sqlite:///{path / 'ca.db'}",
        copied=lambda _url, path: f"sqlite:///{path / 'ca.db'}",
        end_connections=lambda _url: None,
        remove=lambda _url: None,
    )


@contextmanager
def postgresql_place(home: Path, sockets: Path, user: str = "tester") -> Iterator[Place]:
    """Worlds on PostgreSQL: each a database of its own, copied from a template."""
    numbers = itertools.count()
    connections: dict[int, psycopg.Connection[Any]] = {}

    def run(statement: str, *values: Any) -> None:
        # One for each process: a child has copies of its parent's, and must not speak on them.
        admin = connections.get(os.getpid())
        if admin is None:
            admin = psycopg.connect(host=str(sockets), user=user, dbname="postgres", autocommit=True)
            connections[os.getpid()] = admin
        admin.execute(statement, values or None)

    def folder() -> Path:
        made = home / f"{next(numbers)}"
        made.mkdir()
        return made

    def name_of(url: str) -> str:
        return url.split("@/")[1].split("?", maxsplit=1)[0]

    def new(path: Path, template: str = "template0") -> str:
        name = f"sweep_{path.name}"
        run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")
        return f"postgresql+psycopg://{user}@/{name}?host={sockets}"

    def end(url: str) -> None:
        query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        run(query, name_of(url))

    try:
        yield Place(
            engine="postgresql",
            folders=folder,
            new=new,
            copied=lambda url, path: new(path, name_of(url)),
            end_connections=end,
            remove=lambda url: run(f"DROP DATABASE {name_of(url)} WITH (FORCE)"),
        )
    finally:
        for connection in connections.values():
            connection.close()


@contextmanager
def postgresql_server() -> Iterator[Path]:
    """The server of the tests, for a run without pytest: the folder of its socket."""
    path = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("sweep_tests_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield from module.postgresql_server.__wrapped__()
