"""What is applied for: the checked content of an application, its hash and what an order takes from it.

`check_content` turns what was typed into `CheckedContent` or into a list of faults, all at once, each with
its field. The hash is SHA-256 over canonical JSON and covers every field, the request and the salt: what a
second person approves is exactly this. The salt is random and sealed with the personal fields; without it
the public hash in order and audit trail would let anyone who has the rest try out id-card numbers.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from onecert.ra.content import ids
from onecert.ra.content.canonical import canonical_json
from onecert.ra.content.consent import ConsentTexts, packaged_texts
from onecert.ra.content.csr import CertificateRequest, RequestFault, load_request
from onecert.ra.content.fields import FIELDS, Field, Kind
from onecert.ra.content.forms import find_form_fault
from onecert.ra.content.text import clean, describe, find_foreign_characters
from onecert.ra.errors import FieldFault
from onecert.server.languages import _
from onecert.verifier.identity.errors import InvalidIdError

__all__ = [
    "CheckedContent",
    "Note",
    "Outcome",
    "canonical_json",
    "check_content",
    "check_field",
    "display_name",
    "order_identity",
    "order_subject",
]

_CODES = frozenset({"uscc", "idcard"})
_KNOWN = {kind: frozenset(field.name for field in fields) for kind, fields in FIELDS.items()}
_NAMED_BY = {Kind.ORGANISATION: "organization_name", Kind.DEVICE: "device_name"}


@dataclass(frozen=True)
class Note:
    """Something that was changed or is worth a look, shown next to its field; never a refusal."""

    field: str
    text: str


@dataclass(frozen=True)
class CheckedContent:
    """Content without a fault: every required field there, ids with right check digits, request sound."""

    kind: Kind
    authority: str
    values: Mapping[str, str]
    request: CertificateRequest

    @property
    def name(self) -> str:
        """The name that people look for: the organisation's, or the person's."""
        return display_name(self.kind, self.values)

    def as_json(self, salt: str) -> dict[str, Any]:
        """The frozen form that is hashed and shown."""
        return {
            "authority": self.authority,
            "csr_pem": self.request.pem,
            "fields": dict(sorted(self.values.items())),
            "salt": salt,
            "type": self.kind.value,
        }

    def sha256(self, salt: str, **further: Any) -> str:
        """Hex SHA-256 of the canonical JSON.

        Args:
            further: the certificate that this follows, and the evidence that came with it.
        """
        return hashlib.sha256(canonical_json({**self.as_json(salt), **further})).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """The result of checking: `content` is there exactly when `faults` is empty."""

    values: Mapping[str, str]
    faults: tuple[FieldFault, ...]
    notes: tuple[Note, ...]
    request: CertificateRequest | None
    content: CheckedContent | None


def display_name(kind: Kind, values: Mapping[str, str]) -> str:
    """The organisation's, the person's or the device's name, empty while nothing was typed."""
    return values.get(_NAMED_BY.get(kind, "name"), "")


def check_content(
    kind: Kind,
    authority: str,
    raw: Mapping[str, str],
    csr: str | bytes,
    *,
    at: date,
    test_ids: bool,
    required: Collection[str] = (),
    texts: ConsentTexts | None = None,
) -> Outcome:
    """Check everything that was typed; never raises for bad input.

    Args:
        kind: the application type; fields that it does not have are faults, so that nothing typed is lost.
        authority: name of the CA, already known to exist.
        raw: field name to text as typed.
        csr: PEM or DER of the PKCS#10 request; empty counts as missing.
        at: the day of the check, for dates inside id numbers.
        test_ids: accept region 999999, which no real person has.
        required: fields that are needed here besides those that are needed anywhere.
        texts: what applicants agree to; the packaged texts by default.
    """
    values: dict[str, str] = {}
    faults: list[FieldFault] = []
    notes: list[Note] = []
    faults += [
        FieldFault(
            name,
            "FIELD_UNKNOWN",
            _("This application type has no such field."),
            _("Leave it out, or choose another application type."),
            {"name": name},
        )
        for name in sorted(raw.keys() - _KNOWN[kind])
        if raw[name].strip()
    ]
    for field in FIELDS[kind]:
        typed = raw.get(field.name)
        if typed:
            value, found, remarks = check_field(field, typed, at, test_ids=test_ids)
            faults += found
            notes += remarks
            if value:
                values[field.name] = value
            if value or found:
                continue
        if field.name in required or is_needed(field, raw):
            faults.append(_missing(field))
    faults += check_together(kind, values, texts or packaged_texts())
    request, fault = _check_request(csr)
    if fault is not None:
        faults.append(fault)
    elif request is not None:
        notes += [Note("csr", text) for text in request.notes]
    content = None
    if not faults and request is not None:
        content = CheckedContent(kind, authority, values, request)
    return Outcome(values, tuple(faults), tuple(notes), request, content)


