"""From a verified identity and explained attribute certificates to a decision with its reasons.

Pure: whoever calls it has verified the identity, fetched and explained the certificates, and writes the
result down before it is relied upon (``decider.py`` does all of it in a department's process).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from onecert.verifier.attribute_certificate.extensions import TargetIdentity
from onecert.verifier.attribute_certificate.verify import Explanation
from onecert.verifier.decision.engine import PolicyEngine, answer
from onecert.verifier.decision.facts import Facts, prove
from onecert.verifier.decision.question import Answer, Question, Resource, Result
from onecert.verifier.decision.role_model import Activation, RoleModel
from onecert.verifier.messages import LANGUAGES, message

if TYPE_CHECKING:
    from onecert.verifier.verified_certificate import VerifiedCertificate

__all__ = ["Act", "Decision", "PolicyInForce", "Reason", "Subject", "conclude", "new_decision_id"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The holder, already verified: who acts, and for whom.

    Args:
        entity: canonical id of the legal entity, or of the person where there is no entity.
        person: canonical id of the natural person who acts, if there is one.
        ca_service: the service of the trust list that anchored the path.
        attributes: more that is known of the holder, such as ``holder_class`` and ``assurance``.
    """

    entity: str
    person: str = ""
    ca_service: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_verified(cls, verified: VerifiedCertificate) -> Subject:
        """Take over what the verifier of identities says."""
        identity = verified.identity
        person = identity.person.id if identity.person and identity.person.id else ""
        return cls(
            entity=identity.entity.id if identity.entity else identity.id,
            person=person,
            ca_service=identity.ca_service,
            attributes={"holder_class": identity.holder_class.value, "assurance": identity.assurance},
        )

    def as_attributes(self) -> dict[str, str]:
        """What rules can ask of every holder."""
        always = {"entity": self.entity, "person": self.person, "ca_service": self.ca_service}
        return {"holder_class": "", "assurance": "", **self.attributes, **always}


@dataclass(frozen=True, kw_only=True)
class Act:
    """What the holder wants to do.

    Args:
        action, resource: what, and to what.
        context: what the relying party adds. ``now`` is always the time of the question.
        target: who the relying party is, for certificates that name their targets.
        use_roles: only these are active; None for all that are proved.
    """

    action: str
    resource: Resource
    context: Mapping[str, Any] = field(default_factory=dict)
    target: TargetIdentity | None = None
    use_roles: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class PolicyInForce:
    """One version of a policy, with the catalogue it is read with. ``sha256`` names exactly its content."""

    name: str
    version: int
    sha256: str
    engine: PolicyEngine
    model: RoleModel


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One reason: ``kind`` is rule, role, certificate, dropped or error; ``code`` is stable."""

    kind: str
    code: str
    texts: Mapping[str, str] = field(default_factory=dict)
    serial: str = ""

    def text(self, language: str = "en") -> str:
        """The reason for a person, in ``zh`` or ``en``."""
        return self.texts.get(language) or self.texts.get("en", self.code)

    def as_dict(self, language: str = "en") -> dict[str, str]:
        """For JSON, in one language."""
        row = {"kind": self.kind, "code": self.code, "text": self.text(language)}
        return {**row, "serial": self.serial} if self.serial else row


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The answer, and everything that led to it."""

    id: str
    at: datetime
    answer: Answer
    act: Act
    subject: Subject
    facts: Facts
    activation: Activation
    explained: tuple[Explanation, ...]
    policy: PolicyInForce

    @property
    def decision(self) -> str:
        """``permit`` or ``deny``."""
        return self.answer.result.decision

    @property
    def is_permitted(self) -> bool:
        """Whether it may be done."""
        return self.answer.result is Result.PERMIT

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that are proved, sorted."""
        return tuple(sorted(self.facts.roles))

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Rules, roles, certificates and values that led to it, most important first."""
        return tuple(_reasons(self))

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """For JSON, in one language."""
        return {
            "decision": self.decision,
            "result": self.answer.result.value,
            "reasons": [reason.as_dict(language) for reason in self.reasons],
            "obligations": list(self.answer.obligations),
            "decision_id": self.id,
            "policy": self.policy.name,
            "policy_version": self.policy.version,
            "policy_sha256": self.policy.sha256,
            "catalogue_version": self.policy.model.version,
            "subject": self.subject.entity,
            "roles": list(self.roles),
            "at": self.at.isoformat(),
        }


