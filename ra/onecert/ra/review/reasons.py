"""Why an application goes back to the entry clerk: a list to choose from, each reason at the fields it fits.

Codes are stable (REST, statistics); the texts are in the catalogue. `OTHER` needs words of one's own; to any
other reason they may be added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from onecert.ra.content.fields import ALL_FIELDS, FIELDS, Kind
from onecert.ra.errors import ReasonMissingError, ReturnReasonError
from onecert.server.languages import _, gettext

__all__ = ["RETURN_REASONS", "WHOLE", "Remark", "ReturnReason", "check_remarks", "reasons_at", "summary"]

WHOLE = ""  # not one field, but the application
MAX_REMARKS = 40
MAX_WORDS = 500


@dataclass(frozen=True)
class ReturnReason:
    """One reason; `checks` are the kinds of field it is offered at ("*": all, "": the whole application)."""

    code: str
    text: str
    checks: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One reason at one field (or `WHOLE`), with words of the reviewer's own, perhaps none."""

    code: str
    field: str = WHOLE
    words: str = ""


def _reason(code: str, text: str, *checks: str) -> ReturnReason:
    return ReturnReason(code, text, frozenset(checks))


RETURN_REASONS: Mapping[str, ReturnReason] = MappingProxyType(
    {
        reason.code: reason
        for reason in (
            _reason("DIFFERS", _("Differs from the papers"), "*"),
            _reason("UNREADABLE", _("Cannot be read on the papers"), "*"),
            _reason("INCOMPLETE", _("Incomplete, or an abbreviation"), "name", "address"),
            _reason("REGISTER", _("Differs from the register"), "name", "uscc", "address"),
            _reason("CHANNEL", _("The holder cannot be reached this way"), "mobile", "email"),
            _reason("PAPER_MISSING", _("A paper is missing"), WHOLE),
            _reason("PAPER_UNCLEAR", _("A scan cannot be read"), WHOLE),
            _reason("PAPER_EXPIRED", _("A paper has expired"), WHOLE),
            _reason("SEAL_MISSING", _("Seal or signature is missing"), WHOLE),
            _reason(
                "NO_AUTHORITY", _("The agent's authorisation is missing or does not fit"), WHOLE, "person"
            ),
            _reason("REQUEST", _("The certificate request does not fit"), "csr"),
            _reason("OTHER", _("Another reason, in words"), "*", WHOLE, "csr"),
        )
    }
)


def reasons_at(field: str) -> list[ReturnReason]:
    """The reasons that are offered at a field, at `csr`, or at the whole application."""
    check = field if field in {WHOLE, "csr"} else ALL_FIELDS[field].check
    special = check in {WHOLE, "csr"}
    return [
        reason
        for reason in RETURN_REASONS.values()
        if check in reason.checks or (not special and "*" in reason.checks)
    ]


def check_remarks(kind: Kind, remarks: Sequence[Remark]) -> tuple[Remark, ...]:
    """Return them with their words trimmed.

    Raises:
        ReasonMissingError: none at all, or `OTHER` without words, or words that are too long.
        ReturnReasonError: a code or field that is not there, or that do not go together.
    """
    if not remarks:
        raise ReasonMissingError
    fields = {WHOLE, "csr", *(field.name for field in FIELDS[kind])}
    checked = []
    for remark in remarks[: MAX_REMARKS + 1]:
        words = remark.words.strip()
        if remark.field not in fields or remark.code not in {r.code for r in reasons_at(remark.field)}:
            raise ReturnReasonError(remark.code, remark.field)
        if len(words) > MAX_WORDS or "\0" in words or (remark.code == "OTHER" and len(words) < 2):
            raise ReasonMissingError
        checked.append(Remark(code=remark.code, field=remark.field, words=words))
    if len(checked) > MAX_REMARKS:
        raise ReturnReasonError(remarks[MAX_REMARKS].code, remarks[MAX_REMARKS].field)
    return tuple(checked)


def remark_text(remark: Remark) -> str:
    """One remark in the reader's language, without its field."""
    text = gettext(RETURN_REASONS[remark.code].text) if remark.code in RETURN_REASONS else remark.code
    if remark.code == "OTHER":
        return remark.words
    return f"{text} – {remark.words}" if remark.words else text


def summary(remarks: Sequence[Remark]) -> str:
    """All of them as one text, at most 500 characters, for lists and the life line."""
    parts = []
    for remark in remarks:
        label = "CSR" if remark.field == "csr" else ""
        if remark.field in ALL_FIELDS:
            label = gettext(ALL_FIELDS[remark.field].label)
        text = remark_text(remark)
        parts.append(gettext(_("%(field)s: %(text)s"), field=label, text=text) if label else text)
    return "; ".join(parts)[:MAX_WORDS]
