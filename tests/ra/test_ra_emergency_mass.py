"""Emergencies by the CA's mass revocation: one signed proposal for each authority, resumable, drilled."""

import pytest
from ra_fakes import DAY, T, idcard
from ra_mass import FakeMass
from test_ra_emergency import approve, counts, issue, propose, statuses

from onecert.ra.emergency import parts
from onecert.ra.emergency.documents import CONFIRMATION_TYP, PROPOSAL_TYP, RESUMPTION_TYP, STOP_TYP
from onecert.ra.emergency.selection import Selection
from onecert.ra.emergency.tables import emergencies, emergency_parts
from onecert.ra.models import certificates, revocations
from onecert.server.models import audit_entries

BATTERY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def second(ra):
    """Another officer, another person."""
    return ra.operator("sun", "security.officer", person=idcard(160))


@pytest.fixture
def mass(ra):
    return FakeMass(ra.ca)


def run(ra):
    ra.service.emergency_work.run(T)


def test_all_of_an_authority_by_one_signed_proposal(ra, second, mass) -> None:
    """Proposed and confirmed as two people; done at the CA, then written down here, with an entry each."""
    serials = issue(ra)
    made = approve(ra, second, propose(ra))
    run(ra)
    assert [typ for typ, _said in mass.signed] == [PROPOSAL_TYP, CONFIRMATION_TYP]
    proposal, confirmation = (said for _typ, said in mass.signed)
    assert (proposal["requested_by"], confirmation["confirmed_by"]) == (["zhao"], ["sun"])
    assert proposal["selection"]["lines"]["count"] == confirmation["certificates"] == 3
    # What the officer wrote stays here; the hash of what was approved goes along.
    assert "keys stolen" not in proposal["why"]
    assert made.content_sha256 in proposal["why"]
    assert statuses(ra) == ["good"] * 3
    mass.work()
    run(ra)
    assert statuses(ra) == ["revoked"] * 3
    assert counts(ra, made)["done"] == 3
    assert ra.service.emergencies.find(second, made.id).state == "done"
    assert ra.rows(revocations) == []
    noted = [row["subject"] for row in ra.rows(audit_entries) if row["event"] == "certificate.revoked"]
    assert sorted(noted) == [f"certificate:pearl/{serial}" for serial in serials]
    posts = list(ra.ca.posts)
    run(ra)
    assert ra.ca.posts == posts


def test_killed_anywhere_it_goes_on(ra, second, mass, monkeypatch) -> None:
    """Every answer of the CA is lost once, and it is away in between: one mass revocation for each part."""
    monkeypatch.setattr(parts, "MOST_LINES", 2)
    issue(ra)
    made = approve(ra, second, propose(ra))
    for _attempt in range(8):
        ra.ca.lose_answers = 1
        run(ra)
        ra.ca.lose_answers, ra.ca.down = 0, True
        run(ra)
        ra.ca.down = False
        mass.work(1)
    run(ra)
    assert sorted(len(each) for each in mass.serials.values()) == [1, 2]
    assert (counts(ra, made)["done"], statuses(ra)) == (3, ["revoked"] * 3)


@BATTERY
def test_paused_here_it_stops_there(ra, second, mass) -> None:
    """One officer stops it at the CA, another goes on. A stop of the CA's own people is not undone."""
    issue(ra)
    made = approve(ra, second, propose(ra))
    run(ra)
    mass.work(1)
    ra.service.emergencies.pause(ra.officer, made.id, note="wait")
    run(ra)
    [row] = mass.made.values()
    assert row["state"] == "stopped"
    run(ra)
    ra.service.emergencies.resume(second, made.id, note="go")
    run(ra)
    assert [typ for typ, _said in mass.signed][2:] == [STOP_TYP, RESUMPTION_TYP]
    assert [said["requested_by"] for _typ, said in mass.signed[2:]] == [["zhao"], ["sun"]]
    row["state"] = "stopped"
    run(ra)
    assert (row["state"], ra.rows(emergency_parts)[0]["at_authority"]) == ("stopped", "stopped")
    row["state"] = "running"
    mass.work()
    run(ra)
    assert counts(ra, made)["done"] == 3


@BATTERY
def test_what_the_ca_had_revoked_keeps_its_reason(ra, second, mass) -> None:
    """Revoked there without our knowing: told apart, and its own reason is what we learn."""
    first, *_others = issue(ra)
    ra.ca.status["pearl", first] = {
        "serial": first,
        "status": "revoked",
        "reason": "superseded",
        "revoked_at": (T - DAY).isoformat(),
    }
    made = approve(ra, second, propose(ra))
    run(ra)
    mass.work()
    run(ra)
    found = counts(ra, made)
    assert (found["already"], found["done"]) == (1, 2)
    assert {row["reason"] for row in ra.rows(certificates) if row["serial_hex"] == first} == {"superseded"}


