"""What people sign about a mass revocation: the proposal, its confirmation, a stop, the wish to go on.

Each is a signed document of its own type, signed by a registered registration authority (which names its
people) or by the personal key of a security officer of this CA. A proposal names its certificates by a rule,
or by the number and SHA-256 of lines that follow it: serials, key hashes or entities, UTF-8, one a line, each
line ended by a line feed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.ca.errors import MassRevocationMalformedError, RevocationReasonError
from onecert.ca.lists.crl import REASONS

__all__ = [
    "CONFIRMATION_TYPE",
    "LINES_MAX",
    "LINES_MAX_BYTES",
    "PROPOSAL_TYPE",
    "RESUMPTION_TYPE",
    "STOP_TYPE",
    "Confirmation",
    "Note",
    "Proposal",
    "Selection",
    "read_confirmation",
    "read_note",
    "read_proposal",
    "read_selection",
]

PROPOSAL_TYPE = "onecert-mass-revocation+json"
CONFIRMATION_TYPE = "onecert-mass-revocation-confirmation+json"
STOP_TYPE = "onecert-mass-revocation-stop+json"
RESUMPTION_TYPE = "onecert-mass-revocation-resumption+json"
LINES_MAX = 100_000
LINES_MAX_BYTES = 17 * 1024 * 1024
WHY_MAX = 500
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9._:@-]{1,64}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNERS = ("registration_authority", "officer")
LINE_KINDS = ("serial", "key_sha256", "entity")
_RULES = {
    "profile": _NAME,
    "registration_authority": _NAME,
    "batch": _ID,
    "issued_from": None,
    "issued_until": None,
}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which certificates of an authority: all, those that all rules fit, or those that lines name.

    `issued_from` counts, `issued_until` does not any more; both are the moment the order arrived.
    """

    is_whole: bool = False
    rules: Mapping[str, str]
    line_kind: str = ""
    lines: int = 0
    lines_sha256: str = ""

    def moment(self, name: str) -> datetime | None:
        text = self.rules.get(name)
        return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A proposal whose form is checked."""

    id: str
    created_at: datetime
    authority: str
    selection: Selection
    selection_json: Mapping[str, Any]
    reason: str
    invalidity_date: datetime | None
    people: tuple[str, ...]
    why: str


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """A confirmation whose form is checked: it repeats what was shown."""

    id: str
    created_at: datetime
    proposal_sha256: str
    serials_sha256: str
    certificates: int
    people: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Note:
    """A stop, or the wish to go on after one."""

    id: str
    created_at: datetime
    people: tuple[str, ...]
    why: str


def read_proposal(payload: Mapping[str, Any]) -> Proposal:
    """Read a proposal whose signature is checked.

    Raises:
        MassRevocationMalformedError, RevocationReasonError
    """
    _check_names(
        payload,
        {"authority", "selection", "reason", "invalidity_date", "requested_by", "why"},
    )
    reason = payload["reason"]
    if not isinstance(reason, str) or reason not in REASONS:
        # Releasing many at once would make good again what somebody may have meant to keep off.
        raise RevocationReasonError(str(reason)[:64])
    date = None if payload["invalidity_date"] is None else _moment(payload, "invalidity_date")
    selection = payload["selection"]
    if not isinstance(selection, dict):
        raise MassRevocationMalformedError("selection")
    return Proposal(
        id=_text(payload, "mass_revocation", _ID),
        created_at=_moment(payload, "created_at"),
        authority=_text(payload, "authority", _NAME),
        selection=read_selection(selection),
        selection_json=selection,
        reason=reason,
        invalidity_date=date,
        people=_people(payload, "requested_by"),
        why=_why(payload),
    )


def read_selection(selection: Mapping[str, Any]) -> Selection:
    """Read which certificates are meant.

    Raises:
        MassRevocationMalformedError
    """
    if selection.get("everything") is True and len(selection) == 1:
        return Selection(is_whole=True, rules={})
    if selection.keys() == {"lines"}:
        lines = selection["lines"]
        if not isinstance(lines, dict) or lines.keys() != {"kind", "count", "sha256"}:
            raise MassRevocationMalformedError("selection.lines")
        if lines["kind"] not in LINE_KINDS:
            raise MassRevocationMalformedError("selection.lines.kind")
        if type(lines["count"]) is not int or not 0 < lines["count"] <= LINES_MAX:
            raise MassRevocationMalformedError("selection.lines.count")
        sha256 = _text(lines, "sha256", _HASH, within="selection.lines.")
        return Selection(rules={}, line_kind=lines["kind"], lines=lines["count"], lines_sha256=sha256)
    for name, value in selection.items():
        if name not in _RULES or not isinstance(value, str):
            raise MassRevocationMalformedError(f"selection.{name}"[:64])
        pattern = _RULES[name]
        if pattern is None:
            _moment(selection, name, within="selection.")
        elif not pattern.fullmatch(value):
            raise MassRevocationMalformedError(f"selection.{name}")
    if not selection:
        raise MassRevocationMalformedError("selection")
    return Selection(rules=dict(selection))


def read_confirmation(payload: Mapping[str, Any]) -> Confirmation:
    """Read a confirmation whose signature is checked.

    Raises:
        MassRevocationMalformedError
    """
    _check_names(payload, {"proposal_sha256", "serials_sha256", "certificates", "confirmed_by"})
    if type(payload["certificates"]) is not int or payload["certificates"] < 1:
        raise MassRevocationMalformedError("certificates")
    return Confirmation(
        id=_text(payload, "mass_revocation", _ID),
        created_at=_moment(payload, "created_at"),
        proposal_sha256=_text(payload, "proposal_sha256", _HASH),
        serials_sha256=_text(payload, "serials_sha256", _HASH),
        certificates=payload["certificates"],
        people=_people(payload, "confirmed_by"),
    )


def read_note(payload: Mapping[str, Any]) -> Note:
    """Read a stop or a resumption whose signature is checked.

    Raises:
        MassRevocationMalformedError
    """
    _check_names(payload, {"requested_by", "why"})
    return Note(
        id=_text(payload, "mass_revocation", _ID),
        created_at=_moment(payload, "created_at"),
        people=_people(payload, "requested_by"),
        why=_why(payload),
    )


def _check_names(payload: Mapping[str, Any], names: set[str]) -> None:
    signer = [name for name in _SIGNERS if name in payload]
    if len(signer) != 1:
        raise MassRevocationMalformedError("registration_authority")
    for name in sorted(payload.keys() ^ (names | {"mass_revocation", "created_at", *signer})):
        raise MassRevocationMalformedError(name[:64])


def _text(payload: Mapping[str, Any], name: str, pattern: re.Pattern[str], *, within: str = "") -> str:
    value = payload[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise MassRevocationMalformedError(within + name)
    return value


def _moment(payload: Mapping[str, Any], name: str, *, within: str = "") -> datetime:
    try:
        value = datetime.fromisoformat(payload[name])
    except (ValueError, TypeError) as exc:
        raise MassRevocationMalformedError(within + name) from exc
    if value.tzinfo is None:
        raise MassRevocationMalformedError(within + name)
    return value


def _people(payload: Mapping[str, Any], name: str) -> tuple[str, ...]:
    people = payload[name]
    if (
        not isinstance(people, list)
        or not 0 < len(people) <= 10
        or not all(isinstance(person, str) and _NAME.fullmatch(person) for person in people)
    ):
        raise MassRevocationMalformedError(name)
    return tuple(people)


def _why(payload: Mapping[str, Any]) -> str:
    why = payload["why"]
    if not isinstance(why, str) or not why.strip() or len(why) > WHY_MAX or not why.isprintable():
        raise MassRevocationMalformedError("why")
    return why.strip()
