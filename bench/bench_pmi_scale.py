"""`pmi.scale.*`: what one act costs with ten thousand and with a million attribute certificates on record.

Each row's peer is the same act beside the smaller record, so its ratio is what growth costs: 1 is flat.
`pmi.acrl.100000` makes, checks and signs a revocation list with a hundred thousand entries.
"""

from __future__ import annotations

import atexit
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial

import place
from bench_pmi import ACTOR, AUTHORITY, CATALOGUE, HOLDERS, POLICY, ROLE, World, _trust_files
from cryptography import x509
from harness import Contender, Row, benchmark
from pki import DAY, NOW, pki
from sqlalchemy import Connection

from onecert.hsm import KeyAlgorithm
from onecert.pmi.authorities.requests import make_request
from onecert.pmi.catalogue.reading import read_catalogue
from onecert.pmi.decisions.decide import Asked
from onecert.pmi.grants.acts import OFFICER, GrantRequest
from onecert.pmi.parts import assemble
from onecert.pmi.repository.pull import pull_holder
from onecert.pmi.repository.search import Search, search_certificates
from onecert.pmi.tokens import POLICY_KEY
from onecert.server.contexts import open_member
from onecert.server.database import UtcDateTime
from onecert.verifier.decision import PolicySource, Resource

SMALLEST = 10_000
LARGEST = int(os.environ.get("SCALE_ROWS") or 1_000_000)
REVOKED = 1_000
# One in twenty has ended and is on no list any more.
MANY_REVOKED = 105_000
OF_EACH_HOLDER = 10
ROLES = 100
ACTS = {
    "decide": "decisions/s",
    "issue": "attribute certificates/s",
    "acrl": "lists/s",
    "list": "pages/s",
    "holder": "searches/s",
    "name": "searches/s",
    "role": "searches/s",
    "status": "searches/s",
    "expiring": "searches/s",
    "deep": "pages/s",
    "pull": "answers/s",
}
NAMES = [f"pmi.scale.{act}.{count}" for act in ACTS for count in (SMALLEST, LARGEST)]


@cache
def world(count: int, revoked: int = REVOKED) -> World:
    """A PMI with so many certificates of one authority, a tenth as many holders, on SQLite."""
    name = f"pmi-{count}-{revoked}"
    made, data = pki("p256"), place.new_folder(name)
    (data / "onecert.toml").write_text(f'[pmi]\ntoken = "{name}"\n', "utf-8")
    (data / "softhsm").symlink_to(place.store())
    place.store().mkdir(exist_ok=True)
    opened = open_member("pmi", data, environ={})
    parts = assemble(replace(opened.config, **_trust_files(made)), opened.context)
    atexit.register(opened.close)
    atexit.register(parts.close)
    database = opened.context.database
    with database.transaction() as connection:
        officer = opened.context.operators.add(
            connection, "officer", "操作员", [OFFICER], "440300190001010015", NOW + 300 * DAY
        )
        label = parts.authorities.register(connection, AUTHORITY, KeyAlgorithm.P_256, actor=ACTOR)
    request = make_request(parts.token, label, KeyAlgorithm.P_256, name=AUTHORITY, organization="税务局")
    certificate = made.authority(x509.load_pem_x509_csr(request).public_key())
    catalogue = opened.context.data / "catalogue.toml"
    catalogue.write_text(CATALOGUE, "utf-8")
    key = parts.token.own_key(POLICY_KEY)
    began = time.perf_counter()
    with database.transaction() as connection:
        parts.authorities.install(
            connection, AUTHORITY, certificate, [made.issuing, made.root], signer=parts.signer, actor=ACTOR
        )
        parts.catalogues.publish(connection, read_catalogue(catalogue), actor=ACTOR)
        source = PolicySource.from_toml(POLICY.encode())
        parts.policies.publish(connection, source, key=key, actor=ACTOR)
        _fill(connection, count, revoked, made.leaves_der[0])
    parts.publisher.renew(opened.context.clock.now())
    print(f"  {count:,} certificates in {time.perf_counter() - began:.0f} s", flush=True)
    leaves = made.leaves_der
    return World(parts, officer, certificate, made, leaves[:HOLDERS], leaves[HOLDERS:])


