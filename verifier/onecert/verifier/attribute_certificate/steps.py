"""What can be said of an attribute certificate alone: its form, its extensions, its time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from onecert.verifier.attribute_certificate.extensions import (
    ENFORCED,
    NARROWING,
    NO_EXTENSIONS,
    Extensions,
    merge,
    read_extension,
)
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.parse import AttributeCertificate, read_extensions
from onecert.verifier.remembered import remembered

_NOTHING: tuple[Finding, ...] = ()


def check_form(certificate: AttributeCertificate) -> tuple[Extensions, tuple[Finding, ...]]:
    """Read the extensions, and find what is against the profile, in the order of the codes."""
    # 1. The form that the profile demands; the parser has already seen it.
    # 2. Extensions: whatever is critical is enforced here, or the certificate is refused.
    extensions, findings = NO_EXTENSIONS, _NOTHING
    if certificate.extensions_der:
        extensions, findings = _read(certificate.extensions_der)
    # 3. One algorithm, said twice.
    if certificate.algorithm_der != certificate.outer_algorithm_der:
        findings = (*findings, Finding(Code.ALG_MISMATCH))
    return extensions, certificate.faults + findings if certificate.faults else findings


@remembered(most=1024)
def _read(extensions_der: bytes) -> tuple[Extensions, tuple[Finding, ...]]:
    read: list[Extensions] = []
    findings: list[Finding] = []
    for extension in read_extensions(extensions_der)[0]:
        oid = extension.oid
        if oid in ENFORCED:
            try:
                read.append(read_extension(oid, extension.value))
            except (ValueError, TypeError) as exc:
                facts = {"oid": oid.dotted_string, "detail": str(exc)}
                findings.append(Finding(Code.EXTENSION_FORM, facts))
        elif extension.critical:
            findings.append(Finding(Code.UNKNOWN_CRITICAL, {"oid": oid.dotted_string}))
        elif oid in NARROWING:
            findings.append(Finding(Code.LIMIT_NOT_ENFORCED, {"oid": oid.dotted_string}))
    return merge(read), tuple(findings)


def check_time(certificate: AttributeCertificate, at: datetime) -> Iterator[Finding]:
    """Both ends are included (RFC 5755, section 4.2.6; RFC 5280, section 4.1.2.5)."""
    start, end = certificate.not_before, certificate.not_after
    if end is not None and at > end:
        yield Finding(Code.EXPIRED, {"not_after": end})
    if start is not None and at < start:
        yield Finding(Code.NOT_YET_VALID, {"not_before": start})
