"""Hold, release, revoke from the console: what was shown is done, once; and watched until it counts."""

from __future__ import annotations

from typing import Any

import pytest
from ca_console import Away, answer_over_http, audited, client_of, hidden, open_accounts

from onecert.server.web.testing import FrameClient

EN = {"Accept-Language": "en"}


@pytest.fixture
def away(lite: Any, monkeypatch: pytest.MonkeyPatch) -> Away:
    open_accounts(lite)
    return answer_over_http(lite, monkeypatch)


@pytest.fixture
def client(lite: Any, away: Away) -> FrameClient:
    return client_of(lite, "li")


def show(client: FrameClient, serial: str, reason: str, **more: str) -> Any:
    path = f"/certificates/harbour/{serial}/change"
    return client.submit(path, {"reason": reason} | more, headers=EN)


def confirm(client: FrameClient, serial: str, page: str) -> Any:
    form = {name: hidden(page, name) for name in ("reason", "invalidity_date", "shown")}
    return client.submit(f"/certificates/harbour/{serial}/change/confirmed", form, headers=EN)


def status(world: Any, serial: str) -> tuple[str, str | None]:
    record = world.parts.ledger.certificate("harbour", serial)
    return record.status, record.reason


def test_revoke_and_watch_until_it_is_refused(client: FrameClient, lite: Any) -> None:
    serial = lite.issue().record.serial
    page = show(client, serial, "keyCompromise", invalidity_date="2026-11-20T08:00:00")
    assert page.status_code == 200
    assert "Revoke this certificate for good?" in page.text
    assert status(lite, serial) == ("good", None)

    done = confirm(client, serial, page.text)
    assert done.status_code == 303
    record = lite.parts.ledger.certificate("harbour", serial)
    assert (record.status, record.reason) == ("revoked", "keyCompromise")
    assert record.invalidity_date.isoformat() == "2026-11-20T00:00:00+00:00"

    watch = done.location.removeprefix("/ca")
    seen = client.get(watch, headers=EN)
    assert "Verifiers refuse it, by OCSP and by list." in seen.text
    assert 'http-equiv="refresh"' not in seen.text
    (entry,) = audited(lite, "status.seen")
    assert entry["ocsp_ms"] >= 0
    assert entry["crl_ms"] >= 0
    # What was measured stays; it is measured once.
    client.get(watch)
    assert len(audited(lite, "status.seen")) == 1


def test_a_second_click_and_a_second_tab_change_nothing(client: FrameClient, lite: Any) -> None:
    serial = lite.issue().record.serial
    first, second = (show(client, serial, "certificateHold").text for _tab in range(2))
    places = {confirm(client, serial, page).location for page in (first, first, second)}
    assert len(places) == 1
    assert len(audited(lite, "certificate.held")) == 1


def test_what_changed_meanwhile_is_not_done(client: FrameClient, lite: Any) -> None:
    serial = lite.issue().record.serial
    old = show(client, serial, "keyCompromise").text
    confirm(client, serial, show(client, serial, "certificateHold").text)
    refused = confirm(client, serial, old)
    assert refused.status_code == 409
    assert "What you saw has changed meanwhile" in refused.text
    assert status(lite, serial) == ("hold", "certificateHold")


def test_a_hold_is_released_and_made_again(client: FrameClient, lite: Any) -> None:
    serial = lite.issue().record.serial
    for _time in range(2):
        assert confirm(client, serial, show(client, serial, "certificateHold").text).status_code == 303
        assert status(lite, serial)[0] == "hold"
        done = confirm(client, serial, show(client, serial, "removeFromCRL").text)
        assert status(lite, serial) == ("good", None)
        assert "Verifiers accept it again" in client.get(done.location.removeprefix("/ca"), headers=EN).text


def test_nobody_can_be_asked(client: FrameClient, lite: Any, away: Away) -> None:
    """Not being able to ask is no "good": the page goes on asking, and nothing is put on record."""
    serial = lite.issue().record.serial
    away.is_away = True
    page = client.get(f"/certificates/harbour/{serial}", headers=EN).text
    assert "could not be asked or judged" in page
    assert "does not mean that it is good" in page
    done = confirm(client, serial, show(client, serial, "superseded").text)
    watched = client.get(done.location.removeprefix("/ca"), headers=EN).text
    assert 'http-equiv="refresh"' in watched
    assert audited(lite, "status.seen") == []


@pytest.mark.parametrize(
    "form",
    [
        {"reason": "removeFromCRL"},
        {"reason": "cACompromise"},
        {"reason": "<script>"},
        {"reason": ""},
        {"reason": "superseded", "invalidity_date": "yesterday"},
        {"reason": "superseded", "invalidity_date": "2027-01-01T00:00:00"},
        {"reason": "superseded", "invalidity_date": "٢٠٢٦-11-20T08:00"},
    ],
)
def test_what_makes_no_sense_comes_back_with_a_sentence(
    form: dict[str, str], client: FrameClient, lite: Any
) -> None:
    serial = lite.issue().record.serial
    page = client.submit(f"/certificates/harbour/{serial}/change", form, headers=EN)
    assert 400 <= page.status_code < 500
    assert "Nothing was done" in page.text
    assert "<script>" not in page.text
    assert status(lite, serial) == ("good", None)


def test_a_confirmation_counts_for_who_saw_it(client: FrameClient, lite: Any) -> None:
    serial, other = lite.issue().record.serial, lite.issue().record.serial
    page = show(client, serial, "superseded").text
    for who, target in (("wang", serial), ("li", other)):
        assert confirm(client_of(lite, who), target, page).status_code == 409
    assert status(lite, serial) == status(lite, other) == ("good", None)
    made = confirm(client, serial, page)
    # Somebody else who repeats it, and the number of the change under another certificate.
    assert confirm(client_of(lite, "wang"), serial, page).status_code == 409
    assert client.get(made.location.removeprefix("/ca").replace(serial, other)).status_code == 404


def test_readers_change_nothing(lite: Any, away: Away) -> None:
    serial = lite.issue().record.serial
    reader = client_of(lite, "zhao")
    assert reader.get(f"/certificates/harbour/{serial}/change").status_code == 403
    answer = reader.submit(f"/certificates/harbour/{serial}/change/confirmed", {"reason": "superseded"})
    assert answer.status_code == 403
    assert status(lite, serial) == ("good", None)


def test_a_form_of_another_site_is_refused(client: FrameClient, lite: Any) -> None:
    serial = lite.issue().record.serial
    path = f"/certificates/harbour/{serial}/change/confirmed"
    assert client.post(path, data={"reason": "superseded"}).status_code == 403
    assert status(lite, serial) == ("good", None)


def test_certificates_of_a_root_are_left_to_the_command(client: FrameClient, lite: Any) -> None:
    serial = lite.parts.authorities.get("harbour").serial
    path = f"/certificates/harbour-root/{serial}"
    assert "Revoke</a>" not in client.get(path, headers=EN).text
    page = client.submit(f"{path}/change", {"reason": "superseded"}, headers=EN)
    assert page.status_code == 422
    assert "onecert ca revoke" in page.text
