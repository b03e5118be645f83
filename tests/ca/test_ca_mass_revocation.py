"""Many certificates revoked by two people: what is frozen, who may confirm, what is carried out."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from ca_mass_revocations import People
from sqlalchemy import select

from onecert.ca.errors import (
    MassRevocationAlteredError,
    MassRevocationChangedError,
    MassRevocationEmptyError,
    MassRevocationExpiredError,
    MassRevocationLinesError,
    MassRevocationMalformedError,
    MassRevocationSelectionError,
    MassRevocationStateError,
    NotOfferedError,
    OrderOutOfScopeError,
    OrderSignatureError,
    OrderSignerError,
    OrderTimeError,
    RevocationReasonError,
    SecondPersonError,
    UnknownMassRevocationError,
)
from onecert.ca.revocation.mass_work import CHUNKS_MAX, LONGEST, Pace
from onecert.server.models import audit_entries
from onecert.server.operators import OperatorError

PERSON, OTHER_PERSON = "440300190001010015", "11010519491231002X"


def issue(world: Any, number: int = 3, **changes: Any) -> list[str]:
    return sorted(world.issue(**changes).record.serial for _ in range(number))


def sha256_of(serials: list[str]) -> str:
    return hashlib.sha256("".join(f"{each}\n" for each in serials).encode()).hexdigest()


def events(world: Any, event: str) -> list[Any]:
    with world.context.database.reading() as connection:
        query = select(audit_entries).where(audit_entries.c.event == event).order_by(audit_entries.c.seq)
        return list(connection.execute(query).mappings())


def statuses(world: Any, serials: list[str]) -> set[str]:
    return {world.parts.ledger.certificate("harbour", serial).status for serial in serials}


def test_lines_are_frozen_confirmed_and_carried_out(world: Any) -> None:
    """Three of four serials -> proposed -> confirmed by another -> revoked, on the list and the trail."""
    people, serials, other = People(world), issue(world), issue(world, 1)
    made = people.propose_lines(serials)
    assert (made.state, made.certificates, made.holders, made.already) == ("proposed", 3, 1, 0)
    assert made.serials_sha256 == sha256_of(serials)
    assert list(people.service.serials(made.mass_revocation)) == serials
    assert world.parts.mass_revocation_work.run() == 0
    assert statuses(world, serials) == {"good"}

    assert people.confirm(made).state == "confirmed"
    assert world.parts.mass_revocation_work.run() == 3

    done = people.service.show(made.mass_revocation)
    assert (done.state, done.done, done.changed) == ("done", 3, 3)
    assert statuses(world, serials) == {"revoked"}
    assert statuses(world, other) == {"good"}
    assert world.serials_on_list() == set(serials)
    assert done.crl_number == world.parts.publisher.latest("harbour").number
    entries = events(world, "certificate.revoked")
    assert [entry["subject"] for entry in entries] == [f"harbour/{serial}" for serial in serials]
    assert {json.loads(entry["details"])["mass_revocation"] for entry in entries} == {made.mass_revocation}
    assert world.parts.mass_revocation_work.run() == 0


def test_what_is_revoked_already_stays_and_is_counted(world: Any) -> None:
    """One of three revoked before the proposal, one between confirmation and act: neither is changed."""
    people, serials = People(world), issue(world)
    early, late = serials[0], serials[1]
    world.parts.revocation.revoke(open_one(world, early, reason="superseded"))
    made = people.propose(selection={"profile": "organisation"})
    assert (made.certificates, made.already) == (2, 1)
    people.confirm(made)
    world.parts.revocation.revoke(open_one(world, late, reason="superseded"))

    world.parts.mass_revocation_work.run()

    done = people.service.show(made.mass_revocation)
    assert (done.state, done.done, done.changed) == ("done", 2, 1)
    assert world.parts.ledger.certificate("harbour", early).reason == "superseded"
    assert world.parts.ledger.certificate("harbour", late).reason == "superseded"
    assert world.parts.ledger.certificate("harbour", serials[2]).reason == "keyCompromise"
    assert world.serials_on_list() == set(serials)


def open_one(world: Any, serial: str, **changes: Any) -> Any:
    from onecert.ca.issuing.order_notices import open_revocation  # noqa: PLC0415 - beside its one use

    return open_revocation(world.parts.desk, world.revocation(serial, **changes))


def test_on_hold_is_revoked_as_of_the_day_it_was_held(world: Any) -> None:
    people, (serial,) = People(world), issue(world, 1)
    world.parts.revocation.revoke(open_one(world, serial, reason="certificateHold"))
    held_at = world.clock.now()
    world.clock.advance(timedelta(hours=5))
    people.confirm(people.propose())

    world.parts.mass_revocation_work.run()

    record = world.parts.ledger.certificate("harbour", serial)
    assert (record.status, record.revoked_at, record.reason) == ("revoked", held_at, "keyCompromise")
    entry = world.crl().get_revoked_certificate_by_serial_number(int(serial, 16))
    assert entry.revocation_date_utc == held_at


def test_many_put_on_hold_at_once_can_be_released_one_by_one(world: Any) -> None:
    people, serials = People(world), issue(world)
    people.confirm(people.propose(reason="certificateHold", selection={"profile": "organisation"}))
    world.parts.mass_revocation_work.run()
    assert statuses(world, serials) == {"hold"}

    world.parts.revocation.revoke(open_one(world, serials[0], reason="removeFromCRL"))

    assert world.serials_on_list() == set(serials[1:])


def test_rules_select(world: Any) -> None:
    """By time of order, by registration authority, by key, by entity: each finds what it names."""
    people, before = People(world), issue(world, 1)
    world.clock.advance(timedelta(hours=1))
    noon = world.clock.now()
    after = issue(world, 2)
    found = {
        name: list(people.service.serials(people.propose(selection=rule).mass_revocation))
        for name, rule in {
            "until": {"issued_until": noon.isoformat()},
            "from": {"issued_from": noon.isoformat(), "registration_authority": "ra"},
            "all": {"everything": True},
        }.items()
    }
    assert found == {"until": before, "from": after, "all": sorted(before + after)}
    record = world.parts.ledger.certificate("harbour", before[0])
    by_key = people.propose_lines([record.key_sha256], kind="key_sha256")
    assert list(people.service.serials(by_key.mass_revocation)) == before
    by_entity = people.propose_lines([record.entity], kind="entity")
    assert list(people.service.serials(by_entity.mass_revocation)) == sorted(before + after)
    with pytest.raises(MassRevocationEmptyError):
        people.propose(selection={"registration_authority": "nobody"})
    with pytest.raises(MassRevocationSelectionError):
        people.propose(selection={"batch": "no-such-batch"})


def test_what_the_selection_would_be_now_is_said_but_the_frozen_list_counts(world: Any) -> None:
    people, frozen = People(world), issue(world, 2)
    made = people.propose(selection={"profile": "organisation"})
    assert people.service.drift(made.mass_revocation).is_same
    later = issue(world, 1)

    drift = people.service.drift(made.mass_revocation)
    assert (drift.is_same, drift.certificates) == (False, 3)
    people.confirm(made)
    world.parts.mass_revocation_work.run()

    assert statuses(world, frozen) == {"revoked"}
    assert statuses(world, later) == {"good"}


def test_lines_that_name_nothing_are_named_and_nothing_is_frozen(world: Any) -> None:
    people, (serial,) = People(world), issue(world, 1)
    with pytest.raises(MassRevocationLinesError) as caught:
        people.propose_lines([serial, "abc123", "深圳", ""])
    assert caught.value.faults == ("2: abc123", "3: 深圳", "4: ")
    assert [each.state for each in people.service.latest()] == ["arriving"]
    assert statuses(world, [serial]) == {"good"}


def test_other_lines_than_those_signed_for_are_refused(world: Any) -> None:
    people, serials = People(world), issue(world, 2)
    made = people.propose(
        selection={"lines": {"kind": "serial", "count": 1, "sha256": sha256_of(serials[:1])}}
    )
    for content in (f"{serials[1]}\n", f"{serials[0]}\n{serials[1]}\n", serials[0], ""):
        with pytest.raises(MassRevocationSelectionError):
            people.service.add_lines(made.mass_revocation, content.encode())
    assert people.service.add_lines(made.mass_revocation, f"{serials[0]}\n".encode()).state == "proposed"
    with pytest.raises(UnknownMassRevocationError):
        people.service.add_lines("no-such-number", b"")


@pytest.mark.parametrize("by", ["li", "LI", "Li"])
def test_one_person_of_an_ra_does_not_confirm_their_own_proposal(world: Any, by: str) -> None:
    people, serials = People(world), issue(world, 1)
    made = people.propose("li")
    with pytest.raises(SecondPersonError):
        people.confirm(made, by)
    assert world.parts.mass_revocation_work.run() == 0
    assert statuses(world, serials) == {"good"}


def test_two_officers_confirm_with_their_own_keys(world: Any) -> None:
    people, serials = People(world), issue(world)
    people.officer("chen", PERSON)
    people.officer("zhou", OTHER_PERSON)
    made = people.propose("chen")
    with pytest.raises(SecondPersonError):
        people.confirm(made, "chen")
    confirmed = people.confirm(made, "zhou")
    assert (confirmed.proposed_by, confirmed.confirmed_by) == ("operator:chen", "operator:zhou")
    world.parts.mass_revocation_work.run()
    assert statuses(world, serials) == {"revoked"}


def test_one_person_with_two_accounts_is_one_person(world: Any) -> None:
    people = People(world)
    issue(world, 1)
    world.context.operators.config = type(world.context.operators.config)(allow_same_person=True)
    people.officer("chen", PERSON)
    people.officer("chen.two", PERSON)
    with pytest.raises(SecondPersonError):
        people.confirm(people.propose("chen"), "chen.two")


def test_an_officer_and_a_person_of_an_ra_may_be_one(world: Any) -> None:
    people = People(world)
    issue(world, 1)
    people.officer("chen", PERSON)
    with pytest.raises(SecondPersonError):
        people.confirm(people.propose("li"), "chen")
    with pytest.raises(SecondPersonError):
        people.confirm(people.propose("chen"), "li")


def test_an_officer_signs_for_nobody_else_and_not_when_suspended(world: Any) -> None:
    people = People(world)
    issue(world, 1)
    people.officer("chen", PERSON)
    with pytest.raises(OrderSignerError):
        people.propose("chen", requested_by=["zhou"])
    with pytest.raises(OrderSignerError):
        people.propose("chen", officer="zhou", requested_by=["zhou"])
    with world.context.database.transaction() as connection:
        world.context.operators.suspend(connection, "chen")
    with pytest.raises(OperatorError):
        people.propose("chen")
    world.parts.security_officers.remove("chen", actor="command:test")
    with pytest.raises(OrderSignatureError):
        people.propose("chen")


@pytest.mark.parametrize(
    "change", [{"serials_sha256": "0" * 64}, {"proposal_sha256": "0" * 64}, {"certificates": 2}]
)
def test_confirming_something_else_than_was_frozen_is_refused(lite: Any, change: dict[str, Any]) -> None:
    people, serials = People(lite), issue(lite, 1)
    made = people.propose()
    with pytest.raises(MassRevocationChangedError):
        people.confirm(made, **change)
    assert lite.parts.mass_revocation_work.run() == 0
    assert statuses(lite, serials) == {"good"}


def test_a_proposal_ends(lite: Any) -> None:
    people = People(lite)
    issue(lite, 1)
    made = people.propose()
    lite.clock.advance(timedelta(hours=12))
    with pytest.raises(MassRevocationExpiredError):
        people.confirm(made)


def test_the_same_document_again_changes_nothing(world: Any) -> None:
    people = People(world)
    issue(world, 2)
    document = people.proposal()
    made, is_new = people.service.propose(document)
    assert is_new
    assert people.service.propose(document) == (made, False)
    with pytest.raises(MassRevocationAlteredError):
        people.propose(mass_revocation=made.mass_revocation, why="another reason")
    confirmation = people.confirmation(made)
    confirmed = people.service.confirm(confirmation)
    assert people.service.confirm(confirmation) == confirmed
    with pytest.raises(MassRevocationStateError):
        people.confirm(made, "zhao")
    assert [len(events(world, f"mass-revocation.{each}")) for each in ("proposed", "confirmed")] == [1, 1]


def test_stopped_in_the_middle_and_gone_on_with(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one: the first is done, then one person stops it; later it goes on with the others."""
    monkeypatch.setattr("onecert.ca.revocation.mass_selection.CHUNK", 1)
    monkeypatch.setattr(world.parts.mass_revocation_work._pace, "chunks", 1)
    people, serials = People(world), issue(world, 4)
    made = people.propose()
    people.confirm(made)
    world.parts.mass_revocation_work.run(timedelta(0))
    assert people.stop(made).state == "stopped"

    assert world.parts.mass_revocation_work.run() == 0
    stopped = people.service.show(made.mass_revocation)
    assert (stopped.state, stopped.done, stopped.certificates) == ("stopped", 1, 4)
    assert world.serials_on_list() == {serials[0]}

    assert people.resume(made, "wang").state == "running"
    assert world.parts.mass_revocation_work.run() == 3
    assert people.service.show(made.mass_revocation).state == "done"
    assert world.serials_on_list() == set(serials)


