"""Lists in partitions: what a certificate names, what its list holds, and who accepts it."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_lists import (
    HOUR,
    list_der,
    load,
    number_of,
    openssl_verdict,
    point_of,
    revoke,
    serials,
    verdict,
    with_lists,
)
from cryptography import x509
from sqlalchemy import delete, select, update

from onecert.ca import models
from onecert.ca.ceremonies.file import ceremony_from_text
from onecert.ca.errors import (
    CeremonyFileError,
    CrlIncompleteError,
    CrlNumberWentBackError,
    CrlOverdueError,
    CrlPartitionsError,
)
from onecert.ca.lists.names import looks_like_list
from onecert.ca.member import check_lists, renew_lists
from onecert.server.models import audit_entries

STATUS = "http://127.0.0.1:8080/ca"


def issue(world: Any, count: int = 1) -> list[Any]:
    return [world.issue().record for _ in range(count)]


def partition_of(world: Any, serial: str) -> int:
    partition: int = world.parts.ledger.certificate("harbour", serial).crl_partition
    return partition


def test_certificate_names_its_partition_for_good(world: Any) -> None:
    """Serial modulo the number in force; certificate and row say the same, and growing moves nobody."""
    with_lists(world, partitions=3)
    before = issue(world, 6)
    with_lists(world, partitions=5)
    after = issue(world, 6)
    for record, number in [(each, 3) for each in before] + [(each, 5) for each in after]:
        partition = int(record.serial, 16) % number + 1
        assert partition_of(world, record.serial) == partition
        assert point_of(record.certificate_der) == f"{STATUS}/harbour-{partition}.crl"


def test_without_partitions_the_full_list_is_named(lite: Any) -> None:
    (record,) = issue(lite)
    assert point_of(record.certificate_der) == f"{STATUS}/harbour.crl"
    assert partition_of(lite, record.serial) == 0


def test_each_list_holds_its_own_and_the_full_list_all(world: Any) -> None:
    """One certificate from before there were partitions, twelve after: all revoked, each on its lists."""
    (early,) = issue(world)
    with_lists(world, partitions=4)
    records = issue(world, 12)
    for record in (early, *records):
        assert revoke(world, record.serial).crl_number == number_of(load(world))

    expected: dict[int, set[str]] = {partition: set() for partition in range(1, 5)}
    for record in records:
        expected[partition_of(world, record.serial)].add(record.serial)
    assert serials(load(world)) == {early.serial, *(record.serial for record in records)}
    for partition, wanted in expected.items():
        assert serials(load(world, f"harbour-{partition}")) == wanted


def test_partition_list_says_which_it_is(lite: Any) -> None:
    """RFC 5280, 5.2.5: critical, with the name that the certificates carry, and nothing else restricted."""
    with_lists(lite, partitions=2)
    found = load(lite, "harbour-2").extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert found.critical
    assert [name.value for name in found.value.full_name or ()] == [f"{STATUS}/harbour-2.crl"]
    assert not found.value.only_contains_user_certs
    assert not found.value.indirect_crl
    with pytest.raises(x509.ExtensionNotFound):
        load(lite).extensions.get_extension_for_class(x509.IssuingDistributionPoint)


def test_both_judges_take_the_own_list_or_the_full_one(world: Any, tmp_path: Path) -> None:
    """RFC 5280, 6.3.3: the list of another partition says nothing about a certificate."""
    with_lists(world, partitions=2)
    records = issue(world, 2)
    while partition_of(world, records[0].serial) == partition_of(world, records[1].serial):
        records[1] = issue(world)[0]
    one, other = records
    own = list_der(world, f"harbour-{partition_of(world, one.serial)}")
    foreign = list_der(world, f"harbour-{partition_of(world, other.serial)}")
    leaf = one.certificate_der

    for good in (own, list_der(world)):
        assert verdict(world, leaf, good) == "good"
        assert openssl_verdict(world, tmp_path, leaf, good) == "good"
    assert verdict(world, leaf, foreign) == "REVOCATION_UNKNOWN"
    assert openssl_verdict(world, tmp_path, leaf, foreign) not in {"good", "revoked"}

    revoke(world, one.serial)
    for name in ("harbour", f"harbour-{partition_of(world, one.serial)}"):
        assert verdict(world, leaf, list_der(world, name)) == "CERT_REVOKED"
        assert openssl_verdict(world, tmp_path, leaf, list_der(world, name)) == "revoked"


def test_incomplete_partition_is_never_published(world: Any) -> None:
    """The entry of a revoked certificate is lost: its list is refused, those of the others are made."""
    with_lists(world, partitions=2)
    (record,) = issue(world)
    revoke(world, record.serial)
    partition = partition_of(world, record.serial)
    with world.context.database.transaction() as connection:
        connection.execute(delete(models.crl_entries))
    for broken in (partition, 0):
        with pytest.raises(CrlIncompleteError) as caught:
            world.parts.publisher.publish("harbour", partition=broken)
        assert caught.value.facts["missing"] == 1
    world.parts.publisher.publish("harbour", partition=3 - partition)
    assert serials(load(world, f"harbour-{partition}")) == {record.serial}


def test_entry_in_the_wrong_partition_is_found(world: Any) -> None:
    with_lists(world, partitions=2)
    (record,) = issue(world)
    revoke(world, record.serial)
    with world.context.database.transaction() as connection:
        moved = 3 - partition_of(world, record.serial)
        connection.execute(update(models.crl_entries).values(crl_partition=moved))
    for partition in (1, 2):
        with pytest.raises(CrlIncompleteError):
            world.parts.publisher.publish("harbour", partition=partition)


def test_partition_that_no_list_is_made_for_is_found(world: Any) -> None:
    """A revoked certificate names partition 9 of 2: nothing of the authority is published on the timer."""
    with_lists(world, partitions=2)
    (record,) = issue(world)
    revoke(world, record.serial)
    with world.context.database.transaction() as connection:
        for table in (models.crl_entries, models.certificates):
            connection.execute(update(table).values(crl_partition=9))
    with pytest.raises(CrlIncompleteError):
        world.parts.publisher.publish("harbour")


def test_after_a_revocation_only_lists_that_change_are_made(lite: Any) -> None:
    with_lists(lite, partitions=3)
    (record,) = issue(lite)
    before = {name: number_of(load(lite, name)) for name in ("harbour-1", "harbour-2", "harbour-3")}
    revoke(lite, record.serial)
    own = f"harbour-{partition_of(lite, record.serial)}"
    for name, number in before.items():
        assert (number_of(load(lite, name)) > number) == (name == own)


def test_timer_renews_every_list_and_the_alarm_names_the_one_that_is_late(lite: Any) -> None:
    with_lists(lite, partitions=2)
    before = [number_of(load(lite, name)) for name in ("harbour", "harbour-1", "harbour-2")]
    lite.clock.advance(7 * HOUR)
    renew_lists(lite.parts, lite.clock.now())
    after = [number_of(load(lite, name)) for name in ("harbour", "harbour-1", "harbour-2")]
    assert all(new > old for new, old in zip(after, before, strict=True))
    check_lists(lite.parts)

    lite.clock.advance(13 * HOUR)
    for partition in (0, 1):
        lite.parts.publisher.publish("harbour", partition=partition)
    with pytest.raises(CrlOverdueError) as caught:
        check_lists(lite.parts)
    assert caught.value.facts["authority"] == "harbour-2"


def test_expired_certificate_leaves_its_partition_after_one_more_list(lite: Any) -> None:
    """RFC 5280, 3.3: each list counts for itself, however often the others were made."""
    with_lists(lite, partitions=1)
    (record,) = issue(lite)
    revoke(lite, record.serial)
    lite.clock.advance(record.not_after + HOUR - lite.clock.now())
    for _ in range(3):
        lite.parts.publisher.publish("harbour")
    assert serials(load(lite)) == set()
    lite.parts.publisher.publish("harbour", partition=1)
    assert serials(load(lite, "harbour-1")) == {record.serial}
    lite.parts.publisher.publish("harbour", partition=1)
    assert serials(load(lite, "harbour-1")) == set()


def test_list_that_was_never_signed_does_not_count_as_the_one_more(world: Any) -> None:
    """Expired, then the token fails while signing the list that must still show it: the next one does."""
    (record,) = issue(world)
    revoke(world, record.serial)
    world.clock.advance(record.not_after + HOUR - world.clock.now())
    with world.context.database.transaction() as connection:
        latest = connection.execute(select(models.crls).order_by(models.crls.c.number.desc())).first()
        intent = dict(latest._mapping) | {"number": latest.number + 1, "this_update": world.clock.now()}
        intent |= {"sha256": None, "crl_der": None}
        connection.execute(models.crls.insert(), intent)
    world.parts.publisher.publish("harbour")
    assert serials(load(world)) == {record.serial}


def test_old_copy_of_the_record_publishes_nothing(world: Any) -> None:
    """The database is restored from yesterday: its next numbers are used up already."""
    with_lists(world, partitions=2)
    with world.context.database.transaction() as connection:
        highest = max(connection.execute(select(models.crls.c.number)).scalars())
        connection.execute(delete(models.crls).where(models.crls.c.number >= highest - 1))
    before = {name: list_der(world, name) for name in ("harbour", "harbour-1", "harbour-2")}
    for act in (lambda: world.parts.publisher.publish("harbour"), lambda: check_lists(world.parts)):
        with pytest.raises((CrlNumberWentBackError, CrlOverdueError)):
            act()
    with pytest.raises(CrlNumberWentBackError) as caught:
        world.parts.publisher.publish("harbour", partition=2)
    assert caught.value.facts["published"] == highest
    assert {name: list_der(world, name) for name in before} == before


def test_ceremony_file_says_how_many(lite: Any) -> None:
    text = (Path(__file__).parents[2] / "demo" / "ceremonies" / "harbour.toml").read_text()

    def plan(**keys: Any) -> Any:
        data = tomllib.loads(text)
        data["issuing"] |= keys
        return ceremony_from_text(text, data).issuing

    made = plan(crl_partitions=16, delta_hours=6)
    assert (made.crl_partitions, made.delta_lifetime) == (16, timedelta(hours=6))
    assert (plan().crl_partitions, plan().delta_lifetime) == (0, timedelta(0))
    for wrong in (
        {"crl_partitions": -1},
        {"crl_partitions": 4096},
        {"delta_hours": 25},
        {"delta_hours": "1"},
    ):
        with pytest.raises(CeremonyFileError):
            plan(**wrong)


@pytest.mark.parametrize(
    ("name", "is_list"),
    [
        ("harbour-1", True),
        ("harbour-12-delta", True),
        ("harbour-delta", True),
        ("harbour-root", False),
        ("harbour-0", False),
        ("harbour", False),
        ("harbour2", False),
        ("pearl-1", False),
    ],
)
def test_names_of_lists(name: str, is_list: bool) -> None:
    assert looks_like_list(name, "harbour") is is_list


def test_number_of_partitions_grows_and_never_shrinks(world: Any) -> None:
    """The new lists are there before the first certificate names one; the act is on record once."""
    publisher = world.parts.publisher
    publisher.open_partitions("harbour", 2, actor="command:test")
    (early,) = issue(world)
    publisher.open_partitions("harbour", 3, actor="command:test")
    publisher.open_partitions("harbour", 3, actor="command:test")
    assert serials(load(world, "harbour-3")) == set()
    assert partition_of(world, early.serial) == int(early.serial, 16) % 2 + 1
    assert world.parts.authorities.get("harbour").issuer.crl_partitions == 3
    for wrong in (2, 0, 1025):
        with pytest.raises(CrlPartitionsError) as caught:
            publisher.open_partitions("harbour", wrong, actor="command:test")
        assert caught.value.facts["opened"] == 3
    with world.context.database.reading() as connection:
        events = connection.execute(select(audit_entries.c.event)).scalars().all()
    assert events.count("crl.partitions") == 2


def test_no_authority_has_the_name_of_a_list(lite: Any) -> None:
    """harbour-2 stands beside harbour: harbour gets no partitions."""
    with lite.context.database.transaction() as connection:
        row = connection.execute(
            select(models.authorities).where(models.authorities.c.name == "harbour")
        ).one()
        connection.execute(models.authorities.insert(), dict(row._mapping) | {"name": "harbour-2"})
    with pytest.raises(CrlPartitionsError):
        lite.parts.publisher.open_partitions("harbour", 1, actor="command:test")
