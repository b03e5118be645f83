"""What the register of legal entities (法人库) says about a credit code, and what follows from that.

"Not on the register", "closed" and "could not be asked" are different answers. The last one is shown as such
and never passes for a yes. The answer of the moment of submitting is frozen into the content: the reviewer
approves it together with what was typed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol

from onecert.ra.errors import FieldFault
from onecert.server.languages import _, format_date, gettext

__all__ = ["Answer", "NoRegistry", "Refused", "Registry", "Verdict", "answer_of", "refusal", "sentence"]

# One word for each case; settings name those that are refused.
Verdict = Literal["matches", "differs", "unknown", "cancelled", "revoked", "unchecked"]
Refused = Literal["differs", "unknown", "cancelled", "revoked", "unchecked"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the register says about one credit code.

    Args:
        state: `active`, `cancelled`, `revoked`; `unknown`: no such entity; `unchecked`: nobody could tell.
        names: the present name first, then former ones.
        since: when it was closed, if the register says so.
        as_of: the day of the snapshot; None when there is none.
        why: the stable code of why it could not be checked.
    """

    state: Literal["active", "cancelled", "revoked", "unknown", "unchecked"]
    names: Sequence[str] = ()
    since: datetime | None = None
    as_of: datetime | None = None
    number: int | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """The registered name, empty when there is none."""
        return self.names[0] if self.names else ""

    def verdict(self, name: str) -> Verdict:
        """How the answer stands to the name that was typed; a closed entity is closed whatever its name."""
        if self.state == "active":
            return "matches" if name == self.name else "differs"
        return self.state

    def as_fact(self, name: str) -> dict[str, Any]:
        """For the frozen content: what was found, and how it stood to the name."""
        return {
            "verdict": self.verdict(name),
            "names": list(self.names),
            "since": _day(self.since),
            "as_of": _day(self.as_of),
            "snapshot": self.number,
            "why": self.why,
        }


def answer_of(fact: Mapping[str, Any]) -> Answer:
    """The answer that was frozen."""
    verdict = fact["verdict"]
    return Answer(
        state="active" if verdict in {"matches", "differs"} else verdict,
        names=tuple(fact["names"]),
        since=_moment(fact["since"]),
        as_of=_moment(fact["as_of"]),
        number=fact["snapshot"],
        why=fact["why"],
    )


class Registry(Protocol):
    """Whatever answers for the register: by default a signed snapshot (`snapshot.py`)."""

    def look(self, uscc: str, at: datetime) -> Answer:
        """Never raises: what could not be asked is an answer of its own."""
        ...

    def refresh(self, at: datetime) -> None:
        """Fetch what is newer; the job calls it."""
        ...


class NoRegistry:
    """No register is set up: nothing can be checked, and every page says so."""

    def look(self, uscc: str, at: datetime) -> Answer:
        """Always unchecked."""
        return Answer(state="unchecked", why="REGISTRY_NOT_SET_UP")

    def refresh(self, at: datetime) -> None:
        """Nothing to fetch."""


_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "matches": _("The register of %(as_of)s has this organisation under this name."),
        "differs": _("Differs from the register of %(as_of)s, where the name is “%(name)s”."),
        "former": _("The register of %(as_of)s has this as a former name; the name is “%(name)s” now."),
        "unknown": _("The register of %(as_of)s does not have this credit code."),
        "cancelled": _("The register of %(as_of)s says that “%(name)s” was deregistered."),
        "revoked": _("The register of %(as_of)s says that the licence of “%(name)s” was revoked."),
        "unchecked": _("The register could not be asked; the credit code was not compared with it."),
        "no_register": _("No register is set up here; the credit code was not compared with one."),
    }
)


def sentence(answer: Answer, name: str) -> str:
    """The answer in words, in the present language."""
    word: str = answer.verdict(name)
    if word == "differs" and name in answer.names:
        word = "former"
    if answer.why == "REGISTRY_NOT_SET_UP":
        word = "no_register"
    as_of = format_date(answer.as_of) if answer.as_of else ""
    text = gettext(_SENTENCES[word], as_of=as_of, name=answer.name)
    if answer.since:
        text = f"{text} {gettext(_('Since %(day)s.'), day=format_date(answer.since))}"
    return text


_FAULTS: Mapping[str, tuple[str, str, str, str]] = MappingProxyType(
    {
        "cancelled": (
            "uscc",
            "ENTITY_CANCELLED",
            _("The register of legal entities says that this organisation was deregistered."),
            _("Nobody is left who could act for it. If the register is behind, ask the register office."),
        ),
        "revoked": (
            "uscc",
            "ENTITY_REVOKED",
            _("The register of legal entities says that the licence of this organisation was revoked."),
            _("It may only be wound up. If the register is behind, ask the register office."),
        ),
        "unknown": (
            "uscc",
            "ENTITY_UNKNOWN",
            _("The register of legal entities does not have this credit code."),
            _("Compare it with the licence; an organisation founded in the last days may not be in it yet."),
        ),
        "differs": (
            "organization_name",
            "ENTITY_NAME",
            _("The register of legal entities has another name: “%(name)s”."),
            _("Take the registered name, or have the register office correct it."),
        ),
        "unchecked": (
            "uscc",
            "ENTITY_UNCHECKED",
            _("The register of legal entities could not be asked."),
            _("Keep it as a draft and submit it when the register answers again."),
        ),
    }
)


def refusal(answer: Answer, name: str, refused: Sequence[Refused]) -> FieldFault | None:
    """What keeps the application from being submitted, by the policy; None: nothing does."""
    verdict = answer.verdict(name)
    if verdict not in refused:
        return None
    field, code, text, hint = _FAULTS[verdict]
    return FieldFault(field, code, text, hint, {"name": answer.name})


def _day(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
