"""A department asks: identity, attribute certificates, roles, policy, permit or deny with its reasons.

1. The holder's certificate is verified through the trust list; its holder gets one canonical identity.
2. Attribute certificates are verified with exactly that certificate as holder: those pushed with the request,
   else those in our repository. One that is refused gives no roles, and its code is among the reasons.
3. What is proved goes to the policy in force.
4. One line goes into the decision log; only then is the answer given.

A question about a time before is answered by what was in force then. Whether the holder's own certificate was
good then is answered by what our record says of it: it was verified when an attribute certificate was given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from onecert.pmi.decisions.errors import HolderUnknownThenError
from onecert.pmi.decisions.in_force import InForce
from onecert.pmi.holders.identity import HolderIdentity, HolderVerifier
from onecert.pmi.models import certificates
from onecert.pmi.models import holders as holders_table
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.decision import Act, Decision, DecisionLog, Resource, Subject, conclude
from onecert.verifier.decision.deciding import new_decision_id

__all__ = ["Asked", "Decider", "subject_of"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a relying party asks. ``attribute_certificates`` None: use those in the repository."""

    certificate: bytes
    action: str
    resource: Resource
    attribute_certificates: Sequence[bytes] | None = None
    target: TargetIdentity | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    use_roles: frozenset[str] | None = None

    @property
    def act(self) -> Act:
        """What the holder wants to do."""
        return Act(
            action=self.action,
            resource=self.resource,
            context=self.context,
            target=self.target,
            use_roles=self.use_roles,
        )


class Decider:
    """Answers questions. One object per process; safe to share between threads."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        holders: HolderVerifier,
        in_force: InForce,
        log: DecisionLog,
        max_certificates: int = 16,
    ) -> None:
        self._database = database
        self._clock = clock
        self._holders = holders
        self._in_force = in_force
        self._log = log
        self._max_certificates = max_certificates

    def decide(self, asked: Asked) -> Decision:
        """Answer one question.

        Raises:
            VerifyError: the holder's certificate is refused or could not be checked, or the decision cannot
                be logged.
            NoPolicyError: nothing is decided.
        """
        at = self._clock.now()
        # 1. Who is it?
        identity = self._holders.verify(asked.certificate, at)
        # 2. What is proved about them?
        presented = asked.attribute_certificates
        if presented is None:
            rules, held = self._in_force.for_holder(
                identity.certificate, identity.entity, at, self._max_certificates
            )
            presented, good = list(held.values()), frozenset(held)
        else:
            rules, good = self._in_force.rules(at), frozenset()
        subject = subject_of(identity)
        explained = rules.explain(
            presented[: self._max_certificates],
            holder=identity.certificate,
            subject=subject,
            target=asked.target,
            at=at,
            good=good,
        )
        # 3. May they?
        decision = conclude(rules.policy, subject, explained, asked.act, at=at)
        # 4. On the log first.
        self._log.write(decision, identity.certificate)
        return decision

    def decide_then(self, asked: Asked, at: datetime) -> Decision:
        """Answer a question about a time before, by what was in force and on record then.

        Raises:
            HolderUnknownThenError: nothing is on record of this certificate.
            NoPolicyError: there was no policy in force.
        """
        asked_at = self._clock.now()
        certificate = parse_certificate(asked.certificate)
        subject = self._subject_then(certificate)
        rules = self._in_force.rules_then(at)
        presented = asked.attribute_certificates
        good: frozenset[int] = frozenset()
        if presented is None:
            held = self._in_force.for_holder_then(certificate, subject.entity, at, self._max_certificates)
            presented, good = list(held.values()), frozenset(held)
        explained = rules.explain(
            presented[: self._max_certificates],
            holder=certificate,
            subject=subject,
            target=asked.target,
            at=at,
            good=good,
        )
        number = new_decision_id(asked_at)
        decision = conclude(rules.policy, subject, explained, asked.act, at=at, decision_id=number)
        self._log.write(decision, certificate, asked_at=asked_at)
        return decision

    def _subject_then(self, certificate: ParsedCertificate) -> Subject:
        digest = hashlib.sha256(certificate.der).hexdigest()
        known = select(holders_table.c.entity, holders_table.c.person).where(holders_table.c.sha256 == digest)
        # Certificates of before holders were written down.
        given = select(certificates.c.entity).where(certificates.c.holder_sha256 == digest).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(known).first()
            entity = row.entity if row else connection.scalar(given)
        if entity is None:
            raise HolderUnknownThenError
        return Subject(entity=entity, person=row.person if row else "")


def subject_of(identity: HolderIdentity) -> Subject:
    """The holder as rules see it."""
    return Subject(
        entity=identity.entity,
        person=identity.person,
        ca_service=identity.ca_service,
        attributes=identity.attributes,
    )
