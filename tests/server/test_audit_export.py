"""The exported audit trail: whole it is accepted; whatever is done to it is found and named."""

import json
import re
from bisect import bisect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from onecert.server.audit import AuditTrail
from onecert.server.audit.canonical import canonical_json, entry_hash
from onecert.server.audit.check import AuditReport, export_service, verify_export
from onecert.server.audit.errors import (
    AuditChangedError,
    AuditExportError,
    AuditKeyMissingError,
    AuditMalformedError,
    AuditShortenedError,
    AuditUnsignedError,
)
from onecert.server.audit.export import export_to_file
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.documents import sign_document
from onecert.verifier.jws import key_id

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = {key_id(KEY.public_key()): KEY.public_key()}

# The lines of the export that `fill` leads to.
HEADER, ENTRY_1, ENTRY_2, HEAD_2, ENTRY_3, ENTRY_4, HEAD_4, ENTRY_5, END = range(9)


@pytest.fixture
def database(database_url: str):
    database = Database(database_url)
    migrate(database, "onecert.server.migrations")
    yield database
    database.close()


def fill(database: Database) -> None:
    """Five entries; heads after the second and the fourth."""
    clock = FixedClock(T)
    trail = AuditTrail("ca", clock)
    for number in range(1, 6):
        with database.transaction() as connection:
            trail.record(
                connection,
                event="certificate.issued",
                actor="ra:ra",
                subject=f"serial-{number}",
                details={"组织": "示例公司", "profile": "organisation", "n": number, "\u2028": '"\\\x1f'},
            )
        clock.advance(timedelta(seconds=1))
        if number in {2, 4}:
            trail.sign_head(database, KEY)


