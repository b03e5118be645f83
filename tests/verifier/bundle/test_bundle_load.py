"""What is in a bundle: every member named, whole, signed by whom it must be, and of one moment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_city import DAY, HOUR, City, Members, T, stamp, write_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onecert.testkit.documents import sign_document
from onecert.testkit.trust_roles import RoleHolders, make_keys
from onecert.verifier.bundle import Bundle, load_bundle
from onecert.verifier.bundle import load as module
from onecert.verifier.bundle.policy import load_policy
from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.trust_list import load_trust_root


def load(city: City, path: Path | None = None) -> Bundle:
    root = load_trust_root((city.pki / "trust-root.json").read_bytes())
    return load_bundle(path or city.pki / "bundle.zip", root=root)


def refusal(city: City, **changes: Any) -> str:
    city.bundle(**changes)
    with pytest.raises(VerifyError) as caught:
        load(city)
    for language in ("zh", "en"):
        assert "?" not in caught.value.text(language)
        assert caught.value.text(language) != caught.value.code
    return caught.value.code


def test_what_it_holds(city: City) -> None:
    city.bundle()
    bundle = load(city)
    shown = bundle.as_dict(T + HOUR)
    assert (shown["age_s"], shown["made_at"]) == (3600, stamp(T))
    assert shown["registry"]["entries"] == 1
    assert shown["policy"]["max_age"] == {"login": 7 * 86400, "otherwise": 86400}
    assert len(shown["crls"]) == len(bundle.crls) > 3
    assert json.dumps(shown)


def test_another_file_while_it_is_read(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of somebody else: after the digests were compared, the policy says something else."""
    path = city.bundle()
    compare = module._check_members

    def swap(*given: Any) -> None:
        compare(*given)
        data = path.read_bytes()
        assert data.count(b'"otherwise": 86400') == 1
        path.write_bytes(data.replace(b'"otherwise": 86400', b'"otherwise": 99999'))

    monkeypatch.setattr(module, "_check_members", swap)
    with pytest.raises(MalformedError) as caught:
        load(city)
    assert (caught.value.code, caught.value.facts["name"]) == ("BUNDLE_MEMBER_DIGEST", "policy.json")


def put(name: str, data: bytes) -> Callable[[Members], object]:
    return lambda members: members.update({name: data})


def drop(name: str) -> Callable[[Members], object]:
    return lambda members: members.pop(name)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "extra": ({"change_after": put("notes.txt", b"")}, "BUNDLE_MEMBER_EXTRA"),
    "missing": ({"change_after": drop("crls/pearl.crl")}, "BUNDLE_MEMBER_MISSING"),
    "no manifest": ({"change_after": drop("bundle.json")}, "BUNDLE_MEMBER_MISSING"),
    "longer": (
        {"change_after": lambda m: m.update({"policy.json": m["policy.json"] + b" "})},
        "BUNDLE_MEMBER_SIZE",
    ),
    "altered": (
        {"change_after": lambda m: m.update({"crls/pearl.crl": m["crls/pearl.crl"][:-1] + b"\0"})},
        "BUNDLE_MEMBER_DIGEST",
    ),
    "manifest": ({"change_after": put("bundle.json", b"{}")}, "BUNDLE_MALFORMED"),
    "huge manifest": ({"change_after": put("bundle.json", b"{" * 2_000_000)}, "BUNDLE_MEMBER_SIZE"),
    "stranger": ({"signer": RoleHolders(make_keys(1), 1)}, "BUNDLE_SIGNATURE"),
    "other document": ({"typ": "onecert-trust-timestamp+json"}, "BUNDLE_SIGNATURE"),
    "no list": ({"change": drop("trust-list.json")}, "BUNDLE_CONTENT"),
    "no timestamp": ({"change": drop("trust-timestamp.json")}, "BUNDLE_CONTENT"),
    "half a register": ({"change": drop("registry.jsonl")}, "BUNDLE_CONTENT"),
    "no kind": ({"change": put("other.json", b"")}, "BUNDLE_CONTENT"),
    "crl": ({"change": put("crls/pearl.crl", b"x")}, "BUNDLE_CRL"),
    "policy": ({"change": put("policy.json", b"{}")}, "BUNDLE_POLICY"),
    "times": ({"manifest": {"use_until": stamp(T)}}, "BUNDLE_MALFORMED"),
    "for ever": ({"manifest": {"use_until": stamp(T + 191 * DAY)}}, "BUNDLE_MALFORMED"),
    "unknown key": ({"manifest": {"note": ""}}, "BUNDLE_MALFORMED"),
    "members": ({"manifest": {"members": {}}}, "BUNDLE_MALFORMED"),
    "register's rows": ({"change": put("registry.jsonl", b"")}, "REGISTRY_DATA"),
    "list": ({"change": put("trust-list.json", b"{}")}, "TRUST_LIST_MALFORMED"),
    "root": ({"change": put("trust-roots/2.json", b"{}")}, "TRUST_ROOT_MALFORMED"),
    "gap of roots": ({"change": put("trust-roots/7.json", b"{}")}, "BUNDLE_ROOTS"),
}


@pytest.mark.parametrize(("change", "code"), CHANGES.values(), ids=CHANGES)
def test_wrong_bundles(city: City, change: dict[str, Any], code: str) -> None:
    assert refusal(city, **change) == code


def test_a_member_named_twice(city: City) -> None:
    members = city.members(T)
    named = city.manifest(members, T)["members"]
    assert refusal(city, manifest={"members": [*named, named[0]]}) == "BUNDLE_MALFORMED"


