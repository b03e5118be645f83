"""Profiles: what one kind of certificate must look like, as versioned data.

A profile is a TOML file in `profiles/` (the shape common to all authorities) together with what one authority
adds in its ceremony file (its identity forms and policies). Both are resolved once, at the ceremony, and
kept in the database with their hash; an order is frozen to that version.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from onecert.ca.certificates.identity import IdentityForm
from onecert.ca.certificates.names import SubjectRule
from onecert.ca.errors import CeremonyFileError
from onecert.ca.profiles.data import Profile, profile_from_json, with_tuples
from onecert.ca.profiles.rules import find_rule_faults
from onecert.ca.profiles.schema import find_form_faults
from onecert.ca.profiles.values import EXTENDED_KEY_USAGE_OIDS, HOLDERS, KEY_KINDS, KEY_USAGE_BITS
from onecert.server.languages import Sentence

__all__ = [
    "EXTENDED_KEY_USAGE_OIDS",
    "HOLDERS",
    "KEY_KINDS",
    "KEY_USAGE_BITS",
    "Profile",
    "packaged_profile",
    "packaged_profile_names",
    "profile_from_data",
    "profile_from_json",
    "read_profile",
    "resolved_profile",
]


def packaged_profile(name: str) -> dict[str, Any] | None:
    """Read one of the profile files that come with the CA; None when there is none of that name."""
    path = files("onecert.ca") / "profiles" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def packaged_profile_names() -> list[str]:
    """List the profiles that come with the CA."""
    folder = files("onecert.ca") / "profiles"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def resolved_profile(name: str, additions: Mapping[str, Any] | None = None) -> Profile:
    """Combine a packaged profile with what an authority adds: `policies` and `identity` forms.

    Raises:
        CeremonyFileError: with every fault of both files.
    """
    data = packaged_profile(name)
    if data is None:
        raise CeremonyFileError([f"there is no profile “{name}”"])
    data.update({key: value for key, value in (additions or {}).items() if key != "name"})
    return profile_from_data(data)


def profile_from_data(data: Mapping[str, Any]) -> Profile:
    """Check the data of a profile and build it.

    Raises:
        CeremonyFileError: with every fault.
    """
    name = data.get("name", "?")
    profile, faults = read_profile(data)
    if profile is None:
        raise CeremonyFileError([f"profile “{name}”: {fault}" for fault in faults])
    return profile


def read_profile(data: object) -> tuple[Profile | None, list[Sentence]]:
    """Build a profile from the data of its file, or name every fault of form, or else of the rules."""
    faults = find_form_faults(data)
    if faults or not isinstance(data, dict):
        return None, faults
    profile = _built(data)
    faults = find_rule_faults(profile)
    return (None if faults else profile), faults


def _built(data: Mapping[str, Any]) -> Profile:
    """Build what has the right form."""
    title, forms = data["title"], tuple(IdentityForm(**form) for form in data.get("identity", ()))
    carried = {form.value for form in forms}
    others = {"subject", "identity", "title", "validity_years", "identity_optional"}
    return Profile(
        **{"validity_days": 0, "validity_months": 12 * data.get("validity_years", 0)}
        | with_tuples({key: value for key, value in data.items() if key not in others}),
        title_zh=title["zh"],
        title_en=title["en"],
        subject={name: SubjectRule(**rule) for name, rule in data["subject"].items()},
        # What no extension of this authority carries is not asked for and not accepted.
        identity_optional=tuple(value for value in data.get("identity_optional", ()) if value in carried),
        identity_forms=forms,
    )
