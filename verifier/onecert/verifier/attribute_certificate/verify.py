"""Verify an attribute certificate (RFC 5755, section 5), step by step, each step with its reason code.

``verify`` stops at the first finding and raises it; ``explain`` walks on and returns all of them. The order
is that of the codes in ``findings.py``. The holder's certificate is not optional: attributes of nobody in
particular are attributes of anybody. Its own path and status are verified before, by ``Verifier``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509

from onecert.verifier.attribute_certificate.acrl import RevocationList, StatusSource
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.extensions import (
    ENFORCED,
    Extensions,
    TargetIdentity,
    read_extension,
)
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.holder import is_issued_to
from onecert.verifier.attribute_certificate.parse import PEM_LABEL, Attribute, AttributeCertificate, parse
from onecert.verifier.attribute_certificate.roles import Role, read_roles
from onecert.verifier.attribute_certificate.trust import AttributeTrust, TrustedAuthority
from onecert.verifier.certificate import ParsedCertificate, as_parsed, decode_pem
from onecert.verifier.errors import MalformedError, SignatureInvalidError, VerifyError
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, AlgorithmPolicy, verify_signature

_ROLE = Oid.ROLE


@dataclass(frozen=True, slots=True)
class Dropped:
    """A value that the authority may not assign, or nobody can read as a role. It reaches no decision."""

    oid: str
    value: str
    reason: str
    """``AA_CONTROLS``, ``NOT_ASSIGNABLE`` or ``ROLE_FORM``."""


@dataclass(frozen=True, kw_only=True)
class VerifiedAttributeCertificate:
    """What an attribute certificate proves about its holder. Only the verifier makes these.

    ``roles`` and ``attributes`` are what remains after what the authority may not assign was dropped.
    ``status`` is ``acrl`` (with the list in ``revocation_list``) or ``short-lived``.
    """

    certificate: AttributeCertificate
    holder: ParsedCertificate
    authority: TrustedAuthority
    not_before: datetime
    not_after: datetime
    roles: tuple[Role, ...]
    attributes: tuple[Attribute, ...]
    dropped: tuple[Dropped, ...]
    status: str
    revocation_list: RevocationList | None
    audit_identity: bytes | None

    @property
    def serial_hex(self) -> str:
        """The serial number as people write it."""
        return self.certificate.serial_hex


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Every finding about one attribute certificate, in the order of the walk; none means it is good."""

    findings: tuple[Finding, ...]
    certificate: AttributeCertificate | None
    verified: VerifiedAttributeCertificate | None


@dataclass(kw_only=True, slots=True)
class _Walk:
    """What the walk has learned so far."""

    certificate: AttributeCertificate
    holder: ParsedCertificate
    at: datetime
    target: TargetIdentity | None
    extensions: Extensions = field(default_factory=Extensions)
    authority: TrustedAuthority | None = None
    revocation_list: RevocationList | None = None


