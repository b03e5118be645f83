"""`ca.crl.*`: a revocation list of a million, whole and after one more; recorded, checked, signed, served."""

from __future__ import annotations

import atexit
import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import harness
import place
import postgresql
from harness import LESS_IS_BETTER, Row, Seconds, benchmark
from sqlalchemy import Dialect, select, text

from onecert.ca.ceremonies.ceremony import Ceremony
from onecert.ca.ceremonies.file import load_ceremony_file
from onecert.ca.issuing.order_notices import RevocationOrder
from onecert.ca.lists.crl import entry_der
from onecert.ca.models import certificates, crl_entries
from onecert.ca.parts import Parts, assemble
from onecert.ca.signatures.tokens import root_token
from onecert.server.contexts import open_member
from onecert.server.database import UtcDateTime

AUTHORITY = "quay"
NOTE = "goals: 3 s whole, 0.3 s after one more"
SPARE = 2_000


@cache
def ca(engine: str) -> Parts:
    """A CA on this engine whose record holds so many revoked certificates, and some good ones to revoke."""
    folder = place.new_folder(f"lists-{engine}")
    (folder / "softhsm").symlink_to(place.store())
    place.store().mkdir(exist_ok=True)
    label = f"lists-{engine}"
    settings = f'[ca]\ntoken_label = "{label}"\nroot_token_label = "{label}-r"\nbatch_workers = 0\n'
    if engine == "postgresql":
        url = f"postgresql+psycopg://bench@/postgres?host={postgresql.server()}"
        settings += f'[database.ca]\nurl = "{url}"\nschema = "lists"\n'
    (folder / "onecert.toml").write_text(settings, encoding="utf-8")
    opened = open_member("ca", folder, environ={})
    context = opened.context
    parts = assemble(opened.config, context)
    roots = root_token(opened.config, context.data, context.shared)
    ceremony = (place.ROOT / "demo" / "ceremonies" / "harbour.toml").read_text(encoding="utf-8")
    path = folder / f"{AUTHORITY}.toml"
    path.write_text(ceremony.replace("harbour", AUTHORITY), encoding="utf-8")
    list(Ceremony(load_ceremony_file(path), parts, roots, actor="command:bench").hold())
    roots.close()
    atexit.register(opened.close)
    _fill(parts, harness.sizes.entries)
    return parts


