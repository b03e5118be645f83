"""End of office: everything a leaving official holds, over all authorities, by one confirmed act."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.pmi.errors import GrantStateError, RequestWrongError
from onecert.pmi.life.errors import (
    DepartureStateError,
    DepartureUnknownError,
    HolderUnknownError,
    SelectionChangedError,
)
from onecert.pmi.life.offices import Who
from onecert.server.operators import RoleRequiredError

pytestmark = pytest.mark.token

BUREAU = "uscc:91440300MA5DEM004J"
ZHANG = "person:zhang"


@pytest.fixture
def official(pmi):
    """An official of a bureau with two certificates, a colleague there, and themselves in another bureau."""
    holders = pmi.holders
    pmi.first = holders.know(pmi.ca.holder("张三"), BUREAU, ZHANG)
    pmi.second = holders.know(pmi.ca.holder("张三"), BUREAU, ZHANG)
    pmi.colleague = holders.know(pmi.ca.holder("王五"), BUREAU, "person:wang")
    pmi.elsewhere = holders.know(pmi.ca.holder("张三"), "uscc:91440300MA5DEM0A63", ZHANG)
    return pmi


def who(certificate) -> Who:
    return Who.read(certificate=certificate.public_bytes(Encoding.PEM))


def leave(pmi, named: Who, **changes):
    shown = pmi.parts.offices.leaving(named)
    values = {"content_sha256": shown.sha256, **changes}
    return pmi.parts.offices.leave(named, pmi.officer, **values)


def states(pmi, *serials: str) -> list[str]:
    client = pmi.client(pmi.auditor)
    return [client.get(f"/v1/attribute-certificates/{serial}").json["status"] for serial in serials]


def test_everything_of_one_official_and_nothing_of_others(official, lab) -> None:
    """Two certificates of one person in one bureau: both end, even on hold; a waiting grant is refused."""
    pmi = official
    mine = [pmi.grant(lab.READER_ROLE, holder=each).serial for each in (pmi.first, pmi.second)]
    mine.append(pmi.grant(lab.APPROVER_ROLE, holder=pmi.second).serial)
    pmi.parts.revocations.hold(mine[0], operator=pmi.officer)
    others = [pmi.grant(lab.READER_ROLE, holder=each).serial for each in (pmi.colleague, pmi.elsewhere)]
    waiting = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE, holder=pmi.first), pmi.officer)
    theirs = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE, holder=pmi.colleague), pmi.officer)
    assert pmi.decide(holder=pmi.second).decision == "permit"

    leaving = pmi.parts.offices.leaving(who(pmi.first))
    assert [record.serial for record in leaving.records] == sorted(mine)
    assert [grant.id for grant in leaving.waiting] == [waiting.id]
    assert leaving.name == "张三"
    departure = leave(pmi, who(pmi.first))

    assert departure.state == "done"
    assert sorted(row["serial"] for row in departure.receipt["revoked"]) == sorted(mine)
    assert [row["grant"] for row in departure.receipt["refused"]] == [waiting.id]
    assert states(pmi, *mine, *others) == ["revoked"] * 3 + ["valid"] * 2
    assert pmi.decide(holder=pmi.second).decision == "deny"
    refused = pmi.parts.grants.load(waiting.id)
    assert (refused.state, refused.refused_by) == ("refused", "officer")
    with pytest.raises(GrantStateError):
        pmi.parts.grants.approve(waiting.id, pmi.approver, content_sha256=waiting.content_sha256)
    assert pmi.parts.grants.load(theirs.id).state == "waiting"
    assert pmi.events()[-5:] == [
        "attribute_certificate.revoked",
        "attribute_certificate.revoked",
        "attribute_certificate.revoked",
        "end_of_office.done",
        "acrl.published",
    ]


def test_twice_is_once(official, lab) -> None:
    pmi = official
    serial = pmi.grant(lab.READER_ROLE, holder=pmi.first).serial
    named = who(pmi.first)
    shown = pmi.parts.offices.leaving(named)
    first = pmi.parts.offices.leave(named, pmi.officer, content_sha256=shown.sha256)
    events = pmi.events()
    assert pmi.parts.offices.leave(named, pmi.officer, content_sha256=shown.sha256) == first
    assert pmi.parts.offices.leave(named, pmi.officer, content_sha256="", number=first.id) == first
    assert pmi.events() == events
    assert states(pmi, serial) == ["revoked"]
    assert pmi.parts.offices.leaving(named).records == []


def test_what_changed_since_it_was_shown_is_shown_again(official, lab) -> None:
    pmi = official
    named = who(pmi.first)
    pmi.grant(lab.READER_ROLE, holder=pmi.first)
    shown = pmi.parts.offices.leaving(named)
    more = pmi.grant(lab.READER_ROLE, holder=pmi.second).serial
    with pytest.raises(SelectionChangedError) as caught:
        pmi.parts.offices.leave(named, pmi.officer, content_sha256=shown.sha256)
    assert caught.value.facts["count"] == 2
    assert states(pmi, more) == ["valid"]


def test_by_entity_and_by_person(official, lab) -> None:
    pmi = official
    holders = (pmi.first, pmi.colleague, pmi.elsewhere)
    first, colleague, elsewhere = (pmi.grant(lab.READER_ROLE, holder=each).serial for each in holders)
    bureau = pmi.parts.offices.leaving(Who.read(entity=BUREAU))
    person = pmi.parts.offices.leaving(Who.read(person=ZHANG))
    assert {record.serial for record in bureau.records} == {first, colleague}
    assert {record.serial for record in person.records} == {first, elsewhere}


def test_a_certificate_that_is_refused_by_now_still_names_its_holder(official, lab) -> None:
    """The CA has revoked it already: whose it is, was written down when it was accepted."""
    pmi = official
    serial = pmi.grant(lab.READER_ROLE, holder=pmi.first).serial
    pmi.holders.error = AssertionError("nobody is verified")
    sha256 = who(pmi.first).value
    assert leave(pmi, Who.read(certificate=sha256.encode())).state == "done"
    assert states(pmi, serial) == ["revoked"]


def test_at_a_time_that_is_set(official, lab) -> None:
    """Set for tomorrow: nothing ends today; then everything does, also what was granted meanwhile."""
    pmi = official
    first = pmi.grant(lab.READER_ROLE, holder=pmi.first).serial
    departure = leave(pmi, who(pmi.first), effective_at=lab.T + lab.DAY)
    assert (departure.state, departure.effective_at) == ("scheduled", lab.T + lab.DAY)
    later = pmi.grant(lab.READER_ROLE, holder=pmi.second).serial
    pmi.parts.offices.carry_out_due(pmi.clock.now())
    assert states(pmi, first, later) == ["valid", "valid"]
    pmi.clock.advance(lab.DAY)
    for _ in range(2):
        pmi.parts.offices.carry_out_due(pmi.clock.now())
    done = pmi.parts.offices.load(departure.id)
    assert (done.state, done.done_at) == ("done", lab.T + lab.DAY)
    assert {row["serial"] for row in done.receipt["revoked"]} == {first, later}
    assert states(pmi, first, later) == ["revoked", "revoked"]
    assert pmi.events().count("end_of_office.done") == 1
    with pytest.raises(DepartureStateError):
        pmi.parts.offices.withdraw(departure.id, pmi.officer)


def test_one_that_is_withdrawn_never_happens(official, lab) -> None:
    pmi = official
    serial = pmi.grant(lab.READER_ROLE, holder=pmi.first).serial
    departure = leave(pmi, who(pmi.first), effective_at=lab.T + lab.DAY)
    assert [each.id for each in pmi.parts.offices.page(state="scheduled")] == [departure.id]
    for _ in range(2):
        assert pmi.parts.offices.withdraw(departure.id, pmi.approver).state == "withdrawn"
    pmi.clock.advance(2 * lab.DAY)
    pmi.parts.offices.carry_out_due(pmi.clock.now())
    assert states(pmi, serial) == ["valid"]


def test_who_is_nobody_and_who_may_not(official, lab) -> None:
    pmi = official
    with pytest.raises(HolderUnknownError):
        pmi.parts.offices.leaving(who(pmi.first))
    with pytest.raises(RequestWrongError):
        Who.read(entity=BUREAU, person=ZHANG)
    with pytest.raises(DepartureUnknownError):
        pmi.parts.offices.load("none")
    pmi.grant(lab.READER_ROLE, holder=pmi.first)
    shown = pmi.parts.offices.leaving(who(pmi.first))
    with pytest.raises(RoleRequiredError):
        pmi.parts.offices.leave(who(pmi.first), pmi.auditor, content_sha256=shown.sha256)


def test_delegations_end_by_those_who_answer_for_authorities(official, lab) -> None:
    """The authority itself leaves: an officer may not end what was delegated to it."""
    pmi = official
    pmi.grant(lab.READER_ROLE, holder=pmi.first)
    with pmi.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE pmi_certificates SET kind = 'delegation'")
    named = who(pmi.first)
    shown = pmi.parts.offices.leaving(named)
    with pytest.raises(RoleRequiredError):
        pmi.parts.offices.leave(named, pmi.officer, content_sha256=shown.sha256)
    administrator = pmi.operator("administrator", "attribute.administrator")
    done = pmi.parts.offices.leave(named, administrator, content_sha256=shown.sha256)
    assert [row["kind"] for row in done.receipt["revoked"]] == ["delegation"]
