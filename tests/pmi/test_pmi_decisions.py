"""Decisions over HTTP and in a department's own process: the same rules, the same answers."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError
from onecert.verifier.decision import Act, Decider, DecisionLog, Resource, Result, read_rules
from onecert.verifier.identity import Entity, HolderClass, Identity

pytestmark = pytest.mark.token

FORM = {"type": "Form", "id": "7", "attributes": {"amount": 500}}


class Identities:
    """Stands for the department's ``Verifier``: knows one certificate."""

    def __init__(self, certificate: Any, entity: str) -> None:
        found = Identity(
            id=entity, name="张三", holder_class=HolderClass.ORGANISATION, assurance="substantial",
            entity=Entity(id=entity, provisional=False), person=None, ca_service="pearl", key_number=None,
            claims=(), warnings=(),
        )  # fmt: skip
        self.verified = SimpleNamespace(identity=found, certificate=certificate)

    def verify(self, certificate: bytes, *, at: Any) -> Any:
        return self.verified


def test_a_department_decides_in_its_own_process(pmi, lab, tmp_path) -> None:
    """Nothing but signed rules, the authority's certificate and its published list."""
    grant = pmi.grant(lab.APPROVER_ROLE)
    document = pmi.client().get("/v1/decision-rules").data
    assert pmi.client().get("/v1/decision-rules").data == document
    key = pmi.parts.token.own_key(lab.POLICY_KEY).public_key()
    rules = read_rules(document, keys=[key])
    decider = Decider(
        rules=lambda at: rules,
        attribute_certificates=pmi.stranger(),
        identities=Identities(pmi.holder, "uscc:91440300MA5DEM004J"),  # type: ignore[arg-type]
        log=DecisionLog(tmp_path / "department"),
    )
    presented = [pmi.certificate_der(grant)]
    for amount, result in ((500, Result.PERMIT), (50_000, Result.NOT_APPLICABLE)):
        act = Act(action="approve", resource=Resource(type="Form", id="7", attributes={"amount": amount}))
        decision = decider.decide(b"the certificate", presented, act, at=lab.T)
        assert decision.answer.result is result
        assert decision.answer == pmi.decide(amount=amount).answer
    nobody = decider.decide(b"the certificate", [], act, at=lab.T)
    assert nobody.answer.result is Result.NOT_APPLICABLE
    assert len((tmp_path / "department" / "2026-11-21.jsonl").read_text().splitlines()) == 3
    with pytest.raises(CouldNotCheckError) as caught:
        decider.decide(b"the certificate", presented, act, at=lab.T + timedelta(days=2))
    assert caught.value.code == "POLICY_STALE"
    # A new policy is another document.
    pmi.publish_policy(lab.POLICY.replace("<= 10000", "<= 1000"))
    newer = read_rules(pmi.client().get("/v1/decision-rules").data, keys=[key], before=rules)
    assert (newer.policy.version, rules.policy.version) == (2, 1)


def test_questions_about_who_and_what(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    auditor = pmi.client(pmi.auditor)
    who = auditor.post("/v1/who-can", json={"action": "approve", "resource": FORM}).json
    assert [each["entity"] for each in who["holders"]] == ["uscc:91440300MA5DEM004J"]
    at = pmi.clock.now()
    pmi.clock.advance(timedelta(days=40))
    auditor = pmi.client(pmi.auditor)
    past = {"action": "approve", "resource": FORM, "at": at.isoformat(), "per_page": 1}
    assert auditor.post("/v1/who-can", json=past).json["candidates"] == 1
    what = auditor.post("/v1/what-can", json={"entity": "uscc:91440300MA5DEM004J", "at": at.isoformat()}).json
    (holder,) = what["holders"]
    assert holder["roles"] == [lab.APPROVER_ROLE]
    assert holder["can"] == [
        {
            "action": "approve",
            "resource_type": "Form",
            "certain": False,
            "depends_on": ["resource.amount", "resource.under_audit"],
            "rules": ["approver-approves"],
            "roles": [lab.APPROVER_ROLE],
            "obligations": ["record the file number"],
        }
    ]
    pem = pmi.holder.public_bytes(lab.Encoding.PEM).decode()
    assert auditor.post("/v1/what-can", json={"certificate_pem": pem, "at": at.isoformat()}).json == what
    asked = {"certificate_pem": pem, "action": "approve", "resource": FORM, "at": at.isoformat()}
    assert auditor.post("/v1/decisions/past", json=asked).json["decision"] == "permit"


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("who-can", {"action": "approve"}),
    ("who-can", {"action": "a\nb", "resource": FORM}),
    ("who-can", {"action": "approve", "resource": {"type": "Role", "id": "x"}}),
    ("who-can", {"action": "approve", "resource": FORM, "at": "2199-01-01T00:00:00Z"}),
    ("who-can", {"action": "approve", "resource": FORM, "at": "2026-11-21"}),
    ("who-can", {"action": "approve", "resource": FORM, "per_page": True}),
    ("who-can", {"action": "approve", "resource": FORM, "context": {"a": {"__entity": {}}}}),
    ("what-can", {}),
    ("what-can", {"entity": "uscc:1", "certificate_pem": "x"}),
    ("what-can", {"entity": "uscc:1", "use_roles": "x"}),
    ("decisions/past", {"action": "approve", "resource": FORM, "certificate_pem": "x"}),
]


