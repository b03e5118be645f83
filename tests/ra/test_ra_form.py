"""The application form while it is filled in: checked field by field, saved by itself, nothing lost."""

import re

import pytest
from ra_fakes import IDCARD, OTHER_USCC, USCC, make_csr
from test_ra_pages import FORM, enter

from onecert.ra.content.fields import Kind
from onecert.ra.life.machine import State
from onecert.ra.models import application_events, applications

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NEW = "/applications/new/pearl/organisation"


def typing(browser, name, kind="organisation", **form):
    """Leave a field of the form, as htmx tells it."""
    browser.get(f"/applications/new/pearl/{kind}")
    answer = browser.client.post(
        f"/applications/typing/pearl/{kind}/{name}",
        base_url="https://127.0.0.1:8443/ra",
        data={"csrf_token": browser.token, **form},
        headers={"HX-Request": "true", "Accept-Language": browser.language},
    )
    return answer.status_code, answer.get_data(as_text=True)


def autosave(browser, path, **form):
    """Save as the script does."""
    return browser.client.post(
        path.removeprefix("/ra"),
        base_url="https://127.0.0.1:8443/ra",
        data=form,
        headers={"Accept": "application/json", "X-CSRF-Token": browser.token},
    )


@only_sqlite
@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("uscc", "91440300MA5DEM004K", "check digit is wrong"),
        ("uscc", "99990300MA5DEM004J", "wrong"),
        ("agent_idcard", "990300190001010015", "wrong length|wrong|region"),
        ("mobile", "12345", "11 digits"),
        ("email", "nobody", "not an e-mail address"),
        ("organization_name", "深圳😀公司", "cannot be used here"),
        ("organization_name", "ＡＢＣ公司", "Full-width characters were changed"),
        ("postcode", "５１８０００", "Full-width characters were changed"),
    ],
)
def test_a_field_is_checked_when_it_is_left(ra, name, typed, words) -> None:
    """The same sentence as at submit, with the value in its one spelling."""
    status, part = typing(ra.browser(ra.entry_clerk), name, **{**FORM, name: typed})
    assert status == 200
    assert re.search(words, part)
    if "Full-width" in words:
        assert typed not in part


def test_what_the_applicant_has_already_is_told_while_typing(ra) -> None:
    """The firm has an open application here and a certificate elsewhere."""
    first = ra.submit()
    ra.issue(ra.entry(authority="harbour"))
    _status, part = typing(ra.browser(ra.entry_clerk), "uscc", **FORM)

    assert f"/applications/{first.id}" in part
    assert "Harbour CA" in part
    assert "gives no second one" in part
    _status, other = typing(ra.browser(ra.entry_clerk), "uscc", **{**FORM, "uscc": OTHER_USCC})
    assert "same applicant" not in other


def test_the_form_saves_itself_and_the_same_draft_is_submitted(ra) -> None:
    """First save makes the draft, later ones change it, the button submits it: one application, and one
    step "saved" in its life line however often."""
    clerk = ra.browser(ra.entry_clerk)
    clerk.get(NEW)
    form = {**FORM, "form_key": clerk.value("form_key")}
    made = autosave(clerk, f"{NEW}/autosave", **{**form, "agent_name": ""}).json
    for name in ("陈", "陈经", "陈经办"):
        changed = {**form, "agent_name": name, "revision": made["revision"], "id": made["id"]}
        made = {**made, **autosave(clerk, made["url"], **changed).json}
    final = {**form, "csr": make_csr(), "id": made["id"], "revision": made["revision"], "act": "submit"}
    clerk.post(NEW, final)

    [row] = ra.rows(applications)
    assert (row["id"], row["state"]) == (made["id"], "submitted")
    assert [row["event"] for row in ra.rows(application_events)] == ["created", "saved", "submitted"]


def test_a_second_tab_is_told_and_overwrites_nothing(ra) -> None:
    """The draft is open twice; the tab with the old revision saves. Refused, with what to do."""
    draft = ra.create()
    clerk = ra.browser(ra.entry_clerk)
    clerk.get(f"/applications/{draft.id}/edit")
    path = f"/applications/{draft.id}/autosave"
    assert autosave(clerk, path, **{**FORM, "revision": draft.revision, "note": "one"}).status_code == 200
    stale = autosave(clerk, path, **{**FORM, "revision": draft.revision, "note": "two"})

    assert (stale.status_code, stale.json["code"]) == (409, "STALE_FORM")
    assert stale.json["hint"]
    assert '"note": "one"' in ra.rows(applications)[0]["fields"]


