"""The catalogue of codes: for each reason what the citizen, the help desk and the log are told.

    for entry in error_catalogue().values():
        print(entry.code, entry.kind, entry.text("zh"), entry.desk("zh"))

``messages/catalogue/codes.json`` holds what is not text: the kind, which advice the help desk is given, and
the numbers that older interfaces have for it. Texts are those of ``messages``; a fact that is known only when
it happens stands there as ``{name}``.

The SAR numbers are those of GM/T 0020 libraries, BJCA's those of its ``ValidateCert``. A number is given only
where its meaning is ours; every other refusal has the general number, which is our own choice: no text known
to us names one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from onecert.verifier.messages import row

__all__ = [
    "GENERAL",
    "KINDS",
    "CatalogueEntry",
    "Compatibility",
    "compatibility_of",
    "desk_of",
    "error_catalogue",
    "find_entry",
]

# What the answer says: no; nobody can tell; these bytes are unreadable; accepted, and something to know.
KINDS = ("refused", "could-not-check", "malformed", "notice")
_STATUS = {"refused": 403, "could-not-check": 503, "malformed": 400, "notice": 200}


@dataclass(frozen=True, kw_only=True)
class Compatibility:
    """The numbers of older interfaces for one reason.

    Args:
        sar: of the block ``SAR_*``, such as 0x0B000408.
        bjca: of BJCA's certificate check, -1 to -5.
        sar_exact: the number means this reason; otherwise it is the general one.
        bjca_exact: the same for ``bjca``.
    """

    sar: int
    bjca: int
    sar_exact: bool
    bjca_exact: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``sar`` as the eight hexadecimal digits that manuals print."""
        return {
            "sar": f"0x{self.sar:08X}",
            "sar_exact": self.sar_exact,
            "bjca": self.bjca,
            "bjca_exact": self.bjca_exact,
        }


GENERAL = Compatibility(sar=0x0B000001, bjca=-100, sar_exact=False, bjca_exact=False)


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """One code.

    Args:
        kind: one of ``KINDS``.
        http_status: what web adapters and the HTTP service answer with. A verdict of the service is an
            answer with status 200, whatever it says.
        advice: which advice the help desk is given; many codes share one.
    """

    code: str
    kind: str
    http_status: int
    advice: str
    compatibility: Compatibility

    def text(self, language: str = "en") -> str:
        """The reason for the citizen, in ``zh`` or ``en``; facts stand as ``{name}``."""
        return _template(self.code, language)

    def hint(self, language: str = "en") -> str:
        """What the citizen can do; empty when only others can."""
        return _template(self.code, f"hint_{language}", missing="")

    def desk(self, language: str = "en") -> str:
        """What the help desk can do."""
        return _desk()[self.advice][language]

    @property
    def log(self) -> str:
        """The line for the log: the code, and the English text."""
        return f"{self.code}: {self.text('en')}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "code": self.code,
            "kind": self.kind,
            "http_status": self.http_status,
            "text": {language: self.text(language) for language in ("zh", "en")},
            "hint": {language: self.hint(language) for language in ("zh", "en")},
            "desk": {language: self.desk(language) for language in ("zh", "en")},
            "log": self.log,
            "compatibility": self.compatibility.as_dict(),
        }


@lru_cache(maxsize=1)
def error_catalogue() -> Mapping[str, CatalogueEntry]:
    """Every code that this library gives as a reason or beside an answer, in alphabetical order."""
    return MappingProxyType({code: _entry(code, said) for code, said in sorted(_data("codes").items())})


def find_entry(code: str) -> CatalogueEntry | None:
    """One code; ``None`` when it is not ours."""
    return error_catalogue().get(code)


def compatibility_of(code: str) -> Compatibility:
    """The numbers of older interfaces; the general ones for a code that has none."""
    entry = error_catalogue().get(code)
    return GENERAL if entry is None else entry.compatibility


def desk_of(code: str, language: str) -> str:
    """What the help desk can do; empty for a code that is not ours."""
    entry = error_catalogue().get(code)
    return "" if entry is None else entry.desk(language if language in {"zh", "en"} else "en")


def _entry(code: str, said: dict[str, Any]) -> CatalogueEntry:
    sar, bjca = said.get("sar"), said.get("bjca")
    return CatalogueEntry(
        code=code,
        kind=said["kind"],
        http_status=said.get("status", _STATUS[said["kind"]]),
        advice=said["desk"],
        compatibility=Compatibility(
            sar=GENERAL.sar if sar is None else int(sar, 16),
            bjca=GENERAL.bjca if bjca is None else bjca,
            sar_exact=sar is not None,
            bjca_exact=bjca is not None,
        ),
    )


def _template(code: str, key: str, *, missing: str | None = None) -> str:
    return row(code).get(key, code if missing is None else missing)


@lru_cache(maxsize=1)
def _desk() -> dict[str, dict[str, str]]:
    return _data("desk")


def _data(name: str) -> dict[str, Any]:
    text = resources.files("onecert.verifier").joinpath("messages", "catalogue", f"{name}.json")
    found: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
    return found
