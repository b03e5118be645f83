"""Administrators' pages: points, projects, operators with four eyes; what auditors read, and where."""

from io import BytesIO
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from ra_fakes import DAY, T, idcard
from sqlalchemy import insert

from onecert.ra.models import certificates, enrolments, operator_scopes, points
from onecert.ra.operators.scopes import Grant, load_scope

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NEW = {
    "name": "陈静",
    "operator": "chen",
    "person": idcard(150),
    "roles": ["clerk.entry", "clerk.review"],
    "valid_until": "2027-06-30",
    "point": ["main", "", ""],
    "authority": ["*", "*", "*"],
    "profile": ["citizen", "*", "*"],
}


@pytest.fixture
def gu(ra: Any) -> Any:
    """An administrator's browser."""
    return ra.browser(ra.operator("gu", "administrator", person=idcard(111)))


@pytest.fixture
def he(ra: Any) -> Any:
    """A second administrator's."""
    return ra.browser(ra.operator("he", "administrator", person=idcard(112)))


def put_at(ra: Any, operator_id: str, point: str) -> None:
    with ra.database.transaction() as connection:
        row = {"operator_id": operator_id, "point": point, "authority": "*", "profile": "*"}
        connection.execute(insert(operator_scopes).values(**row))


def ask(browser: Any, kind: str = "enrol", **changes: Any) -> Any:
    browser.get(f"/organisation/requests/new/{kind}?operator={changes.get('operator', '')}")
    form = {**(NEW if kind == "enrol" else {}), **changes}
    return browser.post(f"/organisation/requests/new/{kind}", form)


# Points and projects


@only_sqlite
def test_a_point_is_opened_renamed_closed_and_opened_again(ra, gu) -> None:
    """Each step shows in the list; a closed point keeps its records."""
    gu.get("/organisation/points/new")
    gu.post("/organisation/points/new", {"id": "east", "name": "东区受理点", "address": "东大街 1 号"})
    assert "东区受理点 is saved" in gu.text
    gu.get("/organisation/points/east")
    gu.post("/organisation/points/east", {"name": "东城受理点", "address": "东大街 2 号"})
    assert "东城受理点" in gu.text
    gu.post("/organisation/points/east/close")
    assert {row["id"]: row["closed_at"] for row in ra.rows(points)} == {"main": None, "east": ra.clock.now()}
    gu.get("/organisation/points/east")
    assert "Saving opens it again" in gu.text
    gu.post("/organisation/points/east", {"name": "东城受理点"})
    assert all(row["closed_at"] is None for row in ra.rows(points))


@only_sqlite
def test_a_wrong_point_comes_back_with_what_was_typed(ra, gu) -> None:
    """422, the reason, the form as typed; nothing is changed. An id that is there is not renamed."""
    before = ra.rows(points)
    gu.get("/organisation/points/new")
    for form in (
        {"id": "main", "name": "x"},
        {"id": "Ost!", "name": "x"},
        {"id": "east", "name": ""},
        {"id": "east", "name": "x" * 129},
        {"id": "east", "name": "名称\u202egnp"},
    ):
        answer = gu.post("/organisation/points/new", {**form, "address": "东大街"})
        assert answer.status_code == 422, form
        assert "cannot be used" in gu.text
        assert 'value="东大街"' in gu.page
    assert ra.rows(points) == before


@only_sqlite
def test_the_main_point_stays(ra, gu) -> None:
    """Its page has no button to close it, and a forged form is refused."""
    gu.get("/organisation/points/main")
    assert "/close" not in gu.page
    assert gu.post("/organisation/points/main/close").status_code == 422


@only_sqlite
def test_a_project_at_one_point(ra, gu) -> None:
    """Opened at the main point, moved to all, closed."""
    gu.get("/organisation/projects/new")
    gu.post("/organisation/projects/new", {"id": "schools", "name": "全市学校", "point": "main"})
    assert "全市学校" in gu.text
    gu.get("/organisation/projects/schools")
    gu.post("/organisation/projects/schools", {"name": "全市学校", "point": "*"})
    assert "All acceptance points" in gu.text
    gu.post("/organisation/projects/schools/close")
    assert "Closed" in gu.text


# Operators