def test_an_answer_that_was_lost_makes_no_second_draft(ra) -> None:
    """The first save arrived, its answer did not; the page saves again with more in it."""
    clerk = ra.browser(ra.entry_clerk)
    clerk.get(NEW)
    form = {**FORM, "form_key": clerk.value("form_key")}
    first = autosave(clerk, f"{NEW}/autosave", **form).json
    again = autosave(clerk, f"{NEW}/autosave", **{**form, "note": "more"}).json

    assert again["id"] == first["id"]
    assert len(ra.rows(applications)) == 1


def test_another_clerks_draft_is_not_saved_over(ra) -> None:
    """A reviewer, and nobody at all, cannot save."""
    draft = ra.create()
    reviewer = ra.browser(ra.reviewer)
    reviewer.get("/")
    form = {**FORM, "revision": 1}
    assert autosave(reviewer, f"/applications/{draft.id}/autosave", **form).status_code == 403


@only_sqlite
def test_without_consent_nothing_is_submitted(ra) -> None:
    """No consent: refused at its place. With it: who recorded it, and which words, stand under the hash."""
    clerk = ra.browser(ra.entry_clerk)
    answer = enter(clerk, consent="")
    assert answer.status_code == 422
    assert "consent is missing" in clerk.text
    refused = clerk.api("POST", "/applications", {**_body(ra), "submit": True})
    assert [fault["code"] for fault in refused.json["errors"]] == ["CONSENT_MISSING"]

    wanted = {"version": "2026-11", "how": "screen"}
    made = clerk.api("POST", "/applications", {**_body(ra), "submit": True, "consent": wanted})
    assert made.status_code == 201
    old = clerk.api(
        "POST", "/applications", {**_body(ra, OTHER_USCC), "consent": {**wanted, "version": "1999"}}
    )
    assert [fault["code"] for fault in old.json["errors"]] == ["CONSENT_UNKNOWN"]
    frozen = ra.service.reach.frozen(ra.entry_clerk, made.json["id"])
    assert frozen.findings["consent"]["recorded_by"] == "wang"
    assert set(frozen.findings["consent"]["texts"]) == {"service-agreement", "personal-information"}
    reviewer = ra.browser(ra.reviewer)
    reviewer.get(f"/applications/{made.json['id']}/review")
    assert "Given on screen" in reviewer.text
    assert "2026-11" in reviewer.text


def _body(ra, uscc=USCC):
    fields = {**FORM, "uscc": uscc}
    del fields["consent"], fields["consent_version"]
    return {"type": "organisation", "authority": "pearl", "fields": fields, "csr_pem": make_csr()}


@only_sqlite
def test_a_renewal_is_a_new_request_and_one_button(ra) -> None:
    """From the certificate's page: one link, a request, one button. What is certified cannot be changed."""
    old = ra.issue()
    clerk = ra.browser(ra.entry_clerk)
    clerk.get(f"/applications/{old.id}")
    [serial] = set(re.findall(r"/certificates/pearl/([0-9a-f]+)\"", clerk.page))
    clerk.get(f"/certificates/pearl/{serial}")
    path = f"/certificates/pearl/{serial}/follow/renew"
    assert path in clerk.page
    clerk.get(path)
    form = {"form_key": clerk.value("form_key")}
    assert "readonly" in re.search(r'<input id="f-uscc"[^>]*>', clerk.page)[0]
    answer = clerk.post(path, {**FORM, **form, "csr": make_csr(), "act": "submit"})

    assert "Waiting for review" in clerk.text
    renewed = ra.load(answer.request.path.rpartition("/")[2])
    assert (renewed.business, renewed.follows_serial) == ("renew", serial)
    clerk.get(path)
    changed = {**FORM, **form, "form_key": "k2", "organization_name": "别的公司", "csr": make_csr()}
    assert clerk.post(path, {**changed, "act": "submit"}).status_code == 422
    assert "keeps what stands in the certificate" in clerk.text


@only_sqlite
def test_a_device_goes_all_the_way(ra) -> None:
    """The fourth type: named by the firm's code and its own name; two devices of one firm are two."""
    issued = ra.issue(ra.entry("device"))
    second = ra.issue(ra.entry("device", device_name="二号网关"))
    assert issued.state is second.state is State.ISSUED
    payload = next(iter(ra.ca.orders.values()))[0]
    assert payload["profile"] == Kind.DEVICE.value
    assert payload["subject"]["common_name"] == "一号网关"
    assert set(payload["identity"]) == {"uscc"}
    assert IDCARD not in str(payload["identity"])
