"""The checker: a sound record has no findings, and each thing that can be altered in it is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from ca_fakes import FaultyLedger, InterruptedActError, make_csr
from click.testing import CliRunner
from sqlalchemy import delete, func, text, update

from onecert.ca.checking.checked_record import RULES, Finding
from onecert.ca.commands.check import check
from onecert.ca.errors import CheckFindingsError
from onecert.ca.issuing.order_notices import open_revocation as read_revocation
from onecert.ca.models import certificates, crl_entries, crls, keys, orders, profiles
from onecert.server.languages import set_language, translate
from onecert.server.models import audit_entries


def found(world: Any) -> set[str]:
    """The rules that the whole record breaks."""
    return {finding.rule for finding in all_findings(world)}


def all_findings(world: Any) -> list[Finding]:
    parts = world.parts
    of_record = [finding for page in parts.checker.pages() for finding in page.findings]
    of_lists = [
        finding for authority in parts.authorities.reload() for finding in parts.list_checker.check(authority)
    ]
    return of_record + of_lists


def alter(world: Any, statement: Any) -> None:
    with world.context.database.transaction() as connection:
        connection.execute(statement)


def issued(world: Any) -> str:
    serial: str = world.issue().record.serial
    return serial


def this(serial: str) -> Any:
    return certificates.c.serial == serial


def test_a_sound_record_has_no_findings(world: Any, day: Any) -> None:
    """Roots, issuing authorities, responders, holders' certificates, some revoked, held and released."""
    serials = [issued(world) for _ in range(5)]
    for serial, reason in ((serials[0], "keyCompromise"), (serials[1], "certificateHold")):
        world.parts.revocation.revoke(open_revocation(world, serial, reason=reason))
    world.parts.revocation.revoke(open_revocation(world, serials[1], reason="removeFromCRL"))
    world.clock.advance(day / 2)

    assert all_findings(world) == []
    pages = list(world.parts.checker.pages())
    assert sum(page.checked for page in pages) == 5 + 3  # root, issuing authority, responder


def open_revocation(world: Any, serial: str, **changes: Any) -> Any:
    return read_revocation(world.parts.desk, world.revocation(serial, **changes))


def test_every_authority_of_the_city_is_sound(empty_world: Any) -> None:
    """All ceremonies of the demonstration: RSA, P-256, P-384, timestamps, the system's own."""
    for name in ("harbour", "pearl", "summit", "operations", "city-tsa"):
        empty_world.hold(name)

    assert all_findings(empty_world) == []


ALTERATIONS: dict[str, tuple[Any, str]] = {
    "the certificate is gone": (
        lambda s: update(certificates).where(this(s)).values(certificate_der=None),
        "certificate-missing",
    ),
    "the certificate is rubbish": (
        lambda s: update(certificates).where(this(s)).values(certificate_der=b"\x30\x03\x02\x01"),
        "certificate-unreadable",
    ),
    "another subject is on record": (
        lambda s: update(certificates).where(this(s)).values(subject="CN=somebody else"),
        "differs-from-record",
    ),
    "another profile is on record": (
        lambda s: update(certificates).where(this(s)).values(profile_version=7),
        "profile-missing",
    ),
    "the profile was altered": (
        lambda _s: (
            update(profiles)
            .where(profiles.c.name == "organisation")
            .values(content=func.replace(profiles.c.content, "1095", "3650"))
        ),
        "profile-missing",
    ),
    "the partition was altered": (
        lambda s: update(certificates).where(this(s)).values(crl_partition=3),
        "lint",
    ),
    "the order is gone": (lambda s: delete(orders).where(orders.c.serial == s), "order-missing"),
    "the order was altered": (
        lambda s: update(orders).where(orders.c.serial == s).values(content_sha256="0" * 64),
        "order-altered",
    ),
    "the key belongs to somebody else": (
        lambda _s: update(keys).where(keys.c.entity.like("uscc:%")).values(entity="uscc:91440300MA5DEM0A63"),
        "key-holder",
    ),
    "the audit entry is gone": (
        lambda s: delete(audit_entries).where(audit_entries.c.subject == f"harbour/{s}"),
        "audit-missing",
    ),
    "the row is gone": (lambda s: delete(certificates).where(this(s)), "issued-unrecorded"),
    "revoked without an entry": (
        lambda s: update(certificates).where(this(s)).values(status="revoked"),
        "entry-missing",
    ),
}


@pytest.mark.deliberately_wrong("altered rows of the record, for the checker to find")
@pytest.mark.parametrize("name", ALTERATIONS)
def test_what_was_altered_is_named(lite: Any, name: str) -> None:
    statement, rule = ALTERATIONS[name]
    serial = issued(lite)
    assert found(lite) == set()

    alter(lite, statement(serial))

    assert rule in found(lite)


