"""``chain``: one certificate against anchors that the command line names, without a trust list."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.cli.common import (
    ACCEPTED,
    load_answers,
    load_crls,
    moment,
    print_answer,
    purpose,
    revocation_policy,
)
from onecert.verifier.cli.files import read_certificate, read_certificates
from onecert.verifier.cli.parser import Parser, UsageError, add_anchors, add_evidence
from onecert.verifier.cli.text import path_lines
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.path import PathParameters, PathValidator, PolicyInputs
from onecert.verifier.revocation import RevocationEvidence

if TYPE_CHECKING:
    from onecert.verifier.fetch import FetchingValidator

__all__ = ["add_options", "make_validator", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command."""
    add_anchors(parser)
    add_evidence(parser)
    parser.input("certificate", text="HELP_CERT", metavar="CERT", type=Path)


def run(options: argparse.Namespace) -> int:
    """Find and validate a path."""
    at = moment(options)
    validator = make_validator(options)
    path = validator.validate(read_certificate(options.certificate), at=at, ocsp=load_answers(options))
    print_answer(
        options,
        {"schema": 1, "accepted": True, "validation": path.as_dict()},
        lambda: path_lines(path, options.language),
    )
    return ACCEPTED


def make_validator(options: argparse.Namespace) -> PathValidator | FetchingValidator:
    """A validator with the inputs that the options name, but for OCSP answers; ``--fetch`` makes it fetch."""
    if options.allow_private and not options.fetch:
        raise UsageError("USAGE_NEEDS", name="--allow-private", other="--fetch")
    inputs: dict[str, Any] = {
        "anchors": [
            TrustAnchor.from_certificate(certificate, use_extensions=options.anchor_extensions)
            for certificate in read_certificates(options.anchor)
        ],
        "candidates": read_certificates(options.intermediate),
        "parameters": PathParameters(
            purpose=purpose(options),
            policies=PolicyInputs(
                initial=frozenset(options.policy or (ANY_POLICY,)),
                require_explicit=options.require_explicit,
                inhibit_mapping=options.inhibit_mapping,
                inhibit_any=options.inhibit_any,
            ),
            revocation=revocation_policy(options),
            strict=options.strict,
        ),
    }
    crls = load_crls(options)
    if not options.fetch:
        return PathValidator(**inputs, evidence=RevocationEvidence(crls=crls))
    # Only who fetches pays for the network's modules.
    from onecert.verifier.fetch import ANYWHERE, FetchCache, FetchingValidator, HttpFetch  # noqa: PLC0415

    fetch = HttpFetch(allow=ANYWHERE if options.allow_private else ())
    return FetchingValidator(**inputs, crls=crls, cache=FetchCache(fetch))
