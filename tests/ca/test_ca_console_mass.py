"""Mass revocations from the console: prepared on pages, signed by PIN, confirmed by another person."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from ca_console import PIN, Tokens, audited, client_of, hidden, open_accounts
from ca_mass_revocations import People

from onecert.server.web.testing import FrameClient

EN = {"Accept-Language": "en"}
NEW = "/mass-revocations/new"


@pytest.fixture
def client(lite: Any, monkeypatch: pytest.MonkeyPatch) -> FrameClient:
    open_accounts(lite)
    Tokens(lite, monkeypatch, "li", "wang")
    return client_of(lite, "li")


def wish(lite: Any, **changes: str) -> dict[str, str]:
    serials = "\n".join(lite.issue().record.serial for _each in range(2))
    form = {"authority": "harbour", "kind": "serial", "lines": serials, "reason": "keyCompromise"}
    return form | {"why": "box of USB keys stolen"} | changes


def propose(client: FrameClient, form: dict[str, str], **changes: str) -> Any:
    page = client.submit(NEW, form | {"act": "preview"}, headers=EN)
    assert page.status_code == 200, page.text
    sent = {name: hidden(page.text, name) for name in ("number", "created_at", "seen")}
    return client.submit(NEW, form | sent | {"act": "propose", "pin": PIN} | changes, headers=EN)


def decide(client: FrameClient, place: str, act: str, **fields: str) -> Any:
    page = client.get(place, headers=EN).text
    names = ("proposal", "seen") if act == "confirm" and 'name="proposal"' in page else ()
    shown = {name: hidden(page, name) for name in names}
    return client.submit(f"{place}/{act}", {"pin": PIN} | shown | fields, headers=EN)


def proposed(client: FrameClient, lite: Any, **changes: str) -> str:
    answer = propose(client, wish(lite, **changes))
    assert answer.status_code == 303, answer.text
    return str(answer.location.removeprefix("/ca"))


def state(lite: Any) -> str:
    (made,) = lite.parts.mass_revocations.latest()
    return str(made.state)


def test_two_officers_from_selection_to_done(client: FrameClient, lite: Any) -> None:
    form = wish(lite)
    page = client.submit(NEW, form | {"act": "preview"}, headers=EN)
    assert "This would be frozen" in page.text
    assert lite.parts.mass_revocations.latest() == []

    place = str(propose(client, form).location.removeprefix("/ca"))
    assert "You proposed this. Another person must confirm it." in client.get(place, headers=EN).text
    second = client_of(lite, "wang")
    assert decide(second, place, "confirm").status_code == 303
    lite.parts.mass_revocation_work.run()
    assert "2 of 2 done, 2 changed" in second.get(place, headers=EN).text
    assert len(lite.serials_on_list()) == 2


def test_the_same_person_confirms_nothing(client: FrameClient, lite: Any) -> None:
    place = proposed(client, lite)
    with_hash = client_of(lite, "wang").get(place, headers=EN).text
    shown = {name: hidden(with_hash, name) for name in ("proposal", "seen")}
    answer = client.submit(f"{place}/confirm", shown | {"pin": PIN}, headers=EN)
    assert answer.status_code == 403
    assert "must be confirmed by another person" in answer.text
    assert state(lite) == "proposed"


def test_another_account_of_the_same_person_confirms_nothing(
    lite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.context.operators.config = type(lite.context.operators.config)(allow_same_person=True)
    open_accounts(lite)
    until = lite.clock.now() + timedelta(days=300)
    with lite.context.database.transaction() as connection:
        lite.context.operators.add(connection, "li2", "Li", ["ca.security"], "E12345671", until)
    Tokens(lite, monkeypatch, "li", "li2", "wang")
    place = proposed(client_of(lite, "li"), lite)
    twin = client_of(lite, "li2")
    assert "You proposed this" in twin.get(place, headers=EN).text
    shown = client_of(lite, "wang").get(place, headers=EN).text
    form = {name: hidden(shown, name) for name in ("proposal", "seen")} | {"pin": PIN}
    assert twin.submit(f"{place}/confirm", form).status_code == 403
    assert state(lite) == "proposed"


def test_sending_twice_proposes_and_confirms_once(client: FrameClient, lite: Any) -> None:
    form = wish(lite)
    page = client.submit(NEW, form | {"act": "preview"}, headers=EN).text
    sent = form | {name: hidden(page, name) for name in ("number", "created_at", "seen")}
    sent |= {"act": "propose", "pin": PIN}
    places = {client.submit(NEW, sent).location for _click in range(2)}
    assert len(places) == 1
    assert len(lite.parts.mass_revocations.latest()) == 1
    place, second = places.pop().removeprefix("/ca"), client_of(lite, "wang")
    shown = second.get(place).text
    form = {name: hidden(shown, name) for name in ("proposal", "seen")} | {"pin": PIN}
    assert [second.submit(f"{place}/confirm", form).status_code for _click in range(2)] == [303, 303]
    assert len(audited(lite, "mass-revocation.confirmed")) == 1


def test_a_wrong_pin_signs_nothing_and_loses_nothing(client: FrameClient, lite: Any) -> None:
    form = wish(lite)
    answer = propose(client, form, pin="000000")
    assert 400 <= answer.status_code < 500
    assert lite.parts.mass_revocations.latest() == []
    assert "000000" not in answer.text
    assert "box of USB keys stolen" in answer.text
    assert form["lines"].splitlines()[0] in answer.text
    place = proposed(client, lite)
    wrong = decide(client_of(lite, "wang"), place, "confirm", pin="000000")
    assert 400 <= wrong.status_code < 500
    assert state(lite) == "proposed"


def test_what_is_confirmed_is_what_was_shown(client: FrameClient, lite: Any) -> None:
    place = proposed(client, lite)
    answer = decide(client_of(lite, "wang"), place, "confirm", seen="0" * 64)
    assert answer.status_code == 409
    assert state(lite) == "proposed"


def test_stop_and_go_on(client: FrameClient, lite: Any) -> None:
    place, second = proposed(client, lite), client_of(lite, "wang")
    decide(second, place, "confirm")
    assert decide(client, place, "stop", why="wrong box").status_code == 303
    assert state(lite) == "stopped"
    lite.parts.mass_revocation_work.run()
    assert lite.serials_on_list() == set()
    # Without a reason nothing happens.
    assert 400 <= decide(second, place, "resume", why="").status_code < 500
    assert [decide(second, place, "resume", why="right box").status_code for _click in range(2)] == [303, 303]
    lite.parts.mass_revocation_work.run()
    assert state(lite) == "done"


def test_lines_that_name_nothing_are_named(client: FrameClient, lite: Any) -> None:
    form = wish(lite)
    form["lines"] += "\n<script>\n123456"
    page = client.submit(NEW, form | {"act": "preview"}, headers=EN)
    assert 400 <= page.status_code < 500
    assert "123456" in page.text
    assert re.search(r"<script>", page.text) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "rules"},
        {"lines": ""},
        {"authority": "harbour-root"},
        {"reason": "removeFromCRL"},
        {"why": ""},
        {"kind": "rules", "issued_from": "tomorrow"},
    ],
)
def test_what_makes_no_sense_freezes_nothing(changes: dict[str, str], client: FrameClient, lite: Any) -> None:
    page = client.submit(NEW, wish(lite, **changes) | {"act": "preview"}, headers=EN)
    assert 400 <= page.status_code < 500
    assert "Nothing was done" in page.text
    assert lite.parts.mass_revocations.latest() == []


def test_readers_and_officers_without_a_key(client: FrameClient, lite: Any) -> None:
    place = proposed(client, lite)
    reader = client_of(lite, "zhao")
    assert reader.get(place).status_code == 200
    assert reader.get(NEW).status_code == 403
    assert reader.submit(f"{place}/stop", {"pin": PIN, "why": "x"}).status_code == 403
    lite.parts.security_officers.remove("wang", actor="command:test")
    left = client_of(lite, "wang")
    assert "You have no key of an officer yet" in left.get(NEW, headers=EN).text
    assert 'name="pin"' not in left.get(place, headers=EN).text


def test_a_registration_authority_confirms_its_own(client: FrameClient, lite: Any) -> None:
    lite.issue()
    made = People(lite).propose(by="clerk1")
    place = f"/mass-revocations/{made.mass_revocation}"
    page = client.get(place, headers=EN).text
    assert "A registration authority proposed this" in page
    form = {"proposal": made.proposal_sha256, "seen": made.serials_sha256, "pin": PIN}
    assert client.submit(f"{place}/confirm", form).status_code == 403
