"""The `onecert` command: finds its commands where the installed members announce them.

An entry point of group ``onecert.commands`` names a click command; it is imported only when it is called, so
that `onecert audit verify` starts without loading a web server. An error becomes a sentence and a next step.

Exit codes: 0 done or accepted, 1 refused, 2 wrong usage, 3 could not check.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import click

from onecert.server.errors import ServiceError
from onecert.server.help import HelpContext, click_words, speaking
from onecert.server.languages import _, current_language, gettext, set_language
from onecert.server.loading import load
from onecert.server.redaction import redact
from onecert.verifier.errors import RefusedError

__all__ = ["DONE", "NOT_CHECKED", "REFUSED", "USAGE", "main", "run"]

DONE, REFUSED, USAGE, NOT_CHECKED = 0, 1, 2, 3

ENTRY_POINT_GROUP = "onecert.commands"


class _Commands(click.Group):
    """A group whose commands are entry points."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for point in entry_points(group=ENTRY_POINT_GROUP, name=cmd_name):
            try:
                command = load(point)
            except ImportError as exc:
                return _unloadable(cmd_name, exc)
            if not isinstance(command, click.Command):
                raise TypeError(f"entry point {cmd_name} of {ENTRY_POINT_GROUP} is not a command")
            return speaking(command)
        return None


@runtime_checkable
class _SpeakingError(Protocol):
    code: str

    def text(self, language: str) -> str: ...
    def hint(self, language: str) -> str: ...


def _unloadable(name: str, exc: ImportError) -> click.Command:
    """Stand in for a command of a broken installation, so that the other commands go on working."""

    def explain(**_: object) -> None:
        raise exc

    anything = [click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)]
    return click.Command(
        name,
        callback=explain,
        params=list(anything),
        context_settings={"ignore_unknown_options": True},
        help=_("(cannot be loaded; reinstall its member)"),
    )


@click.command(cls=_Commands)
@click.option("--debug", is_flag=True, help="Show the trace of an unexpected error.")
@click.version_option(package_name="onecert-server", prog_name="onecert")
@click.pass_context
def onecert(ctx: click.Context, debug: bool) -> None:
    """OneCert: certificates, roles and trust of one city."""
    ctx.obj = {"debug": debug}


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    with set_language(_language()), click_words():
        return _run(arguments, debug="--debug" in arguments)


def _run(arguments: Sequence[str], *, debug: bool) -> int:
    try:
        result: Any = onecert.main(list(arguments), prog_name="onecert", standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code if isinstance(exc, click.UsageError) else REFUSED
    except (click.Abort, KeyboardInterrupt):
        _say(gettext(_("stopped")))
        return REFUSED
    except BrokenPipeError:
        return DONE
    except Exception as exc:
        if debug:
            traceback.print_exc()
        return _explain(exc)
    return result if isinstance(result, int) else DONE


def main() -> None:
    """Entry point of the `onecert` script."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s")
    sys.exit(run(sys.argv[1:]))


def _explain(exc: Exception) -> int:
    """Say what went wrong and what to do next; return the exit code."""
    if isinstance(exc, ServiceError):
        _say(f"{gettext(exc.text, **exc.facts)} [{exc.code}]")
        if exc.hint:
            _hint(gettext(exc.hint, **exc.facts))
        return REFUSED if exc.is_refusal else NOT_CHECKED
    if isinstance(exc, OSError) and exc.filename is not None:
        _say(f"{exc.filename}: {exc.strerror}")
        return NOT_CHECKED
    if isinstance(exc, _SpeakingError):
        # Errors of the verifier and of the token layer know their own texts.
        _say(f"{exc.text(current_language())} [{exc.code}]")
        if hint := exc.hint(current_language()):
            _hint(hint)
        return REFUSED if isinstance(exc, RefusedError) else NOT_CHECKED
    _say(gettext(_("unexpected error: %(error)s"), error=f"{type(exc).__name__}: {exc}"))
    _hint(gettext(_("nothing more was done; run it again with `onecert --debug …` and report what it shows")))
    return NOT_CHECKED


def _say(text: str) -> None:
    print(redact(text), file=sys.stderr)


def _hint(text: str) -> None:
    _say(gettext(_("hint: %(text)s"), text=text))


def _language() -> str:
    """Chinese when the terminal is Chinese, otherwise English; ONECERT_LANGUAGE decides before it."""
    chosen = os.environ.get("ONECERT_LANGUAGE", "")
    if chosen in {"zh", "en"}:
        return chosen
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


if __name__ == "__main__":
    main()
