"""The authorities and profiles that can be applied for, read from the CA and kept for a while.

`GET /ca/v1/authorities` is asked at most every minute. When the CA does not answer, the last answer (also
from before a restart) is used and `Listing.stale` says so; pages then carry a notice, and nobody at the
counter waits.
"""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select

from onecert.ra.ca.client import CaClient
from onecert.ra.ca.errors import CaAnswerError, CaRefusedError, CaUnreachableError
from onecert.ra.errors import AuthorityUnknownError, ProfileMissingError
from onecert.ra.models import authority_snapshots
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import DatabaseUnavailableError
from onecert.server.languages import current_language

__all__ = ["Authority", "Directory", "Listing", "ProfileInfo"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProfileInfo:
    """One type of certificate that an authority issues."""

    name: str
    version: int
    title: Mapping[str, str]
    identity_required: tuple[str, ...] = ()
    identity_optional: tuple[str, ...] | None = None  # None: the CA does not say
    key_kinds: tuple[str, ...] = ()
    longest_months: int | None = None  # None: the CA does not say

    def takes_identity(self, field: str) -> bool:
        """Whether an order may carry this identity number."""
        return (
            self.identity_optional is None
            or field in self.identity_required
            or field in self.identity_optional
        )


@dataclass(frozen=True, kw_only=True)
class Authority:
    """One certification authority, its own certificate and what it issues."""

    name: str
    title: Mapping[str, str]
    certificate_pem: str
    chain_pem: tuple[str, ...]
    profiles: Mapping[str, ProfileInfo]

    def shown(self) -> str:
        """Its title in the present language, or its name."""
        return self.title.get(current_language()) or self.name


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The authorities as known at a moment; `stale` when the CA could not be asked."""

    authorities: Mapping[str, Authority]
    at: datetime | None
    stale: bool

    def shown(self, name: str) -> str:
        """An authority's title, also of one that has gone from the list."""
        found = self.authorities.get(name)
        return found.shown() if found else name


class Directory:
    """Answers which authorities there are; asks the CA at most once in `keep`."""

    def __init__(self, client: CaClient, database: Database, clock: Clock, *, keep: timedelta) -> None:
        self._client = client
        self._database = database
        self._clock = clock
        self._keep = keep
        self._lock = threading.Lock()
        self._listing: Listing | None = None
        self._asked_at: datetime | None = None

    def listing(self) -> Listing:
        """What is known now; never raises because the CA is away."""
        with self._lock:
            now = self._clock.now()
            if self._listing is None or self._asked_at is None or now - self._asked_at >= self._keep:
                self._listing = self._ask(now)
                # After a failure ask again soon, but not for every page view.
                self._asked_at = now - self._keep * 0.9 if self._listing.stale else now
            return self._listing

    def profile(self, authority: str, kind: str) -> ProfileInfo:
        """The profile in force.

        Raises:
            CaUnreachableError: nothing is known yet and the CA does not answer.
            AuthorityUnknownError, ProfileMissingError
        """
        listing = self.listing()
        if not listing.authorities and listing.stale:
            raise CaUnreachableError("no list of authorities yet")
        found = listing.authorities.get(authority)
        if found is None:
            raise AuthorityUnknownError(authority, sorted(listing.authorities))
        if kind not in found.profiles:
            raise ProfileMissingError(authority, kind)
        return found.profiles[kind]

    def longest_months(self, authority: str, kind: str) -> int | None:
        """How long a certificate of this type may be; None when the CA does not say or is not known yet."""
        found = self.listing().authorities.get(authority)
        profile = found.profiles.get(kind) if found else None
        return profile.longest_months if profile else None

    def forget(self) -> None:
        """Ask the CA again at the next use."""
        with self._lock:
            self._asked_at = None

    def _ask(self, now: datetime) -> Listing:
        try:
            document = self._client.authorities()
            authorities = read_authorities(document)
        except (CaUnreachableError, CaRefusedError, CaAnswerError) as exc:
            log.warning("authorities not read from the CA", extra={"code": exc.code})
            return self._last_known()
        self._remember(document, now)
        return Listing(authorities=authorities, at=now, stale=False)

    def _last_known(self) -> Listing:
        if self._listing is not None:
            return Listing(authorities=self._listing.authorities, at=self._listing.at, stale=True)
        with self._database.reading() as connection:
            row = connection.execute(select(authority_snapshots)).one_or_none()
        if row is None:
            return Listing(authorities={}, at=None, stale=True)
        return Listing(authorities=read_authorities(json.loads(row.document)), at=row.at, stale=True)

    def _remember(self, document: Mapping[str, Any], now: datetime) -> None:
        text = json.dumps(document, ensure_ascii=False, sort_keys=True)
        try:
            with self._database.reading() as connection:
                if connection.scalar(select(authority_snapshots.c.document)) == text:
                    return
            with self._database.transaction() as connection:
                connection.execute(delete(authority_snapshots))
                connection.execute(insert(authority_snapshots).values(id=1, at=now, document=text))
        except DatabaseUnavailableError:
            log.warning("list of authorities not kept: database unavailable")


def read_authorities(document: Mapping[str, Any]) -> dict[str, Authority]:
    """Read the CA's answer.

    Raises:
        CaAnswerError: it is not of the agreed form.
    """
    try:
        return {entry["name"]: _authority(entry) for entry in document["authorities"]}
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise CaAnswerError("GET /ca/v1/authorities") from exc


def _authority(entry: Mapping[str, Any]) -> Authority:
    profiles = [_profile(profile) for profile in entry["profiles"]]
    return Authority(
        name=str(entry["name"]),
        title=_title(entry),
        certificate_pem=str(entry["certificate_pem"]),
        chain_pem=tuple(map(str, entry.get("chain_pem", ()))),
        profiles={profile.name: profile for profile in profiles},
    )


def _profile(entry: Mapping[str, Any]) -> ProfileInfo:
    optional = entry.get("identity_optional")
    return ProfileInfo(
        name=str(entry["name"]),
        version=int(entry["version"]),
        title=_title(entry),
        identity_required=_texts(entry.get("identity_required", ())),
        identity_optional=None if optional is None else _texts(optional),
        key_kinds=_texts(entry.get("key_kinds", ())),
        longest_months=_months(entry),
    )


def _months(entry: Mapping[str, Any]) -> int | None:
    """The longest term in whole months; a profile says days, or months where the days are 0."""
    days = int(entry.get("validity_days") or 0)
    return days * 12 // 365 if days else int(entry.get("validity_months") or 0) or None


def _title(entry: Mapping[str, Any]) -> Mapping[str, str]:
    title = entry.get("title") or {}
    if isinstance(title, Mapping):
        return {str(language): str(text) for language, text in title.items()}
    return {"zh": str(title), "en": str(title)}


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