def test_a_stopped_proposal_is_never_carried_out(lite: Any) -> None:
    people, serials = People(lite), issue(lite, 1)
    made = people.propose()
    people.stop(made)
    with pytest.raises(MassRevocationStateError):
        people.confirm(made)
    with pytest.raises(MassRevocationStateError):
        people.resume(made)
    assert statuses(lite, serials) == {"good"}


@pytest.mark.parametrize(
    "change",
    [
        {"selection": {}},
        {"selection": {"everything": False}},
        {"selection": {"everything": True, "profile": "citizen"}},
        {"selection": {"profile": 7}},
        {"selection": {"issued_from": "yesterday"}},
        {"selection": {"issued_from": "2026-11-21T09:00:00"}},
        {"selection": {"colour": "red"}},
        {"selection": {"lines": {"kind": "serial", "count": 100_001, "sha256": "0" * 64}}},
        {"selection": {"lines": {"kind": "name", "count": 1, "sha256": "0" * 64}}},
        {"selection": []},
        {"why": ""},
        {"why": "x" * 501},
        {"why": "two\nlines"},
        {"requested_by": []},
        {"requested_by": ["<b>"]},
        {"mass_revocation": "short"},
        {"created_at": "now"},
        {"extra": 1},
    ],
)
def test_a_malformed_proposal_leaves_nothing(lite: Any, change: dict[str, Any]) -> None:
    people = People(lite)
    with pytest.raises(MassRevocationMalformedError):
        people.propose(**change)
    assert people.service.latest() == []


