"""Acceptance points and scopes, four-eyes enrolment, and the certificate behind each act."""

import pytest
from ra_fakes import DAY, OTHER_USCC, T, idcard, make_csr, make_key

from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import list_applications, list_events
from onecert.ra.errors import (
    CertificateRequiredError,
    DuplicateError,
    EnrolmentClosedError,
    EnrolmentInvalidError,
    KeyRepeatedError,
    NotFoundError,
    PointClosedError,
    PointNeededError,
    PointUnknownError,
    ScopeInvalidError,
)
from onecert.ra.models import certificates, enrolments, revocations
from onecert.ra.operators.acting import acting
from onecert.ra.operators.enrolment import Ask, EnrolmentKind
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.scopes import Grant, load_scope, write_scope
from onecert.server.errors import ServiceError
from onecert.server.models import audit_entries
from onecert.server.operators import SamePersonError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SHA = "ab" * 32


@pytest.fixture
def admins(ra):
    return [ra.operator(f"admin{n}", "administrator", person=idcard(110 + n)) for n in (1, 2)]


def at_point(ra, admins, *names: str, order: int = 120, roles=("clerk.entry",), **grant: str):
    """An operator with a scope, opened without the paperwork; returns the account."""
    for name in names:
        ra.service.points.open_point(admins[0], name, name=f"{name} counter")
    account = ra.operator(f"op{order}", *roles, person=idcard(order))
    with ra.database.transaction() as connection:
        write_scope(connection, account.id, [Grant(point=name, **grant) for name in names])
    return account


NOBODYS = "00000000-0000-4000-8000-000000000000"


def test_another_points_records_are_not_found_by_any_door(ra, admins) -> None:
    """Every page and endpoint that takes an id, with that of a certificate of the main point. Must be 404."""
    made = ra.issue()
    [found] = ra.rows(certificates)
    roles = ("clerk.entry", "clerk.review", "security.officer", "auditor")
    browser = ra.browser(at_point(ra, admins, "futian", roles=roles))
    ids = {
        "application_id": made.id,
        "record_id": made.id,
        "authority": "pearl",
        "serial": found["serial_hex"],
        "act": "submit",
    }
    tried = 0
    for rule in ra.app.url_map.iter_rules():
        if not rule.arguments & {"application_id", "record_id", "serial"}:
            continue
        values = {name: ids.get(name, NOBODYS) for name in rule.arguments}
        if "serial" in rule.arguments:
            values |= {"act": "revoke", "business": "renew" if "/follow/" in rule.rule else "unlock"}
        path = rule.build(values)[1].removeprefix("/ra")
        for method in rule.methods & {"GET", "POST"}:
            if path.startswith("/v1"):
                answer = browser.api(
                    method, path.removeprefix("/v1"), {"reason": "superseded"} if method == "POST" else None
                )
            elif method == "GET":
                answer = browser.get(path)
            else:
                browser.get("/certificates")
                answer = browser.post(path, {"act": "withdraw", "reason": "superseded", "confirmed": "yes"})
            if answer.status_code == 404:
                tried += 1
            else:
                # The judge page takes no act called withdraw; it must not have shown or done anything either.
                assert answer.status_code in {403, 404}, (method, path, answer.status_code)
    assert tried >= 9
    assert ra.load(made.id) == made
    assert ra.rows(revocations) == []
    assert [row for row in ra.rows(audit_entries) if row["event"] == "access.refused"]
    assert browser.api("GET", "/applications").json["items"] == []
    assert browser.api("GET", "/certificates").json["items"] == []


def test_a_scope_by_authority_and_profile(ra, admins) -> None:
    """A clerk for pearl's organisations: another authority or type is neither entered nor seen."""
    clerk = at_point(ra, admins, "futian", authority="pearl", profile="organisation")
    mine = ra.create(by=clerk)
    assert mine.point == "futian"
    for entry in (ra.entry(authority="summit"), ra.entry("citizen")):
        with pytest.raises(PointUnknownError):
            ra.create(entry, by=clerk)
    ra.create(ra.entry(authority="summit"))
    with ra.database.reading() as connection:
        seen = list_applications(connection, load_scope(connection, clerk.id)).items
    assert [item.id for item in seen] == [mine.id]


def test_a_closed_point_takes_nothing_new(ra, admins) -> None:
    """Closed after a clerk began there. Must refuse the next one, and let the first one go on."""
    clerk = at_point(ra, admins, "futian")
    begun = ra.create(by=clerk)
    ra.service.points.close_point(admins[0], "futian")
    with pytest.raises(PointClosedError):
        ra.create(ra.entry("citizen"), by=clerk)
    assert ra.applications.submit(clerk, begun.id).state.value == "submitted"


