"""One row of a table: what it says, and everything that is wrong with it. Pure: other processes can do it.

    checked = check_rows(RowsWork(...))      # one `CheckedRow` for each row, in order

The content is checked by the same function as a form (`content/checking.py`), and its hash is already that of
the application that the row becomes: the salt of a row is derived from the salt of its batch. Duplicates need
the database and are looked for by `work.py`.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date
from functools import cache
from typing import Any

from onecert.ra.batches.reading import CUT, DAMAGED
from onecert.ra.content.checking import CheckedContent, check_content, display_name
from onecert.ra.content.consent import ConsentTexts
from onecert.ra.content.fields import ALL_FIELDS, FIELDS, KIND_NAMES, Kind
from onecert.ra.content.ids import masked_idcard
from onecert.ra.errors import FieldFault
from onecert.server.languages import _, set_language, translate

__all__ = [
    "CheckedRow",
    "Remark",
    "RowRules",
    "RowsWork",
    "TypedRow",
    "check_rows",
    "fields_of",
    "find_damage",
    "request_of",
    "row_salt",
]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ONE_LINE = re.compile(
    r"-+BEGIN (?:NEW )?CERTIFICATE REQUEST-+([A-Za-z0-9+/=\s]+)-+END (?:NEW )?CERTIFICATE REQUEST-+"
)
_BASE64 = re.compile(r"MI[A-Za-z0-9+/=\s]+")
_ROUNDED = re.compile(r"[1-9][0-9]{14}000")
_NUMBERS = frozenset({"idcard", "agent_idcard", "uscc"})
_ENTITY = ("uscc", "idcard", "device_name", "organization_name", "consent_version", "certificate_months")


@dataclass(frozen=True)
class TypedRow:
    """A row as it stands in the table; `request` is the file beside the table that its key names."""

    number: int
    cells: Sequence[str]
    request: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class RowRules:
    """What holds for applications here, besides what holds anywhere."""

    test_ids: bool = False
    required: Mapping[Kind, frozenset[str]] = dataclass_field(default_factory=dict)
    texts: ConsentTexts | None = None


@dataclass(frozen=True, kw_only=True)
class RowsWork:
    """Rows to check, with all that the check needs."""

    kind: Kind
    authority: str
    fields: Sequence[str | None]  # of each column
    rows: Sequence[TypedRow]
    at: date
    rules: RowRules
    salt: bytes
    with_requests: bool  # whether an archive of requests came beside the table
    defaults: Mapping[str, str] = dataclass_field(default_factory=dict)  # what the clerk said for all rows
    with_content: bool = False  # whether the checked content is wanted, too


@dataclass(frozen=True)
class Remark:
    """Something about a row: `level` is error, duplicate or warning; texts are messages with named facts."""

    level: str
    field: str
    code: str
    text: str
    hint: str = ""
    facts: Mapping[str, Any] = dataclass_field(default_factory=dict)

    def as_json(self) -> list[Any]:
        return [self.level, self.field, self.code, str(self.text), str(self.hint), dict(self.facts)]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> "Remark":
        return cls(*value)


@dataclass(frozen=True, kw_only=True)
class CheckedRow:
    """What came of one row. `entity` never leaves memory; `content` is there when asked for and nothing is
    wrong."""

    number: int
    name: str
    masked: str
    entity: Mapping[str, str]  # what `entity_key` and the policy look at, of the fields without a fault
    key_sha256: str | None
    content_sha256: str | None
    remarks: tuple[Remark, ...]
    content: CheckedContent | None


def row_salt(batch_salt: bytes, number: int) -> str:
    """The salt of the application that a row becomes, hex: nobody without the batch's salt can guess it."""
    return hmac.new(batch_salt, str(number).encode(), hashlib.sha256).hexdigest()[:32]


def check_rows(work: RowsWork) -> list[CheckedRow]:
    """Check each row by itself; never raises for what is typed."""
    return [_check_row(work, row) for row in work.rows]


