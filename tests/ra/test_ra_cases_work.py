"""Cases carried out: unlocking within its limit, the hand-over to the key centre, the pages."""

import json
import re
from datetime import timedelta

import pytest
from ra_fakes import idcard
from sqlalchemy import update

from onecert.ra.cases.handover import HANDOVER_TYP, find_handover
from onecert.ra.certificates.records import find_by_application
from onecert.ra.errors import ContentChangedError, UnlockLimitError
from onecert.ra.life.machine import Business, State
from onecert.ra.models import cases
from onecert.verifier.jws import key_id, verify_document

HOUR = timedelta(hours=1)
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def certificate(ra):
    made = ra.issue()
    with ra.database.reading() as connection:
        return find_by_application(connection, made.id)


def ask(ra, certificate, business, key, note="papers seen"):
    place = (certificate.authority, certificate.serial_hex)
    return ra.service.cases.open(ra.entry_clerk, Business(business), *place, note=note, request_key=key)


def approve(ra, case):
    return ra.service.cases.approve(ra.reviewer, case.id, content_sha256=case.content_sha256)


def test_unlocking_has_a_limit(ra, certificate) -> None:
    """Three a day: the fourth is refused with the time when it is possible again; what was withdrawn does
    not count; the next day it goes on."""
    maker = ra.operator("sun", "clerk.media", person=idcard(130))
    done = approve(ra, ask(ra, certificate, "unlock", "1"))
    ra.service.cases.complete(maker, done.id)
    first = ra.clock.now()
    withdrawn = ask(ra, certificate, "unlock", "2")
    ra.service.cases.withdraw(ra.entry_clerk, withdrawn.id)
    ra.clock.advance(HOUR)
    ask(ra, certificate, "unlock", "3")
    ask(ra, certificate, "unlock", "4")
    with pytest.raises(UnlockLimitError) as refused:
        ask(ra, certificate, "unlock", "5")
    assert refused.value.facts["again"] == first + 24 * HOUR
    assert ask(ra, certificate, "unlock", "4").number  # a double click is no further one
    ask(ra, certificate, "hold", "h", note="")  # only unlocking is counted
    ra.clock.advance(23 * HOUR + timedelta(seconds=1))
    assert ask(ra, certificate, "unlock", "5").state is State.SUBMITTED


@only_sqlite
def test_the_limit_counts_again_when_it_is_carried_out(ra, certificate) -> None:
    """Approved days apart, all carried out at once: the fourth is refused then, and stays to be done."""
    maker = ra.operator("sun", "clerk.media", person=idcard(130))
    waiting = []
    for number in range(4):
        waiting.append(approve(ra, ask(ra, certificate, "unlock", str(number))))
        ra.clock.advance(25 * HOUR)
    for case in waiting[:3]:
        ra.service.cases.complete(maker, case.id)
    with pytest.raises(UnlockLimitError):
        ra.service.cases.complete(maker, waiting[3].id)
    assert ra.service.reach.case(maker, waiting[3].id).state is State.APPROVED


def recovered(ra, certificate):
    case = approve(ra, ask(ra, certificate, "recovery", "r", note="court order 12/2026"))
    ra.service.cases.consent(ra.officer, case.id)
    return ra.service.cases.complete(ra.officer, case.id)


def test_the_key_centre_gets_a_signed_document(ra, certificate, tmp_path) -> None:
    """The file in the outbox is the document on record, signed by the RA, with all who answer for it."""
    case = recovered(ra, certificate)
    [file] = (tmp_path / "key-centre").iterdir()
    assert file.name == f"{case.number}.jws"
    assert file.stat().st_mode & 0o077 == 0
    key = ra.keys.order_public_key
    said = verify_document(file.read_bytes(), keys={key_id(key): key}, typ=HANDOVER_TYP)
    assert said["serial"] == certificate.serial_hex
    assert said["certificate_sha256"] == certificate.sha256
    assert [said[name] for name in ("asked_by", "reviewed_by", "consented_by", "handed_over_by")] == [
        *("wang", "li"),
        *("zhao", "zhao"),
    ]
    officer = ra.browser(ra.officer)
    answer = officer.api("GET", f"/cases/{case.id}/handover")
    assert answer.data == file.read_bytes()
    assert officer.get(f"/cases/{case.id}/handover").data == file.read_bytes()
    assert ra.browser(ra.entry_clerk).api("GET", f"/cases/{case.id}/handover").status_code == 403


