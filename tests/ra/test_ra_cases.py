"""Cases: what clerks ask for about a certificate, approved by others and carried out."""

import pytest
from ra_fakes import idcard

from onecert.ra.certificates.records import find_by_application
from onecert.ra.errors import CaseInvalidError, ContentChangedError, NotFoundError, RevocationRefusedError
from onecert.ra.life.machine import Business, State
from onecert.ra.models import revocations
from onecert.ra.operators.scopes import Grant, write_scope
from onecert.server.operators import SamePersonError


@pytest.fixture
def certificate(ra):
    made = ra.issue()
    with ra.database.reading() as connection:
        return find_by_application(connection, made.id)


def ask(ra, certificate, business, *, by=None, key="k", **words):
    return ra.service.cases.open(
        by or ra.entry_clerk,
        Business(business),
        certificate.authority,
        certificate.serial_hex,
        request_key=key,
        **words,
    )


def test_a_revocation_asked_for_at_the_counter(ra, certificate) -> None:
    """Clerk asks, reviewer approves what was shown: signed with it, carried out, and the case is done."""
    case = ask(ra, certificate, "revoke", reason="cessationOfOperation", note="form and licence seen")
    assert ask(ra, certificate, "revoke", reason="cessationOfOperation", note="form and licence seen") == case
    assert ra.rows(revocations) == []
    with pytest.raises(ContentChangedError):
        ra.service.cases.approve(ra.reviewer, case.id, content_sha256="0" * 64)
    approved = ra.service.cases.approve(ra.reviewer, case.id, content_sha256=case.content_sha256)
    assert approved.state is State.ORDERED
    assert ra.revoking.carry_out(approved.revocation_id) == "done"
    assert ra.service.reach.case(ra.reviewer, case.id).state is State.DONE
    assert ra.events(case.id) == ["submitted", "approved", "done"]
    assert ra.ca.status["pearl", certificate.serial_hex]["reason"] == "cessationOfOperation"


def test_nobody_approves_what_they_asked_for(ra, certificate) -> None:
    """One person with every role: asks, and may neither approve nor reject, only withdraw."""
    everything = ("clerk.entry", "clerk.review", "security.officer", "clerk.media")
    both = ra.operator("both", *everything, person=idcard(150))
    for number, business in enumerate(("hold", "unlock", "recovery")):
        case = ask(ra, certificate, business, by=both, key=str(number), note="papers seen")
        with pytest.raises(SamePersonError):
            ra.service.cases.approve(both, case.id, content_sha256=case.content_sha256)
        with pytest.raises(SamePersonError):
            ra.service.cases.reject(both, case.id, reason="no papers")
        assert ra.service.cases.withdraw(both, case.id).state is State.WITHDRAWN
    assert ra.rows(revocations) == []


def test_a_key_comes_back_only_with_a_third_person(ra, certificate) -> None:
    """Clerk, reviewer, security officer; the reviewer may not be the officer. Then it is handed over."""
    case = ask(ra, certificate, "recovery", note="court order 12/2026")
    both = ra.operator("both", "clerk.review", "security.officer", person=idcard(151))
    reviewed = ra.service.cases.approve(both, case.id, content_sha256=case.content_sha256)
    assert reviewed.state is State.REVIEWED
    with pytest.raises(SamePersonError):
        ra.service.cases.consent(both, case.id)
    assert ra.service.cases.consent(ra.officer, case.id).state is State.APPROVED
    assert ra.service.cases.complete(ra.officer, case.id).state is State.DONE


def test_the_status_changed_in_between(ra, certificate) -> None:
    """A hold asked for; revoked before it is approved. The approval is refused and leaves nothing."""
    case = ask(ra, certificate, "hold")
    made = ra.certificates.request_change(
        ra.officer, "pearl", certificate.serial_hex, reason="keyCompromise", request_key="r"
    )
    ra.revoking.carry_out(made)
    with pytest.raises(RevocationRefusedError):
        ra.service.cases.approve(ra.reviewer, case.id, content_sha256=case.content_sha256)
    assert ra.service.reach.case(ra.reviewer, case.id).state is State.SUBMITTED
    assert ra.service.cases.reject(ra.reviewer, case.id, reason="revoked already").answer == "revoked already"


@pytest.mark.parametrize(
    ("business", "words"),
    [
        ("revoke", {}),
        ("revoke", {"reason": "certificateHold"}),
        ("hold", {"reason": "keyCompromise"}),
        ("unlock", {}),
        ("recovery", {"note": "order", "reason": "superseded"}),
        ("new", {"note": "papers"}),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_case_has_what_its_business_needs(ra, certificate, business, words) -> None:
    """A reason or note is missing, or has no place there. Must be refused."""
    with pytest.raises(CaseInvalidError):
        ask(ra, certificate, business, **words)


def test_cases_over_rest_and_out_of_reach(ra, certificate) -> None:
    """Unlocking from the counter to done; another point neither lists nor finds it."""
    clerk, reviewer = ra.browser(ra.entry_clerk), ra.browser(ra.reviewer)
    maker = ra.browser(ra.operator("sun", "clerk.media", person=idcard(152)))
    words = {
        "business": "unlock",
        "authority": "pearl",
        "serial": certificate.serial_hex,
        "note": "form seen",
    }
    case = clerk.api("POST", "/cases", words)
    assert case.status_code == 201, case.json
    path = f"/cases/{case.json['id']}"
    assert maker.api("POST", f"{path}/complete").json["code"] == "WRONG_STATE"
    shown = {"content_sha256": case.json["content_sha256"]}
    assert reviewer.api("POST", f"{path}/approve", shown).json["state"] == "approved"
    assert maker.api("POST", f"{path}/complete").json["state"] == "done"
    assert [item["number"] for item in clerk.api("GET", "/cases?business=unlock").json["items"]] == [
        case.json["number"]
    ]
    elsewhere = ra.operator("far", "clerk.entry", person=idcard(153))
    with ra.database.transaction() as connection:
        write_scope(connection, "far", [Grant(point="futian")])
    with pytest.raises(NotFoundError):
        ra.service.cases.withdraw(elsewhere, case.json["id"])
    assert ra.browser(elsewhere).api("GET", "/cases").json["items"] == []
    hold = {**words, "business": "hold", "note": ""}
    held = clerk.api("POST", "/cases", hold).json
    done = reviewer.api("POST", f"/cases/{held['id']}/approve", {"content_sha256": held["content_sha256"]})
    assert (done.json["state"], ra.ca.status["pearl", certificate.serial_hex]["status"]) == ("done", "hold")
