"""A CA on PostgreSQL is copied at work, comes back from nothing but the copy, and learns what it missed.

The same CA is then set back in place, as by a point-in-time recovery: it notices, and signs nothing.
"""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509

CEREMONY = Path(__file__).resolve().parents[2] / "demo/ceremonies/harbour.toml"
SETTINGS = """
[server]
status_url = "http://status.test"
[database.ca]
url = "postgresql+psycopg://tester@/{database}?host={host}"
"""
PEOPLE = ("--approved-by", "wang", "--approved-by", "li")


class Databases:
    """PostgreSQL databases of one's own, empty, and gone at the end."""

    def __init__(self, server: Path) -> None:
        self.server = server
        self.names: list[str] = []

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.server), user="tester", dbname="postgres", autocommit=True)

    def make(self, *, like: str | None = None) -> str:
        self.names.append(f"backup_{uuid.uuid4().hex[:10]}")
        with self._admin() as admin:
            admin.execute(f"CREATE DATABASE {self.names[-1]}" + (f" TEMPLATE {like}" if like else ""))
        return self.names[-1]

    def set_back(self, name: str, earlier: str) -> None:
        """What a point-in-time recovery leaves behind: the database as it was then."""
        with self._admin() as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {earlier}")

    def ask(self, name: str, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host=str(self.server), user="tester", dbname=name, options="-csearch_path=ca"
        ) as connection:
            return connection.execute(query).fetchall()

    def drop(self) -> None:
        with self._admin() as admin:
            for name in self.names:
                admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def databases(postgresql_server: Path) -> Iterator[Databases]:
    made = Databases(postgresql_server)
    yield made
    made.drop()


@pytest.fixture
def harbour(
    tmp_path: Path,
    databases: Databases,
    order_desk: Callable[..., Any],
    make_running: Callable[..., Any],
    run_command: Callable[..., Any],
) -> tuple[Any, Any]:
    """The CA harbour after its ceremony on PostgreSQL, not yet started, and who orders from it."""
    data, orders = tmp_path / "data", order_desk("harbour")
    data.mkdir(mode=0o700)
    settings = SETTINGS.format(database=databases.make(), host=databases.server)
    (data / "onecert.toml").write_text(settings)
    run_command(data, "ca", "ceremony", CEREMONY, "--apply")
    (tmp_path / "ra.pem").write_text(orders.public_pem)
    named = (orders.name, "--key", tmp_path / "ra.pem", "--scope", "harbour:citizen")
    run_command(data, "ca", "registration-authority", "add", *named)
    return make_running(data, "ca"), orders


class Work:
    """Orders one after the other, every third certificate revoked, until it is stopped."""

    def __init__(self, running: Any, orders: Any) -> None:
        self.running, self.orders = running, orders
        self.issued: list[str] = []
        self.revoked: list[str] = []
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._thread = self._pool.submit(self._work)

    def _work(self) -> None:
        with self.running.client("ca") as client:
            while not self._stop.is_set():
                self.one(client, revoke=len(self.issued) % 3 == 0)

    def one(self, client: Any, *, revoke: bool) -> str:
        answer = self.orders.post(client, "/v1/orders", self.orders.sign(self.orders.payload()))
        assert answer.status_code in {200, 201}, answer.text
        serial = str(answer.json()["serial"])
        self.issued.append(serial)
        if revoke:
            done = self.orders.post(client, "/v1/revocations", self.orders.revocation(serial))
            assert done.status_code in {200, 201}, done.text
            self.revoked.append(serial)
        return serial

    def stop(self) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._thread.result()


def number_of(crl: bytes) -> int:
    loaded = x509.load_der_x509_crl(crl)
    return loaded.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


