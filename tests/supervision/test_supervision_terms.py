"""What a service may sign and has promised: from the draft to the list that verifiers read, and compared."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.supervision.compare import check_forward, find_changes
from onecert.supervision.draft import draft_json, parse_draft
from onecert.supervision.errors import DraftMalformedError, ListBackwardsError
from onecert.supervision.payload import build_payload, check_payload

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
