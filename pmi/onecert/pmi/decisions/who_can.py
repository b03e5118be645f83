"""Who could do this, then: every holder whom the rules of that time permit, with what makes it so.

1. What the rules read of a holder is known from the rules. One statement brings, for each holder, those
   values of the attributes on record that count, from certificates that were good at that time.
2. Holders with equal values are equal to the rules: each set of values is decided once. Where rules name
   persons or entities, these are decided for themselves.
3. What is shown is decided in full: page by page, the certificates of each holder are verified, with
   authorities, delegations and targets of that time, and the policy is asked again.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from onecert.pmi.decisions.holder_facts import Fact, read_groups
from onecert.pmi.decisions.in_force import InForce, Rules
from onecert.pmi.models import holders as holders_table
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.decision import Act, Decision, Result, RoleModel, Subject, conclude
from onecert.verifier.decision.deciding import question_of
from onecert.verifier.decision.engine import answer
from onecert.verifier.decision.facts import Facts
from onecert.verifier.decision.role_model import BASE_ATTRIBUTES
from onecert.verifier.decision.rules import Reads

__all__ = ["MAX_CERTIFICATES", "Able", "Page", "WhoCan"]

MAX_CERTIFICATES = 64
PER_PAGE_MAX = 1000
# On record of a holder; the rest of what is known of everybody is known when somebody comes.
_ON_RECORD = {"entity", "person"}


@dataclass(frozen=True, kw_only=True)
class Able:
    """One holder who can, and the decision in full that says so."""

    holder_sha256: str
    name: str
    decision: Decision

    @property
    def certificates(self) -> list[dict[str, str]]:
        """Serial and authority of the attribute certificates that counted."""
        return [
            {"serial": each.verified.serial_hex, "authority": each.verified.authority.label}
            for each in self.decision.explained
            if each.verified is not None
        ]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "holder_sha256": self.holder_sha256,
            "entity": self.decision.subject.entity,
            "person": self.decision.subject.person,
            "name": self.name,
            "roles": list(self.decision.roles),
            "certificates": self.certificates,
            "rules": list(self.decision.answer.rules),
            "obligations": list(self.decision.answer.obligations),
        }


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of the answer.

    Args:
        able: decided in full.
        candidates: how many holders the values on record speak for; those whose certificates are not for
            this relying party are among them, and not among ``able``.
        undecided: how many holders a rule could not be evaluated for; they are not permitted.
        anybody: rules that permit this also without any attribute; then holders who are not on record can.
        after: continue here; empty at the end.
        token: names the versions that this rests on. Two pages with one token are of one state.
    """

    able: Sequence[Able]
    candidates: int
    undecided: int
    anybody: tuple[str, ...]
    after: str
    token: str
    at: datetime
    policy: str
    policy_version: int
    policy_sha256: str
    catalogue_version: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "at": self.at.isoformat(),
            "policy": self.policy,
            "policy_version": self.policy_version,
            "policy_sha256": self.policy_sha256,
            "catalogue_version": self.catalogue_version,
            "token": self.token,
            "candidates": self.candidates,
            "undecided": self.undecided,
            "anybody": list(self.anybody),
            "holders": [each.as_dict() for each in self.able],
            "after": self.after,
        }


@dataclass(kw_only=True)
class _Candidates:
    holders: list[str] = field(default_factory=list)
    undecided: int = 0
    anybody: tuple[str, ...] = ()


