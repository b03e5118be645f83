"""The register that the city publishes beside its list, as a department meets it at a login.

Holders: a firm with its credit code, and the same firm with its old organisation code only.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))

from registry_files import KEY, Register, row

from onecert.testkit.documents import payload_octets, sign_document
from onecert.testkit.trust_roles import RoleHolders, TrustHolders
from onecert.verifier import ClosedEntities, RefusedError, RegistryUnavailableError, Verifier
from onecert.verifier.department import open_verifier
from onecert.verifier.identity.registry import NoRegistry

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRM = "91440300MA5DEM004J"
OLD_CODE = FIRM[8:17]
HOLDERS = TrustHolders(registry=RoleHolders((KEY,), 1))
ROOT = HOLDERS.sign_root(at=T - DAY)


class City:
    """Publishes the register beside the list of ``place``, under a root that has keys for it."""

    def __init__(self, place: Path, site: Path) -> None:
        self.home, self.site = place, site
        self.register = Register(site)
        self.version = 0
        (place / "pki" / "trust-root.json").write_bytes(ROOT)
        listed = site / "trust-list.json"
        payload = json.loads(payload_octets(listed.read_bytes()))
        listed.write_bytes(sign_document(payload, typ="onecert-trust-list+json", keys=HOLDERS.list.keys))
        self.publish([row(FIRM, org=OLD_CODE)])

    def publish(self, rows: list[Any]) -> None:
        self.version += 1
        self.register.write(rows, number=self.version)
        stamped = HOLDERS.sign_timestamp(
            self.version,
            at=T - HOUR,
            root=ROOT,
            trust_list=(self.site / "trust-list.json").read_bytes(),
            registry=(self.site / "registry.json").read_bytes(),
        )
        (self.site / "trust-timestamp.json").write_bytes(stamped)

    def department(self, **settings: Any) -> Verifier:
        address = (self.home / "pki" / "address").read_text().strip()
        return open_verifier(self.home / "pki", trust_list=address, application="tax", **settings)


@pytest.fixture
def city(place: Path, tmp_path: Path) -> City:
    return City(place, tmp_path / "site")


def test_the_city_s_register_is_taken_by_itself(city: City, world: Any) -> None:
    """Both certificates are one holder; its older numbers are at hand for who merges accounts."""
    verifier = city.department()
    for number in (FIRM, OLD_CODE):
        result = verifier.verify(world.leaf("pearl", number=number).der, at=T)
        assert (result.identity.id, result.warnings) == (f"uscc:{FIRM}", ())
    [alias] = verifier.registry.aliases_of(f"uscc:{FIRM}", T)  # type: ignore[attr-defined]  # the city's has it
    assert alias.id == f"org:{OLD_CODE}"


def test_while_it_cannot_be_had(city: City, world: Any) -> None:
    """The credit code is enough; an older number would be somebody else, so nobody is let in by it."""
    (city.site / "registry.jsonl").unlink()
    verifier = city.department()
    result = verifier.verify(world.leaf("pearl").der, at=T)
    assert (result.identity.id, result.warnings) == (f"uscc:{FIRM}", ("REGISTRY_NOT_ASKED",))
    with pytest.raises(RegistryUnavailableError) as caught:
        verifier.verify(world.leaf("pearl", number=OLD_CODE).der, at=T)
    assert caught.value.code == "REGISTRY_UNAVAILABLE"
    assert caught.value.hint("zh")


def test_while_a_newer_one_cannot_be_had(city: City, world: Any) -> None:
    """What the copy knows counts, with a warning."""
    old = world.leaf("pearl", number=OLD_CODE).der
    city.department().verify(old, at=T)
    city.publish([row(FIRM, org=OLD_CODE, state="cancelled")])
    (city.site / "registry.jsonl").unlink()
    verifier = city.department()
    result = verifier.verify(old, at=T)
    assert (result.identity.id, result.warnings) == (f"uscc:{FIRM}", ("REGISTRY_BEHIND",))


def test_closed_firms(city: City, world: Any) -> None:
    """Refused by default, which the department may change."""
    city.publish([row(FIRM, org=OLD_CODE, state="cancelled")])
    leaf = world.leaf("pearl").der
    with pytest.raises(RefusedError) as caught:
        city.department().verify(leaf, at=T)
    assert caught.value.code == "ENTITY_CANCELLED"
    result = city.department(closed=ClosedEntities(cancelled="warn")).verify(leaf, at=T)
    assert result.warnings == ("ENTITY_CLOSED",)


def test_without_it(city: City, world: Any) -> None:
    """A department that wants none, and one whose own mirror has rules of its own."""
    leaf = world.leaf("pearl", number=OLD_CODE).der
    assert city.department(registry=NoRegistry()).verify(leaf, at=T).identity.id == f"org:{OLD_CODE}"
    with pytest.raises(ValueError, match="own"):
        city.department(registry=NoRegistry(), closed=ClosedEntities())