def conclude(
    policy: PolicyInForce,
    subject: Subject,
    explained: Sequence[Explanation],
    act: Act,
    *,
    at: datetime,
    decision_id: str = "",
) -> Decision:
    """Decide.

    Args:
        policy: in force at this time.
        subject: the holder, verified at this time.
        explained: the holder's attribute certificates, explained for this holder, time and target.
        act: what the holder wants to do.
        at: the time of the question, aware.
        decision_id: for a repetition of an earlier decision.

    Returns:
        The decision; nothing in the question makes it raise. What is not plain is INDETERMINATE.
    """
    facts = prove(explained, policy.model)
    question = question_of(subject, facts, act, at)
    return Decision(
        id=decision_id or new_decision_id(at),
        at=at,
        answer=answer(policy.engine, policy.model, question, act.use_roles),
        act=act,
        subject=subject,
        facts=facts,
        activation=policy.model.activate(facts.roles, act.use_roles),
        explained=tuple(explained),
        policy=policy,
    )


def question_of(subject: Subject, facts: Facts, act: Act, at: datetime) -> Question:
    """What is asked of the policy. What is known of every holder cannot be replaced by an attribute, and the
    time cannot be replaced by the relying party."""
    return Question(
        subject=subject.entity,
        roles=facts.roles,
        action=act.action,
        resource=act.resource,
        attributes={**facts.attributes, **subject.as_attributes()},
        context={**act.context, "now": int(at.timestamp())},
    )


def new_decision_id(at: datetime) -> str:
    """A number for a decision: a UUID that begins with its time (RFC 9562, version 7), so that it is found by
    day."""
    milliseconds = int(at.timestamp() * 1000) & ((1 << 48) - 1)
    drawn = secrets.randbits(74)
    value = milliseconds << 80 | 7 << 76 | (drawn >> 62) << 64 | 2 << 62 | drawn & ((1 << 62) - 1)
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


_RULES = {
    Result.PERMIT: "DECISION_RULE_PERMITS",
    Result.DENY: "DECISION_RULE_FORBIDS",
    Result.INDETERMINATE: "DECISION_RULE_APPLIES",
}


def _reasons(decision: Decision) -> Iterator[Reason]:
    given = decision.answer
    for rule in given.rules:
        yield Reason(kind="rule", code=rule, texts=_say(_RULES[given.result], rule=rule))
    for name in given.exclusions:
        exclusion = next(each for each in decision.policy.model.exclusions if each.name == name)
        roles = ", ".join(sorted(exclusion.roles & decision.activation.roles))
        yield Reason(
            kind="role", code="ROLES_EXCLUDED", texts=_say("DECISION_ROLES_EXCLUDED", name=name, roles=roles)
        )
    if given.result is Result.NOT_APPLICABLE:
        yield Reason(kind="rule", code="NO_RULE", texts=_say("DECISION_NO_RULE"))
    if given.result is Result.INDETERMINATE:
        yield Reason(kind="error", code="RULE_ERROR", texts=_say("DECISION_RULE_ERROR"))
    for role in decision.activation.not_held:
        yield Reason(kind="role", code="ROLE_NOT_HELD", texts=_say("DECISION_ROLE_NOT_HELD", role=role))
    for each in decision.explained:
        serial = each.certificate.serial_hex if each.certificate else ""
        for finding in each.findings:
            texts = {language: finding.text(language) for language in LANGUAGES}
            yield Reason(kind="certificate", code=finding.code, texts=texts, serial=serial)
    for dropped in decision.facts.dropped:
        said = _say(f"DECISION_DROPPED_{dropped.reason}", name=dropped.name, value=dropped.value or "-")
        yield Reason(kind="dropped", code=dropped.reason, texts=said, serial=dropped.serial)


@lru_cache(maxsize=1024)
def _say(code: str, **facts: str) -> Mapping[str, str]:
    """Say it in each language. The same rules and certificates determine most decisions."""
    return MappingProxyType({language: message(code, language, **facts) for language in LANGUAGES})
