"""What onecert-verify prints: results and refusals, as lines in Chinese or English and as JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.identity import Identity
from onecert.verifier.messages import message
from onecert.verifier.trust_list import TrustList
from onecert.verifier.verifier import VerifiedCertificate

__all__ = ["certificate_lines", "error_json", "error_lines", "identity_lines", "list_lines"]


def _label(name: str, language: str) -> str:
    return message(f"LABEL_{name}", language)


def _table(rows: Sequence[tuple[str, str]], language: str) -> list[str]:
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
        *_identity_rows(result.identity, language),
        ("CA", f"{result.service.name.get(language)} ({result.service.id})"),
        ("CA_STATUS", message(f"STATUS_{result.service_verdict.at_use.name}", language)),
        ("LIST", str(result.list_sequence)),
    ]
    for evidence in result.path.evidence:
        minutes = int(evidence.age.total_seconds() // 60)
        text = message("EVIDENCE_AGE", language, kind=evidence.kind.upper(), minutes=minutes)
        rows.append(("EVIDENCE", text))
    rows += [("WARNING", text) for text in result.warning_texts(language)]
    return _table(rows, language)


def identity_lines(identity: Identity, language: str) -> list[str]:
    """What a profile makes of a certificate."""
    rows = _identity_rows(identity, language)
    rows += [("WARNING", message(code, language)) for code in identity.warnings]
    return _table(rows, language)


def _identity_rows(identity: Identity, language: str) -> list[tuple[str, str]]:
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
    lines = _table(
        [
            ("LIST", str(trust_list.sequence)),
            ("OPERATOR", trust_list.operator.get(language)),
            ("ISSUED", _time(trust_list.issued_at)),
            ("NEXT_UPDATE", _time(trust_list.next_update)),
            ("SHA256", trust_list.sha256),
        ],
        language,
    )
    for service in trust_list.services:
        entry = service.status_at(at)
        state = message(f"STATUS_{entry.status.name}", language) if entry else "-"
        lines += ["", f"{service.id}: {service.name.get(language)} — {state}"]
        for item in service.history:
            lines.append(f"  {_time(item.start)}  {message(f'STATUS_{item.status.name}', language)}")
        profile = service.identity_profile
        if profile is not None:
            lines.append(f"  {_label('PROFILE', language)}  {profile.name} {profile.version}")
    return lines


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
        "could_not_check": isinstance(error, CouldNotCheckError),
        "code": error.code,
        "text": {"zh": error.text("zh"), "en": error.text("en")},
        "hint": {"zh": error.hint("zh"), "en": error.hint("en")},
        "source": error.source,
        "attempts": [attempt.text("en") for attempt in error.attempts],
    }


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")
