"""New versions of profiles: drafted, signed by two people, installed from a day on, withdrawn."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from ca_profiles import PIN, UNIT, Officers, profile_text
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from onecert.ca import models
from onecert.ca.errors import CaError, OfficerTokenError, TwoPeopleError, UnknownProfileError
from onecert.ca.errors.profiles import (
    ProfileDraftChangedError,
    ProfileFileError,
    ProfileSignaturesError,
    ProfileVersionTakenError,
    ProfileWithdrawnError,
    UnknownProfileDraftError,
)
from onecert.ca.profiles.documents import PROFILE_TYPE, open_profile
from onecert.ca.profiles.models import profile_drafts
from onecert.server.documents import sign_document
from onecert.server.models import audit_entries
from onecert.server.operators import OperatorError, SamePersonError

DAY = timedelta(days=1)


@pytest.fixture
def officers(lite: Any) -> Officers:
    made = Officers(lite)
    made.add("qian", "E12345671")
    made.add("sun", "E12345672")
    return made


def draft(world: Any, text: str | None = None, **changes: Any) -> Any:
    arguments = {"in_force_from": None, "actor": "operator:editor"} | changes
    return world.parts.profile_desk.draft("harbour", profile_text() if text is None else text, **arguments)


def sign(world: Any, drafted: Any, *officers: str) -> None:
    for officer in officers:
        world.parts.profile_desk.sign(drafted.id, officer, pin=PIN, sha256=drafted.profile.sha256)


def installed(world: Any, text: str, **changes: Any) -> Any:
    drafted = draft(world, text, **changes)
    sign(world, drafted, "qian", "sun")
    return world.parts.profile_desk.install(drafted.id, actor="operator:qian")


def events(world: Any) -> list[str]:
    query = select(audit_entries.c.event).where(audit_entries.c.event.startswith("profile."))
    with world.context.database.reading() as connection:
        return list(connection.scalars(query.order_by(audit_entries.c.seq)))


def test_two_officers_bring_a_version_into_force_on_its_day(lite: Any, officers: Officers) -> None:
    text = profile_text().replace("validity_days = 1095", "validity_years = 2")
    profile = installed(lite, text, in_force_from=lite.clock.now() + DAY)
    assert lite.parts.authorities.get("harbour").profile("organisation").version == 1
    lite.clock.advance(DAY)
    assert lite.parts.authorities.get("harbour").profile("organisation") == profile
    new, old = lite.issue(profile_version=2).record, lite.issue().record
    assert new.not_after == new.not_before.replace(year=new.not_before.year + 2) - timedelta(seconds=1)
    assert old.not_after - old.not_before == timedelta(days=1095, seconds=-1)
    assert events(lite) == ["profile.drafted", "profile.signed", "profile.signed", "profile.installed"]


def test_what_was_signed_is_kept_and_verifies(lite: Any, officers: Officers) -> None:
    profile = installed(lite, profile_text())
    newest = lite.parts.profile_desk.versions("harbour", "organisation")[0]
    keys = {each.key_id: each.public_key for each in lite.parts.security_officers.everyone()}
    signed = open_profile(newest["document"], keys)
    assert (signed.authority, signed.profile) == ("harbour", profile)
    stranger = sign_document(
        {"authority": "harbour"}, typ=PROFILE_TYPE, keys=[ec.generate_private_key(ec.SECP256R1())]
    )
    for document in (stranger, b"", b"{}", newest["document"].replace(b"payload", b"payloax")):
        with pytest.raises(ProfileSignaturesError):
            open_profile(document, keys)


def test_one_officer_is_not_enough(lite: Any, officers: Officers) -> None:
    drafted = draft(lite)
    for signed_by in ((), ("qian",), ("qian", "qian")):
        sign(lite, drafted, *signed_by)
        with pytest.raises(ProfileSignaturesError):
            lite.parts.profile_desk.install(drafted.id, actor="operator:qian")
    assert lite.parts.authorities.get("harbour").profile("organisation").version == 1


def test_one_person_is_one_person_whatever_the_accounts(lite: Any, officers: Officers) -> None:
    """The service knows no person twice; a record from elsewhere is counted by people, not accounts."""
    drafted = draft(lite)
    sign(lite, drafted, "qian")
    sun = next(each for each in lite.parts.security_officers.everyone() if each.id == "sun")
    signed_by = [{"officer": "qian", "person": sun.operator.person, "at": "2026-11-21T09:00:00+00:00"}]
    with lite.context.database.transaction() as connection:
        connection.execute(update(profile_drafts).values(signatures=json.dumps(signed_by)))
    with pytest.raises(SamePersonError):
        sign(lite, drafted, "sun")


def test_who_may_not_sign(lite: Any, officers: Officers) -> None:
    """Another role, a wrong PIN, a suspended account, nobody."""
    officers.add("li", "E12345673", roles=("ca.security",))
    drafted = draft(lite)
    with pytest.raises(OperatorError):
        sign(lite, drafted, "li")
    with pytest.raises(OfficerTokenError):
        lite.parts.profile_desk.sign(drafted.id, "qian", pin="000000")
    with pytest.raises(ProfileSignaturesError):
        sign(lite, drafted, "nobody")
    with lite.context.database.transaction() as connection:
        lite.context.operators.suspend(connection, "sun")
    with pytest.raises(OperatorError):
        sign(lite, drafted, "sun")
    assert lite.parts.profile_desk.find(drafted.id).signatures == ()


def test_an_officer_who_was_removed_does_not_count_at_installation(lite: Any, officers: Officers) -> None:
    drafted = draft(lite)
    sign(lite, drafted, "qian", "sun")
    lite.parts.security_officers.remove("sun", actor="command:test")
    with pytest.raises(ProfileSignaturesError):
        lite.parts.profile_desk.install(drafted.id, actor="operator:qian")


def test_a_new_draft_voids_the_signatures(lite: Any, officers: Officers) -> None:
    first = draft(lite)
    sign(lite, first, "qian", "sun")
    second = draft(lite, profile_text().replace("validity_days = 1095", "validity_days = 730"))
    with pytest.raises(UnknownProfileDraftError):
        lite.parts.profile_desk.install(first.id, actor="operator:qian")
    with pytest.raises(ProfileDraftChangedError):
        lite.parts.profile_desk.sign(second.id, "qian", pin=PIN, sha256=first.profile.sha256)
    assert [each.id for each in lite.parts.profile_desk.drafts()] == [second.id]


def test_a_draft_altered_in_the_database_is_not_installed(lite: Any, officers: Officers) -> None:
    drafted = draft(lite)
    sign(lite, drafted, "qian", "sun")
    other = profile_text().replace("validity_days = 1095", "validity_days = 3650")
    with lite.context.database.transaction() as connection:
        connection.execute(update(profile_drafts).values(text=other))
    with pytest.raises(ProfileDraftChangedError):
        lite.parts.profile_desk.install(drafted.id, actor="operator:qian")


def test_versions_only_grow_and_none_is_two_things(lite: Any, officers: Officers) -> None:
    for version in (1, 2):
        if version == 2:
            installed(lite, profile_text(version=2))
        for text in (profile_text(version=version), profile_text(version=version).replace("1095", "10")):
            with pytest.raises(ProfileVersionTakenError):
                draft(lite, text)
    # Not even when it was withdrawn.
    lite.parts.profile_desk.withdraw("harbour", "organisation", 2, approved_by=("a", "b"), actor="c")
    with pytest.raises(ProfileVersionTakenError):
        draft(lite, profile_text(version=2))
    installed(lite, profile_text(version=7))


def test_two_drafts_of_one_version_end_in_one(lite: Any, officers: Officers) -> None:
    drafted = draft(lite)
    sign(lite, drafted, "qian", "sun")
    lite.parts.profile_desk.install(drafted.id, actor="operator:qian")
    with pytest.raises(UnknownProfileDraftError):
        lite.parts.profile_desk.install(drafted.id, actor="operator:qian")


def test_withdrawn_by_two_people(lite: Any, officers: Officers) -> None:
    installed(lite, profile_text())
    withdraw = lite.parts.profile_desk.withdraw
    with pytest.raises(TwoPeopleError):
        withdraw("harbour", "organisation", 1, approved_by=("a", "a "), actor="c")
    withdraw("harbour", "organisation", 1, approved_by=("a", "b"), actor="c")
    with pytest.raises(UnknownProfileError):
        withdraw("harbour", "organisation", 1, approved_by=("a", "b"), actor="c")
    with pytest.raises(CaError):
        lite.issue()
    assert lite.issue(profile_version=2).record.state == "issued"
    assert events(lite)[-1] == "profile.withdrawn"


def test_an_order_already_filled_is_answered_after_the_withdrawal(lite: Any, officers: Officers) -> None:
    order = lite.order()
    first = lite.parts.issuance.issue(order)
    installed(lite, profile_text())
    lite.parts.profile_desk.withdraw("harbour", "organisation", 1, approved_by=("a", "b"), actor="c")
    assert lite.parts.issuance.issue(order).as_json() == first.as_json()


def test_a_new_kind_is_added_to_an_authority(lite: Any, officers: Officers) -> None:
    installed(lite, profile_text("device", version=1, identity=UNIT))
    issued = lite.issue(profile="device", identity={"uscc": "91440300MA5DEM004J"})
    assert issued.record.entity.startswith("device:91440300MA5DEM004J:")
    with lite.context.database.reading() as connection:
        row = connection.execute(select(models.profiles).where(models.profiles.c.name == "device")).one()
    assert json.loads(row.content)["holder"] == "device"


BAD_FILES: dict[str, str] = {
    "nothing": "",
    "no TOML": "name = ",
    "twice the same key": 'name = "a"\nname = "b"',
    "no text": "\udcff",
    "deep": "x = " + "[" * 20000,
    "endless digits": "version = " + "9" * 20000,
    "ten megabytes": "# " + "x" * 10_000_000,
    "not a number": 'name = "organisation"\nversion = nan',
    "a date": profile_text().replace("version = 2", "version = 2026-11-21"),
    "an authority's": profile_text("issuing", identity=""),
    "many faults": 'name = "x"\nsurprise = 1\n[subject]\nnickname = {}',
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_with_their_faults(name: str, lite: Any) -> None:
    with pytest.raises(ProfileFileError) as caught:
        draft(lite, BAD_FILES[name])
    assert caught.value.faults
    assert len(str(caught.value)) < 5000
    assert (lite.parts.profile_desk.drafts(), events(lite)) == ([], [])


def test_a_root_has_no_profiles(lite: Any) -> None:
    with pytest.raises(ProfileFileError):
        lite.parts.profile_desk.draft("harbour-root", profile_text(), in_force_from=None, actor="x")


def test_withdrawn_error_names_the_version() -> None:
    assert "Version 3" in str(ProfileWithdrawnError("organisation", 3))
