"""What CAs report to have issued, and the record that departments read. Only harbour has a key for it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, select, update
from werkzeug.test import Client

from onecert.server.documents import sign_document
from onecert.server.errors import ServiceError
from onecert.server.web.testing import FrameClient
from onecert.supervision.app import create_app
from onecert.supervision.errors import AuthorityUnknownError, SupervisionError, TokenNotReadyError
from onecert.supervision.issuance_errors import (
    IssuanceRecordAheadError,
    IssuanceRecordOverdueError,
    ReporterExistsError,
    ReporterKeyError,
    ReporterUnknownError,
    ReportMalformedError,
    ReportSignatureError,
)
from onecert.supervision.issuance_job import IssuanceJob
from onecert.supervision.issuance_reports import REPORT_TYP
from onecert.supervision.issuance_shards import digits_for
from onecert.supervision.member import member
from onecert.supervision.models import issuances, reporters
from onecert.supervision.status import StatusApp
from onecert.verifier.issuances import IssuanceRecordFile
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import Status, StatusEntry

from .conftest import DAY, T, World

MINUTE = timedelta(minutes=1)
KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def pem(key: Any = KEY) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(serialization.Encoding.PEM, form).decode())


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def entry(number: int, at: Any = T, **changes: Any) -> dict[str, Any]:
    found = {"sha256": digest(number), "serial": f"{number:x}", "issued_at": format_time(at)} | changes
    return {key: value for key, value in found.items() if value is not None}


def report(*entries: dict[str, Any], service: str = "harbour", key: Any = KEY, **more: Any) -> bytes:
    payload = {"service": service, "certificates": list(entries), **more}
    return sign_document(payload, typ=REPORT_TYP, keys=[key])


def published(world: World) -> World:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.supervision.release(actor="test")
    world.supervision.issuance_reports.add_reporter("harbour", pem(), actor="test")
    return world


@pytest.fixture
def city(world: World) -> World:
    """A list is published; harbour reports."""
    return published(world)


def take(world: World, document: bytes) -> Any:
    return world.supervision.issuance_reports.take(document)


def release(world: World) -> None:
    world.supervision.issuance_records.release(actor="test")


def on_record(world: World, number: int, service: str = "harbour") -> Any:
    """What a department reads in the published files."""
    path = world.supervision.published / "issuance-record.json"
    record = IssuanceRecordFile(path, root=world.root)
    return record.issued_at(service, digest(number), at=world.clock.now())


def times(world: World, number: int) -> tuple[Any, Any]:
    with world.context.database.reading() as connection:
        query = select(issuances).where(issuances.c.sha256 == digest(number))
        row = connection.execute(query).one()
    return row.stated_at, row.recorded_at


def test_reported_and_published(city: World) -> None:
    taken = take(city, report(entry(1), entry(2)))
    assert (taken.new, taken.known, taken.entries) == (2, 0, 2)
    release(city)
    assert on_record(city, 1) == on_record(city, 2) == T
    assert on_record(city, 3) is None
    take(city, report(entry(3)))
    release(city)
    assert on_record(city, 3) == T
    assert city.events()[-2:] == ["issuance.reported", "issuance_record.signed"]


def test_on_both_engines(
    make_world: Callable[[str], World], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards are cut and split by the database; both must say the same."""
    monkeypatch.setattr("onecert.supervision.issuance_shards._ROWS", 4)
    city = published(make_world(database_url))
    for start in (0, 3, 40):
        taken = take(city, report(*map(entry, range(start, start + 40))))
        release(city)
    assert (taken.new, taken.known, taken.entries) == (37, 3, 80)
    assert all(on_record(city, number) == T for number in range(80))
    assert on_record(city, 80) is None


def test_again_changes_nothing(city: World) -> None:
    """Also with another time or serial: what stands on record stands."""
    take(city, report(entry(1)))
    city.clock.advance(DAY)
    taken = take(city, report(entry(1, T - DAY, serial="ff"), entry(2, T + DAY)))
    assert (taken.new, taken.known, taken.entries) == (1, 1, 2)
    assert times(city, 1) == (T, T)


