"""Policies: every version, its rules with the tests that reach them, findings, and what it would change.

Read-only: a policy is published by a command, which shows the same findings and the same difference first.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

from flask import Blueprint, render_template
from sqlalchemy import Connection

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.decisions.in_force import model_of
from onecert.pmi.decisions.policies import CompiledPolicy
from onecert.pmi.errors import NoPolicyError
from onecert.pmi.pages.common import READERS, RESULTS, actor_name
from onecert.pmi.parts import Parts
from onecert.server.languages import current_language
from onecert.server.web import requires_role
from onecert.verifier.decision import Coverage, DecisionRecords, Fault, find_changes, lint
from onecert.verifier.decision.engine import run_cases

__all__ = ["blueprint"]

# Recorded decisions that are asked again for one page: the newest days, and no more than so many.
DAYS = 7
MOST_RECORDED = 2000
MOST_CHANGES = 100


def blueprint(parts: Parts) -> Blueprint:
    """The pages of policies."""
    pages = Blueprint("policies", __name__, url_prefix="/policies")
    database = parts.context.database

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        with database.reading() as connection:
            versions = parts.policies.history(connection)
        rows = [(row, actor_name(parts, row["published_by"])) for row in versions]
        return render_template("policies.html", versions=rows)

    @pages.get("/<name>/<int:version>")
    @requires_role(*READERS)
    def show(name: str, version: int) -> str:
        with database.reading() as connection:
            policy = parts.policies.load_version(connection, name, version)
            in_force = _find_in_force(parts, connection)
            catalogue = parts.catalogues.find(connection) or Catalogue()
            working = {each.name for each in parts.authorities.all(connection) if each.state == "active"}
        model = model_of(catalogue)
        roles = {uri: working.intersection(role.authorities) for uri, role in catalogue.roles.items()}
        answers = run_cases(policy.source, policy.engine, model)
        covered: dict[str, list[str]] = {rule: [] for rule in policy.engine.rules}
        for case, (answer, _fault) in zip(policy.source.cases, answers, strict=True):
            for rule in answer.rules:
                covered[rule].append(case.name)
        is_in_force = in_force is not None and (in_force.name, in_force.version) == (name, version)
        changes, asked = ([], 0) if is_in_force else _changes(parts, in_force, policy, model)
        return render_template(
            "policy.html",
            policy=policy,
            is_in_force=is_in_force,
            in_force=in_force,
            coverage=Coverage(rules={rule: tuple(cases) for rule, cases in covered.items()}),
            cases=[
                (case, answer, fault.text(current_language()) if fault else "")
                for case, (answer, fault) in zip(policy.source.cases, answers, strict=True)
            ],
            findings=[_found(each) for each in lint(policy.engine, model=model, roles=roles)],
            changes=changes,
            asked=asked,
            days=DAYS,
            results=RESULTS,
        )

    return pages


def _find_in_force(parts: Parts, connection: Connection) -> CompiledPolicy | None:
    try:
        return parts.policies.load(connection)
    except NoPolicyError:
        return None


def _found(fault: Fault) -> tuple[str, str]:
    return fault.code, fault.text(current_language())


def _changes(
    parts: Parts, before: CompiledPolicy | None, after: CompiledPolicy, model: Any
) -> tuple[list[Any], int]:
    """What this version would have answered otherwise than the one in force, on recorded decisions."""
    if before is None:
        return [], 0
    today = parts.context.clock.now().date()
    records = DecisionRecords(parts.decision_log.folder)
    recorded = list(islice(records.recorded(today - timedelta(days=DAYS - 1), today), MOST_RECORDED))
    found = find_changes(recorded, (before.engine, model), (after.engine, model))
    return [each.as_dict() for each in islice(found, MOST_CHANGES)], len(recorded)
