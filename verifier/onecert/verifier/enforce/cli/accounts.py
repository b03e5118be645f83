"""``keys``, ``principals``, ``pam``, ``check``: for sshd and PAM, and for who sets them up."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from onecert.verifier.cli.common import ACCEPTED, exit_code
from onecert.verifier.cli.parser import Parser
from onecert.verifier.enforce.accounts import Allowed
from onecert.verifier.enforce.machine import CONFIG, Machine, MachineConfig, drop_to_owner, within
from onecert.verifier.enforce.openssh import key_lines, principal_lines, read_key
from onecert.verifier.errors import RefusedError, VerifyError
from onecert.verifier.messages import LANGUAGES, message

__all__ = ["add_options", "tell_user"]

R = TypeVar("R")


def add_options(parser: Parser, name: str) -> None:
    """The options of one of these commands."""
    parser.option("--config", text="HELP_ENFORCE_CONFIG", type=Path, metavar="FILE", default=CONFIG)
    if name in {"keys", "principals"}:
        parser.input("account", text="HELP_ENFORCE_ACCOUNT", metavar="ACCOUNT")
        parser.option("--key", text="HELP_ENFORCE_KEY", metavar="TYPE:BASE64")
        parser.option("--service", text="HELP_ENFORCE_SERVICE", default="sshd")
    if name == "check":
        parser.flag("--json", text="HELP_JSON")
    runs: dict[str, Callable[[argparse.Namespace], int]] = {
        "keys": partial(_lines, lambda m, found: key_lines(found, options=m.config.key_options)),
        "principals": partial(_lines, lambda _, found: principal_lines(found)),
        "pam": _pam,
        "check": _check,
    }
    parser.set_defaults(run=runs[name])


def _lines(make: Callable[[Machine, list[Allowed]], list[str]], options: argparse.Namespace) -> int:
    """What sshd reads; nobody may use an account for which nothing is printed."""

    key = None
    if options.key is not None:
        key = read_key(options.key.replace(":", " ", 1))
        if key is None:
            return ACCEPTED  # not a key that a certificate can have: it opens nothing

    def ask(machine: Machine) -> list[str]:
        return make(machine, machine.everybody(options.account, options.service, _now(), key_spki_der=key))

    print("".join(f"{line}\n" for line in _asked(options.config, ask)), end="")
    return ACCEPTED


def _pam(options: argparse.Namespace) -> int:
    """Exit code 0 lets the user in; what is on stdout, PAM shows to the user."""
    environ = dict(os.environ)
    language = "both"
    try:
        config = MachineConfig.load(options.config)
        language = config.language
        _asked_of(config, lambda machine: machine.decide(environ, _now()))
    except VerifyError as exc:
        print(tell_user(exc, language), flush=True)
        return exit_code(exc)
    return ACCEPTED


def tell_user(exc: VerifyError, language: str) -> str:
    """What somebody reads who is not let in: the reason and what to do, in one language or in both."""
    told = []
    for each in LANGUAGES if language == "both" else (language,):
        # How this machine is set up is for its log, not for who stands outside.
        parts = [message("LABEL_ACCOUNT_NOT_NOW", each)]
        if isinstance(exc, RefusedError):
            parts = [exc.text(each), exc.hint(each)]
        told.append(" ".join(filter(None, (*parts, f"({exc.code})"))))
    return "\n".join(told)


def _check(options: argparse.Namespace) -> int:
    """Who may use which account for what, now, and what is wrong with those who may not."""
    found = _asked(options.config, _overview)
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return ACCEPTED
    for row in found["allowed"]:
        roles = " ".join(row["roles"])
        print(f"{row['account']}\t{row['service']}\t{row['file']}\t{row['identity']}\t{roles}")
    for row in found["not_counted"]:
        print(f"{row['file']}\t{row['code']}\t{row['text']}", file=sys.stderr)
    return ACCEPTED


def _overview(machine: Machine) -> dict[str, list[dict[str, Any]]]:
    people = machine.department.people(_now())
    rules = machine.config.accounts
    pairs = sorted({(a, s) for rule in rules.rules for a in rule.accounts for s in rule.services})
    allowed = [
        {"account": account, "service": service, **_person(each)}
        for account, service in pairs
        for each in rules.everybody(people, account=account, service=service)
    ]
    wrong: list[Mapping[str, Any]] = []
    for person in people:
        if person.error is not None:
            wrong.append({"file": person.file, "code": person.error.code, "text": person.error.text()})
        for findings in person.proved.findings if person.proved is not None else ():
            wrong += [{"file": person.file, "code": str(f.code), "text": f.text()} for f in findings]
    known = [{"file": each.file, "identity": each.identity, "roles": sorted(each.roles)} for each in people]
    return {"people": known, "allowed": allowed, "not_counted": [dict(each) for each in wrong]}


def _person(each: Allowed) -> dict[str, Any]:
    assert each.person is not None  # noqa: S101  of everybody, each is somebody
    return {"file": each.person.file, "identity": each.person.identity, "roles": sorted(each.roles)}


def _asked(path: Path, ask: Callable[[Machine], R]) -> R:
    return _asked_of(MachineConfig.load(path), ask)


def _asked_of(config: MachineConfig, ask: Callable[[Machine], R]) -> R:
    drop_to_owner(config.department.folder)
    return within(config.seconds, lambda: ask(Machine(config)))


def _now() -> datetime:
    return datetime.now(UTC)
