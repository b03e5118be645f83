"""An application from the counter to the certificate, and everything that stops it on the way."""

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ra_fakes import DAY, IDCARD, OTHER_USCC, idcard, make_csr, make_key

from onecert.ra import errors
from onecert.ra.life.machine import State
from onecert.ra.models import applications, certificates, claims, metadata
from onecert.server.errors import ServiceError
from onecert.server.models import audit_entries
from onecert.server.operators import RoleRequiredError, SamePersonError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_two_people_and_a_certificate(ra) -> None:
    """wang enters and submits, li approves, the CA issues. Must be on record from end to end."""
    application = ra.issue()

    assert application.state is State.ISSUED
    assert ra.events(application.id) == ["created", "submitted", "approved", "ordered", "issued"]
    [row] = ra.rows(certificates)
    assert row["order_id"] == application.order_id
    payload, _answer = ra.ca.orders[application.order_id]
    assert payload["approved_by"] == ["wang", "li"]
    assert payload["application_sha256"] == application.content_sha256
    assert payload["identity"] == {"uscc": "91440300MA5DEM004J", "agent_idcard": IDCARD}
    assert payload["subject"]["organization"] == "深圳市示例科技有限公司"
    events = [row["event"] for row in ra.rows(audit_entries) if row["event"].startswith("application")]
    assert events == [f"application.{event}" for event in ra.events(application.id)]


def test_a_draft_keeps_what_was_typed_with_its_faults(ra) -> None:
    """A half-filled form with a wrong code is saved; submitting names every fault, and nothing moves."""
    draft = ra.create(ra.entry(uscc="91440300MA5DEM004K", agent_name="", csr="rubbish"))

    with pytest.raises(errors.InvalidApplicationError) as caught:
        ra.applications.submit(ra.entry_clerk, draft.id)

    assert {(fault.field, fault.code) for fault in caught.value.faults} == {
        ("uscc", "ID_CHECK_DIGIT"),
        ("agent_name", "FIELD_MISSING"),
        ("csr", "CSR_MALFORMED"),
    }
    assert ra.load(draft.id).state is State.DRAFT
    assert ra.rows(claims) == []


def test_the_same_request_twice_is_one_application(ra) -> None:
    """A double click, or a repeated REST call with its idempotency key. Must be one draft."""
    entry = ra.entry()
    first, second = (ra.applications.create(ra.entry_clerk, entry, request_key="form-1") for _ in range(2))

    assert first.id == second.id
    assert len(ra.rows(applications)) == 1


def test_the_same_entity_again_at_one_authority_is_a_duplicate(ra) -> None:
    """pearl has an open application for the firm. A second one must be refused and name the first."""
    first = ra.submit()
    second = ra.create()

    with pytest.raises(errors.DuplicateError) as caught:
        ra.applications.submit(ra.entry_clerk, second.id)

    assert caught.value.facts["number"] == first.number
    assert ra.load(second.id).state is State.DRAFT


def test_the_same_entity_at_another_authority_is_normal(ra) -> None:
    """One firm, three authorities: that is what a licensed market is."""
    states = [ra.issue(ra.entry(authority=name)).state for name in ("pearl", "harbour", "summit")]

    assert states == [State.ISSUED] * 3


def test_another_firm_is_no_duplicate(ra) -> None:
    """Same clerk, same agent, another credit code. Must pass."""
    ra.submit()
    ra.submit(ra.entry(uscc=OTHER_USCC))


def test_an_entity_is_free_again_after_rejection_and_after_expiry(ra) -> None:
    """rejected -> apply again -> issued -> expired a year later -> apply again. Must pass each time."""
    ra.applications.reject(ra.reviewer, ra.submit().id, reason="licence missing")
    ra.issue()
    ra.clock.advance(363 * DAY)
    with pytest.raises(errors.DuplicateError):
        ra.submit()
    for account in (ra.entry_clerk, ra.reviewer):
        ra.extend(account.id)
    ra.clock.advance(2 * DAY)

    assert ra.submit().state is State.SUBMITTED


def test_a_key_serves_one_certificate(ra) -> None:
    """The request of an issued certificate is used for another firm. Must be refused."""
    csr = make_csr()
    first = ra.issue(ra.entry(csr=csr))
    draft = ra.create(ra.entry(uscc=OTHER_USCC, csr=csr))

    with pytest.raises(errors.KeyRepeatedError) as caught:
        ra.applications.submit(ra.entry_clerk, draft.id)

    assert caught.value.facts["number"] == first.number


