"""Identity extensions: how each authority writes who the holder is, in the form of its own.

The forms are those met in the field: a unique entity identifier with its grammar (`seq@code4 type2 flag
value`), a CHOICE or SET around a PrintableString (GM/T 0015), a bare string in a private extension, and a
class code. Which form an authority uses is data of its profiles. Left out: BMPString, UTF-16 and raw text,
which only old certificates have and nobody should write.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from onecert.ca import der
from onecert.ca.errors import FieldMissingError, FieldNotAllowedError, IdentityValueError
from onecert.verifier.identity.check_digits import check_idcard, check_officer, check_passport, check_uscc
from onecert.verifier.identity.errors import InvalidIdError

# The values an order may carry, and the number that each of them is.
VALUES: Mapping[str, str] = {
    "uscc": "uscc",
    "idcard": "idcard",
    "agent_idcard": "idcard",
    "passport": "passport",
    "officer": "officer",
}

_SYNTAXES: Mapping[str, Callable[[str], bytes]] = {
    "utf8": der.utf8,
    "printable": der.printable,
    "ia5": der.ia5,
    "choice-implicit": lambda text: der.implicit(0, text.encode("ascii")),
    "choice-explicit": lambda text: der.explicit(0, der.printable(text)),
    "set-explicit": lambda text: der.tlv(der.SET, der.explicit(0, der.printable(text))),
    "sequence-explicit": lambda text: der.sequence(der.explicit(0, der.printable(text))),
}
SYNTAXES = frozenset(_SYNTAXES)
_TAGS = {
    "utf8": der.UTF8_STRING,
    "printable": der.PRINTABLE_STRING,
    "ia5": der.IA5_STRING,
    "choice-implicit": 0x80,
}

_UID = re.compile(r"([1-9][0-9]{0,9})@([0-9A-Za-z]{4})([A-Z]{2})([01])(.{1,172})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class IdentityForm:
    """One extension that carries one identity value.

    Attributes:
        oid: the extension's type.
        value: which value of the order goes in, or `class` for the constant `text`.
        syntax: one of `SYNTAXES`.
        uid: the value is wrapped in the grammar of the unique entity identifier.
        code: the four characters that name the CA in that grammar.
        type: the two letters that name the kind of number.
        base64: flag 1: the value is written as base64 of its UTF-8 form.
        first_key: the number that the holder's first key gets; 10001 is seen as well as 1.
        text: the constant of a class extension.
    """

    oid: str
    value: str
    syntax: str
    uid: bool = False
    code: str = ""
    type: str = ""
    base64: bool = False
    first_key: int = 1
    text: str = ""

    def spelled(self, values: Mapping[str, str], key_number: int) -> str | None:
        """Tell the text that goes into the extension, or None when the order has no such value."""
        if self.value == "class":
            return self.text
        value = values.get(self.value)
        if value is None or not self.uid:
            return value
        flag, shown = ("1", base64.b64encode(value.encode()).decode()) if self.base64 else ("0", value)
        return f"{self.first_key + key_number - 1}@{self.code}{self.type}{flag}{shown}"

    def extension_der(self, values: Mapping[str, str], key_number: int) -> bytes | None:
        """Encode the whole extension, or None when the order has no such value."""
        text = self.spelled(values, key_number)
        return None if text is None else der.extension(self.oid, _SYNTAXES[self.syntax](text))

    def find_fault(self, value_der: bytes, values: Mapping[str, str], key_number: int) -> str | None:
        """Read an extension value back and tell what is wrong with it, for the lint; None: nothing."""
        try:
            text = read_value(value_der, self.syntax)
        except (der.DerError, UnicodeError) as exc:
            return f"{self.oid} is not {self.syntax}: {exc}"
        if not self.uid:
            return None if text == self.spelled(values, key_number) else f"{self.oid} has another value"
        match = _UID.fullmatch(text)
        if not match:
            return f"{self.oid} does not follow the grammar of the unique entity identifier"
        seq, code, kind, flag, shown = match.groups()
        try:
            value = base64.b64decode(shown, validate=True).decode() if flag == "1" else shown
        except ValueError:
            return f"{self.oid} has bad base64"
        expected = (self.first_key + key_number - 1, self.code, self.type, values.get(self.value))
        return None if (int(seq), code, kind, value) == expected else f"{self.oid} has another value"


def read_value(value_der: bytes, syntax: str) -> str:
    """Read the text out of an extension value of this syntax; written apart from the writers above."""
    if syntax in {"set-explicit", "sequence-explicit"}:
        value_der = der.content_of(value_der, der.SET if syntax == "set-explicit" else der.SEQUENCE)
        syntax = "choice-explicit"
    if syntax == "choice-explicit":
        value_der, syntax = der.content_of(value_der, 0xA0), "printable"
    content = der.content_of(value_der, _TAGS[syntax])
    return content.decode("utf-8" if syntax == "utf8" else "ascii")


def checked_identity(
    given: Mapping[str, str],
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    at: date,
    test_identities: bool,
) -> dict[str, str]:
    """Check the identification numbers of an order; return each in its one spelling.

    Raises:
        FieldMissingError, FieldNotAllowedError, IdentityValueError
    """
    for field in given:
        if field not in required and field not in optional:
            raise FieldNotAllowedError(f"identity.{field}")
    for field in required:
        if not given.get(field):
            raise FieldMissingError(f"identity.{field}")
    return {
        field: _checked(field, value, at=at, test_identities=test_identities)
        for field, value in given.items()
        if value
    }


def _checked(field: str, value: str, *, at: date, test_identities: bool) -> str:
    try:
        match VALUES[field]:
            case "uscc":
                checked = check_uscc(value, at=at)
            case "idcard":
                checked = check_idcard(value, at=at, test_ids=test_identities)
            case "passport":
                checked = check_passport(value)
            case _:
                checked = check_officer(value)
    except InvalidIdError as exc:
        raise IdentityValueError(field) from exc
    # The registration authority has spelled it already; a number that still needs correcting was not approved
    # as it would be printed.
    if checked != value:
        raise IdentityValueError(field)
    return checked


def entity_of(holder: str, identity: Mapping[str, str], common_name: str, profile: str) -> str:
    """Name the legal entity or person behind a certificate, for the rule that a key has one holder."""
    match holder:
        case "organisation":
            return f"uscc:{identity['uscc']}"
        case "employee":
            return f"employee:{identity['uscc']}:{identity['idcard']}"
        case "citizen":
            kind = next(kind for kind in ("idcard", "passport", "officer") if kind in identity)
            return f"{kind}:{identity[kind]}"
        case "device":
            return f"device:{identity['uscc']}:{common_name}"
    return f"system:{profile}:{common_name}"
