"""Attribute certificate revocation lists: numbered, checked, published on revocation and by timer.

RFC 5280, section 5, with the critical issuing distribution point of RFC 5755, section 6. The number is taken
and the bytes are on record before the key signs; a list that does not pass the verifier's own reader, or does
not hold exactly the unexpired revoked certificates, is not published, and the list before stays.

An authority that has a new key keeps a list for each key before it, until the last certificate under that key
has ended. All its lists say the same, each signed by its own key.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, Row, insert, select, update

from onecert.pmi.authorities.directory import Authorities, Authority
from onecert.pmi.errors import AcrlFaultError
from onecert.pmi.issuing.encode import key_identifier
from onecert.pmi.issuing.signing import (
    P256,
    Signer,
    SigningAlgorithm,
    ThrowAwayKeys,
    algorithm_of,
    assemble,
    public_key_der,
    raw_sign,
)
from onecert.pmi.models import acrls, authorities, certificates
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.verifier.attribute_certificate import AttributeTrust, RevocationList, TrustedAuthority
from onecert.verifier.attribute_certificate.acrl import load_revocation_list
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.der import SEQUENCE, Reader
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import load_public_key, spki_der

__all__ = ["Acrl", "AcrlPublisher", "bump_status", "revoked_rows"]

log = logging.getLogger(__name__)

REASONS = {flag.value: flag for flag in x509.ReasonFlags}


@dataclass(frozen=True, kw_only=True)
class Acrl:
    """One published list."""

    authority: str
    number: int
    this_update: datetime
    next_update: datetime
    der: bytes
    generation: int = 1


def bump_status(connection: Connection, authority: str) -> int:
    """Say that the status of a certificate of this authority has changed; return the new version."""
    connection.execute(
        update(authorities)
        .where(authorities.c.name == authority)
        .values(status_version=authorities.c.status_version + 1)
    )
    version = connection.scalar(select(authorities.c.status_version).where(authorities.c.name == authority))
    return int(version or 0)


def revoked_rows(connection: Connection, authority: str, at: datetime) -> list[Row[tuple[object, ...]]]:
    """Return serial, revoked_at and reason of each unexpired one that is revoked or on hold, by serial.

    RFC 5280, section 3.3: an entry stays until one list after the certificate's expiry; a day is more.
    """
    return list(
        connection.execute(
            select(certificates.c.serial, certificates.c.revoked_at, certificates.c.reason)
            .where(
                certificates.c.authority == authority,
                certificates.c.state.in_(["revoked", "abandoned", "held"]),
                certificates.c.not_after > at - timedelta(days=1),
            )
            .order_by(certificates.c.serial)
        )
    )


class AcrlPublisher:
    """Makes and keeps the revocation lists of all authorities of one service."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        directory: Authorities,
        signer: Signer,
        lifetime: timedelta,
        every: timedelta,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._directory = directory
        self._signer = signer
        self._lifetime = lifetime
        self._every = every
        self._throw_away = ThrowAwayKeys()

    def publish(self, name: str) -> Acrl:
        """Make, check and publish new lists of one authority; return that of its present key.

        Raises:
            TokenGoneError, SignatureFaultError: it was not signed.
            AcrlFaultError: it was not published.
        """
        with self._database.reading() as connection:
            present = self._directory.load(connection, name)
            earlier = self._directory.earlier(connection, self._clock.now())
        published = self._publish(present)
        for authority in earlier:
            if authority.name == name:
                self._publish(authority)
        return published

    def _publish(self, authority: Authority) -> Acrl:
        name = authority.name
        at = self._clock.now().replace(microsecond=0)
        with self._database.transaction() as connection:
            # The row is locked by this update until the commit: numbers have one order on both engines.
            connection.execute(
                update(authorities)
                .where(authorities.c.name == name)
                .values(acrl_number=authorities.c.acrl_number + 1)
            )
            row = connection.execute(select(authorities).where(authorities.c.name == name)).one()
            builder = self._builder(connection, authority, row.acrl_number, at)
            tbs_der = self._check_draft(connection, authority, builder, at)
            connection.execute(
                insert(acrls).values(
                    authority=name,
                    number=row.acrl_number,
                    generation=authority.generation,
                    status_version=row.status_version,
                    this_update=at,
                    next_update=at + self._lifetime,
                    tbs_der=tbs_der,
                    acrl_der=None,
                )
            )
        public_key = load_public_key(authority.certificate.spki_der)
        der = self._signer.sign(name, authority.key_label, public_key, tbs_der)
        _read(der, authority, spki_der(public_key))
        with self._database.transaction() as connection:
            connection.execute(
                update(acrls)
                .where(acrls.c.authority == name, acrls.c.number == row.acrl_number)
                .values(acrl_der=der)
            )
            self._audit.record(
                connection,
                event="acrl.published",
                actor="service:pmi",
                subject=f"authority:{name}",
                details={"number": row.acrl_number, "next_update": (at + self._lifetime).isoformat()},
            )
        log.info("acrl published", extra={"authority": name, "number": row.acrl_number})
        return Acrl(
            authority=name,
            number=row.acrl_number,
            this_update=at,
            next_update=at + self._lifetime,
            der=der,
            generation=authority.generation,
        )

    def renew(self, at: datetime) -> None:
        """Publish where there is no list, the list is out of date, or it is old. The job of the timer."""
        faults: list[ServiceError] = []
        with self._database.reading() as connection:
            due = [
                authority
                for authority in self._keys(connection, at)
                if self._is_due(connection, authority, at)
            ]
        for authority in due:
            try:
                self._publish(authority)
            except ServiceError as exc:
                # The others must not wait for one authority's trouble.
                log.exception("acrl not published", extra={"authority": authority.name})
                faults.append(exc)
        if faults:
            raise faults[0]

    def newest(self, connection: Connection, name: str, generation: int | None = None) -> Acrl | None:
        """Return the newest published list of an authority, of its present key when none is named."""
        present = select(authorities.c.generation).where(authorities.c.name == name).scalar_subquery()
        row = connection.execute(
            select(acrls)
            .where(
                acrls.c.authority == name,
                acrls.c.generation == (present if generation is None else generation),
                acrls.c.acrl_der.is_not(None),
            )
            .order_by(acrls.c.number.desc())
            .limit(1)
        ).one_or_none()
        if row is None:
            return None
        return Acrl(
            authority=name,
            number=row.number,
            this_update=row.this_update,
            next_update=row.next_update,
            der=bytes(row.acrl_der),
            generation=row.generation,
        )

    def check_fresh(self) -> None:
        """Readiness: raises AcrlFaultError when a list is past half of its life."""
        at = self._clock.now()
        with self._database.reading() as connection:
            for authority in self._keys(connection, at):
                newest = self.newest(connection, authority.name, authority.generation)
                if newest is None or at > newest.this_update + self._lifetime / 2:
                    raise AcrlFaultError(authority.name, _("the list is past half of its life"))

    def _keys(self, connection: Connection, at: datetime) -> list[Authority]:
        """Return each key that signs a list."""
        return [*self._directory.all(connection), *self._directory.earlier(connection, at)]

    def _is_due(self, connection: Connection, authority: Authority, at: datetime) -> bool:
        name = authority.name
        version = connection.scalar(select(authorities.c.status_version).where(authorities.c.name == name))
        row = connection.execute(
            select(acrls.c.this_update, acrls.c.status_version)
            .where(
                acrls.c.authority == name,
                acrls.c.generation == authority.generation,
                acrls.c.acrl_der.is_not(None),
            )
            .order_by(acrls.c.number.desc())
            .limit(1)
        ).one_or_none()
        return row is None or row.status_version != version or at >= row.this_update + self._every

    def _builder(
        self, connection: Connection, authority: Authority, number: int, at: datetime
    ) -> x509.CertificateRevocationListBuilder:
        # The constructor takes the whole list; adding one by one is quadratic.
        entries = [_entry(authority.name, row) for row in revoked_rows(connection, authority.name, at)]
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=authority.certificate.certificate.subject,
            last_update=at.replace(tzinfo=None),
            next_update=(at + self._lifetime).replace(tzinfo=None),
            revoked_certificates=entries,
        )
        key_id = key_identifier(authority.certificate)
        point = x509.IssuingDistributionPoint(
            full_name=[x509.UniformResourceIdentifier(authority.acrl_url)],
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=True,
        )
        return (
            builder.add_extension(x509.AuthorityKeyIdentifier(key_id, None, None), critical=False)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(point, critical=True)
        )

    def _check_draft(
        self,
        connection: Connection,
        authority: Authority,
        builder: x509.CertificateRevocationListBuilder,
        at: datetime,
    ) -> bytes:
        """Sign with a throw-away key, read it back as a stranger would, compare it with the records."""
        algorithm = algorithm_of(load_public_key(authority.certificate.spki_der))
        throw_away = self._throw_away.key(algorithm)
        tbs = self._write(builder, algorithm)
        der = assemble(tbs, algorithm.identifier_der, raw_sign(throw_away, tbs))
        read = _read(der, authority, public_key_der(throw_away))
        wanted = {int(str(row.serial), 16) for row in revoked_rows(connection, authority.name, at)}
        if set(read.revoked) != wanted:
            raise AcrlFaultError(authority.name, _("it does not hold exactly the revoked certificates"))
        return tbs

    def _write(self, builder: x509.CertificateRevocationListBuilder, algorithm: SigningAlgorithm) -> bytes:
        """Return TBSCertList (RFC 5280, section 5.1.2) for any algorithm; the builder knows no SM2."""
        key: Any = self._throw_away.key(P256)
        reader = Reader(builder.sign(key, P256.hash).tbs_certlist_bytes).enter(SEQUENCE)
        version, _written_for = reader.raw(), reader.raw()
        rest = []
        while reader:
            rest.append(reader.raw())
        return tlv(SEQUENCE, version, algorithm.identifier_der, *rest)


def _entry(authority: str, row: Row[tuple[object, ...]]) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(row.serial, 16))
        .revocation_date(row.revoked_at.replace(tzinfo=None, microsecond=0))
    )
    # RFC 5280, section 5.3.1: the reason "unspecified" is left out.
    if row.reason not in REASONS:
        raise AcrlFaultError(authority, _("a reason on record is unknown"))
    if row.reason != "unspecified":
        builder = builder.add_extension(x509.CRLReason(REASONS[row.reason]), critical=False)
    return builder.build()


def _read(der: bytes, authority: Authority, public_key: bytes) -> RevocationList:
    trusted = TrustedAuthority(
        label=authority.name,
        name_der=authority.certificate.subject_der,
        public_key_der=public_key,
        key_ids=frozenset({key_identifier(authority.certificate)}),
    )
    try:
        return load_revocation_list(der, AttributeTrust(authorities=(trusted,)))
    except VerifyError as exc:
        raise AcrlFaultError(authority.name, exc.code) from exc
