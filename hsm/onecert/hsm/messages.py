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


class Reason:
    """A part of a text that is a text itself: a fact that is spoken in the language of the whole."""

    def __init__(self, name: str, **facts: object) -> None:
        self._code, self._facts = f"REASON_{name}", facts

    def text(self, language: str) -> str:
        """The reason in ``zh`` or ``en``."""
        return message(self._code, language, self._facts)

    def __str__(self) -> str:
        return self.text("en")

    __repr__ = __str__


def message(code: str, language: str, facts: Mapping[str, object]) -> str:
    """The text of a code in ``zh`` or ``en``; any other language is answered in English."""
    return catalogue()[code]["zh" if language == "zh" else "en"] % _spoken(facts, language)


def hint(code: str, language: str, facts: Mapping[str, object]) -> str:
    """The next step for a code, or an empty text."""
    template = catalogue()[code].get("hint_zh" if language == "zh" else "hint_en", "")
    return template % _spoken(facts, language)


def _spoken(facts: Mapping[str, object], language: str) -> dict[str, object]:
    return {name: _speak(value, language) for name, value in facts.items()}


def _speak(value: object, language: str) -> object:
    if isinstance(value, Reason):
        return value.text(language)
    if isinstance(value, tuple):
        return ("；" if language == "zh" else "; ").join(str(_speak(part, language)) for part in value)
    return value


def language_of(environ: Mapping[str, str] = os.environ) -> str:
    """The language for a command: ``ONECERT_LANGUAGE``, else the locale's; Chinese when neither says
    English."""
    for name in ("ONECERT_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value.startswith(LANGUAGES):
            return value[:2]
    return "zh"
