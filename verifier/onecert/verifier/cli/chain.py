"""``chain``: one certificate against anchors that the command line names, without a trust list."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.cli.common import ACCEPTED, load_evidence, moment, print_answer, purpose
from onecert.verifier.cli.files import read_certificate, read_certificates
from onecert.verifier.cli.parser import Parser, add_anchors, add_evidence
from onecert.verifier.cli.text import path_lines
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.path import PathParameters, PathValidator, PolicyInputs
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

__all__ = ["add_options", "make_validator", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command."""
    add_anchors(parser)
    add_evidence(parser)
    parser.input("certificate", text="HELP_CERT", metavar="CERT", type=Path)


def run(options: argparse.Namespace) -> int:
    """Find and validate a path."""
    at = moment(options)
    validator = make_validator(options, at)
    path = validator.validate(read_certificate(options.certificate), at=at)
    print_answer(
        options,
        {"schema": 1, "accepted": True, "validation": path.as_dict()},
        lambda: path_lines(path, options.language),
    )
    return ACCEPTED


def make_validator(options: argparse.Namespace, at: datetime) -> PathValidator:
    """A validator with the inputs that the options name."""
    anchors = [
        TrustAnchor.from_certificate(certificate, use_extensions=options.anchor_extensions)
        for certificate in read_certificates(options.anchor)
    ]
    return PathValidator(
        anchors=anchors,
        candidates=read_certificates(options.intermediate),
        evidence=load_evidence(options),
        parameters=PathParameters(
            purpose=purpose(options),
            policies=PolicyInputs(
                initial=frozenset(options.policy or (ANY_POLICY,)),
                require_explicit=options.require_explicit,
                inhibit_mapping=options.inhibit_mapping,
                inhibit_any=options.inhibit_any,
            ),
            revocation=RevocationPolicy(mode=RevocationMode(options.revocation)),
            strict=options.strict,
        ),
    )