@only_sqlite
def test_an_outbox_that_cannot_be_written_gets_it_later(ra, certificate, tmp_path) -> None:
    """A file stands where the folder should be: the case is done all the same, the job writes it later."""
    blocked = tmp_path / "key-centre"
    blocked.write_text("in the way")
    case = recovered(ra, certificate)
    assert case.state is State.DONE
    ra.service.handovers.run(ra.clock.now())
    blocked.unlink()
    ra.service.handovers.run(ra.clock.now())
    ra.service.handovers.run(ra.clock.now())
    with ra.database.reading() as connection:
        assert (blocked / f"{case.number}.jws").read_text() == find_handover(connection, case.id)
    assert [file.name for file in blocked.iterdir()] == [f"{case.number}.jws"]


@only_sqlite
def test_a_case_changed_behind_our_back_is_not_approved(ra, certificate) -> None:
    """The note is changed in the database after it was asked for. Must be refused."""
    case = ask(ra, certificate, "unlock", "1")
    with ra.database.transaction() as connection:
        connection.execute(update(cases).where(cases.c.id == case.id).values(note="other papers"))
    with pytest.raises(ContentChangedError):
        approve(ra, case)
    page = ra.browser(ra.reviewer)
    page.get(f"/cases/{case.id}")
    assert page.value("content_sha256") != case.content_sha256


@only_sqlite
def test_a_revocation_from_page_to_page(ra, certificate) -> None:
    """Asked on the form (first without a reason: nothing typed is lost), approved by li, carried out."""
    clerk, reviewer = ra.browser(ra.entry_clerk), ra.browser(ra.reviewer)
    path = f"/cases/new/revoke/{certificate.authority}/{certificate.serial_hex}"
    clerk.get(path)
    form = {"form_key": clerk.value("form_key"), "note": "licence given up"}
    assert clerk.post(path, form).status_code == 422
    assert "licence given up" in clerk.page
    form["reason"] = "cessationOfOperation"
    shown = clerk.post(path, form)
    assert "a second person decides" in clerk.text
    assert 'value="approve"' not in clerk.page
    clerk.post(path, form)  # back and once more: the same case
    assert clerk.get("/cases?tab=decide").status_code == 200
    assert len(set(re.findall(r"/cases/[0-9a-f-]{36}", clerk.page))) == 1
    case = shown.request.path
    reviewer.get(case)
    reviewer.post(f"{case}/act", {"act": "reject", "reason": ""})
    assert "A reason of 2 to 500 characters" in reviewer.text
    reviewer.post(f"{case}/act", {"act": "approve", "content_sha256": reviewer.value("content_sha256")})
    assert "carried out by the authority" in reviewer.text
    second_tab = reviewer.post(f"{case}/act", {"act": "reject", "reason": "too late"})
    assert second_tab.status_code == 409
    assert "not possible any more" in reviewer.text
    assert ra.ca.status["pearl", certificate.serial_hex]["status"] == "revoked"


@only_sqlite
def test_a_recovery_from_page_to_page(ra, certificate) -> None:
    """Three people on the pages; li, who approved, is not offered the consent."""
    both = ra.operator("both", "clerk.review", "security.officer", person=idcard(131))
    case = ask(ra, certificate, "recovery", "1", note="court order")
    browser, officer = ra.browser(both), ra.browser(ra.officer)
    browser.get(f"/cases/{case.id}")
    browser.post(
        f"/cases/{case.id}/act", {"act": "approve", "content_sha256": browser.value("content_sha256")}
    )
    assert 'value="consent"' not in browser.page
    officer.get(f"/cases/{case.id}")
    for act in ("consent", "complete"):
        assert f'value="{act}"' in officer.page
        officer.post(f"/cases/{case.id}/act", {"act": act})
    assert "handed over to the key centre" in officer.text
    document = json.loads(officer.get(f"/cases/{case.id}/handover").data)
    assert set(document) == {"payload", "signatures"}


@only_sqlite
def test_what_can_be_asked_for_stands_on_the_certificate(ra, certificate) -> None:
    """A clerk finds the kinds of business; one under way is linked and not offered again."""
    clerk = ra.browser(ra.entry_clerk)
    held = ask(ra, certificate, "hold", "1")
    clerk.get(f"/certificates/{certificate.authority}/{certificate.serial_hex}")
    assert f"/cases/{held.id}" in clerk.page
    assert "/cases/new/hold/" not in clerk.page
    assert "/cases/new/revoke/" in clerk.page
    assert clerk.get(f"/cases/new/nothing/pearl/{certificate.serial_hex}").status_code == 404
