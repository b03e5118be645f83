"""REST under /ra/v1/: the same acts and refusals, as JSON."""

import re

import pytest
from ra_fakes import IDCARD, USCC, make_csr

from onecert.ra.models import applications
from onecert.ra.rest.openapi import document

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def body(ra, **changes):
    entry = ra.entry()
    return {
        "type": "organisation",
        "authority": "pearl",
        "fields": dict(entry.fields),
        "csr_pem": entry.csr,
        **changes,
    }


@pytest.fixture
def clerk(ra):
    return ra.browser(ra.entry_clerk)


@pytest.fixture
def reviewer(ra):
    return ra.browser(ra.reviewer)


def test_from_json_to_the_certificate(ra, clerk, reviewer) -> None:
    """Create and submit, approve with the hash, fetch the certificate."""
    made = clerk.api("POST", "/applications", body(ra, submit=True))
    assert made.status_code == 201
    assert made.json["state"] == "submitted"

    approved = reviewer.api(
        "POST",
        f"/applications/{made.json['id']}/approve",
        {"content_sha256": made.json["content_sha256"]},
    )
    assert approved.json["state"] == "issued"
    certificate = approved.json["certificate"]
    found = clerk.api("GET", f"/certificates/pearl/{certificate['serial']}")
    assert found.json["certificate_pem"].startswith("-----BEGIN CERTIFICATE-----")
    assert found.json["status"] == "good"


def test_an_idempotency_key_makes_one_application(ra, clerk) -> None:
    """The answer was lost and the caller posts again. Must be the same application."""
    wanted = body(ra, submit=True)
    first = clerk.api("POST", "/applications", wanted, Idempotency_Key="k1")
    second = clerk.api("POST", "/applications", wanted, Idempotency_Key="k1")
    assert first.json["id"] == second.json["id"]
    assert len(ra.rows(applications)) == 1


def test_an_idempotency_key_with_other_content_is_refused(ra, clerk) -> None:
    """A script that forgot to draw a new key. Must not believe that its second applicant was entered."""
    wanted = body(ra, submit=True)
    first = clerk.api("POST", "/applications", wanted, Idempotency_Key="k1")
    wanted["fields"]["mobile"] = "13900000009"
    second = clerk.api("POST", "/applications", wanted, Idempotency_Key="k1")
    assert (second.status_code, second.json["code"]) == (409, "REQUEST_KEY_REUSED")
    assert first.json["number"] in second.json["title"] + second.json["detail"]
    assert len(ra.rows(applications)) == 1


@only_sqlite
def test_faults_are_listed_by_field(ra, clerk) -> None:
    """Two wrong fields: 422 with both; nothing is kept."""
    wanted = body(ra, csr_pem="rubbish")
    wanted["fields"]["uscc"] = "91440300MA5DEM004K"
    answer = clerk.api("POST", "/applications", wanted)
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert {(error["field"], error["code"]) for error in answer.json["errors"]} == {
        ("uscc", "ID_CHECK_DIGIT"),
        ("csr", "CSR_MALFORMED"),
    }
    assert ra.rows(applications) == []


@only_sqlite
def test_a_draft_may_be_incomplete(ra, clerk) -> None:
    """draft: true keeps it; submitting refuses it."""
    made = clerk.api("POST", "/applications", body(ra, csr_pem="", draft=True))
    assert made.json["state"] == "draft"
    assert clerk.api("POST", f"/applications/{made.json['id']}/submit").status_code == 422


def test_a_duplicate_is_409_and_keeps_nothing(ra, clerk) -> None:
    """The same firm at the same authority."""
    ra.submit()
    answer = clerk.api("POST", "/applications", body(ra))
    assert (answer.status_code, answer.json["code"]) == (409, "DUPLICATE")
    assert answer.json["hint"]
    assert len(ra.rows(applications)) == 1


@only_sqlite
@pytest.mark.parametrize(
    "changes",
    [
        {"type": "robot"},
        {"type": 1},
        {"authority": None},
        {"fields": []},
        {"fields": {"uscc": 1}},
        {"csr_pem": 5},
        {"draft": "yes"},
        {"draft": True, "submit": True},
    ],
)
def test_values_of_the_wrong_kind_are_named(ra, clerk, changes) -> None:
    """Never a server error: 422 with the name of the value."""
    answer = clerk.api("POST", "/applications", body(ra, **changes))
    assert (answer.status_code, answer.json["code"]) == (422, "BODY_INVALID")


