"""A department decides: identity, attribute certificates, roles, policy, permit or deny with its reasons.

1. The holder's certificate is verified through the trust list; its holder gets one canonical identity.
2. Attribute certificates are verified with exactly that certificate as holder: those pushed with the request,
   else those in our repository. One that is refused gives no roles, and its code is among the reasons.
3. The proved roles go to the policy in force.
4. One line goes into the decision log; only then is the answer given.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from onecert.pmi.acrl import revoked_rows
from onecert.pmi.authorities import Authorities
from onecert.pmi.catalogue import Catalogue, Catalogues
from onecert.pmi.decision_log import DecisionLog
from onecert.pmi.holders import HolderIdentity, HolderVerifier
from onecert.pmi.models import authorities as authorities_table
from onecert.pmi.policies import ActivePolicy, Policies
from onecert.pmi.policy import Answer, Question, Resource, Result
from onecert.pmi.repository import pull_for_holder
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import LANGUAGES, Message, _, gettext, set_language
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    Explanation,
    RevocationList,
    TargetIdentity,
    TrustedAuthority,
)
from onecert.verifier.attribute_certificate.acrl import Revocation

__all__ = ["Asked", "Decided", "Decider", "Reason"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a relying party asks. ``attribute_certificates`` None: use those in the repository."""

    certificate: bytes
    action: str
    resource: Resource
    attribute_certificates: Sequence[bytes] | None = None
    target: TargetIdentity | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One reason: ``kind`` is rule, certificate, dropped or error; ``code`` is stable."""

    kind: str
    code: str
    text: Mapping[str, str] = field(default_factory=dict)
    serial: str = ""

    def as_dict(self, language: str) -> dict[str, str]:
        """For JSON, in one language."""
        row = {"kind": self.kind, "code": self.code, "text": self.text.get(language, "")}
        return {**row, "serial": self.serial} if self.serial else row


@dataclass(frozen=True, kw_only=True)
class Decided:
    """The answer, and everything that led to it."""

    id: str
    at: datetime
    answer: Answer
    roles: tuple[str, ...]
    reasons: tuple[Reason, ...]
    policy: ActivePolicy
    identity: HolderIdentity

    @property
    def decision(self) -> str:
        """``permit`` or ``deny``."""
        return self.answer.result.decision


class Decider:
    """Answers questions. One object per process; safe to share between threads."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        holders: HolderVerifier,
        authorities: Authorities,
        catalogues: Catalogues,
        policies: Policies,
        log: DecisionLog,
        max_certificates: int = 16,
    ) -> None:
        self._database = database
        self._clock = clock
        self._holders = holders
        self._authorities = authorities
        self._catalogues = catalogues
        self._policies = policies
        self._log = log
        self._max_certificates = max_certificates
        self._status = LiveStatus()
        self._trust: tuple[object, AttributeTrust] | None = None

    def decide(self, asked: Asked) -> Decided:
        """Answer one question.

        Raises:
            VerifyError: the holder's certificate is refused, or could not be checked.
            NoPolicyError, DecisionLogError: nothing is decided.
        """
        at = self._clock.now()
        # 1. Who is it?
        identity = self._holders.verify(asked.certificate, at)
        # 2. What is proved about them?
        with self._database.reading() as connection:
            policy = self._policies.load(connection)
            presented = asked.attribute_certificates
            if presented is None:
                sha256 = hashlib.sha256(identity.certificate.der).hexdigest()
                presented = pull_for_holder(connection, sha256, at, self._max_certificates)
            verifier = self._verifier(connection, at)
        explained = [
            verifier.explain(der, holder=identity.certificate, at=at, target=asked.target)
            for der in presented[: self._max_certificates]
        ]
        roles = {role.name for each in explained if each.verified for role in each.verified.roles}
        # 3. May they?
        answer = policy.engine.decide(
            Question(
                subject=identity.entity,
                roles=frozenset(roles),
                action=asked.action,
                resource=asked.resource,
                attributes=_attributes(identity),
                context={**asked.context, "now": int(at.timestamp())},
            )
        )
        decided = Decided(
            id=str(uuid.uuid4()),
            at=at,
            answer=answer,
            roles=tuple(sorted(roles)),
            reasons=tuple(_reasons(answer, explained)),
            policy=policy,
            identity=identity,
        )
        # 4. On the log first.
        self._log.write(self._line(decided, asked, explained), at)
        return decided

    def _verifier(self, connection: Connection, at: datetime) -> AttributeCertificateVerifier:
        catalogue = self._catalogues.find(connection) or Catalogue()
        authorities = self._authorities.all(connection)
        made_for = (catalogue.version, tuple(authority.certificate.der for authority in authorities))
        kept = self._trust
        if kept is None or kept[0] != made_for:
            # Keys are loaded once for a version of the catalogue, not once for a question.
            trusted = (
                authority.trusted([role.uri for role in catalogue.assignable_by(authority.name)])
                for authority in authorities
            )
            self._trust = kept = (made_for, AttributeTrust(authorities=tuple(trusted)))
        status = self._status.at(connection, kept[1].authorities, at)
        return AttributeCertificateVerifier(trust=kept[1], status=status)

    def _line(self, decided: Decided, asked: Asked, explained: Sequence[Explanation]) -> dict[str, Any]:
        return {
            "decision_id": decided.id,
            "at": decided.at.isoformat(),
            "policy": decided.policy.name,
            "policy_version": decided.policy.version,
            "policy_sha256": decided.policy.sha256,
            "subject": self._log.mask(decided.identity.entity),
            "person": self._log.mask(decided.identity.person) if decided.identity.person else "",
            "ca_service": decided.identity.ca_service,
            "attribute_certificates": [
                {
                    "serial": each.certificate.serial_hex if each.certificate else "",
                    "authority": each.verified.authority.label if each.verified else "",
                    "findings": [finding.code for finding in each.findings],
                }
                for each in explained
            ],
            "roles": list(decided.roles),
            "action": asked.action,
            "resource": {"type": asked.resource.type, "id": asked.resource.id},
            "target": [str(name) for name in asked.target.names] if asked.target else [],
            "result": decided.answer.result.value,
            "rules": list(decided.answer.rules),
            "obligations": list(decided.answer.obligations),
            "errors": list(decided.answer.errors),
        }


