"""The façade's side of ``test_public_functions``: a program's mistake is named and breaks nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier import (
    CrlFolder,
    FileState,
    Login,
    MemoryStore,
    SqliteStore,
    TrustListFolder,
    Verifier,
    key_id,
    load_pairwise_key,
    load_trust_list,
    verify_document,
)
from onecert.verifier.purposes import LOGIN

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
NAIVE = T.replace(tzinfo=None)


def verifier(world: Any) -> Verifier:
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=T)
    return Verifier(trust_list=trust_list, evidence=CrlFolder(world.publish_crls()), application="tax")


def test_times_without_a_zone(world: Any) -> None:
    leaf = world.leaf()
    made = verifier(world)
    for ask in (made.verify, made.explain):
        with pytest.raises(ValueError, match="aware"):
            ask(leaf.der, at=NAIVE)
        with pytest.raises(TypeError, match="datetime"):
            ask(leaf.der, at="2026-11-21")
    with pytest.raises(ValueError, match="aware"):
        load_trust_list(world.trust_list(), keys=world.list_keys, at=NAIVE)


def test_a_naive_time_does_not_spoil_the_store(world: Any) -> None:
    """A challenge without a zone would lie in the store and break every later one."""
    store = MemoryStore()
    login = Login(verifier(world), store=store)
    with pytest.raises(ValueError, match="aware"):
        login.challenge(session="s", at=NAIVE)
    leaf = world.leaf()
    made = login.challenge(session="s", at=T)
    with pytest.raises(ValueError, match="aware"):
        login.verify(made, leaf.der, leaf.sign(made.data), session="s", at=NAIVE)
    # The challenge was not used up by the mistake.
    assert login.verify(made, leaf.der, leaf.sign(made.data), session="s", at=T).identity.id


def test_other_kinds(world: Any) -> None:
    login = Login(verifier(world))
    for session in (b"s", None, 5):
        with pytest.raises(TypeError, match="session"):
            login.challenge(session=session, at=T)  # type: ignore[arg-type]
    for keys in (None, world.root_file, {}):
        with pytest.raises(TypeError, match="RoleKeys"):
            load_trust_list(world.trust_list(), keys=keys, at=T)


def test_paths_may_be_text(world: Any) -> None:
    """A file's name as text is understood wherever a path is."""
    folder = world.folder
    world.publish(folder, world.trust_list())
    state = FileState(str(folder / "state.json"))
    lists = TrustListFolder(str(folder), root=world.root, state=state)
    world.publish_crls()
    key = load_pairwise_key(str(folder / "pairwise.key"), create=True)
    made = Verifier(
        trust_list=lists, evidence=CrlFolder(str(folder / "crls")), application="tax", pairwise_key=key
    )
    store = SqliteStore(str(folder / "logins.sqlite"))
    login = Login(made, store=store)
    leaf = world.leaf()
    challenge = login.challenge(session="s", at=T)
    assert login.verify(challenge, leaf.der, leaf.sign(challenge.data), session="s", at=T).identity.id
    store.close()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"trust_list": b"{}"}, TypeError),
        ({"trust_list": Path("trust-list.json")}, TypeError),
        ({"trust_list": TrustListFolder}, TypeError),
        ({"evidence": Path("crls")}, TypeError),
        ({"application": None}, TypeError),
        ({"pairwise_key": "secret"}, TypeError),
        ({"pairwise_key": b"short"}, ValueError),
        ({"revocation": "require"}, TypeError),
        ({"revocation": {LOGIN: "require"}}, TypeError),
        ({"algorithms": {"sha256"}}, TypeError),
        ({"limits": 5}, TypeError),
    ],
)
def test_what_a_verifier_is_made_of(world: Any, change: dict[str, Any], error: type[Exception]) -> None:
    """The message names the argument, when the verifier is made and not at the first login."""
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=T)
    with pytest.raises(error, match=next(iter(change))):
        Verifier(**{"trust_list": trust_list, "application": "tax", **change})


def test_keys_of_documents(world: Any) -> None:
    for wrong in (None, "key", world.leaf().certificate):
        with pytest.raises(TypeError, match="public_key"):
            key_id(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="keys"):
        verify_document(world.trust_list(), typ="onecert-trust-list", keys=None)  # type: ignore[arg-type]
