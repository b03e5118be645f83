"""What an applicant agrees to before anything is submitted: texts, their versions, their hashes.

Texts are packaged data (`consent_texts/<version>.json`, both languages), or files of that form in a folder
of the settings; the newest version by name is in force. A version is never edited: its hash is on record with
each consent, so that it can be shown later which words were agreed to. Sources: Electronic Signature Law,
Personal Information Protection Law (PIPL), article 14: a changed purpose needs a new consent.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from onecert.ra.content.canonical import canonical_json
from onecert.server.languages import current_language

__all__ = ["ConsentText", "ConsentTexts", "packaged_texts"]

DOCUMENTS = ("service-agreement", "personal-information")


@dataclass(frozen=True, kw_only=True)
class ConsentText:
    """One text in one version; `sha256` is of its canonical JSON, both languages together."""

    name: str
    version: str
    title: Mapping[str, str]
    clauses: Mapping[str, tuple[str, ...]]
    sha256: str

    def shown_title(self) -> str:
        """In the present language."""
        return self.title.get(current_language()) or self.title["zh"]

    def shown_clauses(self) -> tuple[str, ...]:
        """In the present language; what counts in court is the Chinese text."""
        return self.clauses.get(current_language()) or self.clauses["zh"]


class ConsentTexts:
    """All versions that were ever in force; `present` is the one that a new consent is given to."""

    def __init__(self, versions: Mapping[str, tuple[ConsentText, ...]]) -> None:
        if not versions:
            raise ValueError("no version of the consent texts")
        self._versions = dict(versions)
        self.present = max(self._versions)

    @classmethod
    def load(cls, folder: Path | None = None) -> "ConsentTexts":
        """The packaged texts, or those of a folder. Raises `ValueError` when a file is not of the form."""
        if folder is None:
            return packaged_texts()
        try:
            return cls(_read(sorted(folder.glob("*.json"))))
        except OSError as exc:
            raise ValueError(f"consent texts: {exc.strerror or exc}") from exc

    def find(self, version: str) -> tuple[ConsentText, ...] | None:
        """The texts of a version, or None when there never was one of this name."""
        return self._versions.get(version)

    def in_force(self) -> tuple[ConsentText, ...]:
        """The texts that are shown and agreed to now."""
        return self._versions[self.present]

    def record(self, version: str) -> dict[str, str]:
        """Name of each text to its hash, for the record of a consent to this version."""
        return {text.name: text.sha256 for text in self._versions[version]}


@cache
def packaged_texts() -> ConsentTexts:
    """The texts that come with the program."""
    folder = files("onecert.ra.content").joinpath("consent_texts")
    return ConsentTexts(_read(item for item in folder.iterdir() if item.name.endswith(".json")))


def _read(items: Any) -> dict[str, tuple[ConsentText, ...]]:
    found = {}
    for item in items:
        try:
            document = json.loads(item.read_text("utf-8"))
            version = str(document["version"])
            if item.name != f"{version}.json":
                raise ValueError("the file is not named by its version")
            found[version] = tuple(_text(name, version, document["texts"][name]) for name in DOCUMENTS)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ValueError(f"consent texts {item.name}: {exc}") from exc
    return found


def _text(name: str, version: str, entry: Any) -> ConsentText:
    return ConsentText(
        name=name,
        version=version,
        title={str(language): str(text) for language, text in entry["title"].items()},
        clauses={language: tuple(map(str, clauses)) for language, clauses in entry["clauses"].items()},
        sha256=hashlib.sha256(canonical_json(entry)).hexdigest(),
    )
