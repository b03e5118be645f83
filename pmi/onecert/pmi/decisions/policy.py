"""What a policy is to the PMI: a question with proved roles goes in, an answer with its reasons comes out.

The engine behind ``PolicyEngine`` can be exchanged (docs/decisions/0004-policy-engine.md). Whatever engine it
is: nothing matches means deny, a forbid beats every permit, and an error never permits.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from onecert.pmi.errors import PolicyWrongError

__all__ = ["Answer", "PolicyCase", "PolicyEngine", "PolicySource", "Question", "Resource", "Result"]

MAX_BYTES = 1024 * 1024
MAX_TEXT = 512


class Result(StrEnum):
    """What came of a question. Only PERMIT lets anyone do anything."""

    PERMIT = "permit"
    DENY = "deny"  # a rule forbids it
    NOT_APPLICABLE = "not_applicable"  # no rule speaks of it
    INDETERMINATE = "indeterminate"  # a rule could not be evaluated

    @property
    def decision(self) -> str:
        """``permit`` or ``deny``: what a relying party enforces."""
        return "permit" if self is Result.PERMIT else "deny"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What is acted on: a kind, an id, and plain attributes that rules may ask for."""

    type: str
    id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Question:
    """May this holder, with these proved roles, do this?

    Args:
        subject: canonical id of the holder.
        roles: URIs; each one proved by a verified attribute certificate.
        attributes: what else is proved of the holder.
        context: what the relying party adds (channel, time of day, amount).
    """

    subject: str
    roles: frozenset[str]
    action: str
    resource: Resource
    attributes: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result and what determined it.

    Args:
        rules: ids of the rules that determined it: the permits, or the forbids.
        obligations: what the relying party must do besides; from the permits that determined it.
        errors: what could not be evaluated; never empty with INDETERMINATE.
    """

    result: Result
    rules: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class PolicyEngine(Protocol):
    """One policy, ready to answer."""

    def decide(self, question: Question) -> Answer:
        """Answer a question; never raises for what the question holds."""
        ...

    @property
    def rules(self) -> Sequence[str]:
        """The ids of all rules."""
        ...


@dataclass(frozen=True, kw_only=True)
class PolicyCase:
    """A test inside the policy: a question and the result it must have."""

    name: str
    question: Question
    expect: str  # a Result, or "deny" for everything that is not a permit
    rules: frozenset[str] = frozenset()  # when given: exactly these determine it

    def failure(self, answer: Answer) -> str | None:
        """Say how an answer differs from what is expected; None when it does not."""
        got = (
            answer.result.value
            if self.expect in {"not_applicable", "indeterminate"}
            else answer.result.decision
        )
        if got != self.expect:
            errors = f" ({'; '.join(answer.errors)})" if answer.errors else ""
            return f"{self.name}: expected {self.expect}, got {answer.result.value}{errors}"
        if self.rules and self.rules != frozenset(answer.rules):
            return f"{self.name}: expected the rules {sorted(self.rules)}, got {sorted(answer.rules)}"
        return None


@dataclass(frozen=True, kw_only=True)
class PolicySource:
    """A policy as its author wrote it: rules, optionally a schema, and test cases that must pass."""

    name: str
    rules: str
    schema: str
    cases: tuple[PolicyCase, ...]
    content: Mapping[str, Any]
    """The whole file as JSON: what is signed."""

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the canonical JSON of the content: names exactly this policy."""
        text = json.dumps(self.content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_toml(cls, data: bytes) -> PolicySource:
        """Read the file of a policy (TOML: name, rules, schema, [[tests]]).

        Raises:
            PolicyWrongError: with every fault.
        """
        if len(data) > MAX_BYTES:
            raise PolicyWrongError(["the file is larger than 1 MiB"])
        try:
            content = tomllib.loads(data.decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise PolicyWrongError([str(exc)]) from exc
        return cls.from_content(content)

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> PolicySource:
        """Take over what a file or a signed document holds."""
        faults = [
            f"unknown key {key}" for key in sorted(content.keys() - {"name", "rules", "schema", "tests"})
        ]
        faults += [
            f"{key} is missing"
            for key in ("name", "rules")
            if not isinstance(content.get(key), str) or not content[key].strip()
        ]
        if not isinstance(content.get("schema", ""), str):
            faults.append("schema is not a text")
        tests = content.get("tests", [])
        if not isinstance(tests, list) or not tests:
            faults.append("there is no [[tests]]: a policy without a test is not published")
            tests = []
        cases = []
        for number, row in enumerate(tests, start=1):
            try:
                cases.append(_case(row))
            except (KeyError, TypeError, ValueError) as exc:
                faults.append(f"test {number}: {exc}")
        if faults:
            raise PolicyWrongError(faults)
        return cls(
            name=content["name"],
            rules=content["rules"],
            schema=content.get("schema", ""),
            cases=tuple(cases),
            content=content,
        )


_CASE_KEYS = {"name", "roles", "action", "resource", "expect", "rules", "context", "subject", "attributes"}
_EXPECTED = {"permit", "deny", "not_applicable", "indeterminate"}


def _case(row: Any) -> PolicyCase:
    if not isinstance(row, dict):
        raise TypeError("not a table")
    unknown = row.keys() - _CASE_KEYS
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]}")
    for key in ("name", "action", "resource", "expect"):
        if key not in row:
            raise ValueError(f"{key} is missing")
    if row["expect"] not in _EXPECTED:
        raise ValueError("expect is permit, deny, not_applicable or indeterminate")
    return PolicyCase(
        name=str(row["name"]),
        question=Question(
            subject=str(row.get("subject", "uscc:91440300MA5DEM004J")),
            roles=frozenset(map(str, row.get("roles", []))),
            action=read_text(row["action"], "action"),
            resource=read_resource(row["resource"]),
            attributes=read_plain(row.get("attributes", {}), "attributes"),
            context=read_plain(row.get("context", {}), "context"),
        ),
        expect=row["expect"],
        rules=frozenset(map(str, row.get("rules", []))),
    )


