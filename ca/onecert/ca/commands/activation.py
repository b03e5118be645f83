"""`onecert ca activation …`: tokens whose PIN is split among holders."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from onecert.ca.activation.door import doors_of, say_to
from onecert.ca.activation.holders import Holders, new_splitting
from onecert.ca.activation.shares import splitting_of
from onecert.ca.commands.holders import opened_share
from onecert.ca.commands.parts import APPLY, INPUT, OpenedCa, opened_ca, say, say_dry
from onecert.ca.errors.activation import ActivationError
from onecert.ca.signatures.tokens import CaToken, finish_split, split_pin
from onecert.hsm.store import replace_file
from onecert.server.commands.options import common_options
from onecert.server.languages import _, gettext

__all__ = ["activation"]

TOKEN = click.option("--token", "which", type=click.Choice(("issuing", "root")), required=True)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def AMONG_HOLDERS(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 -- used as TOKEN and APPLY are
    """The options of every command that splits a PIN."""
    for option in (
        click.option("--out", "folder", type=FOLDER, required=True, help="Where the share files go."),
        click.option("--needed", type=int, required=True, help="How many of them unlock it together."),
        click.option("--holder", "names", multiple=True, required=True, help="Once for each."),
    ):
        command = option(command)
    return command


@click.group()
def activation() -> None:
    """Tokens that several people unlock together."""


@activation.command("split")
@TOKEN
@AMONG_HOLDERS
@APPLY
@common_options
def split(
    *,
    which: str,
    names: tuple[str, ...],
    needed: int,
    folder: Path,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Draw a new PIN and split it among holders; the PIN file goes."""
    with opened_ca(data, config) as opened:
        token = _token(opened, which)
        if _finished(token, apply=apply):
            return
        if token.holders.splitting() is not None:
            raise ActivationError(_("The PIN of this token is split already; use “change”."))
        _split(token, names, needed, folder, apply=apply)


@activation.command("change")
@TOKEN
@AMONG_HOLDERS
@APPLY
@common_options
def change(
    *,
    which: str,
    names: tuple[str, ...],
    needed: int,
    folder: Path,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Let the holders of now split a new PIN among other holders, or another number of them."""
    with opened_ca(data, config) as opened:
        token = _token(opened, which)
        if _finished(token, apply=apply):
            return
        if token.holders.splitting() is None:
            raise ActivationError(_("The PIN of this token is not split; use “split”."))
        _split(token, names, needed, folder, apply=apply)


@activation.command("activate")
# A service has no other token: the roots' is opened by commands, which ask.
@click.option("--token", "which", type=click.Choice(("issuing", "root")), default="issuing")
@click.option("--share", "file", type=INPUT, required=True)
@common_options
def activate(which: str, file: Path, data: Path, config: Path | None) -> int:
    """Give one holder's share to the services that wait for it. The passphrase is asked for."""
    with opened_ca(data, config) as opened:
        holders = _token(opened, which).holders
        share = opened_share(file)
        answers = [say_to(path, share) for path in doors_of(holders.folder, holders.label)]
        heard = [answer for answer in answers if answer is not None]
        for answer in heard:
            click.echo(json.dumps(answer, ensure_ascii=False))
    if not heard:
        say(_("no service is waiting here; commands ask for shares themselves"))
    return 0 if heard and not any("error" in answer for answer in heard) else 1


@activation.command("status")
@common_options
def status(data: Path, config: Path | None) -> None:
    """Say who the holders are, and which services wait for whom; one JSON object a line."""
    with opened_ca(data, config) as opened:
        for which in ("issuing", "root"):
            holders = _token(opened, which).holders
            public = holders.splitting()
            services = [say_to(path) for path in doors_of(holders.folder, holders.label)]
            shown = {
                "token": which,
                "split": public is not None,
                "needed": public.needed if public else None,
                "holders": list(public.holders) if public else [],
                "interrupted": holders.pending() is not None,
                "services": [answer for answer in services if answer is not None],
            }
            click.echo(json.dumps(shown, ensure_ascii=False))


def _token(opened: OpenedCa, which: str) -> CaToken:
    token = opened.roots if which == "root" else opened.parts.token
    assert isinstance(token, CaToken)  # noqa: S101 - commands have real tokens
    return token


def _finished(token: CaToken, *, apply: bool) -> bool:
    """Take up what an interrupted command left; True when nothing is left to be done."""
    pending = token.holders.pending()
    if pending is None:
        return False
    say(
        _("a splitting was interrupted here; who holds its shares: %(holders)s"),
        holders=", ".join(pending.holders),
    )
    if not apply:
        say_dry()
        return True
    if not finish_split(token):
        say(_("the token does not have its PIN: it is begun anew"))
        return False
    say(
        _("the token has its PIN: it is in force now, with %(needed)s of these holders"),
        needed=pending.needed,
    )
    return True


def _split(token: CaToken, names: Sequence[str], needed: int, folder: Path, *, apply: bool) -> None:
    if len(set(names)) != len(names):
        raise ActivationError(_("A holder is named twice."))
    files = {name: folder / f"{token.label}-{number}.share" for number, name in enumerate(names, start=1)}
    for path in files.values():
        if path.exists() and not _is_left_over(token.holders, path.read_bytes()):
            raise ActivationError(_("The file %(file)s is there already."), file=str(path))
    say(
        _("%(needed)s of %(count)s holders: %(holders)s"),
        needed=needed,
        count=len(names),
        holders=", ".join(names),
    )
    if not apply:
        say_dry()
        return
    _check_old(token.holders)
    phrases = {}
    for name in names:
        text = gettext(_("passphrase of %(holder)s"), holder=name)
        phrases[name] = click.prompt(text, hide_input=True, confirmation_prompt=True, err=True)
    public, pin, contents = new_splitting(token.label, needed=needed, holders=phrases)
    token.check()
    for name, path in files.items():
        replace_file(path, contents[name])
    split_pin(token, public, pin)
    say(
        _("the PIN is split; each holder takes one file: %(files)s"),
        files=", ".join(map(str, files.values())),
    )


def _is_left_over(holders: Holders, content: bytes) -> bool:
    """Whether a share file is of this token and of no splitting that is known: an attempt left it."""
    known = [each.split for each in (holders.splitting(), holders.pending()) if each is not None]
    of = splitting_of(content)
    return of is not None and of[0] == holders.label and of[1] not in known


def _check_old(holders: Holders) -> None:
    if holders.splitting() is not None:
        holders.pin()
