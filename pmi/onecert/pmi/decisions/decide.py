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
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from onecert.pmi.decisions.in_force import InForce
from onecert.pmi.decisions.log import DecisionLog
from onecert.pmi.decisions.policies import ActivePolicy
from onecert.pmi.decisions.policy import Answer, Question, Resource, Result
from onecert.pmi.holders.identity import HolderIdentity, HolderVerifier
from onecert.server.clock import Clock
from onecert.server.languages import LANGUAGES, Message, _, gettext, set_language
from onecert.verifier.attribute_certificate import Explanation, TargetIdentity

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
        clock: Clock,
        holders: HolderVerifier,
        in_force: InForce,
        log: DecisionLog,
        max_certificates: int = 16,
    ) -> None:
        self._clock = clock
        self._holders = holders
        self._in_force = in_force
        self._log = log
        self._max_certificates = max_certificates

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
        presented = asked.attribute_certificates
        if presented is None:
            sha256 = hashlib.sha256(identity.certificate.der).hexdigest()
            rules, presented = self._in_force.for_holder(sha256, at, self._max_certificates)
        else:
            rules = self._in_force.rules(at)
        verifier = rules.verifier(at)
        explained = [
            verifier.explain(der, holder=identity.certificate, at=at, target=asked.target)
            for der in presented[: self._max_certificates]
        ]
        roles = {role.name for each in explained if each.verified for role in each.verified.roles}
        # 3. May they?
        answer = rules.policy.engine.decide(
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
            policy=rules.policy,
            identity=identity,
        )
        # 4. On the log first.
        self._log.write(self._line(decided, asked, explained), at)
        return decided

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


@lru_cache(maxsize=1024)
def _say(text: Message, **facts: str) -> Mapping[str, str]:
    """Say it in each language. The same rules and certificates determine most decisions."""
    said = {}
    for language in LANGUAGES:
        with set_language(language, "onecert.pmi"):
            said[language] = gettext(text, **facts)
    return MappingProxyType(said)
