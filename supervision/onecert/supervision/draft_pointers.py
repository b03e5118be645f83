"""Pointers of a draft: other lists, and what ours grants them.

``supervision/README.md`` shows one in a draft. Whether its values are possible, the reader of lists says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onecert.verifier.strict_json import Node
from onecert.verifier.trust_list import LocalText, StatusEntry
from onecert.verifier.trust_list import vocabulary as v

__all__ = ["DraftPointer", "parse_pointer", "pointer_json", "pointer_payload"]

_ROOT_MAX = 1_500_000


@dataclass(frozen=True, kw_only=True)
class DraftPointer:
    """Another list; ``root`` is the base64 of its signed trust root, ``services`` empty for all its CAs."""

    id: str
    location: str
    operator: LocalText
    root: str
    history: tuple[StatusEntry, ...]
    id_types: tuple[str, ...]
    classes: tuple[str, ...]
    services: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()


def parse_pointer(
    node: Node, *, text: Callable[[Node, str], LocalText], entry: Callable[[Node], StatusEntry]
) -> DraftPointer:
    """Read a pointer; whether its values are possible, the reader of lists says.

    Args:
        text, entry: read a text in two languages and an entry of a history, as elsewhere in a draft.

    Raises:
        StrictJsonError: with the place and the fault.
    """
    with node:
        return DraftPointer(
            id=node.text("id", max_length=31),
            location=node.text("location"),
            operator=text(node, "operator"),
            root=node.text("root", max_length=_ROOT_MAX),
            history=tuple(entry(item) for item in node.nodes("history", low=1, high=100)),
            id_types=node.texts("id_types", low=1),
            classes=node.texts("classes", low=1),
            services=node.texts("services", high=500, default=[]),
            policies=node.texts("policies", default=[]),
        )


def pointer_json(pointer: DraftPointer, entry: Callable[[StatusEntry], dict[str, str]]) -> dict[str, Any]:
    """The pointer as JSON of a draft; ``parse_pointer`` reads it back."""
    return {
        "id": pointer.id,
        "location": pointer.location,
        "operator": {"zh": pointer.operator.zh, "en": pointer.operator.en},
        "root": pointer.root,
        "history": [entry(item) for item in pointer.history],
        **_scope(pointer),
    }


def pointer_payload(
    pointer: DraftPointer,
    *,
    texts: Callable[[LocalText], Any],
    entry: Callable[[StatusEntry], dict[str, Any]],
) -> dict[str, Any]:
    """The pointer in the names of the list.

    Args:
        texts, entry: write texts and entries of a history as elsewhere in the list.
    """
    terms = {
        "id": pointer.id,
        "root": pointer.root,
        "history": [entry(item) for item in pointer.history],
        **_scope(pointer),
    }
    return {
        "LoTELocation": pointer.location,
        "SchemeOperatorName": texts(pointer.operator),
        "PointerExtensions": [{"Type": v.EXT_POINTER_TERMS, "Critical": True, "Value": terms}],
    }


def _scope(pointer: DraftPointer) -> dict[str, list[str]]:
    found = {"id_types": pointer.id_types, "classes": pointer.classes}
    if pointer.services:
        found["services"] = pointer.services
    if pointer.policies:
        found["policies"] = pointer.policies
    return {key: list(values) for key, values in found.items()}
