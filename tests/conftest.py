"""Fixtures for all members' tests. Each member appends a block of its own below; nobody edits another's.

Test modules import nothing from here: ask for a fixture by its name.
"""

import importlib
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from werkzeug.routing import Rule
from xdist.scheduler import LoadScopeScheduling

from onecert.hsm import ModuleError, Token, ensure_softhsm_token, find_module, open_token
from onecert.server.database import Database, migrate

# --- hsm ------------------------------------------------------------------------------------------
# A process has one SoftHSM store, so all tests of a process share `softhsm_store`; each makes tokens of its
# own in it.


@pytest.fixture(scope="session")
def softhsm_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this process's SoftHSM store. Give it to ``ensure_softhsm_token`` or
    ``TokenConfig(softhsm=…)``."""
    try:
        find_module()
    except ModuleError as exc:
        pytest.skip(f"needs SoftHSM: {exc}")
    return tmp_path_factory.mktemp("softhsm") / "softhsm"


@pytest.fixture
def make_token(softhsm_store: Path, tmp_path: Path) -> Iterator[Callable[..., Token]]:
    """``make_token("ca")`` is a new, empty, open token; the label is made unique. Closed after the test."""
    opened: list[Token] = []

    def make(label: str = "test", *, sessions: int = 4) -> Token:
        unique = f"{label[:20]}-{secrets.token_hex(4)}"
        config = ensure_softhsm_token(
            softhsm_store, label=unique, pin_file=tmp_path / f"{unique}.pin", sessions=sessions
        )
        opened.append(open_token(config))
        return opened[-1]

    yield make
    for token in opened:
        token.close()


# --- end of hsm -----------------------------------------------------------------------------------

# --- server: databases ----------------------------------------------------------------------------
# `database_url` runs a test on SQLite and on PostgreSQL. The server is Debian's package, started once for
# each test process in a folder of its own, reached by a unix socket only, and gone at the end.

_POSTGRESQL_FOLDERS = (
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
)


def _skip_or_fail(reason: str) -> None:
    """A missing part is skipped on a developer's machine and fails where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _as_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root, so root runs it as another user; it dies with this process."""
    wrapped = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    if os.geteuid() != 0:
        return [*wrapped, *command]
    if not wrapped:
        _skip_or_fail(
            "needs setpriv (Debian package util-linux) to run PostgreSQL when the tests run as root"
        )
    user = _postgresql_user()
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*wrapped, *ids, "--", *command]


