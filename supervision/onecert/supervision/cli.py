"""`onecert supervision`: officers, the draft, signatures, publication.

Each command opens the member as the service does and works on the same database, so that a running service
shows the result at once. Publishing shows what it would do until --apply is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.contexts import open_member
from onecert.server.languages import CHINA_TIME, format_datetime, gettext
from onecert.server.operators import command_actor
from onecert.supervision.draft import draft_json
from onecert.supervision.draft_file import read_draft_file
from onecert.supervision.errors import NothingPublishedError
from onecert.supervision.next_list import Preview
from onecert.supervision.officers import LIST_OFFICER, all_officers, list_keys_json
from onecert.supervision.publishing import publish_files
from onecert.supervision.records import DraftRecord, find_publication
from onecert.supervision.service import Supervision, make_keys, make_supervision
from onecert.verifier.strict_json import StrictJsonError, parse_time
from onecert.verifier.trust_list import Status, StatusEntry

__all__ = ["supervision"]


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


@contextmanager
def _opened(data: Path, config: Path | None) -> Iterator[tuple[Supervision, Callable[..., None]]]:
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


@click.group()
def supervision() -> None:
    """The signed trust list: officers, draft, publication."""


@supervision.group()
def officer() -> None:
    """The officers who sign the list, each with a key on a token of their own."""


@officer.command("add")
@click.argument("id", metavar="ID")
@click.option("--name", help="Opens the account too: the person's name.")
@click.option("--person", metavar="IDNUMBER", help="Number of the person's identity document. Not stored.")
@click.option("--valid-until", type=TIME, metavar="DATE", help="End of a new account (default: two years).")
@common_options
def officer_add(  # noqa: PLR0917 -- click hands over by name
    id: str,  # noqa: A002 -- the word people use for it
    name: str | None,
    person: str | None,
    valid_until: datetime | None,
    data: Path,
    config: Path | None,
) -> None:
    """Make the list key of officer ID. The account must have the role list.officer, or is opened here."""
    if bool(name) != bool(person):
        raise click.UsageError("--name and --person are given together, to open the account too")
    with _opened(data, config) as (the, add_account):
        if name and person:
            until = valid_until or the.editor.clock.now() + timedelta(days=730)
            add_account(id, name=name, person=person, valid_until=until)
        added = the.editor.add_officer(id, actor=command_actor())
        publish_files(the.editor, the.published)
    click.echo(f"{added.id}\t{added.kid}\t{added.token_label}")


@officer.command("list")
@common_options
def officer_list(data: Path, config: Path | None) -> None:
    """Show the officers: id, key id, token."""
    with _opened(data, config) as (the, _), the.editor.database.reading() as connection:
        for each in all_officers(connection):
            click.echo(f"{each.id}\t{each.kid}\t{each.token_label}")


@supervision.command("keys")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Default: stdout."
)
@common_options
def keys(out: Path | None, data: Path, config: Path | None) -> None:
    """Write list-keys.json: the public keys that departments are given on paper or with their package."""
    with _opened(data, config) as (the, _), the.editor.database.reading() as connection:
        text = json.dumps(list_keys_json(connection, the.config.signatures_needed), indent=1) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="ascii")
        click.echo(f"wrote {out}", err=True)


@supervision.group()
def draft() -> None:
    """The draft of the next list."""


@draft.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@common_options
def draft_import(file: Path, data: Path, config: Path | None) -> None:
    """Make FILE the open draft; an open one is discarded."""
    content = read_draft_file(file)
    with _opened(data, config) as (the, _):
        the.editor.import_draft(content, actor=command_actor())
        _show_preview(the.editor.preview())


@draft.command("new")
@common_options
def draft_new(data: Path, config: Path | None) -> None:
    """Begin a draft that says what the published list says."""
    with _opened(data, config) as (the, _):
        the.editor.begin_draft(actor=command_actor())
        _show_preview(the.editor.preview())


@draft.command("show")
@common_options
def draft_show(data: Path, config: Path | None) -> None:
    """Print the draft as JSON, in the form that `draft import` reads."""
    with _opened(data, config) as (the, _):
        record = the.editor.preview().record
    click.echo(json.dumps(draft_json(record.draft), ensure_ascii=False, indent=2))


@draft.command("diff")
@common_options
def draft_diff(data: Path, config: Path | None) -> None:
    """Show what the draft changes."""
    with _opened(data, config) as (the, _):
        _show_preview(the.editor.preview())


@draft.command("sign")
@click.option("--officer", "officer_id", required=True, metavar="ID", help="Whose key signs.")
@common_options
def draft_sign(officer_id: str, data: Path, config: Path | None) -> None:
    """Sign the draft with an officer's key. Two officers who are two people must sign."""
    with _opened(data, config) as (the, _):
        record = the.editor.sign(officer_id, actor=f"operator:{officer_id}")
        needed = the.config.signatures_needed
    _show_signatures(record, needed)


