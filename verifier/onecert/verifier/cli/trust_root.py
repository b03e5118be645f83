"""``trust-root``: show a trust root, to compare its fingerprint with the printed one."""

from __future__ import annotations

import argparse
from pathlib import Path

from onecert.verifier.cli.common import ACCEPTED, load_root, moment, print_answer
from onecert.verifier.cli.parser import Parser
from onecert.verifier.cli.text import root_lines
from onecert.verifier.trust_list import check_root_current

__all__ = ["add_options", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.input("trust_root", text="HELP_TRUST_ROOT", metavar="FILE", type=Path)


def run(options: argparse.Namespace) -> int:
    """Show it; whether it is the right one, a person decides."""
    root = load_root([options.trust_root])
    check_root_current(root, moment(options))
    print_answer(options, root.as_dict(), lambda: root_lines(root, options.language))
    return ACCEPTED
