"""The texts of the tax office, Chinese and English, from ``texts.json``."""

import json
from functools import cache
from pathlib import Path

LANGUAGES = ("zh", "en")


@cache
def rows() -> dict[str, dict[str, str]]:
    """Code -> language -> text."""
    found: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "texts.json").read_text("utf-8"))
    return found


def has_text(code: str) -> bool:
    """Whether there is a text of this code."""
    return code in rows()


def text(code: str, language: str, **facts: object) -> str:
    """The text of a code; empty when there is none."""
    return rows().get(code, {}).get(language, "").format(**facts)
