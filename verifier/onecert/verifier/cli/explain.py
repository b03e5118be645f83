"""``explain``: every candidate path of a certificate and what became of it, with or without a trust list."""

from __future__ import annotations

import argparse
from pathlib import Path

from onecert.verifier.cli.chain import make_validator
from onecert.verifier.cli.common import (
    ACCEPTED,
    exit_code,
    load_answers,
    make_verifier,
    moment,
    print_answer,
    purpose,
)
from onecert.verifier.cli.files import read_certificate
from onecert.verifier.cli.parser import Parser, UsageError, add_anchors, add_evidence, add_list
from onecert.verifier.errors import VerifyError
from onecert.verifier.explanation import Explanation

__all__ = ["add_options", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command: those of ``certificate`` or those of ``chain``."""
    parser.flag("--tree", text="HELP_TREE")
    parser.file("--trust-list", text="HELP_TRUST_LIST")
    add_list(parser, required=False)
    add_anchors(parser, required=False)
    add_evidence(parser)
    parser.input("certificate", text="HELP_CERT", metavar="CERT", type=Path)


def run(options: argparse.Namespace) -> int:
    """Explain; the exit code is that of the answer."""
    explanation = _explain(options)
    lines = explanation.tree_lines if options.tree else explanation.lines
    print_answer(options, explanation.as_dict(), lambda: lines(options.language))
    answer = explanation.answer
    return exit_code(answer) if isinstance(answer, VerifyError) else ACCEPTED


def _explain(options: argparse.Namespace) -> Explanation:
    at = moment(options)
    if bool(options.anchor) == (options.trust_list is not None):
        raise UsageError("USAGE_ONE_OF", arguments="--trust-list --anchor")
    if options.anchor:
        target = read_certificate(options.certificate)
        return make_validator(options).explain(target, at=at, ocsp=load_answers(options))
    if options.fetch:
        raise UsageError("USAGE_NEEDS", name="--fetch", other="--anchor")
    if not options.trust_root:
        raise UsageError("USAGE_REQUIRED", arguments="--trust-root")
    verifier = make_verifier(options, at, application="onecert-verify")
    return verifier.explain(read_certificate(options.certificate), at=at, purpose=purpose(options))
