"""The end of an authority: retired, then its key destroyed, with a record; keys of responders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from ca_ceremonies import DAY, ceremony, hold, issuing_file, rekeyed_file
from sqlalchemy import select

from onecert.ca import models
from onecert.ca.authorities import life as module
from onecert.ca.authorities.delegate_keys import delegate_labels, destroy_ended
from onecert.ca.authorities.life import RECORD_TYPE, AuthorityLife
from onecert.ca.errors import CeremonyFileError, TokenGoneError, TwoPeopleError, UnknownAuthorityError
from onecert.ca.errors.authorities import (
    AuthorityInUseError,
    AuthorityRetiredError,
    AuthorityStateError,
    SuccessorDueError,
)
from onecert.ca.lists.crl import NEVER
from onecert.ca.member import renew_lists, roll_delegates
from onecert.ca.revocation.revocation import RevocationOrder
from onecert.server.clock import FixedClock
from onecert.server.models import audit_entries
from onecert.verifier.jws import key_id, verify_document

PEOPLE = ("何见证", "郑主持")


def life(world: Any) -> AuthorityLife:
    return AuthorityLife(world.parts, world.roots, actor="command:test")


def events(world: Any) -> list[str]:
    with world.context.database.reading() as connection:
        return list(connection.execute(select(audit_entries.c.event)).scalars())


def read(world: Any, record: bytes) -> Any:
    key = world.token.keys["audit"].public_key()
    return verify_document(record, typ=RECORD_TYPE, keys={key_id(key): key})


def pass_time(world: Any, by: timedelta) -> None:
    clock: FixedClock = world.clock
    clock.advance(by)


def revoke(world: Any, authority: str, serial: str, reason: str = "keyCompromise") -> None:
    order = RevocationOrder(
        id=f"test-{serial[-20:]}",
        requested_by="command:test",
        created_at=world.clock.now(),
        authority=authority,
        serial=serial,
        reason=reason,
        invalidity_date=None,
        people=PEOPLE,
        content_sha256="0" * 64,
        document=b"{}",
    )
    world.parts.revocation.revoke(order)


def test_a_retired_authority_issues_no_more_and_keeps_status(lite: Any) -> None:
    document = lite.order()
    first = lite.parts.issuance.issue(document)
    record = life(lite).retire("harbour", PEOPLE, "key ceremony of 2030")
    said = read(lite, record)
    assert (said["act"], said["authority"], said["reason"]) == ("retired", "harbour", "key ceremony of 2030")
    with pytest.raises(AuthorityRetiredError):
        lite.issue()
    # What was ordered before is answered; lists, answers and revocations go on.
    assert lite.parts.issuance.issue(document).record.serial == first.record.serial
    revoke(lite, "harbour", first.record.serial)
    assert first.record.serial in lite.serials_on_list()
    pass_time(lite, 2 * DAY)
    renew_lists(lite.parts, lite.clock.now())
    roll_delegates(lite.parts)
    assert lite.parts.ocsp_delegates.current(lite.parts.authorities.get("harbour")) is not None
    # The same again changes nothing.
    assert life(lite).retire("harbour", PEOPLE, "other words") == record
    assert lite.parts.authorities.get("harbour").state == "retired"


def test_a_retired_authority_with_a_successor_leaves_the_orders_to_it(lite: Any) -> None:
    hold(lite, rekeyed_file(orders_from="2026-11-21T09:00:00Z"))
    life(lite).retire("harbour", PEOPLE, "")
    assert lite.issue().record.authority == "harbour-b"


def test_a_retired_root_certifies_nobody(lite: Any) -> None:
    life(lite).retire("harbour-root", PEOPLE, "")
    with pytest.raises(CeremonyFileError, match="is retired"):
        list(ceremony(lite, issuing_file()).hold())


@pytest.mark.parametrize("people", [(), ("何见证",), ("何见证", " 何见证 "), ("何见证", "")])
def test_two_people_retire_and_destroy(lite: Any, people: Any) -> None:
    with pytest.raises(TwoPeopleError):
        life(lite).retire("harbour", people, "")
    with pytest.raises(TwoPeopleError):
        life(lite).destroy("harbour", people)
    with pytest.raises(UnknownAuthorityError):
        life(lite).retire("nobody", PEOPLE, "")


def test_a_key_that_is_needed_is_not_destroyed(lite: Any) -> None:
    issued = lite.issue()
    with pytest.raises(AuthorityStateError):
        life(lite).destroy("harbour", PEOPLE)
    life(lite).retire("harbour", PEOPLE, "")
    with pytest.raises(AuthorityInUseError, match="1 certificates have not ended"):
        life(lite).destroy("harbour", PEOPLE)
    revoke(lite, "harbour", issued.record.serial)
    # Revoked is not ended: its entry stays on the list.
    with pytest.raises(AuthorityInUseError):
        life(lite).destroy("harbour", PEOPLE)
    assert "ca-harbour" in lite.token.keys
    with pytest.raises(AuthorityInUseError):
        life(lite).retire("harbour-root", PEOPLE, "") and life(lite).destroy("harbour-root", PEOPLE)


def ended(world: Any) -> None:
    """One certificate, and the time until it has ended."""
    world.issue()
    life(world).retire("harbour", PEOPLE, "")
    pass_time(world, 1200 * DAY)


def test_the_key_is_destroyed_when_the_last_certificate_has_ended(lite: Any) -> None:
    ended(lite)
    record = life(lite).destroy("harbour", PEOPLE)
    said = read(lite, record)
    assert (said["act"], said["compromised"], said["token"]) == ("destroyed", False, "ca")
    assert said["keys"][0] == "ca-harbour"
    assert not [label for label in lite.token.keys if label != "audit"]
    assert lite.crl().next_update_utc == NEVER
    assert said["last_lists"][0]["number"] == lite.parts.publisher.latest("harbour").number
    assert lite.parts.authorities.get("harbour").state == "destroyed"
    assert life(lite).destroy("harbour", PEOPLE) == record
    # Nothing that runs by itself asks for the key again.
    renew_lists(lite.parts, lite.clock.now())
    roll_delegates(lite.parts)
    lite.parts.publisher.check(lite.parts.authorities.get("harbour"), lite.clock.now())
    with pytest.raises(AuthorityRetiredError):
        lite.issue()
    assert {
        "authority.retired",
        "authority.key-destruction-begun",
        "key.destroyed",
        "authority.destroyed",
    } <= set(events(lite))
    with pytest.raises(AuthorityStateError):
        life(lite).check_retire("harbour", PEOPLE)


@pytest.mark.parametrize("point", ["publish", "destroy", "note", "keep"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_destruction_that_was_interrupted_goes_on(
    lite: Any, monkeypatch: pytest.MonkeyPatch, point: str, when: str
) -> None:
    ended(lite)

    class StopError(Exception):
        pass

    target: Any
    target, name = {
        "publish": (module.AuthorityLife, "_last_lists"),
        "destroy": (type(lite.token), "destroy"),
        "note": (module, "note_destroyed"),
        "keep": (module.AuthorityLife, "_keep"),
    }[point]
    act = getattr(target, name)

    def stopped(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            act(*args, **kwargs)
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(target, name, stopped)
        with pytest.raises(StopError):
            life(lite).destroy("harbour", PEOPLE)
    lite.restart()
    said = read(lite, life(lite).destroy("harbour", PEOPLE))
    assert said["act"] == "destroyed"
    assert "ca-harbour" not in lite.token.keys
    assert lite.crl().next_update_utc == NEVER
    assert lite.parts.authorities.get("harbour").state == "destroyed"


def test_a_token_that_is_away_destroys_nothing(lite: Any) -> None:
    ended(lite)
    lite.token.gone = True
    with pytest.raises(TokenGoneError):
        life(lite).destroy("harbour", PEOPLE)
    lite.token.gone = False
    assert lite.parts.authorities.get("harbour").state == "retired"
    life(lite).destroy("harbour", PEOPLE)


def test_a_compromised_key_does_not_wait_but_everything_is_revoked_first(lite: Any) -> None:
    issued = lite.issue()
    life(lite).retire("harbour", PEOPLE, "stolen")
    with pytest.raises(AuthorityInUseError) as caught:
        life(lite).destroy("harbour", PEOPLE, compromised=True)
    assert len(caught.value.reasons) == 2
    revoke(lite, "harbour", issued.record.serial)
    root = ceremony(lite, issuing_file())._acts
    root_world_serial = lite.parts.authorities.get("harbour").serial
    lite.parts.revocation._publisher = root.root_publisher()
    revoke(lite, "harbour-root", root_world_serial, "cACompromise")
    said = read(lite, life(lite).destroy("harbour", PEOPLE, compromised=True))
    assert said["compromised"] is True
    assert issued.record.serial in lite.serials_on_list()
    assert lite.crl().next_update_utc == NEVER


# ------------------------------------------------------------------ keys of responders


def test_the_keys_of_responders_go_when_their_certificates_have_ended(lite: Any) -> None:
    authority = lite.parts.authorities.get("harbour")
    first = lite.parts.ocsp_delegates.current(authority)
    assert first is not None
    while lite.clock.now() <= first.not_after + DAY:
        pass_time(lite, 5 * DAY)
        roll_delegates(lite.parts)
    assert first.key_label not in lite.token.keys
    assert lite.parts.ocsp_delegates.current(authority) is not None
    assert "key.destroyed" in events(lite)
    with lite.context.database.reading() as connection:
        rows = connection.execute(select(models.destroyed_keys.c.label)).scalars().all()
    assert first.key_label in rows
    assert first.key_label not in delegate_labels(lite.parts, authority)
    assert destroy_ended(lite.parts) == 0


def test_a_key_that_cannot_be_destroyed_now_is_destroyed_later(lite: Any) -> None:
    first = lite.parts.ocsp_delegates.current(lite.parts.authorities.get("harbour"))
    pass_time(lite, 400 * DAY)
    lite.token.gone = True
    with pytest.raises(TokenGoneError):
        destroy_ended(lite.parts)
    lite.token.gone = False
    assert destroy_ended(lite.parts) == 1
    assert first.key_label not in lite.token.keys


# ------------------------------------------------------------------ the next one is due


def terms_of(world: Any) -> list[timedelta]:
    profiles = world.parts.authorities.get("harbour").profiles.values()
    return [each.validity for each in profiles if each.holder != "system"]


def test_readiness_says_when_a_successor_is_due(lite: Any) -> None:
    lines = lite.parts.issuance.lines
    lines.check_successors(lite.clock.now())
    end = lite.parts.authorities.get("harbour").issuer.not_after
    terms = [
        each.validity
        for each in lite.parts.authorities.get("harbour").profiles.values()
        if each.holder != "system"
    ]
    last = end - max(terms)
    lines.check_successors(last - 61 * DAY)
    with pytest.raises(SuccessorDueError, match="harbour"):
        lines.check_successors(last - 59 * DAY)


def test_a_successor_with_its_moment_ends_the_warning(lite: Any) -> None:
    end = lite.parts.authorities.get("harbour").issuer.not_after
    terms = [
        each.validity
        for each in lite.parts.authorities.get("harbour").profiles.values()
        if each.holder != "system"
    ]
    at = end - max(terms) - 30 * DAY
    pass_time(lite, at - lite.clock.now() - DAY)
    renew_lists(lite.parts, lite.clock.now())
    hold(
        lite,
        issuing_file(
            line='"harbour"', orders_from=at.isoformat(), issuer='"harbour-root"', validity_days=2000
        ),
    )
    lite.parts.issuance.lines.check_successors(at)
