"""Revoking, holding, releasing: what is recorded, what the list says, what is refused."""

from __future__ import annotations

import errno
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, select, update

from onecert.ca import models
from onecert.ca.errors import (
    AlreadyRevokedError,
    CaError,
    ClockWentBackError,
    CrlIncompleteError,
    CrlOverdueError,
    NotOnHoldError,
    TokenGoneError,
)
from onecert.ca.issuing.order_notices import open_revocation
from onecert.ca.member import check_lists, renew_lists
from onecert.ca.parts import assemble
from onecert.server.models import audit_entries


def revoke(world: Any, serial: str, **changes: Any) -> Any:
    return world.parts.revocation.revoke(
        open_revocation(world.parts.desk, world.revocation(serial, **changes))
    )


def number(world: Any) -> int:
    return world.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def numbers_on_record(world: Any) -> int:
    """How many list numbers were taken, whether or not the list was signed."""
    with world.context.database.reading() as connection:
        return len(connection.execute(select(models.crls.c.number)).all())


def test_revoked_certificate_is_on_the_next_list_at_once(world: Any) -> None:
    serial, other = world.issue().record.serial, world.issue().record.serial
    before = number(world)

    done = revoke(world, serial, invalidity_date=(world.clock.now() - timedelta(days=1)).isoformat())

    entry = world.crl().get_revoked_certificate_by_serial_number(int(serial, 16))
    assert entry is not None
    assert entry.revocation_date_utc == world.clock.now()
    assert (
        entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        is x509.ReasonFlags.key_compromise
    )
    invalidity = entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    assert invalidity == world.clock.now() - timedelta(days=1)
    assert world.serials_on_list() == {serial}
    assert done.crl_number == number(world) == before + 1
    record = world.parts.ledger.certificate("harbour", serial)
    assert (record.status, record.reason) == ("revoked", "keyCompromise")
    assert world.parts.ledger.certificate("harbour", other).status == "good"
    with world.context.database.reading() as connection:
        events = connection.execute(
            select(audit_entries.c.event, audit_entries.c.details)
            .where(audit_entries.c.subject == f"harbour/{serial}")
            .order_by(audit_entries.c.seq)
        ).all()
    assert [event for event, _details in events] == ["certificate.issued", "certificate.revoked"]
    assert json.loads(events[1].details)["requested_by"] == ["security1"]


def test_hold_and_release(world: Any) -> None:
    """good -> hold (on the list as certificateHold) -> good (off the list) -> revoked for good."""
    serial = world.issue().record.serial
    revoke(world, serial, reason="certificateHold")
    entry = world.crl().get_revoked_certificate_by_serial_number(int(serial, 16))
    assert (
        entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        is x509.ReasonFlags.certificate_hold
    )

    revoke(world, serial, reason="removeFromCRL")
    assert world.serials_on_list() == set()
    assert world.parts.ledger.certificate("harbour", serial).status == "good"

    revoke(world, serial, reason="superseded")
    assert world.serials_on_list() == {serial}
    with pytest.raises(AlreadyRevokedError):
        revoke(world, serial, reason="removeFromCRL")


def test_hold_with_invalidity_date_can_be_released(world: Any) -> None:
    """EJBCA 8.2 once ignored a release when an invalidity date was present."""
    serial = world.issue().record.serial
    revoke(world, serial, reason="certificateHold", invalidity_date=world.clock.now().isoformat())
    revoke(world, serial, reason="removeFromCRL")
    assert world.serials_on_list() == set()
    assert world.parts.ledger.certificate("harbour", serial).invalidity_date is None


def test_revoked_after_hold_counts_from_the_hold(world: Any, day: timedelta) -> None:
    serial = world.issue().record.serial
    held_at = world.clock.now()
    revoke(world, serial, reason="certificateHold")
    world.clock.advance(day)
    revoke(world, serial, reason="keyCompromise")
    assert world.parts.ledger.certificate("harbour", serial).revoked_at == held_at


