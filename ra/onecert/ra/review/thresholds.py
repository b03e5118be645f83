"""When two reviewers must agree: the setting `second_review`, a list of rules (`rules.py`); one is enough.

Looked at when the first reviewer approves. Pure: what is known of the record comes in as facts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onecert.ra.applications.records import Application
from onecert.ra.review.rules import Facts, Rule

__all__ = ["TwoReviewers", "facts_of"]

TEXTS = ("authority", "business", "point", "profile", "project", "type")
# `rows` is a batch's; term (months) and fee (yuan) count where the form has such a field.
NUMBERS = ("fee", "rows", "term")


@dataclass(frozen=True)
class TwoReviewers:
    """The policy."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def from_settings(cls, lines: Iterable[str]) -> "TwoReviewers":
        """Raises `ValueError` when a line is not a rule."""
        return cls(tuple(Rule.parse(line, texts=TEXTS, numbers=NUMBERS) for line in lines))

    def needed(self, facts: Facts) -> bool:
        """Whether a record with these facts needs a second reviewer."""
        return any(rule.holds(facts) for rule in self.rules)


def facts_of(application: Application, values: Mapping[str, str]) -> Facts:
    """What the rules look at; `values` are the fields as approved."""
    numbers = {name: values.get(name, "") for name in NUMBERS}
    return {
        "authority": application.authority,
        "business": application.business.value,
        "point": application.point,
        "profile": application.profile,
        "project": application.project,
        "type": application.kind.value,
        **{name: int(text) for name, text in numbers.items() if text.isascii() and text.isdigit()},
    }
