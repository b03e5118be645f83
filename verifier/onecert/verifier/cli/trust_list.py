"""``trust-list``: check a trust list and show it."""

from __future__ import annotations

import argparse
from pathlib import Path

from onecert.verifier.cli.common import ACCEPTED, load_list, moment, print_answer
from onecert.verifier.cli.parser import Parser, add_list
from onecert.verifier.cli.text import list_lines

__all__ = ["add_options", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command."""
    add_list(parser)
    parser.input("trust_list", text="HELP_TRUST_LIST", metavar="FILE", type=Path)


def run(options: argparse.Namespace) -> int:
    """Check the list and show its services."""
    at = moment(options)
    trust_list = load_list(options, at)
    print_answer(options, trust_list.as_dict(at), lambda: list_lines(trust_list, at, options.language))
    return ACCEPTED
