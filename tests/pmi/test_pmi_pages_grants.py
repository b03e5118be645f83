"""The form of a grant, what it shows before anything is recorded, approving, refusing, withdrawing."""

import io
import re

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

pytestmark = pytest.mark.token

CATALOGUE = """
[[roles]]
uri = "urn:onecert:role:tax.approver"
zh = "税务审批人"
en = "Tax approver"
authorities = ["tax-office"]
second_person = true

[[roles]]
uri = "urn:onecert:role:tax.reader"
zh = "税务查询人"
en = "Tax reader"
authorities = ["tax-office"]
max_days = 30

[[attributes]]
name = "group"
oid = "1.3.6.1.5.5.7.10.4"
syntax = "ietf"
zh = "部门"
en = "Department"
authorities = ["tax-office"]
multiple = true

[[attributes]]
name = "limit"
oid = "1.2.156.10197.6.1.1"
syntax = "integer"
zh = "审批限额"
en = "Approval limit"
authorities = ["tax-office"]
values = [1000, 10000]

[[attributes]]
name = "floor"
oid = "1.2.156.10197.6.1.2"
syntax = "integer"
zh = "楼层"
en = "Floor"
authorities = ["tax-office"]
"""


def pem(certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def rich(pmi):
    with pmi.database.transaction() as connection:
        pmi.parts.catalogues.publish(connection, pmi.catalogue(CATALOGUE), actor="command:test")
    return pmi


def typed(pmi, lab, **changes) -> dict:
    return {
        "kind": "grant",
        "authority": "tax-office",
        "holder_form": "certificate",
        "holder_pem": pem(pmi.holder),
        "roles": [lab.READER_ROLE],
        **changes,
    }


def hidden(page: str) -> dict[str, list[str]]:
    """What a page sends on without showing it."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page):
        if name != "csrf_token":
            found.setdefault(name, []).append(value)
    return found


def test_nothing_is_kept_before_it_was_shown(rich, lab) -> None:
    """Check shows the holder and everything that would be issued; the same fields then issue it once."""
    officer = rich.client(rich.officer)
    form = typed(
        rich, lab, **{"attribute-group": "税务一科\n税务二科", "attribute-limit": "10000", "act": "check"}
    )
    page = officer.submit("/grants/new?language=zh", form).text
    for text in ("张三", "uscc:91440300MA5DEM004J", "税务查询人", "税务一科", "10000", "立即签发"):
        assert text in page
    assert rich.parts.grants.page() == ([], 0)

    again = {**hidden(page), "act": "send"}
    first, second = officer.submit("/grants/new", again), officer.submit("/grants/new", again)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["Location"] == second.headers["Location"], "sent twice is one grant"
    (grant,), total = rich.parts.grants.page()
    assert total == 1
    assert dict(grant.attributes) == {
        "role": [lab.READER_ROLE],
        "group": ["税务一科", "税务二科"],
        "limit": [10000],
    }


def test_what_may_be_given_is_offered_and_comes_back_as_it_was_typed(rich, lab) -> None:
    """Only what the authority may give, with its terms; a second person is told in advance."""
    officer = rich.client(rich.officer)
    page = officer.get("/grants/new?language=en").text
    for text in ("Tax reader", "30 days at most", "Department", "needs a second person"):
        assert text in page
    assert "Chief of police" not in page
    page = officer.submit(
        "/grants/new?language=en", typed(rich, lab, roles=[lab.APPROVER_ROLE], act="check")
    ).text
    assert "A second person must approve this" in page
    assert "Ask for approval" in page

    page = officer.submit("/grants/new", typed(rich, lab, targets="https://tax.example/", act="check")).text
    back = officer.submit("/grants/new", {**hidden(page), "act": "edit"}).text
    assert "https://tax.example/" in back
    assert pem(rich.holder).splitlines()[1] in back
    assert re.search(r'value="urn:onecert:role:tax.reader" checked', back)


def test_an_error_stands_at_its_field(rich, lab) -> None:
    officer = rich.client(rich.officer)
    for changes, field in (
        ({"roles": []}, "roles"),
        ({"roles": ["urn:onecert:role:none"]}, "roles"),
        ({"holder_pem": "nonsense"}, "holder_pem"),
        ({"holder_pem": pem(rich.ca.holder("无名"))}, "holder_pem"),  # of no listed CA
        ({"targets": "no uri"}, "targets"),
        ({"until": "2027-13-01"}, "until"),
        ({"until": "2036-01-01"}, "until"),
        ({"since": "yesterday"}, "since"),
        ({"attribute-floor": "two"}, "attribute-floor"),
        ({"attribute-limit": "7"}, "attribute-limit"),
    ):
        answer = officer.submit("/grants/new", typed(rich, lab, act="check", **changes))
        assert (answer.status_code, f'id="f-{field}-error"' in answer.text) == (422, True), changes
    assert rich.parts.grants.page()[1] == 0


def test_a_file_that_is_no_certificate(rich, lab) -> None:
    file = (io.BytesIO(b"\x00\x01"), "holder.cer")
    form = typed(rich, lab, holder_pem="", holder_file=file, targets="https://a.example/")
    answer = rich.client(rich.officer).submit("/grants/new", form, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert 'id="f-holder_pem-error"' in answer.text
    assert "https://a.example/" in answer.text, "the rest is still there"


def test_an_approver_sees_what_and_who_and_refuses_with_a_reason(pmi, lab) -> None:
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    approver = pmi.client(pmi.approver)
    page = approver.get(f"/grants/{grant.id}?language=en").text
    assert grant.content_sha256 in page
    assert f"Asked for by {pmi.officer.name}" in page

    empty = approver.submit(f"/grants/{grant.id}/refuse", {"why": " "})
    assert empty.status_code == 422
    assert 'id="f-why-error"' in empty.text
    assert approver.submit(f"/grants/{grant.id}/refuse", {"why": "没有任命文件"}).status_code == 303
    page = pmi.client(pmi.officer).get(f"/grants/{grant.id}").text
    assert "没有任命文件" in page
    assert pmi.approver.name in page
    assert pmi.parts.grants.load(grant.id).state == "refused"


def test_own_requests_are_withdrawn_and_never_approved(pmi, lab) -> None:
    both = pmi.operator("both", "attribute.officer", "attribute.approver")
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), both)
    client = pmi.client(both)
    page = client.get(f"/grants/{grant.id}?language=en").text
    assert "You asked for this grant yourself" in page
    assert "/approve" not in page
    refused = client.submit(f"/grants/{grant.id}/approve", {"content_sha256": grant.content_sha256})
    assert refused.status_code == 403
    assert client.submit(f"/grants/{grant.id}/withdraw").status_code == 303
    assert pmi.parts.grants.load(grant.id).state == "refused"


def test_what_is_approved_is_what_was_shown(pmi, lab) -> None:
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    answer = pmi.client(pmi.approver).submit(f"/grants/{grant.id}/approve", {"content_sha256": "0" * 64})
    assert answer.status_code == 409
    assert pmi.parts.grants.load(grant.id).state == "waiting"


def test_the_desk_says_what_waits_for_whom(pmi, lab) -> None:
    pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    pmi.grant(lab.READER_ROLE)
    officer = pmi.client(pmi.officer).get("/?language=en").text
    approver = pmi.client(pmi.approver).get("/?language=en").text
    auditor = pmi.client(pmi.auditor).get("/?language=en").text
    assert "end within 30 days" in officer
    assert "to be approved by you" not in officer
    assert "to be approved by you" in approver
    assert "/grants/new" not in approver
    assert "Your roles read" in auditor
    pmi.clock.advance(lab.timedelta(days=2))
    assert "its revocation list is out of date" in pmi.client(pmi.officer).get("/?language=en").text
