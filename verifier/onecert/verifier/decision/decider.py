"""A department decides in its own process, from credentials that it verifies itself.

decider = Decider(
    rules=lambda at: rules,                      # read_rules(document, keys=[policy_key])
    attribute_certificates=AttributeCertificateVerifier(trust=trust, status=lists),
    identities=open_verifier(folder, trust_list=address, application="tax"),
    log=DecisionLog(Path("decisions")),
)
decision = decider.decide(certificate, presented, Act(action="approve", resource=form), at=now)
if decision.is_permitted: ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from onecert.verifier.attribute_certificate.credentials import Credentials
from onecert.verifier.attribute_certificate.verify import AttributeCertificateVerifier
from onecert.verifier.certificate import as_parsed
from onecert.verifier.decision.deciding import Act, Decision, Subject, conclude
from onecert.verifier.decision.log import DecisionLog
from onecert.verifier.decision.published import DecisionRules
from onecert.verifier.errors import MalformedError
from onecert.verifier.verified_certificate import VerifiedCertificate

if TYPE_CHECKING:
    from onecert.verifier.verifier import Verifier

__all__ = ["MAX_CERTIFICATES", "Decider"]

MAX_CERTIFICATES = 64


class Decider:
    """Answers questions. One object per process; safe to share between threads.

    Args:
        rules: returns what is in force at this time; raises ``VerifyError`` when it cannot.
        attribute_certificates: verifies them by the department's trust configuration.
        identities: verifies holders' certificates; None when they always come verified.
        log: where each decision is written before it is given; None when the caller writes it.
    """

    def __init__(
        self,
        *,
        rules: Callable[[datetime], DecisionRules],
        attribute_certificates: AttributeCertificateVerifier,
        identities: Verifier | None = None,
        log: DecisionLog | None = None,
    ) -> None:
        self._rules = rules
        self._attribute_certificates = attribute_certificates
        self._identities = identities
        self._log = log

    def decide(
        self,
        certificate: bytes | VerifiedCertificate,
        attribute_certificates: Sequence[bytes] | Credentials,
        act: Act,
        *,
        at: datetime,
    ) -> Decision:
        """Answer one question.

        Args:
            certificate: the holder's, DER or PEM; or what ``Verifier.verify`` made of it at this time.
            attribute_certificates: DER or PEM, at most 64; those that are refused prove nothing and are
                named among the reasons. ``Credentials`` bring the delegations above them.
            act: what the holder wants to do.
            at: now, aware.

        Raises:
            VerifyError: the holder is refused or could not be checked, there are no fresh rules
                (``POLICY_STALE``), or the decision cannot be logged (``DECISION_LOG``). Nothing is permitted.
        """
        presented, delegations = _taken_apart(attribute_certificates)
        if len(presented) > MAX_CERTIFICATES:
            raise MalformedError("TOO_MANY", kind="attribute certificates", max=MAX_CERTIFICATES)
        # 1. Who is it?
        verified = self._verify(certificate, at)
        holder = as_parsed(verified.certificate)
        # 2. What is proved about them?
        verifier = self._attribute_certificates.with_delegations(delegations)
        entity = verified.identity.entity
        explained = [
            verifier.explain(
                each, holder=holder, at=at, target=act.target, identity=None if entity is None else entity.id
            )
            for each in presented
        ]
        # 3. May they?
        rules = self._rules(at)
        rules.check_fresh(at)
        decision = conclude(rules.policy, Subject.from_verified(verified), explained, act, at=at)
        # 4. On the log first.
        if self._log is not None:
            self._log.write(decision, holder)
        return decision

    def _verify(self, certificate: bytes | VerifiedCertificate, at: datetime) -> VerifiedCertificate:
        if isinstance(certificate, VerifiedCertificate):
            return certificate
        if self._identities is None:
            raise TypeError("without `identities` the certificate must come verified")
        return self._identities.verify(certificate, at=at)


def _taken_apart(
    given: Sequence[bytes] | Credentials,
) -> tuple[Sequence[bytes], Sequence[tuple[bytes, bytes]]]:
    return (given.certificates, given.delegations) if isinstance(given, Credentials) else (given, ())
