"""A record of so many certificates, written straight into the tables: what the years leave behind.

Numbers of orders, serials and keys are spread as real ones are, so that every index is as large and as
scattered as it would be. Bytes of certificates and orders have real sizes and no meaning.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection

from onecert.ca.lists.crl import entry_der
from onecert.server.database import Database

__all__ = ["REVOKED", "fill", "name_of"]

# The cost of a list follows what is on it and not what was issued: it is the same at every size.
REVOKED = 5_000
DER_BYTES, ORDER_BYTES = 576, 320

_FILLED = ("ca_certificates", "ca_orders", "ca_keys", "ca_key_numbers", "audit_entries", "ca_crl_entries")
_NUMBERS = {
    "postgresql": "generate_series({first}, {last}) AS n",
    "sqlite": "(WITH RECURSIVE s(n) AS (VALUES ({first}) UNION ALL SELECT n + 1 FROM s WHERE n < {last})"
    " SELECT n FROM s)",
}
_SQL = {
    "ca_certificates": """
        INSERT INTO ca_certificates (authority, serial, state, profile, profile_version, profile_sha256,
            entity, subject, key_sha256, not_before, not_after, order_id, certificate_der, status, revoked_at,
            reason, crl_partition)
        SELECT '{authority}', '4f' || {hex}('s' || n), 'issued', 'organisation', 1, '{zeros}',
            'organisation:' || n, {subject}, {hex}('k' || n) || {hex}('l' || n), {begins}, {ends},
            {hex}('o' || n), {blob}, CASE WHEN n <= {revoked} THEN 'revoked' ELSE 'good' END,
            CASE WHEN n <= {revoked} THEN {moment} END, CASE WHEN n <= {revoked} THEN 'superseded' END, 0
        FROM {numbers}""",
    "ca_orders": """
        INSERT INTO ca_orders (id, content_sha256, ordered_by, authority, serial, document, received_at)
        SELECT {hex}('o' || n), {hex}('c' || n) || {hex}('d' || n), 'ra:bench', '{authority}',
            '4f' || {hex}('s' || n), {document}, '{begin}' FROM {numbers}""",
    "ca_keys": """
        INSERT INTO ca_keys (key_sha256, entity)
        SELECT {hex}('k' || n) || {hex}('l' || n), 'organisation:' || n FROM {numbers}""",
    "ca_key_numbers": """
        INSERT INTO ca_key_numbers (authority, entity, number, key_sha256)
        SELECT '{authority}', 'organisation:' || n, 1, {hex}('k' || n) || {hex}('l' || n) FROM {numbers}""",
    "audit_entries": """
        INSERT INTO audit_entries (seq, at, service, event, actor, subject, details, previous, hash)
        SELECT {base} + n, '{begin}', 'ca', 'certificate.issued', 'ra:bench',
            '{authority}/4f' || {hex}('s' || n), '{details}', '{zeros}', '{zeros}' FROM {numbers}""",
    "ca_crl_entries": """
        INSERT INTO ca_crl_entries (authority, serial, not_after, entry_der)
        SELECT '{authority}', '4f' || {hex}('s' || n), {ends}, {entry} FROM {numbers}""",
}


# Invented names, of which many share their parts, as those of a city do.
_PARTS = "海港明珠金桥云帆星河东方远航瑞丰恒通嘉禾天工百川千里长风青松白鹭红树蓝湾绿野紫荆"
_KINDS = "贸易科技物流建筑餐饮教育医疗文化环保电子"


def name_of(number: int) -> str:
    """The name in the certificate of a number, as `_SUBJECT` writes it."""
    first, second = number % (len(_PARTS) - 1), number // 7 % (len(_PARTS) - 1)
    kind = number % (len(_KINDS) // 2) * 2
    parts = _PARTS[first : first + 2] + _PARTS[second : second + 2]
    return f"深圳市{parts}{number}{_KINDS[kind : kind + 2]}有限公司"


def _modulo(of: str, by: int) -> str:
    """In words that both engines know, and that no driver takes for a parameter."""
    return f"({of} - {of} / {by} * {by})"


_SUBJECT = (
    f"'C=CN, O=深圳市' || substr('{_PARTS}', 1 + {_modulo('n', len(_PARTS) - 1)}, 2)"
    f" || substr('{_PARTS}', 1 + {_modulo('(n / 7)', len(_PARTS) - 1)}, 2) || n"
    f" || substr('{_KINDS}', 1 + {_modulo('n', len(_KINDS) // 2)} * 2, 2) || '有限公司'"
)


def fill(database: Database, authority: str, count: int) -> None:
    """Add so many certificates of an authority, a few of them revoked, with all that belongs to them."""
    if database.dialect == "sqlite":
        # By another connection: SQLite needs our functions, which the service's connections do not have.
        _fill_sqlite(database, authority, count)
        return
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(_fill_table, database, table, authority, count) for table in _FILLED]:
            done.result()
    analyze = database.own_connection()
    for table in _FILLED:
        analyze.exec_driver_sql(f"ANALYZE {table}")
    analyze.exec_driver_sql("CHECKPOINT")
    analyze.close()


def _fill_table(database: Database, table: str, authority: str, count: int) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        base = int(connection.exec_driver_sql("SELECT seq FROM audit_chain").scalar_one())
        # What is emptied in the same transaction needs no log (wal_level = minimal), and indexes are made
        # once instead of row by row.
        connection.exec_driver_sql(f"CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {table}")
        connection.exec_driver_sql(f"TRUNCATE {table}")
        indexes = _drop_indexes(connection, table)
        connection.exec_driver_sql(f"INSERT INTO {table} SELECT * FROM kept")
        last = REVOKED if table == "ca_crl_entries" else count
        connection.exec_driver_sql(_statement(table, "postgresql", authority, last, base))
        for statement in indexes:
            connection.exec_driver_sql(statement)
        if table == "audit_entries":
            connection.exec_driver_sql(f"UPDATE audit_chain SET seq = {base + count}, hash = '{'0' * 64}'")


def _fill_sqlite(database: Database, authority: str, count: int) -> None:
    import sqlite3  # noqa: PLC0415 - one engine of two

    connection = sqlite3.connect(str(database.path), isolation_level=None)
    connection.create_function("md5", 1, lambda text: hashlib.md5(text.encode()).hexdigest())
    connection.create_function("unhex", 1, bytes.fromhex)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -500000")
    for table in _FILLED:
        connection.execute("BEGIN IMMEDIATE")
        (base,) = connection.execute("SELECT seq FROM audit_chain").fetchone()
        last = REVOKED if table == "ca_crl_entries" else count
        connection.execute(_statement(table, "sqlite", authority, last, base))
        if table == "audit_entries":
            connection.execute("UPDATE audit_chain SET seq = ?, hash = ?", (base + count, "0" * 64))
        connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _drop_indexes(connection: Connection, table: str) -> list[str]:
    """Drop indexes and primary key of a table; return what makes them again."""
    key: Any = connection.exec_driver_sql(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE conrelid = '{table}'::regclass AND contype = 'p'"
    ).one()
    connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {key[0]}")
    again = [f"ALTER TABLE {table} ADD CONSTRAINT {key[0]} {key[1]}"]
    rows = connection.exec_driver_sql(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        f" WHERE indrelid = '{table}'::regclass"
    ).all()
    for name, statement in rows:
        connection.exec_driver_sql(f"DROP INDEX {name}")
        again.append(statement)
    return again


def _statement(table: str, dialect: str, authority: str, last: int, base: int) -> str:
    now = _now()
    hex_, is_sqlite = "md5", dialect == "sqlite"
    serial = "4f" + "ab" * 16
    sample = entry_der(int(serial, 16), now, "superseded", None).hex()
    before, after = sample.split(serial)

    def blob(size: int, salt: str) -> str:
        repeated = f"replace(printf('%.{size // 16}c', 'x'), 'x', md5('{salt}' || n))"
        return (
            f"unhex({repeated})" if is_sqlite else f"decode(repeat(md5('{salt}' || n), {size // 16}), 'hex')"
        )

    entry = f"'{before}' || '4f' || md5('s' || n) || '{after}'"
    moment = _text(now)
    return _SQL[table].format(
        authority=authority,
        base=base,
        begin=_text(now - timedelta(days=1)),
        begins=_second(dialect, now - timedelta(days=200)),
        ends=_second(dialect, now + timedelta(days=165)),
        moment=f"'{moment}'" if is_sqlite else f"timestamptz '{moment}'",
        zeros="0" * 64,
        hex=hex_,
        blob=blob(DER_BYTES, "b"),
        document=blob(ORDER_BYTES, "e"),
        details='{"order":"00000000000000000000000000000000","profile":"organisation"}',
        subject=_SUBJECT,
        entry=f"unhex({entry})" if is_sqlite else f"decode({entry}, 'hex')",
        revoked=REVOKED,
        numbers=_NUMBERS[dialect].format(first=1, last=last),
    )


@cache
def _now() -> datetime:
    """One moment for all tables: what belongs together says the same."""
    return datetime.now(UTC).replace(microsecond=0)


def _second(dialect: str, first: datetime) -> str:
    """The n-th second from a moment on: as many certificates a day as a city's CA makes in its first week."""
    if dialect == "sqlite":
        return f"strftime('%Y-%m-%dT%H:%M:%S.000000Z', {int(first.timestamp())} + n, 'unixepoch')"
    return f"timestamptz '{_text(first)}' + n * interval '1 second'"


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")[:26] + "Z"
