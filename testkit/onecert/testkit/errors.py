"""What stops the kit: one code each, with a text in both languages in ``texts.json``."""

from __future__ import annotations

from onecert.testkit.texts import text

__all__ = ["KitError", "NotReachableError"]


class KitError(Exception):
    """The kit cannot do what was asked.

    Args:
        code: a row of ``texts.json``.
        facts: values for its text.
    """

    exit_code = 2

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts

    def text(self, language: str = "en") -> str:
        """One line for a person, in ``zh`` or ``en``."""
        return text(self.code, language, **self.facts)

    def __str__(self) -> str:
        return f"{self.code}: {self.text()}"


class NotReachableError(KitError):
    """The login under test does not answer, or what answers is no login."""

    exit_code = 3
