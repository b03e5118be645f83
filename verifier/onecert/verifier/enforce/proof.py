"""From a verified holder to proved roles: every attribute certificate at hand is verified, good ones count.

A certificate that proves nothing takes nothing away either: it is reported with its finding. Where one could
not be checked, that is kept apart (``unknown``), because trying later can help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.attribute_certificate.credentials import Credentials, CredentialSource
from onecert.verifier.attribute_certificate.extensions import TargetIdentity
from onecert.verifier.attribute_certificate.findings import Finding
from onecert.verifier.attribute_certificate.verify import (
    AttributeCertificateVerifier,
    VerifiedAttributeCertificate,
)
from onecert.verifier.certificate import ParsedCertificate

__all__ = ["Proved", "Prover"]


@dataclass(frozen=True, kw_only=True)
class Proved:
    """What one holder can prove at one moment.

    Args:
        identity: the holder's canonical id.
        certificates: the attribute certificates that count.
        findings: of each certificate that does not count, why: every fault of it.
    """

    holder: ParsedCertificate
    identity: str
    at: datetime
    certificates: tuple[VerifiedAttributeCertificate, ...]
    findings: tuple[tuple[Finding, ...], ...]

    @property
    def roles(self) -> frozenset[str]:
        """URIs of all proved roles."""
        return frozenset(role.name for each in self.certificates for role in each.roles)

    @property
    def until(self) -> datetime:
        """When the first of what this rests on ends: a certificate, or the time of a revocation list."""
        ends = [self.holder.not_after]
        for each in self.certificates:
            ends.append(each.not_after)
            if each.revocation_list is not None:
                ends.append(each.revocation_list.next_update)
        return min(ends)

    @property
    def unknown(self) -> tuple[Finding, ...]:
        """What could not be checked, of certificates that nothing else speaks against."""
        return tuple(each[0] for each in self.findings if not any(one.is_refusal for one in each))

    def since(self, role: str) -> tuple[VerifiedAttributeCertificate, ...]:
        """The certificates that prove a role."""
        return tuple(each for each in self.certificates if any(one.name == role for one in each.roles))


@dataclass(frozen=True, kw_only=True)
class Prover:
    """Finds and verifies the attribute certificates of holders. Safe to share between threads.

    Args:
        verifier: which authorities are believed, for what, and their revocation lists.
        source: where the certificates come from.
        target: who we are; without it a certificate that was made for certain targets counts for nobody.
    """

    verifier: AttributeCertificateVerifier
    source: CredentialSource
    target: TargetIdentity | None = None
    before: Callable[[datetime], None] | None = None
    """Told the time of each proof before it is made, for a source that judges ages."""

    def prove(
        self,
        holder: ParsedCertificate,
        *,
        identity: str,
        at: datetime,
        entity: str | None = None,
        source: CredentialSource | None = None,
    ) -> Proved:
        """What this holder can prove.

        Args:
            holder: a public-key certificate that has just been verified, and whose key was proved.
            identity: the canonical id that its verification gave.
            at: aware.
            entity: the canonical id of the legal entity, where that verification found one.
            source: another one for this time, such as what came with the request.

        Raises:
            VerifyError: the source cannot tell, or what was presented cannot be read.
        """
        if self.before is not None:
            self.before(at)
        found = (source or self.source).find(holder)
        good: list[VerifiedAttributeCertificate] = []
        bad: list[tuple[Finding, ...]] = []
        for verified, findings in self._each(found, holder, entity, at):
            if verified is None:
                bad.append(findings)
            else:
                good.append(verified)
        return Proved(holder=holder, identity=identity, at=at, certificates=tuple(good), findings=tuple(bad))

    def _each(
        self, found: Credentials, holder: ParsedCertificate, entity: str | None, at: datetime
    ) -> Iterator[tuple[VerifiedAttributeCertificate | None, tuple[Finding, ...]]]:
        verifier = self.verifier.with_delegations(found.delegations)
        for der in found.certificates:
            said = verifier.explain(der, holder=holder, at=at, target=self.target, identity=entity)
            yield said.verified, said.findings
