"""Batches: a table is read, checked row by row, approved by another person, and entered exactly once."""

import io
import zipfile
from collections.abc import Sequence

import pytest
from python_calamine import CalamineWorkbook
from ra_fakes import idcard, make_csr

from onecert.ra.applications.many import ManyApplications
from onecert.ra.batches import work
from onecert.ra.batches.acts import Upload
from onecert.ra.batches.downloads import Downloads
from onecert.ra.batches.records import Batch, Phase, ReportRow, list_rows
from onecert.ra.batches.tables import batch_chunks, batch_files, batch_rows
from onecert.ra.content.fields import Kind
from onecert.ra.errors import (
    BatchFileError,
    BatchRefusedError,
    ContentChangedError,
    FieldFault,
    NotFoundError,
    RequestKeyReusedError,
)
from onecert.ra.life.machine import State
from onecert.ra.models import applications, certificates
from onecert.ra.operators.scopes import Grant, write_scope
from onecert.server.operators import RoleRequiredError, SamePersonError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HEAD = ("姓名", "身份证号码", "省", "市", "手机", "地址", "邮编", "证书请求")


def one_line(csr: str) -> str:
    return "".join(csr.splitlines()[1:-1])


def person(order: int, **changes: str) -> list[str]:
    """A good row of a citizen; `changes` by heading."""
    values = dict(
        zip(
            HEAD,
            ("李四", idcard(order), "广东省", "深圳市", "13800000000", "深圳市福田区示范路1号", "518000", ""),
            strict=True,
        )
    )
    values["证书请求"] = one_line(make_csr())
    return list({**values, **changes}.values())


def table(*rows: Sequence[str], head: Sequence[str] = HEAD) -> bytes:
    return "\n".join(",".join(row) for row in (head, *rows)).encode()


@pytest.fixture
def desk(ra):
    """The batches of a registration authority, checked by this process."""
    ra.service.batch_work._workers = 0
    return ra.service.batches


def upload(ra, data: bytes, *, key: str = "1", **more) -> Batch:
    wanted = Upload(kind=Kind.CITIZEN, authority="pearl", file=data, file_name="a.csv", **more)
    return ra.service.batches.upload(ra.entry_clerk, wanted, request_key=key)


def checked(ra, data: bytes, **more) -> Batch:
    made = upload(ra, data, **more)
    ra.service.batch_work.run(ra.clock.now())
    return ra.service.batches.batch(ra.entry_clerk, made.id)


def rows_of(ra, batch: Batch) -> dict[int, ReportRow]:
    with ra.database.reading() as connection:
        return {row.row: row for row in list_rows(connection, batch.id, limit=200).items}


def approve(ra, batch: Batch) -> Batch:
    submitted = ra.service.batches.submit(ra.entry_clerk, batch.id)
    assert submitted.content_sha256
    ra.service.batches.approve(ra.reviewer, batch.id, content_sha256=submitted.content_sha256)
    ra.service.batch_work.run(ra.clock.now())
    return ra.service.batches.batch(ra.reviewer, batch.id)


def test_good_rows_are_issued_and_the_others_named(ra, desk) -> None:
    """Five rows: two good, one with full-width digits, one mistyped, one twice. Three certificates."""
    twice = person(3)
    data = table(
        person(1),
        person(2, 手机="１３８００００００００"),
        twice,
        person(4, 身份证号码=idcard(4)[:-1] + "Y"),
        [*twice[:-1], one_line(make_csr())],
    )
    batch = checked(ra, data)
    rows = rows_of(ra, batch)
    assert {number: row.state.value for number, row in rows.items()} == {
        2: "good",
        3: "warning",
        4: "good",
        5: "error",
        6: "duplicate",
    }
    assert [remark.code for remark in rows[6].remarks] == ["ROW_TWICE"]
    assert rows[5].remarks[0].field == "idcard"
    assert ra.rows(applications) == []  # nothing is entered before somebody has chosen

    done = approve(ra, batch)
    assert (done.state, done.phase, done.entered, done.refused) == (State.DONE, Phase.FINISHED, 3, 0)
    assert len(ra.rows(certificates)) == 3
    made = ra.rows(applications)
    assert {(row["state"], row["submitted_by"], row["reviewed_by"]) for row in made} == {
        ("issued", "wang", "li")
    }
    assert all(ra.events(row["id"])[:3] == ["created", "submitted", "approved"] for row in made)


