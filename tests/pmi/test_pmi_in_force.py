"""What decisions rest on is kept in memory, and yet a change counts from the next decision on.

The change is made by another process: other parts on the same database, which share no memory with ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest

from onecert.pmi.errors import DraftRefusedError, GrantStateError, NoPolicyError, TokenGoneError
from onecert.pmi.issuing.encode import Template
from onecert.pmi.issuing.signing import Signer
from onecert.pmi.models import policies
from onecert.pmi.parts import Parts, assemble
from onecert.pmi.tokens import POLICY_KEY
from onecert.server.database import Database
from onecert.verifier.decision import PolicySource

pytestmark = pytest.mark.token


@pytest.fixture
def another(pmi_on_both, database_url: str) -> Iterator[Parts]:
    """The parts of another process on the same database and the same token."""
    database = Database(database_url)
    context = replace(pmi_on_both.context, database=database)
    made = assemble(pmi_on_both.config, context, holders=pmi_on_both.holders)
    yield made
    made.close()
    database.close()


def test_another_process_changes_what_is_in_force(pmi_on_both, another: Parts, lab) -> None:
    """Policy, catalogue, revocation: each is changed elsewhere, and each counts at once."""
    pmi = pmi_on_both
    grant = pmi.grant(lab.APPROVER_ROLE)
    assert pmi.decide().decision == "permit"
    database = another.context.database

    stricter = PolicySource.from_toml(lab.POLICY.replace("<= 10000", "<= 1000").encode())
    with database.transaction() as connection:
        another.policies.publish(
            connection, stricter, key=another.token.own_key(POLICY_KEY), actor="command:test"
        )
    assert pmi.decide(amount=5000).decision == "deny"
    assert pmi.decide(amount=500).decision == "permit"

    moved = lab.CATALOGUE.replace('authorities = ["tax-office"]\nsecond', 'authorities = ["police"]\nsecond')
    for text, decision in ((moved, "deny"), (lab.CATALOGUE, "permit")):
        with database.transaction() as connection:
            another.catalogues.publish(connection, pmi.catalogue(text), actor="command:test")
        assert pmi.decide().decision == decision

    another.revocations.revoke(grant.serial, reason="privilegeWithdrawn", operator=pmi.officer)
    pushed = pmi.decide(attribute_certificates=[pmi.certificate_der(grant)])
    assert [reason.code for reason in pushed.reasons if reason.kind == "certificate"] == ["REVOKED"]
    assert pmi.decide().decision == "deny"


def test_an_authority_counts_once_another_process_has_installed_it(pmi_on_both, another: Parts, lab) -> None:
    pmi = pmi_on_both
    police = "urn:onecert:role:police.chief"
    permit = f'@id("chief")\npermit(principal in Role::"{police}", action, resource);'
    pmi.publish_policy(lab.POLICY.replace("rules = '''", f"rules = '''\n{permit}\n"))
    assert pmi.decide(amount=99999).decision == "deny"
    certificate = pmi.request_authority("police")
    with another.context.database.transaction() as connection:
        another.authorities.install(
            connection,
            "police",
            certificate,
            [pmi.ca.certificate],
            signer=another.signer,
            actor="command:test",
        )
    assert pmi.decide(amount=99999).decision == "deny"
    another.grants.request(pmi.asked(police, authority="police"), pmi.officer)
    assert pmi.decide(amount=99999).decision == "permit"


def test_a_policy_that_ends_permits_nothing_more(pmi_on_both, another: Parts, lab) -> None:
    pmi = pmi_on_both
    pmi.grant(lab.APPROVER_ROLE)
    assert pmi.decide().decision == "permit"
    with another.context.database.transaction() as connection:
        connection.execute(policies.update().values(active=False))
    with pytest.raises(NoPolicyError):
        pmi.decide()
    with another.context.database.transaction() as connection:
        connection.execute(policies.update().values(active=True))
    assert pmi.decide().decision == "permit"


def test_two_policies_in_force_decide_nothing(pmi, lab) -> None:
    pmi.publish_policy(lab.POLICY.replace("<= 10000", "<= 1000"))
    with pmi.database.transaction() as connection:
        connection.execute(policies.update().values(active=True))
    with pytest.raises(NoPolicyError):
        pmi.decide()


def test_a_decision_asks_the_database_once(pmi_on_both, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has changed: one look-up, no transaction."""
    pmi = pmi_on_both
    grant = pmi.grant(lab.APPROVER_ROLE)
    pmi.decide()
    asked = []
    lookup = pmi.database.lookup
    monkeypatch.setattr(pmi.database, "lookup", lambda *given: asked.append(1) or lookup(*given))
    monkeypatch.setattr(pmi.database, "reading", lambda: pytest.fail("a transaction"))
    assert pmi.decide().decision == "permit"
    assert pmi.decide(attribute_certificates=[]).decision == "deny"
    assert len(asked) == 2
    assert grant.state == "issued"


