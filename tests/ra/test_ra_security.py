"""The security console: revoking on one page, several at once, and the clock until the world refuses."""

import re
from datetime import timedelta

import pytest
from ra_fakes import DAY, OTHER_USCC, T
from sqlalchemy import update

from onecert.ra.certificates.records import load_revocation
from onecert.ra.certificates.relying import Relying
from onecert.ra.certificates.tables import first_sightings
from onecert.ra.certificates.watching import ASKED_FOR, Watching
from onecert.ra.certificates.world import Sighting
from onecert.ra.models import certificates

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class FakeWorld:
    """Sources whose words a test sets; counts how often it is asked."""

    def __init__(self) -> None:
        self.says = {"ocsp": "good", "crl": "good"}
        self.asked = 0

    def look(self, _certificate_pem, _chain_pem, *, at, sources=("ocsp", "crl")):
        self.asked += 1
        return [
            Sighting(source=source, url="u", state=state)
            for source, state in self.says.items()
            if source in sources
        ]


class FakeRelying:
    """A verifier that says what a test sets."""

    is_configured = True
    says = "good"

    def look(self, _certificate_pem, *, at):
        return Sighting(source="verifier", url="u", state=self.says, detail="CERT_REVOKED")


def path_of(row) -> str:
    return f"/certificates/{row['authority']}/{row['serial_hex']}"


def shown(browser) -> dict[str, str]:
    """The hidden fields of the form that the page has."""
    found = re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', browser.page)
    return dict(found)


def revoked(ra) -> int:
    return sum(row["status"] == "revoked" for row in ra.rows(certificates))


@only_sqlite
def test_from_the_box_to_revoked_in_five_interactions(ra) -> None:
    """Type and Enter, Revoke, a reason, confirm: the page of the certificate in between opens by itself."""
    ra.issue()
    browser = ra.browser(ra.officer)
    browser.get("/search")
    browser.post("/search", {"q": "示例科技"})  # 1: typing, 2: Enter
    revoke = re.search(r'href="/ra(/certificates/[^"]+/revoke)"', browser.page)[1]
    browser.get(revoke)  # 3
    browser.post(revoke, {**shown(browser), "reason": "keyCompromise"})  # 4: reason, 5: confirm
    assert "Departments refuse it from now on" in browser.text
    assert revoked(ra) == 1


def test_all_of_a_holder_with_the_number_typed(ra) -> None:
    """Two of three are the holder's. Without the number nothing is done; then each is revoked once, and a
    double click is the same."""
    ra.issue()
    ra.issue(ra.entry(authority="harbour"))
    ra.issue(ra.entry(uscc=OTHER_USCC, organization_name="别家公司"))
    path = path_of(next(row for row in ra.rows(certificates) if row["authority"] == "harbour"))
    browser = ra.browser(ra.officer)
    browser.get(f"{path}/revoke")
    form = {**shown(browser), "reason": "cessationOfOperation", "what": "holder"}
    assert browser.post(f"{path}/revoke", form).status_code == 422
    assert "Type how many" in browser.text
    assert revoked(ra) == 0
    form["count"] = "2"
    for _click in range(2):
        assert browser.post(f"{path}/revoke", form).status_code == 200
    assert revoked(ra) == len(ra.ca.revocations) == 2


def test_what_changed_meanwhile_is_refused(ra) -> None:
    """The form was opened while it was valid; a colleague put it on hold. Must be refused."""
    ra.issue()
    row = ra.rows(certificates)[0]
    browser = ra.browser(ra.officer)
    browser.get(f"{path_of(row)}/revoke")
    form = {**shown(browser), "reason": "superseded"}
    held = ra.certificates.request_change(
        ra.officer, row["authority"], row["serial_hex"], reason="certificateHold", request_key="h"
    )
    ra.revoking.carry_out(held)
    assert browser.post(f"{path_of(row)}/revoke", form).status_code == 409
    assert revoked(ra) == 0


def test_all_on_one_token(ra) -> None:
    """Two firms' certificates on one token are listed under it, and held together."""
    ra.issue()
    ra.issue(ra.entry(uscc=OTHER_USCC, organization_name="别家公司"))
    with ra.database.transaction() as connection:
        connection.execute(update(certificates).values(token_number="TK-1"))
    path = path_of(ra.rows(certificates)[0])
    browser = ra.browser(ra.officer)
    browser.get(f"{path}/hold")
    browser.post(f"{path}/hold", {**shown(browser), "what": "token"})
    assert [row["status"] for row in ra.rows(certificates)] == ["hold", "hold"]


