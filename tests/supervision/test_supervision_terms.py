"""What a service may sign and has promised: from the draft to the list that verifiers read, and compared."""

import base64
import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.supervision.compare import check_forward, find_changes
from onecert.supervision.draft import draft_json, parse_draft
from onecert.supervision.errors import DraftMalformedError, DraftRefusedError, ListBackwardsError
from onecert.supervision.payload import build_payload, check_payload
from onecert.testkit.trust_roles import TrustHolders

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
TERMS = {
    "policies": ["1.2.156.99.1"],
    "algorithms": [
        {"name": "ecdsa-sha256"},
        {"name": "rsa-sha1", "until": "2020-01-01T00:00:00Z", "rsa_min_bits": 1024},
    ],
    "sla": {
        "revocation_hours": 24,
        "crl_hours": 24,
        "ocsp_permille": 999,
        "statement": "https://ca.example/",
    },
}


def with_terms(draft: dict[str, Any], **changes: Any) -> dict[str, Any]:
    draft = copy.deepcopy(draft)
    draft["services"][0].update(TERMS | changes)
    return draft


def test_from_draft_to_list(world: Any) -> None:
    draft = parse_draft(with_terms(world.draft_json(), type="tsa"))
    assert parse_draft(draft_json(draft)) == draft
    payload = build_payload(draft, sequence=1, issued_at=T, next_update=T + timedelta(days=30))
    service = check_payload(payload).services[0]
    assert service.is_timestamp_authority
    shown = service.as_dict(T)
    assert (shown["policies"], shown["algorithms"], shown["service_level"]) == (
        TERMS["policies"],
        TERMS["algorithms"],
        TERMS["sla"],
    )


def test_changes_are_named(world: Any) -> None:
    draft = world.draft_json()
    before, after = parse_draft(draft), parse_draft(with_terms(draft))
    assert [change.code for change in find_changes(before, after)] == ["policies", "algorithms", "sla"]
    assert "1.2.156.99.1" in find_changes(before, after)[0].spoken()
    check_forward(before, after, at=T)


def test_a_ca_does_not_become_a_timestamp_authority(world: Any) -> None:
    """Old certificates would lose their issuer."""
    draft = world.draft_json()
    before, after = parse_draft(draft), parse_draft(with_terms(draft, type="tsa"))
    with pytest.raises(ListBackwardsError):
        check_forward(before, after, at=T)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "ra"},
        {"policies": []},
        {"policies": ["gold"]},
        {"algorithms": [{"name": "x", "y": 1}]},
        {"sla": {"crl_hours": 0}},
    ],
)
def test_wrong_terms(world: Any, change: dict[str, Any]) -> None:
    with pytest.raises(DraftMalformedError):
        parse_draft(with_terms(world.draft_json(), **change))


def pointing(world: Any, **changes: Any) -> dict[str, Any]:
    root = TrustHolders().sign_root(1, at=T)
    pointer = {
        "id": "gd",
        "location": "https://gd.example/trust-list.json",
        "operator": {"zh": "某省", "en": "Province"},
        "root": base64.b64encode(root).decode(),
        "history": [{"status": "granted", "from": "2026-01-01T00:00:00Z"}],
        "id_types": ["uscc"],
        "classes": ["organisation"],
        "services": ["pearl"],
        "policies": ["1.2.156.99.1"],
    }
    return {**world.draft_json(), "pointers": [pointer | changes]}


def test_pointers_go_into_the_list(world: Any) -> None:
    draft = parse_draft(pointing(world))
    assert parse_draft(draft_json(draft)) == draft
    payload = build_payload(draft, sequence=1, issued_at=T, next_update=T + timedelta(days=30))
    (pointer,) = check_payload(payload).pointers
    assert pointer.terms is not None
    assert (pointer.terms.id, pointer.terms.services) == ("gd", ("pearl",))
    assert pointer.terms.policies == ("1.2.156.99.1",)


def test_changes_of_pointers(world: Any) -> None:
    first = pointing(world)
    later = copy.deepcopy(first)
    later["pointers"][0]["history"].append({"status": "suspended", "from": "2026-12-01T00:00:00Z"})
    later["pointers"][0]["classes"] = ["citizen"]
    without, one, two = parse_draft(first | {"pointers": []}), parse_draft(first), parse_draft(later)
    assert [change.code for change in find_changes(without, one)] == ["pointer_added"]
    assert [change.code for change in find_changes(one, two)] == ["pointer_status", "pointer_scope"]
    check_forward(without, one, at=T)
    check_forward(one, two, at=T)
    for backwards in (
        without,
        parse_draft(
            pointing(world, history=[first["pointers"][0]["history"][0] | {"from": "2026-02-01T00:00:00Z"}])
        ),
    ):
        with pytest.raises(ListBackwardsError):
            check_forward(one, backwards, at=T)


@pytest.mark.parametrize(
    "change", [{"root": "AAAA"}, {"id": "GD"}, {"id_types": ["name"]}, {"location": "ftp://gd.example/"}]
)
def test_wrong_pointers_are_refused(world: Any, change: dict[str, Any]) -> None:
    draft = parse_draft(pointing(world, **change))
    payload = build_payload(draft, sequence=1, issued_at=T, next_update=T + timedelta(days=30))
    with pytest.raises(DraftRefusedError):
        check_payload(payload)