@pytest.mark.parametrize(
    ("late", "counts_as"),
    [
        (timedelta(0), timedelta(0)),
        (10 * MINUTE, timedelta(0)),
        (10 * MINUTE + timedelta(seconds=1), 10 * MINUTE + timedelta(seconds=1)),
        (3 * DAY, 3 * DAY),
        (-5 * MINUTE, -5 * MINUTE),  # stated in the future: a clock that is fast
    ],
)
def test_the_time_that_counts(city: World, late: timedelta, counts_as: timedelta) -> None:
    """Stated as of T, received so late."""
    city.clock.advance(late)
    take(city, report(entry(1)))
    assert times(city, 1) == (T, T + counts_as)


def test_no_grace_for_who_has_lost_the_licence(city: World) -> None:
    entry_ = StatusEntry(status=Status.WITHDRAWN, start=T - MINUTE)
    city.editor.add_status("harbour", entry_, actor="test")
    city.publish()
    take(city, report(entry(1, T - 2 * MINUTE)))
    assert times(city, 1) == (T - 2 * MINUTE, T)


def test_what_was_issued_before_the_duty(city: World) -> None:
    reports = city.supervision.issuance_reports
    reports.add_reporter("harbour", pem(), actor="test", stated_until=T + DAY)
    take(city, report(entry(1, T - 900 * DAY)))
    assert times(city, 1)[1] == T - 900 * DAY
    city.clock.advance(DAY)
    take(city, report(entry(2, T - 900 * DAY)))
    assert times(city, 2)[1] == T + DAY


@pytest.mark.parametrize(
    "document",
    [
        report(entry(1), key=OTHER),
        report(entry(1), service="summit"),
        sign_document({"service": "harbour"}, typ="onecert-order+json", keys=[KEY]),
        report(entry(1)).replace(b'"signature":"', b'"signature":"A'),
    ],
)
def test_who_may_not_report(city: World, document: bytes) -> None:
    with pytest.raises((ReportSignatureError, ReportMalformedError)):
        take(city, document)
    release(city)
    assert on_record(city, 1) is None


def test_a_key_that_was_replaced_or_removed(city: World) -> None:
    reports = city.supervision.issuance_reports
    with pytest.raises(ReporterExistsError):
        reports.add_reporter("harbour", pem(OTHER), actor="test")
    take(city, report(entry(1)))
    reports.add_reporter("harbour", pem(OTHER), actor="test", replace=True)
    with pytest.raises(ReportSignatureError):
        take(city, report(entry(2)))
    assert take(city, report(entry(2), key=OTHER)).entries == 2
    reports.remove_reporter("harbour", actor="test")
    with pytest.raises(ReportSignatureError):
        take(city, report(entry(3), key=OTHER))
    release(city)
    assert on_record(city, 1) == T
    with pytest.raises(ReporterUnknownError):
        reports.remove_reporter("harbour", actor="test")
    assert "reporter.removed" in city.events()


def test_one_key_for_two_services(city: World) -> None:
    city.supervision.issuance_reports.add_reporter("pearl", pem(), actor="test")
    take(city, report(entry(1)))
    take(city, report(entry(2), service="pearl"))
    release(city)
    assert (on_record(city, 1), on_record(city, 1, "pearl"), on_record(city, 2, "pearl")) == (T, None, T)


@pytest.mark.parametrize("key", ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_no_key(city: World, key: str) -> None:
    with pytest.raises(ReporterKeyError):
        city.supervision.issuance_reports.add_reporter("pearl", key, actor="test")
    with pytest.raises(AuthorityUnknownError):
        city.supervision.issuance_reports.add_reporter("moon", pem(), actor="test")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        report(),
        report(entry(1), entry(1)),
        report(entry(1), more=1),
        report(entry(1, more=1)),
        report(entry(1, serial=None)),
        report(entry(1, serial="")),
        report(entry(1, serial="1" * 41)),
        report(entry(1, serial="A1")),
        report(entry(1, sha256=digest(1).upper())),
        report(entry(1, sha256=7)),
        report(entry(1, issued_at="yesterday")),
        report(*map(entry, range(1001))),
        report(entry(1, serial="1" * 600_000)),
    ],
)
def test_no_report(city: World, document: bytes) -> None:
    with pytest.raises(ReportMalformedError):
        take(city, document)
    with city.context.database.reading() as connection:
        assert connection.execute(select(issuances)).all() == []


