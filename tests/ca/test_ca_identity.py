"""What our authorities write is what the verifier reads: three forms, one identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onecert.verifier.identity import PersonRule, identify, load_profile

PROFILES = Path(__file__).parents[2] / "demo" / "profiles"
USCC, IDCARD = "91440300MA5DEM004J", "440300190001010015"


@pytest.fixture
def three(empty_world: Any) -> Any:
    for name in ("pearl", "harbour", "summit"):
        empty_world.hold(name)
    return empty_world.register("pearl:*", "harbour:*", "summit:*")


def identity_of(world: Any, authority: str, **order: Any) -> Any:
    issued = world.issue(authority=authority, **order)
    return identify(
        issued.record.certificate_der,
        load_profile((PROFILES / f"{authority}.json").read_bytes()),
        ca_service=authority,
        at=world.clock.now(),
        persons=PersonRule(pairwise_key=b"k" * 32, application="tax"),
    )


def test_one_firm_three_authorities_one_identity(three: Any) -> None:
    found = [
        identity_of(three, name, identity={"uscc": USCC}) for name in ("pearl", "harbour", "summit", "pearl")
    ]
    assert {each.entity.id for each in found} == {f"uscc:{USCC}"}
    # The second certificate of pearl is for the firm's second key there.
    assert (found[0].key_number, found[3].key_number) == (10001, 10002)


def test_agent_never_becomes_the_entity(three: Any) -> None:
    found = identity_of(three, "harbour", identity={"uscc": USCC, "agent_idcard": IDCARD})
    assert found.entity.id == f"uscc:{USCC}"
    assert found.person is not None


@pytest.mark.parametrize("authority", ["pearl", "harbour", "summit"])
def test_citizens(three: Any, authority: str) -> None:
    subject = {"common_name": "张三", "country": "CN"}
    found = identity_of(three, authority, profile="citizen", subject=subject, identity={"idcard": IDCARD})
    assert found.entity is None
    assert found.person is not None
