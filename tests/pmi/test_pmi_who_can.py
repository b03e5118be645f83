"""Who can do something, and what somebody can do: now, and on a day before, against decisions one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from onecert.pmi.decisions import in_force
from onecert.pmi.errors import NoPolicyError
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.decision import Act, Resource

pytestmark = pytest.mark.token

FORM = Resource(type="Form", id="7", attributes={"amount": 500})
APPROVE = Act(action="approve", resource=FORM)


def entities(page: Any) -> list[str]:
    return sorted(each.decision.subject.entity for each in page.able)


def test_who_can_says_who_and_why(pmi_on_both, lab) -> None:
    pmi = pmi_on_both
    grant = pmi.grant(lab.APPROVER_ROLE)
    pmi.grant(lab.READER_ROLE, holder=pmi.other)
    page = pmi.parts.who_can.page(APPROVE)
    assert entities(page) == ["uscc:91440300MA5DEM004J"]
    row = page.as_dict()["holders"][0]
    assert row["certificates"] == [{"serial": grant.serial, "authority": "tax-office"}]
    assert (row["rules"], row["roles"]) == (["approver-approves"], [lab.APPROVER_ROLE])
    assert row["obligations"] == ["record the file number"]
    assert (page.candidates, page.after, page.anybody) == (1, "", ())
    read = pmi.parts.who_can.page(Act(action="read", resource=FORM))
    assert entities(read) == ["uscc:91440300MA5DEM0A63"]
    assert pmi.parts.who_can.page(Act(action="burn", resource=FORM)).candidates == 0


def test_who_could_on_that_day(pmi_on_both, lab) -> None:
    """Granted, held, released, revoked, the policy changed, the catalogue changed: each day as it was."""
    pmi, days = pmi_on_both, []

    def day(act: Any) -> None:
        days.append(pmi.clock.now() + timedelta(hours=1))
        pmi.clock.advance(timedelta(hours=2))
        act()
        pmi.clock.advance(timedelta(hours=1))

    serial = pmi.grant(lab.APPROVER_ROLE).serial
    day(lambda: pmi.parts.revocations.hold(serial, operator=pmi.officer))
    day(lambda: pmi.parts.revocations.release(serial, operator=pmi.officer))
    day(lambda: pmi.publish_policy(lab.POLICY.replace("<= 10000", "<= 100").replace("= 500", "= 50")))
    day(pmi.publish_policy)
    day(lambda: pmi.parts.revocations.revoke(serial, reason="privilegeWithdrawn", operator=pmi.officer))
    days.append(pmi.clock.now())
    asked = {"certificate": pmi.holder.public_bytes(lab.Encoding.DER), "action": "approve", "resource": FORM}
    found = []
    for at in days:
        page = pmi.parts.who_can.page(APPROVE, at=at)
        decided = pmi.parts.decider.decide_then(lab.Asked(**asked), at)
        assert decided.is_permitted == (len(page.able) == 1)
        found.append(decided.is_permitted)
    assert found == [True, False, True, False, True, False]
    assert entities(pmi.parts.who_can.page(APPROVE)) == []
    with pytest.raises(NoPolicyError):
        pmi.parts.who_can.page(APPROVE, at=lab.T - lab.DAY)


def test_pages_are_of_one_state_and_together_are_all(pmi, lab) -> None:
    holders = [pmi.holders.know(pmi.ca.holder(f"持有者{n}"), f"uscc:{n:018}") for n in range(5)]
    for holder in holders:
        pmi.grant(lab.READER_ROLE, holder=holder)
    act, after, seen, tokens = Act(action="read", resource=FORM), "", [], set()
    for _ in range(3):
        page = pmi.parts.who_can.page(act, after=after, per_page=2)
        seen += entities(page)
        tokens.add(page.token)
        after = page.after
    assert (sorted(seen), after) == ([f"uscc:{n:018}" for n in range(5)], "")
    assert len(tokens) == 1
    streamed = [each.decision.subject.entity for each in pmi.parts.who_can.stream(act)]
    assert sorted(streamed) == sorted(seen)
    pmi.grant(lab.APPROVER_ROLE)
    assert pmi.parts.who_can.page(act, per_page=2).token in tokens
    pmi.publish_policy(lab.POLICY.replace("<= 10000", "<= 1000"))
    assert pmi.parts.who_can.page(act, per_page=2).token not in tokens


def test_rules_about_persons_are_asked_person_by_person(pmi, lab) -> None:
    one, other = "uscc:91440300MA5DEM004J", "uscc:91440300MA5DEM0A63"
    rules = f"""
