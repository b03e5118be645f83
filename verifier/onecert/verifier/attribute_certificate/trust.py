"""Which attribute authorities are believed, and for what (RFC 5755, section 5, second and fifth step).

An authority is named in the relying party's configuration by certificate, or by name and key, together with
the roles and attributes it may assign. Nothing is believed because of what a certificate says of itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Protocol

from cryptography import x509

from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.delegation_source import DelegationSource
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.trust_controls import (
    AA_CONTROLS,
    NOTHING_SAID,
    Controls,
    Examined,
    controls_along,
)
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.der import BIT_STRING, SEQUENCE, DerError, Reader
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.names import canonical_name, display_name
from onecert.verifier.signatures import PublicKey, load_public_key, spki_der

_DIGITAL_SIGNATURE = 0
_CRL_SIGN = 6
_KEPT_MAX_BYTES = 8 * 1024


class PathCheck(Protocol):
    """Validates the certificate of an authority up to an anchor that the relying party trusts."""

    def __call__(self, certificate: ParsedCertificate, at: datetime) -> object:
        """Return when the path is good at this time; raise ``VerifyError`` when not."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrustedAuthority:
    """One attribute authority, and what it may assign.

    Args:
        label: what the configuration calls it.
        name_der: its name, DER; what attribute certificates have as issuer.
        public_key_der: its SubjectPublicKeyInfo, DER.
        roles: URIs of roles, a trailing ``*`` stands for any rest; the default is none.
        attributes: dotted identifiers of other attributes it may assign; the default is none.
        certificate: its certificate, when it is named by one. Then its dates, usage and path count.
        key_ids: key identifiers beside the usual ones, which are computed.
    """

    label: str
    name_der: bytes
    public_key_der: bytes
    roles: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    certificate: ParsedCertificate | None = None
    key_ids: frozenset[bytes] = frozenset()

    @classmethod
    def from_certificate(
        cls,
        certificate: x509.Certificate | ParsedCertificate | bytes,
        *,
        roles: Iterable[str] = (),
        attributes: Iterable[str] = (),
        label: str = "",
    ) -> TrustedAuthority:
        """Name an authority by its certificate."""
        parsed = as_parsed(certificate)
        return cls(
            label=label or parsed.subject_text,
            name_der=parsed.subject_der,
            public_key_der=parsed.spki_der,
            roles=frozenset(roles),
            attributes=frozenset(attributes),
            certificate=parsed,
            key_ids=frozenset({parsed.subject_key_id} if parsed.subject_key_id else ()),
        )

    @classmethod
    def from_key(
        cls, name: x509.Name, key: PublicKey, *, roles: Iterable[str] = (), attributes: Iterable[str] = ()
    ) -> TrustedAuthority:
        """Name an authority by its name and key."""
        name_der = name.public_bytes()
        return cls(
            label=display_name(name_der),
            name_der=name_der,
            public_key_der=spki_der(key),
            roles=frozenset(roles),
            attributes=frozenset(attributes),
        )

    @cached_property
    def public_key(self) -> PublicKey:
        """The key, loaded once."""
        return load_public_key(self.public_key_der)

    @cached_property
    def all_key_ids(self) -> frozenset[bytes]:
        """Key identifiers under which certificates may name this key."""
        reader = Reader(self.public_key_der).enter(SEQUENCE)
        reader.raw()
        bits = reader.contents(BIT_STRING)[1:]
        # RFC 5280, section 4.2.1.2, method 1, and RFC 7093, methods 1 and 4. Names for a key, not protection.
        sha1 = hashlib.sha1(bits, usedforsecurity=False).digest()
        sha256 = hashlib.sha256(bits).digest()
        return self.key_ids | {sha1, sha256[:20], sha256, hashlib.sha256(self.public_key_der).digest()}

    def may_assign_role(self, role: str) -> bool:
        """Tell whether the configuration lets this authority give the role."""
        return role in self.roles or role.startswith(self._role_prefixes)

    @cached_property
    def _role_prefixes(self) -> tuple[str, ...]:
        return tuple(pattern[:-1] for pattern in self.roles if pattern.endswith("*"))

    def may_assign(self, oid: str) -> bool:
        """Tell whether the configuration lets this authority give attributes of this type."""
        return oid in self.attributes or (oid == Oid.ROLE.dotted_string and bool(self.roles))

    @property
    def may_sign_lists(self) -> bool:
        """RFC 5280, section 6.3.3 (f): a key usage that is stated must contain cRLSign."""
        usage = None if self.certificate is None else self.certificate.key_usage
        return usage is None or _CRL_SIGN in usage

    @cached_property
    def faults(self) -> tuple[Finding, ...]:
        """What its certificate says against it at any time: it is a CA's, or its key may not sign."""
        certificate, facts = self.certificate, {"authority": self.label}
        if certificate is None:
            return ()
        usage = certificate.key_usage
        may_not_sign = usage is not None and _DIGITAL_SIGNATURE not in usage
        found = [Finding(Code.AA_IS_CA, facts)] if certificate.is_ca else []
        return (*found, Finding(Code.AA_KEY_USAGE, facts)) if may_not_sign else tuple(found)

    @cached_property
    def controls(self) -> Controls | None:
        """What the authority's own certificate lets it assign (RFC 5755, section 7.4), if it says so.

        Raises:
            MalformedError: the extension cannot be read.
        """
        value = None if self.certificate is None else self.certificate.extension_value(AA_CONTROLS)
        return None if value is None else Controls.from_der(value)


