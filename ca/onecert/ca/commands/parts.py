"""What every command of the CA stands on: the CA opened, talk to the person, options."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from onecert.ca.commands.holders import ask_holders
from onecert.ca.config import CaConfig
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.parts import Parts, assemble
from onecert.ca.signatures.signer import Signer
from onecert.ca.signatures.tokens import CaToken, root_token
from onecert.server.contexts import open_member
from onecert.server.languages import _, gettext
from onecert.server.members import Context

__all__ = [
    "APPLY",
    "INPUT",
    "OpenedCa",
    "actor",
    "opened_ca",
    "plain_serial",
    "root_publisher",
    "say",
    "say_dry",
]

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
APPLY = click.option("--apply", is_flag=True, help="Do it; without this, only show what would be done.")


@dataclass(frozen=True)
class OpenedCa:
    config: CaConfig
    context: Context
    parts: Parts
    roots: CaToken


@contextmanager
def opened_ca(data: Path, config: Path | None) -> Iterator[OpenedCa]:
    opened = open_member("ca", data, config=config)
    settings: CaConfig = opened.config
    parts = assemble(settings, opened.context)
    roots = root_token(settings, opened.context.data, opened.context.shared)
    for token in (parts.token, roots):
        if isinstance(token, CaToken):
            token.holders.ask = ask_holders
    try:
        yield OpenedCa(settings, opened.context, parts, roots)
    finally:
        roots.close()
        parts.token.close()
        opened.close()


def actor() -> str:
    """Name who runs this command."""
    return f"command:{getpass.getuser()}"


def say(msgid: str, **facts: object) -> None:
    click.echo(gettext(msgid, **facts), err=True)


def say_dry() -> None:
    say(_("hint: nothing has changed yet; add --apply to do it"))


def plain_serial(text: str) -> str:
    return text.lower().replace(":", "").lstrip("0")


def root_publisher(opened: OpenedCa) -> CrlPublisher:
    parts = opened.parts
    return CrlPublisher(
        parts.database,
        parts.audit,
        parts.clock,
        authorities=parts.authorities,
        signer=Signer(opened.roots.key, token=opened.roots.label),
        files=parts.files,
    )
