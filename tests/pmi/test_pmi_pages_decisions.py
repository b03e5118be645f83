"""What auditors ask: policies, who could then, what somebody can, recorded decisions; and the catalogue."""

import csv
import io

import pytest

pytestmark = pytest.mark.token

ASKED = {"action": "approve", "resource_type": "Form", "resource_id": "7", "attributes": "amount=500"}


def test_who_could_on_that_day(pmi, lab) -> None:
    """Before the grant nobody, after it its holder, after the revocation nobody; and as a file."""
    pmi.clock.advance(lab.timedelta(hours=2))
    hostile = pmi.holders.know(pmi.ca.holder("=1+1"), "uscc:91440300MA5DEM0A63")
    grant = pmi.grant(lab.APPROVER_ROLE, holder=hostile)
    pmi.clock.advance(lab.DAY)
    pmi.parts.revocations.revoke(grant.serial, reason="superseded", operator=pmi.officer)
    pmi.clock.advance(lab.DAY)
    auditor = pmi.client(pmi.auditor)
    for at, expected in (("2026-11-21T18:00", False), ("2026-11-22T08:00", True), ("", False)):
        answer = auditor.submit("/who-can", {**ASKED, "at": at})
        assert (answer.status_code, "=1+1" in answer.text) == (200, expected), at
        assert answer.headers["Cache-Control"] == "no-store"
    table = auditor.submit("/who-can", {**ASKED, "at": "2026-11-22T08:00", "form": "csv"})
    rows = list(csv.DictReader(io.StringIO(table.data.decode("utf-8-sig"))))
    assert [(row["name"], row["certificates"]) for row in rows] == [("'=1+1", grant.serial)]
    for wrong, field in (
        ({"at": "then"}, "at"),
        ({"resource_type": "not a word"}, "resource_type"),
        ({"attributes": "amount"}, "attributes"),
        ({"action": ""}, "action"),
        ({"at": "2020-01-01T00:00"}, "at"),
    ):
        answer = auditor.submit("/who-can", {**ASKED, **wrong})
        assert (answer.status_code, f'id="f-{field}-error"' in answer.text) == (422, True), wrong


def test_what_somebody_can_do(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    officer = pmi.client(pmi.officer)
    page = officer.submit("/what-can?language=en", {"who_text": "91440300MA5DEM004J"}).text
    assert "approver-approves" in page
    assert "resource.amount" in page
    named = officer.submit("/what-can", {"who_text": "张"}).text
    assert 'name="who_kind" value="certificate"' in named
    assert officer.submit("/what-can", {"who_text": "无此人"}).status_code == 422


def test_a_recorded_decision_is_found_and_decided_again(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    decided = pmi.decide()
    pmi.decide(amount=99_999)
    auditor = pmi.client(pmi.auditor)
    page = auditor.get("/decisions?result=permit&language=en").text
    assert decided.id in page
    assert page.count('class="badge success"') == 1
    assert "张三" not in page
    assert 'class="empty"' in auditor.get("/decisions?first=2026-01-01&last=2026-01-31").text
    assert "92" in auditor.get("/decisions?first=2020-01-01").text
    found = auditor.get(f"/decisions?number={decided.id}", follow_redirects=True).text
    assert "approver-approves" in found
    again = auditor.submit(f"/decisions/{decided.id}/replay?language=en").text
    assert "everything is as it was" in again
    assert auditor.get("/decisions/nothing").status_code == 404
    assert "decision.read" in pmi.events(), "reading is recorded"
    for operator in (pmi.officer, pmi.approver):
        assert pmi.client(operator).get("/decisions").status_code == 403
        assert "/pmi/decisions" not in pmi.client(operator).get("/").text


def test_policies_with_their_tests_and_what_an_old_one_would_change(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    decided = pmi.decide(amount=15_000)
    pmi.clock.advance(lab.timedelta(minutes=1))
    pmi.publish_policy(lab.POLICY.replace("10000", "20000"))
    auditor = pmi.client(pmi.auditor)
    page = auditor.get("/policies").text
    assert "/policies/tax/2" in page
    now = auditor.get("/policies/tax/2?language=en").text
    assert "in force" in now
    assert "an approver approves a small form" in now
    assert "nothing-under-audit" in now
    assert "What it would change" not in now
    pmi.decide(amount=15_000)
    old = auditor.get("/policies/tax/1?language=en").text
    assert decided.id[:13] in old
    assert auditor.get("/policies/tax/3").status_code >= 400


def test_the_catalogue_and_what_a_version_changed(pmi, lab) -> None:
    with pmi.database.transaction() as connection:
        changed = lab.CATALOGUE.replace("max_days = 30", "max_days = 20")
        pmi.parts.catalogues.publish(connection, pmi.catalogue(changed), actor="command:test")
    auditor = pmi.client(pmi.auditor)
    page = auditor.get("/catalogue?language=en").text
    assert "Version 2" in page
    assert "max_days" in page
    assert "20 days at most" in page
    first = auditor.get("/catalogue?language=en&version=1").text
    assert "30 days at most" in first
    assert 'class="empty"' in pmi.client(pmi.auditor).get("/attribute-certificates").text