def _check_row(work: RowsWork, row: TypedRow) -> CheckedRow:
    cells = {name: cell for name, cell in zip(work.fields, row.cells, strict=False) if name and cell}
    typed = {**work.defaults, **{name: _choice(name, cell) for name, cell in cells.items()}}
    key, csr = typed.pop("key", ""), typed.pop("csr", "")
    faults = _own_columns(work, typed.pop("authority", ""), typed.pop("type", ""))
    damaged = [fault for name, cell in typed.items() if (fault := find_damage(name, cell))]
    request = row.request if row.request is not None else request_of(csr)
    if work.with_requests and key and row.request is None and not csr:
        faults.append(_missing_request(key))
    hurt = {fault.field for fault in damaged}
    outcome = check_content(
        work.kind,
        work.authority,
        {name: "" if name in hurt else cell for name, cell in typed.items()},
        request,
        at=work.at,
        test_ids=work.rules.test_ids,
        required=work.rules.required.get(work.kind, frozenset()),
        texts=work.rules.texts,
    )
    # A field that came damaged is named once, and not as missing on top of that.
    taken = {fault.field for fault in (*damaged, *faults)}
    found = [
        *faults,
        *damaged,
        *(_explained(fault, typed) for fault in outcome.faults if fault.field not in taken),
    ]
    remarks = [Remark("error", f.field, f.code, f.text, f.hint, f.facts) for f in found]
    remarks += [Remark("warning", n.field, "NOTE", n.text) for n in outcome.notes if n.field != "csr"]
    content = outcome.content if not found else None
    bad = {fault.field for fault in found}
    sound = {name: value for name, value in outcome.values.items() if name not in bad}
    name = "".join(char for char in display_name(work.kind, outcome.values) if char.isprintable())[:128]
    idcard = sound.get("idcard") if work.kind is not Kind.ORGANISATION else None
    return CheckedRow(
        number=row.number,
        name=name,
        masked=masked_idcard(idcard) if idcard else sound.get("uscc", ""),
        entity={name: sound[name] for name in _ENTITY if name in sound},
        key_sha256=outcome.request.key_sha256 if outcome.request else None,
        content_sha256=content.sha256(row_salt(work.salt, row.number)) if content else None,
        remarks=tuple(remarks),
        content=content if work.with_content else None,
    )


def _own_columns(work: RowsWork, authority: str, kind: str) -> list[FieldFault]:
    """A batch is for one authority and one type; a row that names another one does not belong to it."""
    faults = []
    if authority and authority != work.authority:
        hint = _("Put rows for another authority into a batch of its own.")
        text = _("This row is for the authority “%(name)s”, the batch is for “%(batch)s”.")
        facts = {"name": authority[:40], "batch": work.authority}
        faults.append(FieldFault("authority", "AUTHORITY_OTHER", text, hint, facts))
    if kind and kind not in _names_of(work.kind):
        text = _("This row is for another type of certificate than the batch.")
        hint = _("Put rows of another type into a batch of its own.")
        faults.append(FieldFault("type", "TYPE_OTHER", text, hint))
    return faults


@cache
def _choices(name: str) -> Mapping[str, str]:
    """What people write, in either language -> the value of a field with choices."""
    field_ = ALL_FIELDS.get(name)
    if field_ is None:
        return {}
    found: dict[str, str] = {}
    for value, label in field_.choices.items():
        found |= {value: value, str(label): value}
        with set_language("zh", "onecert.ra"):
            found[translate(label)] = value
    return found


def _choice(name: str, cell: str) -> str:
    return _choices(name).get(cell, cell)


@cache
def _names_of(kind: Kind) -> set[str]:
    names = {kind.value, str(KIND_NAMES[kind])}
    with set_language("zh", "onecert.ra"):
        names.add(translate(KIND_NAMES[kind]))
    return names


def find_damage(name: str, cell: str) -> FieldFault | None:
    """What the spreadsheet program, or somebody who means harm, put into a cell."""
    if cell.startswith(DAMAGED):
        return _damaged(name)
    if cell.startswith(CUT):
        return FieldFault(
            name, "CELL_TOO_LONG", _("The cell holds far more text than the field can."), _("Shorten it.")
        )
    if cell.startswith(_FORMULA):
        return FieldFault(
            name,
            "CELL_FORMULA",
            _("The text begins like a formula (%(char)s)."),
            _("Begin it with another character; spreadsheet programs would carry it out."),
            {"char": cell[0] if cell[0].isprintable() else "TAB"},
        )
    return None


def _damaged(name: str) -> FieldFault:
    return FieldFault(
        name,
        "NUMBER_ROUNDED",
        _("The spreadsheet program turned this number into a rounded one; its last digits are lost."),
        _("Format the column as text and enter the number again from the document; the template has it so."),
    )


def _explained(fault: FieldFault, typed: Mapping[str, str]) -> FieldFault:
    """18 digits that end in 000 and have a wrong check digit were rounded, not mistyped."""
    if (
        fault.code in {"ID_CHECK_DIGIT", "ID_DATE"}
        and fault.field in _NUMBERS
        and _ROUNDED.fullmatch(typed.get(fault.field, ""))
    ):
        return _damaged(fault.field)
    if fault.code == "FIELD_UNKNOWN" and fault.field not in ALL_FIELDS:
        return FieldFault(fault.field, fault.code, fault.text, fault.hint)
    return fault


def _missing_request(key: str) -> FieldFault:
    return FieldFault(
        "csr",
        "CSR_MISSING",
        _("The archive has no request called “%(key)s”."),
        _("The name in the column “Request file” must be the file's name without its ending."),
        {"key": key[:64]},
    )


def request_of(text: str) -> str | bytes:
    """A request in a cell: PEM with or without its line breaks, or base64 in one line."""
    found = _ONE_LINE.search(text)
    body = found[1] if found else text if _BASE64.fullmatch(text) else None
    if body is None:
        return text
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return text


def fields_of(kind: Kind) -> list[str]:
    """The fields of a type in the order of the template, with the columns for requests at the end."""
    return [*(each.name for each in FIELDS[kind]), "key", "csr"]