@pytest.mark.parametrize("first", ["superseded", "unspecified", "cessationOfOperation"])
def test_compromise_found_out_later_becomes_the_reason(world: Any, day: timedelta, first: str) -> None:
    """The reason and the invalidity date change, on the list too; the date of revocation stays, the key is
    blocked, and no other reason replaces one (CA/Browser Forum, Baseline Requirements, section 7.2.2)."""
    serial = world.issue().record.serial
    revoked_at = world.clock.now()
    revoke(world, serial, reason=first)
    world.clock.advance(day)
    since = (revoked_at - day).isoformat()
    revoke(world, serial, reason="keyCompromise", invalidity_date=since)
    entry = world.crl().get_revoked_certificate_by_serial_number(int(serial, 16))
    assert entry.revocation_date_utc == revoked_at
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise
    with world.context.database.reading() as connection:
        assert connection.scalar(select(models.blocked_keys.c.reason)) == "keyCompromise"
    for again in ("superseded", "keyCompromise", "certificateHold", "removeFromCRL"):
        with pytest.raises(AlreadyRevokedError):
            revoke(world, serial, reason=again)


def test_the_same_order_again_changes_nothing(world: Any) -> None:
    serial = world.issue().record.serial
    document = world.revocation(serial)
    first = world.parts.revocation.revoke(open_revocation(world.parts.desk, document))
    before = number(world)
    again = world.parts.revocation.revoke(open_revocation(world.parts.desk, document))
    assert again.as_json() == first.as_json()
    assert not again.changed
    assert number(world) == before


def test_known_number_with_other_content_is_refused(lite: Any) -> None:
    one, two = lite.issue().record.serial, lite.issue().record.serial
    same = str(uuid.uuid4())
    revoke(lite, one, revocation=same)
    with pytest.raises(CaError) as caught:
        revoke(lite, two, revocation=same)
    assert caught.value.code == "REVOCATION_ALTERED"
    assert lite.serials_on_list() == {one}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": "boredom"}, "REASON_UNKNOWN"),
        ({"reason": "removeFromCRL"}, "NOT_ON_HOLD"),
        ({"serial": "4f00"}, "CERTIFICATE_UNKNOWN"),
        ({"serial": "xyz"}, "ORDER_MALFORMED"),
        ({"authority": "pearl"}, "ORDER_OUT_OF_SCOPE"),
        ({"invalidity_date": "2027-01-01T00:00:00+00:00"}, "ORDER_TIME"),
        ({"requested_by": []}, "ORDER_MALFORMED"),
        ({"registration_authority": "other"}, "ORDER_SIGNER"),
        ({"key": ec.generate_private_key(ec.SECP256R1())}, "ORDER_SIGNATURE"),
    ],
)
def test_wrong_revocation_is_refused(lite: Any, changes: dict[str, Any], code: str) -> None:
    serial = lite.issue().record.serial
    document = lite.revocation(**({"serial": serial} | changes))
    with pytest.raises(CaError) as caught:
        lite.parts.revocation.revoke(open_revocation(lite.parts.desk, document))
    assert caught.value.code == code
    assert lite.parts.ledger.certificate("harbour", serial).status == "good"


def test_release_of_what_is_not_on_hold_is_refused(world: Any) -> None:
    serial = world.issue().record.serial
    with pytest.raises(NotOnHoldError):
        revoke(world, serial, reason="removeFromCRL")


def test_token_gone_revocation_stands_and_the_timer_makes_the_list(world: Any) -> None:
    serial = world.issue().record.serial
    world.token.gone = True
    done = revoke(world, serial)
    assert done.crl_number is None
    assert world.parts.ledger.certificate("harbour", serial).status == "revoked"
    assert world.serials_on_list() == set()
    before = numbers_on_record(world)
    with pytest.raises(TokenGoneError):
        renew_lists(world.parts, world.clock.now())
    assert numbers_on_record(world) == before  # the timer spends no numbers while the token is away

    world.token.gone = False
    renew_lists(world.parts, world.clock.now())
    assert world.serials_on_list() == {serial}


def test_full_disk_revocation_stands_and_the_file_follows(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for the list's file: the old file stays whole, the timer writes the new one."""
    serial = world.issue().record.serial
    before = world.parts.files.path("harbour", "crl").read_bytes()

    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.parts.files), "_replace", staticmethod(full))
        assert revoke(world, serial).crl_number is None
    assert world.parts.ledger.certificate("harbour", serial).status == "revoked"
    assert world.parts.files.path("harbour", "crl").read_bytes() == before
    renew_lists(world.parts, world.clock.now())
    assert world.serials_on_list() == {serial}


