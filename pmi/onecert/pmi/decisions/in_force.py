"""What decisions rest on: policy, catalogue, trusted authorities, delegations; now, or at any time before.

All of it is versioned data. One statement reads the versions, together with the holder's certificates; the
rest is read again only when a version has moved, in whichever process it was moved. So a change counts from
the next decision on. What was in force at a time before is read for that time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Subquery,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.sql import ClauseElement

from onecert.pmi.authorities.directory import ACTIVE, SOURCE, Authorities, Authority
from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.store import Catalogues
from onecert.pmi.decisions.policies import CompiledPolicy, Policies
from onecert.pmi.decisions.status_then import StatusThen, was_good
from onecert.pmi.models import authorities as authorities_table
from onecert.pmi.models import authority_history, certificates
from onecert.pmi.models import catalogues as catalogues_table
from onecert.pmi.models import policies as policies_table
from onecert.server.database import Database
from onecert.server.statements import Statement, Values
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    Explanation,
    TargetIdentity,
    TrustedAuthority,
)
from onecert.verifier.attribute_certificate.delegation_source import Delegation, Delegations
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.decision import Exclusion, PolicyInForce, RoleModel, Subject

__all__ = ["InForce", "Rules", "model_of"]

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
_STATES = select(func.count().label("states")).select_from(authority_history).subquery("s")
# Not by the index of states: nearly all of a million are issued, and few are one holder's, or delegations.
_ISSUED = certificates.c.state + literal("") == literal("issued")
_OF_AUTHORITY = (
    select(func.count())
    .where(certificates.c.authority == authorities_table.c.name, certificates.c.kind == "delegation", _ISSUED)
    .correlate(authorities_table)
    .scalar_subquery()
)
_DELEGATIONS = (
    select(func.sum(_OF_AUTHORITY).label("delegations")).select_from(authorities_table).subquery("d")
)
_VERSION_NAMES = ("catalogue", "policies", "policy", "authorities", "status", "states", "delegations")
_VERSION_COLUMNS = (*_CATALOGUE.c, *_POLICY.c, *_AUTHORITIES.c, *_STATES.c, *_DELEGATIONS.c)
_VERSIONS = Statement(select(*_VERSION_COLUMNS))
# A certificate names its holder by certificate, key, name or identity; the verifier compares each of them.
_OF_HOLDER = certificates.c.serial.in_(
    union(
        select(certificates.c.serial).where(certificates.c.holder_sha256 == bindparam("holder")),
        select(certificates.c.serial).where(
            certificates.c.key_sha256 == bindparam("key"), certificates.c.holder_form != "certificate"
        ),
        select(certificates.c.serial).where(
            certificates.c.entity == bindparam("entity"),
            or_(certificates.c.holder_form == "entity", certificates.c.holder_form == "name"),
        ),
    )
)


def _of_holder(*good: ColumnElement[bool]) -> Select[tuple[bytes]]:
    return (
        select(certificates.c.certificate_der, certificates.c.serial)
        .where(_OF_HOLDER, certificates.c.kind == "grant", *good)
        .order_by(certificates.c.issued_at.desc())
        .limit(bindparam("most"))
    )


_NOW = _of_holder(
    _ISSUED,
    certificates.c.not_before <= bindparam("at"),
    certificates.c.not_after >= bindparam("at"),
).subquery("h")
_THEN = Statement(_of_holder(was_good(bindparam("at"))))


def _with_certificates(dialect: str) -> ClauseElement:
    """Versions and certificates in one row: one statement sees one state, in one round trip."""
    return select(*_VERSION_COLUMNS, select(_joined(_NOW, dialect)).scalar_subquery().label("held"))


def _joined(held: Subquery, dialect: str) -> ColumnElement[str]:
    if dialect == "sqlite":
        row = held.c.serial + literal(":") + func.hex(held.c.certificate_der)
        return func.group_concat(row, ",", type_=String)
    row = held.c.serial + literal(":") + func.encode(held.c.certificate_der, "hex")
    return func.string_agg(row, ",", type_=String)


_FOR_HOLDER = Statement(_with_certificates)


@dataclass(frozen=True)
class Rules:
    """One state of what is in force, now or at a time before.

    Args:
        good: serial numbers of the delegations.
        active: names of the authorities that are in force, sources and others.
        chained: serials of the delegations that lead up to a source of authority.
    """

    versions: Versions
    policy: PolicyInForce
    catalogue: Catalogue
    trust: AttributeTrust
    delegations: Delegations
    good: frozenset[int]
    active: frozenset[str]
    chained: frozenset[str]
    database: Database

    def explain(
        self,
        presented: Sequence[bytes],
        *,
        holder: ParsedCertificate,
        subject: Subject,
        target: TargetIdentity | None,
        at: datetime,
        good: frozenset[int] = frozenset(),
    ) -> list[Explanation]:
        """Verify attribute certificates of a holder at this time, and say what is wrong with each.

        Args:
            good: serial numbers of certificates that are known to be neither revoked nor on hold then.
        """
        verifier = AttributeCertificateVerifier(
            trust=self.trust,
            status=StatusThen(self.database, at, self.good | good),
            delegations=self.delegations,
        )
        return [
            verifier.explain(each, holder=holder, at=at, target=target, identity=subject.entity)
            for each in presented
        ]


def model_of(catalogue: Catalogue) -> RoleModel:
    """What a catalogue says that decisions need."""
    return RoleModel(
        includes={uri: role.includes for uri, role in catalogue.roles.items() if role.includes},
        exclusions=tuple(
            Exclusion(each.name, frozenset(each.roles))
            for each in catalogue.exclusions
            if each.kind == "dynamic"
        ),
        registered={each.name: (each.oid, each.syntax) for each in catalogue.attributes.values()},
        version=catalogue.version,
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

    def rules_then(self, at: datetime) -> Rules:
        """Return what was in force at a time before.

        Raises:
            NoPolicyError: there was no policy in force.
        """
        with self._database.reading() as connection:
            return self._read(
                connection,
                at,
                policy=self._policies.load_at(connection, at),
                catalogue=self._catalogue_then(connection, at),
                is_active=self._states_then(connection, at),
                good=was_good(literal(at, certificates.c.not_before.type)),
            )

    def for_holder(
        self, holder: ParsedCertificate, entity: str, at: datetime, most: int
    ) -> tuple[Rules, dict[int, bytes]]:
        """Return what is in force now, and the holder's good attribute certificates (serial -> DER).

        Args:
            holder: the identity certificate.
            entity: canonical id of the legal entity.
            most: of the certificates; the newest ones.

        Raises:
            NoPolicyError: there is no policy in force.
        """
        row = _FOR_HOLDER.look_up(self._database, _holder(holder, entity, at, most)) or {}
        held: str = row.get("held") or ""
        pairs = (each.split(":") for each in held.split(",") if each)
        found = {int(serial, 16): bytes.fromhex(der) for serial, der in pairs}
        return self._rules(row, at), found

    def for_holder_then(
        self, holder: ParsedCertificate, entity: str, at: datetime, most: int
    ) -> dict[int, bytes]:
        """Return the attribute certificates of a holder that were good at a time before (serial -> DER)."""
        with self._database.reading() as connection:
            rows = _THEN.all(connection, _holder(holder, entity, at, most))
        return {int(row["serial"], 16): row["certificate_der"] for row in rows}

    def _rules(self, row: Values, at: datetime) -> Rules:
        kept = self._kept
        if kept is None or kept.versions != _versions(row):
            # Versions and contents of one snapshot, which may be newer than the row.
            with self._database.reading() as connection:
                self._kept = kept = self._read(
                    connection,
                    at,
                    policy=self._policies.load(connection),
                    catalogue=self._catalogues.find(connection) or Catalogue(),
                    is_active=lambda authority: authority.state == ACTIVE,
                    # Kept until a version moves: those that are to begin are among them.
                    good=_ISSUED,
                    before=kept,
                )
        return kept

    def _read(
        self,
        connection: Connection,
        at: datetime,
        *,
        policy: CompiledPolicy,
        catalogue: Catalogue,
        is_active: Callable[[Authority], bool],
        good: ColumnElement[bool],
        before: Rules | None = None,
    ) -> Rules:
        versions = _versions(_VERSIONS.first(connection, {}) or {})
        authorities = [each for each in self._authorities.every_key(connection) if is_active(each)]
        wanted = tuple(_trusted(each, catalogue, at) for each in authorities if each.kind == SOURCE)
        # A revocation changes nobody's trust: the keys stay loaded.
        same = before is not None and before.trust.authorities == wanted
        trust = before.trust if before is not None and same else AttributeTrust(authorities=wanted)
        delegations, under = _delegations(connection, authorities, good)
        return Rules(
            versions=versions,
            policy=PolicyInForce(
                name=policy.name,
                version=policy.version,
                sha256=policy.sha256,
                engine=policy.engine,
                model=model_of(catalogue),
            ),
            catalogue=catalogue,
            trust=trust,
            delegations=delegations,
            good=frozenset(int(serial, 16) for serial in under),
            active=frozenset(each.name for each in authorities),
            chained=frozenset(serial for serial in under if _is_chained(serial, under)),
            database=self._database,
        )

    def _catalogue_then(self, connection: Connection, at: datetime) -> Catalogue:
        version = connection.scalar(
            select(func.max(catalogues_table.c.version)).where(catalogues_table.c.published_at <= at)
        )
        return Catalogue() if version is None else self._catalogues.load(connection, version)

    def _states_then(self, connection: Connection, at: datetime) -> Callable[[Authority], bool]:
        rows = connection.execute(
            select(authority_history.c.authority, authority_history.c.state)
            .where(authority_history.c.since <= at)
            .order_by(authority_history.c.since)
        )
        states = {row.authority: row.state for row in rows}
        return lambda authority: states.get(authority.name) == ACTIVE


def _holder(holder: ParsedCertificate, entity: str, at: datetime, most: int) -> Mapping[str, object]:
    return {
        "holder": hashlib.sha256(holder.der).hexdigest(),
        "key": hashlib.sha256(holder.spki_der).hexdigest(),
        "entity": entity,
        "at": at,
        "most": most,
    }


def _trusted(authority: Authority, catalogue: Catalogue, at: datetime) -> TrustedAuthority:
    trusted = TrustedAuthority.from_certificate(
        authority.certificate,
        roles=[role.uri for role in catalogue.assignable_by(authority.name)],
        attributes=[each.oid for each in catalogue.attributes_of(authority.name)],
        label=authority.name,
    )
    if authority.certificate.not_before > at:
        # It has been renewed since, for the same name and key; the certificate of then is not kept.
        return replace(trusted, certificate=None)
    return trusted


def _delegations(
    connection: Connection, authorities: list[Authority], good: ColumnElement[bool]
) -> tuple[Delegations, dict[str, str | None]]:
    """The delegations that are good, with the certificates of those they were given to; and for each serial
    the one that it was given under."""
    names = {each.name for each in authorities}
    known = {hashlib.sha256(each.certificate.der).hexdigest(): each for each in authorities}
    rows = connection.execute(
        select(
            certificates.c.serial,
            certificates.c.certificate_der,
            certificates.c.holder_sha256,
            certificates.c.key_sha256,
            certificates.c.authority,
            certificates.c.under,
        ).where(certificates.c.authority.in_(sorted(names)), certificates.c.kind == "delegation", good)
    ).all()
    by_key = {hashlib.sha256(each.certificate.spki_der).hexdigest(): each for each in authorities}
    found, under = [], {}
    for row in rows:
        authority = known.get(row.holder_sha256) or by_key.get(row.key_sha256)
        if authority is not None and row.authority in names:
            found.append(Delegation(row.certificate_der, authority.certificate))
            under[row.serial] = row.under
    return Delegations(found), under


def _is_chained(serial: str, under: Mapping[str, str | None]) -> bool:
    seen = set()
    above: str | None = serial
    while above is not None:
        if above in seen or above not in under:
            return False
        seen.add(above)
        above = under[above]
    return True


def _versions(row: Values) -> Versions:
    return tuple(row.get(name) for name in _VERSION_NAMES)
