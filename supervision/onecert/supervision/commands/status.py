"""`onecert trust-list grant` and the like: a status for an authority, in the draft."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import TIME, opened_supervision, show_preview
from onecert.verifier.trust_list import Status, StatusEntry

__all__ = ["status_commands"]


def _status_command(name: str, status: Status, help_text: str) -> click.Command:
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
        with opened_supervision(data, config) as (the, _):
            begin = (start or the.editor.clock.now()).replace(microsecond=0)
            entry = StatusEntry(status=status, start=begin)
            entry = replace(
                entry,
                existing_until=existing_until,
                taken_over_by=taken_over_by,
                accept_existing=accept_existing,
            )
            the.editor.add_status(authority, entry, actor=command_actor())
            show_preview(the.editor.preview())

    if status in (Status.WITHDRAWN, Status.TERMINATED):
        until = "Certificates issued before are accepted until then."
        act = click.option("--existing-until", type=TIME, metavar="TIME", help=until)(act)
    if status is Status.TERMINATED:
        act = click.option("--taken-over-by", metavar="AUTHORITY", help="Who answers for status now.")(act)
    if status is Status.SUSPENDED:
        act = click.option("--accept-existing", is_flag=True, help="Existing certificates stay accepted.")(
            act
        )
    return click.command(name, help=help_text)(act)


status_commands = (
    _status_command("grant", Status.GRANTED, "Grant AUTHORITY its licence again, in the draft."),
    _status_command("suspend", Status.SUSPENDED, "Suspend AUTHORITY in the draft."),
    _status_command("withdraw", Status.WITHDRAWN, "Withdraw the licence of AUTHORITY in the draft."),
    _status_command(
        "terminate", Status.TERMINATED, "Record in the draft that AUTHORITY has ended its service."
    ),
    _status_command(
        "compromised", Status.KEY_COMPROMISED, "Record in the draft that the key of AUTHORITY leaked."
    ),
)
