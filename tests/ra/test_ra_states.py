"""The state machine by property: nobody skips the second person, and nothing dead-ends."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ra_fakes import idcard

from onecert.ra.errors import WrongStateError
from onecert.ra.life.drawing import document
from onecert.ra.life.duties import DUTY_OF_ACT, FLOOR, Duties, Duty
from onecert.ra.life.machine import (
    BUSINESS_NAMES,
    ENDS,
    STATE_NAMES,
    STATUS,
    TRANSITIONS,
    Act,
    Business,
    State,
    acts_possible,
    check_move,
    roles_of,
)
from onecert.ra.operators.roles import ROLES, SECURITY
from onecert.server.errors import ServiceError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def reachable(business: Business, *, without: frozenset[Act] = frozenset(), start=State.DRAFT) -> set[State]:
    """Every state that can follow, however long it takes."""
    found, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for (of, before, act), row in TRANSITIONS.items():
            if of is business and before is here and act not in without and row.after not in found:
                found.add(row.after)
                todo.append(row.after)
    return found


every_business = pytest.mark.parametrize("business", list(Business))


@every_business
def test_no_state_is_a_dead_end(business: Business) -> None:
    """From each state that a piece of business can be in, one where it may stay is reached."""
    states = reachable(business)
    for state in states:
        assert reachable(business, start=state) & ENDS[business], state
    leaving = {before for of, before, _act in TRANSITIONS if of is business}
    assert states - leaving <= ENDS[business]
    assert leaving.isdisjoint(ENDS[business])
    assert leaving <= states, "a step from a state that nothing leads to"


@every_business
def test_no_path_skips_the_second_person(business: Business) -> None:
    """Without the approval nothing is ordered or done, but for a security officer's own decision."""
    worked = {State.APPROVED, State.ORDERED, State.ISSUED, State.DONE, State.REVIEWED, State.REFUSED_BY_CA}
    judged = frozenset({Act.APPROVE, Act.PASS_ON})  # a reviewer's yes, which either ends it or passes it on
    alone = judged | {Act.DECIDE}
    assert reachable(business, without=alone).isdisjoint(worked)
    if business in STATUS:
        assert {row.roles for (of, _s, act), row in TRANSITIONS.items() if act is Act.DECIDE} == {(SECURITY,)}
    else:
        assert reachable(business, without=judged).isdisjoint(worked)
    if business is Business.RECOVERY:
        assert State.APPROVED not in reachable(business, without=frozenset({Act.CONSENT}))


@every_business
def test_what_was_passed_on_needs_the_second_reviewer(business: Business) -> None:
    """Where the first reviewer may only pass on, nothing is worked without the second one's yes."""
    worked = {State.APPROVED, State.ORDERED, State.ISSUED, State.DONE, State.REFUSED_BY_CA}
    if State.SECOND_REVIEW not in reachable(business):
        assert not {act for of, _s, act in TRANSITIONS if of is business} & {Act.PASS_ON, Act.CONFIRM}
        return
    one = frozenset({Act.APPROVE, Act.CONFIRM})
    assert reachable(business, without=one).isdisjoint(worked)
    assert (Duty.SECOND, Duty.REVIEW) in FLOOR
    assert (Duty.SECOND, Duty.ENTER) in FLOOR


def test_whoever_judges_is_kept_apart_by_every_policy() -> None:
    """The floor: each act that judges has a duty that differs from entering, whatever the settings say."""
    for act in (Act.APPROVE, Act.RETURN, Act.REJECT, Act.CONSENT, Act.PASS_ON, Act.CONFIRM):
        assert (DUTY_OF_ACT[act], Duty.ENTER) in FLOOR
    assert Duties.from_settings(()).apart == FLOOR
    assert (Duty.MAKE, Duty.REVIEW) in Duties.from_settings(["make-review"]).apart


