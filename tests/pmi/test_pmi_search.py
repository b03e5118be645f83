"""Search and REST: every way to look, page by page along an index; what programs do with what they find."""

from __future__ import annotations

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import event

from onecert.pmi.errors import CertificateUnknownError, RequestWrongError
from onecert.pmi.repository import search as module
from onecert.pmi.repository.search import Search, attribute_text, load_certificates, search_certificates

pytestmark = pytest.mark.token

BUREAU = "uscc:91440300MA5DEM004J"


@pytest.fixture
def stocked(pmi_on_both, lab):
    """Five certificates: three of one holder (valid, held, revoked), two of a firm."""
    pmi = pmi_on_both
    pmi.serials = []
    for _ in range(3):
        pmi.serials.append(pmi.grant(lab.READER_ROLE, holder=pmi.holder).serial)
        pmi.clock.advance(lab.DAY / 24)
    pmi.firm = pmi.holders.know(pmi.ca.holder("深圳市示例有限公司"), "uscc:91440300MA5DEM0X11")
    pmi.serials.append(pmi.grant(lab.APPROVER_ROLE, holder=pmi.firm).serial)
    pmi.clock.advance(lab.DAY / 24)
    pmi.serials.append(pmi.grant(lab.READER_ROLE, holder=pmi.firm, not_after=lab.T + 2 * lab.DAY).serial)
    pmi.parts.revocations.hold(pmi.serials[1], operator=pmi.officer)
    pmi.parts.revocations.revoke(pmi.serials[2], reason="superseded", operator=pmi.officer)
    return pmi


def found(pmi, at=None, **search) -> list[int]:
    """What is found over all pages of two, as numbers of the stock, 0 to 4."""
    serials: list[str] = []
    after = ""
    for _ in range(10):
        with pmi.database.reading() as connection:
            page = search_certificates(
                connection, Search(**search, after=after, per_page=2), at or pmi.clock.now()
            )
        serials += [record.serial for record in page.records]
        if page.next is None:
            return [pmi.serials.index(serial) for serial in serials]
        after = page.next
    raise AssertionError("no end")


def test_every_way_to_look(stocked, lab) -> None:
    pmi = stocked
    sha256 = hashlib.sha256(pmi.firm.public_bytes(Encoding.DER)).hexdigest()
    assert found(pmi) == [4, 3, 2, 1, 0]
    assert found(pmi, authority="tax-office") == [4, 3, 2, 1, 0]
    assert found(pmi, authority="police") == []
    assert found(pmi, kind="delegation") == []
    assert found(pmi, status="valid") == [4, 3, 0]
    assert found(pmi, status="held") == [1]
    assert found(pmi, status="revoked", authority="tax-office") == [2]
    assert found(pmi, status="abandoned") == []
    assert found(pmi, status="expired") == []
    assert found(pmi, status="expired", at=lab.T + 3 * lab.DAY) == [4]
    assert found(pmi, expiring_days=7) == [4]
    assert found(pmi, expiring_days=7, authority="police") == []
    assert found(pmi, holder=BUREAU) == [2, 1, 0]
    assert found(pmi, holder=BUREAU, status="held") == [1]
    assert found(pmi, holder=sha256.upper()) == [4, 3]
    assert found(pmi, holder=pmi.serials[3]) == [3]
    for part in ("示例", "有限公司", "深圳市示例有限公司", "公司"):
        assert found(pmi, holder=part) == [4, 3]
    assert found(pmi, holder="张三", role=lab.READER_ROLE) == [2, 1, 0]
    assert found(pmi, holder="示例%") == []
    assert sorted(found(pmi, role=lab.READER_ROLE)) == [0, 1, 2, 4]
    assert found(pmi, attribute="role", value=lab.APPROVER_ROLE) == [3]
    assert sorted(found(pmi, role=lab.READER_ROLE, status="valid")) == [0, 4]


