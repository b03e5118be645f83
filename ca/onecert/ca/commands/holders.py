"""Holders of a split PIN, asked at the terminal of a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from onecert.ca.activation.holders import Splitting
from onecert.ca.activation.shares import Share, open_share
from onecert.server.languages import _, gettext

__all__ = ["ask_holders", "opened_share"]

SHARE_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def ask_holders(public: Splitting) -> Sequence[Share]:
    """Ask the holders at this terminal, one after the other."""
    text = _("%(needed)s holders unlock the token %(token)s")
    click.echo(gettext(text, needed=public.needed, token=public.token), err=True)
    shares = []
    for number in range(1, public.needed + 1):
        path = click.prompt(
            gettext(_("share file %(number)s of %(needed)s"), number=number, needed=public.needed),
            type=SHARE_FILE,
            err=True,
        )
        shares.append(opened_share(path))
    return shares


def opened_share(path: Path) -> Share:
    """Open a share file with the passphrase that is typed."""
    return open_share(path.read_bytes(), click.prompt(gettext(_("passphrase")), hide_input=True, err=True))
