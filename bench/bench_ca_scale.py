"""`ca.scale.*`: what one act costs with ten thousand, a hundred thousand, a million certificates on record.

Each row's peer is the same act beside the smallest record, so its ratio is what growth costs: 1 is flat.
`SCALE_ROWS=10000000` measures that many on PostgreSQL instead, beside the smallest.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, partial

import place
import postgresql
import rows
from harness import Contender, Row, Supply, benchmark
from orders import OrderDesk

from onecert.ca.ceremonies.ceremony import Ceremony
from onecert.ca.ceremonies.file import load_ceremony_file
from onecert.ca.issuing.order_notices import RevocationOrder
from onecert.ca.parts import Parts, assemble
from onecert.ca.search.search import Search
from onecert.ca.search.terms import read_query
from onecert.ca.signatures.tokens import root_token
from onecert.server.contexts import open_member

SMALLEST = 10_000
ASKED = int(os.environ.get("SCALE_ROWS") or "0")
SIZES = (SMALLEST, ASKED) if ASKED else (SMALLEST, 100_000, 1_000_000)
# SQLite is for one process and smaller records: its ends are enough.
ENGINES = {"postgresql": SIZES} if ASKED else {"postgresql": SIZES, "sqlite": (SIZES[0], SIZES[-1])}
ACTS = {
    "issue": "certificates/s",
    "revoke": "revocations/s",
    "serial": "look-ups/s",
    "entity": "look-ups/s",
    "page": "pages/s",
    "crl": "lists/s",
    "audit": "entries/s",
}
PAGE = 50
ASKED_ABOUT = 1_000


@cache
def ca(engine: str, count: int) -> Parts:
    """A CA on this engine with so many certificates of an authority `sN`."""
    authority, data = f"s{count}", place.new_folder(f"scale-{engine}-{count}")
    label = f"scale-{engine}-{count}"
    (data / "softhsm").symlink_to(place.store())
    place.store().mkdir(exist_ok=True)
    settings = f'[ca]\ntoken_label = "{label}"\nroot_token_label = "{label}-r"\nbatch_workers = 0\n'
    if engine == "postgresql":
        url = f"postgresql+psycopg://bench@/postgres?host={postgresql.server()}"
        settings += f'[database.ca]\nurl = "{url}"\nschema = "{authority}"\n'
    (data / "onecert.toml").write_text(settings, encoding="utf-8")
    opened = open_member("ca", data, environ={})
    context = opened.context
    parts = assemble(opened.config, context)
    roots = root_token(opened.config, context.data, context.shared)
    text = (place.ROOT / "demo" / "ceremonies" / "harbour.toml").read_text(encoding="utf-8")
    (data / f"{authority}.toml").write_text(text.replace("harbour", authority), encoding="utf-8")
    ceremony = load_ceremony_file(data / f"{authority}.toml")
    list(Ceremony(ceremony, parts, roots, actor="command:bench").hold())
    roots.close()
    atexit.register(opened.close)
    began = time.perf_counter()
    rows.fill(parts.database, authority, count)
    print(f"  {engine}: {count:,} certificates in {time.perf_counter() - began:.0f} s", flush=True)
    return parts


NAMES = [
    f"ca.scale.{engine}.{act}.{count}" for engine, sizes in ENGINES.items() for act in ACTS for count in sizes
]


@benchmark(*NAMES)
def scale(name: str) -> Iterator[Row]:
    """One act, one caller, at one size of the record; the peer is the same act at the smallest."""
    _ca, _scale, engine, act, count = name.split(".")
    if engine == "postgresql" and postgresql.server() is None:
        raise RuntimeError("needs PostgreSQL (Debian package postgresql)")
    size = int(count)
    peers = []
    if size != SMALLEST:
        peers = [_contender(act, engine, SMALLEST, name=f"the same with {SMALLEST:,} on record")]
    yield Row(
        unit=ACTS[act],
        ours=_contender(act, engine, size),
        peers=peers,
        notes=[place.flushes()] if act == "issue" else [],
    )


def _contender(act: str, engine: str, count: int, name: str = "") -> Contender:
    parts, authority = ca(engine, count), f"s{count}"
    if act == "issue":
        desk = _desk(engine, count)
        orders = Supply(lambda: desk.order()[1], per_second=500)
        return Contender(work=lambda: parts.issuance.issue(orders.take()), prepare=orders.refill, name=name)
    asked = itertools.cycle(_asked(count))
    works: dict[str, Callable[[], object]] = {
        "revoke": partial(revoke_one, parts, authority, _to_revoke(engine, count)),
        "serial": partial(_by_serial, parts, authority, asked),
        "entity": partial(_of_entity, parts, asked),
        "page": partial(_page, parts, authority, asked),
        "crl": lambda: parts.publisher.publish(authority),
        "audit": partial(_audit, parts),
    }
    if act in {"serial", "entity", "page"}:
        # In memory before the clock runs, at every size: the disk is another matter.
        for _ in range(ASKED_ABOUT):
            works[act]()
    return Contender(work=works[act], name=name)


@cache
def _desk(engine: str, count: int) -> OrderDesk:
    desk = OrderDesk(f"s{count}")
    ca(engine, count).registration_authorities.add(
        desk.name, desk.public_pem, [f"s{count}:*"], actor="command:bench"
    )
    return desk


def serial_of(number: int) -> str:
    return "4f" + hashlib.md5(f"s{number}".encode()).hexdigest()


@cache
def _asked(count: int) -> list[int]:
    """As many different certificates at every size, spread over all of them."""
    return random.Random(7).sample(range(rows.REVOKED + 1, count + 1), ASKED_ABOUT)


@cache
def _to_revoke(engine: str, count: int) -> Iterator[int]:
    """Certificates of a CA that are good: a peer of one row goes on where the row before it stopped."""
    return iter(random.sample(range(rows.REVOKED + 1, count + 1), min(count - rows.REVOKED, 5_000)))


def revoke_one(parts: Parts, authority: str, numbers: Iterator[int]) -> None:
    """As the service does it, with the list that follows at once."""
    serial = serial_of(next(numbers))
    order = RevocationOrder(
        id=str(uuid.uuid4()),
        content_sha256="00" * 32,
        requested_by="command:bench",
        authority=authority,
        serial=serial,
        reason="superseded",
        invalidity_date=None,
        people=("bench",),
        created_at=datetime.now(UTC),
        document=b"{}",
    )
    if parts.revocation.revoke(order).crl_number is None:
        raise RuntimeError("no list was made")


def _by_serial(parts: Parts, authority: str, asked: Iterator[int]) -> None:
    parts.ledger.certificate(authority, serial_of(next(asked)))


def _of_entity(parts: Parts, asked: Iterator[int]) -> None:
    query = read_query({"entity": f"organisation:{next(asked)}"})
    if len(Search(parts.database).find(query).found) != 1:
        raise RuntimeError("nobody was found")


def _page(parts: Parts, authority: str, asked: Iterator[int]) -> None:
    """What ends next after some certificate."""
    end = parts.ledger.certificate(authority, serial_of(next(asked))).not_after
    query = read_query({"authority": authority, "expires_from": end.isoformat()})
    if not Search(parts.database).find(query, limit=PAGE).found:
        raise RuntimeError("an empty page")


def _audit(parts: Parts) -> None:
    with parts.database.transaction() as connection:
        parts.audit.record(connection, event="bench.noted", actor="command:bench", subject="bench")