def _fill(connection: Connection, count: int, revoked: int, holder_der: bytes) -> None:
    """Rows as they would be; the certificates themselves are so many octets of nothing."""
    bind = UtcDateTime().process_bind_param
    start, end = (bind(NOW + days * DAY, connection.dialect) for days in (-300, -30))
    day = "strftime('%Y-%m-%dT%H:%M:%f', '{}', '+' || ({}) || ' seconds') || '000Z'"
    values = {"count": count, "revoked": revoked, "holders": count // OF_EACH_HOLDER, "der": holder_der}
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {}) "
    began = day.format(str(start)[:19], f"i * 24000000 / {count}")
    ends = day.format(str(end)[:19], f"(i * 7919 % {count}) * 54432000 / {count}")
    serial = "'4a' || substr(printf('%016x', i * 2654435761 % 4294967296), 9) || printf('%030x', i)"
    columns = {
        "pmi_grants": {
            "id": "printf('%036x', i)",
            "authority": f"'{AUTHORITY}'",
            "kind": "'grant'",
            "state": "'issued'",
            "content_sha256": "printf('%064x', i)",
            "holder_der": "zeroblob(700)",
            "holder_name": f"'持有人' || (i / {OF_EACH_HOLDER}) || '号公司'",
            "entity": f"'uscc:' || (i / {OF_EACH_HOLDER})",
            "holder_form": "'certificate'",
            "attributes": f"""'{{"role": ["urn:onecert:role:r' || (i % {ROLES}) || '"]}}'""",
            "constraints": "'{}'",
            "targets": "'[]'",
            "target_groups": "'[]'",
            "short_lived": "0",
            "audit_identity": "''",
            "source": "''",
            "not_before": began,
            "not_after": ends,
            "needs_approval": "0",
            "requested_by": "'officer'",
            "requested_at": began,
            "refused_why": "''",
            "serial": serial,
        },
        "pmi_certificates": {
            "serial": serial,
            "authority": f"'{AUTHORITY}'",
            "grant_id": "printf('%036x', i)",
            "kind": "'grant'",
            "state": f"CASE WHEN i * 104729 % {count} < :revoked THEN 'revoked' ELSE 'issued' END",
            "holder_form": "'certificate'",
            "holder_sha256": f"printf('%064x', i / {OF_EACH_HOLDER})",
            "key_sha256": f"printf('%064x', i / {OF_EACH_HOLDER})",
            "holder_name": f"'持有人' || (i / {OF_EACH_HOLDER}) || '号公司'",
            "entity": f"'uscc:' || (i / {OF_EACH_HOLDER})",
            "info_der": "zeroblob(500)",
            "certificate_der": "zeroblob(600)",
            "not_before": began,
            "not_after": ends,
            "intended_at": began,
            "issued_at": began,
            "revoked_at": f"CASE WHEN i * 104729 % {count} < :revoked THEN {began} END",
            "reason": f"CASE WHEN i * 104729 % {count} < :revoked THEN 'superseded' END",
            "short_lived": "0",
        },
        "pmi_certificate_attributes": {
            "name": "'role'",
            "value": f"'urn:onecert:role:r' || (i % {ROLES})",
            "serial": serial,
        },
    }
    # An index over everything is built faster than it grows.
    tables = (*columns, "pmi_holders", "pmi_holder_names")
    named = ", ".join(f"'{name}'" for name in tables)
    found = (
        f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> '' AND tbl_name IN ({named})"
    )
    indexes = connection.exec_driver_sql(found).all()
    connection.exec_driver_sql("PRAGMA cache_size = -1000000")
    for index in indexes:
        connection.exec_driver_sql(f"DROP INDEX {index.name}")
    for table, row in columns.items():
        sql = f"INSERT INTO {table} ({', '.join(row)}) {numbers.format(':count')}"
        connection.exec_driver_sql(f"{sql} SELECT {', '.join(row.values())} FROM n", values)
    known = {
        "sha256": "printf('%064x', i)",
        "key_sha256": "printf('%064x', i)",
        "entity": "'uscc:' || i",
        "person": "''",
        "name": "'持有人' || i || '号公司'",
        "certificate_der": ":der",
        "not_before": began,
        "not_after": ends,
        "seen_at": began,
        "checked_at": began,
    }
    sql = f"INSERT INTO pmi_holders ({', '.join(known)}) {numbers.format(':holders')}"
    connection.exec_driver_sql(f"{sql} SELECT {', '.join(known.values())} FROM n", values)
    connection.exec_driver_sql(
        "INSERT INTO pmi_holder_names (part, sha256) "
        "WITH RECURSIVE p(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM p WHERE k < 16) "
        "SELECT DISTINCT substr(name, k, 8), sha256 FROM pmi_holders, p WHERE length(name) >= k"
    )
    for index in indexes:
        connection.exec_driver_sql(index.sql)


