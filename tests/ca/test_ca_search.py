"""Certificates are found by everything that is known of them; nothing is lost or doubled between pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ca_fakes import make_csr
from ca_lists import revoke
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, update

from onecert.ca.errors import CaError
from onecert.ca.models import certificates
from onecert.ca.search import index as search_index
from onecert.ca.search import search as search_module
from onecert.ca.search import segments as search_segments
from onecert.ca.search.index import SearchIndex
from onecert.ca.search.models import cursor as index_cursor
from onecert.ca.search.search import Search
from onecert.ca.search.segments import buckets_of, decoded, encoded, find, place
from onecert.ca.search.terms import read_query

USCC = "91440300MA5DEM004J"
OTHER = {"uscc": "91440300MA5DEM0A63", "agent_idcard": "440300190001010015"}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> int:
    """Segments of 16 numbers, so that a few certificates fill several."""
    for module in (search_index, search_module):
        monkeypatch.setattr(module, "SEGMENT", 16)
    monkeypatch.setattr(search_segments, "_BITMAP_OCTETS", 2)
    monkeypatch.setattr(search_module, "_CHUNK", 3)
    return 16


def named(world: Any, name: str, **changes: Any) -> Any:
    subject = world.order_payload()["subject"] | {"common_name": name, "organization": name}
    return world.issue(**({"subject": subject} | changes)).record


def serials(world: Any, *, limit: int = 1000, **asked: object) -> list[str]:
    """All that is found, page after page."""
    search, query = Search(world.context.database, looked_at_max=5), read_query(asked)
    found: list[str] = []
    after = None
    while True:
        page = search.find(query, limit=limit, after=after)
        found += [each.record.serial for each in page.found]
        after = page.next
        if after is None:
            return found


def index(world: Any) -> int:
    return SearchIndex(world.context.database).run(1000)


@pytest.mark.parametrize("indexed", [False, True])
def test_found_by_every_field(world: Any, short: int, indexed: bool) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    wanted = named(world, "深圳市虚构贸易有限公司", csr_pem=make_csr(key))
    world.clock.advance(timedelta(minutes=1))
    other = named(world, "海港（Harbor）物流", identity=OTHER)
    revoke(world, other.serial, reason="superseded")
    for _number in range(20 if indexed else 0):
        world.clock.advance(timedelta(minutes=1))
        named(world, "无关的单位", identity=OTHER)
    assert (index(world) > 0) == indexed

    certificate = x509.load_der_x509_certificate(wanted.certificate_der)
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex(":").upper()
    for asked in (
        {"name": "虚构"},
        {"name": "深圳市虚构贸易有限公司"},
        {"name_begins": "深圳市虚"},
        {"identity": USCC.lower()},
        {"entity": f"uscc:{USCC}"},
        {"serial": wanted.serial.upper()},
        {"serial_begins": wanted.serial[:12]},
        {"order": wanted.order_id},
        {"key_sha256": digest.finalize().hex()},
        {"key_id": x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()},
        {"sha256": certificate.fingerprint(hashes.SHA256()).hex()},
        {"sha1": thumbprint},
        {"profile": "organisation", "identity": USCC, "authority": "harbour", "ordered_by": "ra:ra"},
        {"status": "good", "name": "贸易", "partition": "0", "state": "issued"},
        {"issued_until": other.not_before.isoformat(), "profile": "organisation"},
        {"expires_until": other.not_after.isoformat(), "profile": "organisation"},
    ):
        assert serials(world, **asked) == [wanted.serial], asked
    for asked in (
        {"name": "ＨＡＲＢＯＲ"},
        {"name": "港(h"},
        {"status": "revoked"},
        {"reason": "superseded"},
        {"revoked_from": world.clock.now().replace(year=2020).isoformat()},
    ):
        assert serials(world, **asked) == [other.serial], asked
    assert serials(world, name="虚贸") == []
    assert serials(world, name="构虚") == []
    assert serials(world, name_begins="虚构") == []


def test_name_of_two_characters_is_found_among_many(world: Any, short: int) -> None:
    """王芳 is found in the middle and at the end, whatever stands in the index and whatever not yet."""
    for number in range(30):
        world.clock.advance(timedelta(seconds=1))
        named(world, "王芳" if number % 10 == 3 else f"李雷{number}", identity=OTHER)
    assert len(serials(world, name="王芳")) == 3
    assert index(world) >= 1
    assert len(serials(world, name="王芳")) == 3
    assert len(serials(world, name_begins="王")) == 3
    assert len(serials(world, name="李雷")) == 27


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"profile": "organisation"},
        {"name": "单位"},
        {"expires_from": "2020-01-01T00:00:00Z"},
        {"issued_from": "2020-01-01T00:00:00Z"},
        {"status": "revoked"},
    ],
)
def test_pages_lose_and_double_nothing_while_more_is_issued(
    world: Any, short: int, asked: dict[str, str]
) -> None:
    """Between two pages others issue, revoke and index: each certificate of before is seen exactly once."""
    before = [named(world, f"单位{number}", identity=OTHER).serial for number in range(12)]
    if "status" in asked:
        for serial in before:
            world.clock.advance(timedelta(seconds=1))
            revoke(world, serial, reason="superseded")
    search, query = Search(world.context.database), read_query({"authority": "harbour"} | asked)
    seen: list[str] = []
    after = None
    while True:
        page = search.find(query, limit=2, after=after)
        seen += [each.record.serial for each in page.found]
        after = page.next
        if after is None:
            break
        world.clock.advance(timedelta(seconds=1))
        fresh = named(world, "单位新", identity=OTHER).serial
        if "status" in asked:
            revoke(world, fresh, reason="superseded")
        index(world)
        assert len(seen) < 100
    assert len(set(seen)) == len(seen)
    assert set(before) <= set(seen)


def test_everything_is_listed_newest_first(lite: Any, short: int) -> None:
    issued = []
    for _number in range(5):
        lite.clock.advance(timedelta(seconds=1))
        issued.append(named(lite, "单位", identity=OTHER).serial)
    assert serials(lite, limit=2, profile="organisation") == issued[::-1]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("colour", ["red"]),
        ("name", ["王", "", "  ", "x" * 65, "a\u0000b", "\u202eab", 7, None, ["王芳"], "\x00\x00"]),
        ("name_begins", ["", "x" * 65, "\n"]),
        ("alternative_name", ["", "a b", "x" * 256]),
        ("identity", ["", "123", "9144%", "9" * 33]),
        ("entity", ["", "a\nb"]),
        ("serial", ["", "xyz", "4f" * 21, "%"]),
        ("serial_begins", ["4f", "zzzzzz", "4f" * 21]),
        ("order", ["short", "has blank", "x" * 65]),
        ("key_sha256", ["ab", "g" * 64]),
        ("key_id", ["ab" * 19]),
        ("sha256", ["ab" * 31]),
        ("sha1", ["ab" * 32]),
        ("authority", ["", "a b", "x" * 65]),
        ("profile", ["a;b"]),
        ("ordered_by", ["", "ra:\n"]),
        ("partition", ["-1", "1.5", "", "٣", 10**9, True, 1.0]),
        ("state", ["good", ""]),
        ("status", ["issued", "Good"]),
        ("reason", ["key compromise", ""]),
        ("issued_from", ["yesterday", "2026-01-01", "2026-01-01T00:00:00"]),
        ("expires_until", ["", "2026-13-01T00:00:00Z"]),
        ("revoked_from", [5]),
    ],
)
def test_wrong_field_is_named(field: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(CaError) as caught:
            read_query({field: value})
        assert (caught.value.code, caught.value.status) == ("SEARCH_FIELD", 400)
        assert caught.value.facts["field"] == field


def test_cursor_of_another_search_or_none_at_all_is_refused(lite: Any) -> None:
    for _number in range(3):
        named(lite, "单位", identity=OTHER)
    search = Search(lite.context.database)
    page = search.find(read_query({"profile": "organisation"}), limit=1)
    assert page.next is not None
    wrong = [page.next, "", "x", "é", page.next + "=", page.next[:-4], "W10", "bnVsbA", "WyJhIl0", "A" * 9000]
    for cursor in wrong:
        with pytest.raises(CaError) as caught:
            search.find(read_query({"profile": "employee"}), limit=1, after=cursor)
        assert caught.value.code == "SEARCH_CURSOR", cursor


def test_many_serials_with_the_same_beginning_are_too_many(
    lite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "FEW", 2)
    monkeypatch.setattr(
        lite.parts.certifier, "_serials", iter(range(0x4F << 128, (0x4F << 128) + 9)).__next__
    )
    for _number in range(3):
        named(lite, "单位", identity=OTHER)
    with pytest.raises(CaError) as caught:
        serials(lite, serial_begins="4f0000000000")
    assert caught.value.code == "SEARCH_TOO_WIDE"


def test_holder_of_few_and_of_many(lite: Any, short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has few certificates is found without the index; of who has many, all are found in pages."""
    for _number in range(12):
        named(lite, "单位")
    named(lite, "别的", identity=OTHER)
    asked = {"entity": f"uscc:{USCC}"}
    search = Search(lite.context.database)
    assert search.find(read_query(asked)).sorted_by == "few"
    few = serials(lite, **asked, limit=5)
    monkeypatch.setattr(search_module, "FEW", 10)
    assert search.find(read_query(asked)).sorted_by == "issued"
    many = serials(lite, **asked, limit=5)
    assert len(few) == len(many) == 12
    assert set(few) == set(many)


