"""What a holder can do, by certificate or by everything on record of an entity; now or at a time before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from onecert.pmi.decisions.decide import subject_of
from onecert.pmi.decisions.errors import HolderUnknownThenError
from onecert.pmi.decisions.in_force import InForce, Rules
from onecert.pmi.decisions.who_can import MAX_CERTIFICATES
from onecert.pmi.holders.identity import HolderVerifier
from onecert.pmi.models import holders as holders_table
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.decision import Possibility, Subject, prove, what_can

__all__ = ["Look", "OfHolder", "WhatCan"]

_MOST = 50


@dataclass(frozen=True, kw_only=True)
class Look:
    """How to look: as which relying party, and with which roles only."""

    target: TargetIdentity | None = None
    use_roles: frozenset[str] | None = None


_PLAIN = Look()


@dataclass(frozen=True, kw_only=True)
class OfHolder:
    """What the holder of one identity certificate can do.

    Args:
        exclusions: names of those that the holder's roles violate together; then nothing can be done unless
            the roles to be used are named.
    """

    holder_sha256: str
    subject: Subject
    roles: tuple[str, ...]
    exclusions: tuple[str, ...]
    possibilities: Sequence[Possibility]
    policy_sha256: str
    catalogue_version: int
    at: datetime

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "holder_sha256": self.holder_sha256,
            "entity": self.subject.entity,
            "person": self.subject.person,
            "roles": list(self.roles),
            "exclusions": list(self.exclusions),
            "can": [each.as_dict() for each in self.possibilities],
            "policy_sha256": self.policy_sha256,
            "catalogue_version": self.catalogue_version,
            "at": self.at.isoformat(),
        }


class WhatCan:
    """Answers what somebody can do. Safe to share between threads."""

    def __init__(
        self, *, database: Database, clock: Clock, holders: HolderVerifier, in_force: InForce
    ) -> None:
        self._database = database
        self._clock = clock
        self._holders = holders
        self._in_force = in_force

    def of_certificate(
        self, certificate: bytes, *, at: datetime | None = None, look: Look = _PLAIN
    ) -> OfHolder:
        """Say what the holder of a certificate (DER or PEM) can do.

        Args:
            at: the time asked about; None for now, when the certificate itself is verified as well.

        Raises:
            VerifyError: the certificate is refused or could not be checked.
            HolderUnknownThenError: nothing is on record of it.
            NoPolicyError: there is, or was, no policy in force.
        """
        if at is None:
            identity = self._holders.verify(certificate, self._clock.now())
            return self._of(identity.certificate, subject_of(identity), None, look)
        parsed = parse_certificate(certificate)
        digest = hashlib.sha256(parsed.der).hexdigest()
        known = self._known(holders_table.c.sha256 == digest)
        if not known:
            raise HolderUnknownThenError
        return self._of(parsed, known[0][1], at, look)

    def of_entity(self, entity: str, *, at: datetime | None = None, look: Look = _PLAIN) -> list[OfHolder]:
        """Say what the holder of each certificate of an entity, or of its people, that is on record can do.

        Raises:
            NoPolicyError: there is, or was, no policy in force.
        """
        known = self._known(holders_table.c.entity == entity)
        return [self._of(certificate, subject, at, look) for certificate, subject in known]

    def _known(self, condition) -> list[tuple[ParsedCertificate, Subject]]:  # type: ignore[no-untyped-def]
        wanted = (
            select(holders_table.c.certificate_der, holders_table.c.entity, holders_table.c.person)
            .where(condition)
            .order_by(holders_table.c.not_before.desc(), holders_table.c.sha256)
            .limit(_MOST)
        )
        with self._database.reading() as connection:
            rows = connection.execute(wanted).all()
        return [
            (parse_certificate(row.certificate_der), Subject(entity=row.entity, person=row.person))
            for row in rows
        ]

    def _of(
        self,
        certificate: ParsedCertificate,
        subject: Subject,
        at: datetime | None,
        look: Look,
    ) -> OfHolder:
        moment = at or self._clock.now()
        rules: Rules = self._in_force.rules(moment) if at is None else self._in_force.rules_then(moment)
        held = self._in_force.for_holder_then(certificate, subject.entity, moment, MAX_CERTIFICATES)
        explained = rules.explain(
            list(held.values()),
            holder=certificate,
            subject=subject,
            target=look.target,
            at=moment,
            good=frozenset(held),
        )
        policy = rules.policy
        facts = prove(explained, policy.model)
        return OfHolder(
            holder_sha256=hashlib.sha256(certificate.der).hexdigest(),
            subject=subject,
            roles=tuple(sorted(facts.roles)),
            exclusions=policy.model.activate(facts.roles, look.use_roles).exclusions,
            possibilities=what_can(policy, subject, facts, at=moment, use_roles=look.use_roles),
            policy_sha256=policy.sha256,
            catalogue_version=policy.model.version,
            at=moment,
        )
