"""The registration authority's client and the CA understand each other: renewals, searches, deliveries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from ca_ceremonies import hold, rekeyed_file

from onecert.ra.ca.client import CaClient
from onecert.ra.ca.errors import CaAnswerError, CaRefusedError
from onecert.ra.ca.questions import (
    DELIVERY_TYP,
    HISTORY_TYP,
    SEARCH_TYP,
    delivery_payload,
    following,
    history_payload,
    search_payload,
)
from onecert.ra.orders.documents import ORDER_TYP, sign_order


@pytest.fixture
def client(lite: Any) -> CaClient:
    http = httpx.Client(base_url="http://ca/", transport=httpx.WSGITransport(app=lite.service.app))
    return CaClient(http, timeout_s=5)


def test_renewed_delivered_found_and_told(lite: Any, client: CaClient) -> None:
    at = lite.clock.now()
    old = lite.issue().record
    payload = following(
        lite.order_payload(),
        kind="renew",
        authority="harbour",
        serial_hex=old.serial,
        reason="superseded",
        when="delivered",
        early="the holder asked for it",
    )
    issued = client.post_order(payload["order"], sign_order(payload, typ=ORDER_TYP, key=lite.ra_key))
    told = delivery_payload(
        registration_authority="ra", delivered_by=["clerk3"], at=at, order=payload["order"]
    )
    document = sign_order(told, typ=DELIVERY_TYP, key=lite.ra_key)
    assert client.post_delivery(payload["order"], document) == "done"

    where = {"identity": "91440300MA5DEM004J"}
    asked = {"registration_authority": "ra", "asked_by": ["clerk1"], "at": at}
    serials: list[str] = []
    after = None
    while True:
        question = search_payload(where, limit=1, after=after, **asked)
        page = client.search(sign_order(question, typ=SEARCH_TYP, key=lite.ra_key))
        serials += [str(each["serial"]) for each in page.certificates]
        after = page.next
        if after is None:
            break
    assert sorted(serials) == sorted([old.serial, issued.serial_hex])

    question = history_payload(authority="harbour", serial_hex=old.serial, **asked)
    life = client.history(sign_order(question, typ=HISTORY_TYP, key=lite.ra_key))
    assert life["followed_by"][0]["serial"] == issued.serial_hex
    assert life["certificate"]["status"] == "revoked"


def test_a_roll_over_changes_nothing_for_the_registration_authority(lite: Any, client: CaClient) -> None:
    """Orders by the same name before and after the moment; both are renewed and found by that name."""
    hold(lite, rekeyed_file(orders_from="2026-12-01T00:00:00+08:00"))

    def place(**more: Any) -> Any:
        payload = lite.order_payload(**more)
        return client.post_order(payload["order"], sign_order(payload, typ=ORDER_TYP, key=lite.ra_key))

    before = place()
    lite.clock.advance(timedelta(days=11))
    after = place()
    issuers = [lite.parts.ledger.find_order(each.order).authority for each in (before, after)]
    assert issuers == ["harbour", "harbour-b"]
    listed: Any = client.authorities()["authorities"]
    offered = next(each for each in listed if each["name"] == "harbour")
    assert (offered["filled_by"], len(offered["profiles"])) == ("harbour-b", 2)
    for old in (before, after):
        payload = following(
            lite.order_payload(),
            kind="renew",
            authority="harbour",
            serial_hex=old.serial_hex,
            reason="superseded",
            when="issued",
            early="the holder asked for it",
        )
        client.post_order(payload["order"], sign_order(payload, typ=ORDER_TYP, key=lite.ra_key))
    question = search_payload(
        {"status": "revoked"}, registration_authority="ra", asked_by=["clerk1"], at=lite.clock.now()
    )
    page = client.search(sign_order(question, typ=SEARCH_TYP, key=lite.ra_key))
    assert {each["serial"] for each in page.certificates} == {before.serial_hex, after.serial_hex}


def test_the_name_of_the_line_finds_what_any_of_its_authorities_issued(lite: Any, client: CaClient) -> None:
    """Searches and histories by the name that orders have; the name of a later authority finds its own."""
    hold(lite, rekeyed_file(orders_from="2026-12-01T00:00:00+08:00"))
    serials = [lite.issue().record.serial]
    lite.clock.advance(timedelta(days=11))
    lite.parts.authorities.reload()
    serials += [lite.issue().record.serial, lite.issue().record.serial]
    asked: Any = {"registration_authority": "ra", "asked_by": ["clerk1"], "at": lite.clock.now()}

    def found(authority: str) -> list[str]:
        named, after = [], None
        while True:
            where = {"authority": authority, "profile": "organisation"}
            question = search_payload(where, limit=2, after=after, **asked)
            page = client.search(sign_order(question, typ=SEARCH_TYP, key=lite.ra_key))
            named += [str(each["serial"]) for each in page.certificates]
            after = page.next
            if after is None:
                return sorted(named)

    assert found("harbour") == sorted(serials)
    assert found("harbour-b") == sorted(serials[1:])
    for serial, issuer in zip(serials, ("harbour", "harbour-b", "harbour-b"), strict=True):
        question = history_payload(authority="harbour", serial_hex=serial, **asked)
        life = client.history(sign_order(question, typ=HISTORY_TYP, key=lite.ra_key))
        assert life["certificate"]["authority"] == issuer


def test_refusals_keep_their_code(lite: Any, client: CaClient) -> None:
    at = lite.clock.now()
    question = search_payload({"name": "王"}, registration_authority="ra", asked_by=["clerk1"], at=at)
    with pytest.raises(CaRefusedError) as caught:
        client.search(sign_order(question, typ=SEARCH_TYP, key=lite.ra_key))
    assert caught.value.ca_code == "SEARCH_FIELD"


@pytest.mark.parametrize(
    "body", [{}, {"certificates": 5}, {"certificates": [1]}, {"certificates": [], "next": 1}]
)
def test_what_is_no_answer_is_none(body: dict[str, Any]) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=body))
    client = CaClient(httpx.Client(base_url="http://ca/", transport=transport), timeout_s=5)
    with pytest.raises(CaAnswerError):
        client.search(b"{}")
    with pytest.raises(CaAnswerError):
        client.history(b"{}")
    with pytest.raises(CaAnswerError):
        client.post_delivery("order", b"{}")
