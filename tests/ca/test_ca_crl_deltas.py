"""Delta lists (RFC 5280, 5.2.4): what they hold, and that base and delta together are the newest list."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ca_lists import (
    HOUR,
    base_of,
    list_der,
    load,
    number_of,
    openssl_verdict,
    revoke,
    serials,
    verdict,
    with_lists,
)
from cryptography import x509
from sqlalchemy import update

from onecert.ca import models
from onecert.ca.member import renew_lists
from onecert.ca.profiles.profile import profile_from_json

DELTA = "harbour-delta"
REMOVE = x509.ReasonFlags.remove_from_crl


def reasons(crl: x509.CertificateRevocationList) -> dict[str, Any]:
    found = {}
    for entry in crl:
        extensions = {extension.oid: extension.value for extension in entry.extensions}
        reason = extensions.get(x509.CRLEntryExtensionOID.CRL_REASON)
        found[f"{entry.serial_number:x}"] = reason.reason if isinstance(reason, x509.CRLReason) else None
    return found


def combined(base: x509.CertificateRevocationList, delta: x509.CertificateRevocationList) -> dict[str, Any]:
    """The list that a relying party has after RFC 5280, 5.2.4: delta over base."""
    assert base_of(delta) <= number_of(base) < number_of(delta)
    result = reasons(base) | reasons(delta)
    return {serial: reason for serial, reason in result.items() if reason is not REMOVE}


def four_of_each(world: Any, *, partitions: int) -> list[str]:
    """Serials of new certificates, four in each partition, the partitions in turn."""
    found: dict[int, list[str]] = {number: [] for number in range(1, partitions + 1)}
    while any(len(serials) < 4 for serials in found.values()):
        record = world.issue().record
        found[record.crl_partition].append(record.serial)
    return [serial for four in zip(*found.values(), strict=False) for serial in four][: 4 * partitions]


def test_authority_without_deltas_names_none(lite: Any) -> None:
    lite.parts.publisher.publish("harbour")
    assert not lite.parts.files.path(DELTA, "crl").exists()
    with pytest.raises(x509.ExtensionNotFound):
        load(lite).extensions.get_extension_for_class(x509.FreshestCRL)


def test_delta_says_its_base_and_the_list_says_where_it_is(world: Any) -> None:
    with_lists(world, delta_hours=6)
    first = number_of(load(world)) - 1
    serial = world.issue().record.serial
    revoke(world, serial)
    full, delta = load(world), load(world, DELTA)

    assert number_of(full) == number_of(delta) == first + 2
    indicator = delta.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert indicator.critical
    assert indicator.value.crl_number == first
    assert serials(delta) == {serial}
    assert full.last_update_utc == delta.last_update_utc == world.clock.now()
    assert delta.next_update_utc == world.clock.now() + 6 * HOUR
    freshest = full.extensions.get_extension_for_class(x509.FreshestCRL)
    assert not freshest.critical
    (point,) = freshest.value
    assert [name.value for name in point.full_name or ()] == ["http://127.0.0.1:8080/ca/harbour-delta.crl"]
    with pytest.raises(x509.ExtensionNotFound):
        delta.extensions.get_extension_for_class(x509.FreshestCRL)


def test_every_list_still_in_its_time_and_the_newest_delta_are_the_newest_list(world: Any) -> None:
    """Thirty random acts over two days, partitioned; then each base of the last day, with the delta."""
    dice = random.Random(7)
    with_lists(world, partitions=2, delta_hours=6)
    good = four_of_each(world, partitions=2)
    held: list[str] = []
    names = ("harbour", "harbour-1", "harbour-2")
    kept: dict[str, dict[int, x509.CertificateRevocationList]] = {name: {} for name in names}
    for _ in range(30):
        act = dice.random()
        if act < 0.3 and held:
            serial = held.pop(dice.randrange(len(held)))
            revoke(world, serial, reason="removeFromCRL")
            good.append(serial)
        elif act < 0.6 and good:
            held.append(good.pop(dice.randrange(len(good))))
            revoke(world, held[-1], reason="certificateHold")
        elif act < 0.7 and good:
            revoke(world, good.pop(), reason="superseded")
        else:
            world.clock.advance(2 * HOUR)
            renew_lists(world.parts, world.clock.now())
        for name in names:
            full = load(world, name)
            kept[name][number_of(full)] = full
            for base in kept[name].values():
                usable = base.next_update_utc is not None and base.next_update_utc > world.clock.now()
                if usable and number_of(base) < number_of(full):
                    assert combined(base, load(world, f"{name}-delta")) == reasons(full)
    assert all(len(lists) > 3 for lists in kept.values())


def test_release_and_expiry_are_removals(world: Any) -> None:
    """On the base: one on hold, one that ends. The delta takes both off (5.3.1)."""
    with_lists(world, delta_hours=24)
    held, ends = world.issue().record, world.issue().record
    world.clock.advance(ends.not_after - 2 * HOUR - world.clock.now())
    revoke(world, held.serial, reason="certificateHold")
    revoke(world, ends.serial)
    base = load(world)
    assert serials(base) == {held.serial, ends.serial}
    later = world.issue().record
    revoke(world, held.serial, reason="removeFromCRL")
    assert reasons(load(world, DELTA))[held.serial] is REMOVE

    world.clock.advance(3 * HOUR)
    world.parts.publisher.publish("harbour")
    assert serials(load(world)) == {ends.serial}  # once more after its end
    world.parts.publisher.publish("harbour")
    revoke(world, later.serial)
    assert serials(load(world)) == {later.serial}
    assert reasons(load(world, DELTA)) == {
        held.serial: REMOVE,
        ends.serial: REMOVE,
        later.serial: x509.ReasonFlags.key_compromise,
    }
    assert combined(base, load(world, DELTA)) == reasons(load(world))


@pytest.mark.parametrize("partitions", [0, 2])
def test_both_judges_read_base_and_delta(world: Any, tmp_path: Path, partitions: int) -> None:
    """Good by the base, revoked by the delta; on hold by the base, released by the delta."""
    with_lists(world, partitions=partitions, delta_hours=6)
    world.parts.publisher.publish_all("harbour")
    turned, released = world.issue().record, world.issue().record

    def name_of(record: Any) -> str:
        return f"harbour-{record.crl_partition}" if partitions else "harbour"

    revoke(world, released.serial, reason="certificateHold")
    bases = {record.serial: list_der(world, name_of(record)) for record in (turned, released)}
    before = {turned.serial: "good", released.serial: "revoked"}
    for record in (turned, released):
        leaf, base = record.certificate_der, bases[record.serial]
        assert (verdict(world, leaf, base) == "good") == (before[record.serial] == "good")
        assert openssl_verdict(world, tmp_path, leaf, base) == before[record.serial]

    revoke(world, turned.serial)
    revoke(world, released.serial, reason="removeFromCRL")
    after = {turned.serial: "revoked", released.serial: "good"}
    for record in (turned, released):
        leaf, delta = record.certificate_der, list_der(world, f"{name_of(record)}-delta")
        assert (verdict(world, leaf, bases[record.serial], delta) == "good") == (
            after[record.serial] == "good"
        )
        assert openssl_verdict(world, tmp_path, leaf, bases[record.serial], delta) == after[record.serial]


def test_delta_is_renewed_when_it_lapses_first(lite: Any) -> None:
    with_lists(lite, delta_hours=4)
    lite.parts.publisher.publish("harbour")
    before = number_of(load(lite, DELTA))
    lite.clock.advance(HOUR)
    renew_lists(lite.parts, lite.clock.now())
    assert number_of(load(lite, DELTA)) == number_of(load(lite)) == before + 1


def test_base_and_delta_are_one_act(world: Any) -> None:
    """The token fails between the two signatures: neither is published, and the next number has both."""
    with_lists(world, delta_hours=6)
    world.parts.publisher.publish("harbour")
    before = list_der(world), list_der(world, DELTA)
    serial = world.issue().record.serial
    signatures = world.token.signatures

    class FailsSecond:
        """Every signature after the first finds the token away."""

        def sign(self, *arguments: Any) -> bytes:
            world.token.gone = world.token.signatures > signatures
            return bytes(sign(*arguments))

    sign = world.parts.signer.signature
    world.parts.signer.signature = FailsSecond().sign
    assert revoke(world, serial).crl_number is None
    assert (list_der(world), list_der(world, DELTA)) == before

    world.token.gone = False
    world.restart()
    renew_lists(world.parts, world.clock.now())
    assert serials(load(world)) == serials(load(world, DELTA)) == {serial}
    assert number_of(load(world)) == number_of(load(world, DELTA))


def test_certificate_names_the_delta_when_its_profile_says_so(lite: Any) -> None:
    """Profile with `freshest_crl`: linted, issued, with the delta of the certificate's own partition."""
    with_lists(lite, partitions=2, delta_hours=6)
    plain = lite.parts.authorities.get("harbour").profile("organisation")
    profile = replace(plain, freshest_crl=True)
    assert "freshest_crl" not in plain.as_json()
    assert profile_from_json(profile.as_json()) == profile
    with lite.context.database.transaction() as connection:
        of_profile = models.profiles.c.name == "organisation"
        values = {"content": profile.as_json(), "sha256": profile.sha256}
        connection.execute(update(models.profiles).where(of_profile).values(values))
    lite.parts.authorities.reload()

    record = lite.issue().record
    certificate = x509.load_der_x509_certificate(record.certificate_der)
    found = certificate.extensions.get_extension_for_class(x509.FreshestCRL)
    assert not found.critical
    (point,) = found.value
    assert [name.value for name in point.full_name or ()] == [
        f"http://127.0.0.1:8080/ca/harbour-{record.crl_partition}-delta.crl"
    ]
