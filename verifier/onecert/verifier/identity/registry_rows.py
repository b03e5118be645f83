"""The rows of ``registry.jsonl``: one legal entity a line, read strictly and written in one spelling.

    {"names":["新名称有限公司","旧名称有限公司"],"regno":["440301103097413"],"state":"active","uscc":"9144…"}

| key | holds |
| --- | --- |
| ``uscc`` | the uniform social credit code; rows are sorted by it |
| ``names`` | the present name first; a text, or ``{"name", "from"?, "until"?}`` |
| ``state`` | ``active``, ``cancelled`` (注销), ``revoked`` (吊销) |
| ``from`` | when the entity was entered; it is not found before |
| ``until`` | when it was cancelled or revoked; active before. Without it: closed at all times |
| ``org``, ``regno`` | a text or ``{"number", "from"?, "until"?, "evidence"?}``; ``regno`` is a list |

The organisation code is part of every credit code (GB 32100-2015); ``org`` is there only to say more of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.identity.check_digits import (
    check_organisation_code,
    check_registration_number,
    check_uscc,
)
from onecert.verifier.identity.registry import Alias, RegistryEntry
from onecert.verifier.jws import load_json
from onecert.verifier.strict_json import StrictJsonError, parse_time

__all__ = ["ROW_MAX_BYTES", "STATES", "Name", "Row", "known_row", "read_row"]

ROW_MAX_BYTES = 16 * 1024
STATES = ("active", "cancelled", "revoked")
_NAME_MAX = 200
_EVIDENCE_MAX = 500
_LIST_MAX = 50
_ROW_KEYS = frozenset({"uscc", "names", "state", "from", "until", "org", "regno"})
_NAME_KEYS = frozenset({"name", "from", "until"})
_ALIAS_KEYS = frozenset({"number", "from", "until", "evidence"})
_CHECKS: dict[str, Callable[[str], str]] = {
    # Codes for tests are for the identity profile to refuse.
    "uscc": partial(check_uscc, test_ids=True),
    "org": check_organisation_code,
    "regno": check_registration_number,
}


class Name(NamedTuple):
    """A name and when it was in force; ``None`` for always."""

    text: str
    since: datetime | None
    until: datetime | None


class Row(NamedTuple):
    """One entity with its history; ``entry`` tells what it was at a time."""

    uscc: str
    names: tuple[Name, ...]
    state: str
    since: datetime | None
    until: datetime | None
    aliases: tuple[Alias, ...]

    def entry(self, at: datetime) -> RegistryEntry | None:
        """The entity at a time; ``None`` before it was entered."""
        if self.since is not None and at < self.since:
            return None
        closed = self.state != "active" and (self.until is None or at >= self.until)
        # The name of that time first: a form that was signed under the former name is no surprise.
        names = sorted(self.names, key=lambda name: not _holds(name, at))
        return RegistryEntry(
            uscc=self.uscc,
            names=tuple(dict.fromkeys(name.text for name in names)),
            state=self.state if closed else "active",
            until=self.until if closed else None,
        )


def _holds(name: Name, at: datetime) -> bool:
    return (name.since is None or name.since <= at) and (name.until is None or at < name.until)


def known_row(line: bytes) -> Row:
    """Read a line that ``read_row`` has accepted before, without judging it again.

    Raises:
        ValueError, LookupError, TypeError: it was damaged since.
    """
    value = json.loads(str(line, "utf-8"))
    uscc = value["uscc"]
    canonical = f"uscc:{uscc}"
    aliases = [_known_alias("org", value.get("org", uscc[8:17]), canonical)]
    aliases += [_known_alias("regno", number, canonical) for number in value.get("regno", ())]
    return Row(
        uscc,
        tuple([_known_name(name) for name in value["names"]]),
        value["state"],
        *_known_times(value),
        tuple(aliases),
    )


def _known_name(value: Any) -> Name:
    return Name(value, None, None) if isinstance(value, str) else Name(value["name"], *_known_times(value))


def _known_alias(kind: str, value: Any, canonical: str) -> Alias:
    if isinstance(value, str):
        return Alias(id=f"{kind}:{value}", canonical=canonical)
    since, until = _known_times(value)
    evidence = value.get("evidence", "")
    return Alias(
        id=f"{kind}:{value['number']}", canonical=canonical, since=since, until=until, evidence=evidence
    )


def _known_times(value: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    since, until = value.get("from"), value.get("until")
    return (
        None if since is None else parse_time(since, "from"),
        None if until is None else parse_time(until, "until"),
    )


def read_row(line: bytes) -> Row:
    """Read one line, without its line feed.

    Raises:
        MalformedError: ``REGISTRY_ROW`` with the first fault; numbers must be in their one spelling.
    """
    try:
        value = _object(load_json(line, max_bytes=ROW_MAX_BYTES), _ROW_KEYS, "")
        uscc = _number(value.get("uscc"), "uscc")
        state = value.get("state")
        if state not in STATES:
            raise StrictJsonError("state", f"must be one of {', '.join(STATES)}")
        since, until = _interval(value, "")
        if until is not None and state == "active":
            raise StrictJsonError("until", "an active entity has no end")
        names = tuple([_name(item) for item in _list(value.get("names"), "names", 1)])
        code = uscc[8:17]
        # Without a word about it, its check digit was looked at inside the credit code.
        org = Alias(id=f"org:{code}", canonical=f"uscc:{uscc}")
        if "org" in value:
            org = _alias(value["org"], "org", uscc)
            if org.id[4:] != code:
                raise StrictJsonError("org", "is not the organisation code inside the credit code")
        aliases = [org]
        aliases += [_alias(item, "regno", uscc) for item in _list(value.get("regno", []), "regno", 0)]
        return Row(uscc, names, state, since, until, tuple(aliases))
    except StrictJsonError as exc:
        raise MalformedError("REGISTRY_ROW", detail=str(exc)[:300]) from exc
    except VerifyError as exc:
        raise MalformedError("REGISTRY_ROW", detail=exc.text("en")) from exc


# By hand and not with ``strict_json.Node``: a register has millions of rows, and this takes a third.


def _object(value: object, keys: frozenset[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StrictJsonError(where, "must be an object")
    if not keys.issuperset(value):
        raise StrictJsonError(where, f"unknown key {', '.join(sorted(value.keys() - keys))[:200]}")
    return value


def _list(value: object, where: str, low: int) -> list[Any]:
    if not isinstance(value, list) or not low <= len(value) <= _LIST_MAX:
        raise StrictJsonError(where, f"must be a list of {low} to {_LIST_MAX} elements")
    return value


def _name(value: object) -> Name:
    since = until = None
    if isinstance(value, dict):
        fields = _object(value, _NAME_KEYS, "names")
        since, until = _interval(fields, "names.")
        value = fields.get("name")
    if not isinstance(value, str) or not value.strip() or len(value) > _NAME_MAX:
        raise StrictJsonError("names", f"must hold names of 1 to {_NAME_MAX} characters")
    return Name(value, since, until)


def _alias(value: object, kind: str, uscc: str) -> Alias:
    since = until = None
    evidence: Any = ""
    if isinstance(value, dict):
        fields = _object(value, _ALIAS_KEYS, kind)
        since, until = _interval(fields, f"{kind}.")
        value, evidence = fields.get("number"), fields.get("evidence", "")
        if not isinstance(evidence, str) or len(evidence) > _EVIDENCE_MAX:
            raise StrictJsonError(f"{kind}.evidence", f"must be text of at most {_EVIDENCE_MAX} characters")
    number = _number(value, kind)
    return Alias(id=f"{kind}:{number}", canonical=f"uscc:{uscc}", since=since, until=until, evidence=evidence)


def _number(value: object, kind: str) -> str:
    if not isinstance(value, str):
        raise StrictJsonError(kind, "must be a number written as text")
    try:
        spelled = _CHECKS[kind](value)
    except VerifyError as exc:
        raise StrictJsonError(kind, exc.text("en")) from exc
    if spelled != value:
        raise StrictJsonError(kind, f"is written {spelled}")
    return value


def _interval(value: dict[str, Any], where: str) -> tuple[datetime | None, datetime | None]:
    since, until = _time(value, "from", where), _time(value, "until", where)
    if since is not None and until is not None and since >= until:
        raise StrictJsonError(f"{where}until", "must be after from")
    return since, until


def _time(value: dict[str, Any], key: str, where: str) -> datetime | None:
    if key not in value:
        return None
    text = value[key]
    return parse_time(text if isinstance(text, str) else "", where + key)
