"""`ca.crl.*`: a revocation list of a million, whole and after one more; recorded, checked, signed, served."""

from __future__ import annotations

import atexit
import itertools
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

import harness
import place
from harness import LESS_IS_BETTER, Row, Seconds, benchmark
from sqlalchemy import insert, select

from onecert.ca.ceremony import Ceremony
from onecert.ca.ceremony_file import load_ceremony_file
from onecert.ca.crl import entry_der
from onecert.ca.models import certificates, crl_entries
from onecert.ca.orders import RevocationOrder
from onecert.ca.parts import Parts, assemble
from onecert.ca.tokens import root_token
from onecert.server.contexts import open_member

AUTHORITY = "quay"
SPARE = 2_000
AT_ONCE = 10_000


@cache
def ca() -> Parts:
    """A CA whose record holds so many revoked certificates, and some good ones to revoke."""
    opened = open_member("ca", place.folder(), environ={})
    context = opened.context
    parts = assemble(opened.config, context)
    roots = root_token(opened.config, context.data, context.shared)
    text = (place.ROOT / "demo" / "ceremonies" / "harbour.toml").read_text(encoding="utf-8")
    path = place.folder() / f"{AUTHORITY}.toml"
    path.write_text(text.replace("harbour", AUTHORITY), encoding="utf-8")
    list(Ceremony(load_ceremony_file(path), parts, roots, actor="command:bench").hold())
    roots.close()
    atexit.register(opened.close)
    _fill(parts, harness.sizes.entries)
    return parts


def _fill(parts: Parts, count: int) -> None:
    """Write the rows that so many revocations leave; the certificates themselves are not needed."""
    now = datetime.now(UTC).replace(microsecond=0)
    end = now + timedelta(days=365)
    for start in range(0, count + SPARE, AT_ONCE):
        rows = range(start, min(start + AT_ONCE, count + SPARE))
        serials = [f"4f{secrets.token_hex(16)}" for _ in rows]
        revoked = [serial for number, serial in zip(rows, serials, strict=True) if number < count]
        with parts.database.transaction() as connection:
            connection.execute(
                insert(certificates),
                [
                    {
                        "authority": AUTHORITY,
                        "serial": serial,
                        "state": "issued",
                        "profile": "organisation",
                        "profile_version": 1,
                        "profile_sha256": "00" * 32,
                        "entity": f"organisation:{serial}",
                        "subject": "",
                        "key_sha256": serial,
                        "not_before": now,
                        "not_after": end,
                        "order_id": serial,
                        "certificate_der": b"",
                        "status": "revoked" if number < count else "good",
                    }
                    for number, serial in zip(rows, serials, strict=True)
                ],
            )
            entries = [
                {
                    "authority": AUTHORITY,
                    "serial": serial,
                    "not_after": end,
                    "entry_der": entry_der(int(serial, 16), now, "superseded", None),
                }
                for serial in revoked
            ]
            if entries:
                connection.execute(insert(crl_entries), entries)


@benchmark("ca.crl.full.1000000")
def whole(name: str) -> Iterator[Row]:
    """Every entry read and compared with the record, linted, signed, recorded, written. Floor: reading."""
    parts = ca()
    entries = select(crl_entries.c.entry_der).where(crl_entries.c.authority == AUTHORITY)

    def read() -> None:
        with parts.database.reading() as connection:
            connection.execute(entries).scalars().all()

    yield Row(
        unit=f"s{LESS_IS_BETTER}",
        ours=Seconds(work=lambda: parts.publisher.publish(AUTHORITY), calls_min=1),
        floor=Seconds(work=read, calls_min=1, name="reading the entries' rows"),
        notes=[place.flushes()],
    )


@benchmark("ca.crl.after_one.1000000")
def after_one(name: str) -> Iterator[Row]:
    """From an order to revoke to the list with it, published. Floor: the same with an empty list."""
    parts = ca()
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

    yield Row(
        unit=f"s{LESS_IS_BETTER}",
        ours=Seconds(work=revoke, calls_min=1),
        notes=[place.flushes()],
    )
