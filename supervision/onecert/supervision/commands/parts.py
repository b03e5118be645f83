"""What the commands share: opening the member, reading a time, showing a draft."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path

import click

from onecert.server.contexts import open_member
from onecert.server.languages import CHINA_TIME, format_datetime, gettext
from onecert.supervision.next_list import Preview
from onecert.supervision.officers import LIST_OFFICER
from onecert.supervision.service import Supervision, make_keys, make_supervision
from onecert.verifier.strict_json import StrictJsonError, parse_time

__all__ = ["TIME", "json_option", "opened_supervision", "read_pin", "show_preview", "show_signatures"]


class _Time(click.ParamType[datetime]):
    """2026-11-21T09:00:00Z, or 2026-11-21 for the beginning of that day in China."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            if len(text) == len("2026-11-21"):
                return datetime.combine(date.fromisoformat(text), time.min, CHINA_TIME).astimezone(UTC)
            return parse_time(text, "")
        except (ValueError, StrictJsonError):
            self.fail("a time is written 2026-11-21T09:00:00Z or 2026-11-21", param, ctx)


TIME = _Time()

json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@contextmanager
def opened_supervision(data: Path, config: Path | None) -> Iterator[tuple[Supervision, Callable[..., None]]]:
    """The member's parts, and what adds an operator's account."""
    opened = open_member("supervision", data, config=config)
    context = opened.context
    keys = make_keys(opened.config, context)

    def add_account(officer: str, *, name: str, person: str, valid_until: datetime) -> None:
        with context.database.transaction() as connection:
            context.operators.add(connection, officer, name, [LIST_OFFICER], person, valid_until)

    try:
        yield make_supervision(opened.config, context, keys), add_account
    finally:
        keys.close()
        opened.close()


def read_pin(prompt: str, *, new: bool = False) -> str:
    """A PIN from the terminal, unseen, a new one twice; in a pipe the next line of stdin. Never an argument:
    those are seen by everybody on the machine."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def show_preview(preview: Preview) -> None:
    if not preview.changes:
        click.echo(gettext("Nothing but number and dates."))
    for change in preview.changes:
        click.echo(f"{change.authority or '-'}\t{change.spoken()}")
    show_signatures(preview)


def show_signatures(preview: Preview) -> None:
    for signature in preview.record.signatures:
        counts = "" if signature in preview.counting else " (the trust root in force does not name this key)"
        click.echo(
            f"signed by {signature.officer} at {format_datetime(signature.signed_at)}{counts}", err=True
        )
    missing = preview.signatures_needed - len(preview.counting)
    if missing > 0:
        click.echo(f"hint: {missing} more officer(s) must sign", err=True)
    else:
        click.echo("hint: ready to publish: onecert trust-list publish --apply", err=True)
