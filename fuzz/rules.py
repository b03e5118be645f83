"""What must hold whatever goes in, for every target.

A broken rule raises ``Broken`` (an ``AssertionError``); an exception that is not the library's own leaves a
target as it is. Both are findings.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from onecert.verifier import VerifyError, explain
from onecert.verifier.explanation import error_as_dict
from onecert.verifier.messages import LANGUAGES, codes

P = ParamSpec("P")
T = TypeVar("T")
# Control characters, marks of direction and line ends would let a certificate write on its reader's terminal;
# a lone surrogate cannot be printed at all.
_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
_ALL = map(chr, range(sys.maxunicode + 1))
_DECEIVING = re.compile(f"[{re.escape(''.join(c for c in _ALL if unicodedata.category(c) in _CATEGORIES))}]")
# Errors whose texts were looked at lately: most inputs fail for the same few reasons.
_seen: set[int] = set()
_SEEN_MAX = 20_000


class Broken(AssertionError):  # noqa: N818  a rule, not an error of the library
    """The library answered, and the answer breaks a rule."""


def require(holds: object, rule: str) -> None:
    """Raise unless the rule holds."""
    if not holds:
        raise Broken(rule)


def answer(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
    """What the call returns; ``None`` when the library refuses in the proper way."""
    try:
        return call(*arguments, **named)
    except VerifyError as exc:
        check_error(exc)
        return None


def passes(check: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> bool:
    """Whether a check that returns nothing lets it pass."""
    try:
        check(*arguments, **named)
    except VerifyError as exc:
        check_error(exc)
        return False
    return True


def check_error(error: VerifyError) -> None:
    """An error that leaves the library has a row in the catalogue, and texts that may be shown."""
    attempts = [
        (attempt.error.code, len(attempt.path), repr(attempt.error.facts)) for attempt in error.attempts
    ]
    key = hash((error.code, error.source, repr(error.facts), *attempts))
    if key in _seen:
        return
    if len(_seen) >= _SEEN_MAX:
        _seen.clear()
    _seen.add(key)
    require(error.code in codes(), f"the code {error.code!r} has no text")
    check_json(error_as_dict(error))
    for language in LANGUAGES:
        require(error.text(language), "an empty text")
        check_texts([error.hint(language), *explain(error, language)])
    check_texts([str(error), error.source])


def forget() -> None:
    """Look at the texts of every error again."""
    _seen.clear()


def check_texts(texts: Iterable[str]) -> None:
    """Texts for people hold nothing that could deceive a terminal."""
    for text in texts:
        found = _DECEIVING.search(text)
        if found is not None:
            raise Broken(f"{found[0]!a} in the text {text!a:.200}")


def check_json(value: object) -> None:
    """What is meant for JSON can be written as JSON, as UTF-8."""
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
