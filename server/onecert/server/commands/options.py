"""Options that every command has: where the data is, and which settings file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["common_options", "config_option", "data_option"]

F = TypeVar("F", bound=Callable[..., Any])

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="ONECERT_DATA",
    default=Path("data"),
    show_default="./data",
    metavar="DIR",
    help="The folder that holds the services' folders (also ONECERT_DATA).",
)
config_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="ONECERT_CONFIG",
    metavar="FILE",
    help="The settings file (also ONECERT_CONFIG); default DIR/onecert.toml.",
)


def common_options(command: F) -> F:
    """Add --data and --config; the function gets `data: Path` and `config: Path | None`."""
    return data_option(config_option(command))
