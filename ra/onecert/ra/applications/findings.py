"""What submitting finds out beyond what was typed: the consent's texts, and the register's answer.

Both are frozen with the content under its hash, so that the reviewer approves what the clerk saw. What the
policy refuses is a fault of the field that it concerns.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from onecert.ra.content.checking import Outcome
from onecert.ra.content.consent import ConsentTexts
from onecert.ra.errors import FieldFault
from onecert.ra.registry.answers import Answer, Refused, Registry, refusal
from onecert.server.clock import Clock
from onecert.server.languages import _

__all__ = ["Findings"]


class Findings:
    """Asks the register and knows the texts.

    Args:
        refused: verdicts of the register that keep an application from being submitted.
    """

    def __init__(
        self, *, clock: Clock, texts: ConsentTexts, register: Registry, refused: Sequence[Refused] = ()
    ) -> None:
        self._clock = clock
        self._refused = tuple(refused)
        self.texts = texts
        self.register = register

    def look(self, values: Mapping[str, str]) -> Answer | None:
        """What the register says about the organisation; None: there is no credit code to ask about."""
        uscc = values.get("uscc", "")
        return self.register.look(uscc, self._clock.now()) if uscc else None

    def refusals(self, outcome: Outcome) -> list[FieldFault]:
        """What the policy refuses of an entry that is about to be submitted."""
        faulty = {fault.field for fault in outcome.faults}
        values = outcome.values
        found = []
        version = values.get("consent_version", "")
        if version and "consent_version" not in faulty and version != self.texts.present:
            found.append(
                FieldFault(
                    "consent_version",
                    "CONSENT_OUTDATED",
                    _("The texts have changed since; version %(present)s is in force now."),
                    _("Let the applicant read and sign the present texts."),
                    {"present": self.texts.present},
                )
            )
        if "uscc" not in faulty and (answer := self.look(values)) is not None:
            fault = refusal(answer, values.get("organization_name", ""), self._refused)
            if fault is not None and fault.field not in faulty:
                found.append(fault)
        return found

    def freeze(self, values: Mapping[str, str], *, recorded_by: str, at: datetime) -> dict[str, Any]:
        """What goes under the hash, beside the fields, when an application is submitted."""
        found: dict[str, Any] = {
            "consent": {
                "how": values["consent"],
                "version": values["consent_version"],
                "texts": self.texts.record(values["consent_version"]),
                "recorded_by": recorded_by,
                "recorded_at": at.isoformat(),
            }
        }
        answer = self.look(values)
        if answer is not None:
            found["register"] = answer.as_fact(values.get("organization_name", ""))
        return found
