"""Texts of all reason codes in Chinese and English.

One JSON file per area in this folder, merged at first use. A row is ``code -> {"zh", "en"}`` with the
optional ``"hint_zh"`` and ``"hint_en"``; ``{name}`` stands for a fact of the error.
"""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources

__all__ = ["LANGUAGES", "codes", "harmless", "hint", "message", "row"]

LANGUAGES = ("zh", "en")

# A fact may come from a hostile certificate; the reader of a log line should see one line of it.
_FACT_MAX_CHARACTERS = 200
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, dict[str, str]]:
    merged: dict[str, dict[str, str]] = {}
    for entry in sorted(resources.files(__package__).iterdir(), key=lambda item: item.name):
        if not entry.name.endswith(".json"):
            continue
        rows: dict[str, dict[str, str]] = json.loads(entry.read_text(encoding="utf-8"))
        twice = merged.keys() & rows.keys()
        if twice:
            raise ValueError(f"{entry.name} repeats {', '.join(sorted(twice))}")
        merged.update(rows)
    return merged


def codes() -> frozenset[str]:
    """All codes that have a text."""
    return frozenset(_catalogue())


def row(code: str) -> dict[str, str]:
    """The texts of a code as they stand, with ``{name}`` for facts; empty for a code without a row."""
    return dict(_catalogue().get(code, {}))


def message(code: str, language: str = "en", **facts: object) -> str:
    """The text of a code. A code without a row answers with itself, a fact that is missing with "?", and a
    language without texts in English."""
    row = _catalogue().get(code, {})
    return _fill(row.get(language) or row.get("en", code), facts)


def hint(code: str, language: str = "en", **facts: object) -> str:
    """What a person can do about it; empty when the catalogue has no advice."""
    row = _catalogue().get(code, {})
    return _fill(row.get(f"hint_{language}") or row.get("hint_en", ""), facts)


def _fill(text: str, facts: dict[str, object]) -> str:
    return text.format_map(_Facts({name: _show(value) for name, value in facts.items()}))


def _show(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, (frozenset, set)):
        value = sorted(str(item) for item in value)
    if isinstance(value, (list, tuple)):
        value = ", ".join(str(item) for item in value)
    return harmless(str(value), _FACT_MAX_CHARACTERS)


def harmless(text: str, max_characters: int) -> str:
    """Text from anybody, fit for one line of a log or a terminal: control and direction characters replaced,
    and no longer than this."""
    # Cut first: a hostile text may have millions of characters.
    shown = text if len(text) <= max_characters else text[: max_characters - 1] + "…"
    return "".join(c if unicodedata.category(c) not in _HARMFUL else "\ufffd" for c in shown)
