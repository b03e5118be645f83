"""onecert-verify: the library on the command line.

    onecert-verify trust-root trust-root.json
    onecert-verify trust-list list.json --trust-root trust-root.json --trust-timestamp trust-timestamp.json
    onecert-verify certificate --trust-list list.json --trust-root trust-root.json --crls crls/ clerk.crt
    onecert-verify bundle import bundle.zip --folder pki
    onecert-verify certificate --bundle pki/bundle.zip --trust-root pki/trust-root.json clerk.crt
    onecert-verify chain --anchor root.crt --intermediate ca.crt --crls crls/ --purpose signing leaf.crt
    onecert-verify explain --tree --anchor root.crt --intermediate bundle.pem leaf.crt
    onecert-verify crl --issuer ca.crt --certificate leaf.crt ca.crl
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
from typing import NoReturn

from onecert.verifier.cli import (
    bundle,
    certificate,
    chain,
    crl,
    errors,
    evidence,
    explain,
    form,
    identity,
    serve,
    trust_list,
    trust_root,
)
from onecert.verifier.cli.common import NOT_CHECKED, report
from onecert.verifier.cli.parser import Parser, UsageError, choose_language
from onecert.verifier.errors import VerifyError
from onecert.verifier.messages import message

__all__ = ["main", "make_parser"]

_COMMANDS: dict[str, tuple[str, Callable[[Parser], None], Callable[[argparse.Namespace], int]]] = {
    "certificate": ("HELP_COMMAND_CERTIFICATE", certificate.add_options, certificate.run),
    "chain": ("HELP_COMMAND_CHAIN", chain.add_options, chain.run),
    "explain": ("HELP_COMMAND_EXPLAIN", explain.add_options, explain.run),
    "crl": ("HELP_COMMAND_CRL", crl.add_options, crl.run),
    "form": ("HELP_COMMAND_FORM", form.add_options, form.run),
    "evidence": ("HELP_COMMAND_EVIDENCE", evidence.add_options, evidence.run),
    "identity": ("HELP_COMMAND_IDENTITY", identity.add_options, identity.run),
    "trust-list": ("HELP_COMMAND_TRUST_LIST", trust_list.add_options, trust_list.run),
    "trust-root": ("HELP_COMMAND_TRUST_ROOT", trust_root.add_options, trust_root.run),
    "bundle": ("HELP_COMMAND_BUNDLE", bundle.add_options, bundle.run),
    "errors": ("HELP_COMMAND_ERRORS", errors.add_options, errors.run),
    "serve": ("HELP_COMMAND_SERVE", serve.add_options, serve.run),
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
    for name, (text, add_options, run) in _COMMANDS.items():
        about = message(text, language)
        command = commands.add_parser(name, help=about, description=about, language=language)
        command.set_defaults(run=run, parser=command)
        command.common()
        add_options(command)
    return parser