@pytest.mark.postgres
@pytest.mark.token
@pytest.mark.timeout(600)
def test_a_record_that_went_back_signs_nothing_until_it_knows_what_is_outside(
    harbour: tuple[Any, Any],
    databases: Databases,
    make_running: Callable[..., Any],
    run_command: Callable[..., Any],
    eventually: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Copied at work; restored elsewhere from nothing but the copy; then set back where it is."""
    running, orders = harbour
    database, earlier = databases.names[0], databases.make(like=databases.names[0])
    work = Work(running.start(), orders)
    eventually(lambda: len(work.revoked) >= 2)
    known = set(work.issued)
    run_command(running.data, "backup", "create", "--to", tmp_path / "night.backup")
    work.stop()
    with running.client("ca") as client:
        lost = work.one(client, revoke=False)

    # It proves itself, in a schema of its own that is gone afterwards.
    drill = ("backup", "drill", tmp_path / "night.backup", "--work", tmp_path, "--json")
    found = json.loads(run_command(running.data, *drill, check=False).stdout)
    assert (found["services"], found["faults"]) == (["ca"], [])
    assert databases.ask(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'drill%'") == []

    # The world outside has the newest list, and the certificates.
    outside = tmp_path / "outside"
    outside.mkdir()
    published = running.status("/ca/harbour.crl").content
    (outside / "harbour.crl").write_bytes(published)
    query = "SELECT serial, certificate_der FROM ca_certificates WHERE profile = 'citizen'"
    for serial, der in databases.ask(database, query):
        (outside / f"{serial}.cer").write_bytes(der)
    assert running.stop() == 0

    # 1. On a new machine, in a new database.
    settings, new = tmp_path / "new.toml", tmp_path / "new"
    settings.write_text(SETTINGS.format(database=databases.make(), host=databases.server))
    key = next((running.data / "ca" / "audit-keys").glob("*.pem"))
    restore = ("backup", "restore", tmp_path / "night.backup", "--key", key, "--config", settings)
    assert "crl harbour" in run_command(new, *restore, "--apply").stdout
    again = run_command(tmp_path / "other", *restore, "--apply", check=False)
    assert again.returncode == 1
    assert not (tmp_path / "other").exists()
    (new / "onecert.toml").write_text(settings.read_text())
    shutil.copy(running.data / "ca" / "token.pin", new / "ca" / "token.pin")
    back = make_running(new, "ca").start()
    refuses(back, orders, "RECORD_RESTORED")
    told = run_command(new, "ca", "reconcile", outside, "--apply", *PEOPLE)
    assert f"unknown\tharbour\t{lost}" in told.stdout
    crl = eventually(lambda: newer(back.status("/ca/harbour.crl").content, published), 60)
    listed = {f"{entry.serial_number:x}" for entry in x509.load_der_x509_crl(crl)}
    assert listed >= {*work.revoked, lost}
    assert not listed & (known - set(work.revoked))
    with back.client("ca") as client:
        assert orders.post(client, "/v1/orders", orders.sign(orders.payload())).status_code in {200, 201}
    assert back.stop() == 0

    # 2. Where it is, as by a point-in-time recovery: nobody restored anything, but the files know better.
    databases.set_back(database, earlier)
    refuses(running.start(), orders, "CRL_NUMBER_WENT_BACK")
    assert running.status("/ca/harbour.crl").content == published
    # Told what is outside, it goes on by itself.
    run_command(running.data, "ca", "reconcile", outside, "--apply", *PEOPLE)
    crl = eventually(lambda: newer(running.status("/ca/harbour.crl").content, published), 60)
    assert {f"{each.serial_number:x}" for each in x509.load_der_x509_crl(crl)} >= set(work.issued)
    assert running.stop() == 0


def refuses(running: Any, orders: Any, code: str) -> None:
    """Nothing is signed, and both who orders and who watches are told why."""
    with running.client("ca") as client:
        answer = orders.post(client, "/v1/orders", orders.sign(orders.payload()))
        assert (answer.status_code, answer.json()["code"]) == (503, code)
        assert client.get("/readyz").json()["checks"]["lists"] == code


def newer(crl: bytes, than: bytes) -> bytes | None:
    return crl if number_of(crl) > number_of(than) else None
