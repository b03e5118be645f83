"""What the index of the register needs of a row: its credit code and its older numbers with their times.

Registers have millions of rows, nearly all of one shape, as our own programs write them. Such a row is judged
here by one regular expression and the check digits; any other, and whatever is wrong, by ``read_row``. Both
ways say the same of every line.
"""

from __future__ import annotations

import re

from onecert.verifier.errors import VerifyError
from onecert.verifier.identity.check_digits import check_registration_number, check_uscc
from onecert.verifier.identity.registry_rows import Row, read_row
from onecert.verifier.strict_json import StrictJsonError, parse_time

__all__ = ["ALWAYS_SINCE", "ALWAYS_UNTIL", "AliasKey", "keys_of"]

# They sort before and after every time.
ALWAYS_SINCE, ALWAYS_UNTIL = "", "~"

# The number with its kind, the credit code, since when and until when: ISO 8601, so that texts sort as times.
AliasKey = tuple[str, str, str, str]

# Keys in order, no blanks, no escapes. A name that does not begin with a blank is not all blanks.
_NAME = r'"[^"\\\s\x00-\x1f][^"\\\x00-\x1f]{0,199}"'
_TIME = r'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"'
_SHAPE = re.compile(
    rf'\{{(?:"from":({_TIME}),)?'
    rf'"names":\[{_NAME}(?:,{_NAME}){{0,49}}\],'
    r'(?:"regno":\[("[0-9]{15}"(?:,"[0-9]{15}"){0,49})\],)?'
    rf'"state":"(?:active",|(?:cancelled|revoked)",(?:"until":({_TIME}),)?)'
    r'"uscc":"([0-9A-Z]{18})"\}'
)


def keys_of(line: bytes) -> tuple[str, list[AliasKey]]:
    """The credit code and the older numbers of a line, without its line feed.

    Raises:
        MalformedError: as ``read_row``.
    """
    return _quick(line) or _keys(read_row(line))


def _quick(line: bytes) -> tuple[str, list[AliasKey]] | None:
    try:
        match = _SHAPE.fullmatch(line.decode("utf-8"))
        if match is None:
            return None
        since, numbers, until, uscc = match.groups()
        if check_uscc(uscc, test_ids=True) != uscc:
            return None
        if since or until:
            times = [parse_time(text[1:-1], "") for text in (since, until) if text]
            if times != sorted(set(times)):
                return None
        keys = [(f"org:{uscc[8:17]}", uscc, ALWAYS_SINCE, ALWAYS_UNTIL)]
        if numbers:
            for number in numbers[1:-1].split('","'):
                if check_registration_number(number) != number:
                    return None
                keys.append((f"regno:{number}", uscc, ALWAYS_SINCE, ALWAYS_UNTIL))
    except (UnicodeDecodeError, StrictJsonError, VerifyError):
        return None  # ``read_row`` says what is wrong
    return uscc, keys


def _keys(row: Row) -> tuple[str, list[AliasKey]]:
    return row.uscc, [
        (
            alias.id,
            row.uscc,
            alias.since.isoformat() if alias.since else ALWAYS_SINCE,
            alias.until.isoformat() if alias.until else ALWAYS_UNTIL,
        )
        for alias in row.aliases
    ]