def test_a_certificate_of_another_key_is_named(lite: Any) -> None:
    """Two certificates are exchanged: each is sound by itself, and neither fits its row."""
    first, second = issued(lite), issued(lite)
    rows = {serial: lite.parts.ledger.certificate("harbour", serial) for serial in (first, second)}
    for serial, other in ((first, second), (second, first)):
        alter(
            lite,
            update(certificates).where(this(serial)).values(certificate_der=rows[other].certificate_der),
        )

    assert {"differs-from-record", "differs-from-order", "lint"} <= found(lite)


@pytest.mark.deliberately_wrong("an altered signature of a certificate, for the checker to find")
def test_one_altered_bit_is_named(lite: Any) -> None:
    serial = issued(lite)
    sound: bytes = lite.parts.ledger.certificate("harbour", serial).certificate_der
    altered = sound[:-1] + bytes((sound[-1] ^ 1,))
    alter(lite, update(certificates).where(this(serial)).values(certificate_der=altered))

    assert found(lite) == {"signature"}


def test_a_holder_that_the_order_does_not_name_is_named(lite: Any) -> None:
    """The order of another firm stands in the place of this one."""
    serial = issued(lite)
    other = lite.issue(
        subject={"common_name": "乙公司", "organization": "乙公司", "country": "CN"},
        identity={"uscc": "91440300MA5DEM0A63"},
        csr_pem=make_csr(),
    ).record
    with lite.context.database.transaction() as connection:
        row = connection.execute(orders.select().where(orders.c.serial == other.serial)).mappings().one()
        connection.execute(
            update(orders)
            .where(orders.c.serial == serial)
            .values(document=row["document"], content_sha256=row["content_sha256"])
        )

    facts = {(each.rule, each.serial) for each in all_findings(lite)}
    assert ("differs-from-order", serial) in facts
    assert ("lint", serial) in facts


def test_an_intent_that_nobody_resolved_is_named(faulty: Any, day: Any) -> None:
    """Interrupted after the intent: young it may be in somebody's hands, old it was forgotten."""
    FaultyLedger.fault = ("after", "record_intent")
    with pytest.raises(InterruptedActError):
        faulty.issue()
    assert "unfinished" not in found(faulty)

    faulty.clock.advance(day)

    assert "unfinished" in found(faulty)


def test_lists_are_read_as_they_are_served(world: Any, day: Any) -> None:
    """Missing, rubbish, altered, of another authority, older than on record, past its time."""
    serial = issued(world)
    path = world.parts.files.path("harbour", "crl")
    older = path.read_bytes()
    world.parts.revocation.revoke(open_revocation(world, serial))
    sound = path.read_bytes()
    assert found(world) == set()

    for content, rule in (
        (b"rubbish", "list-unreadable"),
        (sound[:-1] + bytes((sound[-1] ^ 1,)), "list-signature"),
        (world.parts.files.path("harbour-root", "crl").read_bytes(), "list-signature"),
        (older, "list-differs"),
    ):
        path.write_bytes(content)
        assert rule in found(world), rule
    path.unlink()
    assert found(world) == {"list-missing"}
    path.write_bytes(sound)
    assert found(world) == set()
    world.clock.advance(2 * day)
    assert found(world) == {"list-overdue"}


def test_a_list_that_lacks_a_certificate_is_named(lite: Any) -> None:
    """Its entry was slipped in afterwards, as if it had been there when the list was made."""
    serial = issued(lite)
    lite.parts.revocation.revoke(open_revocation(lite, serial))
    other = issued(lite)
    with lite.context.database.transaction() as connection:
        row = connection.execute(crl_entries.select()).mappings().one()
        connection.execute(crl_entries.insert().values(**(dict(row) | {"serial": other})))
        connection.execute(update(certificates).where(this(other)).values(status="revoked"))

    assert [(each.rule, each.serial) for each in all_findings(lite)] == [("list-incomplete", other)]


def test_a_list_that_names_a_good_certificate_is_named(lite: Any) -> None:
    serial = issued(lite)
    lite.parts.revocation.revoke(open_revocation(lite, serial))
    alter(lite, delete(crl_entries).where(crl_entries.c.serial == serial))
    alter(lite, update(certificates).where(this(serial)).values(status="good"))

    assert [(each.rule, each.serial) for each in all_findings(lite)] == [("list-surplus", serial)]


