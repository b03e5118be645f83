"""`kill -9` at random moments under load: nothing lost, nothing doubled, nothing goes backwards.

SOAK_KILLS sets how often; a full run (`make soak`) kills 200 times.
"""

import os
import random
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

KILLS = int(os.environ.get("SOAK_KILLS", "4"))
WORKERS = 3


class Load:
    """Issues and revokes from several threads, and remembers what was answered and what was not."""

    def __init__(self, running: Any, orders: Any, seed: int) -> None:
        self.running, self.orders = running, orders
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.acknowledged: dict[str, str] = {}  # order -> serial
        self.unknown: dict[str, bytes] = {}  # order -> the document, to be posted again
        self.revoked: set[str] = set()
        self.revocations_unknown: list[bytes] = []
        self.faults: list[str] = []
        self._stop = threading.Event()

    def run(self, seconds: float) -> None:
        """Load for a while, kill in the middle of it, and gather."""
        self._stop.clear()
        threads = [threading.Thread(target=self._work) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.running.kill()
        self._stop.set()
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        with self.running.client("ca") as client:
            while not self._stop.is_set():
                try:
                    self._issue(client)
                    if self.random.random() < 0.4:
                        self._revoke(client)
                except httpx.TransportError:
                    return

    def _issue(self, client: httpx.Client) -> None:
        payload = self.orders.payload()
        document = self.orders.sign(payload)
        self.unknown[payload["order"]] = document
        self.take(payload["order"], self.orders.post(client, "/v1/orders", document))

    def take(self, order: str, answer: httpx.Response) -> None:
        if answer.status_code not in (200, 201):
            self.faults.append(f"{order}: {answer.status_code} {answer.text[:300]}")
            return
        serial = answer.json()["serial"]
        with self.lock:
            if self.acknowledged.setdefault(order, serial) != serial:
                self.faults.append(f"{order} got a second certificate")
            self.unknown.pop(order, None)

    def _revoke(self, client: httpx.Client) -> None:
        with self.lock:
            open_ = [serial for serial in self.acknowledged.values() if serial not in self.revoked]
        if not open_:
            return
        serial = self.random.choice(open_)
        document = self.orders.revocation(serial)
        self.revocations_unknown.append(document)
        answer = self.orders.post(client, "/v1/revocations", document)
        if answer.status_code == 200:
            with self.lock:
                self.revoked.add(serial)
            self.revocations_unknown.remove(document)
        elif answer.json().get("code") == "ALREADY_REVOKED":
            self.revocations_unknown.remove(document)  # another thread, or before the kill
        else:
            self.faults.append(f"revoke {serial}: {answer.status_code} {answer.text[:300]}")

    def reconcile(self) -> None:
        """Post again whatever got no answer; once more for some that did."""
        with self.running.client("ca") as client:
            for order, document in list(self.unknown.items()):
                self.take(order, self.orders.post(client, "/v1/orders", document))
            for document in list(self.revocations_unknown):
                answer = self.orders.post(client, "/v1/revocations", document)
                if answer.status_code == 200:
                    self.revoked.add(answer.json()["serial"])
                elif answer.json().get("code") != "ALREADY_REVOKED":
                    self.faults.append(f"revocation again: {answer.status_code} {answer.text[:300]}")
            self.revocations_unknown.clear()

    def crl(self) -> x509.CertificateRevocationList:
        answer = httpx.get(f"http://127.0.0.1:{self.running.http}/ca/harbour.crl")
        assert answer.status_code == 200
        return x509.load_der_x509_crl(answer.content)


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


@pytest.mark.soak
@pytest.mark.token
@pytest.mark.timeout(60 + 12 * KILLS)
def test_killed_at_random_moments_nothing_is_lost_doubled_or_turned_back(
    one_ca: tuple[Any, Any], tmp_path: Path, run_command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    running, orders = one_ca
    seed = int(os.environ.get("SOAK_SEED", random.randrange(1 << 30)))
    print(f"SOAK_SEED={seed}")
    load = Load(running, orders, seed)
    number, this_update = 0, None
    for _ in range(KILLS):
        running.start()
        load.reconcile()
        crl = load.crl()
        assert number_of(crl) >= number
        assert this_update is None or crl.last_update_utc >= this_update
        number, this_update = number_of(crl), crl.last_update_utc
        load.run(load.random.uniform(0.02, 1.5))
    running.start()
    load.reconcile()
    crl = load.crl()
    assert number_of(crl) >= number
    assert running.stop() == 0

    assert load.faults == []
    assert load.unknown == {}
    assert len(load.acknowledged) > KILLS  # the load was real
    with sqlite3.connect(running.data / "ca" / "ca.db") as database:
        rows = database.execute(
            "SELECT serial, state, status, order_id, certificate_der FROM ca_certificates"
            " WHERE authority = 'harbour' AND profile = 'citizen'"
        ).fetchall()
        numbers = [
            n
            for (n,) in database.execute(
                "SELECT number FROM ca_crls WHERE authority = 'harbour' ORDER BY number"
            )
        ]
    recorded = {order: serial for serial, state, _, order, _ in rows if state == "issued"}
    assert Counter(state for _, state, *_ in rows).keys() == {"issued"}  # no intent is left open
    assert recorded == load.acknowledged  # every order has its certificate, and nothing else was issued
    serials = [serial for serial, *_ in rows]
    assert len(set(serials)) == len(serials)
    for serial, _, _, _, der in rows:
        assert x509.load_der_x509_certificate(der).serial_number == int(serial, 16)
    on_record = {int(serial, 16) for serial, _, status, *_ in rows if status == "revoked"}
    assert {int(serial, 16) for serial in load.revoked} <= on_record
    assert {entry.serial_number for entry in crl} == on_record  # the list is complete
    assert len(set(numbers)) == len(numbers)
    export = tmp_path / "audit.jsonl"
    run_command(running.data, "audit", "export", "ca", "--to", export)
    said = run_command(running.data, "audit", "verify", export)
    assert "whole and unchanged" in said.stdout
    print(
        f"{KILLS} kills, {len(recorded)} certificates, {len(on_record)} revoked, CRL number {number_of(crl)}"
    )
