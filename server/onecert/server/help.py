"""What `--help` shows, and what click itself says, in the language of the command.

A help text is looked up when it is shown: its English as it stands in the code, normalised, is the msgid in
the catalogue of the member whose module holds the command. click asks gettext for its own words ("Usage:",
"Options", "Missing option"); while a command runs it asks our catalogues instead.

Leaves out: names, metavars and choices, which are typed as they stand, and texts that click composes when a
command is defined (`--version`).
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy

import click

from onecert.server.languages import current_language, set_language, translate

__all__ = ["HelpContext", "click_words", "normalised", "package_of", "speaking"]

# Each binds gettext's functions to names of its own. The words of `decorators` are help texts, kept as msgids
# in the options that it makes.
_CLICK_MODULES = ("core", "exceptions", "formatting", "parser", "termui", "types")

_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff01-\uff60"
_CLOSING = "、。〉》」』】〕！），．：；？］｝”’"
_OPENING = "〈《「『【〔（［｛"
_BREAKABLE = re.compile(f"(?![{_OPENING}])([{_WIDE}])(?![{_CLOSING}])")
_BROKEN = re.compile(f"([{_WIDE}]) ")


def normalised(text: str) -> str:
    """The msgid of a help text: no indentation, each paragraph one line, nothing after a form feed."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text.partition("\f")[0]).strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def package_of(command: click.Command, default: str) -> str:
    """The member's package whose catalogue speaks first for this command, such as "onecert.ca"."""
    module = getattr(command.callback, "__module__", None) or default
    return ".".join(module.split(".")[:2])


class _WideFormatter(click.HelpFormatter):
    """Breaks lines between Chinese characters, which take two columns each.

    click wraps at spaces and counts characters. A space after each wide character makes both right; what is
    left of these spaces goes when the text is taken out.
    """

    def write_text(self, text: str) -> None:
        super().write_text(_spaced(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        spaced = [(_spaced(first), _spaced(second)) for first, second in rows]
        super().write_dl(spaced, col_max, col_spacing)

    def getvalue(self) -> str:
        return _BROKEN.sub(r"\1", super().getvalue())


def _spaced(text: str) -> str:
    return _BREAKABLE.sub(r"\1 ", text)


class HelpContext(click.Context):
    """A context whose help is in the current language."""

    formatter_class = _WideFormatter

    def get_help(self) -> str:
        """The whole help page of the command; in English exactly what click makes of it."""
        if current_language() == "en":
            return super().get_help()
        return _translated(self.command, self).get_help(self)


def speaking(command: click.Command) -> click.Command:
    """Give the command, and every one below it, a context whose help is in the current language."""
    command.context_class = HelpContext
    if isinstance(command, click.Group):
        for below in command.commands.values():
            speaking(below)
    return command


@contextmanager
def click_words() -> Iterator[None]:
    """Inside the block click's own words come from our catalogues."""
    bound = [
        (module, name, getattr(module, name), ours)
        for module in (importlib.import_module(f"click.{each}") for each in _CLICK_MODULES)
        for name, ours in (("_", translate), ("ngettext", _click_plural))
        if hasattr(module, name)
    ]
    for module, name, _theirs, ours in bound:
        setattr(module, name, ours)
    try:
        yield
    finally:
        for module, name, theirs, _ours in bound:
            setattr(module, name, theirs)


def _click_plural(singular: str, plural: str, count: int) -> str:
    # Chinese has one form, and ours is that of the plural, whose facts are complete.
    return singular if current_language() == "en" and count == 1 else translate(plural)


def _translated(command: click.Command, ctx: click.Context) -> click.Command:
    """A copy of the command with translated texts, to be shown and not to be run."""
    with set_language(current_language(), package_of(command, __name__)):
        shown = copy(command)
        shown.help = _text(command.help)
        shown.epilog = _text(command.epilog)
        shown.params = [_translated_parameter(each) for each in command.get_params(ctx)]
        shown.add_help_option = False  # it is among the parameters
    if not isinstance(command, click.Group):
        return shown
    return click.Group(
        command.name,
        commands={
            name: _listed(below, package_of(command, __name__))
            for name in command.list_commands(ctx)
            if (below := command.get_command(ctx, name)) is not None
        },
        help=shown.help,
        epilog=shown.epilog,
        params=shown.params,
        add_help_option=False,
        options_metavar=command.options_metavar,
        subcommand_metavar=command.subcommand_metavar,
        deprecated=command.deprecated,
    )


def _listed(command: click.Command, package: str) -> click.Command:
    """The command as its group lists it: by the first sentence of its help."""
    with set_language(current_language(), package_of(command, package)):
        text = _text(command.short_help) or _first_sentence(_text(command.help) or "")
    return click.Command(
        command.name, short_help=text or None, hidden=command.hidden, deprecated=command.deprecated
    )


def _first_sentence(text: str) -> str:
    return re.split(r"。|\.\s|\n\n", text, maxsplit=1)[0].removesuffix(".")


def _translated_parameter(parameter: click.Parameter) -> click.Parameter:
    text = getattr(parameter, "help", None)
    if not text:
        return parameter
    shown = copy(parameter)
    setattr(shown, "help", _text(text))  # noqa: B010 # not every kind of parameter has one
    return shown


def _text(text: str | None) -> str | None:
    return translate(normalised(text)) if text else text
