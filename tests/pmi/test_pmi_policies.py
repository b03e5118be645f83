"""Policies of the service: signed, counted, loaded only when our key signed them; and the line of each."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import update

from onecert.pmi.errors import NoPolicyError
from onecert.pmi.models import policies
from onecert.verifier.decision import DecisionLogError, PolicyTestsFailedError, PolicyWrongError

pytestmark = pytest.mark.token


def test_publishing_counts_versions_and_replaces(pmi_on_both, lab) -> None:
    pmi = pmi_on_both
    pmi.grant(lab.APPROVER_ROLE)
    assert pmi.decide(amount=5000).decision == "permit"
    second = pmi.publish_policy(lab.POLICY.replace("<= 10000", "<= 1000"))
    assert second.version == 2
    decided = pmi.decide(amount=5000)
    assert (decided.decision, decided.policy.sha256) == ("deny", second.sha256)


def test_only_what_the_token_key_signed_decides(pmi, lab) -> None:
    """Somebody writes another policy into the database: nothing is decided by it."""
    pmi.grant(lab.APPROVER_ROLE)
    with pmi.database.transaction() as connection:
        document = connection.exec_driver_sql("SELECT document FROM pmi_policies").scalar()
        opened = json.loads(document)
        opened["payload"] = opened["payload"][:-4] + "AAAA"
        connection.execute(update(policies).values(document=json.dumps(opened).encode(), sha256="0" * 64))
    with pytest.raises(NoPolicyError):
        pmi.decide()


def test_without_a_policy_nothing_is_decided(bare_pmi) -> None:
    with pytest.raises(NoPolicyError):
        bare_pmi.decide()


# --- the decision log ---


def test_a_decision_is_one_line_without_names(pmi, lab, tmp_path) -> None:
    grant = pmi.grant(lab.APPROVER_ROLE)
    decided = pmi.decide()
    pmi.decide(holder=pmi.other)
    lines = (tmp_path / "decisions" / "2026-11-21.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["decision_id"] == decided.id
    assert first["policy_sha256"] == decided.policy.sha256
    assert first["attribute_certificates"] == [
        {"serial": grant.serial, "authority": "tax-office", "path": [], "findings": []}
    ]
    assert (first["result"], first["rules"]) == ("permit", ["approver-approves"])
    assert first["subject"].startswith("uscc:#")
    assert first["subject"] != second["subject"]
    assert "91440300" not in lines[0]
    assert "张三" not in lines[0]


def test_a_decision_that_cannot_be_logged_is_not_given(pmi, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    pmi.decide()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onecert.verifier.decision.log.os.write", full)
    with pytest.raises(DecisionLogError):
        pmi.decide()


def test_what_is_wrong_changes_nothing(pmi, lab) -> None:
    wrong = lab.POLICY.replace("amount = 500", "amount = 50000", 1)
    for text, error in ((wrong, PolicyTestsFailedError), ("name", PolicyWrongError)):
        with pytest.raises(error):
            pmi.publish_policy(text)
    with pmi.database.reading() as connection:
        assert [row["version"] for row in pmi.parts.policies.history(connection)] == [1]
        assert pmi.parts.policies.load_version(connection, "tax", 1).source.name == "tax"
        with pytest.raises(NoPolicyError):
            pmi.parts.policies.load_version(connection, "tax", 2)