def test_index_leaves_the_machine_to_busy_times(
    lite: Any, short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While much is issued few segments at a step; in quiet times the rest."""
    monkeypatch.setattr(search_index, "BUSY", 20)
    monkeypatch.setattr(search_index, "BUSY_SEGMENTS", 1)
    for _number in range(40):
        named(lite, "单位", identity=OTHER)
    built = SearchIndex(lite.context.database)
    assert built.step() == 1
    assert built.step() >= 1
    assert built.step() == 0


def test_interrupted_index_is_written_again_just_the_same(
    lite: Any, short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job dies between its transactions, and a second one writes a segment that is there already."""
    for _number in range(40):
        named(lite, "单位", identity=OTHER)
    database = lite.context.database
    real = type(database).transaction
    left = [1]

    def transaction(self: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("interrupted")
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(type(database), "transaction", transaction)
        with pytest.raises(RuntimeError):
            index(lite)
    before = len(serials(lite, name="单位"))
    assert index(lite) >= 2
    assert len(serials(lite, name="单位")) == before == 40
    with database.transaction() as connection:
        connection.execute(update(index_cursor).values(segment=0))
    assert index(lite) >= 3
    assert len(serials(lite, name="单位")) == 40


OFFSETS = st.sets(st.integers(0, search_segments.SEGMENT - 1), max_size=40)


@given(st.one_of(OFFSETS, st.just(set(range(0, search_segments.SEGMENT, 9)))))
def test_offsets_are_read_as_written(offsets: set[int]) -> None:
    data = encoded(sorted(offsets))
    assert len(data) <= search_segments.SEGMENT // 8
    assert decoded(data) == sum(1 << offset for offset in offsets)


TOKENS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, -1, 256, 1 << 40, 257 << 32]))


