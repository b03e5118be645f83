"""Certificates found and changed, holders bound anew, ends of office: by the pages."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

pytestmark = pytest.mark.token


def pem(certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def hidden(page: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', page)[1]


def test_a_name_stands_in_no_address(pmi, lab) -> None:
    """A name is answered in place; in an address it is not answered; a serial number has an address."""
    first, _second = pmi.grant(lab.READER_ROLE), pmi.grant(lab.APPROVER_ROLE)
    officer = pmi.client(pmi.officer)
    found = officer.submit("/attribute-certificates", {"q": "张"})
    assert found.status_code == 200
    assert "张三" in found.text
    assert found.headers["Cache-Control"] == "no-store"
    refused = officer.get("/attribute-certificates?holder=张三")
    assert refused.status_code == 303
    assert "holder" not in refused.headers["Location"]
    found = officer.submit("/attribute-certificates", {"q": first.serial}, follow_redirects=True)
    assert found.request.path.endswith(first.serial)


def test_search_by_everything(pmi, lab) -> None:
    held = pmi.grant(lab.READER_ROLE)
    pmi.parts.revocations.hold(held.serial, operator=pmi.officer)
    other = pmi.grant(lab.APPROVER_ROLE, holder=pmi.other)
    officer = pmi.client(pmi.officer)
    for query, expected in (
        ("status=held", {held.serial}),
        (f"role={lab.APPROVER_ROLE}", {other.serial}),
        ("authority=tax-office", {held.serial, other.serial}),
        ("expiring_days=400", {other.serial}),
        ("expiring_days=1", set()),
        ("kind=delegation", set()),
        (f"attribute=role&value={lab.READER_ROLE}", {held.serial}),
    ):
        page = officer.get(f"/attribute-certificates?{query}").text
        assert set(re.findall(r'attribute-certificates/([0-9a-f]{30,40})"', page)) == expected, query
    assert (
        "没有找到" in page or 'class="empty"' in officer.get("/attribute-certificates?kind=delegation").text
    )


def test_held_released_and_revoked_on_one_page(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    where = f"/attribute-certificates/{grant.serial}"
    officer = pmi.client(pmi.officer)
    assert officer.submit(f"{where}/hold").status_code == 303
    assert not pmi.decide("read").is_permitted
    page = officer.get(f"{where}?language=en").text
    assert "on hold" in page
    assert f"{where}/release" in page
    assert officer.submit(f"{where}/release").status_code == 303
    assert pmi.decide("read").is_permitted
    page = officer.get(f"{where}?language=en").text
    assert "released" in page
    assert officer.submit(f"{where}/revoke", {"reason": "keyCompromise"}).status_code == 303
    page = officer.get(f"{where}?language=en").text
    assert "key is compromised" in page
    assert f"{where}/hold" not in page
    assert f"{where}/revoke" not in page


def test_night_staff_takes_certificates_out_of_use_and_does_nothing_else(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    night = pmi.client(pmi.operator("night", "attribute.security"))
    where = f"/attribute-certificates/{grant.serial}"
    home = night.get("/?language=en").text
    assert "Attribute certificates" in home
    assert "/pmi/grants" not in home
    assert night.get("/grants").status_code == 403
    assert night.submit(f"{where}/hold").status_code == 303
    assert f"{where}/release" not in night.get(where).text
    assert night.submit(f"{where}/release").status_code == 403
    assert night.submit(f"{where}/renew").status_code == 403


def test_renewal_is_shown_and_then_issued(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    pmi.clock.advance(20 * lab.DAY)
    where = f"/attribute-certificates/{grant.serial}/renew"
    officer = pmi.client(pmi.officer)
    wrong = officer.submit(where, {"act": "check", "until": "2036-01-01"})
    assert (wrong.status_code, 'id="f-until-error"' in wrong.text) == (422, True)
    page = officer.submit(f"{where}?language=en", {"act": "check"})
    assert "Exactly this would be issued" in page.text
    assert pmi.parts.grants.page()[1] == 1
    assert officer.submit(where, {"act": "send"}).status_code == 303
    (newer, _older), total = pmi.parts.grants.page()
    assert total == 2
    assert newer.not_after > grant.not_after


def newer_of(pmi, lab):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    certificate = pmi.ca.issue("张三", key, not_after=lab.T + 1200 * lab.DAY)
    return pmi.holders.know(certificate, "uscc:91440300MA5DEM004J")


def test_a_certificate_follows_its_holder(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    where = f"/attribute-certificates/{grant.serial}/rebind"
    officer = pmi.client(pmi.officer)
    stranger = officer.submit(where, {"newer_pem": pem(pmi.other)})
    assert (stranger.status_code, 'id="f-newer_pem-error"' in stranger.text) == (422, True)
    newer = newer_of(pmi, lab)
    assert officer.submit(where, {"newer_pem": pem(newer)}).status_code == 303
    assert pmi.decide("read", holder=newer).is_permitted


def test_proposals_are_confirmed_as_shown(pmi, lab) -> None:
    pmi.grant(lab.READER_ROLE)
    newer = newer_of(pmi, lab)
    pmi.parts.holders.verify(newer.public_bytes(Encoding.DER), lab.T)
    pmi.parts.rebindings.propose(lab.T)
    officer = pmi.client(pmi.officer)
    assert "holders with a new certificate" in officer.get("/?language=en").text
    page = officer.get("/rebinding").text
    serial, sha256 = hidden(page, "serials"), hidden(page, "content_sha256")
    changed = officer.submit("/rebinding", {"serials": serial, "content_sha256": "0" * 64})
    assert changed.status_code == 409
    done = officer.submit("/rebinding", {"serials": serial, "content_sha256": sha256})
    assert done.status_code == 303
    assert pmi.decide("read", holder=newer).is_permitted
    assert 'class="empty"' in officer.get("/rebinding").text


def test_end_of_office_from_the_name_to_the_receipt(pmi, lab) -> None:
    """Choose the person, see everything, type how many end; then nothing is permitted any more."""
    reader = pmi.grant(lab.READER_ROLE)
    waiting = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    officer = pmi.client(pmi.officer)
    named = officer.submit("/offices/find", {"who_text": "张"})
    assert "张三" in named.text
    assert named.headers["Cache-Control"] == "no-store"
    who = {"who_kind": hidden(named.text, "who_kind"), "who": hidden(named.text, "who")}
    page = officer.submit("/offices/review", who).text
    assert reader.serial[-10:] in page
    assert waiting.id[:8] in page

    act = {**who, "content_sha256": hidden(page, "content_sha256"), "key": hidden(page, "key")}
    wrong = officer.submit("/offices/end", {**act, "count": "3"})
    assert (wrong.status_code, 'id="f-count-error"' in wrong.text) == (422, True)
    stale = officer.submit("/offices/end", {**act, "content_sha256": "0" * 64, "count": "2"})
    assert stale.status_code == 409
    assert pmi.decide("read").is_permitted
    done = officer.submit("/offices/end", {**act, "count": "2"})
    assert done.status_code == 303
    assert not pmi.decide("read").is_permitted
    receipt = pmi.client(pmi.auditor).get(done.headers["Location"].removeprefix("/pmi")).text
    assert reader.serial in receipt
    assert waiting.id in receipt
    assert 'class="empty"' in officer.submit("/offices/review", who).text


def test_end_of_office_at_a_later_time_can_be_withdrawn(pmi, lab) -> None:
    pmi.grant(lab.READER_ROLE)
    officer = pmi.client(pmi.officer)
    page = officer.submit("/offices/find", {"who_text": "91440300MA5DEM004J"}).text
    act = {name: hidden(page, name) for name in ("who_kind", "who", "content_sha256", "key")}
    wrong = officer.submit("/offices/end", {**act, "count": "1", "effective_at": "soon"})
    assert 'id="f-effective_at-error"' in wrong.text
    done = officer.submit("/offices/end", {**act, "count": "1", "effective_at": "2026-12-31T17:00"})
    path = done.headers["Location"].removeprefix("/pmi")
    assert "still to come" in officer.get(f"{path}?language=en").text
    assert officer.submit(f"{path}/withdraw").status_code == 303
    assert "withdrawn" in officer.get(f"{path}?language=en").text
    assert pmi.decide("read").is_permitted


def test_nobody_is_meant(pmi) -> None:
    officer = pmi.client(pmi.officer)
    for typed in ("", "无此人", "0" * 64, "uscc:none"):
        answer = officer.submit("/offices/find", {"who_text": typed})
        assert (answer.status_code, 'id="f-who_text-error"' in answer.text) == (422, True), typed


def test_auditors_read_and_end_nothing(pmi, lab) -> None:
    auditor = pmi.client(pmi.auditor)
    assert "/offices/find" not in auditor.get("/offices").text
    assert auditor.submit("/offices/find", {"who_text": "张"}).status_code == 403
    assert auditor.submit("/rebinding", {}).status_code == 403
