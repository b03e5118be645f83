"""The memory of decisions: found, repeated, and compared with what another policy would have said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from onecert.pmi.decisions.errors import DecisionUnknownError
from onecert.verifier.decision import PolicySource

pytestmark = pytest.mark.token


def day_of(pmi):  # type: ignore[no-untyped-def]
    return pmi.clock.now().date()


def test_a_decision_is_repeated_years_later(pmi_on_both, lab) -> None:
    """Revoked and forbidden since: the decision of then is still what it was."""
    pmi = pmi_on_both
    serial = pmi.grant(lab.APPROVER_ROLE).serial
    decided = pmi.decide()
    denied = pmi.decide(holder=pmi.other)
    pmi.clock.advance(timedelta(minutes=1))
    pmi.publish_policy(lab.POLICY.replace("<= 10000", "<= 100").replace("= 500", "= 50"))
    pmi.parts.revocations.revoke(serial, reason="privilegeWithdrawn", operator=pmi.officer)
    pmi.clock.advance(timedelta(days=800))
    for each in (decided, denied):
        replay = pmi.parts.memory.replay(each.id, actor="operator:auditor")
        assert replay.as_dict() == {
            "decision_id": each.id,
            "equal": True,
            "result": each.answer.result.value,
            "rules": list(each.answer.rules),
            "differences": {},
            "missing": [],
        }
    assert pmi.events().count("decision.read") == 2


def test_a_repetition_says_what_differs(pmi, lab, tmp_path) -> None:
    """Somebody has changed the facts, or a status has been recorded for a time before."""
    serial = pmi.grant(lab.APPROVER_ROLE).serial
    decided = pmi.decide()
    pmi.clock.advance(timedelta(minutes=1))
    path = tmp_path / "decisions" / "2026-11-21.facts.jsonl"
    kept = path.read_text()
    path.write_text(kept.replace('"result":"permit"', '"result":"deny"'))
    replay = pmi.parts.memory.replay(decided.id, actor="operator:auditor")
    assert replay.differences["result"] == ("deny", "permit")
    path.write_text(kept)
    with pmi.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE pmi_certificates SET issued_at = NULL WHERE serial = ?", (serial,))
    replay = pmi.parts.memory.replay(decided.id, actor="operator:auditor")
    assert replay.differences["roles"] == ([lab.APPROVER_ROLE], [])


def test_what_is_masked_or_deleted_is_named(pmi, lab, tmp_path) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    pmi.parts.decision_log._masked = frozenset({"amount"})
    decided = pmi.decide(amount=77777)
    assert not any("77777" in file.read_text() for file in (tmp_path / "decisions").glob("*.jsonl"))
    replay = pmi.parts.memory.replay(decided.id, actor="operator:auditor")
    assert (replay.is_equal, replay.missing) == (False, ("masked:amount",))
    for file in (tmp_path / "decisions").glob("*.facts.jsonl"):
        file.unlink()
    assert pmi.parts.memory.replay(decided.id, actor="operator:auditor").missing == ("facts",)
    assert pmi.parts.memory.prune(pmi.clock.now() + timedelta(days=2000)) > 0
    with pytest.raises(DecisionUnknownError):
        pmi.parts.memory.replay(decided.id, actor="operator:auditor")
    with pytest.raises(DecisionUnknownError):
        pmi.parts.memory.show("../../etc/passwd", actor="operator:auditor")


def test_decisions_are_found_by_what_they_say(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    decided = pmi.decide()
    pmi.decide("read")
    day = day_of(pmi)
    lines = pmi.parts.memory.find(day, day, actor="operator:auditor")
    assert [line["action"] for line in lines] == ["read", "approve"]
    for wanted in ({"result": "permit"}, {"rule": "approver-approves"}, {"resource": "Form::7"}):
        found = pmi.parts.memory.find(day, day, actor="operator:auditor", wanted=wanted)
        assert decided.id in [line["decision_id"] for line in found]
    assert pmi.parts.memory.find(day, day, actor="operator:auditor", wanted={"action": "burn"}) == []
    assert pmi.events().count("decisions.searched") == 5


def test_another_policy_is_tried_on_recorded_decisions(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    small, large = pmi.decide(amount=50), pmi.decide(amount=5000)
    stricter = lab.POLICY.replace("<= 10000", "<= 100").replace("= 500", "= 50")
    day = day_of(pmi)
    source = PolicySource.from_toml(stricter.encode())
    changes = [each.as_dict() for each in pmi.parts.memory.difference(source, day, day)]
    assert [(each["decision_id"], each["before"], each["after"]) for each in changes] == [
        (large.id, "permit", "not_applicable")
    ]
    assert small.is_permitted
    same = PolicySource.from_toml(lab.POLICY.encode())
    assert list(pmi.parts.memory.difference(same, day, day)) == []
