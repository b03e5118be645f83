"""Turns what a settings file or the environment says into the type that a dataclass asks for."""

from __future__ import annotations

import dataclasses
import enum
import re
import types
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from onecert.server.languages import gettext

__all__ = ["WrongValueError", "convert"]

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class WrongValueError(ValueError):
    """The text says what was expected."""


def convert(value: Any, kind: Any, folder: Path, *, from_text: bool = False) -> Any:  # noqa: PLR0912, C901 - one case per type
    """Convert one value.

    Args:
        kind: the annotation: str, int, bool, Path, timedelta, StrEnum, Literal, tuple[X, ...],
            frozenset[X], Mapping[str, X], X | None, or a dataclass.
        folder: relative paths count from here.
        from_text: the value is from the environment, so that numbers and lists are text.

    Raises:
        WrongValueError: it is something else.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (inner,) = [arm for arm in get_args(kind) if arm is not type(None)]
        return None if from_text and value == "" else convert(value, inner, folder, from_text=from_text)
    if origin is Literal:
        return _one_of(value, get_args(kind))
    if origin in (tuple, list, frozenset):
        items = [part.strip() for part in value.split(",") if part.strip()] if from_text else value
        if not isinstance(items, list):
            raise WrongValueError(gettext("a list is expected"))
        inner = get_args(kind)[0]
        return origin(convert(item, inner, folder, from_text=from_text) for item in items)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _table(value, get_args(kind)[1], folder, from_text=from_text)
    if dataclasses.is_dataclass(kind):
        return _nested(value, kind, folder)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        _one_of(value, [member.value for member in kind])
        return kind(value)
    if kind is bool:
        return _truth(value, from_text=from_text)
    if kind is int:
        return _whole_number(value, from_text=from_text)
    if kind is timedelta:
        return _duration(value)
    if not isinstance(value, str):
        raise WrongValueError(gettext("a text is expected"))
    if kind is Path:
        if not value:
            raise WrongValueError(gettext("a path is expected"))
        return folder / Path(value).expanduser()
    if kind is str:
        return str(value)
    raise TypeError(f"settings cannot hold {kind}")


def _one_of(value: Any, allowed: Any) -> Any:
    if value not in allowed:
        raise WrongValueError(
            gettext("one of %(allowed)s is expected", allowed=[str(item) for item in allowed])
        )
    return value


def _table(value: Any, kind: Any, folder: Path, *, from_text: bool) -> dict[str, Any]:
    if from_text:
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if any(not sign for _, sign, _ in pairs):
            raise WrongValueError(gettext("name=value pairs separated by commas are expected"))
        value = {name.strip(): text.strip() for name, _, text in pairs}
    if not isinstance(value, dict):
        raise WrongValueError(gettext("a table is expected"))
    return {name: convert(item, kind, folder, from_text=from_text) for name, item in value.items()}


def _nested(value: Any, kind: Any, folder: Path) -> Any:
    if not isinstance(value, dict):
        raise WrongValueError(gettext("a table is expected"))
    hints = get_type_hints(kind)
    if unknown := sorted(value.keys() - hints.keys()):
        raise WrongValueError(
            gettext("it has no %(names)s; there are: %(there)s", names=unknown, there=sorted(hints))
        )
    try:
        return kind(**{name: convert(item, hints[name], folder) for name, item in value.items()})
    except TypeError as exc:
        raise WrongValueError(gettext("something is missing in it (%(reason)s)", reason=exc)) from exc


def _truth(value: Any, *, from_text: bool) -> bool:
    if from_text and value.lower() in _TRUTHS:
        return _TRUTHS[value.lower()]
    if not isinstance(value, bool):
        raise WrongValueError(gettext("true or false is expected"))
    return value


def _whole_number(value: Any, *, from_text: bool) -> int:
    if from_text and re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValueError(gettext("a whole number is expected"))
    return value


def _duration(value: Any) -> timedelta:
    found = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if found is None or not any(found.groups()):
        raise WrongValueError(gettext('a duration such as "90s", "15m", "24h" or "7d" is expected'))
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
