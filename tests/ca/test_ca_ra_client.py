"""The registration authority's client and the CA understand each other: renewals, searches, deliveries."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from onecert.ra.ca_client import CaClient
from onecert.ra.ca_errors import CaAnswerError, CaRefusedError
from onecert.ra.ca_questions import (
    DELIVERY_TYP,
    HISTORY_TYP,
    SEARCH_TYP,
    delivery_payload,
    following,
    history_payload,
    search_payload,
)
from onecert.ra.orders import ORDER_TYP, sign_order


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
