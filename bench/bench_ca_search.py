"""`ca.search.*`: a certificate among a million, found by everything that can be asked, each within a second.

The peer of `name` is what one would do without an index: ask the database for the text, which reads every
row. Each row notes its slowest search, and how long it had the processor: that is what load does not change.
`PLANS=1` prints how the database does each.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import postgresql
import rows
from bench_ca_scale import ENGINES, ca
from harness import Contender, Row, benchmark
from sqlalchemy import Engine, event, select

from onecert.ca.models import certificates
from onecert.ca.parts import Parts
from onecert.ca.search.guess import guesses
from onecert.ca.search.search import Page, Search
from onecert.ca.search.terms import Query, read_query

LIMIT = 100
# Act -> the fewest that it finds; the last of a thing asked for is one, of a part there may be more.
ACTS = {
    "name": 1,
    "begins": 1,
    "part": 1,
    "number": 1,
    "thumbprint": 1,
    "serial": 1,
    "prefix": 1,
    "order": 1,
    "key": 1,
    "holder": 1,
    "frequent": LIMIT,
    "scattered": 0,
    "nothing": 0,
    "revoked": LIMIT,
    "expires": LIMIT,
    "issued": LIMIT,
    "profile": LIMIT,
    "anything": 1,
}
# Fewer to try out: SEARCH_ROWS=100000.
ROWS = int(os.environ.get("SEARCH_ROWS") or "0")
SIZE = {engine: ROWS or sizes[-1] for engine, sizes in ENGINES.items()}
ASKED_ABOUT = 20


@cache
def indexed(engine: str) -> Parts:
    """The CA of `ca.scale` with its search index complete."""
    parts, segments = ca(engine, SIZE[engine]), 0
    began = time.perf_counter()
    while done := parts.search_index.run(64):
        segments += done
    passed = time.perf_counter() - began
    each = 1e6 * passed / max(segments * 4096, 1)
    print(f"  {engine}: {segments} segments indexed in {passed:.0f} s, {each:.0f} µs each", flush=True)
    return parts


@benchmark(*(f"ca.search.{engine}.{act}.{SIZE[engine]}" for engine in SIZE for act in ACTS))
def search(name: str) -> Iterator[Row]:
    """One caller, the first page of each search, each time for another certificate."""
    _ca, _search, engine, act, _size = name.split(".")
    if engine == "postgresql" and postgresql.server() is None:
        raise RuntimeError("needs PostgreSQL (Debian package postgresql)")
    parts = indexed(engine)
    find = Search(parts.database).find
    questions = [_questions(parts, engine, act, number) for number in _numbers(engine)]
    if os.environ.get("PLANS"):
        _show_plans(parts, f"{engine} {act}", lambda: _find_any(find, questions[0]))
    asked = itertools.cycle(questions)
    took: list[tuple[float, float]] = []

    def work() -> None:
        began = time.perf_counter(), time.process_time()
        found = _find_any(find, next(asked))
        took.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        if found < ACTS[act] or (act == "nothing" and found):
            raise RuntimeError(f"found {found}")

    notes: list[str] = []
    peers = []
    if act == "name":
        peers = [Contender(work=lambda: _like(parts, engine), name="LIKE, without an index", rounds=1)]
    yield Row(unit="searches/s", ours=Contender(work=work), peers=peers, notes=notes)
    slowest, busy = (max(column) for column in zip(*took, strict=True))
    notes.append(f"the slowest took {1000 * slowest:.0f} ms, at most {1000 * busy:.0f} ms of this processor")


def _find_any(find: Callable[..., Page], questions: Sequence[Query]) -> int:
    """As the console does: the first question that finds something, the first page of it."""
    for query in questions:
        page = find(query, limit=LIMIT)
        while not page.found and page.next is not None:
            page = find(query, limit=LIMIT, after=page.next)
        if page.found:
            return len(page.found)
    return 0


def _numbers(engine: str) -> range:
    last = SIZE[engine]
    return range(last // 11, last, last // ASKED_ABOUT)


def _questions(parts: Parts, engine: str, act: str, number: int) -> list[Query]:
    if act == "anything":
        return [read_query(guess) for guess in guesses(rows.name_of(number))]
    return [read_query(_asked(parts, engine, act, number))]


def _asked(parts: Parts, engine: str, act: str, number: int) -> dict[str, str]:
    table, authority = certificates.c, f"s{SIZE[engine]}"
    with parts.database.reading() as connection:
        row = connection.execute(
            select(
                table.serial, table.order_id, table.key_sha256, table.not_before, table.certificate_der
            ).where(table.entity == f"organisation:{number}")
        ).one()
    # A moment inside, so that both sides of it have certificates.
    moment, name = row.not_before, rows.name_of(number)
    return {
        "name": {"name": name},
        "begins": {"name_begins": name[: name.index(str(number)) + len(str(number))]},
        "part": {"name": str(number)[1:]},
        "number": {"identity": f"{number:04}"},
        "thumbprint": {"sha256": hashlib.sha256(row.certificate_der).hexdigest()},
        "serial": {"serial": row.serial},
        "prefix": {"serial_begins": row.serial[:8]},
        "order": {"order": row.order_id},
        "key": {"key_sha256": row.key_sha256},
        "holder": {"entity": f"organisation:{number}"},
        "frequent": {"name": "海港", "profile": "organisation"},
        # Each two characters are in a good part of all names, and hardly ever together.
        "scattered": {"name": f"{number}"[::-1], "authority": authority},
        "nothing": {"name": f"虚无{number}"},
        "revoked": {"status": "revoked", "reason": "superseded"},
        "expires": {"expires_from": moment.isoformat()},
        "issued": {"issued_until": moment.isoformat()},
        "profile": {"profile": "organisation", "authority": authority},
    }[act]


def _show_plans(parts: Parts, name: str, act: Callable[[], object]) -> None:
    """What the database says about each statement of one search."""
    seen: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            seen.setdefault(statement, parameters)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    is_sqlite = parts.database.dialect == "sqlite"
    explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
    with parts.database.reading() as connection:
        for statement, parameters in seen.items():
            plan = connection.exec_driver_sql(explain + statement, parameters).all()
            print(f"  {name}: {' '.join(statement.split())[:200]}")
            for row in plan[:8]:
                print(f"      {row[-1]}", flush=True)


def _like(parts: Parts, engine: str) -> None:
    number = next(iter(_numbers(engine)))
    query = select(certificates.c.serial).where(certificates.c.subject.contains(rows.name_of(number)))
    with parts.database.reading() as connection:
        if len(connection.execute(query).all()) != 1:
            raise RuntimeError("not found")
