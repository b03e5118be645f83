"""What changes from one version of a profile to the next, field by field, and as what a certificate says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from onecert.ca.profiles.profile import Profile

__all__ = ["Difference", "compare_profiles"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field; empty: it is not there."""

    field: str
    before: str
    after: str


def compare_profiles(before: Profile | None, after: Profile) -> list[Difference]:
    """List the fields that differ, by their path in the canonical form; None: there is nothing before."""
    old = {} if before is None else _flat(json.loads(before.as_json()))
    new = _flat(json.loads(after.as_json()))
    return [
        Difference(field=field, before=old.get(field, ""), after=new.get(field, ""))
        for field in sorted(old.keys() | new.keys())
        if old.get(field, "") != new.get(field, "")
    ]


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict) and (value or not path):
        found: dict[str, str] = {}
        for key, entry in value.items():
            found |= _flat(entry, f"{path}.{key}" if path else key)
        return found
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        found = {}
        for entry in value:
            # Identity forms are told apart by their type.
            found |= _flat(entry, f"{path}[{entry.get('oid', '')}]")
        return found
    return {path: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
