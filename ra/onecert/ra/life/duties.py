"""Separation of duties: which duties on one piece of business need different people, asked in one place.

The floor cannot be lowered: whoever entered never reviews, and whoever reviews second or consents did
neither. The setting `duties_apart` adds to it, such as `make-enter` (who hands over did not enter). A duty is
looked at in all rounds of a piece of business, and two accounts of one person are one person.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from sqlalchemy import Connection, select

from onecert.ra.life.machine import Act
from onecert.ra.models import application_events
from onecert.server.operators import Operator, check_different_people

__all__ = ["DUTY_OF_ACT", "DUTY_OF_EVENT", "FLOOR", "Duties", "Duty", "people_of"]

SERVICE = "service"


class Duty(StrEnum):
    """What a person did, or is about to do."""

    ENTER = "enter"
    REVIEW = "review"
    SECOND = "second"
    CONSENT = "consent"
    MAKE = "make"
    ARCHIVE = "archive"


DUTY_OF_ACT: Mapping[Act, Duty] = MappingProxyType(
    {
        Act.SAVE: Duty.ENTER,
        Act.SUBMIT: Duty.ENTER,
        Act.REOPEN: Duty.ENTER,
        Act.DECIDE: Duty.ENTER,
        Act.APPROVE: Duty.REVIEW,
        Act.RETURN: Duty.REVIEW,
        Act.REJECT: Duty.REVIEW,
        Act.PASS_ON: Duty.REVIEW,
        Act.CONFIRM: Duty.SECOND,
        Act.CONSENT: Duty.CONSENT,
        Act.BRING_KEY: Duty.MAKE,
        Act.DELIVER: Duty.MAKE,
        Act.COMPLETE: Duty.MAKE,
        Act.ARCHIVE: Duty.ARCHIVE,
    }
)

# The words of the life line, for what was done before.
DUTY_OF_EVENT: Mapping[str, Duty] = MappingProxyType(
    {
        "created": Duty.ENTER,
        "saved": Duty.ENTER,
        "submitted": Duty.ENTER,
        "reopened": Duty.ENTER,
        "evidence_added": Duty.ENTER,
        "evidence_removed": Duty.ENTER,
        "evidence_set_aside": Duty.ENTER,
        "decided": Duty.ENTER,
        "approved": Duty.REVIEW,
        "passed_on": Duty.REVIEW,
        "confirmed": Duty.SECOND,
        "consented": Duty.CONSENT,
        "key_brought": Duty.MAKE,
        "delivered": Duty.MAKE,
        "completed": Duty.MAKE,
        "archived": Duty.ARCHIVE,
    }
)

# (the later duty, the earlier one that somebody else must have done)
FLOOR = frozenset(
    {
        (Duty.REVIEW, Duty.ENTER),
        (Duty.REVIEW, Duty.MAKE),  # a key that was brought is part of what is reviewed
        (Duty.SECOND, Duty.ENTER),
        (Duty.SECOND, Duty.MAKE),
        (Duty.SECOND, Duty.REVIEW),
        (Duty.CONSENT, Duty.ENTER),
        (Duty.CONSENT, Duty.REVIEW),
    }
)


@dataclass(frozen=True)
class Duties:
    """The policy: pairs of duties (later, earlier) that are kept apart."""

    apart: frozenset[tuple[Duty, Duty]] = FLOOR

    @classmethod
    def from_settings(cls, apart: Iterable[str]) -> "Duties":
        """Read `make-enter` and the like; the floor is always there."""
        pairs = set(FLOOR)
        for word in apart:
            later, _dash, earlier = word.partition("-")
            pairs.add((Duty(later), Duty(earlier)))
            if Duty(earlier) is Duty.REVIEW:
                pairs.add((Duty(later), Duty.SECOND))  # whoever is apart from a reviewer is so from both
        return cls(frozenset(pairs))

    def check(
        self,
        connection: Connection,
        operator: Operator,
        record_id: str,
        act: Act,
        load_operator: Callable[[Connection, str], Operator],
    ) -> None:
        """Raise `SamePersonError` when this person did a duty before that must be another's."""
        later = DUTY_OF_ACT.get(act)
        others = {earlier for duty, earlier in self.apart if duty is later}
        for person in people_of(connection, record_id, others):
            check_different_people(operator, load_operator(connection, person))


def people_of(connection: Connection, record_id: str, duties: Iterable[Duty]) -> list[str]:
    """Ids of all operators who did one of these duties on a piece of business, in any of its rounds."""
    wanted = set(duties)
    events = [event for event, duty in DUTY_OF_EVENT.items() if duty in wanted]
    if not events:
        return []
    query = select(application_events.c.actor).where(
        application_events.c.application_id == record_id,
        application_events.c.event.in_(events),
        application_events.c.actor != SERVICE,
    )
    return sorted(set(connection.scalars(query)))