def test_a_page_looks_at_no_more_than_its_bound(stocked, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fits among many: the page says that it was cut, and the next goes on; in the end all is found."""
    pmi = stocked
    monkeypatch.setattr(module, "LOOKED_AT", 2)
    with pmi.database.reading() as connection:
        first = search_certificates(connection, Search(holder=BUREAU, status="valid"), pmi.clock.now())
    assert (first.records, first.is_cut) == ([], True)
    assert found(pmi, holder=BUREAU, status="valid") == [0]


def test_no_search_reads_a_table_from_end_to_end(stocked, lab) -> None:
    pmi = stocked
    if pmi.database.dialect != "sqlite":
        return  # PostgreSQL reads small tables from end to end, rightly
    plans: list[str] = []
    with pmi.database.reading() as connection:

        def note(_conn, cursor, statement, parameters, *_rest) -> None:
            if statement.lstrip().startswith("SELECT"):
                cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
                plans.extend(f"{row[3]}  {statement[:80]}" for row in cursor.fetchall())

        for search in (
            Search(),
            Search(authority="tax-office", status="held"),
            Search(status="revoked"),
            Search(status="expired"),
            Search(expiring_days=30, authority="tax-office"),
            Search(role=lab.READER_ROLE, status="valid"),
            Search(holder="示例"),
            Search(holder=BUREAU, kind="grant"),
        ):
            event.listen(connection, "before_cursor_execute", note)
            search_certificates(connection, search, pmi.clock.now())
            event.remove(connection, "before_cursor_execute", note)
    tables = ("pmi_certificates", "pmi_grants", "pmi_certificate_attributes", "pmi_holder_names")
    scans = [plan for plan in plans if plan.startswith(tuple(f"SCAN {name}" for name in tables))]
    assert [plan for plan in scans if "USING" not in plan] == []
    # In the order of time only what asks for nothing else is read.
    by_time = [plan for plan in plans if "pmi_certificates_by_time" in plan]
    assert len(by_time) == 1


def test_what_is_wrong_with_a_search(stocked) -> None:
    with stocked.database.reading() as connection:
        for after in ("x", "W10", "WzFd"):
            with pytest.raises(RequestWrongError):
                search_certificates(connection, Search(after=after), stocked.clock.now())
        with pytest.raises(CertificateUnknownError):
            load_certificates(connection, [stocked.serials[0], "4a"])
    assert attribute_text({"b": 1, "a": ["x"]}) == '{"a":["x"],"b":1}'
    assert attribute_text("x" * 600).startswith("sha256:")


# --- REST ---


def test_rest_of_search_and_acts(pmi, lab) -> None:
    client = pmi.client(pmi.officer)
    first, second = (pmi.grant(lab.READER_ROLE).serial for _ in range(2))
    page = client.get("/v1/attribute-certificates?per_page=1").json
    assert len(page["certificates"]) == 1
    rest = client.get(f"/v1/attribute-certificates?per_page=1&after={page['next']}").json
    assert {page["certificates"][0]["serial"], rest["certificates"][0]["serial"]} == {first, second}
    assert rest["next"] is None
    for query in ("kind=x", "status=x", "expiring_days=0", "after=x"):
        assert client.get(f"/v1/attribute-certificates?{query}").status_code == 422
    base = f"/v1/attribute-certificates/{first}"
    held = client.post(f"{base}/hold", json={})
    assert (held.json["status"], held.json["acrl_number"]) == ("held", 2)
    assert client.post(f"{base}/release", json={}).json["status"] == "valid"
    body = {"act": "revoke", "serials": [first, second], "reason": "superseded"}
    shown = client.post("/v1/attribute-certificates/acts", json=body).json
    assert [row["status"] for row in shown["certificates"]] == ["valid", "valid"]
    body["content_sha256"] = shown["content_sha256"]
    done = client.post("/v1/attribute-certificates/acts", json=body).json
    assert sorted(done["changed"]) == sorted([first, second])
    renewed = client.post("/v1/attribute-certificates/renew", json={"serials": [first]}).json["renewals"]
    assert (renewed[0]["grant"], renewed[0]["error"]["code"]) == (None, "CERTIFICATE_STATE")


def test_rest_of_an_end_of_office(pmi, lab) -> None:
    client = pmi.client(pmi.operator("night", "attribute.security"))
    serial = pmi.grant(lab.APPROVER_ROLE).serial
    who = {"certificate": pmi.holder.public_bytes(Encoding.PEM).decode()}
    leaving = client.post("/v1/holders/leaving", json=who).json
    assert [row["serial"] for row in leaving["certificates"]] == [serial]
    wrong = client.post("/v1/departures", json={**who, "content_sha256": "0" * 64})
    assert (wrong.status_code, json.loads(wrong.data)["code"]) == (409, "SELECTION_CHANGED")
    body = {**who, "content_sha256": leaving["content_sha256"]}
    done = client.post("/v1/departures", json=body)
    assert (done.status_code, done.json["state"]) == (201, "done")
    assert client.post("/v1/departures", json=body).json == done.json
    assert client.get(f"/v1/departures/{done.json['id']}").json == done.json
    assert client.get("/v1/departures?state=done").json["departures"] == [done.json]
    late = client.post(f"/v1/departures/{done.json['id']}/withdraw", json={})
    assert late.status_code == 409
    assert pmi.decide().decision == "deny"


def test_rest_of_rebindings(pmi, lab) -> None:
    client = pmi.client(pmi.officer)
    serial = pmi.grant(lab.READER_ROLE).serial
    newer = pmi.ca.issue("张三", pmi.other.public_key(), not_after=lab.T + 1100 * lab.DAY)
    pmi.holders.know(newer, BUREAU)
    pmi.parts.holders.verify(newer.public_bytes(Encoding.DER), pmi.clock.now())
    pmi.parts.rebindings.propose(pmi.clock.now())
    shown = client.get("/v1/rebindings").json
    assert [row["certificate"]["serial"] for row in shown["rebindings"]] == [serial]
    body = {"serials": [serial], "content_sha256": shown["content_sha256"]}
    done = client.post("/v1/rebindings", json=body).json["rebindings"]
    assert done[0]["grant"]["state"] == "issued"
    pem = newer.public_bytes(Encoding.PEM).decode()
    again = client.post(f"/v1/attribute-certificates/{serial}/rebind", json={"holder_pem": pem})
    assert again.json["id"] == done[0]["grant"]["id"]
