"""The snapshot of the register in a folder: who signed it, whether it is current, what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_files import (
    DAY,
    FIRM,
    KEY,
    OTHER,
    REGNO,
    Register,
    T,
    keys_of,
    row,
    time,
)

from onecert.verifier import VerifyError
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.identity import ClosedEntities, IdentityError
from onecert.verifier.identity.registry_head import load_head


def test_one_entity_by_all_its_numbers(register: Register) -> None:
    snapshot = register.snapshot()
    for number in (f"uscc:{FIRM}", f"org:{FIRM[8:17]}", f"regno:{REGNO}"):
        found = snapshot.find(number, T)
        assert found is not None, number
        assert (found.uscc, found.names, found.state) == (FIRM, ("示例科技有限公司",), "active")
    assert snapshot.find("uscc:91440300K00000014K", T) is None
    assert snapshot.find("org:K00000014", T) is None
    assert snapshot.head(T).as_dict()["entries"] == 2


def test_accounts_of_a_provisional_id_are_found(register: Register) -> None:
    """An account was opened under org:… before the register was there; now the login says uscc:…."""
    changed = {"number": REGNO, "until": time(T - DAY), "evidence": "变更登记 2026-0042"}
    register.write([row(FIRM, regno=[changed])])
    org, regno = register.snapshot().aliases_of(f"uscc:{FIRM}", T)
    assert (org.id, org.canonical, org.evidence) == (f"org:{FIRM[8:17]}", f"uscc:{FIRM}", "")
    assert (regno.id, regno.until, regno.evidence) == (f"regno:{REGNO}", T - DAY, "变更登记 2026-0042")
    assert register.snapshot().aliases_of(f"uscc:{OTHER}", T) == ()


def test_a_number_that_moved_to_another_entity(register: Register) -> None:
    register.write(
        [
            row(FIRM, regno=[{"number": REGNO, "until": time(T)}]),
            row(OTHER, regno=[{"number": REGNO, "from": time(T)}]),
        ]
    )
    snapshot = register.snapshot()
    before, after = (snapshot.find(f"regno:{REGNO}", at) for at in (T - DAY, T))
    assert before is not None
    assert after is not None
    assert (before.uscc, after.uscc) == (FIRM, OTHER)


def test_a_number_of_two_entities_at_once_is_refused(register: Register) -> None:
    register.write([row(FIRM, regno=[REGNO]), row(OTHER, regno=[{"number": REGNO, "from": time(T)}])])
    with pytest.raises(MalformedError) as caught:
        register.snapshot().head(T)
    assert (caught.value.code, caught.value.facts["id"]) == ("REGISTRY_AMBIGUOUS", f"regno:{REGNO}")


def test_names_of_the_time(register: Register) -> None:
    names = [
        {"name": "新名称有限公司", "from": time(T - 10 * DAY)},
        {"name": "旧名称有限公司", "until": time(T - 10 * DAY)},
    ]
    register.write([row(FIRM, names=names)])
    snapshot = register.snapshot()
    for at, expected in ((T, "新名称有限公司"), (T - 11 * DAY, "旧名称有限公司")):
        found = snapshot.find(f"uscc:{FIRM}", at)
        assert found is not None
        assert found.names[0] == expected
        assert len(found.names) == 2


def test_states_of_the_time(register: Register) -> None:
    """Entered, then active, then cancelled; the department lets cancelled entities in with a warning."""
    register.write([row(FIRM, state="cancelled", **{"from": time(T - 100 * DAY)}, until=time(T))])
    snapshot = register.snapshot(closed=ClosedEntities(cancelled="warn"))
    assert snapshot.find(f"uscc:{FIRM}", T - 101 * DAY) is None
    states = [snapshot.find(f"uscc:{FIRM}", at) for at in (T - DAY, T)]
    assert [each and (each.state, each.until) for each in states] == [("active", None), ("cancelled", T)]


@pytest.mark.parametrize(
    ("state", "rules", "code"),
    [
        ("cancelled", {}, "ENTITY_CANCELLED"),
        ("revoked", {}, None),
        ("revoked", {"revoked": "refuse"}, "ENTITY_REVOKED"),
        ("cancelled", {"cancelled": "warn"}, None),
    ],
)
def test_closed_entities(register: Register, state: str, rules: dict[str, str], code: str | None) -> None:
    register.write([row(FIRM, state=state)])
    snapshot = register.snapshot(closed=ClosedEntities(**rules))
    if code is None:
        found = snapshot.find(f"uscc:{FIRM}", T)
        assert found is not None
        assert found.state == state
        return
    with pytest.raises(IdentityError) as caught:
        snapshot.find(f"org:{FIRM[8:17]}", T)
    assert caught.value.code == code


def test_a_policy_that_is_misspelt() -> None:
    with pytest.raises(ValueError, match="revoked"):
        ClosedEntities(revoked="deny")
    strict, mild = ClosedEntities(revoked="refuse"), ClosedEntities(cancelled="warn")
    assert strict.strictest(mild) == ClosedEntities(cancelled="refuse", revoked="refuse")


def test_time_of_a_snapshot(register: Register) -> None:
    snapshot = register.snapshot()
    for at, code in ((T + 30 * DAY, "REGISTRY_EXPIRED"), (T - 2 * DAY, "REGISTRY_FUTURE")):
        # Once before anything is loaded, once after.
        for each in (register.snapshot(), snapshot):
            with pytest.raises(CouldNotCheckError) as caught:
                each.head(at)
            assert caught.value.code == code
        assert snapshot.find(f"uscc:{FIRM}", T)
    with pytest.raises(CouldNotCheckError) as caught:
        snapshot.find(f"uscc:{FIRM}", T + 30 * DAY)
    assert caught.value.code == "REGISTRY_EXPIRED"
    # A form that was signed before the snapshot was made: what held then is what is asked.
    assert register.snapshot().find(f"uscc:{FIRM}", T - 300 * DAY)


def test_never_back(register: Register) -> None:
    register.write([row(FIRM)], number=5)
    register.snapshot().head(T)
    for number, rows, code in ((4, [row(FIRM)], "REGISTRY_ROLLBACK"), (5, [row(OTHER)], "REGISTRY_FORK")):
        register.write(rows, number=number)
        with pytest.raises(RefusedError) as caught:
            register.snapshot().head(T)
        assert caught.value.code == code
    # The root has begun a new epoch of the role: its counter starts again.
    assert register.snapshot(keys=keys_of(KEY, epoch=2)).head(T).number == 5


def test_a_wrong_successor_does_not_replace(register: Register) -> None:
    snapshot = register.snapshot()
    assert snapshot.head(T).number == 1
    register.write(number=2, lines=b"{}\n")
    with pytest.raises(MalformedError):
        snapshot.refresh(T)
    assert snapshot.find(f"uscc:{FIRM}", T)
    # What was not accepted is not remembered either: the right number 2 is welcome.
    register.write([row(OTHER)], number=2)
    assert snapshot.refresh(T).number == 2
    assert snapshot.find(f"uscc:{FIRM}", T) is None


def wrong_heads() -> dict[str, Mapping[str, Any]]:
    file = {"name": "registry.jsonl", "sha256": "0" * 64, "bytes": 0, "entries": 0}
    return {
        "number": {"number": 0},
        "text": {"number": "1"},
        "unknown": {"more": 1},
        "backwards": {"next_update": time(T - 2 * DAY)},
        "for ever": {"next_update": time(T + 200 * DAY)},
        "name": {"file": {**file, "name": "../registry.jsonl"}},
        "digest": {"file": {**file, "sha256": "A" * 64}},
        "bytes": {"file": {**file, "bytes": 2**40}},
        "file": {"file": []},
    }


@pytest.mark.parametrize("change", wrong_heads().values(), ids=wrong_heads())
def test_malformed_heads(register: Register, change: Mapping[str, Any]) -> None:
    register.write([row(FIRM)], head=change)
    with pytest.raises(MalformedError) as caught:
        register.snapshot().head(T)
    assert caught.value.code == "REGISTRY_MALFORMED"
    assert caught.value.text("zh")


def test_signatures(register: Register) -> None:
    for settings_of in ({"key": ec.generate_private_key(ec.SECP256R1())}, {"typ": "onecert-trust-list+json"}):
        register.write([row(FIRM)], **settings_of)  # type: ignore[arg-type]
        with pytest.raises(RefusedError) as caught:
            register.snapshot().head(T)
        assert caught.value.code == "REGISTRY_SIGNATURE"
    register.write([row(FIRM)])
    with pytest.raises(RefusedError) as caught:
        register.snapshot(keys=keys_of(KEY, ec.generate_private_key(ec.SECP256R1()))).head(T)
    assert caught.value.code == "REGISTRY_SIGNATURE"


def test_files_that_do_not_belong_together(register: Register) -> None:
    data = register.folder / "registry.jsonl"
    good = data.read_bytes()
    for wrong in (good[:-1], good + b"\n", good.replace(b"91", b"92", 1), b""):
        data.write_bytes(wrong)
        with pytest.raises(MalformedError) as caught:
            register.snapshot().head(T)
        assert caught.value.code == "REGISTRY_DATA"
    data.unlink()
    with pytest.raises(CouldNotCheckError):
        register.snapshot().head(T)
    (register.folder / "registry.json").unlink()
    with pytest.raises(CouldNotCheckError) as missing:
        register.snapshot().head(T)
    assert missing.value.code == "REGISTRY_MISSING"


def test_a_new_snapshot_is_taken_up_by_itself(register: Register) -> None:
    """The one at hand answers until the new one is prepared."""
    snapshot = register.snapshot()
    assert snapshot.find(f"uscc:{FIRM}", T)
    register.write([row(OTHER)], number=2)
    found = snapshot.find(f"uscc:{FIRM}", T)
    for _ in range(10_000):
        with snapshot._lock:  # the thread that prepares it holds this
            found = snapshot.find(f"uscc:{FIRM}", T)
        if found is None:
            break
    assert found is None
    assert snapshot.head(T).number == 2


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_for_a_head(data: bytes) -> None:
    with pytest.raises(VerifyError):
        load_head(data, keys=keys_of(KEY), at=T + timedelta(0))
