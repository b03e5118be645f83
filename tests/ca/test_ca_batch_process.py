"""Batches over HTTP, by command, with processes beside the service, and in a process that dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_batches import Sender, part
from click.testing import CliRunner

import onecert.ca.commands.batch as cli_module
from onecert.ca.authorities.life import AuthorityLife
from onecert.ca.batches import batches as batches_module
from onecert.ca.batches.documents import CANCELLATION_TYPE, RESULTS_TYPE
from onecert.ca.cli import ca
from onecert.ca.commands.parts import OpenedCa

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from ca_child import run
run(*sys.argv[2:])
"""


@pytest.mark.parametrize("name", ["record_intents", "record_results"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_process_that_dies_at_each_commit(tmp_path: Path, when: str, name: str) -> None:
    """A process makes a CA, a second dies in a chunk of a batch, a third fills the rest and looks."""

    def child(*arguments: str) -> int:
        command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path), *arguments]
        return subprocess.run(command, check=False, env=dict(os.environ), timeout=60).returncode

    assert child("set-up", "-") == 0
    assert child("batch", f"{when}:{name}") == 77
    assert child("batch", "-") == 0


def test_processes_that_prepare(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several threads and a process beside them fill a batch; one that is killed is replaced."""
    monkeypatch.setattr(batches_module, "CHUNK_LINES", 3)
    lite.config = replace(lite.config, batch_workers=1)
    lite.restart()
    sender, work = Sender(lite), lite.parts.batch_work
    try:
        for _round in range(2):
            batch = sender.send(*(lite.order_payload() for _ in range(10)), b"nonsense")
            work.run(timedelta(minutes=5))
            codes = [line.get("code", "issued") for line in sender.results(batch)]
            assert codes == ["issued"] * 10 + ["ORDER_MALFORMED"]
            pool = work._pool.pool
            assert isinstance(pool, ProcessPoolExecutor)
            for process in list(pool._processes.values()):
                os.kill(process.pid, signal.SIGKILL)
    finally:
        work.close()


def test_authority_retired_while_a_batch_runs(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on record yet is refused, also by processes that knew the authority before."""
    monkeypatch.setattr(batches_module, "CHUNK_LINES", 3)
    world.config = replace(world.config, batch_workers=1)
    world.restart()
    sender, work = Sender(world), world.parts.batch_work
    do, free = work._ledger.record_results, work._claims.free_chunks
    authority_life = AuthorityLife(world.parts, world.roots, actor="command:test")

    def retire_then_record(*arguments: Any) -> None:
        do(*arguments)
        authority_life.retire("harbour", ("何见证", "郑主持"), "its place is taken")

    try:
        batch = sender.send(*(world.order_payload() for _ in range(9)))
        monkeypatch.setattr(work._claims, "free_chunks", lambda limit: min(limit, free(limit), 1))
        monkeypatch.setattr(work._ledger, "record_results", retire_then_record)
        work.run(timedelta(minutes=5))
        codes = [line.get("code", "issued") for line in sender.results(batch)]
        assert codes == ["issued"] * 3 + ["AUTHORITY_RETIRED"] * 6
    finally:
        work.close()


def test_a_batch_over_http(lite: Any) -> None:
    """Head, part, progress, results, a second batch cancelled; and what is refused."""
    sender, client = Sender(lite), lite.service.app.test_client()
    content = part(lite.order_payload(), b"nonsense")
    batch, head = sender.head([content])
    assert client.post("/v1/batches", data=head).status_code == 201
    assert client.post("/v1/batches", data=head).json["missing"] == [1]
    wrong = client.put(f"/v1/batches/{batch}/parts/1", data=content + b"{}\n")
    assert (wrong.status_code, wrong.json["code"]) == (422, "BATCH_PART")
    assert client.put(f"/v1/batches/{batch}/parts/1", data=content).json["state"] == "accepted"
    lite.parts.batch_work.run()
    assert client.get(f"/v1/batches/{batch}").json["issued"] == 1
    assert client.get("/v1/batches/12345678").status_code == 404
    assert client.get(f"/v1/batches/{batch * 9}").status_code == 404

    question = sender.signed(RESULTS_TYPE, batch=batch)
    answer = client.post("/v1/batches/results", data=question, headers={"Accept-Language": "zh"})
    first, second, last = map(json.loads, answer.text.splitlines())
    assert (answer.mimetype, first["status"], second["code"]) == (
        "application/jsonl",
        "issued",
        "ORDER_MALFORMED",
    )
    assert "无法读取" in second["detail"]
    assert last == {"after": 2, "state": "done"}
    assert client.post("/v1/batches/results", data=b"{}").status_code == 400

    other, head = sender.head([content])
    client.post("/v1/batches", data=head)
    cancellation = sender.signed(CANCELLATION_TYPE, batch=other)
    assert client.post("/v1/batches/cancellations", data=cancellation).json["state"] == "cancelled"
    assert client.put(f"/v1/batches/{other}/parts/1", data=content).status_code == 409


def test_a_part_may_be_larger_than_an_order(lite: Any) -> None:
    """A part of 200 kB is taken, one of more than 8 MiB is not."""
    sender, client = Sender(lite), lite.service.app.test_client()
    content = part(*([lite.order_payload()] * 150))
    batch, head = sender.head([content])
    client.post("/v1/batches", data=head)
    assert client.put(f"/v1/batches/{batch}/parts/1", data=b" " * (9 * 1024 * 1024)).status_code == 413
    assert client.put(f"/v1/batches/{batch}/parts/1", data=content).status_code == 200


def test_commands(lite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """submit, status, results, cancel: JSON on stdout; cancel only shows until --apply."""

    class Opened:
        def __enter__(self) -> OpenedCa:
            return OpenedCa(lite.config, lite.context, lite.parts, lite.roots)

        def __exit__(self, *_: object) -> None:
            """Nothing to close."""

    monkeypatch.setattr(cli_module, "opened_ca", lambda *_: Opened())

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(ca, ["batch", *arguments, "--data", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    sender = Sender(lite)
    contents = [part(lite.order_payload(), lite.order_payload()), part(lite.order_payload())]
    batch, head = sender.head(contents)
    (tmp_path / "head").write_bytes(head)
    (tmp_path / "lines").write_bytes(b"".join(contents))
    for _again in range(2):
        assert (
            json.loads(run("submit", str(tmp_path / "head"), str(tmp_path / "lines")))["state"] == "accepted"
        )
    run("cancel", batch)
    lite.parts.batch_work.run()
    assert json.loads(run("status", batch))["issued"] == 3
    lines = [json.loads(line) for line in run("results", batch).splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3]
    assert [json.loads(line)["line"] for line in run("results", batch, "--after", "2").splitlines()] == [3]
    assert json.loads(run("cancel", batch, "--apply"))["state"] == "done"
