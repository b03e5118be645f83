"""Attribute authorities: a key on the token, and a certificate for it that a CA of ours issued.

``request`` makes the key and a request, the CA certifies it (profile attribute-authority), ``install`` checks
the certificate as a relying party will (RFC 5755, section 4.5: not a CA, may sign) and takes it into use. A
new certificate for the same key takes the place of the old one; a new key is in `renewals.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, bindparam, insert, select, update

from onecert.hsm import KeyAlgorithm
from onecert.pmi.authorities.errors import AuthorityStateError
from onecert.pmi.authorities.fitness import find_unfitness
from onecert.pmi.errors import (
    AuthorityExistsError,
    AuthorityNotReadyError,
    AuthorityUnfitError,
    AuthorityUnknownError,
    RequestWrongError,
)
from onecert.pmi.issuing.encode import Template
from onecert.pmi.issuing.signing import Signer
from onecert.pmi.models import authorities, authority_history, authority_keys
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.languages import Message, _
from onecert.server.statements import Statement, Values
from onecert.verifier.attribute_certificate import TrustedAuthority
from onecert.verifier.attribute_certificate.trust_controls import Controls
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.signatures import PublicKey, load_public_key

__all__ = [
    "ACTIVE",
    "DELEGATED",
    "KINDS",
    "REVOKED",
    "SOURCE",
    "STATES",
    "SUSPENDED",
    "Authorities",
    "Authority",
]

SOURCE, DELEGATED = "soa", "aa"
KINDS: dict[str, Message] = {
    SOURCE: _("source of authority"),
    DELEGATED: _("authority by delegation"),
}
ACTIVE, SUSPENDED, REVOKED = "active", "suspended", "revoked"
STATES: dict[str, Message] = {
    ACTIVE: _("in force"),
    SUSPENDED: _("suspended"),
    REVOKED: _("revoked"),
}

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_FIND = Statement(select(authorities).where(authorities.c.name == bindparam("wanted")))
# Against whoever ends the authority at this moment (FOR UPDATE), not against those who count its lists.
_FIND_TO_ISSUE = Statement(
    select(authorities)
    .where(authorities.c.name == bindparam("wanted"))
    .with_for_update(read=True, key_share=True)
)
_ALL = Statement(select(authorities).order_by(authorities.c.name))
_REPLACED = Statement(
    select(authority_keys)
    .where(authority_keys.c.replaced_at.is_not(None))
    .order_by(authority_keys.c.authority, authority_keys.c.generation)
)
_STATUS = Statement(select(authorities.c.name, authorities.c.status_version))


@dataclass(frozen=True, kw_only=True)
class Authority:
    """One key of an attribute authority, with its certificate; ready to sign while it is the present one.

    Args:
        kind: ``soa`` (gives what the catalogue says) or ``aa`` (gives what it was delegated).
        state: ``active``, ``suspended`` or ``revoked``.
        generation: of the key: 1, and one more with each new key.
    """

    name: str
    key_label: str
    certificate: ParsedCertificate
    chain_pem: str
    acrl_url: str
    kind: str = SOURCE
    state: str = ACTIVE
    generation: int = 1

    @cached_property
    def public_key(self) -> PublicKey:
        """What its signatures are checked with."""
        return load_public_key(self.certificate.spki_der)

    def find_unpermitted(self, oids: Iterable[str]) -> list[str]:
        """Return those types of attributes that its own certificate does not let it give (aaControls)."""
        controls = self._controls
        return [] if controls is None else sorted({oid for oid in oids if not controls.permit(oid)})

    @cached_property
    def _controls(self) -> Controls | None:
        return TrustedAuthority.from_certificate(self.certificate).controls

    @cached_property
    def template(self) -> Template:
        """What its attribute certificates have in common."""
        return Template(self.certificate, self.acrl_url)

    def trusted(self, roles: Sequence[str]) -> TrustedAuthority:
        """Return the authority as a relying party would name it, with the roles it may give."""
        return TrustedAuthority.from_certificate(self.certificate, roles=roles, label=self.name)


class Authorities:
    """The authorities of one service."""

    def __init__(self, *, audit: AuditTrail, clock: Clock, status_url: str) -> None:
        self._audit = audit
        self._clock = clock
        self._status_url = status_url.rstrip("/")
        self._kept: dict[tuple[str, int], Authority] = {}

    def acrl_url(self, name: str, generation: int = 1) -> str:
        """Return where the revocation list that a key of an authority signs is published."""
        return f"{self._status_url}/{name if generation == 1 else f'{name}.{generation}'}.acrl"

    def register(
        self,
        connection: Connection,
        name: str,
        algorithm: KeyAlgorithm,
        *,
        actor: str,
        kind: str = SOURCE,
    ) -> str:
        """Put an authority on record before its key is made; return the label of the key.

        Asking again before a certificate is installed returns the same label, and so the same key.

        Raises:
            AuthorityExistsError: it already has a certificate, or was asked for as another kind.
        """
        if kind not in KINDS:
            raise RequestWrongError("kind", _("unknown"))
        if not _NAME.fullmatch(name):
            raise RequestWrongError("name", _("small letters, digits and hyphens, 63 characters at most"))
        row = self._row(connection, name)
        if row is not None:
            if row["certificate_der"] is not None or row["kind"] != kind:
                raise AuthorityExistsError(name)
            return str(row["key_label"])
        connection.execute(
            insert(authorities).values(
                name=name,
                key_label=f"authority-{name}",
                algorithm=algorithm.value,
                certificate_der=None,
                chain_pem="",
                status_version=0,
                acrl_number=0,
                created_at=self._clock.now(),
                installed_at=None,
                kind=kind,
                state=ACTIVE,
                state_at=None,
                state_reason=None,
                generation=1,
            )
        )
        self._audit.record(
            connection,
            event="authority.requested",
            actor=actor,
            subject=f"authority:{name}",
            details={"algorithm": algorithm.value, "kind": kind},
        )
        return f"authority-{name}"

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
        """Take the certificate of an authority into use. The same certificate again changes nothing.

        Another certificate for the same key takes the place of the one before it: what was given under that
        one stays good, because name and key are the same.

        Args:
            chain: the certificates above it, its issuer first.

        Raises:
            AuthorityUnknownError: it was never requested.
            AuthorityStateError: it was revoked.
            AuthorityUnfitError: the certificate is not one for this authority, or ends too early.
        """
        row = self._row(connection, name)
        if row is None:
            raise AuthorityUnknownError(name)
        parsed = as_parsed(certificate)
        if row["certificate_der"] == parsed.der:
            return self.load(connection, name)
        if row["state"] == REVOKED:
            raise AuthorityStateError(name, STATES[REVOKED])
        before = None if row["certificate_der"] is None else as_parsed(row["certificate_der"])
        self.check_certificate(name, parsed, chain, key_label=row["key_label"], signer=signer, before=before)
        now = self._clock.now()
        connection.execute(
            update(authorities)
            .where(authorities.c.name == name)
            .values(
                certificate_der=parsed.der,
                chain_pem=chain_pem(chain),
                installed_at=now,
                # Whoever keeps what is in force reads it again.
                status_version=authorities.c.status_version + (0 if before is None else 1),
            )
        )
        if before is None:
            connection.execute(
                insert(authority_history).values(
                    authority=name, since=now, state=ACTIVE, reason=None, changed_by=actor
                )
            )
        self._audit.record(
            connection,
            event="authority.installed" if before is None else "authority.renewed",
            actor=actor,
            subject=f"authority:{name}",
            details={"serial": f"{parsed.serial:x}", "issuer": parsed.issuer_text},
        )
        return self.load(connection, name)

    def check_certificate(
        self,
        name: str,
        certificate: ParsedCertificate,
        chain: Sequence[x509.Certificate],
        *,
        key_label: str,
        signer: Signer,
        before: ParsedCertificate | None,
    ) -> None:
        """Check the certificate for a key of an authority.

        Args:
            before: the certificate that it follows; the name must be the same, because it is the issuer's
                name in all that was given.

        Raises:
            AuthorityUnfitError: it is not one.
        """
        reason = find_unfitness(certificate, chain, self._clock.now())
        if reason is None and not signer.is_key_of(key_label, load_public_key(certificate.spki_der)):
            reason = _("it is for another key")
        if reason is None and before is not None and certificate.subject_der != before.subject_der:
            reason = _("it has another name than the certificate before it")
        if reason is None and before is not None and certificate.not_after < before.not_after:
            reason = _("it ends earlier than the certificate before it")
        if reason is not None:
            raise AuthorityUnfitError(name, reason)

    def load(self, connection: Connection, name: str) -> Authority:
        """Return an authority. Raises AuthorityUnknownError, AuthorityNotReadyError."""
        row = self._row(connection, name)
        if row is None:
            raise AuthorityUnknownError(name)
        if row["certificate_der"] is None:
            raise AuthorityNotReadyError(name)
        return self._authority(row)

    def load_to_issue(self, connection: Connection, name: str) -> Authority:
        """Return an authority that may issue, and keep it so until the transaction ends.

        Raises:
            AuthorityUnknownError, AuthorityNotReadyError
            AuthorityStateError: it is suspended or revoked.
        """
        row = _FIND_TO_ISSUE.first(connection, {"wanted": name})
        if row is None:
            raise AuthorityUnknownError(name)
        if row["certificate_der"] is None:
            raise AuthorityNotReadyError(name)
        if row["state"] != ACTIVE:
            raise AuthorityStateError(name, STATES[row["state"]])
        return self._authority(row)

    def all(self, connection: Connection) -> list[Authority]:
        """Return every authority that has a certificate, by name, with its present key."""
        rows = _ALL.all(connection, {})
        return [self._authority(row) for row in rows if row["certificate_der"] is not None]

    def earlier(self, connection: Connection, at: datetime) -> list[Authority]:
        """Return the keys before the present ones, while certificates that they signed have not ended."""
        return self._earlier(
            connection, [row for row in _REPLACED.all(connection, {}) if row["needed_until"] > at]
        )

    def every_key(self, connection: Connection) -> list[Authority]:
        """Return the keys before the present ones, also those not needed any more, then the present."""
        return [*self._earlier(connection, _REPLACED.all(connection, {})), *self.all(connection)]

    def _earlier(self, connection: Connection, rows: Sequence[Values]) -> list[Authority]:
        present = {row["name"]: row for row in _ALL.all(connection, {})} if rows else {}
        return [self._authority({**present[row["authority"]], **row}) for row in rows]

    def status_versions(self, connection: Connection) -> dict[str, int]:
        """Return the status version of each authority by name: it grows when a certificate is revoked."""
        return {row["name"]: row["status_version"] for row in _STATUS.all(connection, {})}

    def requested(self, connection: Connection) -> list[str]:
        """Return the names of those that wait for their certificate."""
        waiting = select(authorities.c.name).where(authorities.c.certificate_der.is_(None))
        return list(connection.scalars(waiting.order_by(authorities.c.name)))

    def _row(self, connection: Connection, name: str) -> Values | None:
        return _FIND.first(connection, {"wanted": name})

    def _authority(self, row: Values) -> Authority:
        name, generation, der = row["name"], row["generation"], row["certificate_der"]
        kept = self._kept.get((name, generation))
        if (
            kept is None
            or kept.certificate.der != der
            or (kept.kind, kept.state) != (row["kind"], row["state"])
        ):
            kept = self._kept[name, generation] = Authority(
                name=name,
                key_label=row["key_label"],
                certificate=as_parsed(der),
                chain_pem=row["chain_pem"],
                acrl_url=self.acrl_url(name, generation),
                kind=row["kind"],
                state=row["state"],
                generation=generation,
            )
        return kept


def chain_pem(chain: Sequence[x509.Certificate]) -> str:
    """Write a chain the way it is on record."""
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in chain)
