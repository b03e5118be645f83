"""Who sees what in the console: roles, masked people, views on record, and fields with hostile content."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ca_console import answer_over_http, audited, client_of, open_accounts

from onecert.ca.search.guess import guesses
from onecert.ca.search.terms import Found
from onecert.server.web.testing import FrameClient, foreign_scripts

EN = {"Accept-Language": "en"}
IDCARD = "440300190001010015"
READ = ("/certificates", "/mass-revocations", "/drills", "/batches")
ALL = ("/", "/authorities", "/authorities/harbour", "/checks")
ACT = ("/mass-revocations/new",)


@pytest.fixture
def world(lite: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    open_accounts(lite)
    answer_over_http(lite, monkeypatch)
    return lite


def citizen(world: Any) -> Any:
    subject = {"common_name": "周示例", "country": "CN"}
    return world.issue(profile="citizen", subject=subject, identity={"idcard": IDCARD}).record


@pytest.mark.parametrize(
    ("who", "seen", "refused"),
    [("li", READ + ALL + ACT, ()), ("zhao", READ + ALL, ACT), ("qian", ALL, READ + ACT)],
)
def test_roles(who: str, seen: tuple[str, ...], refused: tuple[str, ...], world: Any) -> None:
    client = client_of(world, who)
    assert {path: client.get(path).status_code for path in seen} == dict.fromkeys(seen, 200)
    assert {path: client.get(path).status_code for path in refused} == dict.fromkeys(refused, 403)


def test_nobody_sees_anything_without_signing_in(world: Any) -> None:
    stranger = FrameClient(world.service.app, world.context)
    for path in READ + ALL + ACT:
        answer = stranger.get(path)
        assert answer.status_code in {302, 303, 401}
        assert "海港" not in answer.text


def test_people_are_masked_for_whom_it_is_no_need(world: Any) -> None:
    record = citizen(world)
    path = f"/certificates/harbour/{record.serial}"
    for who, full in (("li", True), ("zhao", False)):
        client = client_of(world, who)
        for page in (client.get("/certificates", query_string={"q": "周示例"}), client.get(path)):
            assert page.status_code == 200
            assert (IDCARD in page.text) is full
            # What was typed into the search stands in its field.
            assert ("周示例" in page.text.replace('value="周示例"', "").replace("q=", "")) is full
            assert ("周**" in page.text) is not full
        assert client.get(f"{path}/certificate.pem").status_code == (200 if full else 403)
        assert "BEGIN CERTIFICATE" in client.get(f"{path}/chain.pem").text


def test_rest_shows_a_reader_what_the_pages_show(world: Any) -> None:
    """The CA's security staff see whose it is; whoever runs the machine sees that there is one."""
    record = citizen(world)
    for who, full in (("li", True), ("zhao", False)):
        client = client_of(world, who)
        page = client.get("/v1/certificates", query_string={"identity": IDCARD})
        life = client.get(f"/v1/certificates/harbour/{record.serial}/history")
        for answer in (page, life):
            assert answer.status_code == 200
            text = json.dumps(answer.json, ensure_ascii=False)
            assert (IDCARD in text, "周示例" in text) == (full, full)
        assert (life.json["certificate_pem"] is not None) is full
        assert life.json["certificate"]["serial"] == record.serial
    assert client_of(world, "qian").get("/v1/certificates").status_code == 403
    views = audited(world, "certificate.history-read")
    seen = [(view["actor"], view["masked"]) for view in views]
    assert seen == [("operator:li", False), ("operator:zhao", True)]


def test_every_view_is_on_record(world: Any) -> None:
    record = citizen(world)
    client = client_of(world, "zhao")
    client.get("/certificates", query_string={"q": IDCARD})
    client.get(f"/certificates/harbour/{record.serial}")
    (search,) = audited(world, "certificates.searched")
    (view,) = audited(world, "certificate.history-read")
    assert (search["actor"], search["found"]) == ("operator:zhao", 1)
    assert "identity" in search["fields"]
    assert IDCARD not in str(search)
    assert (view["subject"], view["masked"]) == (f"harbour/{record.serial}", True)


