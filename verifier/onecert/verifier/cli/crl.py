"""``crl``: show a revocation list, check it against its issuer, and look a certificate up in it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.cli.common import ACCEPTED, NOT_CHECKED, REFUSED, exit_code, moment, print_answer
from onecert.verifier.cli.files import load, read, read_certificate
from onecert.verifier.cli.parser import Parser, UsageError
from onecert.verifier.cli.text import crl_lines, scope_words
from onecert.verifier.errors import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.explanation import error_as_dict
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.revocation import Crl, RevocationEvidence, RevocationPolicy, RevokedEntry, load_crl
from onecert.verifier.revocation.crl_check import Subject, check_by_crl
from onecert.verifier.signatures import load_public_key

__all__ = ["CrlReport", "add_options", "run"]

_CRL_SIGN = 6


@dataclass(frozen=True, kw_only=True)
class CrlReport:
    """What is known about one list.

    ``fault`` is why the list may not be used at ``at``; ``signature`` is ``good``, ``bad`` or
    ``not checked``. ``asked`` is the serial number that was looked up, ``entry`` what the list says about it.
    """

    crl: Crl
    at: datetime
    signature: str
    fault: VerifyError | None
    asked: int | None
    entry: RevokedEntry | None

    @property
    def exit_code(self) -> int:
        """A certificate that the list names is refused; an unlisted one is good only if the list is."""
        if self.entry is not None and self.entry.reason != "removeFromCRL" and self.signature != "bad":
            return REFUSED
        if self.fault is not None:
            return exit_code(self.fault)
        return NOT_CHECKED if self.asked is not None and self.signature != "good" else ACCEPTED

    @property
    def age(self) -> timedelta:
        """Since this_update; negative for a list of the future."""
        return self.at - self.crl.this_update

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        crl = self.crl
        entry = self.entry
        looked_up = None
        if self.asked is not None:
            looked_up = {
                "serial": f"{self.asked:x}",
                "listed": entry is not None,
                "revoked_at": entry and entry.revoked_at.isoformat(),
                "reason": entry and entry.reason,
            }
        return {
            "schema": 1,
            "accepted": self.exit_code == ACCEPTED,
            "could_not_check": self.exit_code == NOT_CHECKED,
            "issuer": crl.issuer_text,
            "number": crl.number,
            "base_number": crl.base_number,
            "this_update": crl.this_update.isoformat(),
            "next_update": crl.next_update and crl.next_update.isoformat(),
            "age_s": int(self.age.total_seconds()),
            "entries": len(crl),
            "scope": scope_words(crl.scope, "en"),
            "signature": self.signature,
            "error": self.fault and error_as_dict(self.fault),
            "looked_up": looked_up,
        }


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.file("--issuer", text="HELP_ISSUER")
    parser.number("--serial", text="HELP_SERIAL")
    parser.file("--certificate", text="HELP_LOOK_UP")
    parser.input("crl", text="HELP_CRL_FILE", metavar="CRL", type=Path)


def run(options: argparse.Namespace) -> int:
    """Show the list, and what it says about the certificate that is asked about."""
    if options.serial is not None and options.certificate is not None:
        raise UsageError("USAGE_CONFLICT", name="--serial", other="--certificate")
    at = moment(options)
    crl = load_crl(read(options.crl, DEFAULT_LIMITS.crl_max_bytes))
    issuer = None
    if options.issuer is not None:
        issuer = load(options.issuer, DEFAULT_LIMITS.certificate_max_bytes, parse_certificate)
    certificate = None if options.certificate is None else read_certificate(options.certificate)
    report = _look_up(_check(crl, issuer, at), options.serial, certificate)
    print_answer(options, report.as_dict(), lambda: crl_lines(report, options.language))
    return report.exit_code


def _check(crl: Crl, issuer: ParsedCertificate | None, at: datetime) -> CrlReport:
    signature, fault = "not checked", None
    try:
        if issuer is not None:
            signature = "bad"
            _check_signer(crl, issuer, at)
            signature = "good"
        if crl.unknown_critical is not None:
            raise CouldNotCheckError(
                "CRL_CRITICAL_EXTENSION",
                source="RFC 5280, sections 5.2 and 5.3",
                issuer=crl.issuer_text,
                oid=crl.unknown_critical,
            )
        crl.check_fresh(at)
    except VerifyError as exc:
        fault = exc
    return CrlReport(crl=crl, at=at, signature=signature, fault=fault, asked=None, entry=None)


def _check_signer(crl: Crl, issuer: ParsedCertificate, at: datetime) -> None:
    """Raise unless this certificate may sign the list and has done so. Its own path is not looked at."""
    usage = issuer.key_usage
    if issuer.subject != crl.issuer or (usage is not None and _CRL_SIGN not in usage):
        raise RefusedError("CRL_SIGNER", source="RFC 5280, section 6.3.3 (f)", issuer=crl.issuer_text)
    crl.check_signature(load_public_key(issuer.spki_der), at=at)


def _look_up(report: CrlReport, serial: int | None, certificate: ParsedCertificate | None) -> CrlReport:
    if serial is not None:
        return replace(report, asked=serial, entry=report.crl.find(serial))
    if certificate is None:
        return report
    report = replace(report, asked=certificate.serial)
    if report.fault is not None or report.crl.is_delta:
        # Its scope is not weighed then; what it says about the number may still be worth knowing.
        return replace(report, entry=report.crl.find(certificate.serial, certificate.issuer))
    try:
        answer = check_by_crl(
            Subject.of(certificate),
            RevocationEvidence(crls=[report.crl]),
            RevocationPolicy(),
            report.at,
            lambda _: None,  # the signature has its own place in the report
        )
    except VerifyError as exc:
        return replace(report, fault=exc)
    return replace(report, entry=answer.entry)
