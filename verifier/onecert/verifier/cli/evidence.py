"""``evidence``: check an evidence record again, years later, without network; or stamp it once more."""

from __future__ import annotations

import argparse
from pathlib import Path

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.cli.common import ACCEPTED, load_roots, moment, print_answer, revocation_policy
from onecert.verifier.cli.files import read, read_certificates
from onecert.verifier.cli.form import add_timestamps, make_stamp, timestamp_trust, write
from onecert.verifier.cli.form_text import evidence_lines
from onecert.verifier.cli.parser import Parser, UsageError, add_evidence
from onecert.verifier.identity import load_pairwise_key
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.signed_form import EvidenceTrust, check_evidence, renew_evidence
from onecert.verifier.signed_form.digests import RENEWAL_DIGESTS
from onecert.verifier.signed_form.evidence_record import MAX_BYTES

__all__ = ["add_options", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.file("--document", text="HELP_DOCUMENT")
    parser.files("--trust-root", text="HELP_TRUST_ROOTS")
    parser.files("--anchor", text="HELP_ANCHOR")
    add_timestamps(parser)
    add_evidence(parser)
    parser.file("--pairwise-key", text="HELP_PAIRWISE_KEY")
    parser.option("--renew", text="HELP_RENEW", metavar="URL")
    parser.option("--digest", text="HELP_DIGEST", choices=RENEWAL_DIGESTS, default=RENEWAL_DIGESTS[0])
    parser.file("--out", text="HELP_OUT")
    parser.input("record", text="HELP_RECORD", metavar="RECORD", type=Path)


def run(options: argparse.Namespace) -> int:
    """Check the record; with ``--renew`` stamp it and write the new one."""
    if bool(options.renew) != (options.out is not None):
        raise UsageError("USAGE_NEEDS", name="--renew", other="--out")
    at = moment(options)
    data = read(options.record, MAX_BYTES)
    document = None if options.document is None else read(options.document, DEFAULT_LIMITS.document_max_bytes)
    trust = EvidenceTrust(
        timestamps=timestamp_trust(options),
        roots=load_roots(options.trust_root) if options.trust_root else (),
        anchors=tuple(TrustAnchor.from_certificate(c) for c in read_certificates(options.anchor)),
        revocation=revocation_policy(options),
        pairwise_key=load_pairwise_key(options.pairwise_key) if options.pairwise_key else None,
    )
    if options.renew:
        stamp = make_stamp(options.renew)
        data = renew_evidence(
            data, trust=trust, stamp=stamp, at=at, document=document, hash_algorithm=options.digest
        )
        write(options.out, data)
    checked = check_evidence(data, document, trust=trust, at=at)
    print_answer(options, checked.as_dict(), lambda: evidence_lines(checked, options.language))
    return ACCEPTED
