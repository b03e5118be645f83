"""The command line's options: their texts come from the catalogues, in the language of who asks.

``argparse`` speaks English only; its headings and errors are replaced here by rows of ``messages/cli.json``.
"""

from __future__ import annotations

import argparse
import locale
import os
import re
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from onecert.verifier.messages import LANGUAGES, message
from onecert.verifier.purposes import (
    ANY,
    ATTRIBUTE_AUTHORITY,
    CLIENT,
    CRL_SIGNING,
    ENCRYPTION,
    LOGIN,
    OCSP_SIGNING,
    SERVER,
    SIGNING,
    TIMESTAMPING,
    Purpose,
)
from onecert.verifier.revocation import RevocationMode, RevocationSources
from onecert.verifier.strict_json import parse_time

__all__ = [
    "PURPOSES",
    "Parser",
    "UsageError",
    "add_anchors",
    "add_evidence",
    "add_list",
    "choose_language",
]

PURPOSES: dict[str, Purpose] = {
    "login": LOGIN,
    "signing": SIGNING,
    "encryption": ENCRYPTION,
    "client": CLIENT,
    "server": SERVER,
    "timestamping": TIMESTAMPING,
    "crl-signing": CRL_SIGNING,
    "ocsp-signing": OCSP_SIGNING,
    "attribute-authority": ATTRIBUTE_AUTHORITY,
    "any": ANY,
}

_DAYS_MAX = 366
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,38})){1,31}\Z")
# What argparse says, and our row for it. Groups are the facts of the row, in the order of its field names.
_ARGPARSE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"the following arguments are required: (.+)", "USAGE_REQUIRED", ("arguments",)),
    (r"one of the arguments (.+) is required", "USAGE_ONE_OF", ("arguments",)),
    (r"unrecognized arguments: (.+)", "USAGE_UNRECOGNIZED", ("arguments",)),
    (
        r"argument (.+?): invalid choice: (.+?) \(choose from (.+)\)",
        "USAGE_CHOICE",
        ("name", "value", "choices"),
    ),
    (r"argument (.+?): expected .*argument.*", "USAGE_EXPECTED", ("name",)),
    (r"argument (.+?): not allowed with argument (.+)", "USAGE_CONFLICT", ("name", "other")),
    (r"ambiguous option: (.+?) could match (.+)", "USAGE_AMBIGUOUS", ("name", "choices")),
    (r"argument (.+?): ignored explicit argument (.+)", "USAGE_NO_VALUE", ("name", "value")),
    (r"argument (.+?): (.+)", "USAGE_ARGUMENT", ("name", "detail")),
)


