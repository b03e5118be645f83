"""`onecert ca status …`: status processes, and copies of what they serve."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.ca.commands.parts import say
from onecert.ca.status.folder_copy import copy_folder
from onecert.ca.status.folder_standing import standing_of
from onecert.ca.status.process import status_folder, status_process
from onecert.ca.status.serving import serve_until_signal
from onecert.server.clock import SystemClock
from onecert.server.commands.options import common_options
from onecert.server.languages import _
from onecert.server.logging_setup import set_up_logging

__all__ = ["status"]

FOLDER = click.Path(file_okay=False, path_type=Path)
_folder = click.option(
    "--folder", type=FOLDER, help="A status folder, or a copy of one; default DATA/ca/status."
)


@click.group()
def status() -> None:
    """Lists, CA certificates and OCSP, served from files alone."""


@status.command()
@click.option("--listen", default="127.0.0.1:8081", show_default=True, metavar="HOST:PORT")
@click.option("--socket", type=click.Path(path_type=Path), help="A socket for a proxy, instead of a port.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 256))
@_folder
@common_options
def serve(  # noqa: PLR0917 - click hands over each option
    listen: str, socket: Path | None, threads: int, folder: Path | None, data: Path, config: Path | None
) -> None:
    """Serve from the status folder: without database, token and CA, also when they are gone."""
    app = status_process(data, config=config, folder=folder)
    set_up_logging("INFO")
    serve_until_signal(
        app, socket or _address(listen), threads=threads, ready=lambda where: click.echo(f"ready {where}")
    )


@status.command()
@_folder
@common_options
def show(folder: Path | None, data: Path, config: Path | None) -> int:
    """Tell how fresh the folder is, as JSON; 3 when a list has lapsed or there is none."""
    standing = standing_of(folder or status_folder(data), SystemClock().now())
    click.echo(json.dumps(standing))
    return 0 if standing["ready"] else 3


@status.command()
@click.argument("destination", type=FOLDER)
@_folder
@common_options
def copy(destination: Path, folder: Path | None, data: Path, config: Path | None) -> None:
    """Copy the status folder to DESTINATION: whole files, none older than what is there."""
    copied = copy_folder(folder or status_folder(data), destination)
    say(_("copied %(count)s files that had changed"), count=copied)


def _address(text: str) -> tuple[str, int]:
    host, _colon, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(_("HOST:PORT is needed"), param_hint="--listen")
    return host.strip("[]"), int(port)
