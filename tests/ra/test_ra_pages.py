"""The clerks' and security officer's pages, as a browser meets them."""

import re

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ra_fakes import IDCARD, OTHER_USCC, USCC, idcard, make_csr, make_key

from onecert.ra.content.fields import FIELDS, Kind
from onecert.ra.life.machine import State
from onecert.ra.models import applications
from onecert.ra.operators.roles import ROLES

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

FORM = {
    "organization_name": "深圳市示例科技有限公司",
    "uscc": USCC,
    "state_or_province": "广东省",
    "locality": "深圳市",
    "agent_name": "张三",
    "agent_idcard": IDCARD,
    "mobile": "13800000000",
    "consent": "paper",
    "consent_version": "2026-11",
}


def enter(browser, *, authority="pearl", kind="organisation", act="submit", **changes):
    """Open the form, fill it in and press a button."""
    path = f"/applications/new/{authority}/{kind}"
    browser.get(path)
    form = {**FORM, "csr": make_csr(), "form_key": browser.value("form_key"), "act": act, **changes}
    return browser.post(path, form)


def test_from_the_form_to_the_certificate(ra) -> None:
    """wang enters, li approves on the review page, the certificate can be fetched."""
    clerk, reviewer = ra.browser(ra.entry_clerk), ra.browser(ra.reviewer)

    answer = enter(clerk)
    assert "Waiting for review" in clerk.text
    path = answer.request.path
    reviewer.get("/applications")
    assert "深圳市示例科技有限公司" in reviewer.text
    reviewer.get(f"{path}/review")
    assert "440300190001010015" in reviewer.text
    reviewer.post(f"{path}/judge", {"act": "approve", "content_sha256": reviewer.value("content_sha256")})

    assert "Certificate issued" in reviewer.text
    download = re.search(r'href="/ra(/certificates/pearl/[0-9a-f]+\.pem)"', reviewer.page)
    pem = clerk.get(download[1])
    assert pem.data.startswith(b"-----BEGIN CERTIFICATE-----")


@only_sqlite
def test_faults_stand_next_to_their_fields_and_nothing_typed_is_lost(ra) -> None:
    """A wrong check digit and a malformed request: the form comes back with both named."""
    clerk = ra.browser(ra.entry_clerk)
    answer = enter(clerk, uscc="91440300MA5DEM004K", csr="rubbish")

    assert answer.status_code == 422
    assert "check digit is wrong" in clerk.text
    assert "not a certificate request" in clerk.text
    assert 'value="91440300MA5DEM004K"' in clerk.page
    assert "rubbish" in clerk.page
    assert ra.rows(applications) == []


@only_sqlite
def test_a_duplicate_is_named_with_a_link(ra) -> None:
    """The firm has an open application at pearl. The form says so and leads there; nothing is kept."""
    first = ra.submit()
    clerk = ra.browser(ra.entry_clerk)
    answer = enter(clerk)

    assert answer.status_code == 409
    assert first.number in clerk.text
    assert f"/ra/applications/{first.id}" in clerk.page
    assert len(ra.rows(applications)) == 1


def test_a_double_click_is_one_application(ra) -> None:
    """The same form is sent twice. Must be one application."""
    clerk = ra.browser(ra.entry_clerk)
    clerk.get("/applications/new/pearl/organisation")
    form = {**FORM, "csr": make_csr(), "form_key": clerk.value("form_key"), "act": "save"}
    clerk.post("/applications/new/pearl/organisation", form, follow=False)
    clerk.post("/applications/new/pearl/organisation", form)

    assert len(ra.rows(applications)) == 1


def test_a_draft_is_saved_edited_and_submitted(ra) -> None:
    """Half a form is saved; later it is completed and submitted."""
    clerk = ra.browser(ra.entry_clerk)
    answer = enter(clerk, act="save", agent_name="", csr="")
    path = answer.request.path
    assert "Before it can be submitted" in clerk.text
    clerk.get(f"{path}/edit")
    form = {**FORM, "csr": make_csr(), "revision": clerk.value("revision"), "act": "submit"}
    clerk.post(f"{path}/edit", form)

    assert "Waiting for review" in clerk.text


