"""A new key for an authority: asked for, certified, taken into use; and what ends soon.

What the key before it signed stays good: that key and its certificate stay known, and it signs revocation
lists at its old address until the last certificate under it has ended. Delegations name a key, so those to
the authority have to be given anew.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from onecert.hsm import KeyAlgorithm
from onecert.pmi.authorities.directory import REVOKED, STATES, Authorities, Authority, chain_pem
from onecert.pmi.authorities.errors import AuthorityKeyWaitsError, AuthorityStateError
from onecert.pmi.issuing.signing import Signer
from onecert.pmi.models import authorities, authority_keys, certificates
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import Statement, Values
from onecert.verifier.certificate import as_parsed

__all__ = ["WARN_BEFORE", "KeyRenewals"]

log = logging.getLogger(__name__)

# The profile of the CA lets an authority's certificate be renewed this long before its end.
WARN_BEFORE = timedelta(days=90)

_WAITING = Statement(
    select(authority_keys).where(
        authority_keys.c.authority == bindparam("wanted"), authority_keys.c.certificate_der.is_(None)
    )
)


class KeyRenewals:
    """New keys of authorities. One object per process; safe to share between threads."""

    def __init__(
        self, *, database: Database, audit: AuditTrail, clock: Clock, authorities: Authorities
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities

    def request(
        self, connection: Connection, name: str, algorithm: KeyAlgorithm, *, actor: str
    ) -> tuple[str, Authority]:
        """Put a new key on record before it is made; return its label, and the authority as it is.

        Asking again before its certificate is installed returns the same label, and so the same key.

        Raises:
            AuthorityUnknownError, AuthorityNotReadyError
            AuthorityStateError: it was revoked.
        """
        authority = self._authorities.load(connection, name)
        if authority.state == REVOKED:
            raise AuthorityStateError(name, STATES[REVOKED])
        waiting = _WAITING.first(connection, {"wanted": name})
        if waiting is not None:
            return str(waiting["key_label"]), authority
        generation = authority.generation + 1
        label = f"authority-{name}.{generation}"
        connection.execute(
            insert(authority_keys).values(
                authority=name,
                generation=generation,
                key_label=label,
                algorithm=algorithm.value,
                certificate_der=None,
                chain_pem="",
                requested_at=self._clock.now(),
                replaced_at=None,
                needed_until=None,
            )
        )
        self._audit.record(
            connection,
            event="authority.key_requested",
            actor=actor,
            subject=f"authority:{name}",
            details={"algorithm": algorithm.value, "generation": generation},
        )
        return label, authority

    def install(
        self,
        connection: Connection,
        name: str,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate],
        *,
        signer: Signer,
        actor: str,
    ) -> Authority:
        """Take a new key into use with its certificate.

        Raises:
            AuthorityKeyWaitsError: none waits for a certificate.
            AuthorityUnfitError: the certificate is not one for it.
        """
        authority = self._authorities.load(connection, name)
        if authority.state == REVOKED:
            raise AuthorityStateError(name, STATES[REVOKED])
        waiting = _WAITING.first(connection, {"wanted": name})
        if waiting is None:
            raise AuthorityKeyWaitsError(name)
        parsed = as_parsed(certificate)
        self._authorities.check_certificate(
            name,
            parsed,
            chain,
            key_label=waiting["key_label"],
            signer=signer,
            before=authority.certificate,
        )
        now = self._clock.now()
        self._put_aside(connection, authority, waiting, now)
        connection.execute(
            update(authorities)
            .where(authorities.c.name == name)
            .values(
                key_label=waiting["key_label"],
                algorithm=waiting["algorithm"],
                certificate_der=parsed.der,
                chain_pem=chain_pem(chain),
                generation=waiting["generation"],
                installed_at=now,
                status_version=authorities.c.status_version + 1,
            )
        )
        self._audit.record(
            connection,
            event="authority.key_replaced",
            actor=actor,
            subject=f"authority:{name}",
            details={"serial": f"{parsed.serial:x}", "generation": waiting["generation"]},
        )
        return self._authorities.load(connection, name)

    def waiting(self, connection: Connection, name: str) -> bool:
        """Tell whether a new key waits for its certificate."""
        return _WAITING.first(connection, {"wanted": name}) is not None

    def ending(self, connection: Connection, at: datetime) -> list[Authority]:
        """Return the authorities whose certificate ends soon, or has ended; those revoked are left out."""
        return [
            each
            for each in self._authorities.all(connection)
            if each.state != REVOKED and each.certificate.not_after < at + WARN_BEFORE
        ]

    def warn(self, at: datetime) -> None:
        """Write a line to the log for each authority whose certificate ends soon. The job of a day."""
        with self._database.reading() as connection:
            found = self.ending(connection, at)
        for each in found:
            end = each.certificate.not_after.isoformat()
            log.warning("certificate of an authority ends", extra={"authority": each.name, "not_after": end})

    def _put_aside(
        self, connection: Connection, authority: Authority, waiting: Values, now: datetime
    ) -> None:
        """Keep the present key among those before, for as long as anything that it signed is good."""
        name = authority.name
        last = connection.scalar(
            select(func.max(certificates.c.not_after)).where(certificates.c.authority == name)
        )
        row = connection.execute(select(authorities).where(authorities.c.name == name)).mappings().one()
        connection.execute(
            delete(authority_keys).where(
                authority_keys.c.authority == name, authority_keys.c.generation == waiting["generation"]
            )
        )
        connection.execute(
            insert(authority_keys).values(
                authority=name,
                generation=authority.generation,
                key_label=authority.key_label,
                algorithm=row["algorithm"],
                certificate_der=authority.certificate.der,
                chain_pem=authority.chain_pem,
                requested_at=row["created_at"],
                replaced_at=now,
                # RFC 5280, section 3.3: an entry stays until one list after the certificate's end.
                needed_until=(last or now) + timedelta(days=1),
            )
        )
