"""`onecert trust-list diff`, `history`, `effect`: what has changed, what would change, and for whom."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.languages import current_language, format_datetime, gettext
from onecert.supervision.commands.parts import TIME, json_option, opened_supervision
from onecert.supervision.described import FIELD_NAMES
from onecert.supervision.differences import ServiceDifference, compare_drafts
from onecert.supervision.draft import Draft
from onecert.supervision.effect import Effect, Verdict, find_effect, samples_of
from onecert.supervision.errors import NoDraftError, NothingPublishedError
from onecert.supervision.known import known_list
from onecert.supervision.pages.effect import effect_csv
from onecert.supervision.records import find_open_draft, find_publication, publication_list
from onecert.supervision.service import Supervision
from onecert.verifier.strict_json import format_time

__all__ = ["diff", "effect", "history"]

LISTS = 1000


@click.command()
@click.argument("old", type=click.IntRange(min=1), required=False)
@click.argument("new", type=click.IntRange(min=1), required=False)
@json_option
@common_options
def diff(old: int | None, new: int | None, as_json: bool, data: Path, config: Path | None) -> None:
    """Compare two published lists, number OLD with number NEW; without NEW, with the draft.

    Without OLD too: the published list with the draft.
    """
    with opened_supervision(data, config) as (the, _):
        before, after = _published(the, old), _published(the, new) if new else _draft(the)
        assert after is not None  # noqa: S101  a number that is given is there
        differences = compare_drafts(before, after)
    if as_json:
        click.echo(json.dumps([each.as_dict() for each in differences], ensure_ascii=False, indent=2))
    elif not differences:
        click.echo(gettext("Nothing but number and dates."))
    for each in () if as_json else differences:
        _show(each)


def _show(difference: ServiceDifference) -> None:
    click.echo(f"{difference.id or '-'}\t{difference.name}")
    for field in difference.fields:
        click.echo(f"  {gettext(FIELD_NAMES.get(field.key, field.key))}")
        for row in field.rows:
            if row.is_changed and row.old is not None:
                click.echo(f"  - {row.old}")
            if row.is_changed and row.new is not None:
                click.echo(f"  + {row.new}")


@click.command()
@json_option
@common_options
def history(as_json: bool, data: Path, config: Path | None) -> None:
    """Show the published lists, newest first: number, issued, next update, digest, who signed."""
    with opened_supervision(data, config) as (the, _), the.editor.database.reading() as connection:
        lists = publication_list(connection, limit=LISTS)
    rows = [
        {
            "sequence": each.sequence,
            "issued_at": format_time(each.issued_at),
            "next_update": format_time(each.next_update),
            "sha256": each.sha256,
            "signed_by": [signature.officer for signature in each.signatures],
            "published_by": each.published_by,
        }
        for each in lists
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    for row, each in zip(rows, lists, strict=True) if not as_json else ():
        signers = ", ".join(signature.officer for signature in each.signatures)
        click.echo(f"{each.sequence}\t{row['issued_at']}\t{row['next_update']}\t{each.sha256}\t{signers}")


@click.command()
@click.option("--at", type=TIME, metavar="TIME", help="The moment of the logins compared (default: now).")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the certificates with another verdict there.",
)
@json_option
@common_options
def effect(
    at: datetime | None, csv_file: Path | None, as_json: bool, data: Path, config: Path | None
) -> None:
    """Show which known certificates get another verdict under the draft. Revocation is not asked."""
    with opened_supervision(data, config) as (the, _):
        draft = _draft(the)
        with the.editor.database.reading() as connection:
            published = find_publication(connection)
            known = known_list(connection)
        old = published.draft if published else None
        moment = (at or the.editor.clock.now()).replace(microsecond=0)
        found = find_effect(old, draft, [*samples_of(old, draft), *known], at=moment, pointed=the.pointed)
    if csv_file is not None:
        csv_file.write_bytes(effect_csv(found))
        click.echo(f"wrote {csv_file}", err=True)
    if as_json:
        click.echo(json.dumps(_effect_json(found), ensure_ascii=False, indent=2))
        return
    for missing in found.missing:
        click.echo(f"the list {missing.id}/ could not be read: {missing.error.text('en')}", err=True)
    for service, before, after, count in found.counts():
        click.echo(f"{service}\t{before}\t{after}\t{count}")
    click.echo(
        f"at {format_datetime(found.at)}: {len(found.rows)} of {found.known} known certificates get another"
        " verdict; revocation was not asked",
        err=True,
    )


def _effect_json(found: Effect) -> dict[str, object]:
    return {
        "at": format_time(found.at),
        "known": found.known,
        "judged": found.judged,
        "changed_services": list(found.changed_services),
        "counts": [
            {"service": service, "before": before, "after": after, "count": count}
            for service, before, after, count in found.counts()
        ],
        "certificates": [
            {
                "sha256": row.sha256,
                "serial": row.serial_hex,
                "service": row.service,
                "source": row.source,
                "before": _verdict_json(row.before),
                "after": _verdict_json(row.after),
            }
            for row in found.rows
        ],
    }


def _verdict_json(verdict: Verdict) -> dict[str, object]:
    text = verdict.text(current_language())
    return {"code": verdict.code, "text": text, "id": verdict.holder, "warnings": list(verdict.warnings)}


def _draft(the: Supervision) -> Draft:
    with the.editor.database.reading() as connection:
        record = find_open_draft(connection)
    if record is None:
        raise NoDraftError
    return record.draft


def _published(the: Supervision, sequence: int | None) -> Draft | None:
    with the.editor.database.reading() as connection:
        publication = find_publication(connection, sequence)
    if publication is None and sequence is not None:
        raise NothingPublishedError
    return publication.draft if publication else None
