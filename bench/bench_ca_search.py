"""`ca.search.*`: a certificate among a million is found by what few of them have; and the index that does it.

The peer is what one would do without an index: ask the database for the text, which reads every row.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from functools import cache

import postgresql
import rows
from bench_ca_scale import ENGINES, ca
from harness import Contender, Row, benchmark
from sqlalchemy import select

from onecert.ca.models import certificates
from onecert.ca.parts import Parts
from onecert.ca.search.search import Page, Search
from onecert.ca.search.terms import Query, read_query

ACTS = ("name", "number", "thumbprint", "frequent", "nothing")
SIZE = {engine: sizes[-1] for engine, sizes in ENGINES.items()}
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
    asked = itertools.cycle([read_query(_asked(parts, act, number)) for number in _numbers(engine)])
    took: list[float] = []

    def work() -> None:
        began = time.perf_counter()
        found = _find(find, next(asked))
        took.append(time.perf_counter() - began)
        if found != (0 if act == "nothing" else 100 if act == "frequent" else 1):
            raise RuntimeError(f"found {found}")

    notes: list[str] = []
    peers = []
    if act == "name":
        peers = [Contender(work=lambda: _like(parts, engine), name="LIKE, without an index", rounds=1)]
    yield Row(unit="searches/s", ours=Contender(work=work), peers=peers, notes=notes)
    notes.append(f"the slowest took {1000 * max(took):.0f} ms")


def _find(find: Callable[..., Page], query: Query) -> int:
    """The first certificates, on as many pages as it takes."""
    page = find(query, limit=100)
    while not page.found and page.next is not None:
        page = find(query, limit=100, after=page.next)
    return len(page.found)


def _numbers(engine: str) -> range:
    last = SIZE[engine]
    return range(last // 11, last, last // ASKED_ABOUT)


def _asked(parts: Parts, act: str, number: int) -> dict[str, str]:
    if act == "thumbprint":
        query = select(certificates.c.certificate_der).where(
            certificates.c.entity == f"organisation:{number}"
        )
        with parts.database.reading() as connection:
            return {"sha256": hashlib.sha256(connection.execute(query).scalar_one()).hexdigest()}
    return {
        "name": {"name": rows.name_of(number)},
        "number": {"identity": f"{number:04}"},
        "frequent": {"name": "海港", "profile": "organisation"},
        "nothing": {"name": f"虚无{number}"},
    }[act]


def _like(parts: Parts, engine: str) -> None:
    number = next(iter(_numbers(engine)))
    query = select(certificates.c.serial).where(certificates.c.subject.contains(rows.name_of(number)))
    with parts.database.reading() as connection:
        if len(connection.execute(query).all()) != 1:
            raise RuntimeError("not found")
