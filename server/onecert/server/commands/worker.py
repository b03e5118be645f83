"""`onecert worker`: periodic work in a process of its own, without HTTP."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.commands.up import split_names, wanted_members
from onecert.server.config import ServerConfig
from onecert.server.contexts import load_member_settings
from onecert.server.logging_setup import set_up_logging
from onecert.server.serve import DATABASE_PATIENCE, stop_signals, wait_for_stop
from onecert.server.system import System

__all__ = ["worker"]


@click.command()
@common_options
@click.option("--members", metavar="NAMES", help="Whose work, such as ca,ra; default: all installed.")
@click.option("--only", metavar="JOBS", help="These jobs alone, such as ca.batches,ca.crl; default: all.")
def worker(data: Path, config: Path | None, members: str | None, only: str | None) -> None:
    """Run the periodic work of services until SIGTERM, beside the processes that serve.

    Any number may run, also beside `onecert up`: each piece of work is done by one of them.
    """
    loaded = wanted_members(members)
    settings = load_member_settings(loaded, data, config=config)
    set_up_logging(settings.section("server", ServerConfig).log_level)
    stopping = threading.Event()
    with stop_signals(stopping):
        system = System(loaded, data, settings, patience=DATABASE_PATIENCE)
        try:
            system.start_jobs(role="worker", only=None if only is None else split_names(only))
            click.echo(f"working for {', '.join(member.name for member in loaded)}")
            wait_for_stop(stopping)
        finally:
            system.drain()
            system.close()
