"""The timestamp: what it says, and every way in which it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.testkit.documents import payload_octets, sign_document
from onecert.testkit.trust_roles import TrustHolders
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.trust_list import (
    Role,
    check_timestamp_current,
    load_trust_root,
    load_trust_timestamp,
)
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
CITY = TrustHolders()
ROOT_FILE = CITY.sign_root(2, at=T)
ROOT = load_trust_root(ROOT_FILE)
# Only number and digest of the list matter here.
LIST_FILE = sign_document(
    {"LoTE": {"ListAndSchemeInformation": {"LoTESequenceNumber": 12}}}, typ="t", keys=CITY.list.keys
)
GOOD = CITY.sign_timestamp(128, at=T, root=ROOT_FILE, trust_list=LIST_FILE)
Payload = dict[str, Any]


def signed(change: Callable[[Payload], Any], typ: str = TIMESTAMP_TYP) -> bytes:
    content = json.loads(payload_octets(GOOD))
    change(content)
    return sign_document(content, typ=typ, keys=CITY.timestamp.keys)


def refusal(call: Callable[[], object]) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        call()
    for language in ("zh", "en"):
        assert "?" not in caught.value.text(language)
        assert caught.value.hint(language)
    return caught.value


def test_a_timestamp_is_read() -> None:
    timestamp = load_trust_timestamp(GOOD, root=ROOT)
    assert (timestamp.version, timestamp.epoch) == (128, 1)
    assert (timestamp.issued_at, timestamp.expires_at) == (T, T + DAY)
    assert (timestamp.root.number, timestamp.root.sha256) == (2, ROOT.sha256)
    assert (timestamp.list.number, timestamp.registry) == (12, None)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda content: content.update(more=1), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content.update(version=0), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content.update(version=2**53), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content.update(expires_at=content["issued_at"]), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content.update(expires_at="2026-11-28T09:00:01Z"), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content.pop("root"), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content.pop("list"), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content["list"].update(more=1), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content["list"].update(sha256="A" * 64), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content["list"].update(sha256="a" * 63), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content.update(registry={"number": 1}), "TRUST_TIMESTAMP_MALFORMED"),
        (lambda content: content["root"].update(sha256="0" * 64), "TRUST_ROOT_FORK"),
        (lambda content: content["root"].update(version=3), "TRUST_ROOT_BEHIND"),
    ],
)
def test_a_wrong_timestamp_is_refused(change: Callable[[Payload], Any], code: str) -> None:
    assert refusal(lambda: load_trust_timestamp(signed(change), root=ROOT)).code == code


def test_the_root_comes_before_the_timestamp_that_names_it() -> None:
    """A moment after a new root was published, the timestamp still names the one before."""
    old = signed(lambda content: content["root"].update(version=1, sha256="0" * 64))
    assert load_trust_timestamp(old, root=ROOT).version == 128


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9999, GOOD[:-9], GOOD + b" " * 2**18])
def test_bytes_that_are_no_timestamp(data: bytes) -> None:
    assert refusal(lambda: load_trust_timestamp(data, root=ROOT)).code == "TRUST_TIMESTAMP_MALFORMED"


def test_who_signs() -> None:
    content = json.loads(payload_octets(GOOD))
    for keys in (CITY.root.keys, CITY.list.keys):
        data = sign_document(content, typ=TIMESTAMP_TYP, keys=keys)
        error = refusal(lambda data=data: load_trust_timestamp(data, root=ROOT))  # type: ignore[misc]
        assert error.code == "TRUST_TIMESTAMP_SIGNATURE"
    other = signed(lambda content: None, typ="onecert-trust-root+json")
    assert refusal(lambda: load_trust_timestamp(other, root=ROOT)).code == "TRUST_TIMESTAMP_SIGNATURE"


def test_times() -> None:
    """Held back is not refused: nobody can tell. A grace is the department's own decision, and shows."""
    timestamp = load_trust_timestamp(GOOD, root=ROOT)
    second, grace = timedelta(seconds=1), timedelta(hours=6)
    early = T - timedelta(minutes=5)
    assert check_timestamp_current(timestamp, early) == ()
    assert check_timestamp_current(timestamp, T + DAY - second, grace=grace) == ()
    future = refusal(lambda: check_timestamp_current(timestamp, early - second))
    assert future.code == "TRUST_TIMESTAMP_FUTURE"
    frozen = refusal(lambda: check_timestamp_current(timestamp, T + DAY))
    assert isinstance(frozen, CouldNotCheckError)
    assert frozen.code == "TRUST_TIMESTAMP_EXPIRED"
    assert check_timestamp_current(timestamp, T + DAY, grace=grace) == ("TRUST_TIMESTAMP_GRACE",)
    with pytest.raises(VerifyError):
        check_timestamp_current(timestamp, T + DAY + grace, grace=grace)


def test_what_it_names() -> None:
    timestamp = load_trust_timestamp(GOOD, root=ROOT)
    named = timestamp.list
    timestamp.check_names(Role.LIST, named.number, named.sha256)
    for number, sha256 in ((11, named.sha256), (13, named.sha256), (12, "0" * 64)):
        error = refusal(lambda n=number, s=sha256: timestamp.check_names(Role.LIST, n, s))  # type: ignore[misc]
        assert error.code == "TRUST_PARTS_MIXED"
    assert refusal(lambda: timestamp.check_names(Role.REGISTRY, 1, "0" * 64)).code == "TRUST_PARTS_MIXED"
