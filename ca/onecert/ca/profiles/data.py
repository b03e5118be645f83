"""One profile: the fields, their one canonical spelling and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from onecert.ca.certificates.identity import IdentityForm
from onecert.ca.certificates.names import SubjectRule

__all__ = ["Profile", "profile_from_json", "with_tuples"]

# What was added to profiles since the first ceremonies: said only where it differs, so that older ones keep
# their hash.
_ADDED: Mapping[str, object] = {
    "freshest_crl": False,
    "validity_months": 0,
    "backdate_minutes": 0,
    "clip_to_issuer": False,
    "renewal_same_key": False,
    "renewal_window_days": 0,
    "renewal_after_expiry_days": 0,
    "attribute_controls": False,
}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of certificate of one authority, at one version. The README describes each key."""

    name: str
    version: int
    holder: str
    title_zh: str
    title_en: str
    validity_days: int  # 0: `validity_months` says it
    key_kinds: tuple[str, ...]
    subject: Mapping[str, SubjectRule]
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...] = ()
    is_authority: bool = False
    path_length: int | None = None
    alternative_names: bool = False
    status_pointers: bool = True
    freshest_crl: bool = False
    ocsp_no_check: bool = False
    identity_required: tuple[str, ...] = ()
    identity_optional: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    identity_forms: tuple[IdentityForm, ...] = field(default=())
    validity_months: int = 0
    backdate_minutes: int = 0  # how long before the moment of issue a certificate is valid already
    clip_to_issuer: bool = False  # it may end with its issuer, before its own term
    renewal_same_key: bool = False  # a renewal or change may bring the key of the old certificate
    renewal_window_days: int = 0  # it can be renewed so long before its end; 0: at any time
    renewal_after_expiry_days: int = 0  # and so long after its end
    attribute_controls: bool = False  # an order may say which attributes its holder may give (aaControls)

    @property
    def longest_days(self) -> int:
        """An upper bound of the term in days."""
        return self.validity_days or self.validity_months * 31

    @property
    def validity(self) -> timedelta:
        """From first to last second, both in it; of months, the least that they can be. See `last_second`."""
        days = self.validity_days or 365 * (self.validity_months // 12) + 28 * (self.validity_months % 12)
        return timedelta(days=days) - timedelta(seconds=1)

    @property
    def extended_key_usage_critical(self) -> bool:
        """RFC 3161, section 2.3: timeStamping stands alone and is critical."""
        return self.extended_key_usage == ("timeStamping",)

    def as_json(self) -> str:
        """Write the whole profile in one canonical form: sorted keys, no blanks."""
        data = asdict(self)
        for name, default in _ADDED.items():
            if data[name] == default:
                del data[name]
        return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.as_json().encode()).hexdigest()


def profile_from_json(text: str) -> Profile:
    """Read what `Profile.as_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    data["subject"] = {name: SubjectRule(**rule) for name, rule in data["subject"].items()}
    data["identity_forms"] = tuple(IdentityForm(**form) for form in data["identity_forms"])
    return Profile(**with_tuples(data))


def with_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
