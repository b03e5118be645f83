"""One small language for policies in the settings: conditions separated by blanks, all of which must hold.

    type=organisation|employee business=replace      one of these types, and a replacement
    term>=36                                         a number of at least

Thresholds of a second review and service levels are lists of such rules. A rule that names something unknown
is an error at start. What is not known of a record does not hold.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Facts", "Rule"]

Facts = Mapping[str, str | int | None]

_CONDITION = re.compile(r"([a-z_]+)(>=|=)(\S+)")


@dataclass(frozen=True)
class Rule:
    """Conditions on texts, and lowest values of numbers."""

    texts: Mapping[str, frozenset[str]]
    numbers: Mapping[str, int]

    @classmethod
    def parse(cls, text: str, *, texts: Iterable[str], numbers: Iterable[str] = ()) -> "Rule":
        """Read one rule; `texts` and `numbers` are the names that it may use.

        Raises:
            ValueError: the rule is empty, or says something else.
        """
        found_texts: dict[str, frozenset[str]] = {}
        found_numbers: dict[str, int] = {}
        for part in text.split():
            match = _CONDITION.fullmatch(part)
            if match is None:
                raise ValueError(f"“{part}” is not name=value|value or name>=number")
            name, sign, value = match.groups()
            if sign == "=" and name in set(texts):
                found_texts[name] = frozenset(value.split("|"))
            elif sign == ">=" and name in set(numbers) and value.isascii() and value.isdigit():
                found_numbers[name] = int(value)
            else:
                raise ValueError(f"“{part}”: there are {sorted(texts)} with = and {sorted(numbers)} with >=")
        if not found_texts and not found_numbers:
            raise ValueError("a rule needs a condition")
        return cls(found_texts, found_numbers)

    def holds(self, facts: Facts) -> bool:
        """Whether every condition holds."""
        return all(facts.get(name) in wanted for name, wanted in self.texts.items()) and all(
            isinstance(value := facts.get(name), int) and value >= least
            for name, least in self.numbers.items()
        )
