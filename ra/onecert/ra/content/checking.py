"""What is applied for: the checked content of an application, its hash and what an order takes from it.

`check_content` turns what was typed into `CheckedContent` or into a list of faults, all at once, each with
its field. The hash is SHA-256 over canonical JSON and covers every field, the request and the salt: what a
second person approves is exactly this. The salt is random and sealed with the personal fields; without it
the public hash in order and audit trail would let anyone who has the rest try out id-card numbers.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from onecert.ra.content import ids
from onecert.ra.content.csr import CertificateRequest, RequestFault, load_request
from onecert.ra.content.fields import FIELDS, Field, Kind
from onecert.ra.content.text import clean, describe, find_foreign_characters
from onecert.ra.errors import FieldFault
from onecert.server.languages import _
from onecert.verifier.identity.errors import InvalidIdError

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_POSTCODE = re.compile(r"[0-9]{6}")
_CODES = frozenset({"uscc", "idcard"})


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


def canonical_json(value: Any) -> bytes:
    """One byte string for one value: sorted keys, no blanks, UTF-8 (RFC 8785 for strings and objects)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def display_name(kind: Kind, values: Mapping[str, str]) -> str:
    """The organisation's or the person's name, empty while nothing was typed."""
    return values.get("organization_name" if kind is Kind.ORGANISATION else "name", "")


def check_content(
    kind: Kind, authority: str, raw: Mapping[str, str], csr: str | bytes, *, at: date, test_ids: bool
) -> Outcome:
    """Check everything that was typed; never raises for bad input.

    Args:
        kind: the application type; fields that it does not have are faults, so that nothing typed is lost.
        authority: name of the CA, already known to exist.
        raw: field name to text as typed.
        csr: PEM or DER of the PKCS#10 request; empty counts as missing.
        at: the day of the check, for dates inside id numbers.
        test_ids: accept region 999999, which no real person has.
    """
    values: dict[str, str] = {}
    faults: list[FieldFault] = []
    notes: list[Note] = []
    known = {field.name for field in FIELDS[kind]}
    faults += [
        FieldFault(
            name,
            "FIELD_UNKNOWN",
            _("This application type has no such field."),
            _("Leave it out, or choose another application type."),
            {"name": name},
        )
        for name in sorted(set(raw) - known)
        if raw[name].strip()
    ]
    for field in FIELDS[kind]:
        value, found, remarks = _check_field(field, raw.get(field.name, ""), at, test_ids=test_ids)
        if value:
            values[field.name] = value
        faults += found
        notes += remarks
    faults += _check_together(kind, values)
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


def _check_field(
    field: Field, raw: str, at: date, *, test_ids: bool
) -> tuple[str, list[FieldFault], list[Note]]:
    """Return the cleaned value (as typed when faulty, so that the form shows it again), faults and notes."""
    cleaned = clean(raw)
    if not cleaned.value:
        if not field.required:
            return "", [], []
        return "", [_missing(field)], []
    value, fault = cleaned.value, None
    if field.check in _CODES:
        try:
            value = ids.checked(field.check, raw.strip(), at=at, test_ids=test_ids)
        except InvalidIdError as refused:
            fault = ids.fault_of(field.name, refused)
    else:
        fault = _find_fault(field, value)
    if fault is not None:
        return value, [fault], []
    if cleaned.widened:
        return value, [], [Note(field.name, _("Full-width characters were changed to ASCII."))]
    return value, [], []


def _missing(field: Field) -> FieldFault:
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
    patterns = {
        "mobile": (_MOBILE, _("A mobile number has 11 digits and begins with 13 to 19.")),
        "email": (_EMAIL, _("This is not an e-mail address.")),
        "postcode": (_POSTCODE, _("A postcode has 6 digits.")),
    }
    if field.check in patterns:
        pattern, text = patterns[field.check]
        hint = _("Compare it with the application form, or leave an optional field empty.")
        return None if pattern.fullmatch(value) else FieldFault(field.name, "FIELD_FORM", text, hint)
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


def _check_together(kind: Kind, values: Mapping[str, str]) -> list[FieldFault]:
    """Rules that look at two fields."""
    if kind is Kind.CITIZEN and ids.looks_like_organisation(values.get("name", "")):
        return [
            FieldFault(
                "name",
                "NAME_NOT_A_PERSON",
                _("This looks like the name of an organisation."),
                _("Choose the organisation certificate, or enter the person's name."),
            )
        ]
    return []


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
