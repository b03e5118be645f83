"""The checker on versions of profiles: what nobody entitled has approved is named, who left has signed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from ca_profiles import PIN, Officers, profile_text
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, insert, null, select, update

from onecert.ca.models import profiles
from onecert.ca.profiles.documents import PROFILE_TYPE, open_profile, profile_payload
from onecert.ca.revocation.mass_models import security_officers
from onecert.server.documents import sign_document
from onecert.server.operators.models import operators

NEW = (profiles.c.authority == "harbour") & (profiles.c.name == "organisation") & (profiles.c.version == 2)


@pytest.fixture
def signed(lite: Any) -> Any:
    """A world with a second version of a profile that two officers have signed."""
    officers = Officers(lite)
    for name, person in (("qian", "E12345671"), ("sun", "E12345672")):
        officers.add(name, person)
    desk = lite.parts.profile_desk
    draft = desk.draft("harbour", profile_text(), in_force_from=None, actor="operator:editor")
    for name in ("qian", "sun"):
        desk.sign(draft.id, name, pin=PIN, sha256=draft.profile.sha256)
    desk.install(draft.id, actor="operator:qian")
    lite.officers = officers
    return lite


def found(world: Any, authority: str | None = None) -> list[tuple[str, str, str, str]]:
    return [
        (each.rule, each.authority, each.serial, each.facts)
        for page in world.parts.checker.pages(authority=authority)
        for each in page.findings
    ]


def alter(world: Any, statement: Any) -> None:
    with world.context.database.transaction() as connection:
        connection.execute(statement)


def row(world: Any) -> Any:
    with world.context.database.reading() as connection:
        return connection.execute(select(profiles).where(NEW)).mappings().one()


def unsigned(why: str) -> list[tuple[str, str, str, str]]:
    return [("profile-unsigned", "harbour", "", f"organisation 2: {why}")]


def test_what_two_officers_signed_is_sound_also_when_they_have_left(signed: Any) -> None:
    signed.issue(profile_version=2)
    assert found(signed) == []
    for name in ("qian", "sun"):
        signed.parts.security_officers.remove(name, actor="command:test")
    alter(signed, update(operators).values(suspended_at=signed.clock.now()))
    assert found(signed) == []
    signed.parts.profile_desk.withdraw(
        "harbour", "organisation", 2, approved_by=("a", "b"), actor="command:test"
    )
    assert found(signed) == []


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (update(profiles).where(NEW).values(document=null()), "no document"),
        (update(profiles).where(NEW).values(document=null(), in_force_from=null()), "no document"),
        (update(profiles).where(NEW).values(document=b"{}"), "signatures"),
        (update(profiles).where(NEW).values(content=profiles.c.content + " "), "content"),
        (update(profiles).where(NEW).values(sha256="0" * 64), "content"),
        (delete(security_officers).where(security_officers.c.id == "sun"), "signatures"),
        (update(operators).values(person="the same"), "one person"),
    ],
)
def test_what_was_altered_is_named(signed: Any, statement: Any, why: str) -> None:
    alter(signed, statement)
    assert found(signed) == unsigned(why)
    assert found(signed, "harbour") == unsigned(why)
    assert found(signed, "harbour-root") == []


def test_a_later_day_than_was_signed_is_named(signed: Any) -> None:
    day = row(signed)["in_force_from"] - timedelta(days=1)
    alter(signed, update(profiles).where(NEW).values(in_force_from=day))
    assert found(signed) == unsigned("in_force_from")


def test_a_version_that_strangers_signed_is_named(signed: Any) -> None:
    keys = {each.key_id: each.public_key for each in signed.parts.security_officers.everyone()}
    payload = profile_payload(open_profile(row(signed)["document"], keys))
    strangers = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    document = sign_document(payload, typ=PROFILE_TYPE, keys=strangers)
    alter(signed, update(profiles).where(NEW).values(document=document))
    assert found(signed) == unsigned("signatures")


def test_a_signed_document_under_another_name_is_named(signed: Any) -> None:
    """A document is no licence for another authority, nor for another number of the version."""
    sound = dict(row(signed))
    alter(signed, insert(profiles).values(**(sound | {"version": 3})))
    assert found(signed) == [("profile-unsigned", "harbour", "", "organisation 3: version")]
    alter(signed, delete(profiles).where(profiles.c.version == 3))
    alter(signed, update(profiles).where(NEW).values(name="employee"))
    assert found(signed) == [("profile-unsigned", "harbour", "", "employee 2: name")]


def test_a_version_that_was_slipped_in_beside_the_ceremony_is_named(lite: Any) -> None:
    """Sound by itself, as the ceremony would have written it; but the audit trail knows nothing of it."""
    with lite.context.database.transaction() as connection:
        first = connection.execute(
            select(profiles).where(profiles.c.authority == "harbour", profiles.c.name == "organisation")
        ).mappings().one()  # fmt: skip
    assert found(lite) == []
    other = lite.parts.profile_desk.check("harbour", profile_text())[0]
    slipped = {"version": 2, "content": other.as_json(), "sha256": other.sha256}
    alter(lite, insert(profiles).values(**(dict(first) | slipped)))
    assert found(lite) == unsigned("no document")