class UsageError(Exception):
    """The options do not fit together; ends in exit code 2."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


def choose_language(arguments: Iterable[str]) -> str:
    """``--language`` if it is there, else Chinese when the terminal is, else English."""
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name == "--language":
            value = value if equals else next(rest, "")
            if value in LANGUAGES:
                return value
    name = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if (name or locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"


class Parser(argparse.ArgumentParser):
    """One command. ``inputs`` and ``options`` are its two groups; texts are codes of the catalogue."""

    def __init__(self, *, language: str, **settings: Any) -> None:
        super().__init__(
            add_help=False,
            formatter_class=lambda prog: _Formatter(prog, language),
            epilog=message("HELP_EXIT_CODES", language),
            **settings,
        )
        self.language = language
        self._inputs = self.add_argument_group(message("HELP_INPUTS", language))
        self._options = self.add_argument_group(message("HELP_OPTIONS", language))
        self.option("-h", "--help", text="HELP_HELP", action="help")

    def input(self, name: str, *, text: str, **settings: Any) -> None:
        """A positional argument."""
        self._inputs.add_argument(name, help=message(text, self.language), **settings)

    def option(self, *names: str, text: str, **settings: Any) -> None:
        """An option."""
        self._options.add_argument(*names, help=message(text, self.language), **settings)

    def file(self, name: str, *, text: str, required: bool = False) -> None:
        """An option that takes one file."""
        self.option(name, text=text, type=Path, metavar="FILE", required=required)

    def files(self, *names: str, text: str, required: bool = False) -> None:
        """An option that takes a file and may be repeated."""
        self.option(
            *names, text=text, type=Path, metavar="FILE", action="append", default=[], required=required
        )

    def flag(self, name: str, *, text: str) -> None:
        """An option that is there or not."""
        self.option(name, text=text, action="store_true")

    def common(self) -> None:
        """The options that every command has."""
        self.flag("--json", text="HELP_JSON")
        self.speaks()
        self.option(
            "--at",
            text="HELP_AT",
            type=self._checked(lambda value: parse_time(value, "TIME"), "USAGE_TIME"),
            metavar="TIME",
        )

    def speaks(self) -> None:
        """``--language``, which ``choose_language`` has already read."""
        self.option("--language", text="HELP_LANGUAGE", choices=LANGUAGES, default=self.language)

    def oids(self, name: str, *, text: str) -> None:
        """An option that takes an object identifier and may be repeated."""
        kind = self._checked(_oid, "USAGE_OID")
        self.option(name, text=text, type=kind, action="append", default=[], metavar="OID")

    def number(self, name: str, *, text: str) -> None:
        """An option that takes a serial number in hexadecimal."""
        self.option(name, text=text, type=self._checked(_serial, "USAGE_SERIAL"), metavar="HEX")

    def days(self, name: str, *, text: str) -> None:
        """An option that takes a number of whole days; none by default."""
        kind = self._checked(_days, "USAGE_DAYS")
        self.option(name, text=text, type=kind, metavar="DAYS", default=timedelta(0))

    def _checked(self, read: Callable[[str], Any], code: str) -> Callable[[str], Any]:
        def checked(text: str) -> Any:
            try:
                return read(text)
            except ValueError as exc:
                raise argparse.ArgumentTypeError(message(code, self.language, value=text)) from exc

        return checked

    def error(self, text: str) -> NoReturn:
        """Say what is wrong with the command line, and leave with exit code 2."""
        for pattern, code, names in _ARGPARSE:
            match = re.fullmatch(pattern, text, re.DOTALL)
            if match is not None:
                text = message(code, self.language, **dict(zip(names, match.groups(), strict=True)))
                break
        self.print_usage(sys.stderr)
        self.exit(2, message("USAGE_ERROR", self.language, command=self.prog, text=text) + "\n")

    def fail(self, error: UsageError) -> NoReturn:
        """The same for options that do not fit together."""
        self.print_usage(sys.stderr)
        text = message(error.code, self.language, **error.facts)
        self.exit(2, message("USAGE_ERROR", self.language, command=self.prog, text=text) + "\n")


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str, language: str) -> None:
        super().__init__(prog, max_help_position=30)
        self._language = language

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        # Empty, not absent, where argparse makes the name of a command from the usage of its parent.
        own = message("HELP_USAGE", self._language) if prefix is None else prefix
        super().add_usage(usage, actions, groups, own)


def add_evidence(parser: Parser) -> None:
    """What is known about revocation, and how strictly it is asked for."""
    parser.files("--crl", text="HELP_CRL")
    parser.option("--crls", text="HELP_CRLS", type=Path, metavar="FOLDER")
    parser.files("--ocsp", text="HELP_OCSP")
    parser.option(
        "--revocation",
        text="HELP_REVOCATION",
        choices=[mode.value for mode in RevocationMode],
        default=RevocationMode.REQUIRE.value,
    )
    parser.option(
        "--sources",
        text="HELP_SOURCES",
        choices=[sources.value for sources in RevocationSources],
        default=RevocationSources.EITHER.value,
    )
    parser.days("--allow-offline", text="HELP_ALLOW_OFFLINE")
    parser.option("--purpose", text="HELP_PURPOSE", choices=sorted(PURPOSES), default="login")
    parser.files("--intermediate", "--untrusted", text="HELP_INTERMEDIATE")


def add_list(parser: Parser, *, required: bool = True) -> None:
    """The root, the timestamp and the memory that a trust list is checked with."""
    parser.files("--trust-root", text="HELP_TRUST_ROOTS", required=required)
    parser.file("--trust-timestamp", text="HELP_TRUST_TIMESTAMP")
    parser.file("--state", text="HELP_STATE")


def add_anchors(parser: Parser, *, required: bool = True) -> None:
    """The explicit inputs of a path without a trust list (RFC 5280, section 6.1.1)."""
    parser.files("--anchor", text="HELP_ANCHOR", required=required)
    parser.flag("--anchor-extensions", text="HELP_ANCHOR_EXTENSIONS")
    parser.oids("--policy", text="HELP_POLICY")
    parser.flag("--require-explicit", text="HELP_REQUIRE_EXPLICIT")
    parser.flag("--inhibit-mapping", text="HELP_INHIBIT_MAPPING")
    parser.flag("--inhibit-any", text="HELP_INHIBIT_ANY")
    parser.flag("--strict", text="HELP_STRICT")
    parser.flag("--fetch", text="HELP_FETCH")
    parser.flag("--allow-private", text="HELP_ALLOW_PRIVATE")


def _oid(text: str) -> str:
    if not _OID.match(text):
        raise ValueError(text)
    return text


def _days(text: str) -> timedelta:
    # More than a year is no interruption any more.
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or int(text) > _DAYS_MAX:
        raise ValueError(text)
    return timedelta(days=int(text))


def _serial(text: str) -> int:
    digits = text.removeprefix("0x").replace(":", "")
    if not digits or len(digits) > 64 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise ValueError(text)
    return int(digits, 16)
