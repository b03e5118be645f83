"""The first two digits of a region code, as data with dates (GB/T 2260, province level).

Identity numbers and credit codes begin with the region that issued them. Province level is enough to catch
typing errors; a code that was never in use refuses. The date tells when a code came into use: a number is
kept for life, so the end of a region never refuses.

Left out: prefectures and counties, because they change every year and departments would refuse good numbers.
"""

from __future__ import annotations

import json
from datetime import date
from functools import lru_cache
from importlib import resources

# Kept for tests and demos: no place has this code, so no real person has such a number.
TEST_REGION = "999999"


@lru_cache(maxsize=1)
def regions() -> dict[str, tuple[date, str, str]]:
    """Province code -> (in use since, Chinese name, English name)."""
    raw = json.loads(resources.files(__package__).joinpath("regions.json").read_text("utf-8"))
    return {code: (date.fromisoformat(row["since"]), row["zh"], row["en"]) for code, row in raw.items()}


def is_region(code: str, *, at: date | None = None) -> bool:
    """Tell whether a six-digit region code begins with a province in use (at that day, when given)."""
    row = regions().get(code[:2])
    if row is None or len(code) != 6 or not (code.isascii() and code.isdigit()):
        return False
    return at is None or row[0] <= at
