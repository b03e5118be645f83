"""``errors``: the catalogue of codes, or one of them, for the help desk and for who writes programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from onecert.verifier.cli.common import ACCEPTED, print_answer
from onecert.verifier.cli.parser import Parser, UsageError
from onecert.verifier.cli.text import table_lines
from onecert.verifier.error_codes import CatalogueEntry, Compatibility, error_catalogue
from onecert.verifier.messages import message

__all__ = ["add_options", "run"]


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.input("code", text="HELP_ERROR_CODE", metavar="CODE", nargs="?")


def run(options: argparse.Namespace) -> int:
    """Show them all in short, or what was asked for in full."""
    language = options.language
    if options.code is None:
        found = tuple(error_catalogue().values())
        print_answer(options, [entry.as_dict() for entry in found], lambda: _short(found, language))
        return ACCEPTED
    found = _find(options.code)
    if not found:
        raise UsageError("USAGE_ERROR_CODE", given=options.code)
    print_answer(options, [entry.as_dict() for entry in found], lambda: _full(found, language))
    return ACCEPTED


def _find(asked: str) -> tuple[CatalogueEntry, ...]:
    """By code, or by the number of an older interface where it means exactly that."""
    entry = error_catalogue().get(asked.strip().upper())
    if entry is not None:
        return (entry,)
    try:
        number = int(asked, 0)
    except ValueError:
        return ()
    return tuple(each for each in error_catalogue().values() if _has(each.compatibility, number))


def _has(numbers: Compatibility, number: int) -> bool:
    return (numbers.sar_exact and numbers.sar == number) or (numbers.bjca_exact and numbers.bjca == number)


def _short(found: Sequence[CatalogueEntry], language: str) -> list[str]:
    width = max(len(entry.code) for entry in found)
    return [f"{entry.code.ljust(width)}  {entry.text(language)}" for entry in found]


def _full(found: Sequence[CatalogueEntry], language: str) -> list[str]:
    lines: list[str] = []
    for entry in found:
        lines += [""] if lines else []
        rows = [
            ("CODE", entry.code),
            ("KIND", message(f"KIND_{entry.kind.upper().replace('-', '_')}", language)),
            ("CITIZEN", entry.text(language)),
            ("HINT", entry.hint(language) or "-"),
            ("DESK", entry.desk(language)),
            ("LOG", entry.log),
            ("HTTP_STATUS", str(entry.http_status)),
            ("SAR", _number(f"0x{entry.compatibility.sar:08X}", entry.compatibility.sar_exact, language)),
            ("BJCA", _number(str(entry.compatibility.bjca), entry.compatibility.bjca_exact, language)),
        ]
        lines += table_lines(rows, language)
    return lines


def _number(shown: str, exact: bool, language: str) -> str:
    return shown if exact else f"{shown}  {message('GENERAL_NUMBER', language)}"
