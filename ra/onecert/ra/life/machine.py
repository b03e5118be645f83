"""The one state machine of all business types 业务类型: states, steps, and who may take each step, as data.

Pure: no database, no clock. Every act asks here before it writes anything, below the web layer, so a page,
the REST interface, an import and a job all meet the same rules. tests/ra hold by property: nothing reaches an
order without a second person, but for a security officer's own hold, release or revocation; what the policy
says needs two reviewers (`review/thresholds.py`) reaches it only through `pass_on` and `confirm`; and from
every state an end can be reached. docs/ra-life.md is drawn from this table (`drawing.py`).

Who may not be the same person is in `duties.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from onecert.ra.errors import WrongStateError
from onecert.ra.operators.roles import ARCHIVE, ENTRY, MEDIA, REVIEW, SECURITY
from onecert.server.languages import _

__all__ = [
    "BUSINESS_NAMES",
    "CERTIFICATE",
    "ENDS",
    "HAS_CERTIFICATE",
    "OPEN",
    "STATE_NAMES",
    "STATUS",
    "TRANSITIONS",
    "Act",
    "Business",
    "State",
    "Transition",
    "acts_possible",
    "check_move",
    "roles_of",
]


class Business(StrEnum):
    """What people come for."""

    NEW = "new"
    RENEW = "renew"
    CHANGE = "change"
    REPLACE = "replace"
    HOLD = "hold"
    RELEASE = "release"
    REVOKE = "revoke"
    UNLOCK = "unlock"
    BATCH = "batch"
    RECOVERY = "recovery"


class State(StrEnum):
    """Where a piece of business stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    SECOND_REVIEW = "second_review"
    REVIEWED = "reviewed"
    APPROVED = "approved"
    ORDERED = "ordered"
    ISSUED = "issued"
    DELIVERED = "delivered"
    ARCHIVED = "archived"
    DONE = "done"
    REFUSED_BY_CA = "refused_by_ca"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Act(StrEnum):
    """What people and the service do."""

    SAVE = "save"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"
    PASS_ON = "pass_on"  # noqa: S105 -- a step, not a password
    CONFIRM = "confirm"
    CONSENT = "consent"
    DECIDE = "decide"
    REOPEN = "reopen"
    BRING_KEY = "bring_key"
    COMPLETE = "complete"
    DELIVER = "deliver"
    ARCHIVE = "archive"
    ORDER = "order"
    RETURN_UNSIGNED = "return_unsigned"
    RECORD_ISSUED = "record_issued"
    RECORD_DONE = "record_done"
    RECORD_REFUSED = "record_refused"


@dataclass(frozen=True)
class Transition:
    """One step: in these kinds of business, from a state by an act to a state, by one of these roles.

    No role: the service itself.
    """

    businesses: frozenset[Business]
    before: State
    act: Act
    after: State
    roles: tuple[str, ...] = ()


CERTIFICATE = frozenset({Business.NEW, Business.RENEW, Business.CHANGE, Business.REPLACE})
STATUS = frozenset({Business.HOLD, Business.RELEASE, Business.REVOKE})
_BATCH = frozenset({Business.BATCH})
_UNLOCK = frozenset({Business.UNLOCK})
_RECOVERY = frozenset({Business.RECOVERY})
_EVERY = frozenset(Business)
_PAPERS = CERTIFICATE | _BATCH  # what is corrected when it comes back