class WhoCan:
    """Answers who can do something, now or at a time before. Safe to share between threads."""

    def __init__(self, *, database: Database, clock: Clock, in_force: InForce) -> None:
        self._database = database
        self._clock = clock
        self._in_force = in_force

    def page(self, act: Act, *, at: datetime | None = None, after: str = "", per_page: int = 100) -> Page:
        """Return one page of those who can.

        Args:
            act: what is to be done. ``use_roles`` has no meaning here.
            at: the time asked about; None for now.
            after: of the page before.
            per_page: at most 1,000.

        Raises:
            NoPolicyError: there is, or was, no policy in force.
        """
        moment = at or self._clock.now()
        rules = self._in_force.rules(moment) if at is None else self._in_force.rules_then(moment)
        found = self._candidates(rules, act, moment)
        further = [each for each in found.holders if each > after] if after else found.holders
        wanted = heapq.nsmallest(min(per_page, PER_PAGE_MAX), further)
        able = self._in_full(rules, wanted, act, moment)
        policy = rules.policy
        return Page(
            able=able,
            candidates=len(found.holders),
            undecided=found.undecided,
            anybody=found.anybody,
            after=wanted[-1] if len(wanted) < len(further) else "",
            token=_token(rules, at),
            at=moment,
            policy=policy.name,
            policy_version=policy.version,
            policy_sha256=policy.sha256,
            catalogue_version=policy.model.version,
        )

    def stream(self, act: Act, *, at: datetime | None = None) -> Iterator[Able]:
        """Return all who can, in the order of their certificates' hashes; found once, decided as they come.

        Raises:
            NoPolicyError: there is, or was, no policy in force.
        """
        moment = at or self._clock.now()
        rules = self._in_force.rules(moment) if at is None else self._in_force.rules_then(moment)
        holders = sorted(self._candidates(rules, act, moment).holders)
        return (
            able
            for start in range(0, len(holders), PER_PAGE_MAX)
            for able in self._in_full(rules, holders[start : start + PER_PAGE_MAX], act, moment)
        )

    def _candidates(self, rules: Rules, act: Act, at: datetime) -> _Candidates:
        policy = rules.policy
        engine, model = policy.engine, policy.model
        found = _Candidates()
        if not any(rule.effect == "permit" for rule in engine.candidates(act.action, act.resource.type)):
            return found
        reads = engine.reads(act.action, act.resource.type)
        nobody = answer(engine, model, question_of(Subject(entity=""), Facts(attributes={}), act, at))
        if nobody.result is Result.PERMIT:
            found.anybody = nobody.rules
        with self._database.reading() as connection:
            groups = read_groups(connection, at, rules, _roles_that_count(reads, model), reads)
        is_open = bool(reads.principal & (BASE_ATTRIBUTES - _ON_RECORD))
        for group in groups:
            facts = _facts(group.facts, rules)
            subject = Subject(entity=group.entity, person=group.person)
            result = answer(engine, model, question_of(subject, facts, act, at)).result
            # What is not on record in full is seen when the certificates are verified.
            is_unread = any(fact.is_unread for fact in group.facts)
            if result is Result.PERMIT or is_unread or (is_open and group.facts):
                found.holders += group.holders
            elif result is Result.INDETERMINATE:
                found.undecided += len(group.holders)
        return found

    def _in_full(self, rules: Rules, wanted: Sequence[str], act: Act, at: datetime) -> list[Able]:
        able = []
        for digest, certificate_der, name, entity, person in self._holders(wanted):
            certificate = parse_certificate(certificate_der)
            held = self._in_force.for_holder_then(certificate, entity, at, MAX_CERTIFICATES)
            subject = Subject(entity=entity, person=person)
            explained = rules.explain(
                list(held.values()),
                holder=certificate,
                subject=subject,
                target=act.target,
                at=at,
                good=frozenset(held),
            )
            decision = conclude(rules.policy, subject, explained, act, at=at)
            if decision.is_permitted:
                able.append(Able(holder_sha256=digest, name=name, decision=decision))
        return able

    def _holders(self, wanted: Sequence[str]) -> Iterator[tuple[str, bytes, str, str, str]]:
        """The certificates of holders, in the order of their hashes."""
        known = select(
            holders_table.c.sha256,
            holders_table.c.certificate_der,
            holders_table.c.name,
            holders_table.c.entity,
            holders_table.c.person,
        )
        with self._database.reading() as connection:
            rows = {
                row.sha256: tuple(row)
                for part in _parts(wanted)
                for row in connection.execute(known.where(holders_table.c.sha256.in_(part)))
            }
        yield from (rows[digest] for digest in wanted if digest in rows)


def _parts(wanted: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(wanted), 500):
        yield wanted[start : start + 500]


def _roles_that_count(reads: Reads, model: RoleModel) -> frozenset[str] | None:
    """The roles that can make a difference: those that rules read, those that include them, and those that
    exclude each other. None for all."""
    if "principal" in reads.whole:
        return None
    wanted = set(reads.roles).union(*(each.roles for each in model.exclusions))
    return frozenset(wanted | {role for role in model.includes if model.with_included([role]) & wanted})


def _facts(facts: Iterable[Fact], rules: Rules) -> Facts:
    """What of the values on record their authorities may give."""
    roles: set[str] = set()
    attributes: dict[str, set[str]] = defaultdict(set)
    sources = {authority.label: authority for authority in rules.trust.authorities}
    oids = {name: oid for oid, (name, _) in rules.policy.model.by_oid.items()}
    for fact in facts:
        # What one that is not a source may give is said by its delegations, when it is verified.
        source = sources.get(fact.authority)
        if fact.name == "role":
            if source is None or source.may_assign_role(fact.text):
                roles.add(fact.text)
        elif not fact.is_unread and (source is None or source.may_assign(oids[fact.name])):
            attributes[fact.name].add(fact.text)
    return Facts(
        roles=frozenset(roles),
        attributes={name: frozenset(values) for name, values in attributes.items()},
    )


def _token(rules: Rules, at: datetime | None) -> str:
    policy = rules.policy
    state: Mapping[str, object] | object = (
        rules.versions if at is None else (policy.sha256, policy.model.version, at.isoformat())
    )
    return hashlib.sha256(repr(state).encode()).hexdigest()[:32]