@dataclass(frozen=True, kw_only=True)
class AttributeCertificateVerifier:
    """Verifies attribute certificates against one trust configuration. Safe to share between threads.

    Args:
        trust: the attribute authorities that are believed.
        status: where their revocation lists come from.
        max_unrevocable: the longest lifetime of a certificate that says it cannot be revoked (noRevAvail).
        algorithms: the signature algorithms that are accepted.
    """

    trust: AttributeTrust
    status: StatusSource
    max_unrevocable: timedelta = timedelta(hours=24)
    algorithms: AlgorithmPolicy = DEFAULT_ALGORITHMS

    def verify(
        self,
        data: bytes,
        *,
        holder: x509.Certificate | ParsedCertificate | bytes,
        at: datetime,
        target: TargetIdentity | None = None,
    ) -> VerifiedAttributeCertificate:
        """Verify one attribute certificate.

        Args:
            data: DER, or one PEM block ``ATTRIBUTE CERTIFICATE``; at most 64 KiB.
            holder: the identity certificate just authenticated, itself already verified at this time.
            at: the moment of use, aware.
            target: who the relying party is; without it a certificate that has targets is refused.

        Raises:
            RefusedError: with the first code that applies.
            CouldNotCheckError: ``STATUS_UNKNOWN`` or ``AA_PATH_UNKNOWN``.
        """
        walk = self._begin(data, holder, at, target)
        for finding in self._findings(walk):
            raise finding.error()
        return self._result(walk)

    def explain(
        self,
        data: bytes,
        *,
        holder: x509.Certificate | ParsedCertificate | bytes,
        at: datetime,
        target: TargetIdentity | None = None,
    ) -> Explanation:
        """Like ``verify``, but name every fault instead of the first; never raises for what was presented."""
        try:
            walk = self._begin(data, holder, at, target)
        except MalformedError as exc:
            return Explanation(findings=(Finding(exc.code, exc.facts),), certificate=None, verified=None)
        findings = tuple(self._findings(walk))
        verified = None if findings else self._result(walk)
        return Explanation(findings=findings, certificate=walk.certificate, verified=verified)

    def _begin(
        self,
        data: bytes,
        holder: x509.Certificate | ParsedCertificate | bytes,
        at: datetime,
        target: TargetIdentity | None,
    ) -> _Walk:
        if at.tzinfo is None:
            raise ValueError("`at` must be an aware time")
        parsed = parse(decode_pem(data, PEM_LABEL) if data[:5] == b"-----" else data)
        return _Walk(certificate=parsed, holder=as_parsed(holder), at=at, target=target)

    def _findings(self, walk: _Walk) -> Iterator[Finding]:
        # 1. The form that the profile demands; the parser has already seen it.
        yield from walk.certificate.faults
        # 2. Extensions: whatever is critical is enforced here, or the certificate is refused.
        yield from _read_extensions(walk)
        # 3. One algorithm, said twice.
        if walk.certificate.algorithm_der != walk.certificate.outer_algorithm_der:
            yield Finding(Code.ALG_MISMATCH)
        # 4. Who issued it: by configuration, never by what the certificate says; and may it, at this time.
        yield from self._check_authority(walk)
        # 5. The signature, with the key of the configuration.
        yield from self._check_signature(walk)
        # 6. Time.
        yield from _check_time(walk)
        # 7. The holder is the one who was just authenticated.
        if not is_issued_to(walk.certificate.holder, walk.holder):
            yield Finding(Code.HOLDER, {"holder": walk.holder.subject_text})
        # 8. We are among those it was meant for.
        targets = walk.extensions.targets
        if targets is not None and not targets.admits(walk.target):
            yield Finding(Code.TARGET)
        # 9. It has not been revoked.
        yield from self._check_status(walk)

    def _check_authority(self, walk: _Walk) -> Iterator[Finding]:
        issuer = walk.certificate.issuer
        if issuer is None:
            return  # ISSUER_FORM has been said
        walk.authority = self.trust.find(issuer.value, walk.extensions.key_identifier)
        if walk.authority is None:
            yield Finding(Code.UNTRUSTED, {"issuer": str(issuer)})
        else:
            yield from self.trust.check(walk.authority, walk.at)

    def _check_signature(self, walk: _Walk) -> Iterator[Finding]:
        if walk.authority is None:
            return  # without a key there is nothing to check with, and UNTRUSTED has been said
        certificate = walk.certificate
        try:
            verify_signature(
                walk.authority.public_key,
                certificate.outer_algorithm_der,
                certificate.signature,
                certificate.info_der,
                policy=self.algorithms,
                at=walk.at,
            )
        except SignatureInvalidError:
            yield Finding(Code.SIGNATURE, {"authority": walk.authority.label})
        except VerifyError as exc:
            yield Finding(exc.code, exc.facts)

    def _check_status(self, walk: _Walk) -> Iterator[Finding]:
        certificate, extensions = walk.certificate, walk.extensions
        if extensions.no_revocation_available and extensions.has_status_pointer:
            yield Finding(Code.STATUS_CONTRADICTION)
            return
        if extensions.no_revocation_available:
            start, end = certificate.not_before, certificate.not_after
            if start is not None and end is not None and end - start > self.max_unrevocable:
                yield Finding(Code.STATUS_UNKNOWN, {"detail": f"noRevAvail for {end - start}"})
            return
        if walk.authority is None:
            return
        found = self.status.find_list(walk.authority)
        if found is None:
            yield Finding(Code.STATUS_UNKNOWN, {"detail": "no revocation list"})
            return
        walk.revocation_list = found
        revocation = found.find(certificate.serial)
        # A revocation counts even in a list that is too old to prove that nothing else was revoked.
        if revocation is not None and revocation.revoked_at <= walk.at:
            yield Finding(Code.REVOKED, {"revoked_at": revocation.revoked_at, "reason": revocation.reason})
        elif not found.this_update <= walk.at <= found.next_update:
            detail = f"the revocation list covers {found.this_update:%F %T}Z to {found.next_update:%F %T}Z"
            yield Finding(Code.STATUS_UNKNOWN, {"detail": detail})

    def _result(self, walk: _Walk) -> VerifiedAttributeCertificate:
        certificate, authority = walk.certificate, walk.authority
        if authority is None or certificate.not_before is None or certificate.not_after is None:
            raise MalformedError("NOT_DER", kind="attribute certificate", detail="incomplete")
        roles, attributes, dropped = _filter(certificate, authority)
        return VerifiedAttributeCertificate(
            certificate=certificate,
            holder=walk.holder,
            authority=authority,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            roles=tuple(roles),
            attributes=tuple(attributes),
            dropped=tuple(dropped),
            status="short-lived" if walk.extensions.no_revocation_available else "acrl",
            revocation_list=walk.revocation_list,
            audit_identity=walk.extensions.audit_identity,
        )


