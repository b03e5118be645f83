"""Two states of the list side by side, per service and field by field, in readable lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from onecert.server.languages import current_language
from onecert.supervision.described import describe_head, describe_service
from onecert.supervision.described_pointer import describe_pointer
from onecert.supervision.draft import Draft
from onecert.supervision.draft_pointers import DraftPointer

__all__ = ["FieldDifference", "Row", "ServiceDifference", "compare_drafts"]

Lines = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One line on each side; ``None`` where a side has none. Equal sides did not change."""

    old: str | None
    new: str | None

    @property
    def is_changed(self) -> bool:
        """The sides differ."""
        return self.old != self.new


@dataclass(frozen=True)
class FieldDifference:
    """A field that differs. ``key`` is that of the draft file."""

    key: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class ServiceDifference:
    """A service that differs; id "" is the head of the list. ``kind`` is added, removed or changed."""

    id: str
    name: str
    kind: str
    fields: tuple[FieldDifference, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "service": self.id,
            "kind": self.kind,
            "fields": {
                field.key: {
                    "old": [row.old for row in field.rows if row.old is not None],
                    "new": [row.new for row in field.rows if row.new is not None],
                }
                for field in self.fields
            },
        }


def compare_drafts(old: Draft | None, new: Draft) -> list[ServiceDifference]:
    """What differs, in the order of the new list; services that went come last."""
    differences = []
    head = _fields(describe_head(old) if old else {}, describe_head(new))
    if head:
        differences.append(ServiceDifference("", "", "changed", head))
    differences += _pointers(old.pointers if old else (), new.pointers)
    before = {service.id: service for service in old.services} if old else {}
    for service in new.services:
        past = before.pop(service.id, None)
        described = describe_service(past, old) if past is not None and old is not None else {}
        fields = _fields(described, describe_service(service, new))
        if fields:
            name = service.name.get(current_language())
            differences.append(
                ServiceDifference(service.id, name, "changed" if past is not None else "added", fields)
            )
    for gone in before.values():
        assert old is not None  # noqa: S101  it is from there
        fields = _fields(describe_service(gone, old), {})
        name = gone.name.get(current_language())
        differences.append(ServiceDifference(gone.id, name, "removed", fields))
    return differences


def _pointers(old: Sequence[DraftPointer], new: Sequence[DraftPointer]) -> list[ServiceDifference]:
    """Pointers that differ, by name of their list; their ids are those of lists, such as ``gd/``."""
    before, after = ({each.id: each for each in side} for side in (old, new))
    differences = []
    for key in dict.fromkeys((*after, *before)):
        past, now = before.get(key), after.get(key)
        fields = _fields(describe_pointer(past) if past else {}, describe_pointer(now) if now else {})
        kind = "added" if past is None else "removed" if now is None else "changed"
        name = (now or past).operator.get(current_language())  # type: ignore[union-attr]  # one is there
        if fields:
            differences.append(ServiceDifference(f"{key}/", name, kind, fields))
    return differences


def _fields(old: Mapping[str, Lines], new: Mapping[str, Lines]) -> tuple[FieldDifference, ...]:
    keys = dict.fromkeys((*new, *old))
    return tuple(
        FieldDifference(key, _rows(old.get(key, ()), new.get(key, ())))
        for key in keys
        if old.get(key, ()) != new.get(key, ())
    )


def _rows(old: Lines, new: Lines) -> tuple[Row, ...]:
    rows: list[Row] = []
    for _tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        left, right = list(old[a:b]), list(new[c:d])
        length = max(len(left), len(right))
        pad: list[str | None] = [None] * length
        rows += [Row(*pair) for pair in zip((left + pad)[:length], (right + pad)[:length], strict=True)]
    return tuple(rows)
