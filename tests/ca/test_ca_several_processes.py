"""Several CAs on one database, in one process of the tests: whose intents and chunks, who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_batches import Sender
from sqlalchemy import Connection, text

from onecert.ca.batches import batches as batches_module
from onecert.ca.errors import TokenGoneError
from onecert.ca.issuing.group_commit import GroupCommit
from onecert.ca.issuing.recovery import LEFT_ALONE
from onecert.ca.parts import Parts, assemble
from onecert.server.audit import AuditTrail
from onecert.server.database import Database
from onecert.server.processes import Processes

SECOND = timedelta(seconds=1)


@pytest.fixture
def begin(world: Any, tmp_path: Path) -> Iterator[Callable[[], tuple[Parts, Processes]]]:
    """Another process of the world's CA: its parts, and its sign of life."""
    begun: list[Processes] = []

    def make() -> tuple[Parts, Processes]:
        processes = Processes(world.context.database, world.clock, tmp_path / "ca")
        processes.begin()
        begun.append(processes)
        context = replace(world.context, processes=processes)
        return assemble(world.config, context, token=world.token, kernel=lambda: None), processes

    yield make
    for each in begun:
        each.close()


def leave_an_intent(world: Any, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> str:
    """An order that is on record and not signed, as if its process had stopped there; its number."""
    payload = world.order_payload()
    with monkeypatch.context() as patched:
        patched.setattr(parts.certifier, "sign", _token_gone)
        with pytest.raises(TokenGoneError):
            parts.issuance.issue(world.order(**payload))
    return str(payload["order"])


def _token_gone(*_arguments: Any) -> bytes:
    raise TokenGoneError("ca")


def test_intent_of_a_living_process_is_left_to_it(
    world: Any, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second process starts while the first is between intent and signature, then the first dies."""
    (one, its_life), (two, _life) = begin(), begin()
    order = leave_an_intent(world, one, monkeypatch)
    intended = one.ledger.order(order)
    assert intended.intended_by == its_life.own
    at = world.clock.now()
    assert two.recovery.run(at).finished == []
    its_life.close()
    assert two.recovery.run(at, older_than=LEFT_ALONE).finished == [intended.serial]
    assert two.ledger.order(order).state == "issued"
    assert two.ledger.order(order).intended_by is None


def test_intent_that_a_living_process_forgot_is_finished_in_the_end(
    world: Any, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token was away and is back; nobody posts the order again."""
    (one, _its), (two, _life) = begin(), begin()
    order = leave_an_intent(world, one, monkeypatch)
    world.clock.advance(LEFT_ALONE + SECOND)
    assert two.recovery.run(world.clock.now()).finished == [two.ledger.order(order).serial]


def test_two_processes_fill_one_batch(
    world: Any, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes the next chunk that nobody has; no chunk is done twice, nothing is left."""
    monkeypatch.setattr(batches_module, "CHUNK_LINES", 2)
    (one, _life), (two, _other) = begin(), begin()
    sender = Sender(world)
    batch = sender.send(*(world.order_payload() for _ in range(8)))
    first, second = one.batch_work._claims, two.batch_work._claims
    assert first.free_chunks(10) == 4
    taken = [first.take(), second.take(), first.take()]
    assert [line for _batch, line in filter(None, taken)] == [1, 3, 5]
    assert second.free_chunks(10) == 1
    for name, claim in zip((first, second, first), taken, strict=True):
        assert claim is not None
        name.give_back(*claim)
    assert [parts.batch_work.run() for parts in (one, two)] == [4, 0]
    assert [line["status"] for line in sender.results(batch)] == ["issued"] * 8


def test_workers_share_one_batch_and_do_nothing_twice(
    world: Any, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are in a chunk at the same moment; in the end each did some, and each line is one certificate."""
    monkeypatch.setattr(batches_module, "CHUNK_LINES", 2)
    workers = [begin()[0].batch_work for _ in range(2)]
    sender = Sender(world)
    batch = sender.send(*(world.order_payload() for _ in range(8)))
    both_are_in = threading.Barrier(2, timeout=60)
    met: set[int] = set()

    def meeting(fill: Callable[..., Any], worker: int) -> Callable[..., Any]:
        def wait_and_fill(*arguments: Any) -> Any:
            if worker not in met:
                met.add(worker)
                both_are_in.wait()
            return fill(*arguments)

        return wait_and_fill

    for number, worker in enumerate(workers):
        monkeypatch.setattr(worker, "_fill", meeting(worker._fill, number))
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda worker: worker.run(), workers))
    assert sum(done) == 4
    assert min(done) >= 1
    results = sender.results(batch)
    assert [line["status"] for line in results] == ["issued"] * 8
    assert len({line["serial"] for line in results}) == 8
    with world.context.database.reading() as connection:
        told = connection.execute(
            text("SELECT subject FROM audit_entries WHERE event = 'certificate.issued' AND actor = 'ra:ra'")
        ).all()
    assert sorted(row.subject for row in told) == sorted(f"harbour/{line['serial']}" for line in results)


def test_chunk_of_a_dead_process_is_free_at_once(
    world: Any, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "CHUNK_LINES", 2)
    (one, its_life), (two, _life) = begin(), begin()
    sender = Sender(world)
    batch = sender.send(*(world.order_payload() for _ in range(4)))
    assert one.batch_work._claims.take() is not None
    assert two.batch_work.run() == 1  # the other chunk
    its_life.close()
    assert two.batch_work.run() == 1
    assert [line["status"] for line in sender.results(batch)] == ["issued"] * 4


def test_chunk_that_could_not_be_done_is_given_back(
    world: Any, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, _its), (two, _life) = begin(), begin()
    sender = Sender(world)
    batch = sender.send(world.order_payload())
    with monkeypatch.context() as patched:
        patched.setattr(one.batch_work, "_fill", _token_gone)
        with pytest.raises(TokenGoneError):
            one.batch_work.run()
    assert two.batch_work.run() == 1
    assert [line["status"] for line in sender.results(batch)] == ["issued"]


@pytest.mark.postgres
def test_groups_that_wait_for_each_other_are_run_again(postgresql_url: str) -> None:
    """Two processes post the same two orders in opposite order: each gets its answer, nobody an error."""
    database = Database(postgresql_url)
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE things (id TEXT PRIMARY KEY)"))
    audit = AuditTrail("ca", None)  # type: ignore[arg-type]  # nothing is recorded here
    both = threading.Barrier(2)
    results: dict[str, list[int]] = {"one": [], "two": []}

    def process(name: str, order: list[str]) -> None:
        writer, is_held, may_go = GroupCommit(database, audit), threading.Event(), threading.Event()

        def hold(_connection: Connection, _entries: list[Any]) -> None:
            is_held.set()
            may_go.wait(10)

        def insert(thing: str, waits: list[threading.Barrier]) -> None:
            def work(connection: Connection, _entries: list[Any]) -> int:
                connection.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
                add = text("INSERT INTO things VALUES (:id) ON CONFLICT DO NOTHING")
                count = connection.execute(add, {"id": thing}).rowcount
                while waits:
                    waits.pop().wait(10)
                return count

            results[name].append(writer.run(work))

        # While a first transaction is under way, two more wait: those two are one group.
        threads = [threading.Thread(target=writer.run, args=(hold,))]
        threads[0].start()
        is_held.wait(10)
        for number, thing in enumerate(order):
            waits = [] if number else [both]
            threads.append(threading.Thread(target=insert, args=(thing, waits)))
            threads[-1].start()
            while len(writer._waiting) <= number:
                pass
        may_go.set()
        for thread in threads:
            thread.join(30)

    others = [
        threading.Thread(target=process, args=("one", ["a", "b"])),
        threading.Thread(target=process, args=("two", ["b", "a"])),
    ]
    for each in others:
        each.start()
    for each in others:
        each.join(60)
    assert sorted(map(len, results.values())) == [2, 2]
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM things")).scalar_one() == 2
    database.close()