@only_sqlite
@pytest.mark.parametrize("reason", ["unspecified", "privilegeWithdrawn"])
def test_reasons_that_need_words(ra, reason) -> None:
    """They say too little by themselves."""
    ra.issue()
    path = path_of(ra.rows(certificates)[0])
    browser = ra.browser(ra.officer)
    browser.get(f"{path}/revoke")
    form = {**shown(browser), "reason": reason}
    assert browser.post(f"{path}/revoke", form).status_code == 422
    assert browser.post(f"{path}/revoke", {**form, "note": "court order 7"}).status_code == 200
    assert revoked(ra) == 1


def test_the_clock_runs_until_all_refuse_and_the_record_stays(ra) -> None:
    """OCSP refuses after 2 s, the verifier after 5, the list after 9: each first time is kept, and later the
    record is shown without asking."""
    ra.issue()
    row = ra.rows(certificates)[0]
    world, relying = FakeWorld(), FakeRelying()
    watching = Watching(database=ra.database, clock=ra.clock, world=world, relying=relying)
    number = ra.certificates.request_change(
        ra.officer, row["authority"], row["serial_hex"], reason="keyCompromise", request_key="w"
    )
    ra.revoking.carry_out(number)
    certificate = ra.service.reach.certificate(ra.officer, row["authority"], row["serial_hex"])

    def look(seconds: int):
        ra.clock.set(T + timedelta(seconds=seconds))
        with ra.database.reading() as connection:
            return watching.look(certificate, load_revocation(connection, number))

    assert look(1).first == {}
    world.says["ocsp"] = "revoked"
    assert set(look(2).first) == {"ocsp"}
    relying.says = "revoked"
    assert set(look(5).first) == {"ocsp", "verifier"}
    assert not look(6).is_over
    world.says["crl"] = "revoked"
    assert look(9).is_over
    asked = world.asked
    later = look(3600)
    assert {name: (first.at - T).seconds for name, first in later.first.items()} == {
        "ocsp": 2,
        "verifier": 5,
        "crl": 9,
    }
    assert (later.last - T).seconds == 9
    assert world.asked == asked
    assert len(ra.rows(first_sightings)) == 3


def test_nothing_is_asked_for_ever(ra) -> None:
    """A list that never has it: the page says what it waits for, and after hours it asks no more."""
    ra.issue()
    row = ra.rows(certificates)[0]
    number = ra.certificates.request_change(
        ra.officer, row["authority"], row["serial_hex"], reason="keyCompromise", request_key="w"
    )
    ra.revoking.carry_out(number)
    browser = ra.browser(ra.officer)
    browser.get(f"{path_of(row)}/watch/{number}?part=1")
    assert "not configured" in browser.page
    assert browser.get(f"{path_of(row)}/watch/nothing").status_code == 404
    world = FakeWorld()
    watching = Watching(database=ra.database, clock=ra.clock, world=world, relying=ra.service.relying)
    certificate = ra.service.reach.certificate(ra.officer, row["authority"], row["serial_hex"])
    with ra.database.reading() as connection:
        revocation = load_revocation(connection, number)
    assert not watching.look(certificate, revocation).is_over
    ra.clock.advance(ASKED_FOR + DAY)
    assert watching.look(certificate, revocation).is_over
    assert world.asked == 1


def test_the_verifier_is_asked_only_where_it_is_configured(tmp_path) -> None:
    """Without settings: neither yes nor no. With a root that is not there: could not, and no error."""
    nobody = Relying(None, None, folder=tmp_path)
    assert nobody.look("", at=T).state == "not-configured"
    assert nobody.accepted("", "", at=T) is None
    lost = Relying("http://127.0.0.1:9/list.json", tmp_path / "root.json", folder=tmp_path / "r")
    assert lost.look("", at=T).state == "could-not"


@only_sqlite
def test_the_certificate_page_says_who_and_what_followed(ra) -> None:
    """Life line with the operators, the renewal that follows, the world asked beside the page."""
    ra.issue()
    row = ra.rows(certificates)[0]
    browser = ra.browser(ra.officer)
    browser.get(path_of(row))
    assert "Wang" in browser.text
    assert "Li" in browser.text
    assert f"{path_of(row)}/world" in browser.page
    part = browser.get(f"{path_of(row)}/world")
    assert part.status_code == 200
    assert "known to the departments alone" in browser.page
