"""Import of a CSV file: row by row, good rows submitted, bad rows named, nothing half-done."""

from pathlib import Path

import pytest
from ra_fakes import make_csr

from onecert.ra.batches.imports import import_rows, read_rows
from onecert.ra.ca.errors import CaUnreachableError
from onecert.ra.errors import BatchFileError
from onecert.ra.life.machine import State
from onecert.ra.models import applications
from onecert.server.languages import gettext, set_language

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

DEMO = Path(__file__).parents[2] / "demo" / "applicants.csv"


@pytest.fixture
def requests(tmp_path) -> Path:
    """A request for every row of the demo file."""
    folder = tmp_path / "requests"
    folder.mkdir()
    for row in read_rows(DEMO.read_bytes()):
        (folder / f"{row.key}.csr").write_text(make_csr())
    return folder


def run(ra, data: bytes, requests: Path):
    said = {"consent": "paper", "consent_version": ra.service.entries.findings.texts.present}
    return list(import_rows(ra.applications, ra.entry_clerk, read_rows(data), requests, defaults=said))


def test_the_demo_file(ra, requests) -> None:
    """Seven good rows, one wrong check digit, one duplicate, as the file's notes say."""
    reports = run(ra, DEMO.read_bytes(), requests)

    outcomes = {report.key: report.outcome for report in reports}
    assert [key for key, outcome in outcomes.items() if outcome == "refused"] == [
        "wrong-digit",
        "bright-again",
    ]
    faults = {report.key: [fault.code for fault in report.faults] for report in reports}
    assert faults["wrong-digit"] == ["ID_CHECK_DIGIT"]
    assert faults["bright-again"] == ["DUPLICATE"]
    rows = ra.rows(applications)
    assert len(rows) == 7
    assert {row["state"] for row in rows} == {"submitted"}


def test_imported_again_nothing_is_entered_twice(ra, requests) -> None:
    """The command was stopped and run again. Known rows are said to be known."""
    run(ra, DEMO.read_bytes(), requests)
    again = run(ra, DEMO.read_bytes(), requests)

    assert {report.outcome for report in again} == {"known", "refused"}
    assert len(ra.rows(applications)) == 7


def test_every_imported_row_can_be_issued(ra, requests) -> None:
    """A second person approves each, the CA issues each."""
    for report in run(ra, DEMO.read_bytes(), requests):
        if report.application:
            assert ra.dispatch.carry_out(ra.approve(report.application).id).state is State.ISSUED


@only_sqlite
def test_a_missing_request_refuses_its_row_only(ra, requests) -> None:
    """One file is missing in the folder."""
    (requests / "bright-pearl.csr").unlink()
    reports = {report.key: report for report in run(ra, DEMO.read_bytes(), requests)}
    assert [fault.code for fault in reports["bright-pearl"].faults] == ["CSR_MISSING"]
    # With the first row refused, the row that repeats it on purpose is no duplicate any more.
    assert reports["bright-again"].outcome == "submitted"


@only_sqlite
def test_a_key_cannot_leave_the_folder(ra, tmp_path) -> None:
    """A key such as ../secret names no file."""
    (tmp_path / "secret.csr").write_text(make_csr())
    folder = tmp_path / "requests"
    folder.mkdir()
    data = "key,authority,type,name,idcard,state_or_province,locality,mobile,consent,consent_version\n"
    data += "../secret,pearl,citizen,李四,440300190001010015,广东省,深圳市,13800000000,paper,2026-11\n"
    [report] = run(ra, data.encode(), folder)
    assert [fault.code for fault in report.faults] == ["CSR_MISSING"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"key,authority\n", "no rows"),
        (b"key,authority\na,b\n", "lacks columns: type"),
        (b"key,authority,type,shoe_size\na,b,c,d\n", "unknown or double columns: shoe_size"),
        (b"key,authority,type,type\na,b,c,d\n", "unknown or double columns: type"),
        (b"key,authority,type\na,b,c,d\n", "more cells"),
        ("key,authority,type,名称\na,b,c,d\n".encode("gb18030"), "unknown or double columns: 名称"),
        (b'key,authority,type\n"a,b\n', "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_enters_nothing(data, words) -> None:
    """Each kind of wrong file: refused as a whole, with what is wrong."""
    with pytest.raises(BatchFileError) as caught:
        read_rows(data)
    with set_language("en"):
        assert words in gettext(caught.value.text, **caught.value.facts)


@only_sqlite
def test_rows_with_unknown_type_and_double_key(ra, requests) -> None:
    """A type that does not exist, and two rows with one key."""
    data = b"key,authority,type\na,pearl,robot\na,pearl,citizen\n\n"
    reports = run(ra, data, requests)
    assert [fault.code for report in reports for fault in report.faults] == ["TYPE_UNKNOWN", "KEY_TWICE"]


@only_sqlite
def test_could_not_stops_the_import(ra, requests) -> None:
    """The CA was never reached, so no authority is known: "could not", not a list of refused rows."""
    ra.ca.down = True
    with pytest.raises(CaUnreachableError):
        run(ra, DEMO.read_bytes(), requests)
    assert ra.rows(applications) == []