def test_over_http(city: World) -> None:
    client = FrameClient(create_app(member, city.context, city.supervision), city.context)
    assert client.get("/v1/issuance-record").status_code == 404
    answer = client.post("/v1/issuance-reports", data=report(entry(1)))
    assert (answer.status_code, answer.get_json()["entries"]) == (200, 1)
    refused = client.post("/v1/issuance-reports", data=report(entry(1), key=OTHER))
    assert (refused.status_code, refused.get_json()["code"]) == (403, "ISSUANCE_REPORT_SIGNATURE")
    assert client.post("/v1/issuance-reports", data=b"x" * 600_000).status_code == 413
    release(city)
    assert client.get("/v1/issuance-record").data == head(city).read_bytes()


def head(world: World) -> Path:
    return world.supervision.published / "issuance-record.json"


def number_of(world: World) -> int:
    newest = world.supervision.issuance_records.newest()
    assert newest is not None
    return newest.number


def test_files_for_departments(city: World) -> None:
    take(city, report(entry(1)))
    release(city)
    web = Client(StatusApp(city.supervision.published, max_age=timedelta(seconds=10)))
    assert web.get("/issuance-record.json").headers["Cache-Control"] == "public, max-age=10"
    parts = sorted((city.supervision.published / "issuance-record").iterdir())
    assert len(parts) == 2
    for part in parts:
        answer = web.get(f"/issuance-record/{part.name}")
        assert hashlib.sha256(answer.data).hexdigest() == part.stem
        assert answer.headers["Cache-Control"] == "public, max-age=31536000"
    for name in ("", "/..", "/x.txt", f"/{'0' * 64}.txt", f"/{parts[0].stem}"):
        assert web.get(f"/issuance-record{name}").status_code == 404


def test_signed_anew_only_when_there_is_something_to_say(city: World) -> None:
    release(city)
    first = number_of(city)
    release(city)
    assert number_of(city) == first
    city.clock.advance(61 * MINUTE)
    release(city)
    second = number_of(city)
    assert second > first
    take(city, report(entry(1)))
    release(city)
    assert number_of(city) > second
    assert on_record(city, 1) is not None


def test_the_next_root_names_another_key(city: World) -> None:
    """What the old key has signed is nothing to departments any more: the record is signed anew at once."""
    take(city, report(entry(1)))
    release(city)
    first = number_of(city)
    city.import_root(city.draft_root(new_timestamp_key=True))
    release(city)
    assert number_of(city) > first
    assert on_record(city, 1) == T


def test_nobody_reports(world: World) -> None:
    release(world)
    assert not head(world).exists()


@pytest.mark.parametrize("step", ["parts", "intent", "files"])
def test_interrupted_anywhere(city: World, step: str) -> None:
    """Departments read the old record until the new one is whole; the next run ends what was begun."""
    take(city, report(entry(1)))
    release(city)
    take(city, report(entry(2)))

    def fault(at: str) -> None:
        if at == step:
            raise KeyboardInterrupt

    records = city.supervision.issuance_records
    records._fault = fault
    with pytest.raises(KeyboardInterrupt):
        release(city)
    assert (on_record(city, 1), on_record(city, 2)) == (T, None)
    records._fault = lambda _: None
    release(city)
    assert (on_record(city, 1), on_record(city, 2)) == (T, T)


def test_token_away(city: World) -> None:
    release(city)
    city.keys.away = True
    take(city, report(entry(1)))
    job = IssuanceJob(city.supervision.issuance_reports, city.supervision.issuance_records, city.clock)
    with pytest.raises(TokenNotReadyError):
        job.run(T)
    job.check()
    assert on_record(city, 1) is None
    city.clock.advance(DAY)
    with pytest.raises(IssuanceRecordOverdueError):
        job.check()
    city.keys.away = False
    job.run(T + DAY)
    job.check()
    assert on_record(city, 1) == T


