"""onecert-testkit: make a kit, serve its lists, check a login against it.

    onecert-testkit make kit
    onecert-testkit serve kit
    onecert-testkit check kit --url http://127.0.0.1:5000/login

A kit made with --keep-keys can change while it is served: revoke, hold, release, renew, withdraw, refresh.

Answers go to stdout, everything else to stderr. Exit codes: 0 done, or all as expected; 1 something is not as
expected; 2 wrong usage; 3 the login is not reachable.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from onecert.testkit import changes
from onecert.testkit.browser import LoginAddress
from onecert.testkit.errors import KitError
from onecert.testkit.forms import FORMS
from onecert.testkit.junit import junit_xml
from onecert.testkit.kit import DEFAULT_BASE_URL, Kit, load_kit, make_kit
from onecert.testkit.report import report_lines
from onecert.testkit.runner import FAILED, check_login
from onecert.testkit.serve import make_server
from onecert.testkit.texts import text
from onecert.verifier.cli.parser import Parser, choose_language
from onecert.verifier.strict_json import parse_time

__all__ = ["main"]

Value = TypeVar("Value")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong usage leaves with ``SystemExit(2)``."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _make_parser(choose_language(given)).parse_args(given)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except KitError as exc:
        said = text("ERROR", options.language, command="onecert-testkit", text=exc.text(options.language))
        print(said, file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        return 0


def _make_parser(language: str) -> Parser:
    def said(code: str) -> str:
        return text(code, language)

    parser = Parser(prog="onecert-testkit", language=language, description=said("HELP_DESCRIPTION"))
    parser.speaks()
    parser.epilog = said("HELP_EXIT_CODES")
    commands = parser.add_subparsers(
        title=said("HELP_COMMANDS"), required=True, metavar="COMMAND", parser_class=Parser
    )

    def command(name: str, about: str, run: Callable[[argparse.Namespace], int]) -> Parser:
        made: Parser = commands.add_parser(name, help=about, description=about, language=language)
        made.set_defaults(run=run)
        made.speaks()
        made.epilog = said("HELP_EXIT_CODES")
        kit = made.add_argument_group(said("HELP_KIT"))
        kit.add_argument("folder", help=said("HELP_FOLDER"), type=Path, metavar="FOLDER")
        return made

    make = command("make", said("HELP_MAKE"), _make)
    when = _reader(_time, "TIME_MALFORMED", language)
    number = _reader(int, "NUMBER_MALFORMED", language)
    make.option("--at", text=said("HELP_AT"), type=when, metavar="TIME")
    make.option("--years", text=said("HELP_YEARS"), type=number, default=2, metavar="N")
    make.option("--base-url", text=said("HELP_BASE_URL"), default=DEFAULT_BASE_URL, metavar="URL")
    make.flag("--keep-keys", text=said("HELP_KEEP_KEYS"))
    serve = command("serve", said("HELP_SERVE"), _serve)
    port = _reader(_port, "PORT_MALFORMED", language)
    serve.option("--port", text=said("HELP_PORT"), type=port, metavar="N")
    for name in ("revoke", "hold", "release", "renew"):
        change = command(name, said(f"HELP_{name.upper()}"), _change)
        change.set_defaults(change=name)
        change.add_argument("name", help=said("HELP_CASE"), metavar="NAME")
    withdraw = command("withdraw", said("HELP_WITHDRAW"), _change)
    withdraw.set_defaults(change="withdraw")
    withdraw.add_argument("name", help=said("HELP_CA"), metavar="CA")
    withdraw.flag("--keeps-existing", text=said("HELP_KEEPS_EXISTING"))
    command("refresh", said("HELP_REFRESH"), _change).set_defaults(change="refresh", name="")
    check = command("check", said("HELP_CHECK"), _check)
    check.option("--url", text=said("HELP_URL"), required=True, metavar="URL")
    check.option("--form", text=said("HELP_FORM"), choices=list(FORMS), default="flask-onecert")
    check.option("--page", text=said("HELP_PAGE"), default="/", metavar="PATH")
    check.option("--skip", text=said("HELP_SKIP"), action="append", default=[], metavar="CASE")
    check.flag("--slow", text=said("HELP_SLOW"))
    check.flag("--json", text="HELP_JSON")
    check.option("--junit", text=said("HELP_JUNIT"), type=Path, metavar="FILE")
    check.option("--token", text=said("HELP_TOKEN_FILE"), type=Path, metavar="FILE")
    check.option("--cafile", text=said("HELP_CAFILE"), metavar="FILE")
    check.flag("--insecure", text=said("HELP_INSECURE"))
    check.option("--application", text=said("HELP_APPLICATION"), metavar="NAME", default="")
    return parser


def _reader(read: Callable[[str], Value], code: str, language: str) -> Callable[[str], Value]:
    def reader(value: str) -> Value:
        try:
            return read(value)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(text(code, language, value=value)) from exc

    return reader


def _time(value: str) -> datetime:
    return parse_time(value, "TIME")


def _port(value: str) -> int:
    port = int(value)
    if not 0 <= port <= 65535:
        raise ValueError(value)
    return port


def now() -> datetime:
    """The clock of the machine, in UTC."""
    return datetime.now(UTC)


def _load(folder: Path) -> Kit:
    kit = load_kit(folder)
    # Nobody should look for the fault in a login when the lists are over.
    if now() >= parse_time(kit.until, "until"):
        raise KitError("KIT_OVER", folder=folder, until=kit.until)
    return kit


def _make(options: argparse.Namespace) -> int:
    at = options.at or now()
    kit = make_kit(
        options.folder, at=at, base_url=options.base_url, years=options.years, keep_keys=options.keep_keys
    )
    print(text("MADE", options.language, count=len(kit.cases), folder=kit.folder, until=kit.until))
    print(text("NEXT", options.language, folder=kit.folder), file=sys.stderr)
    return 0


_CHANGES: dict[str, Callable[[argparse.Namespace, datetime], bool]] = {
    "revoke": lambda given, at: changes.revoke(given.folder, given.name, at=at),
    "hold": lambda given, at: changes.revoke(given.folder, given.name, at=at, hold=True),
    "release": lambda given, at: changes.release(given.folder, given.name, at=at),
    "renew": lambda given, at: changes.renew(given.folder, given.name, at=at),
    "withdraw": lambda given, at: changes.withdraw(
        given.folder, given.name, at=at, keeps_existing=given.keeps_existing
    ),
    "refresh": lambda given, at: changes.refresh(given.folder, at=at),
}


def _change(options: argparse.Namespace) -> int:
    is_new = _CHANGES[options.change](options, now())
    print(text("CHANGED" if is_new else "UNCHANGED", options.language, folder=options.folder))
    if is_new:
        print(text("CHANGED_NEXT", options.language), file=sys.stderr)
    return 0


def _serve(options: argparse.Namespace) -> int:
    kit = _load(options.folder)
    with make_server(kit, port=options.port) as server:
        address = f"{kit.base_url}/trust-list.json"
        print(text("SERVING", options.language, address=address), flush=True)
        server.serve_forever()
    return 0


def _check(options: argparse.Namespace) -> int:
    kit = _load(options.folder)
    address = LoginAddress.parse(options.url, cafile=options.cafile, insecure=options.insecure)
    address = replace(address, application=options.application, clock=now)
    try:
        if options.token is not None:
            address = replace(address, token=options.token.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise KitError("TOKEN_UNREADABLE", path=options.token) from exc
    outcomes = check_login(
        kit, address, form=options.form, page=options.page, skip=options.skip, slow=options.slow
    )
    is_good = all(outcome.result != FAILED for outcome in outcomes)
    if options.junit is not None:
        try:
            options.junit.write_bytes(junit_xml(outcomes, options.language))
        except OSError as exc:
            raise KitError("FILE_UNWRITABLE", path=options.junit, detail=exc.strerror) from exc
    if options.json:
        value = {"schema": 1, "passed": is_good, "outcomes": [outcome.as_dict() for outcome in outcomes]}
        print(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        print("\n".join(report_lines(outcomes, options.language)))
    return 0 if is_good else 1