def test_who_works_at_two_points_says_where(ra, admins) -> None:
    """Without a point: refused with a sentence; with one: there. A project counts where it belongs."""
    clerk = at_point(ra, admins, "futian", "luohu")
    with pytest.raises(PointNeededError):
        ra.create(by=clerk)
    ra.service.points.open_project(admins[0], "tax-2026", name="税务", point="luohu")
    entry = ra.entry()
    common = {"kind": entry.kind, "authority": entry.authority, "fields": entry.fields, "csr": entry.csr}
    with pytest.raises(PointUnknownError):
        ra.create(Entry(**common, point="futian", project="tax-2026"), by=clerk)
    made = ra.create(Entry(**common, point="luohu", project="tax-2026"), by=clerk)
    assert (made.point, made.project) == ("luohu", "tax-2026")


def ask_for(name: str = "chen", **changes) -> Ask:
    wanted = {
        "kind": EnrolmentKind.ENROL,
        "operator_id": name,
        "name": "陈录入",
        "roles": ("clerk.entry",),
        "valid_until": T + 300 * DAY,
        "scope": (Grant("main", "pearl"),),
        "person": idcard(130),
    }
    return Ask(**{**wanted, **changes})


def test_an_account_takes_two_administrators(ra, admins) -> None:
    """Asked by one, agreed by another; before that there is no account, afterwards no number of a person."""
    first, second = admins
    service = ra.service.enrolments
    asked = service.ask(first, ask_for())
    with pytest.raises(SamePersonError):
        service.agree(first, asked.id)
    with ra.database.reading() as connection:
        assert ra.operators.find(connection, "chen") is None
    assert idcard(130).encode() not in ra.rows(enrolments)[0]["person_sealed"]

    assert service.agree(second, asked.id).state == "done"
    with ra.database.reading() as connection:
        chen = ra.operators.load(connection, "chen")
        assert load_scope(connection, "chen").grants == (Grant("main", "pearl"),)
    assert ra.rows(enrolments)[0]["person_sealed"] is None
    ra.create(by=chen)
    with pytest.raises(EnrolmentClosedError):
        service.agree(second, asked.id)

    service.suspend(first, "chen", reason="left")
    with pytest.raises(ServiceError, match="suspended"):
        ra.create(ra.entry("citizen"), by=chen)
    resume = service.ask(first, Ask(kind=EnrolmentKind.RESUME, operator_id="chen"))
    service.agree(second, resume.id)
    ra.create(ra.entry("citizen"), by=chen)


def test_other_roles_take_two_administrators(ra, admins) -> None:
    """wang is to review as well: nothing changes before a second person agrees; wang's own word is none."""
    first, second = admins
    ask = Ask(kind=EnrolmentKind.ROLES, operator_id="wang", roles=("clerk.entry", "clerk.review"))
    asked = ra.service.enrolments.ask(first, ask)
    with pytest.raises(SamePersonError):
        ra.service.enrolments.agree(first, asked.id)
    application = ra.applications.submit(
        ra.operator("chen", "clerk.entry", person=idcard(131)), ra.create().id
    )
    words = {"content_sha256": application.content_sha256}
    with pytest.raises(ServiceError, match=r"clerk\.review|role"):
        ra.applications.approve(ra.entry_clerk, application.id, **words)
    ra.service.enrolments.agree(second, asked.id)
    with ra.database.reading() as connection:
        wang = ra.operators.load(connection, "wang")
    assert wang.roles == {"clerk.entry", "clerk.review"}
    with pytest.raises(SamePersonError):  # the role does not take away what wang entered
        ra.applications.approve(wang, application.id, **words)
    with pytest.raises(EnrolmentInvalidError):
        ra.service.enrolments.ask(first, Ask(kind=EnrolmentKind.ROLES, operator_id="wang", roles=("root",)))
    with pytest.raises(EnrolmentInvalidError):
        ra.service.enrolments.ask(first, Ask(kind=EnrolmentKind.ROLES, operator_id="wang"))


def test_nobody_enrols_themselves(ra, admins) -> None:
    """The new account is the second administrator's own person. Must leave no account."""
    ra.operators.config = type(ra.operators.config)(allow_same_person=True)
    asked = ra.service.enrolments.ask(admins[0], ask_for(person=idcard(112)))
    with pytest.raises(SamePersonError):
        ra.service.enrolments.agree(admins[1], asked.id)
    with ra.database.reading() as connection:
        assert ra.operators.find(connection, "chen") is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"roles": ("root",)}, EnrolmentInvalidError),
        ({"person": ""}, EnrolmentInvalidError),
        ({"valid_until": T - DAY}, EnrolmentInvalidError),
        ({"certificate_pem": "rubbish"}, EnrolmentInvalidError),
        ({"operator_id": "wang"}, EnrolmentInvalidError),
        ({"operator_id": "x" * 65}, EnrolmentInvalidError),
        ({"name": "陈" * 81}, EnrolmentInvalidError),
        ({"scope": (Grant("nowhere"),)}, ScopeInvalidError),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_wrong_request_is_refused(ra, admins, changes, error) -> None:
    """One value is wrong; nothing is on record."""
    with pytest.raises(error):
        ra.service.enrolments.ask(admins[0], ask_for(**changes))
    assert ra.rows(enrolments) == []


