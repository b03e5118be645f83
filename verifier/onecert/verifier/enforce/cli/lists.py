"""``lists``: fetch the revocation lists of attribute authorities, for a timer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from onecert.verifier.cli.common import ACCEPTED, NOT_CHECKED
from onecert.verifier.cli.parser import Parser
from onecert.verifier.enforce.config import read_config
from onecert.verifier.enforce.department import DepartmentConfig
from onecert.verifier.enforce.lists import fetch_lists
from onecert.verifier.enforce.machine import CONFIG, drop_to_owner
from onecert.verifier.fetch import listed_fetch

__all__ = ["add_options"]


def add_options(parser: Parser, _name: str) -> None:
    """The options of the command."""
    parser.option("--config", text="HELP_ENFORCE_CONFIG", type=Path, metavar="FILE", default=CONFIG)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fetch them all; exit code 3 when one did not come."""
    # Any of the programs' files will do: only the part that they share is read.
    top = read_config(options.config)
    config = DepartmentConfig.read(top)
    top.raise_faults()
    drop_to_owner(config.privileges)
    said = fetch_lists(config, listed_fetch())
    for url, error in said.items():
        if error is None:
            print(url)
        else:
            print(f"{url}: {error.code}: {error.text(options.language)}", file=sys.stderr)
    return NOT_CHECKED if any(said.values()) else ACCEPTED
