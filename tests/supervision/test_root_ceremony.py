"""The trust root from its draft to departments: who must sign, what is refused, what goes out together."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from onecert.server.documents import sign_document
from onecert.server.languages import set_language
from onecert.supervision.errors import SignaturesMissingError
from onecert.supervision.root_errors import (
    ListNotUnderRootError,
    OfficersTooFewError,
    RootFileError,
    RootHolderError,
    RootHolderUnknownError,
    RootKeyUnknownError,
    RootMissingError,
    RootOfficerError,
    RootRefusedError,
    RootSignedError,
    RootThresholdError,
    TimestampKeyError,
    TrustRootOverdueError,
)
from onecert.supervision.root_file import (
    HOLDER_TYP,
    Ceremony,
    new_ceremony,
    read_ceremony,
    read_holder,
    sign_ceremony,
)
from onecert.supervision.root_payload import RootChange, find_root_changes, public_pem
from onecert.verifier.jws import key_id
from onecert.verifier.trust_list import load_trust_list, load_trust_timestamp
from onecert.verifier.trust_list.roles import Role, RoleKeys
from onecert.verifier.trust_list.root import load_trust_root, next_trust_root

from .conftest import DAY, HOLDERS, T, World

THREE = ("gu", "xu", "tan")


def code_of(caught: pytest.ExceptionInfo[RootRefusedError]) -> str:
    return caught.value.reason.code


def changed(world: World, **roles: RoleKeys) -> Any:
    """The next root with other roles than the service would have drafted."""
    ceremony = world.draft_root()
    content = ceremony.content
    mixed = {**content.roles, **{Role(name): role for name, role in roles.items()}}
    return new_ceremony(replace(content, roles=mixed), previous=ceremony.previous, names={})


def new_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def one(key: Any, threshold: int = 1, epoch: int = 1) -> RoleKeys:
    return RoleKeys(threshold, {key_id(key.public_key()): key.public_key()}, epoch)


def publish_first(world: World) -> None:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.supervision.release(actor="test")


def renew_list(world: World, *officers: str) -> None:
    """A draft that says the same again, signed by these."""
    world.editor.begin_draft(actor="test")
    for name in officers:
        world.editor.sign(name, actor=f"operator:{name}")


# The first root


def test_the_first_root_names_officers_timestamp_key_and_holders(world: World) -> None:
    world.officers()
    root = world.root
    assert (root.version, root.issued_at, root.expires_at) == (1, T, T + 3 * 365 * DAY)
    assert (root.roles[Role.ROOT].threshold, len(root.roles[Role.ROOT].keys)) == (2, 3)
    assert root.list_keys.threshold == 2
    assert set(root.list_keys.keys) == {key_id(key.public_key()) for key in world.keys.keys.values()}
    assert len(root.roles[Role.TIMESTAMP].keys) == 1
    assert Role.REGISTRY not in root.roles
    assert world.events()[-2:] == ["root.drafted", "root.imported"]


def test_without_a_root_no_list_is_published(world: World) -> None:
    world.officers(root=False)
    world.editor.import_draft(world.draft(), actor="test")
    with pytest.raises(RootMissingError):
        world.publish()
    with pytest.raises(RootMissingError):
        world.supervision.roots.newest()
    world.supervision.release(actor="test")
    assert not (world.supervision.published / "trust-list.json").exists()


def test_without_officers_there_is_nothing_to_draft(world: World) -> None:
    with pytest.raises(OfficersTooFewError):
        world.draft_root(holders=THREE, threshold=2)


def test_too_few_holders_have_signed(world: World) -> None:
    world.officers(root=False)
    ceremony = world.draft_root(holders=THREE, threshold=2)
    with pytest.raises(RootRefusedError) as caught:
        world.import_root(ceremony, "gu")
    assert code_of(caught) == "TRUST_ROOT_SIGNATURE"
    with pytest.raises(RootSignedError):
        world.import_root(ceremony, "gu", "gu")
    with pytest.raises(RootKeyUnknownError):
        world.import_root(ceremony, "gu", "bai")
    assert world.import_root(ceremony, "gu", "tan").root.version == 1


def test_only_who_counts_is_named_as_a_signer(world: World) -> None:
    """A signature of a key that has no say is not looked at: the trail must not name its holder."""
    world.officers(root=False)
    ceremony = world.draft_root(holders=THREE, threshold=2)
    for name in ("gu", "tan"):
        ceremony = sign_ceremony(ceremony, HOLDERS[name])
    document = json.loads(ceremony.root)
    header = {"alg": "ES256", "kid": "0" * 43, "typ": "onecert-trust-root+json"}
    protected = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    document["signatures"].append({"protected": protected, "signature": "AAAA"})
    world.supervision.roots.take_in(json.dumps(document).encode(), actor="test", apply=True)
    with world.context.database.reading() as connection:
        rows = connection.execute(text("SELECT details FROM audit_entries WHERE event = 'root.imported'"))
        (details,) = rows.scalars()
    assert "tan" in str(details)
    assert "0" * 43 not in str(details)


@pytest.mark.parametrize("threshold", [1, 4])
def test_threshold_is_at_least_two_and_at_most_all(world: World, threshold: int) -> None:
    world.officers(root=False)
    with pytest.raises(RootThresholdError):
        world.draft_root(holders=THREE, threshold=threshold)


def test_one_person_is_one_holder(world: World) -> None:
    """Two keys under one name, one key under two names, and a second name for a known key."""
    world.officers(root=False)
    with pytest.raises(RootHolderError):
        world.draft_root(holders=("gu", "gu", "xu"), threshold=2)
    gu = read_holder(signed_holder("gu", HOLDERS["gu"]))
    other = read_holder(signed_holder("gu", HOLDERS["xu"]))
    alias = read_holder(signed_holder("xu", HOLDERS["gu"]))
    for second in (other, alias):
        with pytest.raises(RootHolderError):
            world.supervision.roots.draft(holders=[gu, second], threshold=2, actor="test")
    world.draft_root(holders=THREE, threshold=2)
    with pytest.raises(RootHolderError):
        world.supervision.roots.draft(
            holders=[alias, read_holder(signed_holder("tan", HOLDERS["tan"]))], threshold=2, actor="test"
        )


def signed_holder(name: str, key: Any, signer: Any = None, **changes: str) -> bytes:
    payload = {
        "holder": name,
        "kid": key_id(key.public_key()),
        "spki_pem": public_pem(key.public_key()),
        "made_at": "2026-11-21T09:00:00Z",
        **changes,
    }
    return sign_document(payload, typ=HOLDER_TYP, keys=[signer or key])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"payload": "e30", "signatures": []}',
        signed_holder("gu", HOLDERS["gu"], signer=HOLDERS["xu"]),
        signed_holder("gu", HOLDERS["gu"], kid="AAAA"),
        signed_holder("GU", HOLDERS["gu"]),
        signed_holder("gu", HOLDERS["gu"], spki_pem="none"),
        signed_holder("gu", HOLDERS["gu"], more="x"),
    ],
)
def test_a_public_part_that_its_key_has_not_signed(data: bytes) -> None:
    with pytest.raises(RootFileError):
        read_holder(data, file="gu.root-key.json")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"\xff", b'{"format": "x", "root": {}, "previous": null, "names": {}}', b'{"payload": 1}'],
)
def test_a_file_that_is_no_ceremony(data: bytes) -> None:
    with pytest.raises(RootFileError):
        read_ceremony(data, file="x")


def test_a_dry_run_changes_nothing(world: World) -> None:
    world.officers(root=False)
    before = world.events()
    ceremony = world.draft_root(holders=THREE, threshold=2)
    seen = world.import_root(ceremony, apply=False)
    assert (seen.root.version, seen.is_known) == (1, False)
    assert world.events() == [*before, "root.drafted"]
    with pytest.raises(RootMissingError):
        world.supervision.roots.newest()


def test_the_same_root_again_does_nothing(world: World) -> None:
    world.officers(root=False)
    ceremony = world.draft_root(holders=THREE, threshold=2)
    world.import_root(ceremony)
    before = world.events()
    assert world.import_root(ceremony).is_known
    # A third signature does not make another root.
    assert world.import_root(ceremony, "gu", "xu", "tan").is_known
    assert world.events() == before


# The next root


def test_the_next_root_is_the_one_that_departments_walk_to(world: World) -> None:
    world.officers()
    first = world.root
    ceremony = world.draft_root(holders=("xu", "tan", "bai"), threshold=2)
    assert ceremony.previous is not None
    with set_language("en"):
        said = [change.spoken() for change in world.supervision.roots.changes(ceremony)]
    assert any("bai" in each and "new key" in each for each in said)
    assert any("gu" in each and "no longer counts" in each for each in said)
    with set_language("zh", "onecert.supervision"):
        assert "根密钥持有人：3 名" in " ".join(change.spoken() for change in first_changes(ceremony))
    # gu and xu are enough of the old holders, but only xu is one of the new.
    with pytest.raises(RootRefusedError) as caught:
        world.import_root(ceremony, "gu", "xu")
    assert code_of(caught) == "TRUST_ROOT_SIGNATURE"
    with pytest.raises(RootRefusedError):
        world.import_root(ceremony, "xu", "bai")
    world.import_root(ceremony, "gu", "xu", "bai")
    document = world.supervision.roots.newest().document
    assert next_trust_root(first, document).version == 2


def first_changes(ceremony: Ceremony) -> list[RootChange]:
    """What a machine without the record shows of a root, all of it new."""
    return find_root_changes(None, ceremony.content, ceremony.names)


def test_holders_stay_when_none_are_named(world: World) -> None:
    world.officers()
    world.import_root(world.draft_root())
    assert (world.root.version, len(world.root.roles[Role.ROOT].keys)) == (2, 3)


def test_an_older_draft_and_a_skipped_version(world: World) -> None:
    world.officers()
    older = world.draft_root()
    world.import_root(world.draft_root(expires_at=T + 400 * DAY))
    with pytest.raises(RootRefusedError) as caught:
        world.import_root(older)
    assert code_of(caught) == "TRUST_ROOT_FORK"
    third = world.draft_root()
    skipped = new_ceremony(replace(third.content, version=4), previous=third.previous, names={})
    with pytest.raises(RootRefusedError) as caught:
        world.import_root(skipped)
    assert code_of(caught) == "TRUST_ROOT_SKIPPED"


def test_a_root_that_is_over_when_it_comes_back(world: World) -> None:
    world.officers(root=False)
    ceremony = world.draft_root(holders=THREE, threshold=2, expires_at=T + 30 * DAY)
    world.clock.advance(30 * DAY)
    with pytest.raises(RootRefusedError) as caught:
        world.import_root(ceremony)
    assert code_of(caught) == "TRUST_ROOT_EXPIRED"


def test_after_its_end_no_list_is_published(world: World) -> None:
    world.officers()
    world.clock.advance(3 * 365 * DAY)
    world.editor.import_draft(world.draft(), actor="test")
    with pytest.raises(TrustRootOverdueError):
        world.publish()


def test_one_key_serves_one_role(world: World) -> None:
    world.officers()
    officer = world.keys.keys["wang"]
    for role in ("timestamp", "registry"):
        with pytest.raises(RootRefusedError) as caught:
            world.import_root(changed(world, **{role: one(officer)}))
        assert code_of(caught) == "TRUST_ROOT_KEY_SHARED"


def test_a_key_of_nobody(world: World) -> None:
    """What a department could not see: a root holder, an officer, a timestamp key that nobody here knows."""
    world.officers()
    stranger, present = new_key(), world.root.roles
    holders = {**present[Role.ROOT].keys, key_id(stranger.public_key()): stranger.public_key()}
    with pytest.raises(RootHolderUnknownError):
        world.import_root(changed(world, root=RoleKeys(2, holders)))
    officers = {**present[Role.LIST].keys, key_id(stranger.public_key()): stranger.public_key()}
    with pytest.raises(RootOfficerError):
        world.import_root(changed(world, list=RoleKeys(2, officers)))
    with pytest.raises(TimestampKeyError):
        world.import_root(changed(world, timestamp=one(stranger)))
    assert world.root.version == 1


def test_four_eyes_cannot_be_signed_away(world: World) -> None:
    world.officers()
    present = world.root.roles
    with pytest.raises(OfficersTooFewError):
        world.import_root(changed(world, list=replace(present[Role.LIST], threshold=1)))
    with pytest.raises(RootThresholdError):
        world.import_root(changed(world, root=replace(present[Role.ROOT], threshold=1)))


def test_an_epoch_rises_when_asked_and_never_goes_back(world: World) -> None:
    world.officers()
    world.import_root(world.draft_root(raise_epoch=[Role.LIST, Role.TIMESTAMP]))
    assert (world.root.list_keys.epoch, world.root.roles[Role.TIMESTAMP].epoch) == (2, 2)
    world.import_root(world.draft_root())
    assert world.root.list_keys.epoch == 2
    with pytest.raises(RootRefusedError) as caught:
        world.import_root(changed(world, list=replace(world.root.list_keys, epoch=1)))
    assert code_of(caught) == "TRUST_ROOT_EPOCH"


def test_a_registry_key_stays_until_another_comes(world: World) -> None:
    world.officers()
    key = new_key().public_key()
    world.import_root(world.draft_root(registry_key=key))
    world.import_root(world.draft_root())
    assert list(world.root.roles[Role.REGISTRY].keys) == [key_id(key)]


# Officers come and go


def test_an_officer_leaves(world: World) -> None:
    """li leaves, zhao comes. The list under the new root goes out with it; nobody stands still."""
    publish_first(world)
    first = world.root
    world.operator("zhao", 3)
    world.editor.add_officer("zhao", actor="test")
    world.editor.remove_officer("li", actor="test")
    ceremony = world.draft_root()
    # The published list has wang's signature only, as the new root sees it.
    with pytest.raises(ListNotUnderRootError):
        world.import_root(ceremony)
    # Under the present root, zhao is nobody yet.
    renew_list(world, "wang", "zhao")
    with pytest.raises(ListNotUnderRootError):
        world.editor.publish(actor="test")
    assert world.import_root(ceremony, apply=False).with_list == 2
    assert world.import_root(ceremony).with_list == 2
    world.supervision.release(actor="test")
    assert world.events()[-3:] == ["root.imported", "list.published", "timestamp.signed"]

    published = world.supervision.published
    root = next_trust_root(first, (published / "trust-roots" / "2.json").read_bytes())
    timestamp = load_trust_timestamp((published / "trust-timestamp.json").read_bytes(), root=root)
    trust_list = load_trust_list(
        (published / "trust-list.json").read_bytes(), keys=root.list_keys, timestamp=timestamp, at=T
    )
    assert (trust_list.sequence, timestamp.root.number) == (2, 2)


def test_a_list_with_half_of_the_signatures_does_not_go_with_a_root(world: World) -> None:
    publish_first(world)
    world.operator("zhao", 3)
    world.editor.add_officer("zhao", actor="test")
    world.editor.remove_officer("li", actor="test")
    ceremony = world.draft_root()
    renew_list(world, "zhao")
    with pytest.raises(SignaturesMissingError):
        world.import_root(ceremony)
    assert world.root.version == 1


def test_a_removed_officer_signs_nothing_more(world: World) -> None:
    publish_first(world)
    renew_list(world, "li")
    world.operator("zhao", 3)
    world.editor.add_officer("zhao", actor="test")
    world.editor.remove_officer("li", actor="test")
    # What li had signed is void, so that the others begin anew.
    assert world.editor.preview().record.signatures == ()
    with pytest.raises(Exception, match="not a list officer"):
        world.editor.sign("li", actor="operator:li")
    with pytest.raises(Exception, match="list officer already"):
        world.editor.add_officer("li", actor="test")


def test_an_officer_who_left_after_the_draft_is_not_taken_in(world: World) -> None:
    world.officers()
    world.operator("zhao", 3)
    world.editor.add_officer("zhao", actor="test")
    ceremony = world.draft_root()
    world.editor.remove_officer("zhao", actor="test")
    with pytest.raises(RootOfficerError):
        world.import_root(ceremony)


# Restored from a backup


def test_a_restored_record_takes_its_later_roots_back(world: World) -> None:
    """The holder bai came after the backup: the record does not know the name any more."""
    world.officers()
    ceremony = world.draft_root(holders=("xu", "tan", "bai"), threshold=2)
    with world.context.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM supervision_root_holders WHERE holder = 'bai'")
    with pytest.raises(RootHolderUnknownError):
        world.import_root(ceremony, "gu", "xu", "bai")
    assert world.import_root(ceremony, "gu", "xu", "bai", holders=("bai",)).root.version == 2


def test_an_empty_record_begins_with_the_first_root(world: World) -> None:
    world.officers()
    ceremony = world.draft_root()
    with world.context.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM supervision_roots")
    with pytest.raises(RootMissingError):
        world.import_root(ceremony)


def test_a_ceremony_file_survives_the_way(world: World) -> None:
    """Written, carried, read: the same root, the same fingerprint, who has signed."""
    world.officers()
    ceremony = sign_ceremony(world.draft_root(), HOLDERS["xu"])
    again = read_ceremony(ceremony.encode())
    assert (again.sha256, again.signers) == (ceremony.sha256, (key_id(HOLDERS["xu"].public_key()),))
    assert again.before is not None
    assert again.before.version == 1
    assert again.names == ceremony.names
    signed = sign_ceremony(again, HOLDERS["gu"])
    assert load_trust_root(signed.root).sha256 == ceremony.sha256
    assert read_ceremony(signed.root).sha256 == ceremony.sha256
