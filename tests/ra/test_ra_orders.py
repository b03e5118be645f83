"""Orders on their way: lost answers, a CA that is away, wrong answers, refusals, a token that is gone."""

import json
from datetime import timedelta

import pytest
from ra_fakes import make_csr, make_key

from onecert.ra.applications.records import split_personal
from onecert.ra.errors import TokenNotReadyError
from onecert.ra.life.machine import State
from onecert.ra.models import applications, certificates, orders, revocations
from onecert.server.models import audit_entries
from onecert.verifier.jws import key_id, verify_document

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SOON = timedelta(minutes=15)


def resend(ra) -> None:
    """Let time pass and the jobs run."""
    ra.clock.advance(SOON)
    ra.dispatch.run(ra.clock.now())
    ra.revoking.run(ra.clock.now())


def test_a_lost_answer_is_asked_for_again_with_the_same_order(ra) -> None:
    """The CA issues, the answer is lost. The job posts the same bytes; one order stays one certificate."""
    ra.ca.lose_answers = 1
    application = ra.issue()
    assert application.state is State.ORDERED
    [order] = ra.rows(orders)
    assert order["attempts"] == 1
    assert order["last_error"] == "OutageError"

    resend(ra)

    assert ra.load(application.id).state is State.ISSUED
    assert len(ra.ca.orders) == len(ra.rows(certificates)) == 1
    assert ra.ca.posts.count("/v1/orders") == 2


def test_a_ca_that_is_away_delays_and_refuses_nothing(ra) -> None:
    """503 for an hour. The application stays ordered, attempts grow apart, then it is issued."""
    ra.directory.listing()
    ra.ca.down = True
    application = ra.issue()
    assert application.state is State.ORDERED
    for _attempt in range(4):
        resend(ra)
        assert ra.load(application.id).state is State.ORDERED
    ra.ca.down = False
    resend(ra)
    assert ra.load(application.id).state is State.ISSUED


def test_between_attempts_the_job_waits(ra) -> None:
    """Right after a failure the job has nothing due. Must not post again."""
    ra.ca.lose_answers = 1
    ra.issue()
    posted = len(ra.ca.posts)
    ra.dispatch.run(ra.clock.now())
    assert len(ra.ca.posts) == posted


def test_a_refusal_is_final_for_the_order_and_not_for_the_applicant(ra) -> None:
    """422 from the CA: refused_by_ca with the reason; taken up again it needs a new review and order."""
    ra.ca.refuse_next = (422, "KEY_WEAK")
    application = ra.issue()
    assert application.state is State.REFUSED_BY_CA
    assert "KEY_WEAK" in application.reason

    reopened = ra.applications.reopen(ra.entry_clerk, application.id)
    assert reopened.order_id is None
    ra.applications.save(ra.entry_clerk, application.id, ra.entry(), revision=reopened.revision)
    again = ra.applications.submit(ra.entry_clerk, application.id)
    done = ra.dispatch.carry_out(ra.approve(again).id)

    assert done.state is State.ISSUED
    assert done.order_id != application.order_id


def test_an_unknown_ra_key_is_a_setup_fault_and_no_refusal(ra) -> None:
    """401: the key is not registered yet. The order waits and goes through once it is."""
    ra.ca.known = False
    application = ra.issue()
    assert application.state is State.ORDERED
    ra.ca.known = True
    resend(ra)
    assert ra.load(application.id).state is State.ISSUED


def test_an_order_that_grew_too_old_is_signed_anew(ra) -> None:
    """The CA was away for a day and says ORDER_TIME. Same number and content, signed today; then issued."""
    ra.ca.refuse_next = (403, "ORDER_TIME")
    application = ra.issue()
    assert application.state is State.ORDERED
    resend(ra)
    assert ra.load(application.id).state is State.ISSUED
    payload, _answer = ra.ca.orders[application.order_id]
    assert payload["application_sha256"] == application.content_sha256
    assert ra.events(application.id).count("ordered") == 1


