"""What the memory of decisions refuses, each with its code, its sentence and the next step."""

from __future__ import annotations

from onecert.pmi.errors import PmiError

__all__ = ["DecisionUnknownError", "HolderUnknownThenError"]


class HolderUnknownThenError(PmiError):
    """Nothing is on record of this certificate, so nobody can say what it could do."""

    def __init__(self) -> None:
        super().__init__(
            "HOLDER_UNKNOWN_THEN",
            status=404,
            text="This certificate is not on record here, so a question about the past cannot be answered.",
            hint="Look for the holder by name; a certificate is on record once it was given something.",
        )


class DecisionUnknownError(PmiError):
    """No decision has this number, or it is older than the log is kept."""

    def __init__(self, decision: str) -> None:
        super().__init__(
            "DECISION_UNKNOWN",
            status=404,
            text="There is no decision %(decision)s on the log.",
            hint="Compare the number; decisions are kept as long as the setting decisions_keep says.",
            decision=decision[:64],
        )
