"""The rows of a registration authority's record that the database makes by itself: one statement a table.

Written once for both engines; `{…}` stands for what each spells in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from rows import _KINDS, _PARTS

from onecert.ra.search.tables import PART_CHARS

__all__ = ["AUTHORITIES", "POINTS", "STEPS", "T", "statements"]

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STEPS = ("created", "submitted", "approved", "ordered", "issued")
POINTS = ("main", "north", "south", "east")
AUTHORITIES = ("pearl", "harbour", "summit")

_NUMBERS = {
    "postgresql": "generate_series(0, {last}) AS n",
    "sqlite": "(WITH RECURSIVE s(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM s WHERE n < {last})"
    " SELECT n FROM s)",
}
_SQL = {
    "ra_names": "INSERT INTO ra_names (id, name) SELECT n + 1, {new_name} FROM {names_n}",
    "ra_application_events": """
        INSERT INTO ra_application_events (application_id, at, actor, event, state)
        SELECT {id}, {minute}, CASE WHEN s < 2 THEN 'wang' ELSE 'li' END, {step},
            CASE WHEN s = 0 THEN 'draft' ELSE {step} END
        FROM {applications_n}, {steps} ORDER BY n, s""",
    "ra_certificates": """
        INSERT INTO ra_certificates (authority, serial_hex, application_id, order_id, kind, name, uscc,
            sha256, sha1, certificate_pem, chain_pem, not_before, not_after, issued_at, status, status_since,
            point, token_number)
        SELECT {authority}, {serial}, {application}, 'o' || n, 'organisation', {name}, {uscc},
            {sha256}, substr({sha256}, 1, 40), '{pem}', '{pem}', {half_minute}, {end}, {half_minute},
            CASE {n} % 20 WHEN 0 THEN 'revoked' WHEN 1 THEN 'hold' ELSE 'good' END, {half_minute},
            {point}, CASE WHEN {n} % 2 = 1 THEN 'TK' || {nine} END
        FROM {certificates_n}""",
    "ra_name_parts": """
        INSERT INTO ra_name_parts (part, name_id)
        SELECT part, id FROM (
            SELECT substr('^' || name, 1, {width}) AS part, id FROM ra_names
            UNION SELECT substr(name, i + 1, {width}), id FROM ra_names, {places} WHERE i < length(name)
        ) AS found ORDER BY part{octets}, id""",
    "ra_revocations": """
        INSERT INTO ra_revocations (id, request_key, authority, serial_hex, reason, requested_by, document,
            state, created_at, attempts, next_attempt_at, answered_at)
        SELECT {revocation}, 'r' || n, {authority}, {serial},
            CASE WHEN {n} % 20 = 0 THEN 'superseded' ELSE 'certificateHold' END, 'zhao', {blob}, 'done',
            {half_minute}, 1, {half_minute}, {half_minute}
        FROM {certificates_n} WHERE {n} % 20 < 2""",
    "ra_cases": """
        INSERT INTO ra_cases (id, request_key, business, state, state_since, revision, point, authority,
            serial_hex, kind, name, reason, note, content_sha256, created_at, created_by)
        SELECT {case}, 'c' || n, CASE {n} % 4 WHEN 0 THEN 'hold' WHEN 1 THEN 'revoke' WHEN 2 THEN 'unlock'
            ELSE 'recovery' END, CASE WHEN {cases} - n < 90 THEN 'submitted' ELSE 'done' END,
            {minute_of_case}, 1, {point}, {authority}, {serial}, 'organisation', {name}, '', '', '{zeros}',
            {minute_of_case}, 'wang'
        FROM {cases_n}""",
    "ra_batches": """
        INSERT INTO ra_batches (id, request_key, state, state_since, phase, revision, point, authority, kind,
            title, file_name, file_sha256, columns, salt_sealed, policy, rows, checked, good, warning,
            duplicate, error, entered, refused, created_at, created_by)
        SELECT {batch}, 'b' || n, CASE WHEN {batches} - n < 20 THEN 'submitted' ELSE 'done' END, {minute},
            'finished', 1, {point}, {authority}, 'organisation', 'b' || n, 'b.csv', '{zeros}', '[]', {blob},
            'good', 100, 100, 100, 0, 0, 0, 100, 0, {minute}, 'wang'
        FROM {batches_n}""",
    "ra_media": """
        INSERT INTO ra_media (token_number, kind, point, state, state_since, received_at, application_id,
            authority, serial_hex)
        SELECT 'TK' || {nine}, 'usb_key', {point}, CASE WHEN {n} % 10 = 0 THEN 'stock' ELSE 'used' END,
            {minute}, {minute}, {id}, {authority}, {serial}
        FROM {applications_n}""",
    "ra_key_origins": """
        INSERT INTO ra_key_origins (application_id, origin, key_sha256, token_number, made_at, made_by)
        SELECT {id}, 'token', {key}, 'TK' || {nine}, {minute}, 'sun'
        FROM {applications_n} WHERE {n} % 2 = 1""",
    "ra_notices": """
        INSERT INTO ra_notices (id, key, notice, step, about, name, point, authority, kind, state, created_at,
            attempts, next_attempt_at, answered_at)
        SELECT {id}, 'renewal:' || n, 'renewal', 60, 'certificate:' || {authority} || '/' || {serial}, {name},
            {point}, {authority}, 'organisation', 'sent', {minute}, 1, {minute}, {minute}
        FROM {applications_n}""",
    "audit_entries": """
        INSERT INTO audit_entries (seq, at, service, event, actor, subject, details, previous, hash)
        SELECT 1000 + n * 5 + s, {minute}, 'ra', 'application.' || {step},
            CASE WHEN s < 2 THEN 'operator:wang' WHEN s = 2 THEN 'operator:zhao' ELSE 'service' END,
            'application:' || {id}, '{{}}', '{zeros}', '{zeros}'
        FROM {applications_n}, {steps} ORDER BY n, s""",
    "audit_chain": "UPDATE audit_chain SET seq = 1000 + 5 * {applications}, hash = '{zeros}'",
    "ra_search_tasks": """
        INSERT INTO ra_search_tasks (name, position, done, finished_at)
        SELECT name, '', 0, {t} FROM (SELECT 'names' AS name UNION SELECT 'certificates' UNION SELECT 'marks')
            AS tasks""",
}


def statements(dialect: str, *, count: int, applications: int, names: int, pem: str) -> Mapping[str, str]:
    """Table -> the statement that fills it; in this order."""
    is_sqlite = dialect == "sqlite"
    name = f"(n % {names})"
    uuid = "uuid_of({of})" if is_sqlite else "md5({of})::uuid::text"

    def at(expression: str) -> str:
        """Seconds before T as a moment."""
        if is_sqlite:
            return (
                f"strftime('%Y-%m-%dT%H:%M:%S.000000Z', {int(T.timestamp())} - ({expression}), 'unixepoch')"
            )
        return f"(timestamptz '{T.isoformat()}' - ({expression}) * interval '1 second')"

    def padded(of: str, width: int) -> str:
        return f"printf('%0{width}d', {of})" if is_sqlite else f"lpad(({of})::text, {width}, '0')"

    def numbers(last: int) -> str:
        return _NUMBERS[dialect].format(last=last - 1)

    def one_of(values: tuple[str, ...], index: str) -> str:
        return f"CASE {index} " + " ".join(f"WHEN {i} THEN '{v}'" for i, v in enumerate(values)) + " END"

    cases, batches = applications // 5, applications // 100
    part, kind = len(_PARTS) - 1, len(_KINDS) // 2
    shown_name = (
        f"'深圳市' || substr('{_PARTS}', 1 + {name} % {part}, 2)"
        f" || substr('{_PARTS}', 1 + ({name} / 7) % {part}, 2) || {name}"
        f" || substr('{_KINDS}', 1 + {name} % {kind} * 2, 2) || '有限公司'"
    )
    spelled = {
        "n": "n",
        "authority": one_of(AUTHORITIES, f"{name} % 3"),
        "point": one_of(POINTS, f"{name} % 4"),
        "serial": "'4f' || md5('s' || n)",
        "id": uuid.format(of="'a' || n"),
        "application": uuid.format(of=f"'a' || CASE WHEN n < {applications} THEN n ELSE 1000000000 + n END"),
        "revocation": uuid.format(of="'r' || n"),
        "case": uuid.format(of="'c' || n"),
        "batch": uuid.format(of="'b' || n"),
        "name": f"(SELECT name FROM ra_names WHERE id = 1 + {name})",
        "new_name": shown_name,
        "uscc": f"'91440300MA' || {padded(name, 8)}",
        "nine": padded("n", 9),
        "sha256": "sha256_hex('' || n)" if is_sqlite else "encode(sha256((n::text)::bytea), 'hex')",
        "pem": pem,
        "minute": at(f"60 * ({applications} - n)"),
        "minute_of_case": at(f"300 * ({cases} - n)"),
        "half_minute": at(f"30 * ({count} - n)"),
        "end": at("-86400 * (n % 700 - 30)"),
        "t": at("0"),
        "step": one_of(STEPS, "s"),
        "steps": "(SELECT 0 AS s UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)"
        " AS steps",
        "places": "(" + " UNION ALL ".join(f"SELECT {i} AS i" for i in range(40)) + ") AS places",
        "octets": "" if is_sqlite else ' COLLATE "C"',
        "blob": "x'00'" if is_sqlite else "'\\x00'::bytea",
        "key": "printf('%064x', n)" if is_sqlite else "lpad(to_hex(n), 64, '0')",
        "zeros": "0" * 64,
        "width": PART_CHARS,
        "applications": applications,
        "cases": cases,
        "batches": batches,
        "applications_n": numbers(applications),
        "certificates_n": numbers(count),
        "names_n": numbers(names),
        "cases_n": numbers(cases),
        "batches_n": numbers(batches),
    }
    return {table: statement.format(**spelled) for table, statement in _SQL.items()}