def test_wrong_questions_are_refused(pmi) -> None:
    auditor = pmi.client(pmi.auditor)
    for path, body in WRONG:
        answer = auditor.post(f"/v1/{path}", json=body)
        assert (answer.status_code, answer.json["code"]) == (422, "REQUEST_WRONG"), (path, body)


def test_the_log_is_for_auditors_and_reading_it_is_audited(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    decided = pmi.decide()
    auditor, officer = pmi.client(pmi.auditor), pmi.client(pmi.officer)
    query = "/v1/decisions?entity=uscc:91440300MA5DEM004J&result=permit"
    assert [each["decision_id"] for each in auditor.get(query).json["decisions"]] == [decided.id]
    assert auditor.get("/v1/decisions?entity=uscc:1").json["decisions"] == []
    shown = auditor.get(f"/v1/decisions/{decided.id}").json
    assert shown["facts"]["roles"] == [lab.APPROVER_ROLE]
    pmi.clock.advance(timedelta(seconds=1))
    assert auditor.post(f"/v1/decisions/{decided.id}/replay", json={}).json["equal"] is True
    assert auditor.get("/v1/decisions/00000000-0000-7000-8000-000000000000").status_code == 404
    assert auditor.get("/v1/decisions?from=2026-11-22&to=2026-11-21").status_code == 422
    for path in (query, f"/v1/decisions/{decided.id}"):
        assert officer.get(path).status_code == 403
    assert pmi.events().count("decision.read") == 3
    assert pmi.events().count("decisions.searched") == 2


def test_versions_of_policies_are_shown(pmi, lab) -> None:
    pmi.clock.advance(timedelta(hours=1))
    second = pmi.publish_policy(lab.POLICY.replace("<= 10000", "<= 1000"))
    officer = pmi.client(pmi.officer)
    rows = officer.get("/v1/policies").json["policies"]
    assert [(row["version"], row["active"]) for row in rows] == [(2, True), (1, False)]
    shown = officer.get("/v1/policies/tax/2").json
    assert (shown["sha256"], shown["content"]["name"]) == (second.sha256, "tax")
    assert officer.get("/v1/policies/tax/3").status_code == 503
    assert pmi.client().get("/v1/policies").status_code in {302, 401}


def test_an_authority_that_is_not_in_force_proves_nothing(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    assert pmi.decide().is_permitted
    pmi.clock.advance(timedelta(minutes=1))
    with pmi.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE pmi_authorities SET state = 'suspended', status_version = 99")
        connection.exec_driver_sql(
            "INSERT INTO pmi_authority_history (authority, since, state, changed_by)"
            " VALUES ('tax-office', '2026-11-21 09:01:00.000000', 'suspended', 'test')"
        )
    refused = pmi.decide()
    assert [reason.code for reason in refused.reasons if reason.kind == "certificate"] == ["UNTRUSTED"]
    act = Act(action="approve", resource=Resource(type="Form", id="7", attributes={"amount": 5}))
    assert pmi.parts.who_can.page(act).candidates == 0
    assert pmi.parts.who_can.page(act, at=lab.T).candidates == 1
