"""Every door that takes an id, with ids of another point: word for word as if there were none."""

import re
from io import BytesIO

import pytest
from ra_fakes import idcard
from test_ra_batches import person, table
from test_ra_evidence import picture
from test_ra_points import NOBODYS, at_point

from onecert.ra.batches.acts import Upload
from onecert.ra.batches.tables import batches
from onecert.ra.content.fields import Kind
from onecert.ra.emergency.selection import Selection
from onecert.ra.emergency.tables import emergencies
from onecert.ra.evidence.materials import materials_of
from onecert.ra.evidence.tables import evidence
from onecert.ra.life.machine import Business
from onecert.ra.models import applications, cases, certificates, revocations
from onecert.server.errors import ServiceError

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NOBODYS_NUMBER, NOBODYS_CASE = "20261121-000000000", "20261121-C000000000"
EVERY_ROLE = (
    "clerk.entry",
    "clerk.review",
    "clerk.media",
    "clerk.archive",
    "security.officer",
    "auditor",
)
# What is on the path beside an id, by the rest of the rule.
WORDS = {
    "/applications/<uuid:application_id>/<act>": [
        "submit",
        "approve",
        "return",
        "reject",
        "deliver",
        "archive",
    ],
    "/batches/<uuid:batch_id>/<act>": ["accept", "submit", "withdraw", "approve", "return", "reject"],
    "/cases/<uuid:case_id>/<act>": ["approve", "consent", "complete", "reject", "withdraw"],
    "/certificates/<authority>/<serial>/<act>": ["revoke", "hold", "release", "renew", "change", "replace"],
    "/certificates/<authority>/<serial>/follow/<business>": ["renew"],
    "/cases/new/<business>/<authority>/<serial>": ["unlock", "revoke"],
    "/emergencies/<uuid:emergency_id>/<act>": ["approve", "refuse", "pause", "resume"],
}
BODY = {
    "act": "withdraw",
    "reason": "superseded",
    "note": "why not",
    "confirmed": "yes",
    "content_sha256": "0" * 64,
    "certificates": 1,
    "csr_pem": "x",
    "code": "ABCD-EFGH",
    "place": "A1",
}


@pytest.fixture
def known(ra):
    """One of everything at the main point, under the names that the routes have for it."""
    waiting, issued = ra.submit(), ra.issue(ra.entry("citizen", idcard=idcard(9)))
    serial = ra.rows(certificates)[0]["serial_hex"]
    draft = ra.create(ra.entry("device"))
    scan = ra.service.evidence.add(ra.entry_clerk, draft.id, "licence", BytesIO(picture()), request_key=None)
    case = ra.service.cases.open(
        ra.entry_clerk, Business.UNLOCK, "pearl", serial, note="forgotten", request_key="c"
    )
    everything = Selection(kind="authority", authority="pearl")
    emergency = ra.service.emergencies.propose(
        ra.officer, everything, reason="keyCompromise", why="why not", request_key="e"
    )
    wanted = Upload(kind=Kind.CITIZEN, authority="pearl", file=table(person(1)), file_name="a.csv")
    batch = ra.service.batches.upload(ra.entry_clerk, wanted, request_key="b")
    return {
        "application_id": [waiting.id, issued.id],
        "record_id": [draft.id, case.id],
        "evidence_id": [scan.id],
        "case_id": [case.id],
        "emergency_id": [emergency.id],
        "batch_id": [batch.id],
        "serial": [serial],
        "number": [issued.number, case.number],
    }


def ways(rule, known):
    """The paths of a rule: with an id that exists elsewhere, and with nobody's."""
    names = rule.arguments & set(known)
    path = str(rule.rule).removeprefix("/v1")
    for act in WORDS.get(path, [""]):
        for turn in range(max(len(known[name]) for name in names)):
            there = {name: known[name][min(turn, len(known[name]) - 1)] for name in names}
            nowhere = {name: nobodys(name, there[name]) for name in names}
            others = {"authority": "pearl", "kind": "citizen", "ending": "csv", "revocation_id": NOBODYS}
            others |= {"act": act, "business": act} if act else {}
            others = {name: value for name, value in others.items() if name in rule.arguments}
            both = [rule.build({**others, **values})[1] for values in (there, nowhere)]
            yield (
                [one.removeprefix("/ra") for one in both],
                {**dict(zip(nowhere.values(), there.values(), strict=True))},
            )


def nobodys(name, like):
    if name == "serial":
        return "9" * 38
    if name == "number":
        return NOBODYS_CASE if "-C" in like else NOBODYS_NUMBER
    return NOBODYS


