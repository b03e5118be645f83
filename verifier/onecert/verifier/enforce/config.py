"""Configuration files of enforcement: TOML, read once, complained about once, with the number of the line.

Somebody who may write such a file may give himself every role; so it, and each folder above it, must belong
to root or to who runs the program, and nobody else may write there.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.files import read_regular_file
from onecert.verifier.messages import harmless

__all__ = ["ConfigError", "Table", "check_owner", "read_config"]

R = TypeVar("R")
MAX_BYTES = 1024 * 1024
_HEADING = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*[.=]""")
_LINE = re.compile(r"line (\d+)")


class ConfigError(CouldNotCheckError):
    """The configuration cannot be used. ``faults`` names all of them, in the order of their lines."""

    def __init__(self, path: Path, faults: tuple[str, ...]) -> None:
        super().__init__("ENFORCE_CONFIG", path=path, faults="; ".join(faults))
        self.faults = faults


class Table:
    """One table of the file. What is asked for is checked at once; ``finish`` finds what nobody asked for.

    Faults are collected, so that one look at the file names all of them.
    """

    def __init__(self, content: Mapping[str, Any], where: tuple[str, ...], lines: _Lines) -> None:
        self._content, self._where, self._lines = content, where, lines
        self._asked: set[str] = set()
        self._tables: dict[str, Table] = {}

    def fault(self, key: str, problem: str) -> None:
        """Note a fault of this key."""
        self._lines.note(self._where, key, problem)

    def text(self, key: str, default: str | None = None, *, pattern: str | None = None) -> str:
        """A text that is not empty, of one line; it is needed when there is no default."""
        value = self._get(key, str, default)
        if value is None:
            return ""
        if not value.strip() or not value.isprintable():
            self.fault(key, "must be one line of text")
        elif pattern is not None and value != default and re.fullmatch(pattern, value) is None:
            self.fault(key, f"{harmless(value, 60)!r} is not of the form {pattern}")
        return str(value)

    def path(self, key: str, default: Path | None = None) -> Path:
        """An absolute path."""
        value = self._get(key, str, None if default is None else str(default))
        path = Path(value or "/")
        if value is not None and (not path.is_absolute() or ".." in path.parts or "\0" in value):
            self.fault(key, "must be an absolute path without ..")
        return path

    def number(self, key: str, default: float, *, least: float, most: float) -> float:
        """A number between two bounds, both included."""
        value = self._get(key, (int, float), default)
        if isinstance(value, bool) or not least <= value <= most:
            self.fault(key, f"must be a number from {least:g} to {most:g}")
            return default
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """``true`` or ``false``."""
        return bool(self._get(key, bool, default))

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of several words."""
        value = self._get(key, str, default)
        if value not in choices:
            self.fault(key, f"must be one of {', '.join(choices)}")
            return default
        return str(value)

    def texts(
        self, key: str, *, pattern: str, needed: bool = True, check: Callable[[str], bool] | None = None
    ) -> tuple[str, ...]:
        """A list of texts, each of this form and none twice."""
        values = self._get(key, list, None if needed else [])
        if values is None:
            return ()
        found: list[str] = []
        for value in values:
            if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
                self.fault(key, f"{harmless(repr(value), 60)} is not of the form {pattern}")
            elif check is not None and not check(value):
                self.fault(key, f"{harmless(repr(value), 60)} cannot stand here")
            elif value in found:
                self.fault(key, f"{harmless(value, 60)!r} stands there twice")
            else:
                found.append(value)
        if needed and not values:
            self.fault(key, "must name at least one")
        return tuple(found)

    def table(self, key: str) -> Table:
        """A table inside this one, the same each time; an empty one where it is missing."""
        value = self._get(key, dict, {})
        if key not in self._tables:
            self._tables[key] = Table(value or {}, (*self._where, key), self._lines)
        return self._tables[key]

    def tables(self, key: str) -> list[Table]:
        """A list of tables (``[[key]]``); empty where it is missing."""
        values = self._get(key, list, [])
        if not all(isinstance(value, dict) for value in values):
            self.fault(key, f"must be tables: [[{key}]]")
            return []
        return [Table(v, (*self._where, f"{key}#{at}"), self._lines) for at, v in enumerate(values)]

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._content

    def finish(self) -> None:
        """Note every key that nobody has asked for."""
        for key in self._content.keys() - self._asked:
            self.fault(key, "is not known here")

    def raise_faults(self) -> None:
        """Raise what was noted in this file so far.

        Raises:
            ConfigError: there is at least one fault.
        """
        self._lines.raise_faults()

    def _get(self, key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        self._asked.add(key)
        if key not in self._content:
            if default is None:
                self.fault(key, "is missing")
            return default
        value = self._content[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            names = {str: "a text", bool: "true or false", list: "a list", dict: "a table"}
            named = names.get(kind, "a number") if isinstance(kind, type) else "a number"
            self.fault(key, f"must be {named}")
            return default
        return value


class _Lines:
    """Where each key of a file stands, and what is wrong with it."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._at: dict[tuple[str, ...], int] = {}
        self._faults: list[tuple[int, str]] = []
        seen: dict[str, int] = {}
        where: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            heading = _HEADING.fullmatch(line)
            if heading is not None:
                parts = [part.strip().strip("\"'") for part in heading[2].split(".")]
                if heading[1] == "[[":
                    at = seen.get(heading[2], -1) + 1
                    seen[heading[2]] = at
                    parts[-1] += f"#{at}"
                where = tuple(parts)
                self._at.setdefault(where, number)
            elif (key := _KEY.match(line)) is not None:
                self._at.setdefault((*where, key[1].strip("\"'")), number)

    def note(self, where: tuple[str, ...], key: str, problem: str) -> None:
        line = self._at.get((*where, key), self._at.get(where, 0))
        shown = ".".join((*(part.partition("#")[0] for part in where), harmless(key, 60)))
        self._faults.append((line, f"line {line}: {shown} {problem}" if line else f"{shown} {problem}"))

    def raise_faults(self) -> None:
        if self._faults:
            raise ConfigError(self._path, tuple(dict.fromkeys(text for _, text in sorted(self._faults))))