def read_text(value: object, what: str) -> str:
    """Take a text of 1 to 512 printable characters. Raises ValueError."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise ValueError(f"{what} is not a text of 1 to {MAX_TEXT} characters")
    return value


def read_resource(value: object) -> Resource:
    """Take a resource: ``{"type", "id", "attributes"}`` or ``"Type::id"``. Raises ValueError."""
    if isinstance(value, str):
        kind, separator, name = value.partition("::")
        if not separator:
            raise ValueError('resource is not "Type::id"')
        return Resource(type=_type(kind), id=read_text(name.strip('"'), "resource id"))
    if not isinstance(value, dict) or value.keys() - {"type", "id", "attributes"}:
        raise ValueError("resource has type, id and attributes")
    attributes = read_plain(value.get("attributes", {}), "resource attributes")
    return Resource(
        type=_type(value.get("type")), id=read_text(value.get("id"), "resource id"), attributes=attributes
    )


def _type(value: object) -> str:
    if not isinstance(value, str) or not value.isidentifier() or not value.isascii() or len(value) > 64:
        raise ValueError("the resource's type is not a word")
    return value


def read_plain(value: object, what: str) -> dict[str, Any]:
    """Take a flat table of texts, whole numbers, truth values and lists of texts. Raises ValueError."""
    if not isinstance(value, dict) or len(value) > 64:
        raise ValueError(f"{what} is not a table of at most 64 entries")
    for name, item in value.items():
        if not isinstance(name, str) or not 0 < len(name) <= 64 or name.startswith("__"):
            raise ValueError(f"{what}: a name is not usable")
        is_list = isinstance(item, list) and len(item) <= 256 and all(isinstance(part, str) for part in item)
        is_number = isinstance(item, int) and -(2**63) <= item < 2**63
        if not (isinstance(item, bool | str) or is_number or is_list) or len(str(item)) > 8192:
            raise ValueError(f"{what}: {name} is not a text, a whole number, true, false or a list of texts")
    return dict(value)
