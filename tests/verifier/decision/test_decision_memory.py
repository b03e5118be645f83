"""Signed rules, and the log: what is written, what is not, and that nothing is decided without it."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.server.documents import sign_document
from onecert.verifier import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.decision import (
    Act,
    DecisionLog,
    DecisionLogError,
    DecisionRecords,
    PolicyInForce,
    PolicySource,
    PolicyWrongError,
    Resource,
    RoleModel,
    Subject,
    check_policy,
    conclude,
    find_changes,
    read_policy,
    read_rules,
)
from onecert.verifier.decision.published import POLICY_TYP, RULES_TYP, policy_payload, rules_payload

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
TEXT = """
name = "tax"
rules = '''
@id("sees") permit(principal, action == Action::"see", resource is Form)
when { resource.owner == principal.entity };
'''
[[tests]]
name = "nobody sees what is not theirs"
action = "see"
resource = { type = "Form", id = "1", attributes = { owner = "uscc:2" } }
expect = "not_applicable"
"""
SOURCE = PolicySource.from_toml(TEXT.encode())
ONE = Subject(entity="uscc:91440300MA5DEM004J", person="id:440300190001010015", ca_service="pearl")


def rules_document(key: ec.EllipticCurvePrivateKey = KEY, **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "version": 3,
        "model": RoleModel(includes={"urn:x:role:a": ("urn:x:role:b",)}, version=2),
        "issued_at": T,
        "next_update": T + timedelta(days=1),
    }
    return sign_document(rules_payload(SOURCE, **{**values, **changes}), typ=RULES_TYP, keys=[key])


def decide(log: DecisionLog | None = None, owner: str = ONE.entity, at: datetime = T) -> Any:
    policy = PolicyInForce(
        name="tax", version=1, sha256=SOURCE.sha256, engine=check_policy(SOURCE), model=RoleModel()
    )
    form = Resource(type="Form", id="7", attributes={"owner": owner, "phone": "13800000000"})
    act = Act(action="see", resource=form, context={"now": 1, "channel": "web"})
    decision = conclude(policy, ONE, [], act, at=at)
    if log is not None:
        log.write(decision, None)
    return decision


# --- signed rules ---


def test_rules_are_read_under_the_key_that_the_department_knows() -> None:
    read = read_rules(rules_document(), keys=[KEY.public_key()])
    assert (read.policy.name, read.policy.version, read.policy.sha256) == ("tax", 3, SOURCE.sha256)
    assert read.policy.model.with_included(["urn:x:role:a"]) == {"urn:x:role:a", "urn:x:role:b"}
    read.check_fresh(T + timedelta(hours=3))
    for at in (T - timedelta(seconds=1), T + timedelta(days=2)):
        with pytest.raises(CouldNotCheckError) as caught:
            read.check_fresh(at)
        assert caught.value.code == "POLICY_STALE"
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(RefusedError):
        read_rules(rules_document(other), keys=[KEY.public_key()])


def test_older_rules_are_refused_and_a_newer_catalogue_compiles_nothing_again() -> None:
    keys = [KEY.public_key()]
    first = read_rules(rules_document(), keys=keys)
    newer = read_rules(rules_document(issued_at=T + timedelta(hours=1)), keys=keys, before=first)
    assert newer.policy.engine is first.policy.engine
    with pytest.raises(RefusedError) as caught:
        read_rules(rules_document(), keys=keys, before=newer)
    assert caught.value.code == "POLICY_BACKWARDS"


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 64}, {"policy": "other"}, {"content": []}, {"catalogue": {}}, {"catalogue": None},
        {"issued_at": "2026-11-21T09:00:00"}, {"issued_at": 5}, {"version": "x"},
        {"content": {"name": "tax"}},
    ],
)  # fmt: skip
def test_rules_of_another_form_are_refused(change: dict[str, Any]) -> None:
    payload = rules_payload(SOURCE, version=1, model=RoleModel(), issued_at=T, next_update=T)
    document = sign_document({**payload, **change}, typ=RULES_TYP, keys=[KEY])
    with pytest.raises(VerifyError):
        read_rules(document, keys=[KEY.public_key()])


def test_a_version_of_a_policy_is_read_and_another_kind_of_document_is_not() -> None:
    payload = policy_payload(SOURCE, version=4, published_at=T, published_by="command:root")
    document = sign_document(payload, typ=POLICY_TYP, keys=[KEY])
    read = read_policy(document, keys=[KEY.public_key()])
    assert (read.version, read.published_by) == (4, "command:root")
    assert read.source.cases[0].expect == "not_applicable"
    with pytest.raises(VerifyError):
        read_policy(rules_document(), keys=[KEY.public_key()])
    untested = {**payload, "content": {**SOURCE.content, "tests": []}}
    wrong = sign_document(untested, typ=POLICY_TYP, keys=[KEY])
    with pytest.raises(PolicyWrongError):
        read_policy(wrong, keys=[KEY.public_key()])


# --- the log ---


def test_the_time_and_what_is_proved_cannot_be_replaced_by_the_context() -> None:
    decision = decide()
    assert decision.is_permitted
    assert not decide(owner="uscc:2").is_permitted
    assert decision.as_dict("zh")["reasons"][0]["text"] == "规则 sees 允许该操作"


def test_a_line_masks_and_the_facts_are_private(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log", masked=["phone"])
    first, second = decide(log), decide(log, owner="uscc:2")
    lines = [json.loads(line) for line in (tmp_path / "log" / "2026-11-21.jsonl").read_text().splitlines()]
    assert [line["decision_id"] for line in lines] == [first.id, second.id]
    assert lines[0]["subject"] == lines[1]["subject"] == log.mask(ONE.entity)
    assert lines[0]["context"] != lines[1]["context"]
    for path in (tmp_path / "log").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = json.dumps(lines)
    assert ONE.entity not in text
    assert ONE.person not in text
    facts = (tmp_path / "log" / "2026-11-21.facts.jsonl").read_text()
    assert ONE.entity in facts
    assert "13800000000" not in facts
    log.close()


def test_decisions_are_found_by_number_and_by_day(tmp_path: Path) -> None:
    log, records = DecisionLog(tmp_path), DecisionRecords(tmp_path)
    made = [decide(log, at=T + timedelta(days=day)) for day in range(3)]
    for each in made:
        record = records.find(each.id)
        assert record is not None
        assert record.at == each.at
        again = record.as_recorded()
        assert (again.id, again.question.context["now"]) == (each.id, int(each.at.timestamp()))
    assert records.find(made[0].id[:-1] + "0") in (None, records.find(made[0].id))
    assert records.find("no number") is None
    days = T.date(), (T + timedelta(days=1)).date()
    assert [line["decision_id"] for line in records.lines(*days)] == [each.id for each in made[:2]]
    assert list(records.lines(*days, result="deny")) == []
    assert len(list(records.lines(*days, rule="sees", resource="Form::7"))) == 2
    assert records.prune(T + timedelta(days=10), keep=timedelta(days=9)) == 2
    assert records.find(made[0].id) is None
    log.close()


def test_another_policy_is_tried_on_what_was_recorded(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    decision = decide(log)
    text = TEXT.replace("permit(", "forbid(").replace("not_applicable", "deny")
    closed = PolicySource.from_toml(text.replace("uscc:2", ONE.entity).encode())
    recorded = DecisionRecords(tmp_path).recorded(T.date(), T.date())
    model = RoleModel()
    (change,) = find_changes(recorded, (check_policy(SOURCE), model), (check_policy(closed), model))
    assert change.as_dict()["decision_id"] == decision.id
    assert (change.as_dict()["before"], change.as_dict()["after"]) == ("permit", "deny")
    log.close()


@pytest.mark.parametrize("failing", ["write", "open"])
def test_what_cannot_be_logged_is_not_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    log = DecisionLog(tmp_path)
    log.mask("uscc:1")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"onecert.verifier.decision.log.os.{failing}", full)
    with pytest.raises(DecisionLogError) as caught:
        decide(log)
    assert caught.value.code == "DECISION_LOG"
    monkeypatch.undo()
    log.close()


def test_a_secret_that_is_not_one_stops_the_log(tmp_path: Path) -> None:
    (tmp_path / "mask.secret").write_bytes(b"short")
    with pytest.raises(DecisionLogError):
        DecisionLog(tmp_path).mask("uscc:1")


def test_a_log_that_was_tampered_with_is_not_read(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    decision = decide(log)
    (tmp_path / "2026-11-21.jsonl").write_text(f'"decision_id":"{decision.id}" and more{os.linesep}')
    with pytest.raises(DecisionLogError):
        DecisionRecords(tmp_path).find(decision.id)
    log.close()