def test_duplicates_against_what_is_there(ra, desk) -> None:
    """Somebody applied before here; somebody else has a certificate elsewhere; a key was used before."""
    csr = make_csr()
    ra.submit(ra.entry("citizen", idcard=idcard(1), csr=csr))
    ra.submit(ra.entry("citizen", "harbour", idcard=idcard(2)))
    data = table(person(1), person(2), person(3, 证书请求=one_line(csr)))
    rows = rows_of(ra, checked(ra, data))
    codes = {
        number: (row.state.value, [remark.code for remark in row.remarks]) for number, row in rows.items()
    }
    assert codes == {
        2: ("duplicate", ["DUPLICATE"]),
        3: ("warning", ["ELSEWHERE"]),
        4: ("duplicate", ["KEY_REPEATED"]),
    }


@only_sqlite
def test_what_the_register_refuses_is_in_the_report(ra, desk, monkeypatch) -> None:
    """The register knows that the company is closed: the report says so, and not only the entering."""
    fault = FieldFault("uscc", "REGISTER_CLOSED", "The organisation is closed.")
    monkeypatch.setattr(ra.service.entries.findings, "refusals", lambda _outcome: [fault])
    rows = rows_of(ra, checked(ra, table(person(1))))
    assert [(remark.level, remark.code) for remark in rows[2].remarks] == [("error", "REGISTER_CLOSED")]


def test_the_clerk_chooses(ra, desk) -> None:
    """A row is left out, and comes in again; with `all`, one faulty row stops the batch."""
    batch = checked(ra, table(person(1), person(2), person(3, 手机="1")))
    desk.choose(ra.entry_clerk, batch.id, exclude=[2])
    desk.set_policy(ra.entry_clerk, batch.id, "all")
    with pytest.raises(BatchRefusedError) as caught:
        desk.submit(ra.entry_clerk, batch.id)
    assert caught.value.code == "BATCH_ALL_OR_NONE"
    desk.set_policy(ra.entry_clerk, batch.id, "good")
    assert approve(ra, batch).entered == 1
    assert rows_of(ra, batch)[2].outcome is None

    empty = checked(ra, table(person(9, 手机="1")), key="2")
    with pytest.raises(BatchRefusedError) as caught:
        desk.submit(ra.entry_clerk, empty.id)
    assert caught.value.code == "BATCH_EMPTY"


def test_two_people_and_exactly_what_was_shown(ra, desk) -> None:
    """Neither the clerk under another account, nor another hash, nor rows changed behind our back."""
    both = ra.operator("both", "clerk.entry", "clerk.review", person=idcard(106))
    batch = checked(ra, table(person(1), person(2)))
    submitted = desk.submit(both, batch.id)
    with pytest.raises(SamePersonError):
        desk.approve(both, batch.id, content_sha256=submitted.content_sha256)
    with pytest.raises(RoleRequiredError):
        desk.approve(ra.entry_clerk, batch.id, content_sha256=submitted.content_sha256)
    with pytest.raises(ContentChangedError):
        desk.approve(ra.reviewer, batch.id, content_sha256="0" * 64)
    with ra.database.transaction() as connection:
        connection.execute(batch_rows.update().where(batch_rows.c.row == 2).values(excluded=True))
    with pytest.raises(ContentChangedError):
        desk.approve(ra.reviewer, batch.id, content_sha256=submitted.content_sha256)
    assert ra.rows(applications) == []


