"""What the commands of the PMI share: opening it, reading times and holders, talking."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path
from typing import Any

import click

from onecert.pmi.config import PmiConfig
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.parts import Parts, assemble
from onecert.server.contexts import open_member
from onecert.server.languages import CHINA_TIME, _, current_language, gettext, set_language
from onecert.server.operators import Operator

__all__ = [
    "APPLY",
    "INPUT",
    "OPERATOR",
    "OUTPUT",
    "dump",
    "end_of_day",
    "only_authority",
    "opened_parts",
    "read_operator",
    "say",
    "say_dry",
]

OPERATOR = click.option("--operator", "operator_id", required=True, metavar="ID", help="Who acts.")
INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)
APPLY = click.option("--apply", is_flag=True, help="Do it; without this, only show what would be done.")


@contextmanager
def opened_parts(data: Path, config: Path | None) -> Iterator[Parts]:
    """Open the PMI of a data folder, and close it at the end."""
    opened = open_member("pmi", data, config=config)
    settings: PmiConfig = opened.config
    parts = assemble(settings, opened.context)
    try:
        yield parts
    finally:
        parts.close()
        opened.close()


def say(msgid: str, **facts: object) -> None:
    """Tell a person something on stderr."""
    with set_language(current_language(), "onecert.pmi"):
        click.echo(gettext(msgid, **facts), err=True)


def say_dry() -> None:
    """Say that nothing has happened."""
    say(_("hint: nothing has changed yet; add --apply to do it"))


def end_of_day(day: datetime | None) -> datetime | None:
    """Return the last second of a day in China."""
    return None if day is None else datetime.combine(day.date(), time(23, 59, 59), CHINA_TIME)


def read_operator(parts: Parts, operator_id: str) -> Operator:
    """Return the operator who acts. Raises OperatorError."""
    with parts.context.database.reading() as connection:
        return parts.context.operators.load(connection, operator_id)


def dump(content: Mapping[str, Any]) -> str:
    """One line of JSON for programs."""
    return json.dumps(content, ensure_ascii=False)


def only_authority(parts: Parts) -> str:
    """Return the name of the one authority there is. Raises RequestWrongError."""
    with parts.context.database.reading() as connection:
        names = [each.name for each in parts.authorities.all(connection)]
    if len(names) != 1:
        raise RequestWrongError("authority", _("name one of several, or set one up first"))
    return names[0]