TABLE: tuple[Transition, ...] = (
    # Entering
    Transition(_PAPERS, State.DRAFT, Act.SAVE, State.DRAFT, (ENTRY,)),
    Transition(_EVERY, State.DRAFT, Act.SUBMIT, State.SUBMITTED, (ENTRY,)),
    Transition(_PAPERS, State.DRAFT, Act.WITHDRAW, State.WITHDRAWN, (ENTRY,)),
    Transition(_EVERY, State.SUBMITTED, Act.WITHDRAW, State.WITHDRAWN, (ENTRY,)),
    Transition(_PAPERS, State.RETURNED, Act.SAVE, State.RETURNED, (ENTRY,)),
    Transition(_PAPERS, State.RETURNED, Act.SUBMIT, State.SUBMITTED, (ENTRY,)),
    Transition(_PAPERS, State.RETURNED, Act.WITHDRAW, State.WITHDRAWN, (ENTRY,)),
    # The request of a key that was made at the counter; in a browser, the service brings it.
    Transition(CERTIFICATE, State.DRAFT, Act.BRING_KEY, State.DRAFT, (ENTRY, MEDIA)),
    Transition(CERTIFICATE, State.RETURNED, Act.BRING_KEY, State.RETURNED, (ENTRY, MEDIA)),
    # Reviewing: always a second person
    Transition(CERTIFICATE | _BATCH | _UNLOCK, State.SUBMITTED, Act.APPROVE, State.APPROVED, (REVIEW,)),
    Transition(_PAPERS, State.SUBMITTED, Act.RETURN, State.RETURNED, (REVIEW,)),
    Transition(_EVERY - STATUS, State.SUBMITTED, Act.REJECT, State.REJECTED, (REVIEW,)),
    # Above a threshold of the policy: a second reviewer, who is neither the first nor whoever entered it.
    Transition(_PAPERS, State.SUBMITTED, Act.PASS_ON, State.SECOND_REVIEW, (REVIEW,)),
    Transition(_PAPERS, State.SECOND_REVIEW, Act.CONFIRM, State.APPROVED, (REVIEW,)),
    Transition(_PAPERS, State.SECOND_REVIEW, Act.RETURN, State.RETURNED, (REVIEW,)),
    Transition(_PAPERS, State.SECOND_REVIEW, Act.REJECT, State.REJECTED, (REVIEW,)),
    Transition(_PAPERS, State.SECOND_REVIEW, Act.WITHDRAW, State.WITHDRAWN, (ENTRY,)),
    # A key comes back only when a third person, who answers for security, agrees as well.
    Transition(_RECOVERY, State.SUBMITTED, Act.APPROVE, State.REVIEWED, (REVIEW,)),
    Transition(_RECOVERY, State.REVIEWED, Act.CONSENT, State.APPROVED, (SECURITY,)),
    Transition(_RECOVERY, State.REVIEWED, Act.REJECT, State.REJECTED, (SECURITY,)),
    Transition(_RECOVERY, State.REVIEWED, Act.WITHDRAW, State.WITHDRAWN, (ENTRY,)),
    # A change of status is signed in the step that approves it; a security officer may decide alone at night.
    Transition(STATUS, State.SUBMITTED, Act.APPROVE, State.ORDERED, (REVIEW, SECURITY)),
    Transition(STATUS, State.SUBMITTED, Act.REJECT, State.REJECTED, (REVIEW, SECURITY)),
    Transition(STATUS, State.DRAFT, Act.DECIDE, State.ORDERED, (SECURITY,)),
    # The service: order, answer. What cannot be signed as it was approved (record changed from outside,
    # stricter rules) goes back.
    Transition(CERTIFICATE, State.APPROVED, Act.ORDER, State.ORDERED),
    Transition(CERTIFICATE, State.APPROVED, Act.RETURN_UNSIGNED, State.RETURNED),
    Transition(CERTIFICATE, State.ORDERED, Act.RECORD_ISSUED, State.ISSUED),
    Transition(CERTIFICATE | STATUS, State.ORDERED, Act.RECORD_REFUSED, State.REFUSED_BY_CA),
    Transition(STATUS, State.ORDERED, Act.RECORD_DONE, State.DONE),
    Transition(_BATCH, State.APPROVED, Act.RECORD_DONE, State.DONE),
    Transition(CERTIFICATE, State.REFUSED_BY_CA, Act.REOPEN, State.RETURNED, (ENTRY,)),
    Transition(CERTIFICATE, State.REFUSED_BY_CA, Act.WITHDRAW, State.WITHDRAWN, (ENTRY,)),
    # Handing over
    Transition(CERTIFICATE, State.ISSUED, Act.DELIVER, State.DELIVERED, (MEDIA,)),
    Transition(CERTIFICATE, State.DELIVERED, Act.ARCHIVE, State.ARCHIVED, (ARCHIVE,)),
    Transition(_UNLOCK, State.APPROVED, Act.COMPLETE, State.DONE, (MEDIA,)),
    Transition(_RECOVERY, State.APPROVED, Act.COMPLETE, State.DONE, (SECURITY,)),
    Transition(_UNLOCK | _RECOVERY, State.APPROVED, Act.WITHDRAW, State.WITHDRAWN, (ENTRY,)),
)