@only_sqlite
def test_return_and_correct(ra) -> None:
    """li returns it with a reason; wang sees the reason on the form, corrects and submits again."""
    application = ra.submit()
    reviewer, clerk = ra.browser(ra.reviewer), ra.browser(ra.entry_clerk)
    reviewer.get(f"/applications/{application.id}/review")
    reviewer.post(f"/applications/{application.id}/judge", {"act": "return", "reason": "执照名称不符"})
    clerk.get("/applications")
    assert "Returned" in clerk.text
    clerk.get(f"/applications/{application.id}/edit")
    assert "执照名称不符" in clerk.text
    form = {**FORM, "organization_name": "深圳市示例技术有限公司", "csr": make_csr()}
    clerk.post(
        f"/applications/{application.id}/edit",
        {**form, "revision": clerk.value("revision"), "act": "submit"},
    )
    assert ra.load(application.id).state is State.SUBMITTED


@only_sqlite
def test_the_enterer_sees_no_approve_button(ra) -> None:
    """An account with both roles opens the review of its own entry: a sentence instead of buttons."""
    both = ra.operator("both", "clerk.entry", "clerk.review", person=idcard(104))
    draft = ra.create(by=both)
    submitted = ra.applications.submit(both, draft.id)
    browser = ra.browser(both)
    browser.get(f"/applications/{draft.id}/review")
    assert "A different person" in browser.text
    assert "content_sha256" not in browser.page
    answer = browser.post(
        f"/applications/{draft.id}/judge", {"act": "approve", "content_sha256": submitted.content_sha256}
    )
    assert answer.status_code == 403


@only_sqlite
def test_pages_work_while_the_ca_is_away(ra) -> None:
    """The CA is down after its list was read once: entering, reviewing and approving go on."""
    ra.directory.listing()
    ra.ca.down = True
    ra.clock.advance(ra.service.config.authorities_keep * 2)
    clerk, reviewer = ra.browser(ra.entry_clerk), ra.browser(ra.reviewer)
    answer = enter(clerk)
    path = answer.request.path
    reviewer.get("/applications")
    assert "cannot be reached just now" in reviewer.text
    reviewer.get(f"{path}/review")
    reviewer.post(f"{path}/judge", {"act": "approve", "content_sha256": reviewer.value("content_sha256")})
    assert "on its way to the authority" in reviewer.text

    ra.ca.down = False
    ra.clock.advance(ra.service.config.authorities_keep)
    ra.dispatch.run(ra.clock.now())
    assert ra.load(path.rpartition("/")[2]).state is State.ISSUED


@only_sqlite
def test_pages_say_when_the_token_is_away(ra) -> None:
    """The token is gone: lists and the life line still show, personal fields do not, and saving says why."""
    application = ra.submit()
    clerk = ra.browser(ra.entry_clerk)
    ra.keys.gone = True
    assert clerk.get("/").status_code == 200
    assert clerk.get("/applications").status_code == 200
    assert clerk.get(f"/applications/{application.id}").status_code == 200
    assert "key token is away" in clerk.text
    answer = enter(clerk, authority="harbour")
    assert answer.status_code == 503
    assert len(ra.rows(applications)) == 1


@only_sqlite
def test_revoking_takes_two_steps_and_shows_what_it_affects(ra) -> None:
    """zhao revokes: reason, confirmation with the other certificates of the holder, done."""
    application = ra.issue()
    other = ra.issue(ra.entry(authority="harbour"))
    officer = ra.browser(ra.officer)
    officer.get("/certificates")
    officer.post("/certificates", {"q": USCC})
    path = re.search(r'href="/ra(/certificates/pearl/[0-9a-f]+)"', officer.page)[1]
    officer.get(path)
    officer.get(f"{path}/revoke")
    form = {"reason": "keyCompromise", "form_key": officer.value("form_key")}
    officer.post(f"{path}/revoke", form)
    assert "cannot be undone" in officer.text
    assert "1 other valid certificate" in officer.text
    assert ra.ca.revocations == {}
    officer.post(f"{path}/revoke", {**form, "confirmed": "yes"})

    assert "Revoked" in officer.text
    assert ra.load(application.id).state is State.ISSUED
    [answer] = ra.ca.revocations.values()
    assert answer["reason"] == "keyCompromise"
    assert other.state is State.ISSUED


