"""``certificate``: one certificate against the trust list, and who its holder is."""

from __future__ import annotations

import argparse
from pathlib import Path

from onecert.verifier.cli.bundle import add_bundle, check_list_options, make_some_verifier
from onecert.verifier.cli.common import ACCEPTED, moment, print_answer, purpose
from onecert.verifier.cli.files import read_certificate
from onecert.verifier.cli.parser import Parser, add_evidence, add_list
from onecert.verifier.cli.text import certificate_lines
from onecert.verifier.identity import load_pairwise_key

__all__ = ["add_options", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.file("--trust-list", text="HELP_TRUST_LIST")
    add_bundle(parser)
    add_list(parser)
    add_evidence(parser)
    parser.option("--application", text="HELP_APPLICATION", default="onecert-verify", metavar="NAME")
    parser.file("--pairwise-key", text="HELP_PAIRWISE_KEY")
    parser.flag("--show-person-numbers", text="HELP_PERSON_NUMBERS")
    parser.input("certificate", text="HELP_CERT", metavar="CERT", type=Path)


def run(options: argparse.Namespace) -> int:
    """Check one certificate and name its holder."""
    check_list_options(options)
    at = moment(options)
    verifier = make_some_verifier(
        options,
        at,
        application=options.application,
        pairwise_key=load_pairwise_key(options.pairwise_key) if options.pairwise_key else None,
        raw_person_numbers=options.show_person_numbers,
    )
    result = verifier.verify(read_certificate(options.certificate), at=at, purpose=purpose(options))
    print_answer(options, result.as_dict(), lambda: certificate_lines(result, options.language))
    return ACCEPTED