TRANSITIONS: Mapping[tuple[Business, State, Act], Transition] = MappingProxyType(
    {(business, row.before, row.act): row for row in TABLE for business in sorted(row.businesses)}
)

# Where a piece of business may stay for good.
_OVER = frozenset({State.REJECTED, State.WITHDRAWN})
ENDS: Mapping[Business, frozenset[State]] = MappingProxyType(
    {
        business: _OVER
        | (
            {State.ARCHIVED}
            if business in CERTIFICATE
            else {State.DONE, State.REFUSED_BY_CA}
            if business in STATUS
            else {State.DONE}
        )
        for business in Business
    }
)

# An application in one of these has led to a certificate.
HAS_CERTIFICATE = frozenset({State.ISSUED, State.DELIVERED, State.ARCHIVED})
# While an application is in one of these, no second one for the same entity, authority and type.
OPEN = frozenset(
    {
        State.SUBMITTED,
        State.RETURNED,
        State.SECOND_REVIEW,
        State.APPROVED,
        State.ORDERED,
        State.REFUSED_BY_CA,
        State.REVIEWED,
    }
)

BUSINESS_NAMES: Mapping[Business, str] = MappingProxyType(
    {
        Business.NEW: _("New certificate"),
        Business.RENEW: _("Renewal"),
        Business.CHANGE: _("Change of data"),
        Business.REPLACE: _("Replacement after loss"),
        Business.HOLD: _("Hold"),
        Business.RELEASE: _("Release from hold"),
        Business.REVOKE: _("Revocation"),
        Business.UNLOCK: _("Unlocking of a token"),
        Business.BATCH: _("Batch"),
        Business.RECOVERY: _("Key recovery"),
    }
)

STATE_NAMES: Mapping[State, str] = MappingProxyType(
    {
        State.DRAFT: _("Draft"),
        State.SUBMITTED: _("Waiting for review"),
        State.RETURNED: _("Returned"),
        State.SECOND_REVIEW: _("Waiting for a second reviewer"),
        State.REVIEWED: _("Waiting for a security officer"),
        State.APPROVED: _("Approved"),
        State.ORDERED: _("Ordered from the CA"),
        State.ISSUED: _("Issued"),
        State.DELIVERED: _("Handed over"),
        State.ARCHIVED: _("Filed"),
        State.DONE: _("Done"),
        State.REFUSED_BY_CA: _("Refused by the CA"),
        State.REJECTED: _("Rejected"),
        State.WITHDRAWN: _("Withdrawn"),
    }
)


def check_move(business: Business, state: State, act: Act) -> Transition:
    """Return the step that `act` means here.

    Raises:
        WrongStateError: the act is not possible here; the error names what the state is now.
    """
    found = TRANSITIONS.get((business, state, act))
    if found is None:
        raise WrongStateError(act=act.value, state=state.value, state_name=STATE_NAMES[state])
    return found


def roles_of(business: Business, act: Act) -> tuple[str, ...]:
    """Every role that may do the act in some state; empty: only the service does it."""
    found = [row.roles for row in TABLE if row.act is act and business in row.businesses]
    return tuple(sorted({role for roles in found for role in roles}))


def acts_possible(business: Business, state: State, roles: frozenset[str]) -> frozenset[Act]:
    """The acts a page may offer; which people must differ is not looked at here."""
    return frozenset(
        row.act
        for row in TABLE
        if business in row.businesses and row.before is state and not roles.isdisjoint(row.roles)
    )
