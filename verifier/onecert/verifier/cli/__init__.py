"""onecert-verify: the library on the command line.

    onecert-verify trust-root trust-root.json
    onecert-verify trust-list list.json --trust-root trust-root.json --trust-timestamp trust-timestamp.json
    onecert-verify certificate --trust-list list.json --trust-root trust-root.json --crls crls/ clerk.crt
    onecert-verify bundle import bundle.zip --folder pki
    onecert-verify certificate --bundle pki/bundle.zip --trust-root pki/trust-root.json clerk.crt
    onecert-verify chain --anchor root.crt --intermediate ca.crt --crls crls/ --purpose signing leaf.crt
    onecert-verify explain --tree --anchor root.crt --intermediate bundle.pem leaf.crt
    onecert-verify crl --issuer ca.crt --certificate leaf.crt ca.crl
    onecert-verify attribute-certificate --holder clerk.crt --authority aa.crt --acrl aa.crl role.ac
    onecert-verify form --trust-list list.json --trust-root trust-root.json --document form.json form.p7s
    onecert-verify evidence --trust-root trust-root.json --tsa-anchor tsa-root.crt record.json
    onecert-verify identity --profile pearl.json clerk.crt firm.crt
    onecert-verify errors CERT_REVOKED
    onecert-verify serve --folder pki --trust-list http://pki.example/trust-list.json --application tax

One module for each command. Answers go to stdout, everything else to stderr. Exit codes: 0 accepted,
1 refused, 2 wrong usage, 3 could not check. Nothing is fetched from the network unless
``--fetch`` says so.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from onecert.verifier.cli.common import NOT_CHECKED, report
from onecert.verifier.cli.parser import Parser, UsageError, choose_language
from onecert.verifier.errors import VerifyError
from onecert.verifier.messages import message

__all__ = ["main", "make_parser"]

# Loaded when the parser is made: other programs use single modules of this package.
_COMMANDS = {
    "certificate": "HELP_COMMAND_CERTIFICATE",
    "chain": "HELP_COMMAND_CHAIN",
    "explain": "HELP_COMMAND_EXPLAIN",
    "crl": "HELP_COMMAND_CRL",
    "attribute-certificate": "HELP_COMMAND_ATTRIBUTE_CERTIFICATE",
    "form": "HELP_COMMAND_FORM",
    "evidence": "HELP_COMMAND_EVIDENCE",
    "identity": "HELP_COMMAND_IDENTITY",
    "trust-list": "HELP_COMMAND_TRUST_LIST",
    "trust-root": "HELP_COMMAND_TRUST_ROOT",
    "bundle": "HELP_COMMAND_BUNDLE",
    "errors": "HELP_COMMAND_ERRORS",
    "serve": "HELP_COMMAND_SERVE",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong usage leaves with ``SystemExit(2)``."""
    given = sys.argv[1:] if arguments is None else arguments
    options = make_parser(choose_language(given)).parse_args(given)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except VerifyError as exc:
        return report(exc, options)
    except UsageError as exc:
        parser: Parser = options.parser
        parser.fail(exc)
    except BrokenPipeError:
        # The reader of a pipe has gone; nobody is left to tell. Keep the interpreter from trying again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_CHECKED


def run_program() -> NoReturn:
    """For ``python -m onecert.verifier.cli``."""
    sys.exit(main())


def make_parser(language: str) -> Parser:
    """All commands with their options, in this language."""
    parser = Parser(
        prog="onecert-verify", language=language, description=message("HELP_DESCRIPTION", language)
    )
    parser.speaks()
    commands = parser.add_subparsers(
        title=message("HELP_COMMANDS", language), required=True, metavar="COMMAND", parser_class=Parser
    )
    for name, text in _COMMANDS.items():
        module = import_module(f"{__name__}.{name.replace('-', '_')}")
        about = message(text, language)
        command = commands.add_parser(name, help=about, description=about, language=language)
        command.set_defaults(run=module.run, parser=command)
        command.common()
        module.add_options(command)
    return parser
