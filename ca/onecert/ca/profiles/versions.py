"""The installed versions of profiles: which is in force, and which may still be ordered.

The newest version whose day has come is in force and is offered; older ones still fill orders that name
them, until they are withdrawn. What a version says never changes: its content is hashed again whenever it is
read, and one whose hash is another is not used.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from onecert.ca.models import profiles
from onecert.ca.profiles.profile import Profile, profile_from_json

__all__ = ["InstalledProfile", "ProfileVersions", "load_usable"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class InstalledProfile:
    """One version that may be ordered from its day on; None: since its ceremony."""

    profile: Profile
    in_force_from: datetime | None

    def has_begun(self, at: datetime) -> bool:
        return self.in_force_from is None or self.in_force_from <= at


class ProfileVersions:
    """The versions of all profiles of one authority that are not withdrawn."""

    def __init__(self, installed: Iterable[InstalledProfile] = ()) -> None:
        self._versions: dict[str, dict[int, InstalledProfile]] = {}
        for each in installed:
            self._versions.setdefault(each.profile.name, {})[each.profile.version] = each

    def in_force(self, at: datetime) -> dict[str, Profile]:
        """The newest version of each profile whose day has come."""
        found = {}
        for name, versions in self._versions.items():
            begun = [number for number, each in versions.items() if each.has_begun(at)]
            if begun:
                found[name] = versions[max(begun)].profile
        return found

    def find(self, name: str, version: int, at: datetime) -> Profile | None:
        """A version that may be ordered now."""
        found = self._versions.get(name, {}).get(version)
        return found.profile if found is not None and found.has_begun(at) else None

    def next_change(self, at: datetime) -> datetime | None:
        """When another version comes into force, by what is known now."""
        days = [
            each.in_force_from
            for versions in self._versions.values()
            for each in versions.values()
            if each.in_force_from is not None and each.in_force_from > at
        ]
        return min(days, default=None)

    def everyone(self) -> list[Profile]:
        """Every version, also those whose day has not come."""
        return [each.profile for versions in self._versions.values() for each in versions.values()]


def load_usable(connection: Connection) -> Mapping[str, ProfileVersions]:
    """Read the versions that are not withdrawn, by authority."""
    installed: dict[str, list[InstalledProfile]] = {}
    query = select(
        profiles.c.authority, profiles.c.content, profiles.c.sha256, profiles.c.in_force_from
    ).where(profiles.c.in_force.is_(True))
    for authority, content, sha256, begins in connection.execute(query):
        profile = profile_from_json(content)
        if profile.sha256 != sha256:
            # Nothing is made from it; the other profiles go on.
            log.error(
                "a profile on record is not what was installed",
                extra={"authority": authority, "profile": profile.name, "version": profile.version},
            )
            continue
        installed.setdefault(authority, []).append(InstalledProfile(profile=profile, in_force_from=begins))
    return {name: ProfileVersions(found) for name, found in installed.items()}