def test_the_page_says_how_often_it_was_looked_at(world: Any) -> None:
    path = f"/certificates/harbour/{citizen(world).serial}"
    first, second = client_of(world, "zhao"), client_of(world, "li")
    assert "Looked at" not in first.get(path, headers=EN).text
    first.get(path)
    assert re.search(
        r"Looked at 2 times, last .*2026.* by operator:zhao\.", second.get(path, headers=EN).text
    )
    assert re.search(r"共被查看 3 次，最近一次：.*，operator:li。", second.get(path).text)


def test_one_field_finds_by_everything(world: Any) -> None:
    record = world.issue().record
    client = client_of(world, "li")
    world.parts.search_index.step()
    found = Found(record=record, ordered_by="ra:ra")
    typed = [
        record.serial,
        record.serial.upper(),
        " ".join(record.serial[at : at + 2] for at in range(0, len(record.serial), 2)),
        record.serial[:8],
        record.order_id,
        found.sha256,
        ":".join(found.sha1[at : at + 2] for at in range(0, 40, 2)),
        record.key_sha256,
        "91440300MA5DEM004J",
        "91440300ma5dem004j",
        "虚构贸易",
    ]
    for text in typed:
        page = client.get("/certificates", query_string={"q": text}, headers=EN)
        assert page.status_code == 200
        assert f"/certificates/harbour/{record.serial}" in page.text, text


def test_filters_and_pages(world: Any) -> None:
    serials = {world.issue().record.serial for _each in range(27)}
    client, seen = client_of(world, "li"), set()
    place: str | None = "/certificates?authority=harbour&status=good&profile=organisation"
    while place is not None:
        page = client.get(place).text
        seen |= {serial for serial in serials if f"/certificates/harbour/{serial}" in page}
        _before, found, rest = page.partition('small" href="/ca/certificates?after=')
        place = "/certificates?after=" + rest.partition('"')[0].replace("&amp;", "&") if found else None
    assert seen == serials
    none = client.get("/certificates?q=&status=revoked", headers=EN)
    assert "No certificate fits." in none.text


@pytest.mark.parametrize(
    "query",
    [
        {"q": "<script>alert(1)</script>"},
        {"q": "' OR 1=1 --"},
        {"q": "\u202eabc"},
        {"q": "\x00\x01"},
        {"q": "x" * 5000},
        {"q": "😀😀"},
        {"q": "%%__"},
        {"q": "𠮷𠮷"},
        {"q": "a"},
        {"q": "深圳", "authority": "<b>"},
        {"q": "深圳", "status": "gone"},
        {"q": "深圳", "issued_from": "2026-99-99"},
        {"q": "深圳", "issued_from": "2026-11-20T00"},
        {"q": "深圳", "after": "!!!"},
        {"q": "深圳", "by": "document", "after": "e30"},
    ],
)
def test_hostile_searches_are_answered_with_a_page(query: dict[str, str], world: Any) -> None:
    world.issue()
    page = client_of(world, "li").get("/certificates", query_string=query)
    assert page.status_code in {200, 422}
    assert not foreign_scripts(page.text)
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/certificates/nobody/12",
        "/certificates/harbour/zz",
        "/certificates/harbour/" + "9" * 400,
        "/certificates/harbour/12/certificate.pem",
        "/authorities/nobody",
        "/authorities/harbour/retired.json",
        "/authorities/harbour/anything.json",
        "/batches/nothing",
        "/drills/nothing",
        "/mass-revocations/nothing",
    ],
)
def test_what_is_not_there(path: str, world: Any) -> None:
    assert client_of(world, "li").get(path).status_code == 404


def test_signed_records_and_chains(world: Any) -> None:
    client = client_of(world, "qian")
    assert b"signatures" in client.get("/authorities/harbour/ceremony.json").data
    assert client.get("/authorities/harbour/chain.pem").text.count("BEGIN CERTIFICATE") == 2


def test_guesses_are_few_and_sharp_ones_come_first() -> None:
    assert guesses("clerk@city.example")[0] == {"alternative_name": "clerk@city.example"}
    assert guesses("91440300MA5DEM004J")[0] == {"identity": "91440300MA5DEM004J"}
    assert guesses("") == guesses(" ") == guesses("\x00") == []
    for text in ("0", "00:00", "深", "ab" * 32, "x" * 200, "a b", "....", "@", "-" * 40):
        assert len(guesses(text)) <= 6