def test_rows_changed_after_the_approval_are_not_entered(ra, desk) -> None:
    """The hash of a row is changed in the database between approval and job: nothing is entered."""
    batch = checked(ra, table(person(1)))
    submitted = desk.submit(ra.entry_clerk, batch.id)
    desk.approve(ra.reviewer, batch.id, content_sha256=submitted.content_sha256)
    with ra.database.transaction() as connection:
        connection.execute(batch_rows.update().values(content_sha256="0" * 64))
    ra.service.batch_work.run(ra.clock.now())
    assert ra.rows(applications) == []
    assert desk.batch(ra.reviewer, batch.id).phase is Phase.ENTERING


def test_returned_corrected_and_sent_again(ra, desk) -> None:
    """The reviewer returns it; the clerk uploads another file; the report is a new one."""
    batch = checked(ra, table(person(1, 手机="1"), person(2)))
    desk.submit(ra.entry_clerk, batch.id)
    desk.send_back(ra.reviewer, batch.id, reason="第 2 行请核对")
    corrected = Upload(kind=Kind.CITIZEN, authority="pearl", file=table(person(1), person(2)))
    desk.replace_file(ra.entry_clerk, batch.id, corrected)
    ra.service.batch_work.run(ra.clock.now())
    assert {row.state.value for row in rows_of(ra, batch).values()} == {"good"}
    assert approve(ra, batch).entered == 2


def test_a_crash_between_stretches_loses_and_doubles_nothing(ra, desk, monkeypatch) -> None:
    """The process dies after each stretch of the check, and in the midst of entering; another one goes on."""
    monkeypatch.setattr(work, "CHUNK_ROWS", 2)
    batch = upload(ra, table(*(person(order) for order in range(1, 8))))
    record = ra.service.batch_work._record

    def die(*arguments):
        record(*arguments)
        raise KeyboardInterrupt

    for _attempt in range(4):
        monkeypatch.setattr(ra.service.batch_work, "_record", die)
        with pytest.raises(KeyboardInterrupt):
            ra.service.batch_work.run(ra.clock.now())
    monkeypatch.setattr(ra.service.batch_work, "_record", record)
    ra.service.batch_work.run(ra.clock.now())
    batch = desk.batch(ra.entry_clerk, batch.id)
    assert (batch.phase, batch.checked, batch.good) == (Phase.CHECKED, 7, 7)

    submitted = desk.submit(ra.entry_clerk, batch.id)
    desk.approve(ra.reviewer, batch.id, content_sha256=submitted.content_sha256)
    # Act by act, as for rows that are not plain; entered together: test_ra_batch_orders.py.
    monkeypatch.setattr(ManyApplications, "enter_approved", lambda *_arguments: None)
    for step in ("submit", "approve", "create"):
        real = getattr(ra.applications, step)

        def dies(*arguments, real=real, **options):
            real(*arguments, **options)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(ra.applications, step, dies)
            with pytest.raises(KeyboardInterrupt):
                ra.service.batch_work.run(ra.clock.now())
    ra.service.batch_work.run(ra.clock.now())
    done = desk.batch(ra.entry_clerk, batch.id)
    assert (done.state, done.entered, done.refused) == (State.DONE, 7, 0)
    assert len(ra.rows(applications)) == len(ra.rows(certificates)) == 7


def test_somebody_was_quicker(ra, desk) -> None:
    """The same person applied at the counter after the report: that row is refused with a reason."""
    batch = checked(ra, table(person(1), person(2)))
    ra.submit(ra.entry("citizen", idcard=idcard(1)))
    done = approve(ra, batch)
    assert (done.entered, done.refused) == (1, 1)
    refused = rows_of(ra, batch)[2]
    assert (refused.outcome, refused.remarks[0].code) == ("refused", "DUPLICATE")


def test_withdrawn_while_it_is_checked(ra, desk, monkeypatch) -> None:
    """The clerk withdraws between two stretches: nothing more is done, and what was typed is gone."""
    monkeypatch.setattr(work, "CHUNK_ROWS", 1)
    batch = upload(ra, table(person(1), person(2), person(3)))
    record = ra.service.batch_work._record

    def withdraw(*arguments):
        if desk.batch(ra.entry_clerk, batch.id).state is State.DRAFT:
            desk.withdraw(ra.entry_clerk, batch.id)
        return record(*arguments)

    monkeypatch.setattr(ra.service.batch_work, "_record", withdraw)
    ra.service.batch_work.run(ra.clock.now())
    assert desk.batch(ra.entry_clerk, batch.id).state is State.WITHDRAWN
    assert ra.rows(batch_files) == ra.rows(batch_chunks) == []