@pytest.fixture
def exported(database: Database, tmp_path: Path) -> Path:
    fill(database)
    path = tmp_path / "audit.jsonl"
    assert export_to_file(database, path, service="ca") == 5
    return path


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of one good export."""
    folder = tmp_path_factory.mktemp("audit")
    database = Database(f"sqlite:///{folder / 'a.db'}")
    migrate(database, "onecert.server.migrations")
    fill(database)
    export_to_file(database, folder / "audit.jsonl", service="ca")
    database.close()
    return (folder / "audit.jsonl").read_bytes().splitlines(keepends=True)


@pytest.fixture
def check(tmp_path: Path) -> Callable[[list[bytes]], AuditReport]:
    """Check these lines as an export."""

    def check(lines: list[bytes]) -> AuditReport:
        path = tmp_path / "changed.jsonl"
        path.write_bytes(b"".join(lines))
        return verify_export(path, keys=KEYS)

    return check


def test_whole_export_is_accepted(exported: Path) -> None:
    report = verify_export(exported, keys=KEYS)
    assert (report.service, report.entries, report.heads, report.unsigned_entries) == ("ca", 5, 2, 1)
    assert report.head.seq == 4
    assert report.head.at == T + timedelta(seconds=4)
    assert export_service(exported) == "ca"
    assert exported.stat().st_mode & 0o777 == 0o600


def test_both_engines_export_the_same_bytes(exported: Path, lines: list[bytes]) -> None:
    """Everything but the signatures, which ECDSA makes anew each time."""
    ours = exported.read_bytes().splitlines(keepends=True)
    assert [line for line in ours if b'"head"' not in line] == [
        line for line in lines if b'"head"' not in line
    ]


def test_empty_trail(database: Database, tmp_path: Path) -> None:
    assert export_to_file(database, tmp_path / "a", service="ca") == 0
    with pytest.raises(AuditUnsignedError):
        verify_export(tmp_path / "a", keys=KEYS)


def test_every_single_byte_counts(lines: list[bytes], check: Callable[[list[bytes]], AuditReport]) -> None:
    """Byte after byte gets its lowest bit flipped: each time it is found, in that line or the next.

    Every byte of each kind of line (header, entry, head, end), and every 7th of the others.
    """
    whole = b"".join(lines)
    ends = [len(b"".join(lines[: number + 1])) for number in range(len(lines))]
    every = {HEADER, ENTRY_1, HEAD_2, END}
    for position in range(len(whole)):
        if position % 7 and bisect(ends, position) not in every:
            continue
        changed = bytearray(whole)
        changed[position] ^= 1
        with pytest.raises(AuditExportError) as caught:
            check([bytes(changed)])
        line = bisect(ends, position) + 1
        error = caught.value
        if isinstance(error, AuditChangedError | AuditMalformedError):
            assert error.line in {line, line + 1}, (
                f"byte {position} of line {line} was named as line {error.line}"
            )


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        (ENTRY_3, "seq", 7),
        (ENTRY_3, "at", "2026-11-21T08:00:02.000000Z"),
        (ENTRY_3, "service", "ra"),
        (ENTRY_3, "event", "certificate.revoked"),
        (ENTRY_3, "actor", "operator:mallory"),
        (ENTRY_3, "subject", "serial-9"),
        (ENTRY_3, "details", {}),
        (ENTRY_3, "previous", "0" * 64),
        (ENTRY_3, "hash", "0" * 64),
    ],
)
def test_changed_field_is_named(
    lines: list[bytes], check: Callable[[list[bytes]], AuditReport], line: int, field: str, value: object
) -> None:
    entry = json.loads(lines[line]) | {field: value}
    changed = [*lines[:line], canonical_json(entry).encode() + b"\n", *lines[line + 1 :]]
    with pytest.raises(AuditChangedError) as caught:
        check(changed)
    assert (caught.value.seq, caught.value.line) == (3, line + 1)


def rewritten(line: bytes, previous: str | None = None, **changes: object) -> tuple[bytes, str]:
    """An entry changed by somebody who knows how hashes are made."""
    entry = json.loads(line) | changes
    del entry["hash"]
    if previous is not None:
        entry["previous"] = previous
    own = entry_hash(canonical_json(entry))
    return canonical_json(entry | {"hash": own}).encode() + b"\n", own


def test_rewritten_entry_is_named(lines: list[bytes], check: Callable[[list[bytes]], AuditReport]) -> None:
    """Entry 3 got a hash that fits its new content; entry 4 does not follow it."""
    lines = [*lines[:ENTRY_3], rewritten(lines[ENTRY_3], actor="operator:mallory")[0], *lines[ENTRY_4:]]
    with pytest.raises(AuditChangedError) as caught:
        check(lines)
    assert caught.value.seq == 3


def test_chain_written_anew_meets_the_signed_head(
    lines: list[bytes], check: Callable[[list[bytes]], AuditReport]
) -> None:
    """Everything from entry 3 on was written anew and fits; the signed head of 4 says otherwise."""
    third, third_hash = rewritten(lines[ENTRY_3], actor="operator:mallory")
    fourth, fourth_hash = rewritten(lines[ENTRY_4], third_hash)
    fifth, fifth_hash = rewritten(lines[ENTRY_5], fourth_hash)
    end = canonical_json({"end": {"hash": fifth_hash, "seq": 5}}).encode() + b"\n"
    with pytest.raises(AuditChangedError) as caught:
        check([*lines[:ENTRY_3], third, fourth, lines[HEAD_4], fifth, end])
    assert caught.value.seq == 3


@pytest.mark.parametrize("kept", range(1, 9))
def test_truncated_export(lines: list[bytes], check: Callable[[list[bytes]], AuditReport], kept: int) -> None:
    with pytest.raises(AuditShortenedError):
        check(lines[:kept])


def test_tail_removed_and_end_rewritten(
    lines: list[bytes], check: Callable[[list[bytes]], AuditReport]
) -> None:
    """Entries 3 to 5 were cut off and the end made to fit; the signed head knows entry 4."""
    end = canonical_json({"end": {"hash": json.loads(lines[ENTRY_2])["hash"], "seq": 2}}).encode() + b"\n"
    with pytest.raises(AuditShortenedError) as caught:
        check([*lines[:ENTRY_3], lines[HEAD_4], end])
    assert caught.value.seq == 2


def test_tail_removed_in_the_database(database: Database, tmp_path: Path) -> None:
    """Somebody deleted the newest entry, which no head covers yet; the chain's end still knows it."""
    fill(database)
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM audit_entries WHERE seq = 5"))
    export_to_file(database, tmp_path / "a", service="ca")
    with pytest.raises(AuditShortenedError) as caught:
        verify_export(tmp_path / "a", keys=KEYS)
    assert caught.value.seq == 4


@pytest.mark.parametrize(
    ("table", "column", "value", "seq"),
    [("audit_entries", "actor", "operator:x", 2), ("audit_entries", "details", '{"a": 1}', 2)],
)
def test_row_changed_in_the_database(
    database: Database, tmp_path: Path, table: str, column: str, value: str, seq: int
) -> None:
    fill(database)
    with database.transaction() as connection:
        connection.execute(
            text(f"UPDATE {table} SET {column} = :value WHERE seq = :seq"), {"value": value, "seq": seq}
        )
    export_to_file(database, tmp_path / "a", service="ca")
    with pytest.raises((AuditChangedError, AuditMalformedError)) as caught:
        verify_export(tmp_path / "a", keys=KEYS)
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("order", "error", "seq"),
    [
        ([HEADER, ENTRY_1, HEAD_2, ENTRY_3, ENTRY_4, HEAD_4, ENTRY_5, END], AuditShortenedError, 1),
        ([HEADER, ENTRY_1, ENTRY_3, HEAD_2, ENTRY_4, HEAD_4, ENTRY_5, END], AuditChangedError, 2),
        ([HEADER, ENTRY_2, ENTRY_1, HEAD_2, ENTRY_3, ENTRY_4, HEAD_4, ENTRY_5, END], AuditChangedError, 1),
        ([HEADER, ENTRY_1, ENTRY_2, HEAD_2, ENTRY_4, ENTRY_3, HEAD_4, ENTRY_5, END], AuditChangedError, 3),
        (
            [HEADER, ENTRY_1, ENTRY_2, ENTRY_2, HEAD_2, ENTRY_3, ENTRY_4, HEAD_4, ENTRY_5, END],
            AuditChangedError,
            3,
        ),
        ([HEADER, ENTRY_1, ENTRY_2, HEAD_4, ENTRY_3, ENTRY_4, HEAD_2, ENTRY_5, END], AuditShortenedError, 2),
        (
            [HEADER, ENTRY_1, ENTRY_2, HEAD_2, ENTRY_3, HEAD_2, ENTRY_4, HEAD_4, ENTRY_5, END],
            AuditChangedError,
            3,
        ),
        ([HEADER, ENTRY_1, ENTRY_2, HEAD_2, ENTRY_3, ENTRY_4, HEAD_4, END, ENTRY_5], AuditShortenedError, 4),
    ],
)
def test_lines_removed_repeated_or_moved(
    lines: list[bytes],
    check: Callable[[list[bytes]], AuditReport],
    order: list[int],
    error: type[AuditExportError],
    seq: int,
) -> None:
    with pytest.raises(error) as caught:
        check([lines[number] for number in order])
    assert caught.value.facts["seq"] == seq


