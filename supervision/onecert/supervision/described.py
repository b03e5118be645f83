"""A service of a draft in readable lines, field by field, in the reader's language: for people who compare.

Certificates are named by subject, fingerprint and dates; identity profiles are sentences, not JSON. A field
of the draft that has no words here is shown as it stands in the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from onecert.server.languages import Message, _, format_date, format_datetime, gettext
from onecert.supervision.compare import status_name
from onecert.supervision.described_profile import profile_lines
from onecert.supervision.draft import Draft, DraftService, Sample, draft_json
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.trust_list import LocalText, StatusEntry

__all__ = ["FIELD_NAMES", "describe_head", "describe_service", "entry_line", "fingerprint_of", "supply_name"]

FIELD_NAMES: Mapping[str, Message] = {
    "name": _("Name of the service"),
    "entity": _("Legal entity"),
    "certificate_pem": _("Certificates"),
    "history": _("Status"),
    "identity_profile": _("Identity profile"),
    "contact": _("Contact"),
    "supply_points": _("Supply points"),
    "issuance_log": _("Issuance record"),
    "samples": _("Samples"),
    "type": _("Kind of service"),
    "policies": _("Accepted certificate policies"),
    "algorithms": _("Allowed algorithms"),
    "sla": _("Service level"),
    "operator": _("Operator"),
    "territory": _("Territory"),
}

SUPPLY_NAMES: Mapping[str, Message] = {
    "crl": _("Revocation list"),
    "ocsp": _("Status service"),
    "ca-certificate": _("Certificate of the authority"),
    "timestamp": _("Timestamps"),
}


def supply_name(kind: str) -> str:
    """What a supply point of this kind gives, in the current language."""
    return gettext(SUPPLY_NAMES[kind]) if kind in SUPPLY_NAMES else kind


def describe_head(draft: Draft) -> dict[str, tuple[str, ...]]:
    """The list itself, besides its services: key of the draft -> lines."""
    value = draft_json(draft)
    known: dict[str, tuple[str, ...]] = {"operator": _texts(draft.operator)}
    own = {"operator", "services", "pointers"}  # what has words of its own, here and elsewhere
    others = {key: _plain(each) for key, each in value.items() if key not in own}
    return known | others


def describe_service(service: DraftService, draft: Draft) -> dict[str, tuple[str, ...]]:
    """Every field of a service that says something: key of the draft -> lines."""
    value = next(each for each in draft_json(draft)["services"] if each["id"] == service.id)
    lines = {key: _plain(each) for key, each in value.items() if key not in {"id", *_WORDS}}
    words = {key: describe(service) for key, describe in _WORDS.items()}
    return {key: each for key, each in {**words, **lines}.items() if each}


def entry_line(entry: StatusEntry) -> str:
    """One entry of a history with its terms."""
    parts = [
        gettext(_("%(status)s from %(start)s"), status=_status(entry), start=format_datetime(entry.start))
    ]
    if entry.accept_existing:
        parts.append(gettext(_("existing certificates stay accepted")))
    if entry.existing_until is not None:
        until = format_datetime(entry.existing_until)
        parts.append(gettext(_("existing certificates accepted until %(until)s"), until=until))
    if entry.taken_over_by is not None:
        parts.append(gettext(_("taken over by %(authority)s"), authority=entry.taken_over_by))
    return gettext(_("; ")).join(parts)


def fingerprint_of(der: bytes) -> str:
    """SHA-256 in groups of four digits, to be read aloud."""
    digest = hashlib.sha256(der).hexdigest()
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))


def _status(entry: StatusEntry) -> str:
    return gettext(status_name(entry.status.value))


def _certificates(service: DraftService) -> tuple[str, ...]:
    return tuple(_certificate(pem) for pem in service.certificates_pem)


def _certificate(pem: str) -> str:
    try:
        parsed = parse_certificate(pem.encode("ascii"))
    except VerifyError as exc:
        return exc.code
    return gettext(
        _("%(subject)s, valid %(begin)s to %(end)s, SHA-256 %(fingerprint)s"),
        subject=parsed.subject_text,
        begin=_day(parsed.not_before),
        end=_day(parsed.not_after),
        fingerprint=fingerprint_of(parsed.der),
    )


def _day(at: datetime) -> str:
    return format_date(at)


def _history(service: DraftService) -> tuple[str, ...]:
    return tuple(entry_line(entry) for entry in sorted(service.history, key=lambda entry: entry.start))


def _contact(service: DraftService) -> tuple[str, ...]:
    contact = service.contact
    rows = (
        (_("Hotline"), contact.hotline),
        (_("E-mail"), contact.email),
        (_("Website"), contact.website),
    )
    return tuple(_pair(gettext(label), value) for label, value in rows if value)


def _supply(service: DraftService) -> tuple[str, ...]:
    return tuple(_pair(supply_name(kind.value), url) for kind, url in service.supply_points)


def _issuance_log(service: DraftService) -> tuple[str, ...]:
    return (gettext(_("every issuance must be on record")),) if service.issuance_log else ()


def _samples(service: DraftService) -> tuple[str, ...]:
    return tuple(_sample(sample) for sample in service.samples)


def _sample(sample: Sample) -> str:
    expected = sample.refused or " ".join(filter(None, (sample.id, sample.holder_class)))
    return _pair(_certificate(sample.certificate_pem), f"→ {expected}")


def _profile(service: DraftService) -> tuple[str, ...]:
    return profile_lines(service.identity_profile) if service.identity_profile is not None else ()


def _texts(text: LocalText) -> tuple[str, ...]:
    return (text.zh, text.en)


def _pair(label: str, value: str) -> str:
    return gettext(_("%(label)s: %(value)s"), label=label, value=value)


def _plain(value: Any, label: str = "") -> tuple[str, ...]:
    """A field without words of its own: each value on a line, with its keys in front."""
    if isinstance(value, Mapping) and not label and _is_row(value):
        return (", ".join(f"{key}: {each}" for key, each in value.items()),)
    if isinstance(value, Mapping):
        lines = [line for key, each in value.items() for line in _plain(each, f"{label}.{key}".lstrip("."))]
        return tuple(lines)
    if isinstance(value, (list, tuple)):
        return tuple(line for each in value for line in _plain(each, label))
    text = "–" if value is None else str(value)
    text = text if len(text) <= 400 else f"{text[:400]}…"
    return (f"{label}: {text}",) if label else (text,)


def _is_row(value: Mapping[str, Any]) -> bool:
    """Small enough for one line, such as an algorithm with its end."""
    return all(isinstance(each, (str, int)) and len(str(each)) < 60 for each in value.values())


_WORDS: Mapping[str, Callable[[DraftService], tuple[str, ...]]] = {
    "name": lambda service: _texts(service.name),
    "entity": lambda service: _texts(service.entity),
    "history": _history,
    "certificate_pem": _certificates,
    "identity_profile": _profile,
    "supply_points": _supply,
    "contact": _contact,
    "issuance_log": _issuance_log,
    "samples": _samples,
}
