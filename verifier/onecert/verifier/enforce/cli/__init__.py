"""onecert-enforce: proved roles put into force on this machine and in its databases.

    onecert-enforce keys --config /etc/onecert/enforce.toml deploy       # for sshd: AuthorizedKeysCommand
    onecert-enforce principals --config /etc/onecert/enforce.toml deploy # AuthorizedPrincipalsCommand
    onecert-enforce pam --config /etc/onecert/enforce.toml               # for pam_exec, account phase
    onecert-enforce check --config /etc/onecert/enforce.toml             # who may use what now
    onecert-enforce lists --config /etc/onecert/enforce.toml             # fetch revocation lists
    onecert-enforce postgresql plan --config /etc/onecert/postgresql.toml
    onecert-enforce gateway --config /etc/onecert/gateway.toml           # for nginx: auth_request

Answers go to stdout, everything else to stderr. Exit codes: 0 done or permitted, 1 refused, 2 wrong usage,
3 could not check. Nothing is permitted when anything fails.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from onecert.verifier.cli.common import NOT_CHECKED, exit_code
from onecert.verifier.cli.parser import Parser, UsageError, choose_language
from onecert.verifier.enforce.config import ConfigError
from onecert.verifier.errors import VerifyError
from onecert.verifier.messages import message

__all__ = ["main", "report_error"]

# The module of each command is loaded when it is asked for: sshd waits for it at each login.
_COMMANDS: dict[str, tuple[str, str]] = {
    "keys": ("HELP_ENFORCE_KEYS", "accounts"),
    "principals": ("HELP_ENFORCE_PRINCIPALS", "accounts"),
    "pam": ("HELP_ENFORCE_PAM", "accounts"),
    "check": ("HELP_ENFORCE_CHECK", "accounts"),
    "lists": ("HELP_ENFORCE_LISTS", "lists"),
    "postgresql": ("HELP_ENFORCE_POSTGRESQL", "postgresql"),
    "gateway": ("HELP_ENFORCE_GATEWAY", "gateway"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong usage leaves with ``SystemExit(2)``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    language = choose_language(given)
    parser, options = _parse(given, language)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except UsageError as exc:
        parser.fail(exc)
    except VerifyError as exc:
        report_error(exc, language)
        return exit_code(exc)
    except BrokenPipeError:
        # The reader of a pipe has gone; nobody is left to tell. Keep the interpreter from trying again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_CHECKED


def report_error(exc: VerifyError, language: str) -> None:
    """Say what is wrong on stderr; of a configuration, each fault on a line of its own."""
    if isinstance(exc, ConfigError):
        path = exc.facts["path"]
        print("\n".join(f"{path}: {fault}" for fault in exc.faults), file=sys.stderr)
    else:
        print(f"{exc.code}: {exc.text(language)}", file=sys.stderr)
    if said := exc.hint(language):
        print(message("LABEL_ENFORCE_HINT", language, text=said), file=sys.stderr)


def _parse(given: list[str], language: str) -> tuple[Parser, argparse.Namespace]:
    parser = Parser(prog="onecert-enforce", language=language, description=message("HELP_ENFORCE", language))
    parser.speaks()
    commands = parser.add_subparsers(dest="command", required=True, title=message("HELP_COMMANDS", language))
    for name, (text, module) in _COMMANDS.items():
        about = message(text, language)
        one = commands.add_parser(name, language=language, help=about, description=about)
        one.speaks()
        if name in given:
            import_module(f"{__name__}.{module}").add_options(one, name)
    return parser, parser.parse_args(given)


def entry() -> NoReturn:
    """The program."""
    sys.exit(main())
