"""Finds the ways from an attribute certificate up to an authority that is trusted (ITU-T X.509, section 19).

An authority that the configuration names is the end of the way. Any other needs a delegation, which is an
attribute certificate itself and is verified like every other: its form, its issuer (again by configuration or
by delegation), signature, time, holder, targets, status, and that it stays within the delegation above it.
Several ways may exist; they are tried one after the other, and bounded all together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from onecert.verifier.attribute_certificate.delegation import Constraints, Limits, constraints_of
from onecert.verifier.attribute_certificate.delegation_source import Delegation, DelegationSource
from onecert.verifier.attribute_certificate.extensions import Extensions, TargetIdentity
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.attribute_certificate.holder import is_issued_to
from onecert.verifier.attribute_certificate.parse import AttributeCertificate, parse
from onecert.verifier.attribute_certificate.signed import SignatureCheck
from onecert.verifier.attribute_certificate.status import HOLD, StatusCheck
from onecert.verifier.attribute_certificate.steps import check_form, check_time
from onecert.verifier.attribute_certificate.trust import (
    AttributeTrust,
    TrustedAuthority,
    delegate_of,
    is_named,
)
from onecert.verifier.attribute_certificate.trust_controls import Examined
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.names import CanonicalName

MAX_LEVELS = 8
MAX_CHECKS = 64
MAX_CANDIDATES = 64
MAX_OCTETS = 256 * 1024
_KEPT_MAX_BYTES = 16 * 1024
_PASSED_ON = frozenset(
    {
        Code.UNTRUSTED,
        Code.AA_IS_CA,
        Code.AA_KEY_USAGE,
        Code.AA_PATH,
        Code.AA_PATH_UNKNOWN,
        Code.NOT_A_DELEGATION,
        Code.EXCEEDS_DELEGATION,
        Code.DELEGATION_LOOP,
        Code.DELEGATION_LIMIT,
    }
)


@dataclass(frozen=True, slots=True)
class DelegationStep:
    """One delegation of a path: ``authority`` gave what ``certificate`` says to ``holder``."""

    certificate: AttributeCertificate
    authority: TrustedAuthority
    holder: ParsedCertificate
    limits: Limits
    """What the holder may give, by this delegation and all above it."""

    def text(self) -> str:
        """Who gave to whom, in one line."""
        return f"{self.authority.label} -> {self.holder.subject_text} ({self.certificate.serial_hex})"


@dataclass(frozen=True, slots=True)
class Route:
    """One way to the authority that issued a certificate.

    ``names`` has the authorities as far as they are known, the topmost first. ``findings`` speak against the
    delegations of the way, ``examined`` tells about the authority itself.
    """

    authority: TrustedAuthority
    examined: Examined = field(default_factory=Examined)
    path: tuple[DelegationStep, ...] = ()
    names: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    controls: tuple[Examined, ...] = ()

    @property
    def source(self) -> TrustedAuthority:
        """The authority of the configuration that the way begins with."""
        return self.path[0].authority if self.path else self.authority

    @property
    def limits(self) -> Limits | None:
        """What the authority may give by delegation; None when the configuration names it."""
        return self.path[-1].limits if self.path else None


@dataclass(frozen=True, slots=True)
class _Level:
    """A delegation taken apart, with what can be said of it alone."""

    certificate: AttributeCertificate
    extensions: Extensions
    findings: tuple[Finding, ...]
    constraints: Constraints | None
    limits: Limits | None


def _level(der: bytes) -> _Level:
    # Large ones are rare, and read anew each time: strangers may present them.
    return _known_level(der) if len(der) <= _KEPT_MAX_BYTES else _read_level(der)


def _read_level(der: bytes) -> _Level:
    certificate = parse(der)
    extensions, findings = check_form(certificate)
    constraints, limits = None, None
    if not findings:
        try:
            constraints, limits = constraints_of(certificate), Limits.of(certificate)
        except VerifyError as exc:
            findings = (Finding(exc.code, exc.facts),)
    return _Level(certificate, extensions, findings, constraints, limits)


_known_level = lru_cache(maxsize=256)(_read_level)


_Key = tuple[CanonicalName, bytes]


@dataclass(kw_only=True, slots=True)
class DelegationSearch:
    """One search, for one certificate at one moment; its budget is shared by all ways."""

    trust: AttributeTrust
    delegations: DelegationSource | None
    status: StatusCheck
    signatures: SignatureCheck
    at: datetime
    target: TargetIdentity | None
    checks: int = 0
    candidates: int = 0
    octets: int = 0

    def routes(
        self, issuer: GeneralName, extensions: Extensions, stack: tuple[_Key, ...] = ()
    ) -> Iterator[Route]:
        """Yield each way to the issuer of a certificate, good or not; none when nobody knows it.

        Args:
            extensions: those of the certificate, for its key identifier and the delegations it names.
            stack: the authorities between it and the certificate that is to be verified.
        """
        key_id = extensions.key_identifier
        direct = self.trust.find(issuer.value, key_id)
        if direct is not None:
            yield Route(direct, self.trust.examine(direct, self.at), names=(direct.label,))
            return
        yield from self.delegated(issuer, extensions, stack)

    def delegated(
        self, issuer: GeneralName, extensions: Extensions, stack: tuple[_Key, ...] = ()
    ) -> Iterator[Route]:
        """Yield the ways through delegations alone."""
        key_id = extensions.key_identifier
        for each in self._candidates(issuer, extensions):
            authority = delegate_of(each.holder_certificate)
            if not is_named(authority, issuer.value, key_id):
                continue
            spent = self._find_spent(each)
            if spent is not None:
                yield _stopped(authority, *spent)
                return
            yield from self._through(each, authority, stack)

    def _candidates(self, issuer: GeneralName, extensions: Extensions) -> Sequence[Delegation]:
        if self.delegations is None:
            return ()
        found = self.delegations.find(issuer.value, extensions.key_identifier)
        if not extensions.given_under or len(found) < 2:
            return found
        # authorityAttributeIdentifier is a hint for the order, and proves nothing.
        named = {(name.key(), serial) for name, serial in extensions.given_under}
        return sorted(found[:MAX_CANDIDATES], key=lambda each: not _is_one_of(each, named))

    def _through(
        self, delegation: Delegation, authority: TrustedAuthority, stack: tuple[_Key, ...]
    ) -> Iterator[Route]:
        holder = delegation.holder_certificate
        key = holder.subject, holder.spki_der
        failed = Route(authority, names=(authority.label,))
        if key in stack:
            yield replace(failed, findings=(Finding(Code.DELEGATION_LOOP, {"authority": authority.label}),))
            return
        if len(stack) >= MAX_LEVELS:
            yield _stopped(authority, "levels", MAX_LEVELS)
            return
        try:
            level = _level(delegation.der)
        except MalformedError as exc:
            yield replace(failed, findings=(_about("", authority, Finding(exc.code, exc.facts)),))
            return
        serial = level.certificate.serial_hex
        own = tuple(_about(serial, authority, each) for each in self._own(level, holder))
        issuer = level.certificate.issuer
        if own or issuer is None or level.limits is None:
            yield replace(failed, findings=own)
            return
        if not self._pay():
            yield _stopped(authority, "signature checks", MAX_CHECKS)
            return
        is_bound = level.certificate.holder.object_digest is not None
        examined = self.trust.examine(authority, self.at, is_delegate=True, is_bound=is_bound)
        found = False
        for upper in self.routes(issuer, level.extensions, (*stack, key)):
            found = True
            yield self._joined(upper, level, level.limits, examined, delegation)
        if not found:
            untrusted = Finding(Code.UNTRUSTED, {"issuer": str(issuer)})
            yield replace(failed, examined=examined, findings=(untrusted,))

    def _own(self, level: _Level, holder: ParsedCertificate) -> Iterator[Finding]:
        """What speaks against a delegation whoever gave it."""
        yield from level.findings
        yield from check_time(level.certificate, self.at)
        if not is_issued_to(level.certificate.holder, holder):
            yield Finding(Code.HOLDER, {"holder": holder.subject_text})
        targets = level.extensions.targets
        if targets is not None and not targets.admits(self.target):
            yield Finding(Code.TARGET)

    def _joined(
        self,
        upper: Route,
        level: _Level,
        limits: Limits,
        examined: Examined,
        delegation: Delegation,
    ) -> Route:
        """The way from above, continued by one delegation."""
        certificate, holder = level.certificate, delegation.holder_certificate
        authority = delegate_of(holder)
        findings = [*upper.findings, *upper.examined.findings]
        path = upper.path
        if not findings:
            serial = certificate.serial_hex
            findings = [_about(serial, authority, each) for each in self._given(upper, level, holder)]
            both = limits if upper.limits is None else Limits.intersect((upper.limits, limits))
            path = (*path, DelegationStep(certificate, upper.authority, holder, both))
        return Route(
            authority,
            examined,
            path,
            (*upper.names, authority.label),
            tuple(findings),
            (*upper.controls, upper.examined),
        )

    def _given(self, upper: Route, level: _Level, holder: ParsedCertificate) -> Iterator[Finding]:
        """What speaks against a delegation by this authority: signature, status, dominance."""
        certificate, giver = level.certificate, upper.authority
        if not self.signatures.is_known(certificate, giver) and not self._pay():
            yield Finding(Code.DELEGATION_LIMIT, {"kind": "signature checks", "max": MAX_CHECKS})
            return
        yield from self.signatures.check(certificate, giver, self.at, remember=True)
        yield from self.status.findings(certificate, level.extensions, giver, self.at)[0]
        if upper.limits is not None and certificate.not_before and certificate.not_after:
            yield from upper.limits.findings(
                certificate.attributes,
                holder,
                certificate.not_before,
                certificate.not_after,
                level.constraints,
            )

    def _pay(self) -> bool:
        self.checks += 1
        return self.checks <= MAX_CHECKS

    def _find_spent(self, delegation: Delegation) -> tuple[str, int] | None:
        """Count a delegation that is looked at; tell what is used up, if anything is."""
        self.candidates += 1
        self.octets += len(delegation.der)
        if self.candidates > MAX_CANDIDATES:
            return "delegations", MAX_CANDIDATES
        if self.octets > MAX_OCTETS:
            return "octets", MAX_OCTETS
        return ("signature checks", MAX_CHECKS) if self.checks > MAX_CHECKS else None


def _is_one_of(delegation: Delegation, named: set[tuple[tuple[int, object], int]]) -> bool:
    try:
        certificate = _level(delegation.der).certificate
    except VerifyError:
        return False
    return certificate.issuer is not None and (certificate.issuer.key(), certificate.serial) in named


def _stopped(authority: TrustedAuthority, kind: str, most: int) -> Route:
    finding = Finding(Code.DELEGATION_LIMIT, {"kind": kind, "max": most})
    return Route(authority, names=(authority.label,), findings=(finding,))


def _about(serial: str, authority: TrustedAuthority, finding: Finding) -> Finding:
    """Say that a fault is one of the delegation to this authority."""
    facts = {"authority": authority.label, "serial": serial, "reason": finding.code}
    if finding.code in _PASSED_ON:
        return Finding(finding.code, {**facts, **finding.facts})
    if finding.code == Code.REVOKED:
        is_hold = finding.facts.get("reason") == HOLD
        code = Code.DELEGATION_ON_HOLD if is_hold else Code.DELEGATION_REVOKED
        return Finding(code, {**facts, **finding.facts})
    return Finding(Code.DELEGATION_INVALID if finding.is_refusal else Code.DELEGATION_UNKNOWN, facts)
