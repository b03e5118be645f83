"""Trust lists, each wrong in one way; the same for what is signed around them."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.verifier import MemoryState, load_trust_list

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
Change = Callable[[dict[str, Any]], Any]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def scheme(**values: Any) -> Change:
    return lambda lote: lote["ListAndSchemeInformation"].update(values)


def first_service(lote: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = lote["TrustedEntitiesList"][0]["TrustedEntityServices"][0]
    return found


def extension(critical: bool) -> Change:
    row = {"Type": "urn:example:unknown", "Critical": critical, "Value": {}}
    return lambda lote: first_service(lote)["ServiceInformation"]["ServiceInformationExtensions"].append(row)


def history_that_begins_suspended(lote: dict[str, Any]) -> None:
    first_service(lote)["ServiceInformation"]["ServiceStatus"] = "urn:onecert:service-status:suspended"


def unknown_state(lote: dict[str, Any]) -> None:
    first_service(lote)["ServiceInformation"]["ServiceStatus"] = "urn:onecert:service-status:happy"


def service_twice(lote: dict[str, Any]) -> None:
    services = lote["TrustedEntitiesList"][0]["TrustedEntityServices"]
    services.append(copy.deepcopy(services[0]))


def certificate_is_rubbish(lote: dict[str, Any]) -> None:
    identity = first_service(lote)["ServiceInformation"]["ServiceDigitalIdentity"]
    identity["X509Certificates"] = [{"val": base64.b64encode(b"rubbish").decode()}]


# What the officers signed is wrong: the list says something that is not possible, or is of another time.
SIGNED: list[tuple[str, Change, str]] = [
    ("unknown critical extension", extension(True), "TRUST_LIST_CRITICAL_EXTENSION"),
    ("unknown field", lambda lote: lote.update(Surprise=1), "TRUST_LIST_MALFORMED"),
    ("field missing", lambda lote: lote.pop("TrustedEntitiesList"), "TRUST_LIST_MALFORMED"),
    ("other version", scheme(LoTEVersionIdentifier=2), "TRUST_LIST_MALFORMED"),
    ("other kind of list", scheme(LoTEType="urn:example"), "TRUST_LIST_MALFORMED"),
    ("sequence zero", scheme(LoTESequenceNumber=0), "TRUST_LIST_MALFORMED"),
    ("sequence a text", scheme(LoTESequenceNumber="7"), "TRUST_LIST_MALFORMED"),
    ("sequence true", scheme(LoTESequenceNumber=True), "TRUST_LIST_MALFORMED"),
    ("date that is none", scheme(NextUpdate="soon"), "TRUST_LIST_MALFORMED"),
    ("date without zone", scheme(NextUpdate="2026-12-21T09:00:00"), "TRUST_LIST_MALFORMED"),
    ("ends before it begins", scheme(NextUpdate="2026-11-01T09:00:00Z"), "TRUST_LIST_MALFORMED"),
    ("stale", scheme(NextUpdate="2026-11-21T08:59:00Z"), "TRUST_LIST_EXPIRED"),
    ("of the future", scheme(ListIssueDateTime="2026-11-22T09:00:00Z"), "TRUST_LIST_FUTURE"),
    ("history begins suspended", history_that_begins_suspended, "TRUST_LIST_HISTORY"),
    ("unknown state", unknown_state, "TRUST_LIST_MALFORMED"),
    ("one service twice", service_twice, "TRUST_LIST_MALFORMED"),
    ("certificate is rubbish", certificate_is_rubbish, "TRUST_LIST_MALFORMED"),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in SIGNED], ids=[row[0] for row in SIGNED])
def test_what_was_signed(world: Any, code_of: Callable[..., str], change: Change, code: str) -> None:
    data = world.trust_list(change=change)
    assert code_of(lambda: load_trust_list(data, keys=world.list_keys, at=T)) == code


def test_extension_that_is_not_critical_is_no_fault(world: Any) -> None:
    data = world.trust_list(change=extension(False))
    assert load_trust_list(data, keys=world.list_keys, at=T).sequence == 1


def document(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data)
    return found


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        parts = document(data)
        change(parts)
        return json.dumps(parts).encode()

    return apply


def other_payload(parts: dict[str, Any]) -> None:
    padded = parts["payload"] + "=" * (-len(parts["payload"]) % 4)
    said = base64.urlsafe_b64decode(padded).replace(b'"LoTESequenceNumber":1', b'"LoTESequenceNumber":9')
    parts["payload"] = b64(said)


def key_twice(data: bytes) -> bytes:
    return b'{"payload":"","payload":' + data.partition(b'"payload":')[2]


def deep(parts: dict[str, Any]) -> None:
    parts["payload"] = b64(b"[" * 100_000 + b"]" * 100_000)


# What arrived is wrong: cut off, altered, with too few signatures, or made to hurt. What no officer can have
# written (no signature at all, one twice, too long) is malformed, with the detail; TRUST_LIST_SIGNATURE is
# for what looks like a list and was not signed so: that one is for the security officer.
ARRIVED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("empty", lambda data: b"", "TRUST_LIST_MALFORMED"),
    ("truncated", lambda data: data[:-20], "TRUST_LIST_MALFORMED"),
    ("trailing data", lambda data: data + b"x", "TRUST_LIST_MALFORMED"),
    ("not UTF-8", lambda data: b"\xff" + data, "TRUST_LIST_MALFORMED"),
    ("a page of a web server", lambda data: b"<html>404</html>", "TRUST_LIST_MALFORMED"),
    ("unsigned", changed(lambda parts: parts.update(signatures=[])), "TRUST_LIST_MALFORMED"),
    ("one signature short", changed(lambda parts: parts["signatures"].pop()), "TRUST_LIST_SIGNATURE"),
    (
        "one signature twice",
        changed(lambda parts: parts.update(signatures=parts["signatures"][:1] * 2)),
        "TRUST_LIST_MALFORMED",
    ),
    ("altered", changed(other_payload), "TRUST_LIST_SIGNATURE"),
    (
        "signature altered",
        changed(lambda parts: parts["signatures"][0].update(signature=b64(b"x" * 64))),
        "TRUST_LIST_SIGNATURE",
    ),
    ("payload alone", changed(lambda parts: parts.pop("signatures")), "TRUST_LIST_MALFORMED"),
    ("one key twice", key_twice, "TRUST_LIST_MALFORMED"),
    ("huge", lambda data: data + b" " * 40_000_000, "TRUST_LIST_MALFORMED"),
    ("deep outside", lambda data: b"[" * 100_000, "TRUST_LIST_MALFORMED"),
    ("deep inside", changed(deep), "TRUST_LIST_SIGNATURE"),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in ARRIVED], ids=[row[0] for row in ARRIVED])
def test_what_arrived(
    world: Any, code_of: Callable[..., str], change: Callable[[bytes], bytes], code: str
) -> None:
    data = change(world.trust_list())
    assert code_of(lambda: load_trust_list(data, keys=world.list_keys, at=T)) == code


def test_older_and_forked(world: Any, code_of: Callable[..., str]) -> None:
    """What was accepted here before counts: a lower number, and the same number with other content."""
    state = MemoryState()
    load_trust_list(world.trust_list(5), keys=world.list_keys, at=T, state=state)
    older = world.trust_list(4)
    assert code_of(lambda: load_trust_list(older, keys=world.list_keys, at=T, state=state)) == (
        "TRUST_LIST_ROLLBACK"
    )
    fork = world.trust_list(5, status={"pearl": [("suspended", T - DAY)]})
    assert code_of(lambda: load_trust_list(fork, keys=world.list_keys, at=T, state=state)) == (
        "TRUST_LIST_FORK"
    )