def test_what_was_typed_is_sealed(ra, desk) -> None:
    """No number and no mobile number stands openly in a table of batches."""
    approve(ra, checked(ra, table(person(1), person(2, 手机="139"))))
    for each in (batch_files, batch_chunks, batch_rows):
        said = repr(ra.rows(each)).encode()
        assert idcard(1).encode() not in said
        assert b"13800000000" not in said


def test_the_same_upload_twice_is_one_batch(ra, desk) -> None:
    """A double click is one; the same key with another file is refused."""
    data = table(person(1))
    assert upload(ra, data).id == upload(ra, data).id
    with pytest.raises(RequestKeyReusedError):
        upload(ra, table(person(2)))


def test_another_points_batch_is_not_found(ra, desk) -> None:
    """A clerk of another acceptance point asks by its number."""
    batch = checked(ra, table(person(1)))
    stranger = ra.operator("sun", "clerk.entry", person=idcard(104))
    with ra.database.transaction() as connection:
        write_scope(connection, "sun", [Grant("east")])
    with pytest.raises(NotFoundError):
        desk.batch(stranger, batch.id)
    with pytest.raises(NotFoundError):
        desk.withdraw(stranger, batch.id)


def test_requests_in_an_archive(ra, desk) -> None:
    """The table names files of the ZIP beside it; one is missing."""
    head = (*HEAD[:-1], "请求文件")
    rows = [[*person(order)[:-1], f"p{order}"] for order in (1, 2)]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("folder/p1.csr", make_csr())
    batch = checked(ra, table(*rows, head=head), requests=archive.getvalue())
    found = rows_of(ra, batch)
    assert [found[2].state.value, found[3].state.value] == ["good", "error"]
    assert [remark.code for remark in found[3].remarks] == ["CSR_MISSING"]


def test_the_second_reviewer_above_a_threshold(ra, desk) -> None:
    """The policy wants two reviewers from two rows on: the first yes passes it on, only the second counts."""
    desk._needs_two = lambda facts: facts["rows"] >= 2
    batch = checked(ra, table(person(1), person(2)))
    submitted = desk.submit(ra.entry_clerk, batch.id)
    passed = desk.approve(ra.reviewer, batch.id, content_sha256=submitted.content_sha256)
    assert passed.state is State.SECOND_REVIEW
    ra.service.batch_work.run(ra.clock.now())
    assert ra.rows(applications) == []
    with pytest.raises(SamePersonError):
        desk.approve(ra.reviewer, batch.id, content_sha256=submitted.content_sha256)
    second = ra.operator("he", "clerk.review", person=idcard(105))
    desk.approve(second, batch.id, content_sha256=submitted.content_sha256)
    ra.service.batch_work.run(ra.clock.now())
    assert desk.batch(second, batch.id).entered == 2


def test_the_table_comes_back_with_what_is_wrong(ra, desk) -> None:
    """Report in both forms; a text that a spreadsheet would carry out is made harmless."""
    batch = checked(ra, table(person(1), person(2, 姓名="=1+1")))
    downloads = Downloads(ra.database, ra.vault, desk)
    report = downloads.report(ra.entry_clerk, batch, "csv").decode("utf-8-sig")
    assert "'=1+1" in report
    assert ",=1+1" not in report
    book = CalamineWorkbook.from_object(io.BytesIO(downloads.report(ra.entry_clerk, batch, "xlsx")))
    cells = book.get_sheet_by_index(0).to_python()
    assert cells[2][3] == "=1+1"  # a text cell, as XLSX has types
    assert cells[2][2] != ""
    done = approve(ra, batch)
    result = downloads.result(ra.entry_clerk, done, "csv").decode("utf-8-sig")
    assert "BEGIN CERTIFICATE" in result
    with zipfile.ZipFile(io.BytesIO(downloads.result(ra.entry_clerk, done, "zip"))) as packed:
        assert len(packed.namelist()) == 1


