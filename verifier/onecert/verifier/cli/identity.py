"""``identity``: what an identity profile makes of certificates, without checking them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from onecert.verifier.cli.common import ACCEPTED, exit_code, moment, print_answer
from onecert.verifier.cli.files import read, read_certificate
from onecert.verifier.cli.parser import Parser
from onecert.verifier.cli.text import error_json, error_lines, identity_lines
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity import PersonRule, identify, load_pairwise_key, load_profile

__all__ = ["add_options", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.file("--profile", text="HELP_PROFILE", required=True)
    parser.file("--pairwise-key", text="HELP_PAIRWISE_KEY")
    parser.flag("--show-person-numbers", text="HELP_PERSON_NUMBERS")
    parser.input("certificates", text="HELP_CERTS", metavar="CERT", type=Path, nargs="+")


def run(options: argparse.Namespace) -> int:
    """Every certificate is tried; the worst verdict is the exit code."""
    at = moment(options)
    profile = load_profile(read(options.profile, 64 * 1024))
    key = load_pairwise_key(options.pairwise_key) if options.pairwise_key else None
    # Without a key of the department a person is still one person within this run.
    persons = PersonRule(
        application="onecert-verify",
        pairwise_key=key or os.urandom(32),
        raw_numbers=options.show_person_numbers,
    )
    results: list[dict[str, Any]] = []
    lines: list[str] = []
    code = ACCEPTED
    for path in options.certificates:
        try:
            certificate = read_certificate(path).certificate
            identity = identify(certificate, profile, ca_service=profile.name, at=at, persons=persons)
        except VerifyError as exc:
            results.append({"file": str(path), **error_json(exc)})
            lines += [f"{path}:", *(f"  {line}" for line in error_lines(exc, options.language))]
            code = max(code, exit_code(exc))
            continue
        found = identity_lines(identity, options.language)
        results.append({"file": str(path), "accepted": True, **identity.as_dict()})
        lines += [f"{path}:", *(f"  {line}" for line in found)]
    print_answer(options, results, lambda: lines)
    return code