def test_each_act_carries_the_certificate(ra) -> None:
    """Entered with a certificate: its fingerprint is in the life line and in the audit entry."""
    made = ra.create(by=acting(ra.entry_clerk, SHA))
    with ra.database.reading() as connection:
        assert [event.certificate_sha256 for event in list_events(connection, made.id)] == [SHA]
    assert SHA in ra.rows(audit_entries)[-1]["details"]


def test_where_a_certificate_is_required_a_link_does_not_do(ra) -> None:
    """The policy binds acts to certificates; this operator came by a link. Must be refused."""
    strict = Reach(
        database=ra.database,
        audit=ra.audit,
        clock=ra.clock,
        vault=ra.vault,
        load_operator=ra.operators.load,
        certificate_required=True,
    )
    with ra.database.reading() as connection:
        with pytest.raises(CertificateRequiredError):
            strict.account(connection, ra.entry_clerk, "clerk.entry")
        assert (
            strict.account(connection, acting(ra.entry_clerk, SHA), "clerk.entry").certificate_sha256 == SHA
        )


@only_sqlite
def test_an_unknown_id_and_anothers_read_alike(ra, admins) -> None:
    """Guessing must not tell which numbers exist."""
    clerk = at_point(ra, admins, "futian")
    made = ra.create()
    texts = []
    for guess in (made.id, make_guess()):
        with pytest.raises(NotFoundError) as caught:
            ra.service.reach.application(clerk, guess)
        texts.append(str(caught.value).replace(guess, "…"))
    assert texts[0] == texts[1]


def make_guess() -> str:
    return f"{make_key().private_numbers().private_value:032x}"[:32]


@only_sqlite
def test_the_rest_interface_enrols_with_four_eyes(ra, admins) -> None:
    """Ask and agree over HTTP; a clerk may do neither."""
    wanted = {
        "kind": "enrol",
        "operator": "chen",
        "name": "陈录入",
        "roles": ["clerk.media"],
        "valid_until": (T + 300 * DAY).isoformat(),
        "scope": [{"point": "main"}],
        "person": idcard(130),
    }
    assert ra.browser(ra.entry_clerk).api("POST", "/enrolments", wanted).json["code"] == "ROLE_REQUIRED"
    first, second = map(ra.browser, admins)
    asked = first.api("POST", "/enrolments", wanted)
    assert asked.status_code == 201
    assert first.api("POST", f"/enrolments/{asked.json['id']}/agree").json["code"] == "SAME_PERSON"
    assert second.api("POST", f"/enrolments/{asked.json['id']}/agree").json["state"] == "done"
    [chen] = [row for row in first.api("GET", "/operators").json["items"] if row["id"] == "chen"]
    assert chen["scope"] == [{"point": "main", "authority": "*", "profile": "*"}]
    opened = first.api("PUT", "/points/luohu", {"name": "罗湖受理点"})
    assert opened.json["name"] == "罗湖受理点"
    assert first.api("GET", "/points").json["home"] == "main"
    assert first.api("POST", "/points/main/close").json["code"] == "ORGANISATION_INVALID"


def test_a_duplicate_at_another_point_is_told_without_its_number(ra, admins) -> None:
    """The firm, then only the key, is taken at the main point. Refused; the number is nowhere."""
    csr = make_csr()
    first = ra.submit(ra.entry(csr=csr))
    clerk = at_point(ra, admins, "futian")
    draft = ra.create(ra.entry(), by=clerk)
    with pytest.raises(DuplicateError) as caught:
        ra.applications.submit(clerk, draft.id)
    other_firm = ra.create(ra.entry(uscc=OTHER_USCC, csr=csr), by=clerk)
    with pytest.raises(KeyRepeatedError) as repeated:
        ra.applications.submit(clerk, other_firm.id)
    for told in (
        caught.value,
        repeated.value,
        ra.applications.entries.find_collision(ra.entry(), clerk, besides=draft.id),
    ):
        assert told is not None
        assert "at another acceptance point" in str(told.text)
        assert first.number not in str(told)
        assert not {first.number, first.id} & set(told.facts.values())
    near = ra.applications.entries.find_collision(ra.entry(), ra.entry_clerk, besides=None)
    assert near is not None
    assert near.facts["number"] == first.number