def read_config(path: Path, *, trusted_owner: bool = True) -> Table:
    """Read a configuration file.

    Args:
        path: absolute, or relative to the working folder; at most 1 MiB.
        trusted_owner: also check who may write there; see ``check_owner``.

    Raises:
        ConfigError: it cannot be read, is no TOML, or others may write to it.
    """
    if trusted_owner:
        check_owner(path)
    try:
        text = read_regular_file(path, MAX_BYTES).decode("utf-8")
        content = tomllib.loads(text)
    except OSError as exc:
        raise ConfigError(path, (exc.strerror or str(exc),)) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(path, ("it is not UTF-8",)) from exc
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise ConfigError(path, (_without_place(str(exc)),)) from exc
    return Table(content, (), _Lines(path, text))


def check_owner(path: Path) -> None:
    """Check that nobody but root and who runs this program could have written a file, or into a folder.

    Raises:
        ConfigError: it, or a folder above it, belongs to somebody else or may be written by others.
    """
    trusted = {0, os.geteuid()}
    faults = []
    # As it is written and where it leads to: a link may point into somebody else's folder.
    absolute, real = Path(os.path.abspath(path)), Path(os.path.realpath(path))
    for each in dict.fromkeys((absolute, *absolute.parents, real, *real.parents)):
        try:
            found = os.lstat(each)
        except OSError as exc:
            raise ConfigError(path, (f"{each}: {exc.strerror}",)) from exc
        # In a folder with the sticky bit, such as /tmp, nobody can replace what belongs to somebody else.
        shared = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_uid not in trusted:
            faults.append(f"{each} belongs to user {found.st_uid}, not to root")
        elif found.st_mode & 0o022 and not shared and not stat.S_ISLNK(found.st_mode):
            faults.append(f"{each} may be written by others (mode {stat.S_IMODE(found.st_mode):04o})")
    if faults:
        raise ConfigError(path, tuple(faults))


def _without_place(said: str) -> str:
    # "Expected '=' (at line 3, column 5)": the line first, as for every other fault.
    found = _LINE.search(said)
    return f"line {found[1]}: {said.partition(' (at line')[0]}" if found else said
