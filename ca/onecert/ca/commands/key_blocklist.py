"""`onecert ca key-blocklist`: lists of weak or compromised keys."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.ca.certificates.key_blocklist import KeyBlocklist
from onecert.ca.commands.parts import INPUT, actor, opened_ca
from onecert.server.commands.options import common_options

__all__ = ["key_blocklist"]


@click.group("key-blocklist")
def key_blocklist() -> None:
    """Keys that are never certified, whoever asks."""


@key_blocklist.command("import")
@click.argument("file", type=INPUT)
@click.option("--reason", required=True, help="Where the list comes from, for the record.")
@common_options
def import_list(file: Path, reason: str, data: Path, config: Path | None) -> None:
    """Block the keys of FILE: SHA-256 of public keys, or Debian's openssl-blacklist, one a line."""
    with opened_ca(data, config) as opened, file.open(encoding="ascii", errors="replace") as lines:
        parts = opened.parts
        added = KeyBlocklist(parts.database, parts.audit, parts.clock).add(
            lines, reason=reason, actor=actor()
        )
    click.echo(json.dumps({"added": added}))
