"""`onecert trust-list bundle`: one file for departments without network."""

from __future__ import annotations

from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.languages import current_language
from onecert.supervision.commands.parts import opened_supervision

__all__ = ["bundle"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def bundle() -> None:
    """The offline bundle: list, revocation lists, register and policy in one signed file."""


@bundle.command("make")
@click.option("--out", type=_FILE, metavar="FILE", help="Default: bundle.zip among the published files.")
@click.option("--policy", type=_EXISTING, metavar="FILE", help="How long departments may rely on it.")
@click.option("--allow-missing", is_flag=True, help="Leave out revocation lists that cannot be had.")
@common_options
def bundle_make(
    out: Path | None, policy: Path | None, allow_missing: bool, data: Path, config: Path | None
) -> None:
    """Fetch every authority's revocation lists, check them, and sign the bundle."""
    with opened_supervision(data, config) as (the, _):
        made, missing = the.bundles.make(
            out, policy=None if policy is None else policy.read_bytes(), allow_missing=allow_missing
        )
    for each in missing:
        reason = each.reason.text(current_language())
        click.echo(f"missing: {each.service}\t{each.url}\t{each.reason.code}: {reason}", err=True)
    click.echo(
        f"{made.made_at.isoformat()}\t{made.manifest.use_until.isoformat()}"
        f"\t{len(made.crls)}\t{made.manifest.sha256}"
    )