@only_sqlite
def test_hold_and_release(ra) -> None:
    """Put on hold, then released; the status follows each time."""
    ra.issue()
    officer = ra.browser(ra.officer)
    officer.get("/certificates")
    path = re.search(r'href="/ra(/certificates/pearl/[0-9a-f]+)"', officer.page)[1]
    officer.get(f"{path}/hold")
    officer.post(f"{path}/hold", {"confirmed": "yes", "form_key": officer.value("form_key")})
    assert "On hold" in officer.text
    officer.get(f"{path}/release")
    officer.post(f"{path}/release", {"confirmed": "yes", "form_key": officer.value("form_key")})
    assert "released and valid again" in officer.text


@only_sqlite
def test_only_the_security_officer_revokes(ra) -> None:
    """A reviewer asks for the revocation page. Must be refused, and no button leads there."""
    ra.issue()
    reviewer = ra.browser(ra.reviewer)
    reviewer.get("/certificates")
    path = re.search(r'href="/ra(/certificates/pearl/[0-9a-f]+)"', reviewer.page)[1]
    reviewer.get(path)
    assert "/revoke" not in reviewer.page
    assert reviewer.get(f"{path}/revoke").status_code == 403
    assert reviewer.post(f"{path}/revoke", {"reason": "superseded", "confirmed": "yes"}).status_code == 403


@only_sqlite
def test_an_auditor_reads_everything_and_changes_nothing(ra) -> None:
    """The auditor sees lists, the audit trail and masked numbers; every act is refused."""
    draft = ra.create()
    ra.submit(ra.entry(authority="harbour"))
    auditor = ra.browser(ra.operator("sun", "auditor", person=idcard(106)))
    assert auditor.get("/audit").status_code == 200
    assert "Submitted for review" in auditor.text
    auditor.get(f"/applications/{draft.id}")
    assert IDCARD not in auditor.page
    assert "440300***********5" in auditor.text
    for path in ("/applications/new", f"/applications/{draft.id}/edit", f"/applications/{draft.id}/review"):
        assert auditor.get(path).status_code == 403
    assert auditor.post(f"/applications/{draft.id}/act", {"act": "withdraw"}).status_code == 403


@only_sqlite
def test_the_audit_page_is_not_for_clerks(ra) -> None:
    """A clerk asks for the audit trail. Must be refused."""
    assert ra.browser(ra.entry_clerk).get("/audit").status_code == 403


@only_sqlite
def test_a_search_for_a_person_leaves_no_number_in_an_address(ra) -> None:
    """The number is typed into the search: found at once, and no link or redirect contains it."""
    ra.issue(ra.entry("citizen"))
    officer = ra.browser(ra.officer)
    officer.get("/certificates")
    answer = officer.post("/certificates", {"q": IDCARD}, follow=False)
    assert answer.status_code == 303
    assert IDCARD not in answer.location
    officer.get(answer.location)
    assert "李四" in officer.text
    assert IDCARD not in officer.page


@only_sqlite
def test_everything_needs_a_sign_in(ra) -> None:
    """Nobody is signed in. Every page leads to the sign-in page, every REST call is 401."""
    nobody = ra.browser(None)
    for path in ("/", "/applications", "/certificates", "/audit", "/applications/new"):
        assert nobody.get(path).status_code == 303
    assert nobody.api("GET", "/applications").status_code == 401
    assert nobody.api("GET", "/openapi.json").status_code == 200


