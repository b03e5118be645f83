"""An order is frozen to one version of its profile: nothing between two of its steps can change what it gets.

Let's Encrypt, 2023 (boulder #6959): a profile changed between two steps of one order, 645 certificates.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ca_batches import Sender
from sqlalchemy import func, insert, select, update

from onecert.ca import models
from onecert.ca.errors import CaError, TokenGoneError
from onecert.ca.errors.profiles import ProfileChangedError, ProfileWithdrawnError
from onecert.ca.profiles.profile import Profile

OF_PROFILE = (models.profiles.c.authority == "harbour") & (models.profiles.c.name == "organisation")


def profile_of(world: Any) -> Profile:
    found: Profile = world.parts.authorities.get("harbour").profile("organisation")
    return found


def change(world: Any, **values: Any) -> None:
    """What nobody may do: a change of the row of version 1."""
    with world.context.database.transaction() as connection:
        connection.execute(update(models.profiles).where(OF_PROFILE).values(**values))


def install(world: Any, profile: Profile, **values: Any) -> None:
    row = {
        "authority": "harbour", "name": profile.name, "version": profile.version, "in_force": True,
        "content": profile.as_json(), "sha256": profile.sha256, "added_at": world.clock.now(),
    }  # fmt: skip
    with world.context.database.transaction() as connection:
        connection.execute(insert(models.profiles), row | values)


def certificates(world: Any, state: str) -> int:
    query = select(func.count()).where(models.certificates.c.state == state)
    with world.context.database.reading() as connection:
        ordered = query.where(models.certificates.c.profile == "organisation")
        return int(connection.execute(ordered).scalar_one())


def altered(profile: Profile) -> dict[str, str]:
    """The same version with another content, hash and all, as somebody with the database's password would."""
    other = replace(profile, validity_days=10)
    return {"content": other.as_json(), "sha256": other.sha256}


def test_changed_between_check_and_record(world: Any) -> None:
    """The draft was made from what was loaded; the record has another content of the same version."""
    change(world, **altered(profile_of(world)))
    with pytest.raises(ProfileChangedError):
        world.issue()
    assert certificates(world, "intended") == certificates(world, "issued") == 0


def test_changed_between_record_and_signature(world: Any) -> None:
    """The intent is on record, the token away; then the profile changes. Nothing is ever signed for it."""
    order = world.order()
    with interrupted(world), pytest.raises(TokenGoneError):
        world.parts.issuance.issue(order)
    assert certificates(world, "intended") == 1
    kept = {"content": profile_of(world).as_json(), "sha256": profile_of(world).sha256}
    change(world, **altered(profile_of(world)))
    world.restart()
    with pytest.raises(ProfileChangedError):
        world.parts.issuance.issue(order)
    report = world.parts.recovery.run(world.clock.now())
    assert (len(report.finished), len(report.waiting)) == (0, 1)
    assert certificates(world, "issued") == 0

    change(world, **kept)
    world.restart()
    assert world.parts.issuance.issue(order).record.state == "issued"


def test_recovery_gives_up_what_its_profile_left_behind(world: Any) -> None:
    """As above, and nobody repairs the record: after an hour the serial is revoked, and still unsigned."""
    with interrupted(world), pytest.raises(TokenGoneError):
        world.issue()
    change(world, **altered(profile_of(world)))
    world.clock.advance(timedelta(hours=2))
    world.restart()
    report = world.parts.recovery.run(world.clock.now())
    assert (report.finished, report.waiting, len(report.abandoned)) == ([], [], 1)


class interrupted:  # noqa: N801 -- reads as a block
    """Inside, the token goes away after the intent was recorded."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._record = world.parts.ledger.record_intent

    def __enter__(self) -> None:
        def record_and_lose(*arguments: Any) -> Any:
            made = self._record(*arguments)
            self._world.token.gone = True
            return made

        self._world.parts.ledger.record_intent = record_and_lose

    def __exit__(self, *_exception: object) -> None:
        self._world.token.gone = False
        self._world.parts.ledger.record_intent = self._record


def test_content_that_does_not_fit_its_hash_is_not_used(world: Any) -> None:
    change(world, content=altered(profile_of(world))["content"])
    world.restart()
    with pytest.raises(CaError) as caught:
        world.issue()
    assert caught.value.code == "PROFILE_UNKNOWN"
    # The other profiles go on.
    assert world.parts.authorities.get("harbour").profile("citizen")


def test_an_older_version_fills_the_orders_frozen_to_it(world: Any) -> None:
    first = profile_of(world)
    second = replace(first, version=2, validity_days=100)
    before = world.issue()
    install(world, second, in_force_from=world.clock.now() + timedelta(days=1))
    world.parts.authorities.reload()

    assert profile_of(world) == first
    with pytest.raises(CaError) as caught:
        world.issue(profile_version=2)
    assert caught.value.code == "PROFILE_VERSION"
    world.clock.advance(timedelta(days=1))
    # Its day has come; nobody told the process.
    assert profile_of(world) == second
    new, old = world.issue(profile_version=2), world.issue()
    assert new.record.not_after - new.record.not_before == timedelta(days=100, seconds=-1)
    assert old.record.not_after - old.record.not_before == before.record.not_after - before.record.not_before
    assert (new.record.profile_sha256, old.record.profile_sha256) == (second.sha256, first.sha256)


def test_a_withdrawn_version_fills_no_order_though_the_process_knows_it_still(world: Any) -> None:
    """The withdrawal happens in another process; the refusal is that of the transaction."""
    install(world, replace(profile_of(world), version=2))
    world.parts.authorities.reload()
    change_of_first = update(models.profiles).where(OF_PROFILE, models.profiles.c.version == 1)
    with world.context.database.transaction() as connection:
        connection.execute(change_of_first.values(in_force=False))
    with pytest.raises(ProfileWithdrawnError):
        world.issue()
    assert certificates(world, "intended") == 0
    assert world.issue(profile_version=2).record.state == "issued"


def test_a_request_checked_against_one_profile_is_not_drafted_from_another(world: Any) -> None:
    authority = world.parts.authorities.get("harbour")
    profile = authority.profile("organisation")
    with pytest.raises(ProfileChangedError):
        authority.maker(replace(profile, validity_days=10))


def test_changed_under_a_batch(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunk is checked and drafted; before it is recorded the profile changes: every line is refused."""
    sender = Sender(world)
    before = world.parts.ledger.unfinished()
    batch = sender.send(*(world.order_payload() for _ in range(3)))
    work = world.parts.batch_work
    prepared = work._prepare

    def prepared_before_the_change(chunk: Any, at: Any) -> Any:
        lines = prepared(chunk, at)
        change(world, **altered(profile_of(world)))
        return lines

    monkeypatch.setattr(work, "_prepare", prepared_before_the_change)
    work.run()
    assert [line.get("code") for line in sender.results(batch)] == ["PROFILE_CHANGED"] * 3
    assert world.parts.ledger.unfinished() == before


def test_an_order_may_name_what_its_version_says(world: Any) -> None:
    """A number alone would be believed of a CA that has another content under it, as after a restore."""
    sha256 = profile_of(world).sha256
    assert world.issue(profile_sha256=sha256).record.profile_version == 1
    assert world.issue(profile_sha256=None).is_new
    before = certificates(world, "issued")
    for wrong, code in (
        ("0" * 64, "PROFILE_CONTENT"),
        (sha256.upper(), "ORDER_MALFORMED"),
        (7, "ORDER_MALFORMED"),
    ):
        with pytest.raises(CaError) as caught:
            world.issue(profile_sha256=wrong)
        assert caught.value.code == code
    assert certificates(world, "issued") == before