@given(st.dictionaries(TOKENS, OFFSETS.filter(len), max_size=30), st.lists(TOKENS, max_size=10))
def test_every_token_of_a_segment_is_found(offsets: dict[int, set[int]], others: list[int]) -> None:
    """In its bucket, with all of its offsets; tokens that differ only in what is not kept share theirs."""
    rows = dict(buckets_of({each: sorted(own) for each, own in offsets.items()}, 7))
    for token in (*offsets, *others):
        alike = [own for each, own in offsets.items() if (each ^ token) & 0xFFFFFFFFFF == 0]
        bucket = rows.get(place(token, 7))
        found = find(bucket, token) if bucket is not None else 0
        assert found == sum(1 << offset for offset in set().union(*alike))


PLANS = [
    {"name": "虚构"},
    {"entity": f"uscc:{USCC}"},
    {"sha256": "ab" * 32},
    {"identity": USCC, "profile": "organisation"},
    {"serial": "4f00"},
    {"serial_begins": "4f00aa"},
    {"order": "some-order-1"},
    {"key_sha256": "ab" * 32},
    {"status": "hold"},
    {"status": "revoked", "revoked_from": "2026-01-01T00:00:00Z"},
    {"expires_from": "2026-01-01T00:00:00Z", "expires_until": "2027-01-01T00:00:00Z"},
    {"issued_from": "2026-01-01T00:00:00Z"},
    {},
]


@pytest.mark.parametrize("asked", PLANS, ids=str)
def test_no_search_reads_a_table_from_end_to_end(world: Any, asked: dict[str, str]) -> None:
    """Every statement of a search is explained: none scans a table or sorts all of it."""
    named(world, "深圳市虚构贸易有限公司")
    search = Search(world.context.database)
    asked_sql: list[tuple[str, Any]] = []

    def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked_sql.append((statement, parameters))

    engine = world.context.database._read_engine
    event.listen(engine, "before_cursor_execute", remember)
    try:
        search.find(read_query(asked), limit=10)
    finally:
        event.remove(engine, "before_cursor_execute", remember)
    assert asked_sql
    postgresql = world.context.database.dialect == "postgresql"
    with world.context.database.reading() as connection:
        if postgresql:
            # The tables are small here; what is asked is whether there is a way by an index.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in asked_sql:
            if "ca_search_cursor" in statement:
                continue
            explain = "EXPLAIN " if postgresql else "EXPLAIN QUERY PLAN "
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
            plan = "\n".join(str(row[-1]) for row in rows)
            if postgresql:
                assert "Seq Scan" not in plan, (statement, plan)
            else:
                scans = [
                    line for line in plan.splitlines() if line.startswith("SCAN") and "INDEX" not in line
                ]
                assert all(
                    "audit_entries" in line and "ORDER BY audit_entries.seq DESC" in statement
                    for line in scans
                ), plan
                assert "USE TEMP B-TREE FOR ORDER BY" not in plan, plan


def test_models_say_what_is_searched() -> None:
    assert replace(read_query({}), name="a") != read_query({})
    assert {"ca_certificates_by_end", "ca_certificates_by_begin"} <= {
        each.name for each in certificates.indexes
    }
