"""The state machine by property: nobody skips the second person, and nothing dead-ends."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ra_fakes import idcard

from onecert.ra.applications.states import (
    FINAL,
    NEEDS_SECOND_PERSON,
    OPEN,
    ROLE_OF_ACT,
    STATE_NAMES,
    TRANSITIONS,
    Act,
    State,
    acts_possible,
    check_move,
)
from onecert.ra.errors import WrongStateError
from onecert.ra.operators.roles import ROLES
from onecert.server.errors import ServiceError


def reachable(start: State, *, without: frozenset[Act] = frozenset()) -> set[State]:
    """Every state that can follow, however long it takes."""
    found, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for (before, act), after in TRANSITIONS.items():
            if before is here and act not in without and after not in found:
                found.add(after)
                todo.append(after)
    return found


def test_every_state_is_reached_and_none_is_a_dead_end() -> None:
    """From draft every state can be reached; from each one that is not final, an end."""
    assert reachable(State.DRAFT) == set(State)
    for state in set(State) - FINAL:
        assert reachable(state) & FINAL, state
    for state in FINAL:
        assert not any(before is state for before, _act in TRANSITIONS)


def test_without_an_approval_nothing_is_ordered() -> None:
    """Take the one act away that needs a second person, and no order can come about."""
    assert reachable(State.DRAFT, without=frozenset({Act.APPROVE})).isdisjoint(
        {State.APPROVED, State.ORDERED, State.ISSUED, State.REFUSED_BY_CA}
    )
    assert Act.APPROVE in NEEDS_SECOND_PERSON


def test_people_never_do_the_services_own_acts() -> None:
    """No role reaches ordering and recording."""
    everything = frozenset(ROLES)
    for state in State:
        assert acts_possible(state, everything).isdisjoint(set(Act) - set(ROLE_OF_ACT))
    assert set(ROLE_OF_ACT.values()) <= set(ROLES)
    assert set(STATE_NAMES) == set(State)
    assert OPEN.isdisjoint(FINAL)


@given(st.sampled_from(list(State)), st.sampled_from(list(Act)))
def test_an_act_is_a_step_of_the_table_or_refused(state: State, act: Act) -> None:
    """There is no third way."""
    if (state, act) in TRANSITIONS:
        assert check_move(state, act).after is TRANSITIONS[state, act]
    else:
        with pytest.raises(WrongStateError):
            check_move(state, act)


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
