"""``form``: the signature of a form, who signed it and when, and an evidence record of it."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.cli.bundle import (
    add_bundle,
    check_list_options,
    make_some_verifier,
    offline_facts,
    offline_lines,
)
from onecert.verifier.cli.common import (
    ACCEPTED,
    load_answers,
    load_crls,
    moment,
    print_answer,
    revocation_policy,
)
from onecert.verifier.cli.files import read, read_certificates
from onecert.verifier.cli.form_text import form_lines
from onecert.verifier.cli.parser import Parser, UsageError, add_evidence, add_list
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.identity import load_pairwise_key
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.path import PathParameters
from onecert.verifier.revocation import RevocationEvidence
from onecert.verifier.signed_form import (
    DocumentForm,
    FormPolicy,
    JwsSignature,
    PathTrust,
    PdfSignature,
    RawSignature,
    SignedForm,
    TimestampClient,
    TimestampTrust,
    XmlSignature,
    make_evidence,
    verify_form,
)
from onecert.verifier.signed_form.form_result import SignatureSource

__all__ = ["add_options", "run"]


_KINDS: dict[str, type[JwsSignature | XmlSignature | PdfSignature]] = {
    "jws": JwsSignature,
    "xml": XmlSignature,
    "pdf": PdfSignature,
}


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.file("--document", text="HELP_DOCUMENT")
    parser.file("--trust-list", text="HELP_TRUST_LIST")
    add_bundle(parser)
    add_list(parser, required=False)
    parser.files("--anchor", text="HELP_ANCHOR")
    add_timestamps(parser)
    add_evidence(parser)
    parser.option("--application", text="HELP_APPLICATION", default="onecert-verify", metavar="NAME")
    parser.file("--pairwise-key", text="HELP_PAIRWISE_KEY")
    parser.flag("--allow-no-attributes", text="HELP_NO_ATTRIBUTES")
    parser.flag("--several-signers", text="HELP_SEVERAL_SIGNERS")
    parser.flag("--require-timestamp", text="HELP_REQUIRE_TIMESTAMP")
    parser.flag("--require-later-status", text="HELP_REQUIRE_LATER_STATUS")
    parser.option("--kind", text="HELP_FORM_KIND", choices=["cms", *_KINDS], default="cms")
    parser.file("--raw", text="HELP_RAW")
    parser.option(
        "--document-form",
        text="HELP_DOCUMENT_FORM",
        choices=[form.value for form in DocumentForm],
        default=DocumentForm.JSON.value,
    )
    parser.file("--evidence-out", text="HELP_EVIDENCE_OUT")
    parser.option("--stamp", text="HELP_STAMP", metavar="URL")
    parser.input("signature", text="HELP_SIGNATURE", metavar="SIGNATURE", type=Path)


def add_timestamps(parser: Parser) -> None:
    """Whose timestamps count."""
    parser.files("--tsa-anchor", text="HELP_TSA_ANCHOR")
    parser.oids("--tsa-policy", text="HELP_TSA_POLICY")


def run(options: argparse.Namespace) -> int:
    """Check the signature; with ``--evidence-out`` write the record."""
    check_list_options(options, "--anchor")
    if not options.anchor and not options.trust_root:
        raise UsageError("USAGE_REQUIRED", arguments="--trust-root")
    if options.stamp and not (options.evidence_out and options.tsa_anchor):
        raise UsageError("USAGE_NEEDS", name="--stamp", other="--evidence-out --tsa-anchor")
    at = moment(options)
    document = None if options.document is None else read(options.document, DEFAULT_LIMITS.document_max_bytes)
    trust = _trust(options, at)
    form = verify_form(
        document,
        _signature(options),
        at=at,
        **trust,
        timestamps=timestamp_trust(options),
        policy=FormPolicy(
            allow_no_attributes=options.allow_no_attributes,
            several_signers=options.several_signers,
            require_timestamp=options.require_timestamp,
            require_later_status=options.require_later_status,
        ),
    )
    if options.evidence_out is not None:
        _write_evidence(options, form, at)
    verifier = trust.get("verifier")
    print_answer(
        options,
        {**form.as_dict(), **offline_facts(verifier, at)},
        lambda: [*form_lines(form, options.language), *offline_lines(verifier, at, options.language)],
    )
    return ACCEPTED


def timestamp_trust(options: argparse.Namespace) -> TimestampTrust | None:
    """The authorities that the options name, with the same lists and CA certificates as the signers."""
    if not options.tsa_anchor:
        return None
    return TimestampTrust(
        path=_path_trust(options, options.tsa_anchor), policies=frozenset(options.tsa_policy) or None
    )


def make_stamp(url: str) -> TimestampClient:
    """A client for the authority at this address."""
    from onecert.verifier.fetch import HttpFetch  # noqa: PLC0415  only who asks pays for the network's modules

    return TimestampClient(url, HttpFetch())


def write(path: Path, data: bytes) -> None:
    """Write an answer's file.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``.
    """
    try:
        path.write_bytes(data)
    except OSError as exc:
        raise CouldNotCheckError("FILE_UNREADABLE", path=str(path), detail=exc.strerror or str(exc)) from exc


def _trust(options: argparse.Namespace, at: datetime) -> dict[str, Any]:
    if options.anchor:
        return {"trust": _path_trust(options, options.anchor)}
    key = load_pairwise_key(options.pairwise_key) if options.pairwise_key else None
    return {"verifier": make_some_verifier(options, at, application=options.application, pairwise_key=key)}


def _path_trust(options: argparse.Namespace, anchors: list[Path]) -> PathTrust:
    return PathTrust(
        anchors=tuple(TrustAnchor.from_certificate(c) for c in read_certificates(anchors)),
        candidates=tuple(read_certificates(options.intermediate)),
        evidence=RevocationEvidence(crls=load_crls(options), ocsp=load_answers(options)),
        parameters=PathParameters(revocation=revocation_policy(options)),
    )


def _signature(options: argparse.Namespace) -> SignatureSource:
    if options.raw is not None and options.kind != "cms":
        raise UsageError("USAGE_ONE_OF", arguments="--raw --kind")
    data = read(options.signature, DEFAULT_LIMITS.document_max_bytes)
    if options.raw is None:
        kind = _KINDS.get(options.kind)
        return data if kind is None else kind(value=data)
    return RawSignature(
        value=data,
        certificate=read(options.raw, DEFAULT_LIMITS.certificate_max_bytes),
        document_form=DocumentForm(options.document_form),
    )


def _write_evidence(options: argparse.Namespace, form: SignedForm, at: datetime) -> None:
    record = make_evidence(
        form,
        at=at,
        stamp=make_stamp(options.stamp) if options.stamp else None,
    )
    write(options.evidence_out, record)