def test_concurrent_revocations_share_lists_and_lose_nothing(world: Any) -> None:
    serials = {world.issue().record.serial for _ in range(20)}
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda serial: revoke(world, serial).crl_number, serials))
    assert world.serials_on_list() == serials
    assert max(numbers) == number(world)


# ------------------------------------------------------------------ lists


def test_list_is_renewed_by_the_timer_though_nobody_was_revoked(world: Any) -> None:
    """The list that expires because nothing happened (hashicorp/vault 3827 and its kin)."""
    first = number(world)
    renew_lists(world.parts, world.clock.now())
    assert number(world) == first
    world.clock.advance(timedelta(hours=7))
    renew_lists(world.parts, world.clock.now())
    assert number(world) == first + 1
    assert world.crl().last_update_utc == world.clock.now()


def test_alarm_at_half_life(lite: Any) -> None:
    check_lists(lite.parts)
    lite.parts.authorities.reload()
    lite.clock.advance(timedelta(hours=12))
    with pytest.raises(CrlOverdueError) as caught:
        check_lists(lite.parts)
    assert caught.value.facts["authority"] == "harbour"


def test_incomplete_list_is_never_published(world: Any) -> None:
    """The entry of a revoked certificate is lost: the list is refused and the one before stands."""
    serial = world.issue().record.serial
    revoke(world, serial)
    before = number(world)
    with world.context.database.transaction() as connection:
        connection.execute(delete(models.crl_entries))
    with pytest.raises(CrlIncompleteError) as caught:
        world.parts.publisher.publish("harbour")
    assert caught.value.facts["missing"] == 1
    assert number(world) == before
    assert world.serials_on_list() == {serial}


def test_list_with_too_much_is_never_published(world: Any) -> None:
    serial = world.issue().record.serial
    revoke(world, serial)
    with world.context.database.transaction() as connection:
        connection.execute(update(models.certificates).values(status="good"))
    with pytest.raises(CrlIncompleteError) as caught:
        world.parts.publisher.publish("harbour")
    assert caught.value.facts["surplus"] == 1


def test_clock_that_went_back_stops_lists(lite: Any) -> None:
    lite.clock.advance(timedelta(hours=-1))
    with pytest.raises(ClockWentBackError):
        lite.parts.publisher.publish("harbour")


def test_small_correction_of_the_clock_keeps_this_update_standing(lite: Any) -> None:
    before = lite.crl().last_update_utc
    lite.clock.advance(timedelta(seconds=-30))
    lite.parts.publisher.publish("harbour")
    assert lite.crl().last_update_utc == before


def test_older_list_never_replaces_a_newer_file(lite: Any) -> None:
    old = lite.parts.files.path("harbour", "crl").read_bytes()
    lite.parts.publisher.publish("harbour")
    assert not lite.parts.files.write_crl("harbour", 1, old)
    assert number(lite) == 2


def test_expired_certificate_leaves_the_list_after_one_more(lite: Any) -> None:
    """Revoked, then expired: still on the first list after its end, gone from the second (RFC 5280, 3.3)."""
    record = lite.issue().record
    revoke(lite, record.serial)

    def publish_at(moment: datetime) -> set[str]:
        lite.clock.advance(moment - lite.clock.now())
        lite.parts.publisher.publish("harbour")
        return lite.serials_on_list()

    assert publish_at(record.not_after - timedelta(hours=1)) == {record.serial}
    assert publish_at(record.not_after + timedelta(hours=1)) == {record.serial}
    assert publish_at(record.not_after + timedelta(hours=2)) == set()


def test_two_processes_publish_without_going_back(world: Any) -> None:
    """Two services on one database and folder: every number is used once and the file is the newest."""
    second = assemble(world.config, world.context, token=world.token)
    publishers = [world.parts.publisher, second.publisher]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: publishers[n % 2].publish("harbour").number, range(12)))
    assert len(set(made)) == 12
    assert number(world) == max(made)
