"""What is wrong with a policy or a question, as errors of this library; and faults with their places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.messages import message

__all__ = ["DecisionLogError", "Fault", "PolicyTestsFailedError", "PolicyWrongError", "QuestionWrongError"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a policy.

    Args:
        code: stable; the row ``FAULT_<code>`` of the catalogue is its text.
        facts: values for the text.
        line: of the rules (not of the file) where the rule begins, from 1; 0 where there is no place.
        rule: its id, where it has one.
    """

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    line: int = 0
    rule: str = ""

    def text(self, language: str = "en") -> str:
        """The fault for a person, in ``zh`` or ``en``, with its place."""
        text = message(f"FAULT_{self.code}", language, **self.facts)
        if not self.line:
            return text
        name = "LABEL_FAULT_AT_RULE" if self.rule else "LABEL_FAULT_AT_LINE"
        return message(name, language, line=self.line, rule=self.rule, text=text)

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """For JSON."""
        return {"code": self.code, "line": self.line, "rule": self.rule, "text": self.text(language)}

    def __str__(self) -> str:
        return self.text("en")


class _FaultsError(RefusedError):
    def __init__(self, code: str, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(code, number=len(self.faults))

    def text(self, language: str = "en") -> str:
        """The reason, and each fault on a line of its own."""
        return "\n".join([super().text(language), *(f"- {fault.text(language)}" for fault in self.faults)])


class PolicyWrongError(_FaultsError):
    """The policy must not be put in force: ``faults`` says why, all of it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        super().__init__("POLICY_WRONG", faults)


class PolicyTestsFailedError(_FaultsError):
    """A test inside the policy does not come out as it says."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        super().__init__("POLICY_TESTS_FAILED", faults)


class QuestionWrongError(MalformedError):
    """What was asked has no form that can be answered."""

    def __init__(self, *, detail: object) -> None:
        super().__init__("QUESTION_WRONG", detail=detail)


class DecisionLogError(CouldNotCheckError):
    """A decision that cannot be logged is not given."""

    def __init__(self, *, detail: object) -> None:
        super().__init__("DECISION_LOG", detail=detail)
