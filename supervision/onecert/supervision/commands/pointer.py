"""`onecert trust-list draft pointer`: pointers of the draft to other lists, and what is granted to those."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import TIME, opened_supervision, show_preview
from onecert.supervision.described_pointer import describe_pointer
from onecert.supervision.draft import Draft, draft_json
from onecert.supervision.edits_pointers import (
    add_pointer,
    add_pointer_status,
    change_pointer,
    remove_pointer,
)
from onecert.supervision.uploads import read_root
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.profile import HolderClass
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import Status, StatusEntry

__all__ = ["pointer"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ID_TYPES = [each.value for each in IdType]
_CLASSES = [each.value for each in HolderClass]
_STATUSES = {"grant": Status.GRANTED, "suspend": Status.SUSPENDED, "withdraw": Status.WITHDRAWN}


@click.group()
def pointer() -> None:
    """Pointers of the draft to other lists (province, nation, Hong Kong), with what is granted to them."""


def _scope(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--location", metavar="URL", help="Where that list is published."),
            click.option("--operator-zh", metavar="TEXT"),
            click.option("--operator-en", metavar="TEXT"),
            click.option("--root", type=_FILE, metavar="FILE", help="Its trust-root.json."),
            click.option("--fingerprint", metavar="HEX", help="Of that root, as its office reads it aloud."),
            click.option("--id-type", "id_types", multiple=True, type=click.Choice(_ID_TYPES)),
            click.option("--class", "classes", multiple=True, type=click.Choice(_CLASSES)),
            click.option("--service", "services", multiple=True, help="Only these; without it all CAs."),
            click.option("--policy", "policies", multiple=True, metavar="OID"),
        )
    ):
        command = option(command)
    return command


@pointer.command("add")
@click.argument("id", metavar="ID")
@click.option("--from", "start", type=TIME, metavar="TIME", help="Granted since (default: now).")
@_scope
@common_options
def pointer_add(id: str, start: datetime | None, data: Path, config: Path | None, **given: Any) -> None:  # noqa: A002 -- the word people use for it
    """Point to another list; its services are then called ID/NAME."""
    for name in ("location", "operator_zh", "operator_en", "root", "id_types", "classes"):
        if not given[name]:
            raise click.UsageError(f"missing: --{name.replace('_', '-')}")
    values = _values(given)
    with opened_supervision(data, config) as (the, _):
        begin = (start or the.editor.clock.now()).replace(microsecond=0)
    values |= {"id": id, "history": [{"status": "granted", "from": format_time(begin)}]}
    _edit(data, config, lambda draft: add_pointer(draft, values), id, "added")


@pointer.command("edit")
@click.argument("id", metavar="ID")
@_scope
@common_options
def pointer_edit(id: str, data: Path, config: Path | None, **given: Any) -> None:  # noqa: A002 -- as above
    """Change parts of the pointer ID in the draft; what is not named stays. An empty --service is all CAs."""
    values = _values(given)

    def change(draft: Draft) -> Draft:
        draft.pointer(id)
        now = next(each for each in draft_json(draft)["pointers"] if each["id"] == id)
        operator = {**now["operator"], **values.get("operator", {})}
        return change_pointer(draft, id, {**values, "operator": operator})

    _edit(data, config, change, id, "edited")


@pointer.command("status")
@click.argument("act", type=click.Choice(list(_STATUSES)))
@click.argument("id", metavar="ID")
@click.option("--from", "start", type=TIME, metavar="TIME", help="Since when (default: now).")
@click.option("--accept-existing", is_flag=True, help="suspend: existing certificates stay accepted.")
@click.option("--existing-until", type=TIME, metavar="TIME", help="withdraw: they are accepted until then.")
@common_options
def pointer_status(  # noqa: PLR0917 -- click hands over by name
    act: str,
    id: str,  # noqa: A002 -- as above
    start: datetime | None,
    accept_existing: bool,
    existing_until: datetime | None,
    data: Path,
    config: Path | None,
) -> None:
    """Grant, suspend or withdraw what the list ID is granted."""
    with opened_supervision(data, config) as (the, _):
        begin = (start or the.editor.clock.now()).replace(microsecond=0)
    entry = StatusEntry(
        status=_STATUSES[act],
        start=begin,
        accept_existing=accept_existing and act == "suspend",
        existing_until=existing_until if act == "withdraw" else None,
    )
    _edit(data, config, lambda draft: add_pointer_status(draft, id, entry), id, act)


@pointer.command("remove")
@click.argument("id", metavar="ID")
@common_options
def pointer_remove(id: str, data: Path, config: Path | None) -> None:  # noqa: A002 -- as above
    """Take a pointer out that was never published."""
    _edit(data, config, lambda draft: remove_pointer(draft, id), id, "removed")


@pointer.command("show")
@common_options
def pointer_show(data: Path, config: Path | None) -> None:
    """Show the pointers of the draft."""
    with opened_supervision(data, config) as (the, _):
        draft = the.editor.preview().record.draft
    for each in draft.pointers:
        for key, lines in describe_pointer(each).items():
            for line in lines:
                click.echo(f"{each.id}\t{key}\t{line}")


def _values(given: dict[str, Any]) -> dict[str, Any]:
    values = {key: given[key] for key in ("location",) if given[key] is not None}
    values |= {
        key: [each for each in given[key] if each]
        for key in ("id_types", "classes", "services", "policies")
        if given[key]
    }
    names = {key: given[f"operator_{key}"] for key in ("zh", "en") if given[f"operator_{key}"] is not None}
    if names:
        values["operator"] = names
    if given["root"]:
        document = given["root"].read_bytes().strip()
        root = read_root(document)
        if "".join((given["fingerprint"] or "").split()).lower() != root.sha256:
            click.echo(f"version {root.version}, fingerprint {root.fingerprint}")
            raise click.UsageError(
                "let the other office read its fingerprint aloud, on a number that you know, and give what"
                " you hear as --fingerprint"
            )
        values["root"] = base64.b64encode(document).decode("ascii")
    return values


def _edit(data: Path, config: Path | None, change: Callable[[Draft], Draft], name: str, part: str) -> None:
    with opened_supervision(data, config) as (the, _):
        the.editor.edit(change, actor=command_actor(), details={"pointer": name, "part": part})
        show_preview(the.editor.preview())