@dataclass(frozen=True)
class _Lists:
    lists: Mapping[str, RevocationList]

    def find_list(self, authority: TrustedAuthority) -> RevocationList | None:
        return self.lists.get(authority.label)


class LiveStatus:
    """The status of our own certificates as recorded this moment, without waiting for a published list.

    Read again only when an authority's status version has moved.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, Mapping[int, Revocation]]] = {}

    def at(self, connection: Connection, trusted: Sequence[TrustedAuthority], at: datetime) -> _Lists:
        """Return the status of these authorities' certificates at this time."""
        versions = dict(
            connection.execute(select(authorities_table.c.name, authorities_table.c.status_version)).all()
        )
        lists = {}
        for authority in trusted:
            version = versions.get(authority.label, -1)
            kept = self._kept.get(authority.label)
            if kept is None or kept[0] != version:
                rows = revoked_rows(connection, authority.label, at)
                kept = (version, {int(r.serial, 16): Revocation(r.revoked_at, r.reason) for r in rows})
                self._kept[authority.label] = kept
            lists[authority.label] = RevocationList(
                authority=authority,
                number=version,
                this_update=at,
                next_update=at + timedelta(minutes=1),
                revoked=kept[1],
            )
        return _Lists(lists)


def _attributes(identity: HolderIdentity) -> dict[str, Any]:
    return {
        **identity.attributes,
        "entity": identity.entity,
        "person": identity.person,
        "ca_service": identity.ca_service,
    }


_EFFECTS = {
    Result.PERMIT: _("rule %(rule)s permits this"),
    Result.DENY: _("rule %(rule)s forbids this"),
    Result.INDETERMINATE: _("rule %(rule)s applies"),
}


def _reasons(answer: Answer, explained: Sequence[Explanation]) -> Iterator[Reason]:
    for rule in answer.rules:
        yield Reason(kind="rule", code=rule, text=_say(_EFFECTS[answer.result], rule=rule))
    if answer.result is Result.NOT_APPLICABLE:
        yield Reason(kind="rule", code="NO_RULE", text=_say(_("no rule permits this")))
    if answer.result is Result.INDETERMINATE:
        text = _say(_("a rule could not be evaluated, so nothing is permitted"))
        yield Reason(kind="error", code="RULE_ERROR", text=text)
    for each in explained:
        serial = each.certificate.serial_hex if each.certificate else ""
        for finding in each.findings:
            text = {language: finding.text(language) for language in LANGUAGES}
            yield Reason(kind="certificate", code=finding.code, text=text, serial=serial)
        for dropped in each.verified.dropped if each.verified else ():
            text = _say(
                _("%(value)s is outside of what its authority may assign"), value=dropped.value or dropped.oid
            )
            yield Reason(kind="dropped", code=dropped.reason, text=text, serial=serial)


def _say(text: Message, **facts: object) -> dict[str, str]:
    said = {}
    for language in LANGUAGES:
        with set_language(language, "onecert.pmi"):
            said[language] = gettext(text, **facts)
    return said