def test_a_key_of_a_rejected_application_may_come_again(ra) -> None:
    """No certificate was ever made for it. Must pass."""
    csr = make_csr()
    ra.applications.reject(ra.reviewer, ra.submit(ra.entry(csr=csr)).id, reason="licence missing")

    assert ra.issue(ra.entry(csr=csr)).state is State.ISSUED


def test_nobody_approves_their_own_entry(ra) -> None:
    """One account with both roles enters and approves. Must be refused."""
    both = ra.operator("both", "clerk.entry", "clerk.review", person=idcard(104))
    draft = ra.create(by=both)
    submitted = ra.applications.submit(both, draft.id)

    with pytest.raises(SamePersonError):
        ra.applications.approve(both, draft.id, content_sha256=submitted.content_sha256)

    assert ra.load(draft.id).state is State.SUBMITTED


def test_two_accounts_of_one_person_are_one_person(ra, tmp_path) -> None:
    """Entry and review account of one natural person, as an old policy allowed. Must be refused."""
    ra.operators.config = dataclasses.replace(ra.operators.config, allow_same_person=True)
    twin = ra.operator("wang2", "clerk.review", person=idcard(101))
    submitted = ra.submit()

    for act in (
        lambda: ra.applications.approve(twin, submitted.id, content_sha256=submitted.content_sha256),
        lambda: ra.applications.send_back(twin, submitted.id, reason="not good"),
        lambda: ra.applications.reject(twin, submitted.id, reason="not good"),
    ):
        with pytest.raises(SamePersonError):
            act()
    assert ra.load(submitted.id).state is State.SUBMITTED
    assert ra.ca.orders == {}


def test_somebody_who_only_corrected_it_is_no_second_person(ra) -> None:
    """wang enters, li returns, chen corrects and wang submits again; chen may not approve."""
    chen = ra.operator("chen", "clerk.entry", "clerk.review", person=idcard(105))
    application = ra.submit()
    returned = ra.applications.send_back(ra.reviewer, application.id, reason="name is wrong")
    entry = ra.entry(organization_name="深圳市示例技术有限公司")
    ra.applications.save(chen, application.id, entry, revision=returned.revision)
    again = ra.applications.submit(ra.entry_clerk, application.id)

    with pytest.raises(SamePersonError):
        ra.applications.approve(chen, application.id, content_sha256=again.content_sha256)
    assert ra.approve(again).state is State.APPROVED


def test_roles_are_asked_below_the_web_layer(ra) -> None:
    """Each act by somebody without its role. Must be refused before anything else is said."""
    submitted = ra.submit()
    with pytest.raises(RoleRequiredError):
        ra.create(by=ra.officer)
    with pytest.raises(RoleRequiredError):
        ra.applications.approve(ra.officer, submitted.id, content_sha256=submitted.content_sha256)
    with pytest.raises(RoleRequiredError):
        ra.applications.withdraw(ra.reviewer, submitted.id)


def test_a_suspended_reviewer_does_not_approve(ra) -> None:
    """The page was open when the account was suspended. Must be refused."""
    submitted = ra.submit()
    with ra.database.transaction() as connection:
        ra.operators.suspend(connection, "li")

    with pytest.raises(Exception, match="suspended") as caught:
        ra.approve(submitted)
    assert caught.value.code == "OPERATOR_SUSPENDED"


def test_approving_something_else_than_was_shown_is_refused(ra) -> None:
    """The page showed version 1; meanwhile it was returned, changed and submitted again."""
    shown = ra.submit()
    returned = ra.applications.send_back(ra.reviewer, shown.id, reason="name is wrong")
    ra.applications.save(
        ra.entry_clerk, shown.id, ra.entry(organization_name="另一家有限公司"), revision=returned.revision
    )
    ra.applications.submit(ra.entry_clerk, shown.id)

    with pytest.raises(errors.ContentChangedError):
        ra.approve(shown)


