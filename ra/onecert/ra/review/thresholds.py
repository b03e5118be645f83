"""When two reviewers must agree: the setting `second_review`, a list of rules (`rules.py`); one is enough.

Looked at when the first reviewer approves. Pure: what is known of the record comes in as facts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onecert.ra.applications.records import Application
from onecert.ra.review.rules import Facts, Rule

__all__ = ["TwoReviewers", "facts_of"]

TEXTS = ("authority", "business", "point", "profile", "project", "type")
# `rows` is a batch's, `term` the certificate's in months, `fee` what certificate and seal cost, in yuan.
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
    term = values.get("certificate_months", "")
    fees = [_yuan(values.get(name, "")) for name in ("certificate_fee", "seal_fee")]
    return {
        "authority": application.authority,
        "business": application.business.value,
        "point": application.point,
        "profile": application.profile,
        "project": application.project,
        "type": application.kind.value,
        "term": int(term) if term.isascii() and term.isdigit() else None,
        "fee": sum(fees),
    }


def _yuan(text: str) -> int:
    """Whole yuan of an amount like 200.00; what is none counts as nothing."""
    whole = text.partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdigit() else 0
