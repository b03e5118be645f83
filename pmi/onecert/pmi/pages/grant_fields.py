"""Attributes of the catalogue as fields of a form, and what was typed into them as JSON values.

A value that the catalogue lists is chosen; another is typed, one a line: texts as they are, whole numbers as
digits, structured values as JSON (``{"policy": "1.2.3", "classes": ["secret"]}``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onecert.pmi.catalogue.content import CatalogueAttribute
from onecert.pmi.errors import RequestWrongError
from onecert.server.languages import Message, _, current_language, gettext

__all__ = ["AttributeField", "fields_of", "read_values"]

_STRUCTURED = frozenset({"service", "clearance"})
_HINTS: Mapping[str, Message] = {
    "integer": _("a whole number"),
    "uri": _("an address such as https://example.cn/unit"),
    "oid": _("an object identifier such as 1.2.3"),
    "printable": _("Latin letters, digits, spaces and '()+,-./:=?"),
    "ia5": _("Latin characters without spaces"),
    "service": _('JSON, such as {"service": {"uri": "…"}, "ident": {"uri": "…"}}'),
    "clearance": _('JSON, such as {"policy": "1.2.3", "classes": ["secret"]}'),
}


@dataclass(frozen=True, kw_only=True)
class AttributeField:
    """One attribute in a form. ``options`` are empty when its values are typed, else (value, text)."""

    name: str
    title: str
    hint: str
    options: Sequence[tuple[str, str]]
    multiple: bool
    given: Sequence[str]

    @property
    def text(self) -> str:
        """What was typed, one value a line."""
        return "\n".join(self.given)


def fields_of(
    attributes: Sequence[CatalogueAttribute], given: Mapping[str, Sequence[str]]
) -> list[AttributeField]:
    """The fields of these attributes, filled with what was typed before."""
    return [
        AttributeField(
            name=each.name,
            title=each.title(current_language()),
            hint=_hint(each),
            options=_options(each),
            multiple=each.multiple,
            given=given.get(each.name, ()),
        )
        for each in attributes
    ]


def _options(attribute: CatalogueAttribute) -> list[tuple[str, str]]:
    if attribute.values:
        return [
            (json.dumps(value, ensure_ascii=False, sort_keys=True), _text(value))
            for value in attribute.values
        ]
    if attribute.syntax == "boolean":
        return [("true", gettext(_("yes"))), ("false", gettext(_("no")))]
    return []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _hint(attribute: CatalogueAttribute) -> str:
    language = current_language()
    hints = [attribute.description_en if language == "en" else attribute.description_zh]
    if not attribute.values and attribute.syntax in _HINTS:
        hints.append(gettext(_HINTS[attribute.syntax]))
    if attribute.multiple and not attribute.values:
        hints.append(gettext(_("one value a line")))
    if attribute.encrypted:
        hints.append(gettext(_("only the recipient named below can read it")))
    if attribute.second_person:
        hints.append(gettext(_("needs a second person")))
    hints.append(gettext(_("%(days)s days at most"), days=attribute.max_days))
    return " · ".join(hint for hint in hints if hint)


def read_values(attribute: CatalogueAttribute, given: Sequence[str]) -> list[Any]:
    """The JSON values of what was typed or chosen; empty lines are none.

    Raises:
        RequestWrongError: for the field of this attribute.
    """
    lines = [line.strip() for text in given for line in text.splitlines()]
    return [_value(attribute, line) for line in lines if line]


def _value(attribute: CatalogueAttribute, line: str) -> Any:
    is_json = attribute.values or attribute.syntax in {"boolean", "integer"} or line.startswith("{")
    if not is_json and attribute.syntax not in _STRUCTURED:
        return line
    try:
        return json.loads(line[:8192])
    except (ValueError, RecursionError) as exc:
        raise RequestWrongError(f"attribute-{attribute.name}", _("not a value of this attribute")) from exc
