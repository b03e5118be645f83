"""Attribute authorities: a key on the token, and a certificate for it that a CA of ours issued.

``request`` makes the key and a request, the CA certifies it (profile attribute-authority), ``install`` checks
the certificate as a relying party will (RFC 5755, section 4.5: not a CA, may sign) and takes it into use.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, bindparam, insert, select, update

from onecert.hsm import KeyAlgorithm, PrivateKey, Token, TokenError
from onecert.pmi.errors import (
    AuthorityExistsError,
    AuthorityNotReadyError,
    AuthorityUnfitError,
    AuthorityUnknownError,
    RequestWrongError,
    TokenGoneError,
)
from onecert.pmi.issuing.encode import Template
from onecert.pmi.issuing.signing import Signer, algorithm_of
from onecert.pmi.models import authorities
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.languages import _, current_language
from onecert.server.statements import Statement, Values
from onecert.verifier.attribute_certificate import AttributeTrust, TrustedAuthority
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import PublicKey, load_public_key, verify_signature

__all__ = ["Authorities", "Authority", "make_request"]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_CRL_SIGN = 6
_FIND = Statement(select(authorities).where(authorities.c.name == bindparam("wanted")))
_ALL = Statement(select(authorities).order_by(authorities.c.name))
_STATUS = Statement(select(authorities.c.name, authorities.c.status_version))


@dataclass(frozen=True, kw_only=True)
class Authority:
    """One attribute authority, ready to sign."""

    name: str
    key_label: str
    certificate: ParsedCertificate
    chain_pem: str
    acrl_url: str

    @cached_property
    def public_key(self) -> PublicKey:
        """What its signatures are checked with."""
        return load_public_key(self.certificate.spki_der)

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
        self._kept: dict[str, Authority] = {}

    def acrl_url(self, name: str) -> str:
        """Return where the revocation list of an authority is published."""
        return f"{self._status_url}/{name}.acrl"

    def register(self, connection: Connection, name: str, algorithm: KeyAlgorithm, *, actor: str) -> str:
        """Put an authority on record before its key is made; return the label of the key.

        Asking again before a certificate is installed returns the same label, and so the same key.

        Raises:
            AuthorityExistsError: it already has a certificate.
        """
        if not _NAME.fullmatch(name):
            raise RequestWrongError("name", _("small letters, digits and hyphens, 63 characters at most"))
        row = self._row(connection, name)
        if row is not None:
            if row["certificate_der"] is not None:
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
                kind="soa",
                state="active",
                state_at=None,
                state_reason=None,
            )
        )
        self._audit.record(
            connection,
            event="authority.requested",
            actor=actor,
            subject=f"authority:{name}",
            details={"algorithm": algorithm.value},
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

        Args:
            chain: the certificates above it, its issuer first.

        Raises:
            AuthorityUnknownError: it was never requested.
            AuthorityExistsError: it has another certificate already.
            AuthorityUnfitError: the certificate is not one for this authority.
        """
        row = self._row(connection, name)
        if row is None:
            raise AuthorityUnknownError(name)
        parsed = as_parsed(certificate)
        if row["certificate_der"] is not None:
            if row["certificate_der"] != parsed.der:
                raise AuthorityExistsError(name)
            return self.load(connection, name)
        reason = find_unfitness(parsed, chain, self._clock.now())
        if reason is None and not signer.is_key_of(row["key_label"], load_public_key(parsed.spki_der)):
            reason = _("it is for another key")
        if reason is not None:
            raise AuthorityUnfitError(name, reason)
        pem = "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in chain)
        connection.execute(
            update(authorities)
            .where(authorities.c.name == name)
            .values(certificate_der=parsed.der, chain_pem=pem, installed_at=self._clock.now())
        )
        self._audit.record(
            connection,
            event="authority.installed",
            actor=actor,
            subject=f"authority:{name}",
            details={"serial": f"{parsed.serial:x}", "issuer": parsed.issuer_text},
        )
        return self.load(connection, name)

    def load(self, connection: Connection, name: str) -> Authority:
        """Return an authority. Raises AuthorityUnknownError, AuthorityNotReadyError."""
        row = self._row(connection, name)
        if row is None:
            raise AuthorityUnknownError(name)
        if row["certificate_der"] is None:
            raise AuthorityNotReadyError(name)
        return self._authority(row)

    def all(self, connection: Connection) -> list[Authority]:
        """Return every authority that has a certificate, by name."""
        rows = _ALL.all(connection, {})
        return [self._authority(row) for row in rows if row["certificate_der"] is not None]

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
        name, der = row["name"], row["certificate_der"]
        kept = self._kept.get(name)
        if kept is None or kept.certificate.der != der:
            kept = self._kept[name] = Authority(
                name=name,
                key_label=row["key_label"],
                certificate=as_parsed(der),
                chain_pem=row["chain_pem"],
                acrl_url=self.acrl_url(name),
            )
        return kept


def make_request(token: Token, label: str, algorithm: KeyAlgorithm, *, name: str, organization: str) -> bytes:
    """Make the key if it is not there, and return a request for its certificate (PEM).

    Raises:
        TokenGoneError: the token does not answer.
    """
    try:
        key: PrivateKey = token.find_key(label) or token.generate_key(label, algorithm)
        parts = [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(parts))
        request = builder.sign(key, algorithm_of(key.public_key()).hash)
    except TokenError as exc:
        raise TokenGoneError(token.label) from exc
    return request.public_bytes(Encoding.PEM)


def find_unfitness(
    certificate: ParsedCertificate, chain: Sequence[x509.Certificate], at: datetime
) -> str | None:
    """Say why a certificate is not one for an attribute authority; None when it is.

    The rules a relying party applies (RFC 5755, section 4.5), and the chain link by link.
    """
    trusted = TrustedAuthority.from_certificate(certificate)
    for finding in AttributeTrust(authorities=(trusted,)).check(trusted, at):
        return finding.text(current_language())
    usage = certificate.key_usage
    if usage is not None and _CRL_SIGN not in usage:
        return _("its key usage does not allow it to sign revocation lists (cRLSign)")
    if certificate.subject_key_id is None:
        return _("it has no subject key identifier")
    if not chain:
        return _("the chain with its issuer is missing")
    below = certificate
    for each in chain:
        above = as_parsed(each)
        if above.subject != below.issuer or not above.is_ca:
            return _("the chain does not lead upwards from it")
        try:
            verify_signature(load_public_key(above.spki_der), below.algorithm_der, below.signature, below.tbs)
        except VerifyError:
            return _("a signature in the chain is wrong")
        below = above
    return None
