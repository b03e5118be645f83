"""The reviewed ceremony file: what it may say, all its faults at once, the hash that reviewers agree on.

Format 1 makes an offline root and an issuing authority below it. Format 2 has a `kind`; see `ceremony_kinds`
and docs/ceremonies.md.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onecert.ca.ceremonies.kinds import KINDS, PLACES, ROOT_AND_ISSUING, read_kind
from onecert.ca.ceremonies.plans import CeremonyFile, is_name
from onecert.ca.errors import CeremonyFileError

__all__ = ["ceremony_from_text", "load_ceremony_file"]


def load_ceremony_file(path: Path) -> CeremonyFile:
    """Read and check a ceremony file.

    Raises:
        CeremonyFileError: with every fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise CeremonyFileError([f"{path.name}: {exc}"]) from exc
    return ceremony_from_text(text, data)


def ceremony_from_text(text: str, data: Mapping[str, Any]) -> CeremonyFile:
    """Check the content of a ceremony file.

    Raises:
        CeremonyFileError: with every fault.
    """
    faults: list[str] = []
    number = data.get("format")
    kind = ROOT_AND_ISSUING if number == 1 else data.get("kind")
    if number not in {1, 2} or isinstance(number, bool):
        faults.append("“format” must be 1 or 2")
        kind = kind if isinstance(kind, str) and kind in KINDS else ROOT_AND_ISSUING
    elif not isinstance(kind, str) or kind not in KINDS:
        raise CeremonyFileError([f"“kind” is one of {', '.join(KINDS)}"])
    known = {"format", "name", "people", *KINDS[kind]} | (set() if number == 1 else {"kind"})
    faults += [
        f"unknown key “{key}”" if key not in PLACES else f"“{key}” has no place in a ceremony “{kind}”"
        for key in data
        if key not in known
    ]
    if not is_name(data.get("name")):
        faults.append("“name” names the ceremony: small letters, digits, hyphens")
    people = data.get("people", [])
    if not isinstance(people, list) or len({str(person).strip() for person in people} - {""}) < 2:
        faults.append("“people” names at least two people who are present")
    made = read_kind(kind, data, faults)
    if faults:
        raise CeremonyFileError(faults)
    return CeremonyFile(
        kind=kind,
        name=data["name"],
        people=tuple(str(person) for person in people),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        **made,
    )