@only_sqlite
def test_an_operator_is_asked_for_and_agreed_to_by_another(ra, gu, he) -> None:
    """gu asks, he sees what is asked for and agrees; chen works at the place that was shown."""
    asked = ask(gu)
    page = asked.request.path.removeprefix("/ra")
    assert "another administrator has to agree" in gu.text
    assert gu.post(f"{page}/decide", {"act": "agree"}).status_code == 403

    he.get("/")
    assert "Requests for accounts to decide" in he.text
    he.get(page)
    for shown in ("陈静", "Entry clerk", "Review clerk", "30 Jun 2027"):
        assert shown in he.text, shown
    assert NEW["person"] not in he.page
    he.post(f"{page}/decide", {"act": "agree"})

    assert "Agreed" in he.text
    with ra.database.reading() as connection:
        chen = ra.operators.load(connection, "chen")
        assert load_scope(connection, "chen").grants == (Grant("main", "*", "citizen"),)
    assert chen.roles == {"clerk.entry", "clerk.review"}
    assert chen.valid_until > T + 200 * DAY


WRONG: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"name": " "}, "name", "Enter the name"),
    ({"operator": "Chen Jing"}, "operator", "small letters"),
    ({"operator": "wang"}, "operator", "not yet taken"),
    ({"person": ""}, "person", "identity document"),
    ({"roles": []}, "roles", "at least one role"),
    ({"roles": ["root"]}, "roles", "at least one role"),
    ({"valid_until": "2020-01-01"}, "valid_until", "in the future"),
    ({"valid_until": "30.6.2027"}, "valid_until", "in the future"),
    ({"point": ["", "", ""]}, "point", "acceptance point"),
    ({"point": ["nowhere", "", ""]}, "point", "cannot be used"),
)


@only_sqlite
def test_a_wrong_request_comes_back_at_its_field(ra, gu) -> None:
    """One thing wrong: the summary leads to the field, the rest is as typed; nothing is on record."""
    rubbish = {"certificate": (BytesIO(b"rubbish"), "a.pem")}
    for changes, field, sentence in (*WRONG, (rubbish, "certificate", "certificate file")):
        answer = ask(gu, **changes)
        assert 400 <= answer.status_code < 500, changes
        assert f'href="#f-{field}"' in gu.page, changes
        assert sentence in gu.text, changes
        assert "operator" in changes or 'value="chen"' in gu.page
        assert idcard(150) not in gu.page  # the number is never sent back
    assert ra.rows(enrolments) == []


def test_a_double_click_is_one_request(ra, gu) -> None:
    """The same form twice: one request."""
    ask(gu)
    ask(gu)

    assert len(ra.rows(enrolments)) == 1


@only_sqlite
def test_a_request_is_refused_with_a_reason(ra, gu, he) -> None:
    """Without a reason the page comes back; with one it is on record, and cannot be agreed to any more."""
    page = ask(gu).request.path.removeprefix("/ra")
    he.get(page)
    assert he.post(f"{page}/decide", {"act": "refuse", "reason": " "}).status_code == 422
    he.post(f"{page}/decide", {"act": "refuse", "reason": "材料不全"})
    assert "材料不全" in he.text
    assert he.post(f"{page}/decide", {"act": "agree"}).status_code == 409


@only_sqlite
def test_suspending_takes_one_and_lifting_it_two(ra, gu, he) -> None:
    """wang is out at once; gu asks to lift it, he agrees."""
    wang = ra.browser(ra.entry_clerk)
    gu.get("/organisation/operators/wang")
    assert gu.post("/organisation/operators/wang/suspend", {"reason": ""}).status_code == 422
    gu.post("/organisation/operators/wang/suspend", {"reason": "USB Key 丢失"})
    assert "suspended" in gu.text
    assert wang.get("/").status_code == 303
    gu.get("/organisation/operators?state=suspended")
    assert "Wang" in gu.text
    assert "/organisation/operators/li" not in gu.page

    page = ask(gu, "resume", operator="wang").request.path.removeprefix("/ra")
    he.get(page)
    he.post(f"{page}/decide", {"act": "agree"})
    assert ra.browser(ra.entry_clerk).get("/").status_code == 200


