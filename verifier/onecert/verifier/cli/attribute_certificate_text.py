"""What ``attribute-certificate`` prints: the certificate, the findings, the ways that were tried."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from onecert.verifier.attribute_certificate import (
    Attribute,
    AttributeCertificate,
    Explanation,
    Finding,
    Holder,
    VerifiedAttributeCertificate,
)
from onecert.verifier.attribute_certificate.values import STANDARD, decode_value
from onecert.verifier.cli.text import table_lines, time_text
from onecert.verifier.errors import CouldNotCheckError, MalformedError
from onecert.verifier.explanation import error_as_dict
from onecert.verifier.messages import harmless, message

__all__ = ["answer_as_dict", "answer_lines"]

_NAMES = {entry.oid: (name, entry.syntax) for name, entry in STANDARD.items()}
_SHOWN_MAX = 200


def answer_as_dict(parsed: AttributeCertificate, explanation: Explanation, at: datetime) -> dict[str, Any]:
    """For JSON."""
    findings = explanation.findings
    return {
        "schema": 1,
        "accepted": not findings,
        "could_not_check": bool(findings) and isinstance(findings[0].error(), CouldNotCheckError),
        "at": at.isoformat(),
        "certificate": _certificate_as_dict(parsed),
        "findings": [error_as_dict(finding.error()) for finding in findings],
        "proved": None if explanation.verified is None else _proved_as_dict(explanation.verified),
        "ways": [
            {
                "authorities": list(way.authorities),
                "taken": way.is_taken,
                "findings": [finding.code for finding in way.findings],
            }
            for way in explanation.candidates
        ],
    }


def _certificate_as_dict(parsed: AttributeCertificate) -> dict[str, Any]:
    return {
        "serial": parsed.serial_hex,
        "issuer": None if parsed.issuer is None else str(parsed.issuer),
        "holder": list(_holder_texts(parsed.holder)),
        "not_before": parsed.not_before and parsed.not_before.isoformat(),
        "not_after": parsed.not_after and parsed.not_after.isoformat(),
        "attributes": [
            {"oid": attribute.oid.dotted_string, "name": name, "values": values}
            for attribute in parsed.attributes
            for name, values in [_decoded(attribute)]
        ],
        "extensions": [
            {"oid": each.oid.dotted_string, "critical": each.critical} for each in parsed.extensions
        ],
    }


def _proved_as_dict(verified: VerifiedAttributeCertificate) -> dict[str, Any]:
    return {
        "roles": [role.name for role in verified.roles],
        "attributes": [attribute.oid.dotted_string for attribute in verified.attributes],
        "dropped": [
            {"oid": each.oid, "value": each.value, "reason": each.reason} for each in verified.dropped
        ],
        "status": verified.status,
        "delegations": [
            {
                "serial": step.certificate.serial_hex,
                "authority": step.authority.label,
                "to": step.holder.subject_text,
                "not_after": step.limits.not_after.isoformat(),
                "depth": step.limits.depth,
            }
            for step in verified.path
        ],
    }


def answer_lines(
    parsed: AttributeCertificate, explanation: Explanation, at: datetime, language: str, *, with_ways: bool
) -> list[str]:
    """For a person: the verdict first."""
    findings = explanation.findings
    verdict = "ACCEPTED"
    if findings:
        is_open = isinstance(findings[0].error(), CouldNotCheckError)
        verdict = "NOT_CHECKED" if is_open else "REFUSED"
    label = message(f"LABEL_{verdict}", language)
    lines = [label if not findings else f"{label}  {findings[0].code}"]
    for finding in findings:
        lines += _finding_lines(finding, language)
    rows = list(_rows(parsed))
    if explanation.verified is not None:
        rows += _proved_rows(explanation.verified)
    lines += table_lines([(name, harmless(value, _SHOWN_MAX)) for name, value in rows], language)
    if with_ways:
        lines += _way_lines(explanation, language)
    return lines


def _finding_lines(finding: Finding, language: str) -> Iterator[str]:
    yield f"{finding.code}: {finding.text(language)}"
    hint = finding.hint(language)
    if hint:
        yield f"{message('LABEL_HINT', language)}  {hint}"


def _rows(parsed: AttributeCertificate) -> Iterator[tuple[str, str]]:
    yield "AC_SERIAL", parsed.serial_hex
    yield "AC_AUTHORITY", "-" if parsed.issuer is None else str(parsed.issuer)
    for text in _holder_texts(parsed.holder):
        yield "AC_HOLDER", text
    start, end = parsed.not_before, parsed.not_after
    if start is not None and end is not None:
        yield "AC_PERIOD", f"{time_text(start)} … {time_text(end)}"
    for attribute in parsed.attributes:
        name, values = _decoded(attribute)
        for value in values:
            yield "AC_ATTRIBUTE", f"{name or attribute.oid.dotted_string}: {value}"


def _proved_rows(verified: VerifiedAttributeCertificate) -> Iterator[tuple[str, str]]:
    for step in verified.path:
        yield "AC_DELEGATION", step.text()
    for role in verified.roles:
        yield "AC_PROVED", role.name
    for dropped in verified.dropped:
        yield "AC_DROPPED", " ".join(filter(None, (dropped.oid, dropped.value, dropped.reason)))
    yield "AC_STATUS", verified.status


def _way_lines(explanation: Explanation, language: str) -> Iterator[str]:
    for way in explanation.candidates:
        label = "LABEL_AC_WAY_TAKEN" if way.is_taken else "LABEL_AC_WAY"
        names = " -> ".join(harmless(name, _SHOWN_MAX) for name in way.authorities)
        yield f"{message(label, language)}  {names}"
        for finding in way.findings:
            yield f"  {finding.code}: {finding.text(language)}"


def _holder_texts(holder: Holder) -> Iterator[str]:
    base = holder.base_certificate_id
    if base is not None:
        yield f"baseCertificateID {', '.join(map(str, base.issuer))} {base.serial:x}"
    for name in holder.entity_name:
        yield f"entityName {name}"
    digest = holder.object_digest
    if digest is not None:
        kind = ("publicKey", "publicKeyCert", "otherObjectTypes")[digest.object_type]
        yield f"objectDigestInfo {kind} {digest.algorithm or '?'} {digest.digest.hex()}"


def _decoded(attribute: Attribute) -> tuple[str, list[Any]]:
    """The standard's name of an attribute, and its values: decoded where we can, else DER in hexadecimal."""
    name, syntax = _NAMES.get(attribute.oid, ("", ""))
    values: list[Any] = []
    for value in attribute.values:
        try:
            values.append(decode_value(syntax, value) if syntax else value.hex())
        except MalformedError:
            values.append(value.hex())
    return name, values