@only_sqlite
def test_a_file_that_cannot_be_read_says_so_on_the_batch(ra, desk) -> None:
    """Columns are missing: the batch stays, with the sentence; a dangerous file is not even kept."""
    batch = checked(ra, table(person(1)[:2], head=HEAD[:2]))
    assert batch.phase is Phase.FAILED
    assert batch.failure
    assert "state_or_province" in str(batch.failure["facts"])
    with pytest.raises(BatchRefusedError):
        desk.submit(ra.entry_clerk, batch.id)
    with pytest.raises(BatchFileError):
        upload(ra, b"%PDF-1.7 nothing", key="2")


@only_sqlite
def test_the_page_from_upload_to_result(ra, desk) -> None:
    """A clerk uploads and submits, a reviewer approves what is shown, the result can be fetched."""
    clerk, reviewer = ra.browser(ra.entry_clerk), ra.browser(ra.reviewer)
    clerk.get("/batches/new")
    form = {
        "form_key": clerk.value("form_key"),
        "what": "pearl/citizen",
        "policy": "good",
        "consent": "paper",
    }
    data = table(person(1), person(2, 手机="1"))
    answer = clerk.post("/batches/new", {**form, "file": (io.BytesIO(data), "名单.csv")}, follow=False)
    place = answer.location.partition("/ra")[2] or answer.location
    clerk.get(place)
    assert 'http-equiv="refresh"' in clerk.page
    ra.service.batch_work.run(ra.clock.now())
    clerk.get(place)
    assert "A mobile number has 11 digits" in clerk.text
    assert idcard(1) not in clerk.page
    clerk.post(f"{place}/act", {"act": "submit", "revision": clerk.value("revision")})
    reviewer.get(f"{place}/review")
    assert idcard(1) in reviewer.text  # the sample, to be compared with the papers
    reviewer.post(f"{place}/judge", {"act": "approve", "content_sha256": reviewer.value("content_sha256")})
    ra.service.batch_work.run(ra.clock.now())
    assert clerk.get(f"{place}/result.zip").status_code == 200
    for kind in Kind:
        assert clerk.get(f"/batches/template/{kind.value}.xlsx").status_code == 200
    refused = clerk.post("/batches/new", {**form, "form_key": "x", "file": (io.BytesIO(b"%PDF"), "a.csv")})
    assert refused.status_code == 422
    assert "This is not a table of applications." in clerk.text


@only_sqlite
def test_by_rest(ra, desk) -> None:
    """Upload, report, choose, submit, approve, result: the same acts as JSON."""
    clerk, reviewer = ra.browser(ra.entry_clerk), ra.browser(ra.reviewer)
    data = table(person(1), person(2), person(3, 手机="1"))
    made = clerk.client.post(
        "/v1/batches?type=citizen&authority=pearl",
        base_url="https://127.0.0.1:8443/ra",
        data=data,
        content_type="application/octet-stream",
        environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
    )
    assert made.status_code == 201, made.text
    place = f"/batches/{made.json['id']}"
    ra.service.batch_work.run(ra.clock.now())
    first = clerk.api("GET", f"{place}/report?limit=2").json
    assert [row["row"] for row in first["items"]] == [2, 3]
    rest = clerk.api("GET", f"{place}/report?cursor={first['next']}").json
    assert rest["items"][0]["remarks"][0]["field"] == "mobile"
    clerk.api("POST", f"{place}/accept", {"exclude": [3]})
    submitted = clerk.api("POST", f"{place}/submit").json
    assert submitted["accepted"] == 1
    approved = reviewer.api("POST", f"{place}/approve", {"content_sha256": submitted["content_sha256"]})
    assert approved.json["state"] == "approved"
    ra.service.batch_work.run(ra.clock.now())
    lines = clerk.api("GET", f"{place}/result").text.splitlines()
    assert "BEGIN CERTIFICATE" in lines[0]
    assert len(lines) == 3