@only_sqlite
def test_roles_change_by_four_eyes(ra, gu, he) -> None:
    """The form begins with today's roles; the second person sees both; then the new ones count."""
    gu.get("/organisation/requests/new/roles?operator=wang")
    assert 'value="clerk.entry" checked' in gu.page
    page = ask(gu, "roles", operator="wang", roles=["clerk.media"]).request.path.removeprefix("/ra")
    he.get(page)
    assert "Media clerk" in he.text
    assert "Roles now Entry clerk" in he.text
    he.post(f"{page}/decide", {"act": "agree"})
    with ra.database.reading() as connection:
        assert ra.operators.load(connection, "wang").roles == {"clerk.media"}


@only_sqlite
def test_a_further_certificate_is_shown_before_it_counts(ra, gu, he) -> None:
    """PEM or DER by upload; the second person sees subject, serial and fingerprint."""
    ra.issue()
    certificate = x509.load_pem_x509_certificate(ra.rows(certificates)[0]["certificate_pem"].encode())
    der = certificate.public_bytes(Encoding.DER)
    page = ask(gu, "certificate", operator="wang", certificate=(BytesIO(der), "wang.cer")).request.path
    he.get(page)
    assert f"{certificate.serial_number:x}" in he.text
    he.post(f"{page}/decide".removeprefix("/ra"), {"act": "agree"})
    gu.get("/organisation/operators/wang")
    assert f"{certificate.serial_number:x}" in gu.text


@only_sqlite
def test_auditors_read_and_change_nothing(ra, gu) -> None:
    """Every page opens without a button; every form is refused; clerks do not get in at all."""
    page = ask(gu).request.path.removeprefix("/ra")
    auditor = ra.browser(ra.operator("zhou", "auditor", person=idcard(113)))
    for path in ("", "/projects", "/operators", "/operators/wang", "/requests"):
        assert auditor.get(f"/organisation{path}").status_code == 200
        assert "/suspend" not in auditor.page
        assert "/new" not in auditor.page.partition("<main")[2]
    assert auditor.get(page).status_code == 200
    assert "/decide" not in auditor.page
    for path in ("/points/main/close", "/operators/wang/suspend", "/requests/new/enrol"):
        assert auditor.post(f"/organisation{path}", {"reason": "xx"}).status_code == 403
    assert auditor.post(f"{page}/decide", {"act": "agree"}).status_code == 403
    assert ra.browser(ra.entry_clerk).get("/organisation").status_code == 403


# The audit page


def test_the_trail_is_searched_by_who_what_and_day(ra) -> None:
    """wang's acts, submissions, yesterday: each search finds its entries and leaves the others out."""
    first = ra.submit()
    ra.clock.advance(DAY)
    second = ra.submit(ra.entry("citizen"))
    auditor = ra.browser(ra.operator("zhou", "auditor", person=idcard(113)))

    def found(query: str) -> tuple[bool, bool]:
        auditor.get(f"/audit?{query}")
        return f"application:{first.id}" in auditor.page, f"application:{second.id}" in auditor.page

    assert found("actor=wang") == (True, True)
    assert found("actor=li") == (False, False)
    assert found("event=application.submitted") == (True, True)
    assert found("event=application.approved") == (False, False)
    assert found(f"day={T:%Y-%m-%d}") == (True, False)
    assert found(f"day={T + DAY:%Y-%m-%d}") == (False, True)
    assert found("day=1999-01-01") == (False, False)
    auditor.get("/audit?day=yesterday")
    assert "year-month-day" in auditor.text


@only_sqlite
def test_an_auditor_with_a_scope_reads_its_own_points_entries(ra) -> None:
    """zhou audits the east: of the main point's applications, certificates and operators not one entry."""
    application = ra.issue()
    gu = ra.operator("gu", "administrator", person=idcard(111))
    ra.service.points.open_point(gu, "east", name="东区")
    zhou = ra.operator("zhou", "auditor", person=idcard(113))
    put_at(ra, "zhou", "east")

    auditor = ra.browser(zhou)
    auditor.get("/audit")
    assert application.id not in auditor.page
    assert "certificate:" not in auditor.page.partition("</form>")[2].partition("<table")[2]
    assert "operator:wang" not in auditor.page.partition("<table")[2]
    assert "point:east" in auditor.page
    auditor.get(f"/audit?subject=application:{application.id}")
    assert "No entry" in auditor.text

    everywhere = ra.browser(ra.operator("qian", "auditor", person=idcard(114)))
    everywhere.get("/audit")
    assert application.id in everywhere.page