@only_sqlite
def test_bodies_that_are_no_objects(ra, clerk) -> None:
    """A list, a number, broken JSON."""
    for wrong in ([], 1, "text"):
        assert clerk.api("POST", "/applications", wrong).status_code == 422
    broken = clerk.client.post(
        "/v1/applications",
        data="{",
        content_type="application/json",
        base_url="https://127.0.0.1:8443/ra",
    )
    assert broken.status_code == 422


@only_sqlite
def test_a_form_from_another_site_is_refused(ra, clerk) -> None:
    """A session cookie with a content type that a form can send, and no form token."""
    answer = clerk.client.post(
        "/v1/applications",
        data={"a": "b"},
        base_url="https://127.0.0.1:8443/ra",
        environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
    )
    assert answer.status_code == 403
    assert ra.rows(applications) == []


def test_lists_have_cursors(ra, clerk) -> None:
    """Three applications by pages of two."""
    for authority in ("pearl", "harbour", "summit"):
        ra.submit(ra.entry(authority=authority))
    first = clerk.api("GET", "/applications?limit=2")
    second = clerk.api("GET", f"/applications?limit=2&cursor={first.json['next']}")
    assert [item["authority"] for item in first.json["items"] + second.json["items"]] == [
        "summit",
        "harbour",
        "pearl",
    ]
    assert second.json["next"] is None
    assert clerk.api("GET", "/applications?limit=0").status_code == 422
    assert clerk.api("GET", "/applications?state=nowhere").status_code == 422
    assert len(clerk.api("GET", "/applications?state=submitted&authority=pearl").json["items"]) == 1


def test_certificates_have_cursors(ra, clerk) -> None:
    """Three certificates of one moment, one at a time: each exactly once."""
    for authority in ("pearl", "harbour", "summit"):
        ra.issue(ra.entry(authority=authority))
    seen, cursor = [], ""
    while cursor is not None:
        page = clerk.client.get(
            "/v1/certificates",
            query_string={"limit": "1", "cursor": cursor, "q": USCC},
            base_url="https://127.0.0.1:8443/ra",
        ).json
        seen += [item["authority"] for item in page["items"]]
        cursor = page["next"]
    assert sorted(seen) == ["harbour", "pearl", "summit"]


def test_a_person_is_searched_for_in_a_body(ra, clerk) -> None:
    """In an address the number is refused; by POST the certificate is found, its number masked."""
    ra.issue(ra.entry("citizen"))
    assert clerk.api("GET", f"/certificates?q={IDCARD}").json["code"] == "SEARCH_BY_POST"
    [found] = clerk.api("POST", "/certificates/search", {"q": IDCARD}).json["items"]
    assert found["idcard_masked"] == "440300***********5"


@only_sqlite
def test_revoke_hold_release_by_rest(ra) -> None:
    """The security officer, with reasons; the same idempotency key is one request."""
    ra.issue()
    officer = ra.browser(ra.officer)
    serial = officer.api("GET", "/certificates").json["items"][0]["serial"]
    place = f"/certificates/pearl/{serial}"
    assert officer.api("POST", f"{place}/hold").json["status"] == "hold"
    assert officer.api("POST", f"{place}/release").json["status"] == "good"
    first = officer.api("POST", f"{place}/revoke", {"reason": "superseded"}, Idempotency_Key="r1")
    second = officer.api("POST", f"{place}/revoke", {"reason": "superseded"}, Idempotency_Key="r1")
    assert first.json["revocation"] == second.json["revocation"]
    assert second.json["status"] == "revoked"
    assert officer.api("POST", f"{place}/release").json["code"] == "ALREADY_REVOKED"


def test_a_used_key_does_not_pass_for_another_revocation(ra) -> None:
    """At night, a script with a fixed key. Must not tell that the second certificate is revoked."""
    for authority in ("pearl", "harbour"):
        ra.issue(ra.entry(authority=authority))
    officer = ra.browser(ra.officer)
    one, two = [
        f"/certificates/{row['authority']}/{row['serial']}/revoke"
        for row in officer.api("GET", "/certificates").json["items"]
    ]
    assert officer.api("POST", one, {"reason": "keyCompromise"}, Idempotency_Key="r1").status_code == 200
    answer = officer.api("POST", two, {"reason": "keyCompromise"}, Idempotency_Key="r1")
    assert (answer.status_code, answer.json["code"]) == (409, "REQUEST_KEY_REUSED")