class AuthorityFinder(Protocol):
    """Finds an authority by its name and its key identifier."""

    def find(self, name_der: bytes, key_id: bytes | None) -> TrustedAuthority | None:
        """Return the authority, or None."""
        ...


@dataclass(frozen=True, slots=True)
class _WithDelegates:
    trust: AttributeTrust
    delegations: DelegationSource

    def find(self, name_der: bytes, key_id: bytes | None) -> TrustedAuthority | None:
        found = self.trust.find(name_der, key_id)
        if found is not None:
            return found
        for each in self.delegations.find(name_der, key_id):
            authority = delegate_of(each.holder_certificate)
            if is_named(authority, name_der, key_id):
                return authority
        return None


@lru_cache(maxsize=256)
def _known_delegate(certificate: ParsedCertificate) -> TrustedAuthority:
    return TrustedAuthority.from_certificate(certificate)


def delegate_of(certificate: ParsedCertificate) -> TrustedAuthority:
    """Return a sub-authority as its certificate describes it; it may assign nothing by configuration."""
    if len(certificate.der) > _KEPT_MAX_BYTES:
        return TrustedAuthority.from_certificate(certificate)
    return _known_delegate(certificate)


def is_named(authority: TrustedAuthority, name_der: bytes, key_id: bytes | None) -> bool:
    """Tell whether an issuer field and a key identifier mean this authority."""
    if authority.name_der != name_der and canonical_name(authority.name_der) != canonical_name(name_der):
        return False
    return key_id is None or key_id in authority.all_key_ids


@dataclass(frozen=True, kw_only=True)
class AttributeTrust:
    """The attribute authorities a relying party believes.

    Args:
        authorities: those named in the configuration.
        check_path: validates an authority's certificate at the checking time. Without it a certificate in
            the configuration is an anchor itself, and only its dates and usage count; delegations are then
            followed only if they name the sub-authority by the digest of its key or certificate.
        check_responder: validates the certificate of an OCSP responder. Without it only answers that the
            authority signed itself count.
    """

    authorities: tuple[TrustedAuthority, ...] = ()
    check_path: PathCheck | None = None
    check_responder: PathCheck | None = None
    _by_name: Mapping[object, list[TrustedAuthority]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name: dict[object, list[TrustedAuthority]] = {}
        for authority in self.authorities:
            by_name.setdefault(canonical_name(authority.name_der), []).append(authority)
        object.__setattr__(self, "_by_name", by_name)

    def find(self, name_der: bytes, key_id: bytes | None) -> TrustedAuthority | None:
        """Find the authority with this name and this key identifier.

        A certificate without key identifier is matched by name alone, if the name has one key only.
        """
        try:
            named = self._by_name.get(canonical_name(name_der), [])
        except DerError:
            return None
        if key_id is None:
            return named[0] if len(named) == 1 else None
        return next((authority for authority in named if key_id in authority.all_key_ids), None)

    def and_delegates(self, delegations: DelegationSource) -> AuthorityFinder:
        """Return what finds authorities of this configuration, and those that delegations speak of.

        For reading revocation lists. Nothing is believed of the delegations themselves.
        """
        return _WithDelegates(self, delegations)

    def examine(
        self, authority: TrustedAuthority, at: datetime, *, is_delegate: bool = False, is_bound: bool = False
    ) -> Examined:
        """Tell what speaks against an authority at this time (it is a CA, its usage, its path), and what the
        certificates of its path let it assign.

        Args:
            is_delegate: it is not in the configuration, but comes with a delegation.
            is_bound: the delegation names it by the digest of its key or certificate.

        Source: RFC 5755, sections 4.5, 5 and 7.4.
        """
        certificate = authority.certificate
        if certificate is None:
            return NOTHING_SAID
        findings = list(authority.faults)
        controls: tuple[Controls, ...] = ()
        reason = ""
        try:
            if self.check_path is not None:
                controls, reason = controls_along(certificate, self.check_path(certificate, at))
            else:
                controls = () if authority.controls is None else (authority.controls,)
                # A serial number or a name binds nobody as long as no CA has vouched for the certificate.
                if is_delegate and not is_bound:
                    reason = "NO_PATH_CHECK"
                elif not certificate.not_before <= at <= certificate.not_after:
                    reason = "CERT_EXPIRED"
        except CouldNotCheckError as exc:
            facts = {"authority": authority.label, "reason": exc.code}
            findings.append(Finding(Code.AA_PATH_UNKNOWN, facts))
        except VerifyError as exc:
            reason = exc.code
        if reason:
            findings.append(Finding(Code.AA_PATH, {"authority": authority.label, "reason": reason}))
        return Examined(tuple(findings), controls) if findings or controls else NOTHING_SAID
