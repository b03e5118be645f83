"""What is on record about an application, made ready to be shown: its values by group, and as an entry."""

from typing import Any

from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import Frozen
from onecert.ra.content.fields import CERTIFICATE_FIELDS, FIELDS
from onecert.ra.content.ids import masked_idcard
from onecert.ra.operators.roles import ENTRY, REVIEW
from onecert.ra.registry.answers import answer_of, sentence
from onecert.server.languages import gettext
from onecert.server.operators import Operator

__all__ = ["REGISTER_KINDS", "entry_of", "findings_shown", "grouped_values"]

# How an answer of the register looks; what is not here is as bad as it sounds.
REGISTER_KINDS = {"matches": "success", "unchecked": "warning", "differs": "warning", "unknown": "warning"}


def grouped_values(
    frozen: Frozen, operator: Operator, *, certified: bool | None = None
) -> list[tuple[str, list[tuple[Any, str]]]]:
    """Fields by group; people other than clerks see persons' numbers masked.

    Args:
        certified: only the fields that go into the certificate, or only the others.
    """
    on_certificate = CERTIFICATE_FIELDS[frozen.application.kind]
    full = operator.has_role(ENTRY, REVIEW)
    grouped: dict[str, list[tuple[Any, str]]] = {}
    for field in FIELDS[frozen.application.kind]:
        value = frozen.values.get(field.name, "")
        if value and certified in {None, field.name in on_certificate}:
            if field.check == "idcard" and not full:
                value = masked_idcard(value)
            if value in field.choices:
                value = gettext(field.choices[value])
            grouped.setdefault(field.group, []).append((field, value))
    return list(grouped.items())


def findings_shown(frozen: Frozen) -> dict[str, Any] | None:
    """What was found out when it was submitted: the consent as recorded, and the register's answer then."""
    if frozen.findings is None:
        return None
    found: dict[str, Any] = {"consent": frozen.findings["consent"], "register": None}
    fact = frozen.findings.get("register")
    if fact is not None:
        answer = answer_of(fact)
        name = frozen.values.get("organization_name", "")
        kind = REGISTER_KINDS.get(answer.verdict(name), "danger")
        found["register"] = {"text": sentence(answer, name), "kind": kind}
    return found


def entry_of(frozen: Frozen) -> Entry:
    """What is on record as if it had been typed now, to check it again."""
    application = frozen.application
    return Entry(
        kind=application.kind,
        authority=application.authority,
        fields=frozen.values,
        csr=frozen.csr_pem,
        findings=frozen.findings,
    )