def test_something_after_the_end(lines: list[bytes], check: Callable[[list[bytes]], AuditReport]) -> None:
    with pytest.raises(AuditMalformedError):
        check([*lines, lines[ENTRY_5]])


@pytest.mark.parametrize(
    "junk", [b"", b"\n", b"{}\n", b"[]\n", b"\xff\n", b"[" * 100_000, b'{"audit_export":2,"service":"ca"}\n']
)
def test_something_else_is_no_export(check: Callable[[list[bytes]], AuditReport], junk: bytes) -> None:
    with pytest.raises((AuditMalformedError, AuditShortenedError)):
        check([junk])


def test_entry_spelled_otherwise(lines: list[bytes], check: Callable[[list[bytes]], AuditReport]) -> None:
    """JSON forgives a space; we do not, because then two files would be one trail."""
    with pytest.raises(AuditMalformedError):
        check([lines[HEADER], lines[ENTRY_1].replace(b'"seq":', b'"seq": '), *lines[ENTRY_2:]])


def test_head_by_another_key(lines: list[bytes], check: Callable[[list[bytes]], AuditReport]) -> None:
    """Whoever rewrites the trail can sign with a key of his own; it does not count."""
    other = ec.generate_private_key(ec.SECP256R1())
    payload = {
        "service": "ca",
        "seq": 4,
        "hash": json.loads(lines[ENTRY_4])["hash"],
        "at": "2026-11-21T09:00:00Z",
    }
    head = json.loads(sign_document(payload, typ="onecert-audit-head+json", keys=[other]))
    forged = canonical_json({"head": head}).encode() + b"\n"
    with pytest.raises(AuditKeyMissingError):
        check([*lines[:HEAD_4], forged, *lines[ENTRY_5:]])


@pytest.mark.parametrize(
    "payload", [{}, {"service": "ra", "seq": 2, "hash": "x", "at": "2026-11-21T09:00:00Z"}]
)
def test_head_of_something_else(
    lines: list[bytes], check: Callable[[list[bytes]], AuditReport], payload: dict[str, object]
) -> None:
    head = json.loads(sign_document(payload, typ="onecert-audit-head+json", keys=[KEY]))
    with pytest.raises(AuditMalformedError):
        check([*lines[:HEAD_2], canonical_json({"head": head}).encode() + b"\n", *lines[ENTRY_3:]])


def test_without_heads_it_could_not_be_checked(
    lines: list[bytes], check: Callable[[list[bytes]], AuditReport]
) -> None:
    with pytest.raises(AuditUnsignedError) as caught:
        check([line for line in lines if not re.match(rb'{"head"', line)])
    assert caught.value.status == 503


def test_without_keys_it_could_not_be_checked(exported: Path) -> None:
    with pytest.raises(AuditKeyMissingError):
        verify_export(exported, keys={})


def test_earlier_export_must_be_continued(
    exported: Path, lines: list[bytes], check: Callable[[list[bytes]], AuditReport]
) -> None:
    """A trail cut back to an earlier head is only seen by somebody who remembers more."""
    head = verify_export(exported, keys=KEYS).head
    assert verify_export(exported, keys=KEYS, earlier=head).entries == 5
    end = canonical_json({"end": {"hash": json.loads(lines[ENTRY_2])["hash"], "seq": 2}}).encode() + b"\n"
    exported.write_bytes(b"".join([*lines[:ENTRY_3], end]))
    assert verify_export(exported, keys=KEYS).entries == 2
    with pytest.raises(AuditShortenedError):
        verify_export(exported, keys=KEYS, earlier=head)
    with pytest.raises(AuditChangedError):
        verify_export(exported, keys=KEYS, earlier=replace(head, seq=2))
