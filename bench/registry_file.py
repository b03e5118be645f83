"""A register of invented firms, as the office that signs it writes its rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import place

from onecert.verifier.identity.check_digits import (
    organisation_code_check_digit,
    registration_number_check_digit,
    uscc_check_digit,
)
from onecert.verifier.identity.registry_index import DataFile

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@cache
def write_register(entries: int) -> tuple[Path, DataFile]:
    """``registry.jsonl`` in a folder of its own, once for all rows of a run, and what its head would say."""
    path = place.new_folder("registry") / "registry.jsonl"
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as file:
        for line in _lines(entries):
            digest.update(line)
            size += file.write(line)
    return path, DataFile(sha256=digest.hexdigest(), size=size, entries=entries)


def credit_code(number: int) -> str:
    """One code for each number, in the same order."""
    code = "MA" + "".join(ALPHABET[number // 31**place % 31] for place in range(5, -1, -1))
    first = "91440300" + code + organisation_code_check_digit(code)
    return first + uscc_check_digit(first)


def _lines(entries: int) -> Iterator[bytes]:
    """Every third firm has a registration number, every tenth another name before, every fiftieth is gone."""
    for number in range(entries):
        firm: dict[str, object] = {
            "names": [f"深圳市示例{number:07}科技有限公司", f"示例{number:07}商行"][: 1 + (number % 10 == 0)],
            "state": "active",
            "uscc": credit_code(number),
        }
        if number % 3 == 0:
            first = f"4403011{number:07}"
            firm["regno"] = [first + registration_number_check_digit(first)]
        if number % 4 == 0:
            firm["from"] = "2016-02-29T16:00:00Z"
        if number % 50 == 0:
            firm |= {"state": "cancelled", "until": "2024-05-01T16:00:00Z"}
        yield json.dumps(firm, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
