"""The trust root: every rule broken, one at a time.

root 1 (2 of 2)  <- compared with paper
  └─ root 2      <- signed by the keys of 1 and of 2; good by default, a test changes one thing
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecert.testkit.documents import sign_document
from onecert.testkit.trust_roles import RoleHolders, TrustHolders, make_keys, public_row
from onecert.verifier.errors import VerifyError
from onecert.verifier.trust_list import Role, TrustRoot, check_root_current, load_trust_root, next_trust_root
from onecert.verifier.trust_list.root import ROOT_MAX_BYTES, ROOT_TYP

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
YEAR = timedelta(days=365)
CITY = TrustHolders()
FIRST = CITY.sign_root(at=T)
Payload = dict[str, Any]


def payload(version: int = 1, **changes: Any) -> Payload:
    return {**CITY.root_payload(version, at=T, lasts=YEAR), **changes}


def signed(content: Payload, keys: Any = CITY.root.keys, typ: str = ROOT_TYP) -> bytes:
    return sign_document(content, typ=typ, keys=keys)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(VerifyError) as caught:
        call()
    for language in ("zh", "en"):
        assert "?" not in caught.value.text(language)
        assert caught.value.text(language) != caught.value.code
        assert caught.value.hint(language)
    return caught.value.code


def test_a_root_is_read() -> None:
    root = load_trust_root(FIRST)
    assert (root.version, root.issued_at, root.expires_at) == (1, T, T + YEAR)
    assert list(root.roles) == [Role.ROOT, Role.LIST, Role.TIMESTAMP]
    assert (root.list_keys.threshold, root.list_keys.epoch, len(root.list_keys.keys)) == (2, 1, 2)
    assert root.fingerprint.replace(" ", "") == root.sha256
    assert [len(group) for group in root.fingerprint.split(" ")] == [4] * 16
    assert root.as_dict()["roles"]["timestamp"]["threshold"] == 1


def test_one_more_signature_is_the_same_root() -> None:
    """The fingerprint is that of the payload: who signs later does not change it."""
    stranger = make_keys(1)
    more = signed(json.loads(json.dumps(payload())), keys=(*CITY.root.keys, *stranger))
    assert load_trust_root(more).sha256 == load_trust_root(signed(payload())).sha256


def role(name: str, **changes: Any) -> Callable[[Payload], None]:
    return lambda content: content["roles"][name].update(changes)


def without(*path: str) -> Callable[[Payload], None]:
    def change(content: Payload) -> None:
        for name in path[:-1]:
            content = content[name]
        del content[path[-1]]

    return change


def key_of_root_for(name: str) -> Callable[[Payload], None]:
    return lambda content: content["roles"][name].update(keys=content["roles"]["root"]["keys"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda content: content.update(more=1), "TRUST_ROOT_MALFORMED"),
        (lambda content: content.update(version=0), "TRUST_ROOT_MALFORMED"),
        (lambda content: content.update(version=2**53), "TRUST_ROOT_MALFORMED"),
        (lambda content: content.update(version=True), "TRUST_ROOT_MALFORMED"),
        (lambda content: content.update(expires_at=content["issued_at"]), "TRUST_ROOT_MALFORMED"),
        (lambda content: content.update(expires_at="2032-11-21T09:00:00Z"), "TRUST_ROOT_MALFORMED"),
        (
            lambda content: content.update(
                issued_at="9999-12-31T00:00:00Z", expires_at="9999-12-31T23:59:59Z", version=-1
            ),
            "TRUST_ROOT_MALFORMED",
        ),
        (without("issued_at"), "TRUST_ROOT_MALFORMED"),
        (without("roles", "list"), "TRUST_ROOT_MALFORMED"),
        (without("roles", "timestamp"), "TRUST_ROOT_MALFORMED"),
        (without("roles", "list", "epoch"), "TRUST_ROOT_MALFORMED"),
        (lambda content: content["roles"].update(mirror=content["roles"]["list"]), "TRUST_ROOT_MALFORMED"),
        (role("root", epoch=1), "TRUST_ROOT_MALFORMED"),
        (role("list", threshold=0), "TRUST_ROOT_MALFORMED"),
        (role("list", threshold=3), "TRUST_ROOT_MALFORMED"),
        (role("list", epoch=0), "TRUST_ROOT_MALFORMED"),
        (role("list", keys=[]), "TRUST_ROOT_MALFORMED"),
        (role("list", keys=[public_row(CITY.list.keys[0])] * 2), "TRUST_ROOT_MALFORMED"),
        (role("list", keys=[{**public_row(CITY.list.keys[0]), "kid": "x"}]), "TRUST_ROOT_MALFORMED"),
        (
            role("list", keys=[{**public_row(CITY.list.keys[0]), "spki_pem": "none"}]),
            "TRUST_ROOT_MALFORMED",
        ),
        (role("root", threshold=1, keys=[public_row(key) for key in make_keys(1)]), "TRUST_ROOT_SIGNATURE"),
        (key_of_root_for("list"), "TRUST_ROOT_KEY_SHARED"),
        (key_of_root_for("timestamp"), "TRUST_ROOT_KEY_SHARED"),
        (
            lambda content: content["roles"].update(registry=content["roles"]["list"]),
            "TRUST_ROOT_KEY_SHARED",
        ),
    ],
)
def test_a_wrong_root_is_refused(change: Callable[[Payload], Any], code: str) -> None:
    content = payload()
    change(content)
    assert refusal(lambda: load_trust_root(signed(content))) == code


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"\xff" * 99, b"[" * 9999, FIRST[:-30], b'{"payload":"","signatures":[]}', b" " * 2**21],
)
def test_bytes_that_are_no_root(data: bytes) -> None:
    assert refusal(lambda: load_trust_root(data)) == "TRUST_ROOT_MALFORMED"
    assert refusal(lambda: next_trust_root(load_trust_root(FIRST), data)) == "TRUST_ROOT_MALFORMED"


def test_size() -> None:
    big = FIRST[:-1] + b" " * (ROOT_MAX_BYTES - len(FIRST)) + b"}"
    assert load_trust_root(big).version == 1
    assert refusal(lambda: load_trust_root(big + b" ")) == "TRUST_ROOT_MALFORMED"


def test_who_signs_the_first() -> None:
    one, two = CITY.root.keys
    assert refusal(lambda: load_trust_root(signed(payload(), keys=[one]))) == "TRUST_ROOT_SIGNATURE"
    assert refusal(lambda: load_trust_root(signed(payload(), keys=CITY.list.keys))) == "TRUST_ROOT_SIGNATURE"
    other = signed(payload(), typ="onecert-trust-list+json")
    assert refusal(lambda: load_trust_root(other)) == "TRUST_ROOT_SIGNATURE"
    altered = json.loads(FIRST)
    altered["payload"] = json.loads(signed(payload(2)))["payload"]
    assert refusal(lambda: load_trust_root(json.dumps(altered).encode())) == "TRUST_ROOT_SIGNATURE"
    assert two is not one


def following(current: TrustRoot, content: Payload, keys: Any) -> TrustRoot:
    return next_trust_root(current, signed(content, keys=keys))


def test_the_holders_hand_over() -> None:
    """New holders: both the old and the new must have signed, each by their own threshold."""
    current = load_trust_root(FIRST)
    old, new = CITY.root, RoleHolders(make_keys(3), 2)
    content = TrustHolders(root=new, list=CITY.list, timestamp=CITY.timestamp).root_payload(
        2, at=T, lasts=YEAR
    )
    assert following(current, content, (*old.keys, *new.keys[:2])).version == 2
    for keys in ((*old.keys, new.keys[0]), (old.keys[0], *new.keys), new.keys, old.keys):
        assert refusal(lambda keys=keys: following(current, content, keys)) == "TRUST_ROOT_SIGNATURE"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("version", "changes", "code"),
    [
        (1, {"expires_at": "2026-12-21T09:00:00Z"}, "TRUST_ROOT_FORK"),
        (1, {}, "TRUST_ROOT_FORK"),
        (3, {}, "TRUST_ROOT_SKIPPED"),
        (2**53 - 1, {}, "TRUST_ROOT_SKIPPED"),
    ],
)
def test_the_very_next_version(version: int, changes: Payload, code: str) -> None:
    current = load_trust_root(FIRST)
    content = payload(version, **changes)
    assert refusal(lambda: following(current, content, CITY.root.keys)) == code


def test_an_old_root_is_named_as_such_although_other_keys_signed_it() -> None:
    fresh = TrustHolders()
    second = load_trust_root(fresh.sign_root(2, at=T))
    assert refusal(lambda: next_trust_root(second, FIRST)) == "TRUST_ROOT_ROLLBACK"


@pytest.mark.parametrize("name", ["list", "timestamp", "registry"])
def test_an_epoch_never_goes_back(name: str) -> None:
    registry = RoleHolders(make_keys(1), 1)
    city = TrustHolders(root=CITY.root, registry=registry)
    getattr(city, name).epoch = 3
    current = load_trust_root(city.sign_root(at=T))
    for epoch, accepted in ((2, False), (3, True), (4, True), (2**53 - 1, True)):
        getattr(city, name).epoch = epoch
        data = city.sign_root(2, at=T)
        if accepted:
            assert next_trust_root(current, data).roles[Role(name)].epoch == epoch
        else:
            assert refusal(lambda data=data: next_trust_root(current, data)) == "TRUST_ROOT_EPOCH"  # type: ignore[misc]


def test_times() -> None:
    root = load_trust_root(FIRST)
    second = timedelta(seconds=1)
    check_root_current(root, T - timedelta(minutes=5))
    check_root_current(root, T + YEAR - second)
    early = T - timedelta(minutes=5) - second
    assert refusal(lambda: check_root_current(root, early)) == "TRUST_ROOT_FUTURE"
    assert refusal(lambda: check_root_current(root, T + YEAR)) == "TRUST_ROOT_EXPIRED"


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in pairs for found in places(inner, (*path, key)))]


STRANGE = st.sampled_from(
    [None, True, -1, 0, 2**53, "", "x" * 70_000, "\ud800", "9999-12-31T23:59:59Z", [], {}, [[]] * 40, "١"]
)


@given(data=st.data())
def test_anything_anywhere(data: st.DataObject) -> None:
    """Any value at any place, signed as it should be: a root, or an error of ours."""
    content = json.loads(json.dumps(payload(2)))
    path = data.draw(st.sampled_from(places(content)[1:]))
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(STRANGE)
    text = json.dumps(content).encode()
    document = json.loads(signed(payload(2)))
    for whole in (signed(content) if b"\\ud800" not in text else text, text, json.dumps(document).encode()):
        for call in (load_trust_root, partial(next_trust_root, load_trust_root(FIRST))):
            with contextlib.suppress(VerifyError):
                assert call(whole).version == 2


@given(data=st.binary(max_size=200))
def test_any_octets(data: bytes) -> None:
    with pytest.raises(VerifyError):
        load_trust_root(data)
