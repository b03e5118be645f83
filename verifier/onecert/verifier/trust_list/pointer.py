"""Pointers to other lists (province, nation, Hong Kong), with what is granted to them here.

A pointer without terms is only said; one with terms can be followed: ``pointers.PointedTrustLists``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from onecert.verifier.errors import VerifyError
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.profile import HolderClass
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.fields import read_extensions, read_local_text, read_oids, read_url
from onecert.verifier.trust_list.history import check_history, read_history_entry
from onecert.verifier.trust_list.model import LocalText, StatusEntry, entry_at
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root

__all__ = ["MissingList", "Pointer", "PointerTerms", "check_pointers", "read_pointer"]

T = TypeVar("T")
_ID = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
_ID_TYPES = {kind.value: kind for kind in IdType}
_CLASSES = {kind.value: kind for kind in HolderClass}


@dataclass(frozen=True, kw_only=True)
class PointerTerms:
    """What another list is granted here.

    Args:
        id: its services are called ``<id>/<their id>``.
        root: the trust root from which that list's keys are walked.
        history: of the grant, as that of a service; where the two disagree the refusing one counts.
        services: only these, by their ids there; ``None`` for all CAs. A timestamp authority must be named.
        id_types, classes: their holders are named only within these.
        policies: a certificate must be valid for one of these; empty for no such demand.
    """

    id: str
    root: TrustRoot
    history: tuple[StatusEntry, ...]
    services: tuple[str, ...] | None
    id_types: frozenset[IdType]
    classes: frozenset[HolderClass]
    policies: tuple[str, ...] = ()

    def as_dict(self, at: datetime) -> dict[str, Any]:
        """For JSON."""
        entry = entry_at(self.history, at)
        return {
            "id": self.id,
            "root": {"version": self.root.version, "sha256": self.root.sha256},
            "status": entry.status.value if entry else None,
            "history": [entry.as_dict() for entry in self.history],
            "services": None if self.services is None else list(self.services),
            "id_types": sorted(self.id_types),
            "classes": sorted(self.classes),
            "policies": list(self.policies),
        }


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Another list, with keys of its own; ``location`` is its http or https address."""

    location: str
    operator: LocalText | None = None
    terms: PointerTerms | None = None

    def as_dict(self, at: datetime) -> dict[str, Any]:
        """For JSON."""
        return {
            "location": self.location,
            "operator": self.operator and {"zh": self.operator.zh, "en": self.operator.en},
            "terms": self.terms and self.terms.as_dict(at),
        }


@dataclass(frozen=True, kw_only=True)
class MissingList:
    """A list pointed to that cannot be used now, and why."""

    id: str
    error: VerifyError


def read_pointer(node: Node) -> Pointer:
    """Read one element of ``PointersToOtherLoTE``.

    Raises:
        StrictJsonError, VerifyError, CriticalExtensionError: it is none.
    """
    with node:
        location = read_url(node, "LoTELocation")
        operator = read_local_text(node, "SchemeOperatorName") if node.has("SchemeOperatorName") else None
        found = read_extensions(node, "PointerExtensions", known=(v.EXT_POINTER_TERMS,))
    terms = found.get(v.EXT_POINTER_TERMS)
    return Pointer(location=location, operator=operator, terms=None if terms is None else _terms(terms))


def check_pointers(pointers: Sequence[Pointer], where: str) -> None:
    """Two lists of one id could not be told apart.

    Raises:
        StrictJsonError: there are two.
    """
    ids = [pointer.terms.id for pointer in pointers if pointer.terms is not None]
    if len(set(ids)) != len(ids):
        raise StrictJsonError(where, "two lists have one id")


def _terms(node: Node) -> PointerTerms:
    with node:
        list_id = node.text("id", max_length=31)
        if _ID.fullmatch(list_id) is None:
            raise StrictJsonError(node.place("id"), "an id has lower-case letters, digits and -")
        history = [read_history_entry(item) for item in node.nodes("history", low=1, high=100)]
        history.sort(key=lambda entry: entry.start)
        check_history(list_id, history)
        return PointerTerms(
            id=list_id,
            root=_root(node),
            history=tuple(history),
            services=node.texts("services", low=1, high=500) if node.has("services") else None,
            id_types=frozenset(_members(node, "id_types", _ID_TYPES)),
            classes=frozenset(_members(node, "classes", _CLASSES)),
            policies=read_oids(node, "policies") if node.has("policies") else (),
        )


def _root(node: Node) -> TrustRoot:
    text = node.text("root", max_length=1_500_000)
    try:
        return load_trust_root(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as exc:
        raise StrictJsonError(node.place("root"), "not base64") from exc
    except VerifyError as exc:
        raise StrictJsonError(node.place("root"), f"not a trust root ({exc.code})") from exc


def _members(node: Node, key: str, known: dict[str, T]) -> list[T]:
    values = node.texts(key, low=1)
    unknown = set(values) - known.keys()
    if unknown:
        raise StrictJsonError(node.place(key), f"unknown: {', '.join(sorted(unknown))[:100]}")
    return [known[value] for value in values]