@only_sqlite
def test_a_ca_that_is_away_answers_202(ra) -> None:
    """The revocation is on record and signed; the answer says that it is still on its way."""
    ra.issue()
    officer = ra.browser(ra.officer)
    serial = officer.api("GET", "/certificates").json["items"][0]["serial"]
    ra.ca.down = True
    answer = officer.api("POST", f"/certificates/pearl/{serial}/revoke", {"reason": "keyCompromise"})
    assert answer.status_code == 202
    assert answer.json["changes"][0]["state"] == "pending"


@only_sqlite
def test_roles_by_rest(ra, clerk, reviewer) -> None:
    """A clerk may not approve, a reviewer may not enter, neither may revoke."""
    made = ra.submit()
    approve = f"/applications/{made.id}/approve"
    assert clerk.api("POST", approve, {"content_sha256": made.content_sha256}).status_code == 403
    assert reviewer.api("POST", "/applications", body(ra)).status_code == 403
    serial = ra.issue(ra.entry(authority="harbour")) and clerk.api("GET", "/certificates").json["items"][0]
    place = f"/certificates/harbour/{serial['serial']}/revoke"
    assert clerk.api("POST", place, {"reason": "superseded"}).status_code == 403


@only_sqlite
def test_an_old_hash_is_refused(ra, reviewer) -> None:
    """What was shown is not what is there."""
    made = ra.submit()
    answer = reviewer.api("POST", f"/applications/{made.id}/approve", {"content_sha256": "0" * 64})
    assert (answer.status_code, answer.json["code"]) == (409, "CONTENT_CHANGED")


@only_sqlite
def test_return_reject_withdraw_reopen_by_rest(ra, clerk, reviewer) -> None:
    """The remaining acts, and one that does not exist."""
    made = ra.submit()
    place = f"/applications/{made.id}"
    assert reviewer.api("POST", f"{place}/return", {"reason": "blurred"}).json["state"] == "returned"
    assert clerk.api("POST", f"{place}/submit").json["state"] == "submitted"
    assert reviewer.api("POST", f"{place}/reject", {"reason": "forged"}).json["state"] == "rejected"
    assert clerk.api("POST", f"{place}/withdraw").json["code"] == "WRONG_STATE"
    assert clerk.api("POST", f"{place}/reopen").json["code"] == "WRONG_STATE"
    assert clerk.api("POST", f"{place}/dance").status_code == 422
    assert clerk.api("GET", "/applications/00000000-0000-4000-8000-000000000000").status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_database_is_gone(ra, clerk) -> None:
    """503 with a sentence, and nothing half-done."""
    ra.database.path.rename(ra.database.path.with_suffix(".away"))
    answer = clerk.api("POST", "/applications", body(ra))
    assert answer.status_code == 503
    assert answer.json["code"] == "DATABASE_UNAVAILABLE"


@only_sqlite
def test_the_document_names_every_path(ra) -> None:
    """Every REST rule of the application is in the OpenAPI document, and the other way round."""
    described = set(document("/ra/v1")["paths"])
    served = set()
    for rule in ra.app.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.openapi":
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/v1"))
            served.add(path.replace("{application_id}", "{id}"))
    # A rule that ends in {act} stands for several paths of the document.
    acts = {path.rpartition("/")[0] for path in served if path.endswith("/{act}")}
    fixed = {path for path in served if not path.endswith("/{act}")}
    assert not fixed - described
    assert not {path for path in described - fixed if path.rpartition("/")[0] not in acts}
    assert ra.browser(None).api("GET", "/openapi.json").json["openapi"] == "3.1.0"


@only_sqlite
def test_answers_have_what_the_document_requires(ra, clerk) -> None:
    """Each required property of the schemas is in a real answer."""
    schemas = document("/ra/v1")["components"]["schemas"]
    made = clerk.api("POST", "/applications", body(ra, csr_pem=make_csr()))
    assert set(schemas["Application"]["required"]) <= set(made.json)
    ra.issue(ra.entry(authority="summit"))
    [found] = clerk.api("GET", "/certificates").json["items"]
    assert set(schemas["CertificateSummary"]["required"]) <= set(found)
    detail = clerk.api("GET", f"/certificates/summit/{found['serial']}").json
    assert set(schemas["Certificate"]["required"]) <= set(detail)
    assert set(schemas["Authorities"]["required"]) <= set(clerk.api("GET", "/authorities").json)
