"""``attribute-certificate``: what one attribute certificate says, and what it proves about its holder."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    AuthorityPaths,
    Delegations,
    RevocationLists,
    TargetIdentity,
    TrustedAuthority,
)
from onecert.verifier.attribute_certificate.acrl import MAX_BYTES as LIST_MAX_BYTES
from onecert.verifier.attribute_certificate.parse import MAX_BYTES, PEM_LABEL, parse
from onecert.verifier.certificate import ParsedCertificate, decode_pem, parse_certificate
from onecert.verifier.cli.attribute_certificate_text import answer_as_dict, answer_lines
from onecert.verifier.cli.common import ACCEPTED, exit_code, load_answers, load_crls, moment, print_answer
from onecert.verifier.cli.files import load, read, read_certificate, read_certificates
from onecert.verifier.cli.parser import Parser, UsageError
from onecert.verifier.errors import MalformedError
from onecert.verifier.path import PathParameters, PathValidator
from onecert.verifier.purposes import ATTRIBUTE_AUTHORITY, OCSP_SIGNING, Purpose
from onecert.verifier.revocation import (
    OcspResponse,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    RevocationSources,
)

__all__ = ["add_options", "run"]

_PAIR_MAX_BYTES = 256 * 1024
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]{1,40})-----[A-Za-z0-9+/=\s]*-----END \1-----")


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.option("--holder", text="HELP_AC_HOLDER", type=Path, metavar="CERT", required=True)
    parser.files("--authority", text="HELP_AC_AUTHORITY", required=True)
    parser.option("--may-assign", text="HELP_AC_MAY_ASSIGN", action="append", default=[], metavar="URI|OID")
    parser.files("--delegation", text="HELP_AC_DELEGATION")
    parser.files("--acrl", text="HELP_AC_LIST")
    parser.files("--ocsp", text="HELP_AC_OCSP")
    parser.option(
        "--sources",
        text="HELP_AC_SOURCES",
        choices=[sources.value for sources in RevocationSources],
        default=RevocationSources.EITHER.value,
    )
    parser.option("--target", text="HELP_AC_TARGET", action="append", default=[], metavar="URI")
    parser.option("--target-group", text="HELP_AC_TARGET_GROUP", action="append", default=[], metavar="URI")
    parser.option("--identity", text="HELP_AC_IDENTITY", metavar="ID")
    parser.files("--anchor", text="HELP_AC_ANCHOR")
    parser.files("--intermediate", "--untrusted", text="HELP_INTERMEDIATE")
    parser.files("--crl", text="HELP_AC_CRL")
    parser.option("--crls", text="HELP_CRLS", type=Path, metavar="FOLDER")
    parser.option(
        "--revocation",
        text="HELP_AC_REVOCATION",
        choices=[mode.value for mode in RevocationMode],
        default=RevocationMode.REQUIRE.value,
    )
    parser.flag("--explain", text="HELP_AC_EXPLAIN")
    parser.input("certificate", text="HELP_AC_FILE", metavar="FILE", type=Path)


def run(options: argparse.Namespace) -> int:
    """Show the certificate, verify it, and name every finding."""
    at = moment(options)
    data = read(options.certificate, 2 * MAX_BYTES)
    parsed = parse(_as_der(data))
    oids = [attribute.oid.dotted_string for attribute in parsed.attributes]
    explanation = _make_verifier(options, oids).explain(
        parsed.der,
        holder=read_certificate(options.holder),
        at=at,
        target=_target(options),
        identity=options.identity,
    )
    print_answer(
        options,
        answer_as_dict(parsed, explanation, at),
        lambda: answer_lines(parsed, explanation, at, options.language, with_ways=options.explain),
    )
    if not explanation.findings:
        return ACCEPTED
    return exit_code(explanation.findings[0].error())


def _make_verifier(options: argparse.Namespace, oids: Sequence[str]) -> AttributeCertificateVerifier:
    # Without --may-assign the authorities named here may assign whatever the certificate has.
    allowed = options.may_assign or ["*", *oids]
    roles = [each for each in allowed if not _is_oid(each)]
    attributes = [each for each in allowed if _is_oid(each)]
    trust = AttributeTrust(
        authorities=tuple(
            TrustedAuthority.from_certificate(certificate, roles=roles, attributes=attributes)
            for certificate in read_certificates(options.authority)
        ),
        check_path=_path_check(options, ATTRIBUTE_AUTHORITY),
        check_responder=_path_check(options, OCSP_SIGNING),
    )
    delegations = Delegations(load(path, _PAIR_MAX_BYTES, _read_pair) for path in options.delegation)
    lists = RevocationLists(trust, delegations=delegations, keep=max(1, len(options.acrl)))
    for path in options.acrl:
        load(path, LIST_MAX_BYTES, lists.add)
    return AttributeCertificateVerifier(
        trust=trust,
        status=lists,
        delegations=delegations,
        answers=_Answers(tuple(load_answers(options))) if options.ocsp else None,
        sources=RevocationSources(options.sources),
    )


def _path_check(options: argparse.Namespace, purpose: Purpose) -> AuthorityPaths | None:
    if not options.anchor:
        for name in ("intermediate", "crl"):
            if getattr(options, name):
                raise UsageError("USAGE_NEEDS", name=f"--{name}", other="--anchor")
        return None
    validator = PathValidator(
        anchors=[TrustAnchor.from_certificate(each) for each in read_certificates(options.anchor)],
        candidates=read_certificates(options.intermediate),
        evidence=RevocationEvidence(crls=load_crls(options)),
        parameters=PathParameters(
            purpose=purpose, revocation=RevocationPolicy(mode=RevocationMode(options.revocation))
        ),
    )
    return AuthorityPaths(validator)


def _target(options: argparse.Namespace) -> TargetIdentity | None:
    if not options.target and not options.target_group:
        return None
    try:
        return TargetIdentity.from_uris(*options.target, groups=options.target_group)
    except UnicodeEncodeError as exc:
        raise UsageError("USAGE_ARGUMENT", name="--target", detail=str(exc.object)) from exc


def _is_oid(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)+", text, re.ASCII) is not None


def _as_der(data: bytes) -> bytes:
    return decode_pem(data, PEM_LABEL) if data[:5] == b"-----" else data


def _read_pair(data: bytes) -> tuple[bytes, ParsedCertificate]:
    """A delegation and the certificate of its sub-authority, one PEM block each, in either order."""
    blocks = {match[1].decode(): match[0] for match in _BLOCK.finditer(data)}
    if blocks.keys() != {PEM_LABEL, "CERTIFICATE"}:
        raise MalformedError("NOT_PEM", kind=f"{PEM_LABEL} + CERTIFICATE")
    return decode_pem(blocks[PEM_LABEL], PEM_LABEL), parse_certificate(blocks["CERTIFICATE"])


@dataclass(frozen=True)
class _Answers:
    """The answers of ``--ocsp``: the verifier itself finds those that speak of a certificate."""

    answers: tuple[OcspResponse, ...]

    def find_answers(self, authority: TrustedAuthority, serial: int) -> Sequence[OcspResponse]:
        return self.answers
