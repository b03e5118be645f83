"""Three CA processes and a worker on one PostgreSQL and one token store, killed again and again under load.

Two of the CAs share a data folder, the third has one of its own, as on another machine. Orders go to all
three, some of them the same order at once; a batch is filled meanwhile; the database goes away and returns.
SEVERAL_KILLS sets how often; SEVERAL_SEED repeats a run.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from cryptography import x509

KILLS = int(os.environ.get("SEVERAL_KILLS", "4"))
LINES = 500
CEREMONY = Path(__file__).resolve().parents[2] / "demo/ceremonies/harbour.toml"
NAMES = ("one", "two", "three")
SETTINGS = """
[server]
public_url = "https://pki.test"
status_url = "http://status.test"
[database.ca]
url = "postgresql+psycopg://tester@/{database}?host={host}"
"""


class Worker:
    """`onecert worker`, which opens no port."""

    def __init__(self, data: Path, warm: Any) -> None:
        self.data, self.warm = data, warm
        self.process: Any = None

    def start(self) -> None:
        command = ["worker", "--data", str(self.data), "--members", "ca"]
        with (self.data / "worker.log").open("ab") as log:
            self.process = self.warm.popen(command, os.environ, stderr=log.fileno())
        assert self.process.stdout.readline() == "working for ca\n", (self.data / "worker.log").read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        status = self.process.wait(40)
        self.process.stdout.close()
        self.process = None
        return status


class Load:
    """Orders and revocations for three CAs, and what each of them answered."""

    def __init__(self, cas: dict[str, Any], orders: Any, seed: int) -> None:
        self.cas, self.orders, self.random = cas, orders, random.Random(seed)
        self.lock = threading.Lock()
        self.documents: dict[str, bytes] = {}  # order -> as it was posted
        self.serials: dict[str, str] = {}  # order -> serial
        self.revocations: dict[str, bytes] = {}  # serial -> not answered yet
        self.revoked: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self.stop = threading.Event()

    def post(self, name: str, path: str, document: bytes) -> httpx.Response | None:
        """None: no answer, or the answer that there is none now."""
        try:
            with self.cas[name].client("ca") as client:
                answer = self.orders.post(client, path, document)
        except (httpx.TransportError, AttributeError):
            self.answers["nobody there"] += 1
            return None
        self.answers[str(answer.status_code)] += 1
        return None if answer.status_code == 503 else answer

    def work(self) -> None:
        while not self.stop.is_set():
            payload = self.orders.payload()
            document = self.orders.sign(payload)
            self.documents[payload["order"]] = document
            # One in four goes to all three at once.
            names = NAMES if self.random.random() < 0.25 else (self.random.choice(NAMES),)
            threads = [threading.Thread(target=self.order, args=(each, payload["order"])) for each in names]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if self.random.random() < 0.3:
                self.revoke()

    def order(self, name: str, order: str) -> None:
        answer = self.post(name, "/v1/orders", self.documents[order])
        if answer is None:
            return
        if answer.status_code not in (200, 201):
            self.faults.append(f"{order}: {answer.status_code} {answer.text[:300]}")
            return
        serial = answer.json()["serial"]
        with self.lock:
            if self.serials.setdefault(order, serial) != serial:
                self.faults.append(f"{order} got a second certificate")

    def revoke(self) -> None:
        with self.lock:
            free = [each for each in self.serials.values() if each not in self.revocations]
        if free:
            serial = self.random.choice(free)
            self.revocations[serial] = self.orders.revocation(serial)
            self.post_revocation(self.random.choice(NAMES), serial)

    def post_revocation(self, name: str, serial: str) -> None:
        answer = self.post(name, "/v1/revocations", self.revocations[serial])
        if answer is not None and answer.status_code == 200:
            self.revoked.add(serial)
        elif answer is not None:
            self.faults.append(f"revoke {serial}: {answer.status_code} {answer.text[:300]}")

    def reconcile(self) -> bool:
        """Post again whatever got no answer, at any of the three; tell whether each order has its
        certificate now."""
        for order in [each for each in self.documents if each not in self.serials]:
            self.order(self.random.choice(NAMES), order)
        for serial in [each for each in self.revocations if each not in self.revoked]:
            self.post_revocation(self.random.choice(NAMES), serial)
        return len(self.serials) == len(self.documents)


@pytest.fixture
def database(postgresql_server: Path) -> Iterator[str]:
    """The name of a PostgreSQL database of one's own."""
    name = f"several_{os.getpid()}_{uuid.uuid4().hex[:6]}"
    with psycopg.connect(
        host=str(postgresql_server), user="tester", dbname="postgres", autocommit=True
    ) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield name
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def folders(
    tmp_path: Path,
    database: str,
    postgresql_server: Path,
    held_ca: tuple[Path, Any],
    run_command: Callable[..., subprocess.CompletedProcess[str]],
) -> tuple[Path, Path]:
    """Two data folders with one token store, after the ceremony on PostgreSQL."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir(mode=0o700)
        (folder / "onecert.toml").write_text(SETTINGS.format(database=database, host=postgresql_server))
    run_command(one, "ca", "ceremony", CEREMONY, "--apply")
    key = tmp_path / "ra.pem"
    key.write_text(held_ca[1].public_pem)
    scopes = ["--scope", "harbour:citizen"]
    run_command(one, "ca", "registration-authority", "add", held_ca[1].name, "--key", key, *scopes)
    (other / "softhsm").symlink_to(one / "softhsm")
    (other / "ca").mkdir(mode=0o700)
    shutil.copy(one / "ca" / "token.pin", other / "ca" / "token.pin")
    return one, other


def send_batch(load: Load, lines: int) -> str:
    """A batch of orders, its head at one process and its lines at another."""
    orders, batch = [load.orders.payload() for _ in range(lines)], str(uuid.uuid4())
    content = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in orders)
    head = {
        "batch": batch,
        "registration_authority": load.orders.name,
        "created_at": orders[0]["created_at"],
        "parts": [{"lines": lines, "sha256": hashlib.sha256(content).hexdigest()}],
    }
    answer = load.post("one", "/v1/batches", load.orders.sign(head, "onecert-batch+json"))
    assert answer is not None
    assert answer.status_code == 201
    with load.cas["two"].client("ca") as client:
        put = client.put(f"/v1/batches/{batch}/parts/1", content=content, timeout=60)
    assert put.json()["state"] == "accepted", put.text
    return batch


def lose_the_database(server: Path, name: str, seconds: float) -> None:
    """As a restart of PostgreSQL: every connection ends, and for a while there are no new ones."""
    with psycopg.connect(host=str(server), user="tester", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        time.sleep(seconds)
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def opened(server: Path, name: str) -> psycopg.Connection[Any]:
    """A connection that sees the CA's tables."""
    return psycopg.connect(host=str(server), user="tester", dbname=name, options="-csearch_path=ca")


