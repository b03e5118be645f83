"""Issues one attribute certificate for a grant that may be issued, in the order that makes it safe.

1. Draw the serial, encode what will be signed, sign it with a throw-away key, lint it.
2. Put serial and bytes on record and commit: whatever may be signed from here on can be revoked.
3. Use the token key; check signature and bytes.
4. Keep the certificate and write the audit entry, in one transaction.

A crash between 2 and 4 leaves an intent. ``resolve_intents`` turns it into a revoked serial, and its grant
can be issued again under another one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from onecert.pmi.acrl import AcrlPublisher, bump_status
from onecert.pmi.authorities import Authorities, Authority
from onecert.pmi.encode import draw_serial
from onecert.pmi.errors import (
    CertificateUnknownError,
    GrantStateError,
    GrantUnknownError,
    SignatureFaultError,
)
from onecert.pmi.lint import check_draft
from onecert.pmi.models import certificate_roles, certificates, grants
from onecert.pmi.signing import Signer, ThrowAwayKeys, algorithm_of
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.verifier.attribute_certificate import parse
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.signatures import load_public_key

__all__ = ["Issued", "Issuing"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """What came of a grant."""

    serial: str
    authority: str
    certificate_der: bytes


@dataclass(frozen=True, kw_only=True)
class _Intent:
    serial: str
    authority: Authority
    holder: ParsedCertificate
    info_der: bytes


class Issuing:
    """Issues attribute certificates. One object per process; safe to share between threads."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        authorities: Authorities,
        signer: Signer,
        publisher: AcrlPublisher,
        intent_timeout: timedelta,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._signer = signer
        self._publisher = publisher
        self._intent_timeout = intent_timeout
        self._throw_away = ThrowAwayKeys()

    def issue(self, grant_id: str, *, actor: str) -> Issued:
        """Issue the certificate of an approved grant. A grant that is issued answers with what it has.

        Raises:
            GrantUnknownError, GrantStateError: it cannot be issued.
            DraftRefusedError, TokenGoneError, SignatureFaultError: nothing was given out.
        """
        # 1 and 2. On record before the key is used.
        with self._database.transaction() as connection:
            done = self.find_issued(connection, grant_id)
            if done is not None:
                return done
            intent = self._record_intent(connection, grant_id)
        # 3. Only now the real key; what it signed are the bytes on record.
        log.info("attribute certificate to be signed", extra={"serial": intent.serial})
        public_key = load_public_key(intent.authority.certificate.spki_der)
        try:
            certificate_der = self._signer.sign(
                intent.authority.name, intent.authority.key_label, public_key, intent.info_der
            )
            if parse(certificate_der).info_der != intent.info_der:
                raise SignatureFaultError(intent.authority.name)
        except ServiceError:
            # A signature may exist that never reached us: the serial is revoked, the grant stays open.
            with self._database.transaction() as connection:
                self._abandon(connection, intent.serial, intent.authority.name, self._clock.now(), actor)
            raise
        # 4. Keep it; the audit entry stands or falls with it.
        with self._database.transaction() as connection:
            self._record_issued(connection, grant_id, intent, certificate_der, actor)
        log.info("attribute certificate issued", extra={"serial": intent.serial})
        return Issued(serial=intent.serial, authority=intent.authority.name, certificate_der=certificate_der)

    def find_issued(self, connection: Connection, grant_id: str) -> Issued | None:
        """Return the certificate of a grant, if it has one."""
        row = connection.execute(
            select(certificates)
            .where(certificates.c.grant_id == grant_id)
            .where(certificates.c.certificate_der.is_not(None))
        ).one_or_none()
        if row is None:
            return None
        return Issued(serial=row.serial, authority=row.authority, certificate_der=bytes(row.certificate_der))

    def _record_intent(self, connection: Connection, grant_id: str) -> _Intent:
        grant = connection.execute(select(grants).where(grants.c.id == grant_id)).one_or_none()
        if grant is None:
            raise GrantUnknownError(grant_id)
        if grant.state != "approved":
            raise GrantStateError(grant_id, grant.state)
        outstanding = select(certificates.c.serial).where(
            certificates.c.grant_id == grant_id, certificates.c.state == "intended"
        )
        if connection.execute(outstanding).first() is not None:
            # Another request is at it this moment, or a crash left it; one grant is one certificate.
            raise GrantStateError(grant_id, "being issued")
        authority = self._authorities.load(connection, grant.authority)
        holder = as_parsed(bytes(grant.holder_der))
        roles = json.loads(grant.roles)
        serial = draw_serial()
        info_der = authority.template.fill(
            holder=holder,
            serial=serial,
            not_before=grant.not_before,
            not_after=grant.not_after,
            roles=roles,
            targets=json.loads(grant.targets),
        )
        algorithm = algorithm_of(load_public_key(authority.certificate.spki_der))
        check_draft(
            self._throw_away.sign(algorithm, info_der), authority=authority, holder=holder, roles=roles
        )
        connection.execute(
            insert(certificates).values(
                serial=f"{serial:x}",
                authority=authority.name,
                grant_id=grant_id,
                state="intended",
                holder_sha256=hashlib.sha256(holder.der).hexdigest(),
                holder_name=grant.holder_name,
                entity=grant.entity,
                info_der=info_der,
                certificate_der=None,
                not_before=grant.not_before,
                not_after=grant.not_after,
                intended_at=self._clock.now(),
                issued_at=None,
                revoked_at=None,
                reason=None,
                revoked_by=None,
            )
        )
        connection.execute(
            insert(certificate_roles), [{"role": role, "serial": f"{serial:x}"} for role in roles]
        )
        return _Intent(serial=f"{serial:x}", authority=authority, holder=holder, info_der=info_der)

    def _record_issued(
        self, connection: Connection, grant_id: str, intent: _Intent, certificate_der: bytes, actor: str
    ) -> None:
        kept = connection.execute(
            update(certificates)
            .where(certificates.c.serial == intent.serial, certificates.c.state == "intended")
            .values(state="issued", certificate_der=certificate_der, issued_at=self._clock.now())
        )
        if kept.rowcount != 1:
            # It took so long that the intent was given up and its serial revoked.
            raise CertificateUnknownError(intent.serial)
        connection.execute(
            update(grants).where(grants.c.id == grant_id).values(state="issued", serial=intent.serial)
        )
        self._audit.record(
            connection,
            event="attribute_certificate.issued",
            actor=actor,
            subject=f"attribute-certificate:{intent.serial}",
            details={
                "grant": grant_id,
                "authority": intent.authority.name,
                "sha256": hashlib.sha256(certificate_der).hexdigest(),
            },
        )

    def resolve_intents(self, at: datetime) -> int:
        """Give up intents whose signature never came back: revoke the serial, free the grant.

        Run at every start and by a timer. Returns how many there were.
        """
        resolved: set[str] = set()
        with self._database.transaction() as connection:
            rows = connection.execute(
                select(certificates.c.serial, certificates.c.authority).where(
                    certificates.c.state == "intended",
                    certificates.c.intended_at < at - self._intent_timeout,
                )
            ).all()
            for row in rows:
                self._abandon(connection, row.serial, row.authority, at, "job:resolve-intents")
                resolved.add(row.authority)
        for name in sorted(resolved):
            self._publisher.publish(name)
        return len(rows)

    def _abandon(self, connection: Connection, serial: str, authority: str, at: datetime, actor: str) -> None:
        connection.execute(
            update(certificates)
            .where(certificates.c.serial == serial, certificates.c.state == "intended")
            .values(state="abandoned", revoked_at=at, reason="cessationOfOperation", revoked_by=actor)
        )
        bump_status(connection, authority)
        self._audit.record(
            connection,
            event="attribute_certificate.abandoned",
            actor=actor,
            subject=f"attribute-certificate:{serial}",
            details={"authority": authority},
        )
