"""OCSP answers that were signed ahead: served through outages, never after the status has changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509 import ocsp
from test_ca_ocsp import answer, request_for, revoke

from onecert.ca.errors import AlreadyRevokedError
from onecert.ca.ocsp import answering_ahead
from onecert.ca.ocsp.prepared_answers import PreparedAnswers

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
TRY_LATER = ocsp.OCSPResponseStatus.TRY_LATER


def prepare(world: Any) -> int:
    """Run the job; tell how many answers are there now."""
    world.parts.responders.prepare()
    return stored(world)


def store_of(world: Any) -> PreparedAnswers:
    return PreparedAnswers(world.parts.files.folder / "ocsp.db")


def stored(world: Any) -> int:
    store = store_of(world)
    count: int = (
        store._connection()
        .execute("SELECT count(*) FROM signed_answers WHERE data IS NOT NULL")
        .fetchone()[0]
    )
    store.close()
    return count


def take_database_away(world: Any) -> Any:
    path = world.context.database.path
    away = path.with_name("away.db")
    path.rename(away)
    return lambda: away.rename(path)


def test_answers_signed_ahead_are_served_without_token_and_database(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    assert prepare(lite) >= 1
    lite.token.gone = True
    take_database_away(lite)
    lite.clock.advance(timedelta(hours=7))
    found = answer(lite, body)
    assert found.certificate_status is GOOD
    assert found.serial_number == int(record.serial, 16)
    assert found.next_update_utc > lite.clock.now()


def test_an_answer_past_its_end_is_never_served(lite: Any) -> None:
    body = request_for(lite, lite.issue().record)
    prepare(lite)
    lite.token.gone = True
    take_database_away(lite)
    lite.clock.advance(timedelta(hours=8))
    assert answer(lite, body).response_status is TRY_LATER


def test_revocation_is_answered_at_once(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    prepare(lite)
    assert answer(lite, body).certificate_status is GOOD
    revoke(lite, record.serial)
    assert answer(lite, body).certificate_status is REVOKED
    prepare(lite)
    lite.token.gone = True
    take_database_away(lite)
    assert answer(lite, body).certificate_status is REVOKED


def test_revoked_and_nothing_can_be_signed_is_not_good(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    prepare(lite)
    lite.token.gone = True
    revoke(lite, record.serial)
    assert answer(lite, body).response_status is TRY_LATER


def test_hold_and_release_are_followed(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    for reason, expected in (("certificateHold", REVOKED), ("removeFromCRL", GOOD)):
        prepare(lite)
        revoke(lite, record.serial, reason=reason)
        assert answer(lite, body).certificate_status is expected
        prepare(lite)
        assert answer(lite, body).certificate_status is expected


def test_what_another_process_revoked_is_noticed_within_a_second(lite: Any) -> None:
    """Another machine has a store of its own: only the database tells."""
    record = lite.issue().record
    body = request_for(lite, record)
    prepare(lite)
    assert answer(lite, body).certificate_status is GOOD
    forget, lite.parts.revocation._forget_answer = (
        lite.parts.revocation._forget_answer,
        lambda authority, serial: None,
    )
    revoke(lite, record.serial)
    lite.parts.revocation._forget_answer = forget
    lite.clock.advance(timedelta(seconds=1))
    assert answer(lite, body).certificate_status is REVOKED


def test_revoked_between_reading_and_storing_is_not_stored(lite: Any, monkeypatch: Any) -> None:
    """The job has read "good"; the revocation is done before it stores what it signed."""
    record = lite.issue().record
    body = request_for(lite, record)
    prepare(lite)
    lite.clock.advance(timedelta(hours=5))
    signed = answering_ahead.signed_answer
    pending = [record.serial]

    def late(*arguments: Any, **named: Any) -> Any:
        made = signed(*arguments, **named)
        if pending:
            revoke(lite, pending.pop())
        return made

    monkeypatch.setattr(answering_ahead, "signed_answer", late)
    prepare(lite)
    assert answer(lite, body).certificate_status is REVOKED


def test_two_that_begin_anew_at_once(lite: Any) -> None:
    """One process has begun and has read "good"; another, which found the same empty file, begins once more.
    What the first one read may be overtaken, so it is not stored."""
    store = store_of(lite)
    store.clear("harbour", status_version=1)
    drops = store.drops("harbour")
    store.clear("harbour", status_version=2)
    assert store.store("harbour", [], drops=drops) is False
    assert store.status_version("harbour") == 2
    store.close()


def test_a_damaged_store_costs_speed_and_nothing_else(lite: Any) -> None:
    record = lite.issue().record
    prepare(lite)
    store = store_of(lite)
    store._connection().execute("UPDATE signed_answers SET this_update = 'now'")
    store.close()
    assert answer(lite, request_for(lite, record)).certificate_status is GOOD


def test_a_refused_revocation_leaves_the_answer_right(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    revoke(lite, record.serial)
    prepare(lite)
    with pytest.raises(AlreadyRevokedError):
        revoke(lite, record.serial)
    assert answer(lite, body).certificate_status is REVOKED


def test_only_what_is_past_half_of_its_time_is_signed_again(lite: Any, monkeypatch: Any) -> None:
    records = [lite.issue(identity=identity).record for identity in identities(3)]
    prepare(lite)
    count = []
    signed = answering_ahead.signed_answer
    monkeypatch.setattr(
        answering_ahead, "signed_answer", lambda *a, **n: (count.append(1), signed(*a, **n))[1]
    )
    prepare(lite)
    assert count == []
    lite.clock.advance(timedelta(hours=4, seconds=1))
    prepare(lite)
    assert len(count) >= len(records)


def identities(number: int) -> list[dict[str, str]]:
    people = ["440300190001010015", "440300190001010031", "440300190001010058"]
    return [{"uscc": "91440300MA5DEM004J", "agent_idcard": person} for person in people[:number]]


def test_a_certid_of_another_hash_is_answered_live(lite: Any) -> None:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    record = lite.issue().record
    prepare(lite)
    found = answer(lite, request_for(lite, record, hashes.SHA256()))
    assert found.hash_algorithm.name == "sha256"
    assert found.certificate_status is GOOD


def test_a_store_that_cannot_be_read_costs_speed_and_nothing_else(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    prepare(lite)
    path = lite.parts.files.folder / "ocsp.db"
    for each in path.parent.glob("ocsp.db*"):
        each.write_bytes(b"this is no database" * 1000)
    lite.restart()
    assert answer(lite, body).certificate_status is GOOD
    revoke(lite, record.serial)
    assert answer(lite, body).certificate_status is REVOKED


def test_the_next_responder_signs_everything_again(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    prepare(lite)
    (first,) = answer(lite, body).certificates
    lite.clock.advance(timedelta(days=61))
    lite.parts.ocsp_delegates.roll_all()
    prepare(lite)
    (second,) = answer(lite, body).certificates
    assert second.serial_number != first.serial_number


def test_expired_certificates_need_no_answer(lite: Any) -> None:
    lite.issue()
    assert prepare(lite) >= 1
    lite.clock.advance(timedelta(days=366 * 5))
    lite.parts.responders.prepare()
    assert stored(lite) == 0
