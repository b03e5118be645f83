"""``postgresql plan|sync|status``: what would change, change it, who has what and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from onecert.verifier.cli.common import ACCEPTED
from onecert.verifier.cli.parser import Parser
from onecert.verifier.enforce.decision_log import DecisionLines
from onecert.verifier.enforce.department import Department, Person, check_folders
from onecert.verifier.enforce.machine import drop_to_owner
from onecert.verifier.enforce.postgresql.config import DatabaseConfig
from onecert.verifier.enforce.postgresql.plan import Plan
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.identity.pairwise import load_pairwise_key

__all__ = ["add_options"]

CONFIG = Path("/etc/onecert/postgresql.toml")


def add_options(parser: Parser, _name: str) -> None:
    """The options of the command."""
    parser.input(
        "act", text="HELP_ENFORCE_ACT", choices=("plan", "sync", "status"), metavar="plan|sync|status"
    )
    parser.option("--config", text="HELP_ENFORCE_CONFIG", type=Path, metavar="FILE", default=CONFIG)
    parser.flag("--json", text="HELP_JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do what was asked for."""
    config = DatabaseConfig.load(options.config)
    drop_to_owner(config.department.folder)
    check_folders(config.department)
    at = datetime.now(UTC)
    people = Department(config.department).people(at)
    wanted = config.wanted(people)
    server = _server(config)
    settings = {
        "grantable": config.roles.database_roles,
        "create": frozenset(each.login for each in config.logins if each.create),
    }
    if options.act == "sync":
        done = server.synchronise(wanted, **settings, end_sessions=config.end_sessions)
        _log(config, at, done.plan)
        shown, ended = done.plan, done.ended
    else:
        shown, ended = server.plan(wanted, **settings), 0
    answer: dict[str, Any] = {"steps": [str(step) for step in shown.steps], "ended_sessions": ended}
    answer["not_managed"] = [f"{member} has {role}" for role, member in shown.not_ours]
    if options.act == "status":
        answer["logins"] = _logins(config, people)
    _print(options, answer)
    return ACCEPTED


def _server(config: DatabaseConfig) -> Any:
    try:
        module = import_module("onecert.verifier.enforce.postgresql.server")
    except ImportError as exc:
        raise CouldNotCheckError("EXTRA_MISSING", extra="postgresql", detail=str(exc)) from exc
    return module.Server(config.connection, lock_seconds=config.lock_seconds)


def _logins(config: DatabaseConfig, people: Sequence[Person]) -> list[dict[str, Any]]:
    rows = []
    for login in config.logins:
        own = [each for each in people if each.identity == login.identity]
        wrong = [finding for each in own if each.proved for one in each.proved.findings for finding in one]
        rows.append(
            {
                "login": login.login,
                "certificates": [each.file for each in own],
                "proved": sorted({role for each in own for role in each.roles}),
                "has": sorted(config.roles.granted(role for each in own for role in each.roles)),
                "not_counted": [f"{finding.code}: {finding.text()}" for finding in wrong],
            }
        )
    return rows


def _log(config: DatabaseConfig, at: datetime, plan: Plan) -> None:
    if not plan.steps:
        return
    secret = load_pairwise_key(config.department.folder / "pairwise.key", create=True)
    DecisionLines(secret).write(at, {"ask": "postgresql", "steps": [str(step) for step in plan.steps]})


def _print(options: argparse.Namespace, answer: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    for row in answer.get("logins", ()):
        print(f"{row['login']}\t{' '.join(row['has']) or '-'}\t{' '.join(row['proved']) or '-'}")
        for said in row["not_counted"]:
            print(f"\t{said}")
    for step in answer["steps"] or ["nothing to do"]:
        print(step)
    for said in answer["not_managed"]:
        print(f"not ours: {said}")
    if answer["ended_sessions"]:
        print(f"sessions ended: {answer['ended_sessions']}")
