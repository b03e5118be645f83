"""Lists as they are served: headers for caches, and what the API says about where each list stands."""

from __future__ import annotations

from typing import Any

import pytest
from ca_lists import HOUR, list_der, load, number_of, revoke, with_lists
from werkzeug.test import Client

from onecert.ca.errors import CrlNumberWentBackError


@pytest.fixture
def status(lite: Any) -> Client:
    with_lists(lite, partitions=2, delta_hours=2)
    lite.parts.publisher.publish_all("harbour")
    return Client(lite.service.status)


@pytest.mark.parametrize("name", ["harbour", "harbour-2", "harbour-delta", "harbour-2-delta"])
def test_every_list_is_served_with_its_end(lite: Any, status: Client, name: str) -> None:
    answer = status.get(f"/{name}.crl")
    assert answer.status_code == 200
    assert answer.data == list_der(lite, name)
    assert answer.content_type == "application/pkix-crl"
    assert answer.headers["Cache-Control"] == "public, max-age=60, must-revalidate"
    assert answer.expires == load(lite, name).next_update_utc


def test_no_cache_keeps_a_list_beyond_its_end(lite: Any, status: Client) -> None:
    lite.clock.advance(load(lite, "harbour-delta").next_update_utc - lite.clock.now() - HOUR / 120)
    assert "max-age=30," in status.get("/harbour-delta.crl").headers["Cache-Control"]
    assert "max-age=60," in status.get("/harbour.crl").headers["Cache-Control"]
    lite.clock.advance(HOUR)
    assert "max-age=0," in status.get("/harbour-delta.crl").headers["Cache-Control"]


def test_who_has_the_list_is_not_sent_it_again(lite: Any, status: Client) -> None:
    first = status.get("/harbour-1.crl")
    tag, time = first.headers["ETag"], first.headers["Last-Modified"]
    for has in ({"If-None-Match": f'"x", {tag}'}, {"If-Modified-Since": time}):
        again = status.get("/harbour-1.crl", headers=has)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == tag
    for lacks in (
        {"If-None-Match": '"x"', "If-Modified-Since": time},
        {"If-Modified-Since": "Fri, 21 Nov 2025 09:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
    ):
        assert status.get("/harbour-1.crl", headers=lacks).status_code == 200


def test_lists_that_are_not_made_are_not_found(status: Client) -> None:
    for name in ("harbour-3", "harbour-0", "harbour-3-delta", "harbour-root-delta"):
        assert status.get(f"/{name}.crl").status_code == 404


def test_api_says_where_each_list_stands(lite: Any, status: Client) -> None:
    (serial,) = [lite.issue().record.serial]
    revoke(lite, serial)
    answer = lite.service.app.test_client().get("/v1/lists").json["lists"]
    found = {(each["authority"], each["partition"]): each for each in answer}
    assert sorted(found) == [("harbour", 0), ("harbour", 1), ("harbour", 2), ("harbour-root", 0)]

    full = found["harbour", 0]
    assert full["number"] == full["published_number"] == number_of(load(lite))
    assert full["entries"] == 1
    assert full["url"] == "http://127.0.0.1:8080/ca/harbour.crl"
    assert full["due_at"] == (lite.clock.now() + HOUR / 2).isoformat()
    assert full["overdue_at"] == (lite.clock.now() + HOUR).isoformat()
    assert full["delta"]["url"] == "http://127.0.0.1:8080/ca/harbour-delta.crl"
    assert full["delta"]["base_number"] < full["number"] == full["delta"]["published_number"]
    assert found["harbour-root", 0]["delta"] is None
    assert sum(found["harbour", partition]["entries"] for partition in (1, 2)) == 1


def test_lost_number_beside_the_list_opens_no_way_back(lite: Any) -> None:
    """The small file is gone: the list itself still says its number."""
    old = list_der(lite)
    lite.parts.publisher.publish("harbour")
    newest = list_der(lite)
    (lite.parts.files.folder / "harbour.crl-number").unlink()
    assert lite.parts.files.crl_number("harbour") == 2
    assert not lite.parts.files.write_crl("harbour", 1, old)
    assert list_der(lite) == newest


def test_number_that_went_back_is_an_alarm(lite: Any) -> None:
    (lite.parts.files.folder / "harbour.crl-number").write_text("7\n")
    with pytest.raises(CrlNumberWentBackError) as caught:
        lite.parts.publisher.check(lite.parts.authorities.get("harbour"), lite.clock.now())
    assert (caught.value.facts["published"], caught.value.facts["on_record"]) == (7, 1)
