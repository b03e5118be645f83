"""Texts of the token layer in Chinese and English, kept in ``messages.json``: code -> text and hint."""

import json
import os
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

LANGUAGES = ("zh", "en")


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """The whole catalogue: code -> {"zh", "en", "hint_zh", "hint_en"}; hints may be left out."""
    loaded: dict[str, dict[str, str]] = json.loads(
        files("onecert.hsm").joinpath("messages.json").read_text("utf-8")
    )
    return loaded


def message(code: str, language: str, facts: Mapping[str, object]) -> str:
    """The text of a code in ``zh`` or ``en``; any other language is answered in English."""
    return catalogue()[code]["zh" if language == "zh" else "en"] % facts


def hint(code: str, language: str, facts: Mapping[str, object]) -> str:
    """The next step for a code, or an empty text."""
    return catalogue()[code].get("hint_zh" if language == "zh" else "hint_en", "") % facts


def language_of(environ: Mapping[str, str] = os.environ) -> str:
    """The language for a command: ``ONECERT_LANGUAGE``, else the locale's; Chinese when neither says
    English."""
    for name in ("ONECERT_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value.startswith(LANGUAGES):
            return value[:2]
    return "zh"