def test_the_newest_certificates_of_a_holder_count(pmi_on_both, lab) -> None:
    """More certificates than one decision looks at: the newest ones are looked at."""
    pmi = pmi_on_both
    pmi.grant(lab.APPROVER_ROLE)
    for _ in range(pmi.config.decision_max_certificates):
        pmi.clock.advance(timedelta(seconds=1))
        pmi.grant(lab.READER_ROLE)
    assert pmi.decide().roles == (lab.READER_ROLE,)
    pmi.clock.advance(timedelta(seconds=1))
    pmi.grant(lab.APPROVER_ROLE)
    assert pmi.decide().roles == (lab.APPROVER_ROLE, lab.READER_ROLE)


# --- grants ---


def transactions(pmi: Any, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> int:
    """Count the write transactions of an act."""
    begun = []
    original = pmi.database.transaction
    with monkeypatch.context() as patched:
        patched.setattr(pmi.database, "transaction", lambda: begun.append(1) or original())
        act()
    return len(begun)


def test_a_certificate_costs_two_transactions(pmi_on_both, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Request and intent in one, before the key is used; certificate and audit entry in the other."""
    pmi = pmi_on_both
    assert transactions(pmi, monkeypatch, lambda: pmi.grant(lab.READER_ROLE)) == 2
    waiting = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)

    def approve() -> None:
        pmi.parts.grants.approve(waiting.id, pmi.approver, content_sha256=waiting.content_sha256)

    assert transactions(pmi, monkeypatch, approve) == 2


def test_what_is_answered_is_what_is_on_record(pmi_on_both, lab) -> None:
    pmi = pmi_on_both
    for role in (lab.READER_ROLE, lab.APPROVER_ROLE):
        zone = timezone(timedelta(hours=8))
        asked = {"not_before": lab.T.astimezone(zone), "not_after": (lab.T + lab.DAY).astimezone(zone)}
        granted = pmi.grant(role, targets=("urn:example:b", "urn:example:a"), **asked)
        loaded = pmi.parts.grants.load(granted.id)
        assert replace(loaded, holder=granted.holder) == granted
        assert loaded.holder.der == granted.holder.der
        assert granted.not_before.utcoffset() == timedelta(0)


@pytest.mark.parametrize("second_person", [False, True])
def test_a_refused_draft_leaves_what_was_before(
    pmi, lab, monkeypatch: pytest.MonkeyPatch, second_person: bool
) -> None:
    """The request, or its approval, stands or falls with the intent."""
    original = Template.fill
    monkeypatch.setattr(Template, "fill", lambda self, content, _: original(self, content, 5))
    with pytest.raises(DraftRefusedError):
        pmi.grant(lab.APPROVER_ROLE if second_person else lab.READER_ROLE)
    grants, _ = pmi.parts.grants.page()
    assert [grant.state for grant in grants] == (["waiting"] if second_person else [])
    assert ("grant.requested" in pmi.events()) == second_person
    assert "grant.approved" not in pmi.events()


def test_issued_exactly_once_however_many_ask(
    pmi_on_both, another: Parts, lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grant that waits for its certificate is asked for by several threads of two processes at once."""
    pmi = pmi_on_both
    asked = pmi.asked(lab.READER_ROLE, id="00000000-0000-4000-8000-000000000001")
    with monkeypatch.context() as patched:
        patched.setattr(Signer, "sign", lambda *_: (_ for _ in ()).throw(TokenGoneError("pmi")))
        with pytest.raises(TokenGoneError):
            pmi.parts.grants.request(asked, pmi.officer)

    def ask(parts: Parts) -> str:
        try:
            return str(parts.grants.request(asked, pmi.officer).serial)
        except GrantStateError:  # somebody else is at it
            return ""

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(ask, [pmi.parts, another] * 4))
    issued = pmi.parts.grants.load(asked.id).serial
    assert answers - {""} == {issued}
    assert pmi.events().count("attribute_certificate.issued") == 1
