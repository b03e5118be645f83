"""`onecert trust-list emergency`: a status for a night call, in a draft of its own, ready to be signed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import TIME, opened_supervision, show_preview
from onecert.verifier.trust_list import Status, StatusEntry

__all__ = ["emergency"]

_STATUSES = {"compromised": Status.KEY_COMPROMISED, "withdraw": Status.WITHDRAWN, "suspend": Status.SUSPENDED}


@click.command()
@click.argument("act", type=click.Choice(list(_STATUSES)))
@click.argument("authority")
@click.option("--reason", required=True, help="What happened; it goes into the audit trail.")
@click.option("--from", "start", type=TIME, metavar="TIME", help="Since when (default: now).")
@common_options
def emergency(  # noqa: PLR0917 -- click hands over by name
    act: str, authority: str, reason: str, start: datetime | None, data: Path, config: Path | None
) -> None:
    """Suspend or withdraw AUTHORITY, or record that its key leaked, at once. An open draft is put aside."""
    with opened_supervision(data, config) as (the, _):
        begin = (start or the.editor.clock.now()).replace(microsecond=0)
        entry = StatusEntry(status=_STATUSES[act], start=begin)
        the.editor.begin_emergency(authority, entry, reason=reason, actor=command_actor())
        show_preview(the.editor.preview())