@only_sqlite
@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "=1+1", "名称\u202egnp", "😀", "a" * 300])
def test_hostile_text_is_refused_and_shown_harmlessly(ra, text) -> None:
    """HTML, formulas, direction marks, emoji, long text as a name: refused, shown escaped."""
    clerk = ra.browser(ra.entry_clerk)
    answer = enter(clerk, organization_name=text)
    assert answer.status_code == 422
    assert "<script>alert" not in clerk.page


@only_sqlite
def test_a_pasted_private_key_is_not_shown_again(ra) -> None:
    """The form comes back without the private key in it."""
    pem = make_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    clerk = ra.browser(ra.entry_clerk)
    enter(clerk, csr=pem)
    assert "never leave" in clerk.text
    assert "PRIVATE KEY-----" not in clerk.page


@only_sqlite
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_speaks_one_language(ra, language) -> None:
    """Each page in Chinese and English: no English sentence is left on a Chinese page."""
    ra.issue()
    ra.submit(ra.entry("citizen"))
    draft = ra.create(ra.entry("employee", uscc="x"))
    everyone = ra.operator(
        "all", "clerk.entry", "clerk.review", "security.officer", "auditor", person=idcard(107)
    )
    browser = ra.browser(everyone, language=language)
    certificate = re.search(r'href="/ra(/certificates/pearl/[0-9a-f]+)"', browser.get("/certificates").text)[
        1
    ]
    open_one = ra.rows(applications)[1]["id"]
    paths = [
        "/",
        "/applications?queue=all",
        "/organisation/operators",
        "/organisation/requests",
        "/applications/new",
        *(f"/applications/new/pearl/{kind}" for kind in Kind),
        f"/applications/{draft.id}",
        f"/applications/{draft.id}/edit",
        f"/applications/{open_one}/review",
        "/certificates",
        certificate,
        f"{certificate}/revoke",
        f"{certificate}/hold",
        "/audit",
    ]
    for path in paths:
        assert browser.get(path).status_code == 200, path
        if language == "zh":
            text = re.sub(r"CN=|SHA-256|OCSP|CRL|CSR|OneCert|Wang|Li|All|clerk\.\w+", "", browser.text)
            sentences = re.findall(r"[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}", text)
            assert sentences == [], (path, sentences)


@only_sqlite
def test_every_field_has_a_label_and_a_check(ra) -> None:
    """The tables of fields name only checks and groups that exist."""
    for kind in Kind:
        browser = ra.browser(ra.entry_clerk)
        browser.get(f"/applications/new/pearl/{kind}")
        for field in FIELDS[kind]:
            assert f'id="f-{field.name}"' in browser.page


@only_sqlite
def test_another_firm(ra) -> None:
    """A second firm by the same clerk. Must pass."""
    enter(ra.browser(ra.entry_clerk), uscc=OTHER_USCC)
    assert len(ra.rows(applications)) == 1


ASKED = """q point project authority kind type business state queue cursor after actor event subject day days
month from to period rows account status mine language number token page as"""
NONSENSE = ("%00", "%ff", "%e2%80%ae", "-1", "999999999999999999999", "'", "%25", "[]")


def test_no_address_breaks_a_page(ra) -> None:
    """Every page without a number in its address, and every list of REST, asked with nonsense everywhere."""
    browser = ra.browser(ra.operator("all", *ROLES, person=idcard(77)))
    for text in NONSENSE:
        query = "&".join(f"{name}={text}" for name in ASKED.split())
        for rule in ra.app.url_map.iter_rules():
            if "GET" in rule.methods and not rule.arguments:
                answer = browser.client.get(f"{rule.rule}?{query}", base_url="https://127.0.0.1:8443/ra")
                assert answer.status_code < 500, (rule.rule, text)
    for path in ("/certificates/%00/%00", "/v1/certificates/%00/00", "/organisation/points/%00"):
        assert browser.client.get(path, base_url="https://127.0.0.1:8443/ra").status_code == 404
    for path in ("/search", "/applications", "/certificates"):
        assert browser.post(path, {"q": "a\0b"}).status_code < 500