def _postgresql_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _postgresql_program(name: str) -> str:
    found = [Path(folder) for folder in _POSTGRESQL_FOLDERS if (Path(folder) / "postgres").exists()]
    on_path = shutil.which("postgres")
    if not found and on_path is None:
        _skip_or_fail("needs PostgreSQL (Debian package postgresql)")
    return str((found[0] if found else Path(str(on_path)).parent) / name)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Path]:
    """The socket folder of a running PostgreSQL server; user ``tester``, database ``postgres``."""
    programs = Path(_postgresql_program("postgres")).parent
    # Not pytest's temporary folder: another user must reach it, and a socket's path is at most 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="onecert-pg-"))
    data = home / "data"
    if os.geteuid() == 0:
        os.chown(home, _postgresql_user().pw_uid, _postgresql_user().pw_gid)
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
    init = [programs / "initdb", "-D", data, "-U", "tester", "--auth=trust", "-E", "UTF8", "--no-sync"]
    made = subprocess.run(
        _as_user(list(map(str, init))), check=False, env=environ, cwd=home, capture_output=True, text=True
    )
    if made.returncode != 0:
        shutil.rmtree(home, ignore_errors=True)
        pytest.fail(f"initdb failed: {made.stderr}")
    options = {
        "listen_addresses": "",
        "unix_socket_directories": home,
        "fsync": "off",
        "max_connections": 200,
    }
    command = [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            _as_user(list(map(str, command))), env=environ, cwd=home, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(host=str(home), user="tester", dbname="postgres").close()
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline or server.poll() is not None:
                    pytest.fail(f"PostgreSQL does not start: {(home / 'log').read_text()}")
                time.sleep(0.05)
        yield home
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def as_postgresql_user() -> Callable[[list[str]], list[str]]:
    """Turns a command into one that runs as the user of `postgresql_server`."""
    return _as_user


@contextmanager
def _new_schema(server: Path) -> Iterator[str]:
    schema = f"test_{secrets.token_hex(6)}"
    where = {"host": str(server), "user": "tester", "dbname": "postgres"}
    with psycopg.connect(**where, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    yield f"postgresql+psycopg://tester@/postgres?host={server}&options=-csearch_path%3D{schema}"
    with psycopg.connect(**where, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '5s'")
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def postgresql_url(postgresql_server: Path) -> Iterator[str]:
    """The URL of a new, empty schema on PostgreSQL."""
    with _new_schema(postgresql_server) as url:
        yield url


@pytest.fixture(scope="session")
def prepared_schema(postgresql_server: Path) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """``fill = prepared_schema(prepare)``, then ``fill(url)``: a copy of what `prepare` made of a schema.

    To migrate takes many times longer than to repeat what came of it.
    """

    def prepared(prepare: Callable[[str], None]) -> Callable[[str], None]:
        with _new_schema(postgresql_server) as url:
            prepare(url)
            name = url.rpartition("%3D")[2]
            command = [_postgresql_program("pg_dump"), "-h", str(postgresql_server), "-U", "tester"]
            command += ["--schema", name, "--rows-per-insert=100", "--no-owner", "postgres"]
            dump = subprocess.run(_as_user(command), check=True, capture_output=True, text=True).stdout
        # Without what is for psql alone, and the schema itself, which is there.
        left_out = ("\\restrict ", "\\unrestrict ", f"CREATE SCHEMA {name};")
        script = "".join(line for line in dump.splitlines(keepends=True) if not line.startswith(left_out))

        def fill(url: str) -> None:
            with psycopg.connect(
                host=str(postgresql_server), user="tester", dbname="postgres", autocommit=True
            ) as connection:
                connection.execute(script.replace(name, url.rpartition("%3D")[2]).encode())

        return fill

    return prepared


@pytest.fixture(scope="session")
def migrate_by_copy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., None]:
    """``migrate_by_copy(url, "onecert.server.migrations", …)``: an empty database gets its tables.

    For tests that are not about migrating: it is done once for each engine and set of packages.
    """
    known: dict[tuple[str, ...], Callable[[str], None]] = {}

    def migrated(url: str, packages: tuple[str, ...]) -> None:
        database = Database(url)
        migrate(database, *packages)
        database.close()

    def prepared(engine: str, packages: tuple[str, ...]) -> Callable[[str], None]:
        if engine != "sqlite":
            prepare: Callable[..., Callable[[str], None]] = request.getfixturevalue("prepared_schema")
            return prepare(lambda url: migrated(url, packages))
        path = tmp_path_factory.mktemp("migrated") / "migrated.db"
        migrated(f"sqlite:///{path}", packages)

        def fill(url: str) -> None:
            shutil.copy(path, url.removeprefix("sqlite:///"))

        return fill

    def migrate_by_copy(url: str, *packages: str) -> None:
        key = (url.partition(":")[0], *packages)
        if key not in known:
            known[key] = prepared(key[0], packages)
        known[key](url)

    return migrate_by_copy


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database; the test runs once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return str(request.getfixturevalue("postgresql_url"))


# --- end of server: databases ---------------------------------------------------------------------

# --- web: an application is made for most tests, with the same two hundred addresses ----------------
# To build a function for each address takes werkzeug a third of such a test; it is pure, so it is built once.

_build_address = Rule._compile_builder
_addresses: dict[object, Callable[..., tuple[str, str]]] = {}


def _compile_builder(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    key = (str(rule), tuple(rule._trace), repr(rule.defaults), append_unknown)
    if key not in _addresses:
        _addresses[key] = _build_address(rule, append_unknown)
    return _addresses[key]


Rule._compile_builder = _compile_builder  # type: ignore[method-assign]

# --- end of web -----------------------------------------------------------------------------------

# --- house: tests that share something costly run in one process ------------------------------------
# By folder: under pytest 9.2, the groups of pytest-xdist 3.8 have no effect.

_TOGETHER = {"tests/browser/": "browser", "tests/integration/test_deploy": "deploy"}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each test by itself, in the order of its collection; what is named above first, each on one worker."""

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            found = (group for start, group in _TOGETHER.items() if nodeid.startswith(start))
            return next(found, nodeid)

        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            # What is done is forgotten: xdist counts all that a worker was ever given, after each test.
            work, nodeid = self.assigned_work[node], self.registered_collections[node][item_index]
            scope = self._split_scope(nodeid)
            unit = work.get(scope, {})
            unit[nodeid] = True
            if all(unit.values()):
                work.pop(scope, None)
            self._reschedule(node)

    return Together(config, log)


# --- house: in CI a test that should run does run -------------------------------------------------

# A skip for one of these reasons says that there is nothing to test; every other skip fails in CI.
_NOTHING_TO_TEST = ("SQLite has no schemas", "this openssl makes no SHA-1 requests")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI in which something was missing."""
    if os.environ.get("CI") != "true" or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    wrong = [each for each in skipped if not any(reason in str(each.longrepr) for reason in _NOTHING_TO_TEST)]
    if wrong:
        reporter.write_line(f"CI: {len(wrong)} tests were skipped that should run", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# --- end of house ---------------------------------------------------------------------------------

# --- second opinions: what the CA signs during the run is kept for others to judge -----------------


def pytest_configure(config: pytest.Config) -> None:
    """`make tests` names the folder; tests/second_opinions judges it afterwards."""
    config.addinivalue_line(
        "markers", "deliberately_wrong(reason): alters what the CA signed, so other implementations refuse it"
    )
    folder = os.environ.get("COLLECT_SIGNED")
    if folder:
        sys.path.insert(0, str(Path(__file__).parent / "second_opinions"))
        collecting = importlib.import_module("collecting")
        config.pluginmanager.register(collecting.Collector(Path(folder)))


# --- end of second opinions -----------------------------------------------------------------------


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """``eventually(look, within_s)`` looks again and again until there is something, and returns it."""

    def wait(look: Callable[[], Any], within_s: float = 30.0) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := look()):
            assert time.monotonic() < deadline, f"not within {within_s} s"
            time.sleep(0.1)
        return found

    return wait
