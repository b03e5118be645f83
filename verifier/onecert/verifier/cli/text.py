"""What onecert-verify prints: results and refusals, as lines in Chinese or English and as JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.explanation import error_as_dict
from onecert.verifier.identity import Identity
from onecert.verifier.messages import message
from onecert.verifier.result import ValidatedPath
from onecert.verifier.revocation import IssuingDistributionPoint
from onecert.verifier.revocation.crl import REASONS
from onecert.verifier.trust_list import TrustList, TrustRoot
from onecert.verifier.verifier import VerifiedCertificate

if TYPE_CHECKING:
    from onecert.verifier.cli.crl import CrlReport

__all__ = [
    "certificate_lines",
    "crl_lines",
    "error_json",
    "error_lines",
    "identity_lines",
    "identity_rows",
    "list_lines",
    "path_lines",
    "root_lines",
    "scope_words",
    "table_lines",
    "time_text",
]


def _label(name: str, language: str) -> str:
    return message(f"LABEL_{name}", language)


def table_lines(rows: Sequence[tuple[str, str]], language: str) -> list[str]:
    """Rows of a label's name and its value, in two columns."""
    labels = [_label(name, language) for name, _ in rows]
    width = max(map(_width, labels), default=0)
    return [
        f"{label}{' ' * (width - _width(label))}  {value}"
        for label, (_, value) in zip(labels, rows, strict=True)
    ]


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def certificate_lines(result: VerifiedCertificate, language: str) -> list[str]:
    """An accepted certificate."""
    rows = [
        ("ACCEPTED", result.path.target.subject_text),
        *identity_rows(result.identity, language),
        ("CA", f"{result.service.name.get(language)} ({result.service.id})"),
        ("CA_STATUS", message(f"STATUS_{result.service_verdict.at_use.name}", language)),
        ("LIST", str(result.list_sequence)),
    ]
    if result.as_of is not None:
        rows.append(("AS_OF", time_text(result.as_of)))
    rows += [("EVIDENCE", evidence.text(language)) for evidence in result.path.evidence]
    rows += [("WARNING", text) for text in result.warning_texts(language)]
    return table_lines(rows, language)


def identity_lines(identity: Identity, language: str) -> list[str]:
    """What a profile makes of a certificate."""
    rows = identity_rows(identity, language)
    rows += [("WARNING", message(code, language)) for code in identity.warnings]
    return table_lines(rows, language)


def identity_rows(identity: Identity, language: str) -> list[tuple[str, str]]:
    """Who a holder is, as rows of a table."""
    rows = [
        ("ID", identity.id),
        ("NAME", identity.name),
        ("CLASS", message(f"CLASS_{identity.holder_class.name}", language)),
    ]
    if identity.entity is not None and identity.person is not None and identity.person.id:
        rows.append(("AGENT", identity.person.id))
    if identity.key_number is not None:
        rows.append(("KEY_NUMBER", str(identity.key_number)))
    return rows


def list_lines(trust_list: TrustList, at: datetime, language: str) -> list[str]:
    """A trust list: its head, then each service with its state and history."""
    lines = table_lines(
        [
            ("LIST", str(trust_list.sequence)),
            ("OPERATOR", trust_list.operator.get(language)),
            ("ISSUED", time_text(trust_list.issued_at)),
            ("NEXT_UPDATE", time_text(trust_list.next_update)),
            ("SHA256", trust_list.sha256),
            *(("WARNING", message(code, language)) for code in trust_list.warnings),
        ],
        language,
    )
    for service in trust_list.services:
        entry = service.status_at(at)
        state = message(f"STATUS_{entry.status.name}", language) if entry else "-"
        lines += ["", f"{service.id}: {service.name.get(language)} — {state}"]
        for item in service.history:
            lines.append(f"  {time_text(item.start)}  {message(f'STATUS_{item.status.name}', language)}")
        profile = service.identity_profile
        if profile is not None:
            lines.append(f"  {_label('PROFILE', language)}  {profile.name} {profile.version}")
    return lines


def root_lines(root: TrustRoot, language: str) -> list[str]:
    """A trust root: its fingerprint in two lines of eight groups, then who signs what."""
    groups = root.fingerprint.split(" ")
    lines = table_lines(
        [
            ("VERSION", str(root.version)),
            ("FINGERPRINT", " ".join(groups[:8])),
            ("FINGERPRINT_2", " ".join(groups[8:])),
            ("ISSUED", time_text(root.issued_at)),
            ("VALID_UNTIL", time_text(root.expires_at)),
        ],
        language,
    )
    for role, keys in root.roles.items():
        facts = {"threshold": keys.threshold, "keys": len(keys.keys), "epoch": keys.epoch}
        name = message(f"ROLE_{role.name}", language)
        lines += ["", f"{name}: {message('ROLE_KEYS', language, **facts)}"]
        lines += [f"  {kid}" for kid in keys.keys]
    return [*lines, "", message("TRUST_ROOT_COMPARE", language)]