def asked(browser, method, path):
    if path.startswith("/v1"):
        answer = browser.api(method, path.removeprefix("/v1"), BODY if method != "GET" else None)
    elif method == "GET":
        answer = browser.get(path)
    else:
        browser.get("/applications")
        answer = browser.post(path, BODY, follow=False)
    return answer.status_code, answer.get_data(as_text=True), answer.headers.get("Location", "")


def without(text, ids):
    """What is said, without the ids that were asked for and what differs in every answer."""
    for one in ids:
        text = text.replace(one, "*")
    return re.sub(
        r'name="csrf_token" value="[^"]+"|"[0-9a-f]{8,16}"|request-id[^<]*|[0-9a-f]{12,40}', "", text
    )


def test_another_points_ids_are_as_nobodys(ra, known) -> None:
    """Pages and REST, reading and acting, in every role but the administrator's: same status, same words."""
    admin = ra.operator("admin1", "administrator", person=idcard(111))
    browser = ra.browser(at_point(ra, [admin], "futian", roles=EVERY_ROLE))
    tables = (applications, certificates, cases, evidence, emergencies, batches, revocations)
    before = [ra.rows(table) for table in tables]
    tried: dict[str, int] = {}
    for rule in ra.app.url_map.iter_rules():
        if not rule.arguments & set(known):
            continue
        for (there, nowhere), ids in ways(rule, known):
            for method in sorted(rule.methods & {"GET", "POST"}):
                found, missing = (asked(browser, method, path) for path in (there, nowhere))
                told = (method, rule.rule, there, found[0], missing[0])
                assert found[0] >= 300 or rule.endpoint.startswith("public."), told
                assert found[0] == missing[0], told
                texts = [without(answer[1] + answer[2], [*ids, *ids.values()]) for answer in (found, missing)]
                assert texts[0] == texts[1], told
                for name in rule.arguments & set(known):
                    tried[name] = tried.get(name, 0) + (found[0] == 404)
    assert all(tried.get(name) for name in known), tried
    assert [ra.rows(table) for table in tables] == before
    # Lists and searches show nothing of it either.
    for path in ("/applications", "/cases", "/certificates", "/batches", "/emergencies"):
        assert browser.api("GET", path).json["items"] == []


def test_tokens_and_codes_of_another_point(ra) -> None:
    """A token in another point's stock is neither found nor put aside; it reads as one that is nowhere."""
    media = ra.operator("media", "clerk.media", person=idcard(112))
    ra.service.stock.receive(media, ["AB12"], kind="USB key", point=None)
    admin = ra.operator("admin1", "administrator", person=idcard(111))
    other = at_point(ra, [admin], "futian", roles=("clerk.media",))
    told = []
    for token in ("AB12", "ZZ99"):
        with pytest.raises(ServiceError) as caught:
            ra.service.stock.put_aside(other, token, event="spoiled", note="broken")
        told.append((caught.value.code, str(caught.value).replace(token, "*")))
    assert told[0] == told[1]
    with ra.database.reading() as connection:
        assert ra.service.stock.find(connection, ra.service.reach.scope(connection, other), "AB12") is None
    browser = ra.browser(other)
    pages = [
        without(browser.get(f"/media?token={each}").get_data(as_text=True), [each])
        for each in ("AB12", "ZZ99")
    ]
    assert pages[0] == pages[1]


def test_evidence_of_a_case_over_rest(ra) -> None:
    """Added as the body, listed and read, as with an application; kept, as a case is under review at once."""
    ra.issue()
    serial = ra.rows(certificates)[0]["serial_hex"]
    case = ra.service.cases.open(
        ra.entry_clerk, Business.UNLOCK, "pearl", serial, note="forgotten", request_key="c"
    )
    clerk = ra.browser(ra.entry_clerk)
    material = materials_of(case.business, case.kind)[0].name
    answer = clerk.client.post(
        f"/v1/cases/{case.id}/evidence?material={material}",
        base_url="https://127.0.0.1:8443/ra",
        data=picture(),
        headers={"Content-Type": "image/jpeg"},
        environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
    )
    assert (answer.status_code, answer.json["record"]) == (201, case.id)
    [item] = clerk.api("GET", f"/cases/{case.id}/evidence").json["items"]
    assert clerk.api("GET", f"/evidence/{item['id']}").json == item
    # A case waits for its decision from the start: what was handed in for it stays.
    assert clerk.api("POST", f"/evidence/{item['id']}/remove").json["code"] == "EVIDENCE_KEPT"