@BATTERY
def test_what_the_ca_does_not_take_goes_one_by_one(ra, second, mass) -> None:
    """The CA knows one of the serials no longer: each certificate gets its own answer."""
    first, *_others = issue(ra)
    del ra.ca.status["pearl", first]
    made = approve(ra, second, propose(ra))
    run(ra)
    found = counts(ra, made)
    assert (found["done"], found["refused"]) == (2, 1)
    assert "MASS_REVOCATION_LINES" in ra.rows(emergency_parts)[0]["problem"]


@BATTERY
def test_a_drill_goes_as_far_as_the_frozen_list(ra, second, mass) -> None:
    """Proposed and frozen at the CA, stopped: nobody can confirm it any more, and nothing is revoked."""
    issue(ra)
    made = approve(ra, second, propose(ra, is_drill=True))
    run(ra)
    mass.work()
    run(ra)
    assert [typ for typ, _said in mass.signed] == [PROPOSAL_TYP, STOP_TYP]
    assert [row["state"] for row in mass.made.values()] == ["stopped"]
    assert (counts(ra, made)["done"], statuses(ra)) == (3, ["good"] * 3)
    [part] = ra.rows(emergency_parts)
    assert part["proposed_at"] <= part["frozen_at"] <= part["confirmed_at"] <= part["finished_at"]
    assert part["confirmation"] is None


@BATTERY
def test_a_hold_and_what_was_revoked_between(ra, second, mass) -> None:
    """One is revoked after the freezing, and we know it: it is told apart and stays revoked."""
    serials = issue(ra)
    made = propose(ra, Selection(kind="serials", value="\n".join(serials)), reason="certificateHold")
    key = ra.certificates.request_change(
        ra.officer, "pearl", serials[0], reason="superseded", request_key="x"
    )
    ra.revoking.carry_out(key)
    approve(ra, second, made)
    run(ra)
    mass.work()
    run(ra)
    assert statuses(ra) == ["hold", "hold", "revoked"]
    assert (counts(ra, made)["already"], counts(ra, made)["done"]) == (1, 2)


def test_what_a_search_found_over_rest(ra, second) -> None:
    """Search, freeze, approve by the other, status and items by REST; a person's number is kept nowhere."""
    issue(ra)
    ra.issue(ra.entry("citizen", name="赵甲", idcard=idcard(409)))
    first, other = ra.browser(ra.officer), ra.browser(second)
    words = {"kind": "search", "value": "王", "reason": "keyCompromise", "why": "batch of one clerk"}
    assert first.api("POST", "/emergencies", {**words, "value": "nobody here"}).status_code == 422
    made = first.api("POST", "/emergencies", words, Idempotency_Key="s").json
    assert (made["certificates"], made["selection"]["value"]) == (3, "王")
    assert first.api("POST", "/emergencies", words, Idempotency_Key="s").json["id"] == made["id"]
    path = f"/emergencies/{made['id']}"
    shown = {"content_sha256": made["content_sha256"], "certificates": 3}
    assert first.api("POST", f"{path}/approve", shown).status_code == 403
    assert other.api("POST", f"{path}/approve", {**shown, "certificates": 4}).status_code == 409
    assert other.api("POST", f"{path}/approve", shown).json["state"] == "running"
    assert other.api("POST", f"{path}/pause", {"note": "wait"}).json["state"] == "paused"
    assert first.api("POST", f"{path}/resume", {"note": "go on"}).json["state"] == "running"
    run(ra)
    found = first.api("GET", path).json
    assert (found["state"], found["counts"]["done"]) == ("done", 3)
    page = first.api("GET", f"{path}/items?state=done&limit=2").json
    assert (len(page["items"]), page["next"]) == (2, 2)
    assert len(first.api("GET", f"{path}/items?after=2").json["items"]) == 1
    assert len(other.api("GET", "/emergencies").json["items"]) == 1
    # The search page hands its words over in the body; a person's number goes no further than the list.
    number = idcard(409)
    first.get("/search")
    first.post("/search", {"q": number, "as": "idcard", "stay": "1"})
    assert "as an emergency" in first.page
    first.post("/emergency/new", {"kind": "search", "value": number, "read_as": "idcard"})
    form = {"act": "propose", "kind": "search", "value": number, "read_as": "idcard", "why": "stolen"}
    answer = first.post(
        "/emergency/new", {**form, "reason": "keyCompromise", "form_key": first.value("form_key")}
    )
    assert answer.status_code == 200
    assert number not in first.page
    assert not any(number in row["selection"] for row in ra.rows(emergencies))


@BATTERY
def test_the_page_says_how_far_the_authority_is(ra, second, mass) -> None:
    """Each mass revocation with its state and list; the bar follows the authority, which is ahead of us."""
    issue(ra)
    made = approve(ra, second, propose(ra))
    run(ra)
    mass.work(2)
    run(ra)
    browser = ra.browser(second)
    browser.get(f"/emergency/{made.id}")
    assert "2 of 3" in browser.text
    assert "being revoked" in browser.text
    mass.work()
    run(ra)
    browser.get(f"/emergency/{made.id}")
    assert "3 of 3" in browser.text
