"""A department decides by itself: signed rules, pulled certificates, published lists; delegations too."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.pmi.tokens import POLICY_KEY
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.certificate import as_parsed
from onecert.verifier.decision import Act, Resource
from onecert.verifier.enforce.online import open_privileges
from onecert.verifier.enforce.web import DeniedError, Guard
from onecert.verifier.errors import CouldNotCheckError, RefusedError
from onecert.verifier.fetch.transfer import FetchAnswer, FetchRequest

pytestmark = pytest.mark.token

MINUTE = timedelta(minutes=1)
ACT = Act(action="approve", resource=Resource(type="Form", id="7", attributes={"amount": 500}))


class Wire:
    """A ``Fetch`` to the PMI's application and its published lists; can be away, and can lie."""

    def __init__(self, pmi) -> None:
        self.pmi, self.client = pmi, pmi.client()
        self.is_away = False
        self.asked: list[str] = []
        self.lie: dict[str, bytes] = {}

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        self.asked.append(request.url)
        if self.is_away:
            raise CouldNotCheckError("FETCH_FAILED", url=request.url, detail="away")
        for part, data in self.lie.items():
            if part in request.url:
                return FetchAnswer(data=data)
        name = request.url.rpartition("/")[2]
        if name.endswith(".acrl"):
            with self.pmi.database.reading() as connection:
                return FetchAnswer(data=self.pmi.parts.publisher.newest(connection, name[:-5]).der)
        found = self.client.get(request.url.removeprefix("https://pmi.example/pmi"))
        assert found.status_code == 200, found.data
        return FetchAnswer(data=found.data)


class HolderClass(Enum):
    EMPLOYEE = "employee"


class Identities:
    """What a department's verifier of identities says of the holders that this PMI knows."""

    def __init__(self, holders) -> None:
        self.holders = holders

    def verify(self, certificate: Any, *, at: Any) -> Any:
        parsed = as_parsed(certificate)
        found = self.holders.verify(parsed.der, at)
        entity = SimpleNamespace(id=found.entity)
        identity = SimpleNamespace(
            id=found.entity,
            entity=entity,
            person=None,
            ca_service=found.ca_service,
            holder_class=HolderClass.EMPLOYEE,
            assurance="high",
        )
        path = SimpleNamespace(target=parsed)
        return SimpleNamespace(certificate=parsed, path=path, identity=identity)


@pytest.fixture
def wire(pmi):
    return Wire(pmi)


@pytest.fixture
def office(pmi, wire, tmp_path: Path):
    return open_office(pmi, wire, tmp_path / "office")


def open_office(pmi, wire, folder: Path, **changes: Any) -> Guard:
    values = {"policy_keys": [pmi.parts.token.own_key(POLICY_KEY).public_key()], **changes}
    privileges = open_privileges(
        folder,
        repository="https://pmi.example/pmi",
        identities=Identities(pmi.holders),
        target=TargetIdentity.from_uris("urn:onecert:app:tax-office"),
        fetch=wire,
        clock=pmi.clock.now,
        **values,
    )
    return Guard(
        privileges,
        source=privileges.source,
        obligations={"record the file number": lambda _decision: True},
        clock=pmi.clock.now,
    )


def may(office: Guard, pmi) -> bool:
    try:
        office.check(as_parsed(pmi.holder).der, ACT)
    except DeniedError:
        return False
    return True


def test_a_sub_bureaus_grant_counts_until_it_is_revoked(pmi, lab, office, wire) -> None:
    """Only one key and one address are known; the delegation and both lists are found and verified."""
    bureau = pmi.add_authority("bureau")
    pmi.delegate("tax-office", bureau, lab.APPROVER_ROLE, depth=0)
    pmi.parts.publisher.renew(pmi.clock.now())
    assert not may(office, pmi)
    grant = pmi.grant(lab.APPROVER_ROLE, authority="bureau")
    pmi.clock.advance(MINUTE)
    assert may(office, pmi)
    assert {each.rpartition("/")[2] for each in wire.asked if each.endswith(".acrl")} == {
        "tax-office.acrl",
        "bureau.acrl",
    }
    pmi.parts.revocations.revoke(grant.serial, reason="affiliationChanged", operator=pmi.officer)
    pmi.clock.advance(MINUTE)
    assert not may(office, pmi)


def test_a_revoked_delegation_ends_what_was_given_under_it(pmi, lab, office) -> None:
    bureau = pmi.add_authority("bureau")
    above = pmi.delegate("tax-office", bureau, lab.APPROVER_ROLE, depth=0)
    pmi.grant(lab.APPROVER_ROLE, authority="bureau")
    pmi.parts.publisher.renew(pmi.clock.now())
    assert may(office, pmi)
    pmi.parts.revocations.revoke(above.serial, reason="privilegeWithdrawn", operator=pmi.administrator)
    pmi.clock.advance(MINUTE)
    assert not may(office, pmi)


def test_while_the_city_is_away_what_is_at_hand_serves_until_it_ends(
    pmi, lab, office, wire, tmp_path: Path
) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    assert may(office, pmi)
    wire.is_away = True
    pmi.clock.advance(timedelta(hours=3))
    assert may(office, pmi)
    # After a restart the rules are there, but nobody can tell who holds what.
    with pytest.raises(CouldNotCheckError):
        may(open_office(pmi, wire, tmp_path / "office"), pmi)
    pmi.clock.advance(timedelta(hours=30))
    with pytest.raises(CouldNotCheckError):
        may(office, pmi)


def test_rules_of_another_key_are_not_rules(pmi, lab, wire, tmp_path: Path) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(RefusedError):
        may(open_office(pmi, wire, tmp_path / "other", policy_keys=[other]), pmi)


def test_a_repository_that_lies_can_only_keep_something_back(pmi, lab, office, wire) -> None:
    """An older list, somebody else's list, garbage: what was read before stays, and then nobody can tell."""
    grant = pmi.grant(lab.APPROVER_ROLE)
    with pmi.database.reading() as connection:
        before = pmi.parts.publisher.newest(connection, "tax-office").der
    assert may(office, pmi)
    pmi.parts.revocations.revoke(grant.serial, reason="affiliationChanged", operator=pmi.officer)
    pmi.clock.advance(MINUTE)
    assert not may(office, pmi)
    # The certificate is presented again by its holder, and the list of before by whoever stands between.
    wire.lie[".acrl"] = before
    pmi.clock.advance(MINUTE)
    assert not may(office, pmi)
    wire.lie[".acrl"] = b"\x30\x00"
    pmi.clock.advance(MINUTE)
    assert not may(office, pmi)


def test_a_certificate_for_another_department_does_not_count_here(pmi, lab, office) -> None:
    pmi.grant(lab.APPROVER_ROLE, targets=("urn:onecert:app:land-office",))
    with pytest.raises(DeniedError) as caught:
        office.check(as_parsed(pmi.holder).der, ACT)
    assert "TARGET" in [reason.code for reason in caught.value.decision.reasons]
