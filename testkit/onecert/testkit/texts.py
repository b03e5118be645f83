"""Every text that a person sees, in Chinese and English: one catalogue, ``texts.json``."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

from onecert.verifier.messages import harmless

__all__ = ["text"]

_FACT_MAX_CHARACTERS = 200


@lru_cache(maxsize=1)
def catalogue() -> dict[str, dict[str, str]]:
    """``code -> {"zh", "en"}``; ``{name}`` stands for a fact."""
    rows: dict[str, dict[str, str]] = json.loads(
        resources.files(__package__).joinpath("texts.json").read_text(encoding="utf-8")
    )
    return rows


def text(code: str, language: str, **facts: object) -> str:
    """The text of a code; its facts come from servers and files, so each is cut to one harmless line."""
    shown = {name: harmless(str(value), _FACT_MAX_CHARACTERS) for name, value in facts.items()}
    return catalogue()[code][language].format(**shown)