@id("not-this-one") forbid(principal == Holder::"{one}", action == Action::"read", resource);
@id("own-only") permit(principal in Role::"{lab.READER_ROLE}", action == Action::"see", resource is Form)
when {{ principal.entity == resource.owner }};
@id("anybody-looks") permit(principal, action == Action::"look", resource is Form);
"""
    pmi.publish_policy(lab.POLICY.replace("rules = '''", f"rules = '''\n{rules}"))
    for holder in (pmi.holder, pmi.other):
        pmi.grant(lab.READER_ROLE, holder=holder)
    who = pmi.parts.who_can.page
    assert entities(who(Act(action="read", resource=FORM))) == [other]
    owned = Resource(type="Form", id="1", attributes={"owner": one})
    assert entities(who(Act(action="see", resource=owned))) == [one]
    assert who(Act(action="look", resource=FORM)).anybody == ("anybody-looks",)
    undecided = who(Act(action="see", resource=FORM))
    assert (undecided.candidates, undecided.undecided) == (0, 2)


def test_targets_count(pmi, lab) -> None:
    pmi.grant(lab.READER_ROLE, targets=("urn:example:tax",))
    for target, number in ((None, 0), ("urn:example:tax", 1), ("urn:example:police", 0)):
        identity = TargetIdentity.from_uris(target) if target else None
        page = pmi.parts.who_can.page(Act(action="read", resource=FORM, target=identity))
        assert (page.candidates, len(page.able)) == (1, number)


def test_roles_that_include_others_count_and_those_that_exclude_each_other_do_not(pmi, lab) -> None:
    text = lab.CATALOGUE.replace("max_days = 30", 'max_days = 30\nincludes = ["urn:onecert:role:tax.clerk"]')
    text += """
[[roles]]
uri = "urn:onecert:role:tax.clerk"
zh = "税务办事员"
en = "Tax clerk"
authorities = ["tax-office"]

[[exclusions]]
name = "reads-or-approves"
zh = "查询与审批分离"
en = "Reading and approving are apart"
kind = "dynamic"
roles = ["urn:onecert:role:tax.reader", "urn:onecert:role:tax.approver"]
"""
    pmi.publish_catalogue(text)
    role = 'Role::"urn:onecert:role:tax.clerk"'
    clerk = f'@id("files") permit(principal in {role}, action == Action::"file", resource);'
    pmi.publish_policy(lab.POLICY.replace("rules = '''", f"rules = '''\n{clerk}\n"))
    pmi.grant(lab.READER_ROLE)
    file = Act(action="file", resource=FORM)
    assert pmi.decide("file").is_permitted
    assert entities(pmi.parts.who_can.page(file)) == ["uscc:91440300MA5DEM004J"]
    pmi.grant(lab.APPROVER_ROLE)
    refused = pmi.decide("file")
    assert (refused.answer.result, refused.answer.exclusions) == ("deny", ("reads-or-approves",))
    assert "reads-or-approves" in refused.reasons[0].text("zh")
    assert pmi.decide("file", use_roles=frozenset({lab.READER_ROLE})).is_permitted
    assert entities(pmi.parts.who_can.page(file)) == []


def test_who_can_is_what_each_decision_says(pmi, lab) -> None:
    """Many holders with drawn roles: the answer for all at once against the decision for each."""
    holders = [pmi.holders.know(pmi.ca.holder(f"持有者{n}"), f"uscc:{n:018}") for n in range(6)]
    for number, holder in enumerate(holders):
        if number % 2:
            pmi.grant(lab.APPROVER_ROLE, holder=holder)
        if number % 3 == 0:
            pmi.grant(lab.READER_ROLE, holder=holder)
    for action in ("approve", "read", "other"):
        page = pmi.parts.who_can.page(Act(action=action, resource=FORM))
        each = [
            f"uscc:{number:018}"
            for number, holder in enumerate(holders)
            if pmi.decide(action, holder=holder).is_permitted
        ]
        assert entities(page) == each


def test_nothing_is_searched_in_all_certificates(pmi, lab) -> None:
    """A holder's certificates, and what is in force, are found by index, however many others there are."""
    holder = {"holder": "0" * 64, "key": "0" * 64, "entity": "uscc:1", "at": lab.T, "most": 16}
    for statement in (in_force._FOR_HOLDER, in_force._THEN, in_force._VERSIONS):
        spelled = statement._for("sqlite")
        with pmi.database.reading() as connection:
            given = tuple(spelled.parameters(holder))
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {spelled.sql}", given)
            steps = [row[3] for row in plan if "pmi_certificates" in row[3]]
        assert not [
            step for step in steps if step.startswith("SCAN") or "by_end" in step or "by_time" in step
        ]


def test_a_delegation_counts_once_it_is_given_and_no_longer(pmi, lab) -> None:
    """tax-office delegates reading to a bureau, which gives it on; then the delegation is revoked."""
    pmi.publish_catalogue(
        lab.CATALOGUE.replace('authorities = ["tax-office"]', 'authorities = ["tax-office", "bureau"]')
    )
    bureau = pmi.add_authority("bureau")
    read = Act(action="read", resource=FORM)
    assert not pmi.decide("read").is_permitted
    delegated = pmi.delegate("tax-office", bureau, lab.READER_ROLE)
    pmi.grant(lab.READER_ROLE, authority="bureau")
    decided = pmi.decide("read")
    assert decided.is_permitted
    assert [step.certificate.serial_hex for step in decided.explained[0].verified.path] == [delegated.serial]
    assert len(pmi.parts.who_can.page(read).able) == 1
    then = pmi.clock.now()
    pmi.clock.advance(timedelta(minutes=1))
    pmi.parts.revocations.revoke(delegated.serial, reason="privilegeWithdrawn", operator=pmi.administrator)
    assert not pmi.decide("read").is_permitted
    assert pmi.parts.who_can.page(read).candidates == 0
    assert len(pmi.parts.who_can.page(read, at=then).able) == 1
    replay = pmi.parts.memory.replay(decided.id, actor="operator:auditor")
    assert replay.is_equal, replay.as_dict()
