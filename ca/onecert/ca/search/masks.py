"""What a reader without need sees of a person's certificate: that there is one, not whose.

Organisations' names and numbers are public; those of people, and of people within an organisation, are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from onecert.ca.issuing.ledger import CertificateRecord
from onecert.ca.profiles.profile import Profile
from onecert.ca.search.questions import masked_entity

__all__ = ["common_name", "is_personal", "masked_life", "masked_name", "masked_row", "shown_holder"]

_KINDS = frozenset({"idcard", "passport", "officer", "employee"})
# What an event tells of people: who asked for it, and why in their words.
_OF_PEOPLE = frozenset({"asked_by", "early"})
_COMMON_NAME = re.compile(r"(?:^|, )CN=(.*?)(?=, [A-Za-z]{1,20}=|$)")


def is_personal(entity: str, profile: Profile | None = None) -> bool:
    """Tell whether a certificate says something about a person, by its entity and its profile's fields."""
    if entity.partition(":")[0] in _KINDS:
        return True
    if profile is None:
        return False
    fields = (*profile.identity_required, *profile.identity_optional)
    return any(kind in field for field in fields for kind in _KINDS)


def masked_name(name: str) -> str:
    """Leave the first character: `张**`."""
    return name[:1] + "*" * max(len(name) - 1, 2)


def common_name(subject: str) -> str:
    """The name that people call a certificate by; the whole subject where it has none."""
    found = _COMMON_NAME.search(subject)
    return found[1] if found is not None else subject


def shown_holder(record: CertificateRecord, *, full: bool) -> tuple[str, str]:
    """Name and entity as a reader sees them."""
    name = common_name(record.subject)
    if full:
        return name, record.entity
    return masked_name(name) if is_personal(record.entity) else name, masked_entity(record.entity)


def masked_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A certificate as a search answers it, for whoever has no need to know whose it is.

    Args:
        row: as `found_json` wrote it.
    """
    entity, subject = str(row["entity"]), str(row["subject"])
    if is_personal(entity):
        subject = f"CN={masked_name(common_name(subject))}"
    return {**row, "subject": subject, "entity": masked_entity(entity)}


def masked_life(told: Mapping[str, Any]) -> dict[str, Any]:
    """A life line as `history` told it, without the certificate itself and without the people who asked."""
    readings = told["readings"]
    last = readings["last"]
    return {
        **told,
        "certificate": masked_row(told["certificate"]),
        "certificate_pem": None,
        "events": [_without_people(event) for event in told["events"]],
        "readings": {**readings, "last": None if last is None else _without_people(last)},
    }


def _without_people(event: Mapping[str, Any]) -> dict[str, Any]:
    details = {name: value for name, value in event["details"].items() if name not in _OF_PEOPLE}
    return {**event, "details": details}
