"""Scans with the form: before the first save, with faults, with a second click, in a renewal; forgotten ones.

form with files -> the draft is kept -> its evidence; with scripts the files go as soon as they are chosen
"""

import io
import re
from typing import Any

import pytest
from ra_fakes import DAY, T, idcard, make_csr
from test_ra_evidence_pages import picture
from test_ra_following import certificate_of
from test_ra_pages import FORM

from onecert.ra.evidence.tables import evidence
from onecert.ra.models import applications
from onecert.server.models import audit_entries

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NEW = "/applications/new/pearl/organisation"


def send(browser: Any, path: str, typed: dict[str, Any], **files: bytes) -> Any:
    """Press a button of the form with files on the lines of papers."""
    scans = {f"scan-{material}": (io.BytesIO(content), "扫描.jpg") for material, content in files.items()}
    answer = browser.post(path, {**typed, **scans}, follow=False)
    answer.request.environ["wsgi.input"].close()  # the client's own temporary file
    return answer


def whole(browser: Any, **changes: str) -> dict[str, str]:
    browser.get(NEW)
    return {**FORM, "csr": make_csr(), "form_key": browser.value("form_key"), "act": "submit", **changes}


def papers(ra: Any) -> list[tuple[str, str]]:
    return sorted((row["record_id"], row["material"]) for row in ra.rows(evidence))


def test_scans_come_with_a_form_that_was_never_saved(ra) -> None:
    """Submitted at once, twice by a double click: one application with both papers."""
    clerk = ra.browser(ra.entry_clerk)
    form = whole(clerk)
    for _click in range(2):
        answer = send(clerk, NEW, form, licence=picture(), agent_id=picture("red"))
        assert answer.status_code == 303
    [row] = ra.rows(applications)
    assert row["state"] == "submitted"
    assert papers(ra) == [(row["id"], "agent_id"), (row["id"], "licence")]


def test_a_fault_loses_neither_typing_nor_scans(ra) -> None:
    """A wrong check digit, a program among the scans: both are said, the good scan is kept."""
    clerk = ra.browser(ra.entry_clerk, language="zh")
    form = whole(clerk, uscc="91440300MA5DEM004K")
    answer = send(clerk, NEW, form, licence=picture(), authorisation=b"MZ" + bytes(99))
    assert answer.status_code == 422
    assert "可执行程序" in clerk.text
    [row] = ra.rows(applications)
    assert (row["state"], papers(ra)) == ("draft", [(row["id"], "licence")])

    mended = {**form, "uscc": FORM["uscc"], "id": clerk.value("id"), "revision": clerk.value("revision")}
    clerk.post(NEW, mended)
    assert [row["state"] for row in ra.rows(applications)] == ["submitted"]


def test_scans_go_with_a_renewal(ra) -> None:
    """The form of a renewal with a fault and a scan: a draft that has it, and its form names the fault."""
    certificate = certificate_of(ra, ra.issue())
    clerk = ra.browser(ra.entry_clerk)
    path = f"/certificates/pearl/{certificate.serial_hex}/follow/renew"
    clerk.get(path)
    form = {**FORM, "form_key": clerk.value("form_key"), "act": "submit", "csr": "rubbish"}
    answer = send(clerk, path, form, form=picture())
    clerk.get(answer.location)
    assert "not a certificate request" in clerk.text
    renewal = next(row for row in ra.rows(applications) if row["business"] == "renew")
    assert papers(ra) == [(renewal["id"], "form")]


def test_the_script_sends_one_line_and_gets_that_part_of_the_form(ra) -> None:
    """After the draft was saved while typing; refused files are named in the same part."""
    draft, clerk = ra.create(), ra.browser(ra.entry_clerk)
    clerk.get(f"/applications/{draft.id}/edit")
    for content, status, said in ((picture(), 200, "JPEG"), (b"MZ" + bytes(99), 422, "可执行程序")):
        answer = clerk.client.post(
            f"/applications/{draft.id}/evidence",
            base_url="https://127.0.0.1:8443/ra",
            data={"material": "licence", "files": (io.BytesIO(content), "a.jpg")},
            headers={"X-CSRF-Token": clerk.token, "X-Part": "scans"},
        )
        part = answer.get_data(as_text=True)
        assert answer.status_code == status
        assert said in part
        assert re.match(r"\s*<section", part)


def test_more_than_a_record_may_have_is_said_before_it_is_read(ra) -> None:
    """One request as large as 30 scans of the largest size."""
    clerk = ra.browser(ra.entry_clerk)
    form = whole(clerk)
    ra.service.evidence.limits = type(ra.service.evidence.limits)(
        file_octets=100_000, record_octets=200_000, number=30
    )
    answer = send(clerk, NEW, form, licence=bytes(1_400_000))
    assert answer.status_code == 413
    clerk.get("/")


def test_scans_of_a_draft_that_nobody_goes_on_with_are_removed(ra) -> None:
    """One left alone, one with a later step, one withdrawn, one submitted: the first and third lose theirs.

    Both the life line and the audit trail say so; the files go with the next sweep.
    """
    left, used, withdrawn, submitted = (
        ra.create(ra.entry("citizen", idcard=idcard(n))) for n in range(300, 304)
    )
    for draft in (left, used, withdrawn, submitted):
        ra.service.evidence.add(ra.entry_clerk, draft.id, "holder_id", io.BytesIO(picture()))
    ra.applications.withdraw(ra.entry_clerk, withdrawn.id)
    ra.applications.submit(ra.entry_clerk, submitted.id)
    ra.clock.set(T + 60 * DAY)
    ra.service.evidence.add(ra.entry_clerk, used.id, "form", io.BytesIO(picture("red")))

    ra.service.forgotten_scans.run(T + 90 * DAY)  # the last day
    assert len(papers(ra)) == 5
    ra.service.forgotten_scans.run(T + 91 * DAY)
    assert {record for record, _material in papers(ra)} == {used.id, submitted.id}
    assert ra.events(left.id)[-1] == "evidence_removed"
    assert "evidence_removed" in [row["event"].partition(".")[2] for row in ra.rows(audit_entries)]
