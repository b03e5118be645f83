"""Decides an earlier decision again, from what is on record, and says whether the answer is the same.

Two ways, which check each other: by the facts that were written down with the decision (is it what this
policy says?), and by the certificates as they came and the record of their status (were these the facts?).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.store import Catalogues
from onecert.pmi.decisions.errors import DecisionUnknownError
from onecert.pmi.decisions.in_force import InForce, model_of
from onecert.pmi.decisions.policies import Policies
from onecert.server.audit import AuditTrail
from onecert.server.database import Database
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.decision import (
    Change,
    DecisionRecord,
    DecisionRecords,
    PolicyEngine,
    PolicySource,
    RoleModel,
    compile_policy,
    conclude,
    find_changes,
)
from onecert.verifier.decision.engine import answer

__all__ = ["Memory", "Replay"]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What came of a repetition.

    Args:
        result, rules: of the repetition.
        differences: what is not as it was; empty when all is. Each names itself: ``result``, ``rules``,
            ``roles``, ``findings``, …
        missing: what is not kept any more, or was masked, so that this part could not be repeated.
    """

    record: DecisionRecord
    result: str
    rules: tuple[str, ...]
    differences: Mapping[str, tuple[object, object]]
    missing: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether everything could be repeated and is as it was."""
        return not self.differences and not self.missing

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "decision_id": self.record.line["decision_id"],
            "equal": self.is_equal,
            "result": self.result,
            "rules": list(self.rules),
            "differences": {
                name: {"then": then, "again": again} for name, (then, again) in self.differences.items()
            },
            "missing": list(self.missing),
        }


class Memory:
    """The decisions of this service. Reading them is audited."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        records: DecisionRecords,
        in_force: InForce,
        policies: Policies,
        catalogues: Catalogues,
        keep: timedelta,
    ) -> None:
        self._keep = keep
        self._database = database
        self._audit = audit
        self._records = records
        self._in_force = in_force
        self._policies = policies
        self._catalogues = catalogues

    def show(self, decision_id: str, *, actor: str) -> DecisionRecord:
        """Return one decision.

        Raises:
            DecisionUnknownError: it is not on the log, or not any more.
        """
        record = self._records.find(decision_id)
        self._record(actor, "decision.read", f"decision:{decision_id[:64]}", {"found": record is not None})
        if record is None:
            raise DecisionUnknownError(decision_id)
        return record

    def find(
        self,
        first: date,
        last: date,
        *,
        actor: str,
        wanted: Mapping[str, str] | None = None,
        most: int = 100,
    ) -> list[Mapping[str, Any]]:
        """Return the newest lines of these days (UTC) that have these values, newest first.

        Args:
            wanted: see ``DecisionRecords.lines``.
        """
        kept: list[Mapping[str, Any]] = []
        for line in self._records.lines(first, last, **(wanted or {})):
            kept.append(line)
            if len(kept) > 2 * most:
                del kept[:-most]
        found = kept[-most:][::-1]
        days = {"first": str(first), "last": str(last)}
        details: dict[str, str | int | bool] = {**days, **(wanted or {}), "found": len(found)}
        self._record(actor, "decisions.searched", "decisions", details)
        return found

    def replay(self, decision_id: str, *, actor: str) -> Replay:
        """Decide an earlier decision again.

        Raises:
            DecisionUnknownError: it is not on the log, or not any more.
            NoPolicyError, NoCatalogueError: the version of then is gone.
        """
        record = self.show(decision_id, actor=actor)
        if not record.facts:
            return Replay(record=record, result="", rules=(), differences={}, missing=("facts",))
        differences: dict[str, tuple[object, object]] = {}
        missing = [f"masked:{name}" for name in record.facts["masked"]]
        # 1. By the facts that were written down.
        facts = record.facts
        with self._database.reading() as connection:
            engine, model = self._versions(connection, facts)
        recorded = record.as_recorded()
        again = answer(engine, model, recorded.question, recorded.use_roles)
        if not missing:
            _compare(differences, "result", facts["result"], again.result.value)
            _compare(differences, "rules", facts["rules"], list(again.rules))
            _compare(differences, "obligations", facts["obligations"], list(again.obligations))
        # 2. By the certificates and the record of their status.
        for name, (then, now) in self._from_certificates(record, missing).items():
            _compare(differences, name, then, now)
        return Replay(
            record=record,
            result=again.result.value,
            rules=again.rules,
            differences=differences,
            missing=tuple(missing),
        )

    def difference(
        self, source: PolicySource, first: date, last: date, *, model: RoleModel | None = None
    ) -> Iterator[Change]:
        """Yield the recorded decisions of these days that would come out otherwise with another policy.

        Args:
            source: the policy that is to be published; with the catalogue in force, or ``model``.
        """
        with self._database.reading() as connection:
            before = self._policies.load(connection)
            in_force = model_of(self._catalogues.find(connection) or Catalogue())
        yield from find_changes(
            self._records.recorded(first, last),
            (before.engine, in_force),
            (compile_policy(source), model or in_force),
        )

    def prune(self, at: datetime) -> int:
        """Delete what is older than decisions are kept; return how many files went."""
        return self._records.prune(at, keep=self._keep)

    def _versions(self, connection: Connection, facts: Mapping[str, Any]) -> tuple[PolicyEngine, RoleModel]:
        policy = self._policies.load_version(connection, facts["policy"], facts["policy_version"])
        number = facts["catalogue_version"]
        catalogue = self._catalogues.load(connection, number) if number else Catalogue()
        return policy.engine, model_of(catalogue)

    def _from_certificates(
        self, record: DecisionRecord, missing: list[str]
    ) -> dict[str, tuple[object, object]]:
        facts, at = record.facts, record.at
        written_at = record.written_at
        holder_der = self._records.certificate(facts["certificate"], written_at)
        digests: list[str] = facts["attribute_certificates"]
        presented = [self._records.certificate(digest, written_at) for digest in digests if digest]
        if holder_der is None or None in presented:
            missing.append("certificates")
            return {}
        target = None
        if facts["target"] or facts["target_groups"]:
            target = TargetIdentity.from_uris(*facts["target"], groups=facts["target_groups"])
        rules = self._in_force.rules_then(at)
        explained = rules.explain(
            [der for der in presented if der is not None],
            holder=parse_certificate(holder_der),
            subject=record.subject,
            target=target,
            at=at,
        )
        decision = conclude(rules.policy, record.subject, explained, record.act, at=at)
        found: dict[str, tuple[object, object]] = {
            "policy_sha256": (facts["policy_sha256"], rules.policy.sha256),
            "catalogue_version": (facts["catalogue_version"], rules.policy.model.version),
            "roles": (facts["roles"], list(decision.roles)),
            "findings": (
                # What could not be read at all was not kept.
                [codes for codes, digest in zip(facts["findings"], digests, strict=True) if digest],
                [[finding.code for finding in each.findings] for each in explained],
            ),
            "attributes": (
                facts["attributes"],
                {name: sorted(values) for name, values in decision.facts.attributes.items()},
            ),
        }
        if not facts["masked"]:
            found["result"] = (facts["result"], decision.answer.result.value)
        return found

    def _record(self, actor: str, event: str, subject: str, details: Mapping[str, str | int | bool]) -> None:
        with self._database.transaction() as connection:
            self._audit.record(connection, event=event, actor=actor, subject=subject, details=details)


def _compare(differences: dict[str, tuple[object, object]], name: str, then: object, again: object) -> None:
    if then != again:
        differences[name] = (then, again)