def test_a_row_changed_behind_our_back_is_not_approved(ra) -> None:
    """Somebody with the database changes the name after submission. The hash must catch it."""
    submitted = ra.submit()
    with ra.database.transaction() as connection:
        fields = json.dumps(
            {
                "organization_name": "冒名有限公司",
                "uscc": OTHER_USCC,
                "state_or_province": "广东省",
                "locality": "深圳市",
                "consent": "paper",
                "consent_version": "2026-11",
            }
        )
        connection.execute(applications.update().values(fields=fields))

    with pytest.raises(errors.ContentChangedError):
        ra.approve(submitted)
    assert ra.load(submitted.id).state is State.SUBMITTED


def test_a_stale_form_does_not_overwrite(ra) -> None:
    """Two tabs; the second saves over the first with an old revision. Must be refused."""
    draft = ra.create()
    ra.applications.save(ra.entry_clerk, draft.id, ra.entry(note="tab one"), revision=draft.revision)

    with pytest.raises(errors.StaleFormError):
        ra.applications.save(ra.entry_clerk, draft.id, ra.entry(note="tab two"), revision=draft.revision)


@only_sqlite
def test_return_and_reject_need_a_reason(ra) -> None:
    """An empty reason helps nobody. Must be refused."""
    submitted = ra.submit()
    with pytest.raises(errors.ReasonMissingError):
        ra.applications.send_back(ra.reviewer, submitted.id, reason="  ")


def test_personal_numbers_are_nowhere_in_clear(ra) -> None:
    """After a full round no column of any table may contain an id-card number or a telephone number."""
    application = ra.issue(ra.entry("citizen"))
    assert application.idcard_masked == "440300" + "*" * 11 + "5"
    for table in (*metadata.sorted_tables, audit_entries):
        for row in ra.rows(table):
            for value in row.values():
                octets = value if isinstance(value, bytes) else str(value).encode()
                assert IDCARD.encode() not in octets, table.name
                assert b"13800000000" not in octets, table.name


@only_sqlite
def test_unknown_authority_and_type(ra) -> None:
    """An authority nobody knows. Must be refused with the names of those that exist."""
    with pytest.raises(errors.AuthorityUnknownError) as caught:
        ra.create(ra.entry(authority="nowhere"))
    assert "pearl" in str(caught.value.facts["known"])


def test_withdrawn_only_before_the_ca_was_asked(ra) -> None:
    """A certificate exists; withdrawing the application would hide it. Must be refused."""
    application = ra.issue()
    with pytest.raises(errors.WrongStateError):
        ra.applications.withdraw(ra.entry_clerk, application.id)


@only_sqlite
def test_a_private_key_pasted_by_mistake_is_not_kept(ra) -> None:
    """The applicant's private key in the request field: refused, and not stored even in a draft."""
    pem = make_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    draft = ra.create(ra.entry(csr=pem))

    [row] = [row for row in ra.rows(applications) if row["id"] == draft.id]
    assert row["csr_pem"] == ""


def at_once(*acts) -> list:
    """Run acts in threads that start together; return results and errors."""
    barrier = threading.Barrier(len(acts))

    def run(act):
        barrier.wait(timeout=20)
        try:
            return act()
        except ServiceError as exc:
            return exc.code

    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result(timeout=60) for each in [pool.submit(run, act) for act in acts]]


def test_two_clerks_in_the_same_instant_make_no_duplicate(ra) -> None:
    """Two drafts for one firm are submitted at once. Exactly one may pass, also on PostgreSQL."""
    drafts = [ra.create() for _ in range(4)]
    results = at_once(
        *(lambda draft=draft: ra.applications.submit(ra.entry_clerk, draft.id) for draft in drafts)
    )
    assert results.count("DUPLICATE") == 3
    assert sorted(row["state"] for row in ra.rows(applications)) == ["draft", "draft", "draft", "submitted"]


def test_two_reviewers_in_the_same_instant(ra) -> None:
    """Both press approve. One approval, one order, one certificate."""
    second = ra.operator("chen", "clerk.review", person=idcard(105))
    submitted = ra.submit()
    results = at_once(
        *(
            lambda who=who: ra.applications.approve(
                who, submitted.id, content_sha256=submitted.content_sha256
            )
            for who in (ra.reviewer, second)
        )
    )
    assert results.count("WRONG_STATE") == 1
    at_once(*(lambda: ra.dispatch.carry_out(submitted.id) for _ in range(4)))
    assert ra.load(submitted.id).state is State.ISSUED
    assert len(ra.rows(certificates)) == len(ra.ca.orders) == 1
    assert ra.events(submitted.id).count("ordered") == 1