def test_another_host_makes_the_same_files(city: World) -> None:
    take(city, report(*map(entry, range(50))))
    release(city)
    content = {path.name: path.read_bytes() for path in head(city).parent.rglob("*.txt")}
    document = head(city).read_bytes()
    shutil.rmtree(head(city).parent / "issuance-record")
    head(city).unlink()
    release(city)
    assert head(city).read_bytes() == document
    assert {path.name: path.read_bytes() for path in head(city).parent.rglob("*.txt")} == content


def test_a_restored_backup(city: World) -> None:
    """Departments have seen more than the backup knows: nothing is signed until it is taken back."""
    take(city, report(entry(1), entry(2)))
    release(city)
    first = number_of(city)
    with city.context.database.transaction() as connection:
        connection.execute(delete(issuances).where(issuances.c.sha256 == digest(2)))
        connection.execute(update(reporters).values(entries=1))
    with pytest.raises(IssuanceRecordAheadError):
        release(city)
    assert on_record(city, 2) == T
    records = city.supervision.issuance_records
    assert records.recover(actor="test", apply=False) == {"harbour": 1}
    assert records.recover(actor="test", apply=True) == {"harbour": 1}
    assert records.recover(actor="test", apply=True) == {}
    city.clock.advance(DAY)
    release(city)
    assert number_of(city) > first
    assert on_record(city, 2) == T


def test_published_parts_that_are_damaged(city: World) -> None:
    take(city, report(entry(1)))
    release(city)
    for part in (head(city).parent / "issuance-record").iterdir():
        part.write_bytes(b"")
    with pytest.raises(SupervisionError) as caught:
        city.supervision.issuance_records.recover(actor="test", apply=True)
    assert caught.value.code == "ISSUANCE_RECORD_UNREADABLE"


def test_old_parts_go(city: World) -> None:
    take(city, report(entry(1)))
    release(city)
    folder = head(city).parent / "issuance-record"
    before = {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    city.clock.advance(MINUTE)
    take(city, report(entry(2)))
    release(city)
    assert before < {path.name for path in folder.iterdir()}, "a department may be fetching them now"
    city.clock.advance(3 * 60 * MINUTE)
    take(city, report(entry(3)))
    release(city)
    assert not before & {path.name for path in folder.iterdir()}
    assert on_record(city, 1) == T


def test_shards() -> None:
    assert [digits_for(count) for count in (0, 4096, 4097, 10**7, 10**9)] == [0, 0, 1, 3, 4]


def test_more_certificates_than_one_shard_holds(city: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shards are split, then only those that change are written."""
    monkeypatch.setattr("onecert.supervision.issuance_shards._ROWS", 4)
    for start in range(0, 120, 30):
        take(city, report(*map(entry, range(start, start + 30))))
        release(city)
    take(city, report(entry(1000)))
    before = {path.name for path in head(city).parent.rglob("*.txt")}
    release(city)
    assert len({path.name for path in head(city).parent.rglob("*.txt")} - before) == 2
    assert all(on_record(city, number) == T for number in [*range(120), 1000])
    assert on_record(city, 121) is None


def test_a_shard_that_was_damaged_here_is_made_anew(city: World) -> None:
    """What the disk has lost comes from the database, before anything is added to it."""
    take(city, report(entry(1)))
    release(city)
    for part in (head(city).parent / "issuance-record").iterdir():
        if part.read_bytes().startswith(digest(1).encode()):
            part.write_bytes(b"damaged")
    take(city, report(entry(2)))
    release(city)
    assert (on_record(city, 1), on_record(city, 2)) == (T, T)


def test_errors_are_in_both_languages(city: World) -> None:
    client = FrameClient(create_app(member, city.context, city.supervision), city.context)
    for language, word in (("zh", "签发报告"), ("en", "report")):
        answer = client.post(
            "/v1/issuance-reports", data=report(entry(1), key=OTHER), headers={"Accept-Language": language}
        )
        assert word in answer.get_json()["detail"]


def test_every_failure_is_ours(city: World) -> None:
    for document in (b"\xff", b"[]", b'{"payload": "", "signatures": []}', b"{" * 1000):
        with pytest.raises(ServiceError):
            take(city, document)