@benchmark(*NAMES)
def scale(name: str) -> Iterator[Row]:
    """One act, one caller, at one size of the record; the peer is the same act at the smaller."""
    _pmi, _scale, act, text = name.split(".")
    size = int(text)
    peers = []
    if size != SMALLEST:
        peers = [Contender(work=_work(act, SMALLEST), name=f"the same with {SMALLEST:,} on record")]
    yield Row(
        unit=ACTS[act],
        ours=Contender(work=_work(act, size)),
        peers=peers,
        notes=[place.flushes()] if act in {"issue", "acrl"} else [],
    )


def _work(act: str, count: int) -> Callable[[], object]:
    made = world(count)
    numbers = itertools.cycle(random.Random(7).sample(range(count // OF_EACH_HOLDER), 900))
    if act == "issue":
        return partial(_issue, made, itertools.cycle(made.others))
    if act == "decide":
        return _decide(made)
    if act == "acrl":
        return lambda: made.parts.publisher.publish(AUTHORITY)
    if act == "pull":
        return lambda: _pull(made, next(numbers))
    searches: dict[str, Callable[[], Search]] = {
        "list": Search,
        "holder": lambda: Search(holder=f"uscc:{next(numbers)}"),
        "name": lambda: Search(holder=f"人{next(numbers)}号"),
        "role": lambda: Search(role=f"urn:onecert:role:r{next(numbers) % ROLES}", status="valid"),
        "status": lambda: Search(authority=AUTHORITY, status="revoked"),
        "expiring": lambda: Search(expiring_days=320, authority=AUTHORITY),
        "deep": lambda: Search(after=deep),
    }
    deep = _deep(made)
    search = searches[act]
    for _ in range(100):
        _search(made, search())
    return lambda: _search(made, search())


def _search(made: World, search: Search) -> None:
    with made.parts.context.database.reading() as connection:
        if not search_certificates(connection, search, NOW).records:
            raise RuntimeError(f"nothing was found: {search}")


def _deep(made: World) -> str:
    """Where the fifth thousand of certificates ends, whatever there is."""
    with made.parts.context.database.reading() as connection:
        found = search_certificates(connection, Search(per_page=5_000), NOW)
    return found.next or ""


def _pull(made: World, number: int) -> None:
    with made.parts.context.database.reading() as connection:
        found = pull_holder(connection, made.parts.authorities, f"{number:064x}", NOW, key_sha256="0")
        if len(found.certificates) > OF_EACH_HOLDER:
            raise RuntimeError("more than the holder has")


def _issue(made: World, holders: Iterator[bytes]) -> None:
    asked = GrantRequest(authority=AUTHORITY, holder=next(holders), roles=(ROLE,))
    if made.parts.grants.request(asked, made.officer).state != "issued":
        raise RuntimeError("the grant waits")


def _decide(made: World) -> Callable[[], None]:
    for holder in made.holders:
        _issue(made, iter([holder]))
    holders = itertools.cycle(made.holders)
    form = Resource(type="Form", id="7", attributes={"amount": 500})

    def ask() -> None:
        decided = made.parts.decider.decide(Asked(certificate=next(holders), action="read", resource=form))
        if decided.decision != "permit":
            raise RuntimeError(str(decided))

    for _ in made.holders:
        ask()  # what is remembered of holders is remembered before the clock runs
    return ask


@benchmark("pmi.acrl.100000")
def large_list(name: str) -> Iterator[Row]:
    """A hundred thousand revoked: read, built, checked against the records by a stranger's eyes, signed."""
    made = world(110_000, MANY_REVOKED)
    yield Row(unit="lists/s", ours=Contender(work=lambda: made.parts.publisher.publish(AUTHORITY)))
