"""The tree of delegations, delegating, and suspending or revoking an authority: by the pages.

tax-office (source) -> bureau; each gives the reader to somebody.
"""

import re
from datetime import timedelta

import pytest

pytestmark = pytest.mark.token


def hidden(page: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page):
        if name != "csrf_token":
            found.setdefault(name, []).append(value)
    return found


def test_delegated_by_one_administrator_and_approved_by_another(pmi, lab) -> None:
    """The form names the authority that receives; the tree then shows it, and it gives what it holds."""
    pmi.add_authority("bureau")
    first = pmi.client(pmi.administrator)
    second = pmi.client(pmi.second)
    assert "/grants/new" in first.get("/authorities").text
    assert first.get("/grants/new").status_code == 403, "grants are for officers"
    assert pmi.client(pmi.officer).get("/grants/new?kind=delegation").status_code == 403
    form = {
        "kind": "delegation",
        "authority": "tax-office",
        "receiver": "bureau",
        "roles": [lab.READER_ROLE],
        "depth": "0",
        "act": "check",
    }
    wrong = first.submit("/grants/new", {**form, "depth": "many"})
    assert (wrong.status_code, 'id="f-depth-error"' in wrong.text) == (422, True)
    page = first.submit("/grants/new?language=en", form).text
    assert "may not be delegated further" in page
    sent = first.submit("/grants/new", {**hidden(page), "act": "send"})
    path = sent.headers["Location"].removeprefix("/pmi")
    assert "/approve" not in first.get(path).text
    assert "/approve" not in pmi.client(pmi.approver).get(path).text
    assert "delegations to be approved by you" in second.get("/?language=en").text
    page = second.get(path).text
    shown = re.search(r'name="content_sha256" value="([0-9a-f]{64})"', page)[1]
    assert second.submit(f"{path}/approve", {"content_sha256": shown}).status_code == 303

    grant = pmi.grant(lab.READER_ROLE, authority="bureau")
    tree = pmi.client(pmi.auditor).get("/authorities?language=en").text
    assert re.search(r"tax-office.*authorities/bureau.*may not be delegated further", tree, re.DOTALL)
    assert "1 certificates under it" in tree
    certificate = pmi.client(pmi.auditor).get(f"/attribute-certificates/{grant.serial}").text
    assert "tax-office →" in certificate, "the way from the source"


@pytest.fixture
def grown(pmi, lab):
    bureau = pmi.add_authority("bureau")
    pmi.to_bureau = pmi.delegate("tax-office", bureau, lab.READER_ROLE)
    pmi.given = pmi.grant(lab.READER_ROLE, authority="bureau")
    return pmi


def test_suspended_and_resumed_by_its_typed_name(grown) -> None:
    administrator = grown.client(grown.administrator)
    page = administrator.get("/authorities/bureau/suspend?language=en").text
    assert "certificates of holders" in page
    act = {"content_sha256": hidden(page)["content_sha256"][0]}
    for wrong, status in (({"name": "tax-office"}, 422), ({"name": "bureau", "content_sha256": "0"}, 409)):
        answer = administrator.submit("/authorities/bureau/suspend", {**act, **wrong})
        assert (answer.status_code, 'id="f-name-error"' in answer.text) == (status, True)
    assert grown.decide("read").is_permitted
    done = administrator.submit("/authorities/bureau/suspend", {**act, "name": "bureau"})
    assert done.status_code == 303
    assert not grown.decide("read").is_permitted
    assert "is suspended" in grown.client(grown.officer).get("/?language=en").text

    grown.clock.advance(timedelta(minutes=1))
    act = {
        "content_sha256": hidden(administrator.get("/authorities/bureau/resume").text)["content_sha256"][0]
    }
    administrator.submit("/authorities/bureau/resume", {**act, "name": "bureau"})
    assert grown.decide("read").is_permitted
    page = administrator.get("/authorities/bureau?language=en").text
    assert page.count("lifeline-title") >= 3


def test_a_source_is_revoked_by_two(grown) -> None:
    where = "/authorities/tax-office/revoke"
    first = grown.client(grown.administrator)
    second = grown.client(grown.second)
    assert 'name="reason"' in first.get(where).text, "the reason first"
    for each, state in ((first, "active"), (second, "revoked")):
        fields = {
            name: values[0] for name, values in hidden(each.get(f"{where}?reason=aACompromise").text).items()
        }
        assert each.submit(where, {**fields, "name": "tax-office"}).status_code == 303
        with grown.database.reading() as connection:
            assert grown.parts.authorities.load(connection, "tax-office").state == state
        if each is first:
            assert (
                "another administrator must confirm" in first.get("/authorities/tax-office?language=en").text
            )
    assert "/revoke" not in first.get("/authorities/tax-office").text


def test_officers_and_auditors_see_authorities_and_change_none(grown) -> None:
    for operator in (grown.officer, grown.auditor):
        client = grown.client(operator)
        page = client.get("/authorities/bureau").text
        assert "/suspend" not in page
        assert client.get("/authorities/bureau/suspend").status_code == 403
        assert client.submit("/authorities/bureau/suspend", {"name": "bureau"}).status_code == 403