def _fill(parts: Parts, count: int) -> None:
    """Write the rows that so many revocations leave; the certificates themselves are not needed.

    The database makes them itself: as rows of ours they would take longer than everything that is measured.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    columns = {
        "authority": AUTHORITY,
        "state": "issued",
        "profile": "organisation",
        "profile_version": 1,
        "profile_sha256": "00" * 32,
        "subject": "",
        "not_before": UtcDateTime().process_bind_param(now, _dialect(parts)),
        "not_after": UtcDateTime().process_bind_param(now + timedelta(days=365), _dialect(parts)),
        "certificate_der": b"",
    }
    sample = entry_der(0x4F << 128, now, "superseded", None)
    with parts.database.transaction() as connection:
        numbers, serial, joined = _ENGINES[parts.database.dialect]
        if parts.database.dialect == "sqlite":
            # SQLite has it from 3.41 on.
            plain: Any = connection.connection.driver_connection
            plain.create_function("unhex", 1, bytes.fromhex, deterministic=True)
        names = ", ".join(columns)
        values = ", ".join(f":{name}" for name in columns)
        connection.execute(
            text(
                f"INSERT INTO ca_certificates ({names}, serial, key_sha256, order_id, entity, status)"
                f" {numbers}"
                f" SELECT {values}, s, s, s, 'organisation:' || s,"
                " CASE WHEN n < :count THEN 'revoked' ELSE 'good' END"
                f" FROM (SELECT n, {serial} AS s FROM r) x"
            ),
            columns | {"count": count, "all": count + SPARE},
        )
        connection.execute(
            text(
                "INSERT INTO ca_crl_entries (authority, serial, not_after, entry_der)"
                f" SELECT authority, serial, not_after, {joined} FROM ca_certificates"
                " WHERE authority = :a AND status = 'revoked'"
            ),
            {"a": AUTHORITY, "head": sample[:4], "tail": sample[21:]},
        )
    with parts.database.transaction() as connection:
        connection.execute(text("ANALYZE ca_certificates"))
        connection.execute(text("ANALYZE ca_crl_entries"))
    if parts.database.dialect == "postgresql":
        # As its own autovacuum would have done long before there are so many.
        with closing(parts.database.own_connection()) as connection:
            connection.execute(text("VACUUM ca_certificates, ca_crl_entries"))


# Rows 0 to :all in r(n), a serial of 17 octets, and an entry around it.
_ENGINES = {
    "sqlite": (
        "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n + 1 < :all)",
        "'4f' || lower(hex(randomblob(16)))",
        "CAST(:head || unhex(serial) || :tail AS BLOB)",
    ),
    "postgresql": (
        "WITH r(n) AS (SELECT generate_series(0, :all - 1))",
        "'4f' || md5(n::text || random()::text)",
        "CAST(:head AS bytea) || decode(serial, 'hex') || CAST(:tail AS bytea)",
    ),
}


def _dialect(parts: Parts) -> Dialect:
    with parts.database.reading() as connection:
        return connection.dialect


def _engine(name: str) -> str:
    return "postgresql" if name.endswith("postgresql") else "sqlite"


@benchmark("ca.crl.full.1000000", "ca.crl.full.1000000.postgresql")
def whole(name: str) -> Iterator[Row]:
    """Every entry read and compared with the record, linted, signed, recorded, written. Floor: reading."""
    parts = ca(_engine(name))
    entries = select(crl_entries.c.entry_der).where(crl_entries.c.authority == AUTHORITY)

    def read() -> None:
        with parts.database.reading() as connection:
            connection.execute(entries).scalars().all()

    yield Row(
        unit=f"s{LESS_IS_BETTER}",
        ours=Seconds(work=lambda: parts.publisher.publish(AUTHORITY), calls_min=1),
        floor=Seconds(work=read, calls_min=1, name="reading the entries' rows"),
        notes=[NOTE, place.flushes()],
    )


@benchmark("ca.crl.after_one.1000000", "ca.crl.after_one.1000000.postgresql")
def after_one(name: str) -> Iterator[Row]:
    """From an order to revoke to the list with it, published. Floor: hashing the list twice and writing it.

    Once for record and key, once for the file: both hashes begin with what changes.
    """
    parts = ca(_engine(name))
    parts.publisher.publish(AUTHORITY, at_least=1 << 60)
    with parts.database.reading() as connection:
        good = select(certificates.c.serial).where(
            certificates.c.authority == AUTHORITY, certificates.c.status == "good"
        )
        good = good.where(certificates.c.entity.like("organisation:%"))
        unused = iter(connection.execute(good).scalars().all())
    numbers = itertools.count()

    def revoke() -> None:
        number, at = next(numbers), parts.clock.now()
        done = parts.revocation.revoke(
            RevocationOrder(
                id=f"bench.{secrets.token_hex(8)}",
                requested_by="command:bench",
                created_at=at,
                authority=AUTHORITY,
                serial=next(unused),
                reason="superseded",
                invalidity_date=None,
                people=("bench",),
                content_sha256=f"{number:064x}",
                document=json.dumps({}).encode(),
            )
        )
        if done.crl_number is None:
            raise RuntimeError("no list was made")

    content = parts.files.path(AUTHORITY, "crl").read_bytes()
    beside = place.new_folder(f"after-{_engine(name)}") / "list"

    def hash_and_write() -> None:
        for _hash in range(2):
            hashlib.sha256(content).digest()
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    yield Row(
        unit=f"s{LESS_IS_BETTER}",
        ours=Seconds(work=revoke, calls_min=1),
        floor=Seconds(work=hash_and_write, calls_min=1, name="two hashes of the list and one flushed write"),
        notes=[NOTE, place.flushes()],
    )
