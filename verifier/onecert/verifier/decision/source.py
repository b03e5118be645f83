"""A policy as its author writes it: a TOML file with a name, rules, perhaps a schema, and its own tests."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onecert.verifier.decision.errors import Fault, PolicyWrongError, QuestionWrongError
from onecert.verifier.decision.plain import read_plain, read_resource, read_text
from onecert.verifier.decision.question import Answer, Question
from onecert.verifier.decision.role_model import BASE_ATTRIBUTES

__all__ = ["PolicyCase", "PolicySource"]

MAX_BYTES = 1024 * 1024
_DEFAULT_SUBJECT = "uscc:91440300MA5DEM004J"
_KEYS = {"name", "rules", "schema", "tests"}
_CASE_KEYS = {
    *("name", "roles", "use_roles", "action", "resource", "expect", "rules", "context", "subject"),
    *("attributes", "obligations"),
}
_EXPECTED = {"permit", "deny", "not_applicable", "indeterminate"}


@dataclass(frozen=True, kw_only=True)
class PolicyCase:
    """A test inside the policy: a question and the result it must have."""

    name: str
    question: Question
    expect: str  # a Result, or "deny" for everything that is not a permit
    use_roles: frozenset[str] | None = None  # only these are active
    rules: frozenset[str] = frozenset()  # when given: exactly these determine it
    obligations: frozenset[str] = frozenset()  # when given: exactly these are said

    def failure(self, answer: Answer) -> Fault | None:
        """Say how an answer differs from what is expected; None when it does not."""
        got = (
            answer.result.value
            if self.expect in {"not_applicable", "indeterminate"}
            else answer.result.decision
        )
        if got != self.expect:
            because = "; ".join((*answer.errors, *answer.exclusions)) or ", ".join(answer.rules) or "-"
            got = answer.result.value
            return Fault(
                "TEST_RESULT", {"test": self.name, "expected": self.expect, "got": got, "because": because}
            )
        for what, wanted, found in (
            ("rules", self.rules, answer.rules),
            ("obligations", self.obligations, answer.obligations),
        ):
            if wanted and wanted != frozenset(found):
                facts = {"test": self.name, "expected": sorted(wanted), "got": sorted(found) or "-"}
                return Fault("TEST_RULES" if what == "rules" else "TEST_OBLIGATIONS", facts)
        return None


@dataclass(frozen=True, kw_only=True)
class PolicySource:
    """Rules, optionally a schema, and test cases that must pass before the policy counts."""

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
        """Read the file of a policy (TOML: name, rules, schema, [[tests]]; at most 1 MiB).

        Raises:
            PolicyWrongError: with every fault.
        """
        if len(data) > MAX_BYTES:
            raise PolicyWrongError([Fault("TOO_LARGE", {"most": "1 MiB"})])
        try:
            content = tomllib.loads(data.decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
            # tomllib names line and column of the file itself.
            raise PolicyWrongError([Fault("FILE", {"detail": exc})]) from exc
        return cls.from_content(content)

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> PolicySource:
        """Take over what a file or a signed document holds.

        Raises:
            PolicyWrongError: with every fault.
        """
        faults = [Fault("UNKNOWN_KEY", {"key": key}) for key in sorted(content.keys() - _KEYS)]
        faults += [
            Fault("MISSING_KEY", {"key": key})
            for key in ("name", "rules")
            if not isinstance(content.get(key), str) or not content[key].strip()
        ]
        name = content.get("name")
        if isinstance(name, str) and (len(name) > 64 or not name.isprintable()):
            faults.append(Fault("NAME"))
        if not isinstance(content.get("schema", ""), str):
            faults.append(Fault("MISSING_KEY", {"key": "schema"}))
        tests = content.get("tests", [])
        if not isinstance(tests, list) or not tests:
            faults.append(Fault("NO_TESTS"))
            tests = []
        cases = []
        for number, row in enumerate(tests, start=1):
            try:
                cases.append(_case(row))
            except QuestionWrongError as exc:
                faults.append(Fault("TEST_FORM", {"number": number, "detail": exc.facts["detail"]}))
        if faults:
            raise PolicyWrongError(faults)
        return cls(
            name=content["name"],
            rules=content["rules"],
            schema=content.get("schema", ""),
            cases=tuple(cases),
            content=content,
        )


def _case(row: Any) -> PolicyCase:
    if not isinstance(row, dict):
        raise QuestionWrongError(detail="not a table")
    unknown = row.keys() - _CASE_KEYS
    if unknown:
        raise QuestionWrongError(detail=f"unknown key {min(unknown)}")
    for key in ("name", "action", "resource", "expect"):
        if key not in row:
            raise QuestionWrongError(detail=f"{key} is missing")
    if row["expect"] not in _EXPECTED:
        raise QuestionWrongError(detail="expect is permit, deny, not_applicable or indeterminate")
    subject = read_text(row.get("subject", _DEFAULT_SUBJECT), "subject")
    return PolicyCase(
        name=str(row["name"]),
        question=Question(
            subject=subject,
            roles=_texts(row, "roles"),
            action=read_text(row["action"], "action"),
            resource=read_resource(row["resource"]),
            # What is known of every holder is there in a test as well.
            attributes={
                **dict.fromkeys(BASE_ATTRIBUTES, ""),
                "entity": subject,
                **read_plain(row.get("attributes", {}), "attributes"),
            },
            context=read_plain(row.get("context", {}), "context"),
        ),
        use_roles=_texts(row, "use_roles") if "use_roles" in row else None,
        expect=row["expect"],
        rules=_texts(row, "rules"),
        obligations=_texts(row, "obligations"),
    )


def _texts(row: Mapping[str, Any], key: str) -> frozenset[str]:
    value = row.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise QuestionWrongError(detail=f"{key} is not a list of texts")
    return frozenset(value)
