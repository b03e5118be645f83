"""Reads what a relying party says of action, resource and context: small, flat, of plain types.

Nothing that is nested comes in: the engine would read ``{"__entity": …}`` as a reference to a holder or role.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from onecert.verifier.decision.errors import QuestionWrongError
from onecert.verifier.decision.question import Question, Resource

__all__ = ["check_question", "read_plain", "read_resource", "read_text"]

MAX_TEXT = 512
MAX_ENTRIES = 64
MAX_ITEMS = 256
MAX_VALUE = 8192
RESERVED_TYPES = frozenset({"Holder", "Role", "Action"})


def read_text(value: object, what: str) -> str:
    """Take a text of 1 to 512 printable characters. Raises QuestionWrongError."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise QuestionWrongError(detail=f"{what} is not a text of 1 to {MAX_TEXT} characters")
    return value


def read_resource(value: object) -> Resource:
    """Take a resource: ``{"type", "id", "attributes"}`` or ``"Type::id"``. Raises QuestionWrongError."""
    if isinstance(value, str):
        kind, separator, name = value.partition("::")
        if not separator:
            raise QuestionWrongError(detail='resource is not "Type::id"')
        return Resource(type=_type(kind), id=read_text(name.strip('"'), "resource id"))
    if not isinstance(value, Mapping) or value.keys() - {"type", "id", "attributes"}:
        raise QuestionWrongError(detail="resource has type, id and attributes")
    attributes = read_plain(value.get("attributes", {}), "resource attributes")
    return Resource(
        type=_type(value.get("type")), id=read_text(value.get("id"), "resource id"), attributes=attributes
    )


@lru_cache(maxsize=1024)
def _word(value: str) -> str:
    if not value.isidentifier() or not value.isascii() or len(value) > 64:
        raise QuestionWrongError(detail="the resource's type is not a word")
    if value in RESERVED_TYPES:
        raise QuestionWrongError(detail=f"{value} is not a resource")
    return value


def _type(value: object) -> str:
    if type(value) is not str:
        raise QuestionWrongError(detail="the resource's type is not a word")
    return _word(value)


def read_plain(value: object, what: str) -> dict[str, Any]:
    """Take a flat table of texts, whole numbers, truth values and lists of texts.

    Raises:
        QuestionWrongError: it is anything else, or too large.
    """
    _check_plain(value, what)
    return dict(value)  # type: ignore[call-overload,no-any-return]  # just checked


def _check_plain(value: object, what: str) -> None:
    if not isinstance(value, dict | MappingProxyType) or len(value) > MAX_ENTRIES:
        raise QuestionWrongError(detail=f"{what} is not a table of at most {MAX_ENTRIES} entries")
    for name, item in value.items():
        if not isinstance(name, str) or not 0 < len(name) <= 64 or name.startswith("__"):
            raise QuestionWrongError(detail=f"{what}: a name is not usable")
        if not _is_plain(item):
            raise QuestionWrongError(
                detail=f"{what}: {name} is not a text, a whole number, true, false or a list of texts"
            )


def _is_plain(item: object) -> bool:
    # `type(item) is` and not isinstance: a subclass could say one thing here and another to the engine.
    kind = type(item)
    if kind is bool:
        return True
    if kind is int:
        return -(2**63) <= item < 2**63  # type: ignore[operator]  # the type was just compared
    if kind is str:
        return len(item) <= MAX_VALUE  # type: ignore[arg-type]
    if kind is not list:
        return False
    texts: list[object] = item  # type: ignore[assignment]
    return (
        len(texts) <= MAX_ITEMS
        and all(type(part) is str for part in texts)
        and sum(map(len, texts)) <= MAX_VALUE  # type: ignore[arg-type]
    )


def check_question(question: Question) -> None:
    """Check what a relying party may have brought into a question. Raises QuestionWrongError."""
    if type(question.action) is not str or type(question.resource.id) is not str:
        raise QuestionWrongError(detail="action and resource id are texts")
    _type(question.resource.type)
    _check_plain(question.resource.attributes, "resource attributes")
    _check_plain(question.context, "context")
