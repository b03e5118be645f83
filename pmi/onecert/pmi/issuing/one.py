"""Issues one attribute certificate for a grant that may be issued, in the order that makes it safe.

1. Draw the serial, encode what will be signed, sign it with a throw-away key, lint it.
2. Put serial and bytes on record and commit: whatever may be signed from here on can be revoked. Where the
   request or its approval leads straight to the certificate, they are in the same transaction.
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

from sqlalchemy import Connection, bindparam, insert, select, update

from onecert.pmi.authorities.directory import Authorities, Authority
from onecert.pmi.errors import (
    CertificateUnknownError,
    GrantStateError,
    GrantUnknownError,
    SignatureFaultError,
)
from onecert.pmi.issuing.encode import draw_serial
from onecert.pmi.issuing.lint import check_draft
from onecert.pmi.issuing.signing import Signer, ThrowAwayKeys, algorithm_of
from onecert.pmi.models import certificate_attributes, certificates, grants
from onecert.pmi.status.acrl import AcrlPublisher, bump_status
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.statements import Statement, Values
from onecert.verifier.attribute_certificate import parse
from onecert.verifier.certificate import ParsedCertificate, as_parsed

__all__ = ["Intent", "Issued", "Issuing"]

log = logging.getLogger(__name__)

# On PostgreSQL, whoever else would issue for this grant waits here. SQLite's writers wait for each other.
_LOCK_GRANT = Statement(select(grants).where(grants.c.id == bindparam("wanted")).with_for_update())
_OF_GRANT = certificates.c.grant_id == bindparam("wanted")
_FIND_ISSUED = Statement(
    select(certificates.c.serial, certificates.c.authority, certificates.c.certificate_der).where(
        _OF_GRANT, certificates.c.certificate_der.is_not(None)
    )
)
_OUTSTANDING = Statement(select(certificates.c.serial).where(_OF_GRANT, certificates.c.state == "intended"))
_INSERT_CERTIFICATE = Statement(insert(certificates))
_INSERT_ATTRIBUTE = Statement(insert(certificate_attributes))
_SET_ISSUED = Statement(
    update(certificates)
    .where(certificates.c.serial == bindparam("wanted"), certificates.c.state == "intended")
    .values(state="issued", certificate_der=bindparam("der"), issued_at=bindparam("at"))
)
_SET_GRANT_ISSUED = Statement(
    update(grants)
    .where(grants.c.id == bindparam("wanted"))
    .values(state="issued", serial=bindparam("number"))
)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """What came of a grant."""

    serial: str
    authority: str
    certificate_der: bytes


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What is on record before the key is used."""

    grant_id: str
    serial: str
    authority: Authority
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
            begun = self.begin(connection, grant_id)
        return begun if isinstance(begun, Issued) else self.finish(begun, actor=actor)

    def begin(self, connection: Connection, grant_id: str) -> Intent | Issued:
        """Put on record what will be signed for a grant, or return what was issued before.

        Raises:
            GrantUnknownError, GrantStateError, DraftRefusedError: it cannot be issued.
        """
        grant = _LOCK_GRANT.first(connection, {"wanted": grant_id})
        if grant is None:
            raise GrantUnknownError(grant_id)
        done = self.find_issued(connection, grant_id)
        if done is not None:
            return done
        if grant["state"] != "approved":
            raise GrantStateError(grant_id, grant["state"])
        if _OUTSTANDING.first(connection, {"wanted": grant_id}) is not None:
            # Another request is at it this moment, or a crash left it; one grant is one certificate.
            raise GrantStateError(grant_id, "being issued")
        authority = self._authorities.load(connection, grant["authority"])
        return self.begin_new(connection, grant, authority, as_parsed(grant["holder_der"]))

    def begin_new(
        self, connection: Connection, grant: Values, authority: Authority, holder: ParsedCertificate
    ) -> Intent:
        """Put on record what will be signed for a grant that was approved in this very transaction.

        Args:
            grant: its row.
            holder: what the row holds as ``holder_der``.

        Raises:
            DraftRefusedError: it cannot be issued.
        """
        roles = json.loads(grant["attributes"])["role"]
        serial = draw_serial()
        info_der = authority.template.fill(
            holder=holder,
            serial=serial,
            not_before=grant["not_before"],
            not_after=grant["not_after"],
            roles=roles,
            targets=json.loads(grant["targets"]),
        )
        draft = self._throw_away.sign(algorithm_of(authority.public_key), info_der)
        check_draft(draft, authority=authority, holder=holder, roles=roles)
        row = {
            "serial": f"{serial:x}",
            "authority": authority.name,
            "grant_id": grant["id"],
            "state": "intended",
            "holder_sha256": hashlib.sha256(holder.der).hexdigest(),
            "holder_name": grant["holder_name"],
            "entity": grant["entity"],
            "info_der": info_der,
            "certificate_der": None,
            "not_before": grant["not_before"],
            "not_after": grant["not_after"],
            "intended_at": self._clock.now(),
            "issued_at": None,
            "revoked_at": None,
            "reason": None,
            "revoked_by": None,
            "kind": grant["kind"],
            "holder_form": grant["holder_form"],
            "key_sha256": hashlib.sha256(holder.spki_der).hexdigest(),
            "short_lived": grant["short_lived"],
            "under": None,
            "replaced_by": None,
        }
        _INSERT_CERTIFICATE.run(connection, row)
        _INSERT_ATTRIBUTE.run_many(
            connection, [{"name": "role", "value": role, "serial": f"{serial:x}"} for role in roles]
        )
        return Intent(grant_id=grant["id"], serial=f"{serial:x}", authority=authority, info_der=info_der)

    def finish(self, intent: Intent, *, actor: str) -> Issued:
        """Sign what is on record, after its transaction has been committed, and keep the certificate.

        Raises:
            TokenGoneError, SignatureFaultError: nothing was given out.
        """
        # 3. Only now the real key; what it signed are the bytes on record.
        log.info("attribute certificate to be signed", extra={"serial": intent.serial})
        authority = intent.authority
        try:
            certificate_der = self._signer.sign(
                authority.name, authority.key_label, authority.public_key, intent.info_der
            )
            if parse(certificate_der).info_der != intent.info_der:
                raise SignatureFaultError(authority.name)
        except ServiceError:
            # A signature may exist that never reached us: the serial is revoked, the grant stays open.
            with self._database.transaction() as connection:
                self._abandon(connection, intent.serial, authority.name, self._clock.now(), actor)
            raise
        # 4. Keep it; the audit entry stands or falls with it.
        with self._database.transaction() as connection:
            self._record_issued(connection, intent, certificate_der, actor)
        log.info("attribute certificate issued", extra={"serial": intent.serial})
        return Issued(serial=intent.serial, authority=authority.name, certificate_der=certificate_der)

    def find_issued(self, connection: Connection, grant_id: str) -> Issued | None:
        """Return the certificate of a grant, if it has one."""
        row = _FIND_ISSUED.first(connection, {"wanted": grant_id})
        return None if row is None else Issued(**row)

    def _record_issued(
        self, connection: Connection, intent: Intent, certificate_der: bytes, actor: str
    ) -> None:
        kept = {"wanted": intent.serial, "der": certificate_der, "at": self._clock.now()}
        if _SET_ISSUED.run(connection, kept) != 1:
            # It took so long that the intent was given up and its serial revoked.
            raise CertificateUnknownError(intent.serial)
        _SET_GRANT_ISSUED.run(connection, {"wanted": intent.grant_id, "number": intent.serial})
        self._audit.record(
            connection,
            event="attribute_certificate.issued",
            actor=actor,
            subject=f"attribute-certificate:{intent.serial}",
            details={
                "grant": intent.grant_id,
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