def test_what_may_not_be_proposed(lite: Any) -> None:
    people = People(lite)
    issue(lite, 1)
    for reason in ("removeFromCRL", "because", None):
        with pytest.raises(RevocationReasonError):
            people.propose(reason=reason)
    with pytest.raises(NotOfferedError):
        people.propose(authority="harbour-root")
    with pytest.raises(OrderTimeError):
        people.propose(invalidity_date=(lite.clock.now() + timedelta(hours=1)).isoformat())
    with pytest.raises(OrderTimeError):
        people.propose(created_at=(lite.clock.now() - timedelta(days=2)).isoformat())
    lite.register("harbour:organisation")
    with pytest.raises(OrderOutOfScopeError):
        people.propose()
    lite.register("quay:*")
    with pytest.raises(OrderOutOfScopeError):
        people.propose(selection={"profile": "organisation"})
    lite.register("harbour:*")
    with pytest.raises(MassRevocationEmptyError):
        people.propose(selection={"profile": "citizen"})
    assert people.service.latest() == []


def test_transactions_are_as_long_as_others_may_wait() -> None:
    """Halved when one took too long, more when it was short, never nothing and never without a bound."""
    pace = Pace()
    for _transaction in range(20):
        pace.took(timedelta(milliseconds=10))
    assert pace.chunks == CHUNKS_MAX
    pace.took(LONGEST * 2)
    assert pace.chunks == CHUNKS_MAX // 2
    pace.took(LONGEST * 0.9)
    assert pace.chunks == CHUNKS_MAX // 2
    for _transaction in range(20):
        pace.took(LONGEST * 2)
    assert pace.chunks == 1