def _read_extensions(walk: _Walk) -> Iterator[Finding]:
    for extension in walk.certificate.extensions:
        if extension.oid not in ENFORCED:
            if extension.critical:
                yield Finding(Code.UNKNOWN_CRITICAL, {"oid": extension.oid.dotted_string})
            continue
        try:
            read = read_extension(extension.oid, extension.value)
        except (ValueError, TypeError) as exc:
            yield Finding(Code.EXTENSION_FORM, {"oid": extension.oid.dotted_string, "detail": exc})
            continue
        walk.extensions = Extensions(
            key_identifier=walk.extensions.key_identifier or read.key_identifier,
            targets=walk.extensions.targets or read.targets,
            audit_identity=walk.extensions.audit_identity or read.audit_identity,
            no_revocation_available=walk.extensions.no_revocation_available or read.no_revocation_available,
            has_status_pointer=walk.extensions.has_status_pointer or read.has_status_pointer,
        )


def _check_time(walk: _Walk) -> Iterator[Finding]:
    start, end = walk.certificate.not_before, walk.certificate.not_after
    if end is not None and walk.at > end:
        yield Finding(Code.EXPIRED, {"not_after": end})
    if start is not None and walk.at < start:
        yield Finding(Code.NOT_YET_VALID, {"not_before": start})


def _filter(
    certificate: AttributeCertificate, authority: TrustedAuthority
) -> tuple[list[Role], list[Attribute], list[Dropped]]:
    """Keep what the authority may assign: by its own certificate (aaControls) and by our configuration."""
    roles: list[Role] = []
    kept: list[Attribute] = []
    dropped: list[Dropped] = []
    for attribute in certificate.attributes:
        oid = attribute.oid.dotted_string
        if not authority.controls.permit(oid):
            dropped.append(Dropped(oid, "", "AA_CONTROLS"))
        elif not authority.may_assign(oid):
            dropped.append(Dropped(oid, "", "NOT_ASSIGNABLE"))
        elif attribute.oid == _ROLE:
            values = []
            for value, role in read_roles(attribute):
                if role is None:
                    dropped.append(Dropped(oid, value.hex()[:80], "ROLE_FORM"))
                elif not authority.may_assign_role(role.name):
                    dropped.append(Dropped(oid, role.name, "NOT_ASSIGNABLE"))
                else:
                    roles.append(role)
                    values.append(value)
            if values:
                kept.append(replace(attribute, values=tuple(values)))
        else:
            kept.append(attribute)
    return roles, kept, dropped