def test_a_signature_of_another_role(city: City) -> None:
    """Two officers who sign lists cannot make a bundle."""
    assert refusal(city, signer=city.holders.list) == "BUNDLE_SIGNATURE"


def test_parts_of_two_moments(city: City) -> None:
    """The timestamp names another list, or another register, than the one at hand."""
    older = city.members(T)
    city.rows[0]["names"] = ["新名称有限公司"]
    newer = city.register(number=2)
    assert refusal(city, change=lambda m: m.update(newer)) == "TRUST_PARTS_MIXED"
    payload = {"LoTE": 1}
    other = sign_document(payload, typ="onecert-trust-list+json", keys=city.holders.list.keys)
    assert older["trust-list.json"] != other
    assert refusal(city, change=put("trust-list.json", other)) == "TRUST_LIST_MALFORMED"


def test_a_timestamp_that_was_over_when_the_bundle_was_made(city: City) -> None:
    old = city.members(T - 3 * DAY)
    code = refusal(city, change=lambda m: m.update({"trust-timestamp.json": old["trust-timestamp.json"]}))
    assert code == "TRUST_TIMESTAMP_EXPIRED"


def test_another_root_of_the_same_version(city: City) -> None:
    other = city.holders.sign_root(at=T - 29 * DAY)
    city.roots = {"trust-roots/1.json": other}
    assert refusal(city) == "TRUST_ROOT_FORK"


def test_a_root_that_the_held_one_did_not_sign(city: City) -> None:
    city.holders.root = RoleHolders(make_keys(2), 2)
    city.roots = {**city.roots, "trust-roots/2.json": city.holders.sign_root(2, at=T - DAY)}
    assert refusal(city) == "TRUST_ROOT_SIGNATURE"


def test_a_department_ahead_of_the_bundle(city: City) -> None:
    """Root 2 arrived by another way; the bundle that still has root 1 alone is signed by keys of both."""
    city.bundle()
    second = city.holders.sign_root(2, at=T - DAY)
    (city.pki / "trust-root.json").write_bytes(second)
    assert load(city).root.version == 2


def test_a_register_without_keys_in_the_root(city: City) -> None:
    registry, city.holders.registry = city.holders.registry, None
    root = city.holders.sign_root(at=T - 30 * DAY)
    (city.pki / "trust-root.json").write_bytes(root)
    city.roots, city.holders.registry = {"trust-roots/1.json": root}, registry
    assert refusal(city) == "REGISTRY_SIGNATURE"


def test_files(city: City) -> None:
    for path in (city.pki / "absent.zip", city.pki):
        with pytest.raises(CouldNotCheckError) as caught:
            load(city, path)
        assert caught.value.code == "BUNDLE_MISSING"
    with pytest.raises(MalformedError):
        load(city, Path(os.devnull))


@pytest.mark.parametrize(
    "policy",
    [
        b"",
        b"[]",
        b'{"version": 2, "max_age": {}}',
        b'{"version": 1}',
        b'{"version": 1, "max_age": {"login": "7 days"}}',
        b'{"version": 1, "max_age": {"login": -1}}',
        b'{"version": 1, "max_age": {"login": 999999999}}',
        b'{"version": 1, "max_age": {"log-in": 1}}',
        b'{"version": 1, "max_age": {}, "closed": {"revoked": "ignore"}}',
        b'{"version": 1, "max_age": {}, "mode": "off"}',
    ],
)
def test_wrong_policies(policy: bytes) -> None:
    """No key of a policy can make anything milder, and a word that is unknown is refused."""
    with pytest.raises(MalformedError) as caught:
        load_policy(policy)
    assert caught.value.code == "BUNDLE_POLICY"


def test_every_member_cut_or_altered_is_refused(city: City) -> None:
    members = {"bundle.json": b"", **city.members(T)}
    manifest = city.manifest({n: d for n, d in members.items() if n != "bundle.json"}, T)
    members["bundle.json"] = sign_document(
        manifest, typ="onecert-bundle+json", keys=city.holders.timestamp.keys
    )
    path = city.pki / "bundle.zip"
    write_zip(path, members)
    assert load(city)
    for name, data in members.items():
        for wrong in (data[:-1], data + b"x", b"", data[:10] + bytes([data[10] ^ 1]) + data[11:]):
            write_zip(path, {**members, name: wrong})
            with pytest.raises(VerifyError):
                load(city)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2**31), data=st.binary(min_size=1, max_size=40), cut=st.booleans())
def test_any_bytes(city: City, place: int, data: bytes, cut: bool) -> None:
    """Octets replaced or cut anywhere: the same bundle, or an error of ours."""
    path = city.pki / "bundle.zip"
    if not path.exists():
        city.bundle()
        city.pki.joinpath("good.zip").write_bytes(path.read_bytes())
    good = city.pki.joinpath("good.zip").read_bytes()
    place %= len(good)
    path.write_bytes(good[:place] + data + (b"" if cut else good[place + len(data) :]))
    try:
        bundle = load(city)
    except VerifyError:
        return
    assert bundle.as_dict(T) == load(city, city.pki / "good.zip").as_dict(T)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_any_file(city: City, data: bytes) -> None:
    path = city.pki / "bundle.zip"
    for content in (data, b"PK\x05\x06" + data, data + b"PK\x05\x06" + b"\0" * 18):
        path.write_bytes(content)
        with pytest.raises(VerifyError):
            load(city)