@draft.command("discard")
@common_options
def draft_discard(data: Path, config: Path | None) -> None:
    """Give the draft up."""
    with _opened(data, config) as (the, _):
        the.editor.discard_draft(actor=command_actor())
    click.echo("discarded", err=True)


@supervision.command()
@click.option("--apply", is_flag=True, help="Publish; without it only show what would be published.")
@common_options
def publish(apply: bool, data: Path, config: Path | None) -> None:
    """Publish the signed draft under the next number."""
    with _opened(data, config) as (the, _):
        if not apply:
            preview = the.editor.preview()
            click.echo(f"would publish the trust list number {preview.sequence}:")
            _show_preview(preview)
            click.echo("hint: nothing was published; add --apply to publish it", err=True)
            return
        publication = the.editor.publish(actor=command_actor())
        publish_files(the.editor, the.published)
    click.echo(f"published number {publication.sequence}, good until {publication.next_update.isoformat()}")


@supervision.command()
@click.option("--json", "as_json", is_flag=True, help="The signed document itself.")
@common_options
def show(as_json: bool, data: Path, config: Path | None) -> None:
    """Show the published list."""
    with _opened(data, config) as (the, _), the.editor.database.reading() as connection:
        publication = find_publication(connection)
        now = the.editor.clock.now()
    if publication is None:
        raise NothingPublishedError
    if as_json:
        click.echo(publication.document.decode("ascii"))
        return
    click.echo(
        f"{publication.sequence}\t{publication.issued_at.isoformat()}\t{publication.next_update.isoformat()}"
    )
    for service in publication.draft.services:
        in_force = [entry for entry in service.history if entry.start <= now]
        present = max(in_force, key=lambda entry: entry.start).status.value if in_force else "-"
        click.echo(f"{service.id}\t{present}\t{service.name.en}\t{service.name.zh}")


def _status_command(name: str, status: Status, help_text: str) -> None:
    """One command for each status; they differ only in the terms that belong to it."""

    @click.argument("authority")
    @click.option("--from", "start", type=TIME, metavar="TIME", help="Since when (default: now).")
    @common_options
    def act(  # noqa: PLR0917 -- click hands over by name
        authority: str,
        start: datetime | None,
        data: Path,
        config: Path | None,
        existing_until: datetime | None = None,
        taken_over_by: str | None = None,
        accept_existing: bool = False,
    ) -> None:
        with _opened(data, config) as (the, _):
            begin = (start or the.editor.clock.now()).replace(microsecond=0)
            entry = StatusEntry(status=status, start=begin)
            entry = replace(
                entry,
                existing_until=existing_until,
                taken_over_by=taken_over_by,
                accept_existing=accept_existing,
            )
            the.editor.add_status(authority, entry, actor=command_actor())
            _show_preview(the.editor.preview())

    if status in (Status.WITHDRAWN, Status.TERMINATED):
        until = "Certificates issued before are accepted until then."
        act = click.option("--existing-until", type=TIME, metavar="TIME", help=until)(act)
    if status is Status.TERMINATED:
        act = click.option("--taken-over-by", metavar="AUTHORITY", help="Who answers for status now.")(act)
    if status is Status.SUSPENDED:
        act = click.option("--accept-existing", is_flag=True, help="Existing certificates stay accepted.")(
            act
        )
    supervision.command(name, help=help_text)(act)


_status_command("grant", Status.GRANTED, "Grant AUTHORITY its licence again, in the draft.")
_status_command("suspend", Status.SUSPENDED, "Suspend AUTHORITY in the draft.")
_status_command("withdraw", Status.WITHDRAWN, "Withdraw the licence of AUTHORITY in the draft.")
_status_command("terminate", Status.TERMINATED, "Record in the draft that AUTHORITY has ended its service.")
_status_command(
    "compromised", Status.KEY_COMPROMISED, "Record in the draft that the key of AUTHORITY leaked."
)


def _show_preview(preview: Preview) -> None:
    if not preview.changes:
        click.echo(gettext("Nothing but number and dates."))
    for change in preview.changes:
        click.echo(f"{change.authority or '-'}\t{change.spoken()}")
    _show_signatures(preview.record, preview.signatures_needed)


def _show_signatures(record: DraftRecord, needed: int) -> None:
    for signature in record.signatures:
        click.echo(f"signed by {signature.officer} at {format_datetime(signature.signed_at)}", err=True)
    missing = needed - len(record.signatures)
    if missing > 0:
        click.echo(f"hint: {missing} more officer(s) must sign", err=True)
    else:
        click.echo("hint: ready to publish: onecert supervision publish --apply", err=True)
