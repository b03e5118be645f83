"""Issues one attribute certificate for a grant that the rules let through, in the order that makes it safe.

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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import Connection, bindparam, insert, select, update

from onecert.pmi.authorities.directory import Authority
from onecert.pmi.errors import (
    CertificateUnknownError,
    DraftRefusedError,
    GrantStateError,
    GrantUnknownError,
    SignatureFaultError,
)
from onecert.pmi.issuing.attributes import EncodedAttributes
from onecert.pmi.issuing.encode import Content, Under, draw_serial
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
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.delegation import Constraints
from onecert.verifier.attribute_certificate.encrypted import encrypt_attributes
from onecert.verifier.attribute_certificate.general_names import DIRECTORY, GeneralName
from onecert.verifier.attribute_certificate.parse import Attribute
from onecert.verifier.certificate import ParsedCertificate

__all__ = ["Intent", "Issued", "Issuing", "ToSign"]

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
SET_ISSUED = Statement(
    update(certificates)
    .where(certificates.c.serial == bindparam("number"), certificates.c.state == "intended")
    .values(state="issued", certificate_der=bindparam("der"), issued_at=bindparam("at"))
)
SET_GRANT_ISSUED = Statement(
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
class ToSign:
    """What the rules have let through, ready to be written.

    Args:
        holder: what the grant's row holds as ``holder_der``.
        found_by: name and text of each value, for the repository's search.
        recipient: who may read the secret attributes.
    """

    authority: Authority
    holder: ParsedCertificate
    attributes: EncodedAttributes
    found_by: Iterable[tuple[str, str]]
    recipient: ParsedCertificate | None = None
    constraints: Constraints | None = None
    under: Under | None = None


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
        signer: Signer,
        publisher: AcrlPublisher,
        intent_timeout: timedelta,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._signer = signer
        self._publisher = publisher
        self._intent_timeout = intent_timeout
        self._throw_away = ThrowAwayKeys()
        # Told within the transaction that keeps a certificate: grant, serial number, who acts.
        self.listeners: list[Callable[[Connection, str, str, str], None]] = []

    def check_open(self, connection: Connection, grant: Values) -> Issued | None:
        """Look whether an approved grant can be issued now; return what was issued for it before.

        Args:
            grant: its row, locked in this transaction.

        Raises:
            GrantStateError: it is not approved, or being issued.
        """
        done = self.find_issued(connection, grant["id"])
        if done is not None:
            return done
        if grant["state"] != "approved":
            raise GrantStateError(grant["id"], grant["state"])
        if _OUTSTANDING.first(connection, {"wanted": grant["id"]}) is not None:
            # Another request is at it this moment, or a crash left it; one grant is one certificate.
            raise GrantStateError(grant["id"], "being issued")
        return None

    def begin(self, connection: Connection, grant: Values, to_sign: ToSign) -> Intent:
        """Put on record what will be signed for a grant that the rules let through in this transaction.

        Args:
            grant: its row.

        Raises:
            DraftRefusedError: it cannot be issued.
        """
        serial, authority = draw_serial(), to_sign.authority
        content = content_of(grant, to_sign, serial)
        info_der = authority.template.fill(content, serial)
        draft = self._throw_away.sign(algorithm_of(authority.public_key), info_der)
        check_draft(draft, authority=authority, content=content)
        serial_hex = f"{serial:x}"
        _INSERT_CERTIFICATE.run(
            connection, certificate_row(grant, to_sign, serial_hex, info_der, self._clock.now())
        )
        _INSERT_ATTRIBUTE.run_many(connection, attribute_rows(serial_hex, to_sign.found_by))
        return Intent(grant_id=grant["id"], serial=serial_hex, authority=authority, info_der=info_der)

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
        kept = {"number": intent.serial, "der": certificate_der, "at": self._clock.now()}
        if SET_ISSUED.run(connection, kept) != 1:
            # It took so long that the intent was given up and its serial revoked.
            raise CertificateUnknownError(intent.serial)
        SET_GRANT_ISSUED.run(connection, {"wanted": intent.grant_id, "number": intent.serial})
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
        for tell in self.listeners:
            tell(connection, intent.grant_id, intent.serial, actor)

    def find_open(self, connection: Connection, grant_id: str) -> Values:
        """Return the row of a grant, locked until the end of the transaction. Raises GrantUnknownError."""
        row = _LOCK_GRANT.first(connection, {"wanted": grant_id})
        if row is None:
            raise GrantUnknownError(grant_id)
        return row

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


def content_of(grant: Values, to_sign: ToSign, serial: int) -> Content:
    """Say what the certificate of a grant says. Its secret attributes are bound to the serial number."""
    attributes = to_sign.attributes.clear
    if to_sign.attributes.secret:
        attributes = (*attributes, _encrypted(to_sign, serial))
    return Content(
        holder=to_sign.holder,
        not_before=grant["not_before"],
        not_after=grant["not_after"],
        attributes=attributes,
        holder_form=grant["holder_form"],
        entity=grant["entity"],
        targets=_texts(grant["targets"]),
        target_groups=_texts(grant["target_groups"]),
        short_lived=grant["short_lived"],
        audit_identity=grant["audit_identity"],
        constraints=to_sign.constraints,
        under=to_sign.under,
    )


@lru_cache(maxsize=1024)
def _texts(as_json: str) -> tuple[str, ...]:
    return tuple(json.loads(as_json))


def _encrypted(to_sign: ToSign, serial: int) -> Attribute:
    if to_sign.recipient is None:
        raise DraftRefusedError(["nobody is named who may read the encrypted attributes"])
    value = encrypt_attributes(
        to_sign.attributes.secret,
        issuer=GeneralName(DIRECTORY, to_sign.authority.certificate.subject_der),
        serial=serial,
        recipients=[to_sign.recipient],
    )
    return Attribute(Oid.ENCRYPTED_ATTRIBUTES, (value,))


def certificate_row(
    grant: Values, to_sign: ToSign, serial_hex: str, info_der: bytes, at: datetime
) -> Mapping[str, object]:
    """Return the row of a certificate that may be signed from now on."""
    under = to_sign.under
    return {
        "serial": serial_hex,
        "authority": to_sign.authority.name,
        "grant_id": grant["id"],
        "kind": grant["kind"],
        "state": "intended",
        "holder_form": grant["holder_form"],
        "holder_sha256": hashlib.sha256(to_sign.holder.der).hexdigest(),
        "key_sha256": hashlib.sha256(to_sign.holder.spki_der).hexdigest(),
        "holder_name": grant["holder_name"],
        "entity": grant["entity"],
        "info_der": info_der,
        "certificate_der": None,
        "not_before": grant["not_before"],
        "not_after": grant["not_after"],
        "intended_at": at,
        "issued_at": None,
        "revoked_at": None,
        "reason": None,
        "revoked_by": None,
        "short_lived": grant["short_lived"],
        "under": None if under is None else f"{under.serial:x}",
        "replaced_by": None,
    }


def attribute_rows(serial_hex: str, found_by: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return the rows by which a certificate is found."""
    return [{"name": name, "value": value, "serial": serial_hex} for name, value in found_by]
