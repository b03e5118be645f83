"""Holders by the signed trust list: the real verifier behind a decision, offline.

trust list (two officers) -> harbour CA -> firm's certificate -> attribute certificate -> policy
"""

import importlib.util
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509

from onecert.pmi.config import PmiConfig
from onecert.pmi.errors import TrustListMissingError
from onecert.pmi.holders.listed import ListedHolders
from onecert.server.clock import FixedClock
from onecert.verifier.errors import CouldNotCheckError, RefusedError

pytestmark = pytest.mark.token


@pytest.fixture(scope="module")
def department() -> ModuleType:
    """The verifier's own test world: three listed CAs."""
    path = Path(__file__).parents[1] / "verifier" / "department" / "conftest.py"
    spec = importlib.util.spec_from_file_location("onecert_department_world", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(department, tmp_path: Path):
    made = department.World(tmp_path / "world")
    (tmp_path / "world").mkdir()
    (tmp_path / "mirror").mkdir()
    made.publish(tmp_path / "mirror", made.trust_list())
    (tmp_path / "trust-root.json").write_bytes(made.root_file)
    made.crls = made.publish_crls()
    return made


def holders(world, folder: Path, lab, **changes) -> ListedHolders:
    values = {"trust_list": str(folder / "mirror"), "crl_folder": world.crls}
    return ListedHolders(
        PmiConfig(**{**values, **changes}),
        folder=folder,
        shared=folder,
        status_url="http://127.0.0.1:9/pmi",
        clock=FixedClock(lab.T),
    )


def test_one_firm_with_a_certificate_of_each_ca_is_one_holder(world, tmp_path: Path, lab) -> None:
    listed = holders(world, tmp_path, lab)
    found = {listed.verify(world.leaf(ca).pem, lab.T).entity for ca in ("pearl", "harbour", "summit")}
    assert found == {"uscc:91440300MA5DEM004J"}
    listed.check()


def test_a_decision_for_a_listed_firm_and_for_a_revoked_one(pmi, world, tmp_path: Path, lab) -> None:
    """The same firm: its certificate of harbour is revoked by that CA, and nothing is decided any more."""
    listed = holders(world, tmp_path, lab)
    for part in (pmi.parts.grants, pmi.parts.decider):
        part._holders = listed
    leaf = world.leaf("harbour")
    pmi.grant(lab.APPROVER_ROLE, holder=leaf.certificate)
    decided = pmi.decide(holder=leaf.certificate)
    assert decided.decision == "permit"
    assert decided.subject.ca_service == "harbour"
    assert decided.subject.attributes["holder_class"]

    world.revoke("harbour", leaf, x509.ReasonFlags.key_compromise)
    world.publish_crls()
    pmi.clock.advance(timedelta(seconds=2))
    with pytest.raises(RefusedError) as caught:
        pmi.decide(holder=leaf.certificate)
    assert "REVOKED" in caught.value.code


def test_without_revocation_lists_nobody_is_believed(world, tmp_path: Path, lab) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CouldNotCheckError):
        holders(world, tmp_path, lab, crl_folder=empty).verify(world.leaf("pearl").pem, lab.T)


def test_without_a_trust_root_nobody_is_believed(world, tmp_path: Path, lab) -> None:
    (tmp_path / "trust-root.json").unlink()
    with pytest.raises(TrustListMissingError):
        holders(world, tmp_path, lab).check()


def test_a_list_that_is_out_of_date_is_an_alarm(world, tmp_path: Path, lab) -> None:
    listed = holders(world, tmp_path, lab)
    listed._clock.advance(timedelta(days=40))
    with pytest.raises(TrustListMissingError):
        listed.check()
