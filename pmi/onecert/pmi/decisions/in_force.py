"""What is in force for decisions: policy, trusted authorities with their roles, status of certificates.

All of it is versioned data. One statement reads the versions, together with the holder's certificates; the
rest is read again only when a version has moved, in whichever process it was moved. So a change counts from
the next decision on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, String, Subquery, bindparam, cast, func, literal, select
from sqlalchemy.sql import ClauseElement

from onecert.pmi.authorities.directory import Authorities
from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.store import Catalogues
from onecert.pmi.decisions.policies import ActivePolicy, Policies
from onecert.pmi.models import authorities as authorities_table
from onecert.pmi.models import catalogues as catalogues_table
from onecert.pmi.models import certificates
from onecert.pmi.models import policies as policies_table
from onecert.pmi.status.acrl import revoked_rows
from onecert.server.database import Database
from onecert.server.statements import Statement, Values
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    RevocationList,
    TrustedAuthority,
)
from onecert.verifier.attribute_certificate.acrl import Revocation

__all__ = ["InForce", "Rules"]

Versions = tuple[object, ...]

_CATALOGUE = select(func.max(catalogues_table.c.version).label("catalogue")).subquery("c")
_POLICY = (
    select(
        func.count().label("policies"),
        func.max(
            policies_table.c.name
            + literal(":")
            + cast(policies_table.c.version, String)
            + literal(":")
            + policies_table.c.sha256
        ).label("policy"),
    )
    .where(policies_table.c.active)
    .subquery("p")
)
# An authority is never removed, gets its certificate once, and its status version only grows: whatever
# happens to one of them makes one of these numbers larger.
_AUTHORITIES = select(
    func.count(authorities_table.c.installed_at).label("authorities"),
    func.sum(authorities_table.c.status_version).label("status"),
).subquery("a")
_VERSION_NAMES = ("catalogue", "policies", "policy", "authorities", "status")
_VERSION_COLUMNS = (*_CATALOGUE.c, *_POLICY.c, *_AUTHORITIES.c)
_VERSIONS = Statement(select(*_VERSION_COLUMNS))
_OF_HOLDER = (
    select(certificates.c.certificate_der)
    .where(
        certificates.c.holder_sha256 == bindparam("holder"),
        certificates.c.state == "issued",
        certificates.c.not_before <= bindparam("at"),
        certificates.c.not_after >= bindparam("at"),
    )
    .order_by(certificates.c.issued_at.desc())
    .limit(bindparam("most"))
    .subquery("h")
)


def _with_certificates(dialect: str) -> ClauseElement:
    """Versions and certificates in one row: one statement sees one state, in one round trip."""
    return select(*_VERSION_COLUMNS, select(_joined(_OF_HOLDER, dialect)).scalar_subquery().label("held"))


def _joined(held: Subquery, dialect: str) -> ColumnElement[str]:
    if dialect == "sqlite":
        return func.group_concat(func.hex(held.c.certificate_der), ",", type_=String)
    return func.string_agg(func.encode(held.c.certificate_der, "hex"), ",", type_=String)


_FOR_HOLDER = Statement(_with_certificates)


@dataclass(frozen=True)
class Rules:
    """One state of what is in force."""

    versions: Versions
    policy: ActivePolicy
    trust: AttributeTrust
    status: Mapping[str, _Status]

    def verifier(self, at: datetime) -> AttributeCertificateVerifier:
        """Return what verifies attribute certificates at this time."""
        return AttributeCertificateVerifier(trust=self.trust, status=_StatusAt(self.status, at))


@dataclass(frozen=True)
class _Status:
    """The revoked certificates of one authority, at one version of its status."""

    version: int
    revoked: Mapping[int, Revocation]


@dataclass(frozen=True)
class _StatusAt:
    """The status of our own certificates as recorded this moment, without waiting for a published list."""

    status: Mapping[str, _Status]
    at: datetime

    def find_list(self, authority: TrustedAuthority) -> RevocationList | None:
        found = self.status.get(authority.label)
        if found is None:
            return None
        return RevocationList(
            authority=authority,
            number=found.version,
            this_update=self.at,
            next_update=self.at + timedelta(minutes=1),
            revoked=found.revoked,
        )


class InForce:
    """Keeps the newest state. One object per process; safe to share between threads."""

    def __init__(
        self, *, database: Database, authorities: Authorities, catalogues: Catalogues, policies: Policies
    ) -> None:
        self._database = database
        self._authorities = authorities
        self._catalogues = catalogues
        self._policies = policies
        self._kept: Rules | None = None

    def rules(self, at: datetime) -> Rules:
        """Return what is in force now.

        Raises:
            NoPolicyError: there is no policy in force.
        """
        return self._rules(_VERSIONS.look_up(self._database, {}) or {}, at)

    def for_holder(self, holder_sha256: str, at: datetime, most: int) -> tuple[Rules, list[bytes]]:
        """Return what is in force now, and the holder's unexpired, unrevoked attribute certificates (DER).

        Args:
            holder_sha256: of the identity certificate, hex.
            most: of the certificates; the newest ones.

        Raises:
            NoPolicyError: there is no policy in force.
        """
        row = _FOR_HOLDER.look_up(self._database, {"holder": holder_sha256, "at": at, "most": most}) or {}
        held: str = row.get("held") or ""
        return self._rules(row, at), [bytes.fromhex(each) for each in held.split(",") if each]

    def _rules(self, row: Values, at: datetime) -> Rules:
        kept = self._kept
        if kept is None or kept.versions != _versions(row):
            # Versions and contents of one snapshot, which may be newer than the row.
            with self._database.reading() as connection:
                self._kept = kept = self._read(connection, kept, at)
        return kept

    def _read(self, connection: Connection, before: Rules | None, at: datetime) -> Rules:
        versions = _versions(_VERSIONS.first(connection, {}) or {})
        policy = self._policies.load(connection)
        catalogue = self._catalogues.find(connection) or Catalogue()
        authorities = self._authorities.all(connection)
        wanted = tuple(
            authority.trusted([role.uri for role in catalogue.assignable_by(authority.name)])
            for authority in authorities
        )
        # A revocation changes nobody's trust: the keys stay loaded.
        same = before is not None and before.trust.authorities == wanted
        trust = before.trust if before is not None and same else AttributeTrust(authorities=wanted)
        known = before.status if before is not None else {}
        status = {
            name: self._status(connection, name, version, known.get(name), at)
            for name, version in self._authorities.status_versions(connection).items()
        }
        return Rules(versions, policy, trust, status)

    def _status(
        self, connection: Connection, name: str, version: int, before: _Status | None, at: datetime
    ) -> _Status:
        if before is not None and before.version == version:
            return before
        rows = revoked_rows(connection, name, at)
        return _Status(version, {int(row.serial, 16): Revocation(row.revoked_at, row.reason) for row in rows})


def _versions(row: Values) -> Versions:
    return tuple(row.get(name) for name in _VERSION_NAMES)
