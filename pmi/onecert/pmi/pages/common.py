"""What the pages of all features share: who reads, words for people, values of attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from flask import request

from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.life.revocation import SECURITY
from onecert.pmi.parts import Parts
from onecert.server.errors import ServiceError
from onecert.server.languages import CHINA_TIME, Message, _, current_language, gettext
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.errors import VerifyError

__all__ = [
    "GRANT_KINDS",
    "HOLDER_WORDS",
    "PER_PAGE",
    "READERS",
    "RESULTS",
    "STATUS_KINDS",
    "WATCHERS",
    "Shown",
    "actor_name",
    "attribute_names",
    "day_of",
    "end_of_day",
    "error_text",
    "moment_of",
    "page_count",
    "page_number",
    "read_certificate",
    "shown_attributes",
    "titles_of",
]

PER_PAGE = 20
CERTIFICATE_MAX = 64 * 1024
READERS = (OFFICER, APPROVER, ADMINISTRATOR, AUDITOR)
# Who looks at certificates: also the staff at night, who take them out of use.
WATCHERS = (*READERS, SECURITY)

# State or status -> kind of badge.
GRANT_KINDS = {"waiting": "warning", "approved": "info", "issued": "success", "refused": "danger"}
STATUS_KINDS = {
    "valid": "success",
    "held": "warning",
    "revoked": "danger",
    "expired": "neutral",
    "intended": "info",
    "abandoned": "neutral",
}

# What binds an attribute certificate to its holder: for a clerk, what happens when the holder renews.
HOLDER_WORDS: Mapping[str, tuple[Message, Message]] = {
    "certificate": (
        _("this certificate only"),
        _("Ends with this very certificate; after a renewal it must be bound again."),
    ),
    "key": (
        _("the key of this certificate"),
        _("Survives a renewal as long as the key stays the same."),
    ),
    "digest": (
        _("exactly this file"),
        _("Like “this certificate only”, by its SHA-256; for programs that know no serial numbers."),
    ),
    "name": (
        _("the name in this certificate"),
        _("For every certificate of the same name from any authority: only for names that nobody else has."),
    ),
    "entity": (
        _("the enterprise, whichever certificate it uses"),
        _("By its unified social credit code; for legal entities only, not for a person."),
    ),
}

# What came of a question to the policy.
RESULTS: Mapping[str, Message] = {
    "permit": _("permit"),
    "deny": _("deny"),
    "not_applicable": _("no rule speaks of it: deny"),
    "indeterminate": _("could not be evaluated: deny"),
}

_ATTRIBUTE_NAMES: Mapping[str, Message] = {
    "role": _("Roles"),
    "group": _("Groups"),
    "accessIdentity": _("Access identities"),
    "chargingIdentity": _("Charging identities"),
    "authenticationInfo": _("Service accounts"),
    "clearance": _("Clearances"),
}


@dataclass(frozen=True)
class Shown:
    """One value of an attribute: what it is called, and what stands in the certificate."""

    text: str
    code: str = ""


def titles_of(parts: Parts) -> Mapping[str, str]:
    """The names of all roles in the language of the page, by URI."""
    with parts.context.database.reading() as connection:
        catalogue = parts.catalogues.find(connection) or Catalogue()
    language = current_language()
    return {uri: role.title(language) for uri, role in catalogue.roles.items()}


def attribute_names(parts: Parts) -> Mapping[str, str]:
    """What attributes are called in the language of the page, by their names in the catalogue."""
    with parts.context.database.reading() as connection:
        catalogue = parts.catalogues.find(connection) or Catalogue()
    language = current_language()
    known = {name: gettext(text) for name, text in _ATTRIBUTE_NAMES.items()}
    return {**known, **{name: each.title(language) for name, each in catalogue.attributes.items()}}


def shown_attributes(
    attributes: Mapping[str, Sequence[Any]], titles: Mapping[str, str], names: Mapping[str, str]
) -> list[tuple[str, list[Shown]]]:
    """Attributes for people: each with its title and values, roles first."""
    ordered = sorted(attributes, key=lambda name: (name != "role", name))
    return [
        (names.get(name, name), [_shown(value, titles) for value in attributes[name]]) for name in ordered
    ]


def _shown(value: object, titles: Mapping[str, str]) -> Shown:
    if isinstance(value, str):
        title = titles.get(value)
        return Shown(title, value) if title else Shown(value)
    return Shown(json.dumps(value, ensure_ascii=False, sort_keys=True))


def actor_name(parts: Parts, actor: str | None) -> str:
    """The name of an operator for people; other actors by their own word.

    Args:
        actor: ``operator:<id>`` as the audit trail writes it, or the id alone.
    """
    kind, separator, rest = (actor or "").partition(":")
    if separator and kind != "operator":
        return actor or ""
    operator_id = rest if separator else kind
    if not operator_id:
        return ""
    with parts.context.database.reading() as connection:
        operator = parts.context.operators.find(connection, operator_id)
    return operator.name if operator else operator_id


def page_number(given: Mapping[str, str] | None = None) -> int:
    """The number of the page that is asked for; what is none is the first."""
    text = (request.args if given is None else given).get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def page_count(total: int, per_page: int = PER_PAGE) -> int:
    """How many pages a list has."""
    return max(1, -(-total // per_page))


def end_of_day(text: str, field: str = "until") -> datetime | None:
    """The last second of a day in China (``2027-01-31``); None for no day.

    Raises:
        RequestWrongError: no day.
    """
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as exc:
        raise RequestWrongError(field, _("not a date")) from exc
    return datetime.combine(day, time(23, 59, 59), CHINA_TIME)


def moment_of(text: str, field: str) -> datetime | None:
    """A time in China (``2027-01-31T17:00``); None for none.

    Raises:
        RequestWrongError: no time.
    """
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=CHINA_TIME)
    except ValueError as exc:
        raise RequestWrongError(field, _("not a time")) from exc


def day_of(moment: datetime) -> str:
    """The day of a moment in China, as fields of type ``date`` have it."""
    return f"{moment.astimezone(CHINA_TIME):%Y-%m-%d}"


def read_certificate(name: str) -> str:
    """The certificate that was chosen as a file or pasted (fields ``name_file``, ``name_pem``), as PEM.

    A file counts before what was pasted, and is shown back as text, so that it need not be chosen again.

    Raises:
        RequestWrongError: the file is no certificate.
    """
    file = request.files.get(f"{name}_file")
    content = file.read(CERTIFICATE_MAX + 1) if file is not None and file.filename else b""
    if not content:
        return request.form.get(f"{name}_pem", "").strip()
    try:
        return parse_certificate(content).certificate.public_bytes(Encoding.PEM).decode("ascii").strip()
    except VerifyError as exc:
        raise RequestWrongError(f"{name}_pem", _("the file is not a certificate")) from exc


def error_text(error: ServiceError | VerifyError) -> str:
    """An error for people: what is wrong, and what to do."""
    if isinstance(error, VerifyError):
        return error.text(current_language())
    text = gettext(error.text, **error.facts)
    # The hint of a wrong field speaks to programs.
    has_hint = bool(error.hint) and not isinstance(error, RequestWrongError)
    hint = gettext(error.hint, **error.facts) if has_hint else ""
    return f"{text}{'' if current_language() == 'zh' else ' '}{hint}".strip()