def test_people_never_do_the_services_own_acts() -> None:
    """No role reaches ordering and recording; every other act has a role that exists."""
    everything = frozenset(ROLES)
    own = {Act.ORDER, Act.RETURN_UNSIGNED, Act.RECORD_ISSUED, Act.RECORD_DONE, Act.RECORD_REFUSED}
    for business in Business:
        for state in State:
            assert acts_possible(business, state, everything).isdisjoint(own)
        for act in Act:
            assert set(roles_of(business, act)) <= set(ROLES)
    assert {row.act for row in TRANSITIONS.values() if not row.roles} == own
    assert set(STATE_NAMES) == set(State)
    assert set(BUSINESS_NAMES) == set(Business)


@settings(deadline=None)
@given(st.sampled_from(list(Business)), st.sampled_from(list(State)), st.sampled_from(list(Act)))
def test_an_act_is_a_step_of_the_table_or_refused(business: Business, state: State, act: Act) -> None:
    """There is no third way."""
    if (business, state, act) in TRANSITIONS:
        assert check_move(business, state, act).after is TRANSITIONS[business, state, act].after
    else:
        with pytest.raises(WrongStateError):
            check_move(business, state, act)


def test_the_page_shows_the_machine() -> None:
    """docs/ra-life.md is drawn from the table; draw it again after a change."""
    page = Path(__file__).parents[2] / "docs" / "ra-life.md"
    assert page.read_text(encoding="utf-8") == document()


@only_sqlite
def test_no_sequence_of_acts_issues_without_two_people(ra) -> None:
    """Three people with both roles act at random on the real service; each order has two of them."""
    people = [ra.operator(f"p{n}", "clerk.entry", "clerk.review", person=idcard(200 + n)) for n in range(3)]
    counter = iter(range(10**6))

    class Life(RuleBasedStateMachine):
        @initialize(who=st.sampled_from(people))
        def enter(self, who) -> None:
            # A firm of its own for each life would need many codes; ending the one before does as well.
            self.touched = {who.id}
            entry = ra.entry("citizen", idcard=idcard(next(counter) % 700 + 300))
            self.id = ra.create(entry, by=who, key=f"life-{next(counter)}").id
            self.approver = None

        def attempt(self, act, *, touches=None) -> None:
            try:
                act()
            except ServiceError:
                return
            if touches:
                self.touched.add(touches.id)

        @rule(who=st.sampled_from(people))
        def submit(self, who) -> None:
            self.attempt(lambda: ra.applications.submit(who, self.id), touches=who)

        @rule(who=st.sampled_from(people))
        def save(self, who) -> None:
            now = ra.load(self.id)
            entry = ra.entry("citizen", idcard=idcard(next(counter) % 700 + 300))
            self.attempt(
                lambda: ra.applications.save(who, self.id, entry, revision=now.revision), touches=who
            )

        @rule(who=st.sampled_from(people))
        def approve(self, who) -> None:
            shown = ra.load(self.id).content_sha256 or ""

            def act() -> None:
                ra.applications.approve(who, self.id, content_sha256=shown)
                self.approver = who.id
                assert who.id not in self.touched

            self.attempt(act)

        @rule(who=st.sampled_from(people), act=st.sampled_from(["send_back", "reject"]))
        def judge(self, who, act) -> None:
            self.attempt(lambda: getattr(ra.applications, act)(who, self.id, reason="because"))

        @rule(who=st.sampled_from(people))
        def withdraw(self, who) -> None:
            self.attempt(lambda: ra.applications.withdraw(who, self.id))

        @rule(who=st.sampled_from(people))
        def reopen(self, who) -> None:
            self.attempt(lambda: ra.applications.reopen(who, self.id), touches=who)

        @rule(refused=st.booleans())
        def carry_out(self, refused) -> None:
            ra.ca.refuse_next = (422, "FIELD_LENGTH") if refused else None
            self.attempt(lambda: ra.dispatch.carry_out(self.id))

        @invariant()
        def two_people(self) -> None:
            if not hasattr(self, "id"):
                return
            now = ra.load(self.id)
            if now.state in {State.APPROVED, State.ORDERED, State.ISSUED, State.REFUSED_BY_CA}:
                assert now.reviewed_by == self.approver
                assert self.approver not in self.touched
                assert now.submitted_by != now.reviewed_by

    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=15,
            stateful_step_count=14,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