def error_lines(error: VerifyError, language: str) -> list[str]:
    """A refusal: verdict, code, reason, next step, and what other paths met."""
    verdict = "NOT_CHECKED" if isinstance(error, CouldNotCheckError) else "REFUSED"
    lines = [f"{_label(verdict, language)}  {error.code}", error.text(language)]
    hint = error.hint(language)
    if hint:
        lines.append(f"{_label('HINT', language)}  {hint}")
    if error.source:
        lines.append(error.source)
    if len(error.attempts) > 1:
        lines += [attempt.text(language) for attempt in error.attempts]
    return lines


def error_json(error: VerifyError) -> dict[str, Any]:
    """A refusal for programs."""
    return {
        "schema": 1,
        "accepted": False,
        **error_as_dict(error),
        "attempts": [attempt.text("en") for attempt in error.attempts],
    }


def path_lines(path: ValidatedPath, language: str) -> list[str]:
    """An accepted path, with the policies and the evidence that it rests on."""
    rows = [("ACCEPTED", path.target.subject_text)]
    rows += [("ISSUED_BY", certificate.subject_text) for certificate in path.chain[1:]]
    rows.append(("ANCHOR", path.anchor.label or path.anchor.subject))
    rows.append(("POLICIES", ", ".join(sorted(path.policies)) or "-"))
    for policy, qualifiers in path.policy.qualifiers.items():
        for row in qualifiers:
            text = " ".join(part for part in (row.organization, row.text, row.uri) if part)
            rows.append(("QUALIFIER", f"{policy}: {text or row.kind}"))
    rows += [("EVIDENCE", evidence.text(language)) for evidence in path.evidence]
    rows += [("WARNING", warning.text(language)) for warning in path.warnings]
    rows.append(("VALID_UNTIL", time_text(path.valid_until)))
    return table_lines(rows, language)


def crl_lines(report: CrlReport, language: str) -> list[str]:
    """A revocation list: its head, whether it may be used, and what it says about one certificate."""
    crl = report.crl
    signature = report.signature.replace(" ", "_").upper()
    rows = [
        ("ISSUER", crl.issuer_text),
        ("NUMBER", "-" if crl.number is None else str(crl.number)),
        ("ISSUED", time_text(crl.this_update)),
        ("NEXT_UPDATE", "-" if crl.next_update is None else time_text(crl.next_update)),
        ("AGE", message("CRL_AGE", language, minutes=int(report.age.total_seconds() // 60))),
        ("ENTRIES", str(len(crl))),
        ("SCOPE", ", ".join(scope_words(crl.scope, language)) or message("SCOPE_FULL", language)),
        ("SIGNATURE", message(f"SIGNATURE_{signature}", language)),
    ]
    if crl.base_number is not None:
        rows.insert(2, ("BASE_NUMBER", str(crl.base_number)))
    if report.asked is not None:
        rows.append(("SERIAL", f"{report.asked:x}"))
        entry = report.entry
        if entry is None:
            rows.append(("STATUS", message("CRL_NOT_LISTED", language)))
        else:
            reason = entry.reason or "-"
            text = message("CRL_LISTED", language, revoked_at=entry.revoked_at, reason=reason)
            rows.append(("STATUS", text))
    lines = table_lines(rows, language)
    return lines if report.fault is None else [*lines, *error_lines(report.fault, language)]


def scope_words(scope: IssuingDistributionPoint | None, language: str) -> list[str]:
    """What a list is limited to; nothing for a list about everything that its issuer has issued."""
    if scope is None:
        return []
    kinds = {
        "USER": scope.only_user,
        "CA": scope.only_ca,
        "ATTRIBUTE": scope.only_attribute,
        "INDIRECT": scope.indirect,
        "PARTITION": bool(scope.full_names) or scope.relative_name is not None,
    }
    words = [message(f"SCOPE_{kind}", language) for kind, holds in kinds.items() if holds]
    if scope.only_reasons is not None:
        reasons = [REASONS.get(number, str(number)) for number in sorted(scope.only_reasons)]
        words.append(message("SCOPE_REASONS", language, reasons=reasons))
    return words


def time_text(at: datetime) -> str:
    """A moment in UTC, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ")
