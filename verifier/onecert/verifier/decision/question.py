"""A question with proved roles goes in, an answer with its reasons comes out.

Whatever engine evaluates the rules (``engine.py``): nothing matches means deny, a forbid beats every permit,
and an error never permits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Answer", "Question", "Resource", "Result"]


class Result(StrEnum):
    """What came of a question. Only PERMIT lets anyone do anything."""

    PERMIT = "permit"
    DENY = "deny"  # a rule forbids it, or two roles exclude each other
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
        action: its name.
        resource: what it is done to, as the relying party says.
        attributes: what else is proved of the holder: texts, or collections of texts.
        context: what the relying party adds (channel, time of day, amount). It stands beside what is proved
            and cannot replace any of it.
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
        rules: ids of the rules that determined it: the permits, or the forbids; sorted.
        obligations: what the relying party must do besides; from the permits that determined it.
        errors: what could not be evaluated; never empty with INDETERMINATE.
        exclusions: names of the exclusions that two of the active roles violate; then no rule was asked.
    """

    result: Result
    rules: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
