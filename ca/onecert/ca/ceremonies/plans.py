"""What ceremonies make, as reviewed: the plans of authorities, and how the tables of a file are read.

Every fault is added to one list, so that a reviewer sees all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from onecert.ca.authorities.authorities import ISSUING, ROOT
from onecert.ca.authorities.terms import ANY_POLICY, AuthorityTerms
from onecert.ca.certificates.names import checked_subject
from onecert.ca.errors import CaError, CeremonyFileError
from onecert.ca.lists.names import PARTITIONS_MAX
from onecert.ca.profiles.profile import KEY_KINDS, Profile, resolved_profile

__all__ = [
    "AuthorityPlan",
    "CeremonyFile",
    "CertifiedPlan",
    "OutsidePlan",
    "is_name",
    "number_of",
    "read_plan",
    "read_profiles",
    "read_subject_table",
    "roll_over_profile",
]

_NAME = re.compile(r"[a-z][a-z0-9-]{1,31}", re.ASCII)
_AUTHORITY_KEYS = {
    "name",
    "title",
    "key",
    "subject",
    "validity_days",
    "crl_hours",
    "crl_partitions",
    "delta_hours",
}


@dataclass(frozen=True, kw_only=True)
class AuthorityPlan:
    """One authority of ours to be made.

    Args:
        role: `root`: offline, certifies authorities; `issuing`: certifies holders.
        subject: its name; empty when `rekeys` gives it.
        issuer: the authority that certifies it; empty: itself, or the other one of this ceremony.
        rekeys: the authority whose name it takes over, with a new key.
        line: what registration authorities order by when this authority takes over orders.
        orders_from: the moment of that.
    """

    role: str
    name: str
    title: Mapping[str, str]
    key_kind: str
    subject: Mapping[str, str]
    profile: Profile
    crl_lifetime: timedelta
    crl_partitions: int = 0
    delta_lifetime: timedelta = timedelta(0)
    issuer: str = ""
    rekeys: str = ""
    line: str = ""
    orders_from: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CertifiedPlan:
    """An authority of others that one of ours certifies.

    Args:
        source: its request or its certificate, PEM, as reviewed.
    """

    name: str
    issuer: str
    source: str
    profile: Profile
    terms: AuthorityTerms
    spki_der: bytes
    subject: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class OutsidePlan:
    """What comes from others: of whom it comes, or the certificates themselves, PEM or PKCS#7."""

    authority: str
    certificates_der: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class CeremonyFile:
    """A whole ceremony, of one kind; what its kind does not need is None or empty."""

    kind: str
    name: str
    people: tuple[str, ...]
    profiles: tuple[Profile, ...]
    text: str
    sha256: str
    root: AuthorityPlan | None = None
    issuing: AuthorityPlan | None = None
    certified: CertifiedPlan | None = None
    outside: OutsidePlan | None = None

    @property
    def plans(self) -> tuple[AuthorityPlan, ...]:
        """The authorities of ours that it makes, root first."""
        return tuple(plan for plan in (self.root, self.issuing) if plan is not None)

    @property
    def authority_profiles(self) -> tuple[Profile, ...]:
        """The profiles of all certificates that it makes for authorities."""
        found = [plan.profile for plan in self.plans]
        if self.certified is not None:
            found.append(self.certified.profile)
        if self.root is not None and self.root.rekeys:
            found.append(roll_over_profile())
        return tuple(found)


def roll_over_profile() -> Profile:
    """The profile of key roll-over certificates. All policies pass, as they do below the roots themselves."""
    return resolved_profile("cross", {"policies": [ANY_POLICY]})


def is_name(value: object) -> bool:
    """Tell whether a value can name an authority or a ceremony."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def read_plan(
    kind: str, data: Any, faults: list[str], *, crl_hours: int, more_keys: frozenset[str] = frozenset()
) -> AuthorityPlan | None:
    """Read the table of an authority of ours; None when it has faults, which are added to the others."""
    before = len(faults)
    if not isinstance(data, dict):
        faults.append(f"“{kind}” is a table")
        return None
    faults += [f"{kind}: unknown key “{key}”" for key in data if key not in _AUTHORITY_KEYS | more_keys]
    if not is_name(data.get("name")):
        faults.append(f"{kind}: “name” is small letters, digits, hyphens")
    if data.get("key") not in KEY_KINDS:
        faults.append(f"{kind}: “key” is one of {', '.join(KEY_KINDS)}")
    profile = resolved_profile(kind)
    days = number_of(data, "validity_days", profile.validity_days, (1, 36525), table=kind, faults=faults)
    hours = number_of(data, "crl_hours", crl_hours, (1, 24 * 400), table=kind, faults=faults)
    partitions = number_of(data, "crl_partitions", 0, (0, PARTITIONS_MAX), table=kind, faults=faults)
    delta_hours = data.get("delta_hours", 0)
    if not _is_number(delta_hours, 0, hours):
        faults.append(f"{kind}: “delta_hours” is a number from 0, at most “crl_hours”")
    title = data.get("title", {})
    if not isinstance(title, dict) or set(title) != {"zh", "en"}:
        faults.append(f"{kind}: “title” has “zh” and “en”")
    subject: dict[str, str] = {}
    if "rekeys" in data and "rekeys" in more_keys:
        if "subject" in data:
            faults.append(f"{kind}: the name is that of the authority that it re-keys; leave “subject” out")
    else:
        subject = read_subject_table(kind, data.get("subject", {}), profile, faults)
    if len(faults) > before:
        return None
    return AuthorityPlan(
        role=ROOT if kind == "root" else ISSUING,
        name=data["name"],
        title=title,
        key_kind=data["key"],
        subject=subject,
        profile=replace(profile, validity_days=days),
        crl_lifetime=timedelta(hours=hours),
        crl_partitions=partitions,
        delta_lifetime=timedelta(hours=delta_hours),
    )


def read_subject_table(kind: str, data: Any, profile: Profile, faults: list[str]) -> dict[str, str]:
    try:
        return checked_subject(data, profile.subject)
    except (CaError, AttributeError, TypeError) as exc:
        faults.append(f"{kind}: subject: {exc}")
        return {}


def _is_number(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def number_of(
    data: Mapping[str, Any], key: str, default: int, limits: tuple[int, int], *, table: str, faults: list[str]
) -> int:
    """Read a number with its limits; when it is wrong, the fault is added and the default returned."""
    value = data.get(key, default)
    if _is_number(value, *limits):
        return int(value)
    faults.append(f"{table}: “{key}” is a number from {limits[0]} to {limits[1]}")
    return default


def read_profiles(data: Any, faults: list[str]) -> tuple[Profile, ...]:
    """Read what an issuing authority adds to the profiles that come with the CA."""
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        faults.append("“profiles” is a list of tables")
        return ()
    resolved: list[Profile] = []
    names: set[str] = set()
    # Every issuing authority has responders; a file names their profile only to add to it.
    listed = any(entry.get("name") == "ocsp" for entry in data)
    for entry in data if listed else [*data, {"name": "ocsp"}]:
        name = entry.get("name", "")
        if name in names:
            faults.append(f"profile “{name}” is there twice")
            continue
        names.add(name)
        try:
            profile = resolved_profile(name, entry)
        except CeremonyFileError as exc:
            faults += exc.faults
            continue
        if profile.holder == "authority":
            faults.append(f"profile “{name}” is for authorities only")
        resolved.append(profile)
    return tuple(resolved)