def test_a_number_whose_time_went_back_is_named(lite: Any, day: Any) -> None:
    lite.parts.publisher.publish("harbour")
    with lite.context.database.transaction() as connection:
        last = connection.execute(
            text("SELECT max(number) FROM ca_crls WHERE authority = 'harbour'")
        ).scalar()
        connection.execute(
            update(crls)
            .where(crls.c.authority == "harbour", crls.c.number == last)
            .values(this_update=lite.clock.now() - 400 * day)
        )

    assert "number-went-back" in found(lite)


def test_pages_go_over_everything_once(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serials = {issued(lite) for _ in range(7)}
    monkeypatch.setattr("onecert.ca.checking.record_checker.ROWS_AT_ONCE", 2)

    pages = list(lite.parts.checker.pages())

    assert sum(page.checked for page in pages) == len(serials) + 3
    assert pages[-1].is_last
    assert not any(page.findings for page in pages)


def test_every_rule_has_a_text_in_both_languages() -> None:
    with set_language("zh", "onecert.ca"):
        untranslated = [rule for rule, message in RULES.items() if translate(message) == message]

    assert untranslated == []


def run_round(world: Any) -> None:
    for _ in range(20):
        world.parts.check_rounds.step()
    world.parts.check_rounds.check_lists()


def test_rounds_go_on_where_they_stopped_and_say_what_they_found(world: Any, day: Any) -> None:
    """A round in small steps, over a restart; what it finds keeps readiness from saying that all is well."""
    serial = issued(world)
    world.config = dataclasses.replace(world.config, check_per_minute=1)
    world.restart()
    world.parts.check_rounds.step()
    world.restart()
    run_round(world)
    world.parts.check_rounds.check()
    assert "check.finished" in events(world)

    alter(world, update(certificates).where(this(serial)).values(subject="CN=somebody else"))
    run_round(world)
    world.parts.check_rounds.check()  # the next round begins when it is time

    world.clock.advance(day)
    world.parts.publisher.publish("harbour")
    run_round(world)
    with pytest.raises(CheckFindingsError, match="differs-from-record"):
        world.parts.check_rounds.check()


def test_a_later_round_without_findings_ends_the_alarm(lite: Any, day: Any) -> None:
    path = lite.parts.files.path("harbour", "crl")
    sound = path.read_bytes()
    path.write_bytes(b"rubbish")
    lite.parts.check_rounds.check_lists()
    with pytest.raises(CheckFindingsError, match="list-unreadable"):
        lite.parts.check_rounds.check()

    path.write_bytes(sound)
    lite.parts.check_rounds.check_lists()

    lite.parts.check_rounds.check()


def test_two_processes_share_a_round(world: Any) -> None:
    """A step of another process that went on meanwhile is not done twice, and nothing is passed over."""
    for _ in range(4):
        issued(world)
    rounds = world.parts.check_rounds
    world.restart()
    world.parts.check_rounds.step()
    rounds.step()
    run_round(world)

    with world.context.database.reading() as connection:
        row = connection.execute(
            text("SELECT checked, finished_at FROM ca_check_rounds WHERE kind = 'record'")
        ).one()
    assert row.checked == 4 + 3
    assert row.finished_at is not None


def events(world: Any) -> set[str]:
    with world.context.database.reading() as connection:
        return set(connection.scalars(audit_entries.select().with_only_columns(audit_entries.c.event)))


def test_the_command_names_what_is_wrong_and_ends_with_1(
    lite: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serial = issued(lite)

    @contextmanager
    def opened(_data: Any, _config: Any) -> Iterator[Any]:
        yield SimpleNamespace(parts=lite.parts)

    monkeypatch.setattr("onecert.ca.commands.check.opened_ca", opened)
    run = CliRunner()
    assert run.invoke(check, [], standalone_mode=False).return_value == 0
    alter(lite, update(certificates).where(this(serial)).values(subject="CN=somebody else"))

    result = run.invoke(check, ["--json"], standalone_mode=False)

    assert result.return_value == 1
    (line,) = result.stdout.splitlines()
    assert json.loads(line) == {
        "rule": "differs-from-record",
        "authority": "harbour",
        "serial": serial,
        "facts": "subject",
    }
    with pytest.raises(CheckFindingsError):
        lite.parts.check_rounds.check()
    one = run.invoke(check, ["--authority", "harbour", "--serial", serial], standalone_mode=False)
    assert one.return_value == 1
    assert "--serial needs --authority" in str(run.invoke(check, ["--serial", serial]).output)


def test_certificates_of_before_the_status_service_moved_are_sound(lite: Any) -> None:
    """They name the address of then for good; the new one stands in those that follow."""
    issued(lite)
    lite.context = dataclasses.replace(lite.context, status_url="http://status.elsewhere.example/ca")
    lite.restart()
    issued(lite)

    assert all_findings(lite) == []