@only_sqlite
@pytest.mark.parametrize(
    "answer",
    [
        (201, b"{}", "application/json"),
        (201, b"not json", "application/json"),
        (200, b"<html>proxy</html>", "text/html"),
        (404, b"<html>not found</html>", "text/html"),
        (429, b"{}", "application/problem+json"),
        (302, b"", "text/html"),
        (409, b'{"code": "ORDER_ALTERED"}', "application/problem+json"),
    ],
)
def test_what_is_not_an_answer_is_not_believed(ra, answer) -> None:
    """Nonsense, a proxy's page, a redirect: neither issued nor refused; the next attempt decides."""
    ra.ca.answer_next = answer
    application = ra.issue()
    assert application.state is State.ORDERED
    resend(ra)
    assert ra.load(application.id).state is State.ISSUED


@only_sqlite
def test_a_certificate_for_another_key_is_not_believed(ra) -> None:
    """The answer holds a certificate, but not for the key of this request. Must not be recorded."""
    first = ra.issue()
    _payload, other = ra.ca.orders[first.order_id]
    approved = ra.approve(ra.submit(ra.entry(authority="harbour")))
    wrong = {**other, "order": approved.order_id}
    ra.ca.answer_next = (201, json.dumps(wrong).encode(), "application/json")

    assert ra.dispatch.carry_out(approved.id).state is State.ORDERED
    assert len(ra.rows(certificates)) == 1


def test_a_token_that_is_gone_stops_nothing_half_way(ra) -> None:
    """Approved while the token is away: the approval stands, the order is signed when it is back."""
    approved = ra.approve(ra.submit())
    ra.keys.gone = True
    assert ra.dispatch.carry_out(approved.id).state is State.APPROVED
    assert ra.rows(orders) == []
    with pytest.raises(TokenNotReadyError):
        ra.create()
    ra.keys.gone = False
    resend(ra)
    assert ra.load(approved.id).state is State.ISSUED


def test_what_was_changed_after_the_approval_is_never_signed(ra) -> None:
    """Somebody with the database changes the firm between approval and order. It goes back to people."""
    approved = ra.approve(ra.submit())
    with ra.database.transaction() as connection:
        fields = {**ra.entry().fields, "organization_name": "冒名有限公司"}
        opened, _personal = split_personal(fields)
        connection.execute(applications.update().values(fields=json.dumps(opened)))

    returned = ra.dispatch.carry_out(approved.id)

    assert returned.state is State.RETURNED
    assert "CONTENT_CHANGED" in returned.reason
    assert ra.ca.orders == {}
    assert ra.rows(orders) == []


def test_the_order_is_signed_over_what_was_approved(ra) -> None:
    """The posted document verifies with the RA's key and type and no other."""
    application = ra.issue()
    payload, _answer = ra.ca.orders[application.order_id]
    with ra.database.reading() as connection:
        sealed = connection.execute(orders.select()).one().document_sealed
    document = ra.vault.unseal(f"order:{application.order_id}", sealed)
    key = ra.keys.order_public_key
    assert (
        dict(verify_document(document, typ="onecert-order+json", keys={key_id(key): key}, max_bytes=65536))
        == payload
    )
    with pytest.raises(Exception, match=r".+"):
        verify_document(document, typ="onecert-revocation+json", keys={key_id(key): key}, max_bytes=65536)


@only_sqlite
def test_an_identity_number_that_the_profile_has_no_place_for_is_left_out(ra) -> None:
    """The employee profile takes uscc and idcard only."""
    application = ra.issue(ra.entry("employee"))
    payload, _answer = ra.ca.orders[application.order_id]
    assert set(payload["identity"]) == {"uscc", "idcard"}


# ------------------------------------------------------------------ revocation


def revoke(ra, *, reason="keyCompromise", key="1") -> str:
    [certificate] = ra.rows(certificates)
    return ra.certificates.request_change(
        ra.officer, "pearl", certificate["serial_hex"], reason=reason, request_key=key
    )


