"""`ca.revoke.mass`: what two people confirmed is carried out: statuses, entries, audit, the list after it."""

from __future__ import annotations

import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import rows
from bench_ca_scale import ca, revoke_one, serial_of
from harness import Contender, EmptyError, Row, benchmark
from sqlalchemy import insert

from onecert.ca.parts import Parts
from onecert.ca.revocation.mass import CONFIRMED
from onecert.ca.revocation.mass_models import mass_revocation_chunks, mass_revocations
from onecert.ca.revocation.mass_selection import CHUNK

COUNT = 100_000
BATCH = 2_500


@benchmark("ca.revoke.mass")
def mass_revocation(name: str) -> Iterator[Row]:
    """Some thousand certificates at a time, on SQLite; the peer revokes one by one, with a list for each."""
    parts, authority = ca("sqlite", COUNT), f"s{COUNT}"
    numbers = iter(range(rows.REVOKED + 1, COUNT + 1))
    single = iter(range(COUNT, 0, -1))
    waits: list[float] = []

    def work() -> None:
        serials = sorted(serial_of(number) for number, _ in zip(numbers, range(BATCH), strict=False))
        if len(serials) < BATCH:
            raise EmptyError
        _confirm(parts, authority, serials)
        with _others(parts, waits):
            changed = parts.mass_revocation_work.run(timedelta(minutes=1))
        if changed != BATCH:
            raise RuntimeError(f"{changed} were revoked")

    peer = Contender(
        work=partial(revoke_one, parts, authority, single), name="one by one, each with its list", rounds=1
    )
    notes: list[str] = []
    yield Row(
        unit="certificates/s",
        ours=Contender(work=work, batch=BATCH, calls_min=1),
        peers=[peer],
        notes=notes,
    )
    notes.append(f"others waited at most {1000 * max(waits):.0f} ms for a transaction of their own")


def _confirm(parts: Parts, authority: str, serials: list[str]) -> None:
    """As if two people had signed it; that is not measured."""
    number, now = str(uuid.uuid4()), datetime.now(UTC)
    values = {
        "id": number,
        "content_sha256": "00" * 32,
        "authority": authority,
        "state": CONFIRMED,
        "selection": "{}",
        "is_whole": False,
        "reason": "superseded",
        "why": "a measurement",
        "document": b"{}",
        "proposed_by": "operator:bench",
        "people": "[]",
        "proposed_at": now,
        "certificates": len(serials),
        "holders": len(serials),
        "already": 0,
    }
    parted = [serials[at : at + CHUNK] for at in range(0, len(serials), CHUNK)]
    chunks = [
        {
            "mass_revocation": number,
            "number": place,
            "certificates": len(some),
            "is_done": False,
            "changed": 0,
            "serials": zlib.compress("".join(f"{serial}\n" for serial in some).encode()),
        }
        for place, some in enumerate(parted, start=1)
    ]
    with parts.database.transaction() as connection:
        connection.execute(insert(mass_revocations), values)
        connection.execute(insert(mass_revocation_chunks), chunks)


@contextmanager
def _others(parts: Parts, waits: list[float]) -> Iterator[None]:
    """Somebody else who writes meanwhile, as orders do."""
    done = threading.Event()

    def write() -> None:
        while not done.wait(0.02):
            began = time.perf_counter()
            with parts.database.transaction():
                waits.append(time.perf_counter() - began)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
