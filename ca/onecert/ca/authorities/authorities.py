"""The authorities as the service knows them: certificate, chain, profiles, all parsed once and kept.

Authorities and profiles are only ever added (by a ceremony), so what is loaded stays right; a name that is
not known is looked up again before it is refused. Only the state of one changes: see `authority_life`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from cryptography import x509
from sqlalchemy import select

from onecert.ca import models
from onecert.ca.certificates.draft import DraftMaker, Issuer, issuer_of
from onecert.ca.errors import ProfileVersionError, UnknownAuthorityError, UnknownProfileError
from onecert.ca.errors.profiles import ProfileChangedError, ProfileContentError
from onecert.ca.profiles.profile import Profile
from onecert.ca.profiles.versions import ProfileVersions, load_usable
from onecert.server.clock import Clock, SystemClock
from onecert.server.database import Database

__all__ = ["Authorities", "Authority"]

ROOT, ISSUING = "root", "issuing"
ACTIVE, RETIRED, DESTROYED = "active", "retired", "destroyed"
# Where further certificates of an authority come from.
OUTSIDE, RECEIVED, ROLL_OVER = "outside", "received", "roll-over"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """One authority that has its certificate."""

    name: str
    kind: str
    issuer_name: str
    key_label: str
    serial: str
    certificate_der: bytes
    title: Mapping[str, str]
    issuer: Issuer
    crl_lifetime: timedelta
    delta_lifetime: timedelta  # 0: no delta lists
    profiles: Mapping[str, Profile]  # the version in force of each
    versions: ProfileVersions
    all_makers: Mapping[str, DraftMaker]  # by the hash of the profile
    line: str  # what orders name
    orders_from: datetime | None  # None: it fills them under its own name
    predecessor: str  # the same name with the key before; empty: none
    state: str
    outside_der: tuple[bytes, ...]  # the authorities of others above it, the nearest first
    further_der: tuple[bytes, ...]  # certificates of its name and key, or of the key before or after

    @property
    def is_root(self) -> bool:
        return self.kind == ROOT

    @cached_property
    def certificate_pem(self) -> str:
        return pem(self.certificate_der)

    def profile(self, name: str) -> Profile:
        """Find the version in force of a profile.

        Raises:
            UnknownProfileError
        """
        profile = self.profiles.get(name)
        if profile is None:
            raise UnknownProfileError(self.name, name)
        return profile

    def maker(self, profile: Profile) -> DraftMaker:
        """What writes drafts of exactly this profile.

        Raises:
            ProfileChangedError: the profile is not one that was loaded with this authority.
        """
        maker = self.all_makers.get(profile.sha256)
        if maker is None:
            raise ProfileChangedError(profile.name, profile.version)
        return maker


def pem(certificate_der: bytes) -> str:
    """Write a certificate in PEM form (RFC 7468)."""
    text = base64.b64encode(certificate_der).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))


class Authorities:
    """All authorities of this service.

    Args:
        status_url: where lists, certificates and OCSP answers are served; goes into every certificate.
    """

    def __init__(self, database: Database, status_url: str, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self.status_url = status_url
        self._loaded: dict[str, Authority] = {}
        self._lines: dict[str, tuple[str, ...]] = {}
        self._next_change: datetime | None = None  # when another version of a profile comes into force
        self._mark = b""
        self._lock = threading.Lock()

    @property
    def mark(self) -> bytes:
        """A hash over what is loaded: the same in every process that knows the same."""
        return self._mark

    def get(self, name: str) -> Authority:
        """Find one authority.

        Raises:
            UnknownAuthorityError
        """
        authority = self._loaded.get(name)
        if authority is None or (self._next_change is not None and self._clock.now() >= self._next_change):
            self.reload()
            authority = self._loaded.get(name)
        if authority is None:
            raise UnknownAuthorityError(name[:64])
        return authority

    def profile(self, authority: str, name: str, version: int, sha256: str | None = None) -> Profile:
        """Find the version of a profile that an order names: the one in force, or an older one.

        Args:
            sha256: of its content as the order has it, where it says so.

        Raises:
            UnknownAuthorityError, UnknownProfileError, ProfileVersionError
            ProfileContentError: the version has another content.
        """
        profile = self.get(authority).versions.find(name, version, self._clock.now())
        if profile is None:
            self.reload()
            current = self.get(authority).profile(name)
            profile = self.get(authority).versions.find(name, version, self._clock.now())
            if profile is None:
                raise ProfileVersionError(name, version, current.version)
        if sha256 is not None and sha256 != profile.sha256:
            raise ProfileContentError(name, version)
        return profile

    def line(self, name: str) -> tuple[str, ...]:
        """The authorities that joined a line after its first; nearly always none."""
        return self._lines.get(name, ())

    def line_of(self, name: str) -> str:
        """The name that orders for an authority are made by; nearly always its own."""
        try:
            return self.get(name).line
        except UnknownAuthorityError:
            return name

    def others_of_line(self, name: str) -> list[str]:
        """The other authorities of the same line, before and after it; nearly always none."""
        line = self.line_of(name)
        return [each for each in (line, *self.line(line)) if each != name]

    def filling(self, name: str, at: datetime | None = None) -> Authority:
        """The authority that fills new orders made by this name at a moment, now by default.

        It may be retired.

        Raises:
            UnknownAuthorityError
        """
        moment = at or self._clock.now()
        joined = [
            (since, each)
            for each in self.line(name)
            if (since := self._loaded[each].orders_from) is not None and since <= moment
        ]
        return self.get(max(joined)[1] if joined else name)

    def everyone(self) -> list[Authority]:
        """List all authorities by name, as far as known; see `reload`."""
        return [self._loaded[name] for name in sorted(self._loaded)]

    def chain(self, authority: Authority) -> list[Authority]:
        """List an authority and those above it, up to the root."""
        chain = [authority]
        while chain[-1].issuer_name != chain[-1].name:
            chain.append(self.get(chain[-1].issuer_name))
        return chain

    def chain_pem(self, authority: Authority) -> list[str]:
        """The certificates of the chain, PEM, with those of the outside authorities above it."""
        chain = self.chain(authority)
        return [*(each.certificate_pem for each in chain), *(pem(each) for each in chain[-1].outside_der)]

    def reload(self) -> list[Authority]:
        """Read authorities and profiles from the database."""
        table = models.authorities
        at = self._clock.now()
        with self._database.reading() as connection:
            rows = (
                connection.execute(select(table).where(table.c.certificate_der.is_not(None))).mappings().all()
            )
            by_authority = load_usable(connection)
            table = models.authority_certificates
            further = connection.execute(
                select(table).order_by(table.c.added_at, table.c.position, table.c.sha256)
            ).all()
        loaded = {}
        for row in rows:
            certificate = x509.load_der_x509_certificate(row["certificate_der"])
            issuer = issuer_of(
                certificate,
                row["name"],
                self.status_url,
                with_ocsp=row["kind"] == ISSUING,
                crl_partitions=row["crl_partitions"],
            )
            own = by_authority.get(row["name"], ProfileVersions())
            others = [each for each in further if each.authority == row["name"]]
            loaded[row["name"]] = Authority(
                name=row["name"],
                kind=row["kind"],
                issuer_name=row["issuer"],
                key_label=row["key_label"],
                serial=row["serial"],
                certificate_der=row["certificate_der"],
                title=json.loads(row["title"]),
                issuer=issuer,
                crl_lifetime=timedelta(seconds=row["crl_lifetime_s"]),
                delta_lifetime=timedelta(seconds=row["crl_delta_s"]),
                profiles=own.in_force(at),
                versions=own,
                all_makers={each.sha256: DraftMaker(issuer, each) for each in own.everyone()},
                line=row["line"] or row["name"],
                orders_from=row["orders_from"],
                predecessor=row["predecessor"] or "",
                state=row["state"],
                outside_der=tuple(each.certificate_der for each in others if each.origin == OUTSIDE),
                further_der=tuple(each.certificate_der for each in others if each.origin != OUTSIDE),
            )
        changes = [versions.next_change(at) for versions in by_authority.values()]
        with self._lock:
            self._loaded = loaded
            self._lines = _lines_of(loaded)
            self._next_change = min((change for change in changes if change is not None), default=None)
            self._mark = _mark_of(loaded)
        return self.everyone()


def _mark_of(loaded: Mapping[str, Authority]) -> bytes:
    """Hash what orders are filled by."""
    known = [
        (each.issuer.mark, each.state, each.line, each.orders_from, sorted(each.all_makers))
        for _name, each in sorted(loaded.items())
    ]
    return hashlib.sha256(repr(known).encode()).digest()


def _lines_of(loaded: Mapping[str, Authority]) -> dict[str, tuple[str, ...]]:
    lines: dict[str, tuple[str, ...]] = {}
    for authority in loaded.values():
        if authority.orders_from is not None:
            lines[authority.line] = (*lines.get(authority.line, ()), authority.name)
    return lines
