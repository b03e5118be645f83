"""The reviewed ceremony file: what it may say, all its faults at once, the hash that reviewers agree on."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from onecert.ca.crl_names import PARTITIONS_MAX, looks_like_list
from onecert.ca.errors import CaError, CeremonyFileError
from onecert.ca.names import checked_subject
from onecert.ca.profile import KEY_KINDS, Profile, resolved_profile

__all__ = ["AuthorityPlan", "CeremonyFile", "load_ceremony_file"]

FORMAT = 1
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
    """One authority to be made: the root or the issuing one."""

    name: str
    title: Mapping[str, str]
    key_kind: str
    subject: Mapping[str, str]
    profile: Profile
    crl_lifetime: timedelta
    crl_partitions: int = 0
    delta_lifetime: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class CeremonyFile:
    """A whole ceremony: an offline root, an issuing authority below it, and its profiles."""

    name: str
    people: tuple[str, ...]
    root: AuthorityPlan
    issuing: AuthorityPlan
    profiles: tuple[Profile, ...]
    text: str
    sha256: str


def load_ceremony_file(path: Path) -> CeremonyFile:
    """Read and check a ceremony file.

    Raises:
        CeremonyFileError: with every fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise CeremonyFileError([f"{path.name}: {exc}"]) from exc
    return ceremony_from_text(text, data)


def ceremony_from_text(text: str, data: Mapping[str, Any]) -> CeremonyFile:
    """Check the content of a ceremony file."""
    faults = [
        f"unknown key “{key}”"
        for key in data
        if key not in {"format", "name", "people", "root", "issuing", "profiles"}
    ]
    if data.get("format") != FORMAT:
        faults.append(f"“format” must be {FORMAT}")
    if not _is_name(data.get("name")):
        faults.append("“name” names the ceremony: small letters, digits, hyphens")
    people = data.get("people", [])
    if not isinstance(people, list) or len({str(person) for person in people}) < 2:
        faults.append("“people” names at least two people who are present")
    root = _plan("root", data.get("root", {}), faults, crl_hours=24 * 365)
    issuing = _plan("issuing", data.get("issuing", {}), faults, crl_hours=24)
    profiles = _profiles(data.get("profiles", []), faults)
    if root and issuing and root.name == issuing.name:
        faults.append("root and issuing authority need different names")
    if root and issuing and looks_like_list(root.name, issuing.name):
        faults.append(f"“{root.name}” is the name of a list of “{issuing.name}”")
    if root and issuing and root.profile.validity_days <= issuing.profile.validity_days:
        faults.append("the root must outlive the issuing authority")
    if faults or root is None or issuing is None:
        raise CeremonyFileError(faults)
    return CeremonyFile(
        name=data["name"],
        people=tuple(str(person) for person in people),
        root=root,
        issuing=issuing,
        profiles=tuple(profiles),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _plan(kind: str, data: Mapping[str, Any], faults: list[str], *, crl_hours: int) -> AuthorityPlan | None:
    before = len(faults)
    faults += [f"{kind}: unknown key “{key}”" for key in data if key not in _AUTHORITY_KEYS]
    if not _is_name(data.get("name")):
        faults.append(f"{kind}: “name” is small letters, digits, hyphens")
    if data.get("key") not in KEY_KINDS:
        faults.append(f"{kind}: “key” is one of {', '.join(KEY_KINDS)}")
    profile = resolved_profile(kind)
    days = data.get("validity_days", profile.validity_days)
    hours = data.get("crl_hours", crl_hours)
    if not isinstance(days, int) or not 1 <= days <= 36525:
        faults.append(f"{kind}: “validity_days” is a number from 1 to 36525")
    if not isinstance(hours, int) or not 1 <= hours <= 24 * 400:
        faults.append(f"{kind}: “crl_hours” is a number from 1 to {24 * 400}")
    partitions, delta_hours = data.get("crl_partitions", 0), data.get("delta_hours", 0)
    if not isinstance(partitions, int) or not 0 <= partitions <= PARTITIONS_MAX:
        faults.append(f"{kind}: “crl_partitions” is a number from 0 to {PARTITIONS_MAX}")
    if not isinstance(delta_hours, int) or not isinstance(hours, int) or not 0 <= delta_hours <= hours:
        faults.append(f"{kind}: “delta_hours” is a number from 0, at most “crl_hours”")
    title = data.get("title", {})
    if not isinstance(title, dict) or set(title) != {"zh", "en"}:
        faults.append(f"{kind}: “title” has “zh” and “en”")
    subject: dict[str, str] = {}
    try:
        subject = checked_subject(data.get("subject", {}), profile.subject)
    except (CaError, AttributeError, TypeError) as exc:
        faults.append(f"{kind}: subject: {exc}")
    if len(faults) > before:
        return None
    return AuthorityPlan(
        name=data["name"],
        title=title,
        key_kind=data["key"],
        subject=subject,
        profile=replace(profile, validity_days=days),
        crl_lifetime=timedelta(hours=hours),
        crl_partitions=partitions,
        delta_lifetime=timedelta(hours=delta_hours),
    )


def _profiles(data: Any, faults: list[str]) -> list[Profile]:
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        faults.append("“profiles” is a list of tables")
        return []
    resolved = []
    names: set[str] = set()
    # Every issuing authority has responders.
    for entry in [*data, {"name": "ocsp"}]:
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
    return resolved