def test_a_lost_answer_to_a_revocation_is_asked_for_again(ra) -> None:
    """The CA revoked, the answer is lost. Posted again with the same number, recorded once."""
    ra.issue()
    ra.ca.lose_answers = 1
    number = revoke(ra)
    assert ra.revoking.carry_out(number) == "pending"
    resend(ra)
    [row] = ra.rows(revocations)
    assert (row["state"], row["crl_number"]) == ("done", 1)
    assert ra.rows(certificates)[0]["status"] == "revoked"
    assert len(ra.ca.revocations) == 1
    events = [entry["event"] for entry in ra.rows(audit_entries)]
    assert events.count("certificate.revoked") == 1


def test_a_double_click_on_revoke_is_one_request(ra) -> None:
    """The same form twice. Must be one revocation."""
    ra.issue()
    assert revoke(ra) == revoke(ra)
    assert len(ra.rows(revocations)) == 1


def test_a_revocation_refused_by_the_ca_is_on_record(ra) -> None:
    """409 from the CA: refused, with the reason in the life line; the certificate stays as it was."""
    ra.issue()
    number = revoke(ra)
    ra.ca.refuse_next = (409, "ALREADY_REVOKED")
    assert ra.revoking.carry_out(number) == "refused"
    assert ra.rows(certificates)[0]["status"] == "good"


def test_a_revocation_that_grew_too_old_is_signed_anew(ra) -> None:
    """ORDER_TIME: signed again with the same number, then done."""
    ra.issue()
    number = revoke(ra)
    ra.ca.refuse_next = (403, "ORDER_TIME")
    assert ra.revoking.carry_out(number) == "pending"
    resend(ra)
    assert ra.rows(revocations)[0]["state"] == "done"


@only_sqlite
@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("keyCompromise", "superseded", "ALREADY_REVOKED"),
        ("certificateHold", "certificateHold", "ALREADY_ON_HOLD"),
        (None, "removeFromCRL", "NOT_ON_HOLD"),
        ("keyCompromise", "removeFromCRL", "ALREADY_REVOKED"),
    ],
)
def test_changes_that_make_no_sense_are_refused_here(ra, first, second, code) -> None:
    """A second revocation, a hold of a hold, a release of what is not held."""
    ra.issue()
    if first:
        ra.revoking.carry_out(revoke(ra, reason=first))
    with pytest.raises(Exception, match=r".+") as caught:
        revoke(ra, reason=second, key="2")
    assert caught.value.code == code


def test_a_final_revocation_overtakes_a_hold_that_is_on_its_way(ra) -> None:
    """The CA is away with a hold pending; the key turns out stolen. Revoking must not have to wait."""
    ra.issue()
    ra.ca.down = True
    ra.revoking.carry_out(revoke(ra, reason="certificateHold"))
    with pytest.raises(Exception, match="on its way"):
        revoke(ra, reason="certificateHold", key="3")
    revoke(ra, key="4")
    ra.ca.down = False
    resend(ra)
    assert ra.rows(certificates)[0]["status"] == "revoked"


@only_sqlite
def test_an_unknown_reason_is_refused(ra) -> None:
    """A reason that RFC 5280 does not have."""
    ra.issue()
    with pytest.raises(Exception, match="not a reason"):
        revoke(ra, reason="boredom")


@only_sqlite
def test_a_date_in_the_future_is_refused(ra) -> None:
    """The key cannot be in doubt since tomorrow."""
    ra.issue()
    [certificate] = ra.rows(certificates)
    with pytest.raises(Exception, match="future"):
        ra.certificates.request_change(
            ra.officer,
            "pearl",
            certificate["serial_hex"],
            reason="keyCompromise",
            request_key="1",
            invalidity_date=ra.clock.now() + timedelta(days=1),
        )


def test_a_status_changed_at_the_ca_is_learned(ra) -> None:
    """Somebody revoked at the CA itself; looking at the certificate records it here."""
    ra.issue()
    [certificate] = ra.rows(certificates)
    place = ("pearl", certificate["serial_hex"])
    ra.ca.status[place] = {"serial": place[1], "status": "revoked", "reason": "superseded"}
    assert ra.revoking.refresh(*place).status == "revoked"


@only_sqlite
def test_rsa_requests_pass_as_well(ra) -> None:
    """RSA-2048, as older USB keys make them."""
    assert ra.issue(ra.entry(csr=make_csr(make_key("rsa-2048")))).state is State.ISSUED
