"""The life of an application: one table of states and acts, and who may do which act.

Pure: no database, no clock. `acts.py` asks here before it writes anything, below the web layer, so a
page, the REST interface, the import and a job all meet the same rules. Two promises are tested by property in
tests/ra: nothing reaches an order without a second person, and from every state that is not final an end can
be reached.

    draft -> submitted -> approved -> ordered -> issued
      ^         |  |  \\                  |
      |         |  |   -> rejected       -> refused_by_ca
      |         |   -> returned                |
      |         v         |                    v
      +----- (edited) ----+              (taken up again: returned)

Withdrawn may follow from every state in which the CA has not been asked yet, and from refused_by_ca.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from onecert.ra.errors import WrongStateError
from onecert.ra.operators.roles import ENTRY, REVIEW
from onecert.server.languages import _


class State(StrEnum):
    """Where an application stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"
    ORDERED = "ordered"
    ISSUED = "issued"
    REFUSED_BY_CA = "refused_by_ca"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Act(StrEnum):
    """What people and the service do to an application."""

    SAVE = "save"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"
    REOPEN = "reopen"
    ORDER = "order"
    RETURN_UNSIGNED = "return_unsigned"
    RECORD_ISSUED = "record_issued"
    RECORD_REFUSED = "record_refused"


FINAL = frozenset({State.ISSUED, State.REJECTED, State.WITHDRAWN})

# While an application is in one of these states, no second one for the same entity, authority and type.
OPEN = frozenset(State) - FINAL - {State.DRAFT}

TRANSITIONS: Mapping[tuple[State, Act], State] = MappingProxyType(
    {
        (State.DRAFT, Act.SAVE): State.DRAFT,
        (State.DRAFT, Act.SUBMIT): State.SUBMITTED,
        (State.DRAFT, Act.WITHDRAW): State.WITHDRAWN,
        (State.SUBMITTED, Act.APPROVE): State.APPROVED,
        (State.SUBMITTED, Act.RETURN): State.RETURNED,
        (State.SUBMITTED, Act.REJECT): State.REJECTED,
        (State.SUBMITTED, Act.WITHDRAW): State.WITHDRAWN,
        (State.RETURNED, Act.SAVE): State.RETURNED,
        (State.RETURNED, Act.SUBMIT): State.SUBMITTED,
        (State.RETURNED, Act.WITHDRAW): State.WITHDRAWN,
        (State.APPROVED, Act.ORDER): State.ORDERED,
        # What cannot be signed as it was approved (record changed from outside, stricter rules) goes back.
        (State.APPROVED, Act.RETURN_UNSIGNED): State.RETURNED,
        (State.ORDERED, Act.RECORD_ISSUED): State.ISSUED,
        (State.ORDERED, Act.RECORD_REFUSED): State.REFUSED_BY_CA,
        (State.REFUSED_BY_CA, Act.REOPEN): State.RETURNED,
        (State.REFUSED_BY_CA, Act.WITHDRAW): State.WITHDRAWN,
    }
)

# ORDER, RETURN_UNSIGNED and the RECORD acts belong to the service itself: no role reaches them.
ROLE_OF_ACT: Mapping[Act, str] = MappingProxyType(
    {
        Act.SAVE: ENTRY,
        Act.SUBMIT: ENTRY,
        Act.WITHDRAW: ENTRY,
        Act.REOPEN: ENTRY,
        Act.APPROVE: REVIEW,
        Act.RETURN: REVIEW,
        Act.REJECT: REVIEW,
    }
)

# These judge another person's work, so nobody who entered the application may do them.
NEEDS_SECOND_PERSON = frozenset({Act.APPROVE, Act.RETURN, Act.REJECT})

STATE_NAMES: Mapping[State, str] = MappingProxyType(
    {
        State.DRAFT: _("Draft"),
        State.SUBMITTED: _("Waiting for review"),
        State.RETURNED: _("Returned"),
        State.APPROVED: _("Approved"),
        State.ORDERED: _("Ordered from the CA"),
        State.ISSUED: _("Issued"),
        State.REFUSED_BY_CA: _("Refused by the CA"),
        State.REJECTED: _("Rejected"),
        State.WITHDRAWN: _("Withdrawn"),
    }
)


@dataclass(frozen=True)
class Move:
    """One allowed step, already checked."""

    act: Act
    before: State
    after: State


def check_move(state: State, act: Act) -> Move:
    """Return the step that `act` means in this state.

    Raises:
        WrongStateError: the act is not possible here; the error names what the state is now.
    """
    after = TRANSITIONS.get((state, act))
    if after is None:
        raise WrongStateError(act=act.value, state=state.value, state_name=STATE_NAMES[state])
    return Move(act, state, after)


def acts_possible(state: State, roles: frozenset[str]) -> frozenset[Act]:
    """The acts a page may offer; the second-person rule is not looked at here."""
    return frozenset(
        act for (before, act) in TRANSITIONS if before is state and ROLE_OF_ACT.get(act) in roles
    )