def list_number(ca: Any) -> int:
    crl = x509.load_der_x509_crl(ca.status("/ca/harbour.crl").content)
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


@pytest.mark.soak
@pytest.mark.token
@pytest.mark.postgres
@pytest.mark.timeout(240 + 15 * KILLS)
def test_killed_again_and_again_nothing_is_lost_or_doubled(
    folders: tuple[Path, Path],
    database: str,
    postgresql_server: Path,
    held_ca: tuple[Path, Any],
    make_running: Callable[..., Any],
    eventually: Callable[..., Any],
    run_command: Callable[..., subprocess.CompletedProcess[str]],
    warm: Any,
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("SEVERAL_SEED", random.randrange(1 << 30)))
    print(f"SEVERAL_SEED={seed}")
    one, other = folders
    cas = {name: make_running(other if name == "three" else one, "ca") for name in NAMES}
    worker = Worker(one, warm)
    load = Load(cas, held_ca[1], seed)
    processes = [*cas.values(), worker]
    with ThreadPoolExecutor(len(processes)) as pool:
        list(pool.map(lambda each: each.start(), processes))
    batch = send_batch(load, LINES)
    # Where something below fails, they keep nobody from ending.
    threads = [threading.Thread(target=load.work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    numbers = dict.fromkeys(NAMES, 0)
    for kill in range(KILLS):
        time.sleep(load.random.uniform(0.3, 1.5))
        if kill == KILLS // 2:
            lose_the_database(postgresql_server, database, 1.5)
        # The first is one that may be at work in the batch, then whoever it is.
        victim = load.random.choice(processes) if kill else worker
        victim.kill()
        victim.start()
        for name, ca in cas.items():
            number = list_number(ca)
            assert number >= numbers[name], f"the list of {name} went back"
            numbers[name] = number
    load.stop.set()
    for thread in threads:
        thread.join()

    # Whatever got no answer is posted again; nobody is restarted for the database's sake.
    eventually(load.reconcile, 60)
    eventually(lambda: len(load.revocations) == len(load.revoked), 5)
    with cas["three"].client("ca") as client:
        eventually(lambda: client.get(f"/v1/batches/{batch}").json()["state"] == "done", 60)
    open_intents = "SELECT serial FROM ca_certificates WHERE state = 'intended' AND authority = 'harbour'"
    with opened(postgresql_server, database) as connection:
        connection.autocommit = True
        eventually(lambda: not connection.execute(open_intents).fetchall(), 60)
    shown = run_command(one, "processes", "ca", "--json").stdout.splitlines()
    running = Counter(each["role"] for each in map(json.loads, shown) if each["state"] == "running")
    assert running == {"service": 3, "worker": 1}
    # The folder that no other process writes follows the record.
    eventually(lambda: list_number(cas["three"]) >= max(numbers.values()), 30)
    run_command(one, "ca", "crl", "publish", "--authority", "harbour")
    assert [each.stop() for each in processes] == [0, 0, 0, 0]

    assert load.faults == []
    with opened(postgresql_server, database) as connection:
        rows = connection.execute(
            "SELECT serial, state, status, order_id, certificate_der FROM ca_certificates"
            " WHERE authority = 'harbour' AND profile = 'citizen'"
        ).fetchall()
        published = [
            number
            for (number,) in connection.execute(
                "SELECT number FROM ca_crls WHERE authority = 'harbour' ORDER BY this_update, number"
            )
        ]
        lines = connection.execute("SELECT sum(issued), sum(refused) FROM ca_batch_chunks").fetchone()
        said = connection.execute(
            "SELECT subject, count(*) FROM audit_entries WHERE event = 'certificate.issued' GROUP BY subject"
        ).fetchall()
    assert {state for _serial, state, *_ in rows} == {"issued"}
    assert lines == (LINES, 0)
    assert len(rows) == len(load.serials) + LINES
    by_order = {order: serial for serial, _, _, order, _ in rows}
    assert len(by_order) == len(rows)  # one certificate each
    assert load.serials.items() <= by_order.items()
    for serial, _, _, _, der in rows:
        assert x509.load_der_x509_certificate(der).serial_number == int(serial, 16)
    assert {count for _subject, count in said} == {1}  # and told once in the audit trail
    assert {f"harbour/{serial}" for serial, *_ in rows} <= {subject for subject, _ in said}
    assert published == sorted(set(published))
    on_record = {int(serial, 16) for serial, _, status, *_ in rows if status == "revoked"}
    assert {int(serial, 16) for serial in load.revoked} == on_record
    crl = x509.load_der_x509_crl((one / "ca" / "status" / "harbour.crl").read_bytes())
    assert {entry.serial_number for entry in crl} == on_record
    export = tmp_path / "audit.jsonl"
    run_command(one, "audit", "export", "ca", "--to", export)
    assert "whole and unchanged" in run_command(one, "audit", "verify", export).stdout
    print(f"{KILLS} kills, {len(rows)} certificates, {len(on_record)} revoked, answers {dict(load.answers)}")
