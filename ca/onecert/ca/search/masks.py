"""What a reader without need sees of a person's certificate: that there is one, not whose.

Organisations' names and numbers are public; those of people, and of people within an organisation, are not.
"""

from __future__ import annotations

import re

from onecert.ca.issuing.ledger import CertificateRecord
from onecert.ca.profiles.profile import Profile
from onecert.ca.search.questions import masked_entity

__all__ = ["common_name", "is_personal", "masked_name", "shown_holder"]

_KINDS = frozenset({"idcard", "passport", "officer", "employee"})
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