def _check_request(csr: str | bytes) -> tuple[CertificateRequest | None, FieldFault | None]:
    if not csr or not csr.strip():
        return None, FieldFault(
            "csr",
            "CSR_MISSING",
            _("The certificate request (CSR) is missing."),
            _("Paste it or choose the file that the applicant's software made (PKCS#10, PEM or DER)."),
        )
    try:
        return load_request(csr), None
    except RequestFault as refused:
        return None, refused.fault


def check_field(
    field: Field, raw: str, at: date, *, test_ids: bool
) -> tuple[str, list[FieldFault], list[Note]]:
    """One field by itself: the cleaned value (as typed when faulty, so that the form shows it again), faults
    and notes. An empty value has no fault here; whether it is needed depends on the others."""
    if not raw or not (cleaned := clean(raw)).value:
        return "", [], []
    value, fault, text = cleaned.value, None, cleaned.note
    if field.check in _CODES:
        try:
            value = ids.checked(field.check, raw.strip(), at=at, test_ids=test_ids)
        except InvalidIdError as refused:
            fault = ids.fault_of(field.name, refused)
        else:
            text = text or (_("Written in its one spelling.") if value != cleaned.value else "")
    else:
        fault = _find_fault(field, value)
    if fault is not None:
        return value, [fault], []
    return value, [], [Note(field.name, text)] if text else []


def is_needed(field: Field, raw: Mapping[str, str]) -> bool:
    """Whether a field must hold something, given what the others hold."""
    if field.name == "agent_idcard":
        return raw.get("agent_id_type", "") in {"", "idcard"}
    if field.name == "agent_id_no":
        return raw.get("agent_id_type", "") not in {"", "idcard"}
    if field.name == "consent_version":
        return bool(raw.get("consent"))
    if field.name in {"recipient", "delivery_address"}:
        return raw.get("delivery", "") == "post"
    return field.required


def _missing(field: Field) -> FieldFault:
    if field.group == "consent":
        return FieldFault(
            field.name,
            "CONSENT_MISSING",
            _("The applicant's consent is missing."),
            _("Let the applicant read and sign both texts, then say how the consent was given."),
        )
    hint = _("Take it from the applicant's papers; without it the application can only be kept as a draft.")
    return FieldFault(field.name, "FIELD_MISSING", _("This field is needed."), hint)


def _find_fault(field: Field, value: str) -> FieldFault | None:
    if len(value) > field.max_length:
        return FieldFault(
            field.name,
            "FIELD_TOO_LONG",
            _("At most %(limit)s characters; this has %(length)s."),
            _("Use the registered short form; a certificate cannot hold more (RFC 5280, upper bounds).")
            if field.max_length in {64, 128}
            else _("Shorten it."),
            {"limit": field.max_length, "length": len(value)},
        )
    is_judged, fault = find_form_fault(field, value)
    if is_judged:
        return fault
    foreign = find_foreign_characters(value, field.check)
    if foreign:
        return FieldFault(
            field.name,
            "FIELD_ALPHABET",
            _("These characters cannot be used here: %(characters)s."),
            _("Use Chinese characters, Latin letters, digits and the usual name marks."),
            {"characters": ", ".join(describe(char) for char in foreign[:5])},
        )
    return None


def check_together(kind: Kind, values: Mapping[str, str], texts: ConsentTexts) -> list[FieldFault]:
    """Rules that look at two fields, or at what is on record elsewhere."""
    faults = []
    if kind is Kind.CITIZEN and ids.looks_like_organisation(values.get("name", "")):
        faults.append(
            FieldFault(
                "name",
                "NAME_NOT_A_PERSON",
                _("This looks like the name of an organisation."),
                _("Choose the organisation certificate, or enter the person's name."),
            )
        )
    service, certificate = values.get("service_months", ""), values.get("certificate_months", "")
    if _is_number(service) and _is_number(certificate) and int(service) < int(certificate):
        faults.append(
            FieldFault(
                "service_months",
                "FIELD_TERM",
                _("The service ends before the certificate does."),
                _("Make it at least as long as the certificate's term."),
            )
        )
    version = values.get("consent_version", "")
    if version and texts.find(version) is None:
        faults.append(
            FieldFault(
                "consent_version",
                "CONSENT_UNKNOWN",
                _("There is no version “%(version)s” of the texts that applicants agree to."),
                _("In force now: %(present)s."),
                {"version": version[:32], "present": texts.present},
            )
        )
    return faults


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def order_subject(content: CheckedContent) -> dict[str, str]:
    """The subject names of the certificate that the CA is asked for."""
    values = content.values
    subject = {"common_name": content.name, "country": "CN"}
    if content.kind is not Kind.CITIZEN:
        subject["organization"] = values["organization_name"]
    for wire, name in (
        ("organizational_unit", "organizational_unit"),
        ("locality", "locality"),
        ("state_or_province", "state_or_province"),
    ):
        if values.get(name):
            subject[wire] = values[name]
    return subject


def order_identity(content: CheckedContent) -> dict[str, str]:
    """The identity numbers; which extension each one goes to is the CA's profile."""
    names = ("uscc", "idcard", "agent_idcard")
    return {name: content.values[name] for name in names if content.values.get(name)}
