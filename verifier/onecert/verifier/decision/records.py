"""Reads the decision log: one decision by its number, those of some days, and what may be deleted.

A number begins with its time (``new_decision_id``), so one file is looked through for one decision.
"""

from __future__ import annotations

import json
import mmap
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from onecert.verifier.decision.deciding import Act, Subject
from onecert.verifier.decision.difference import Recorded
from onecert.verifier.decision.errors import DecisionLogError
from onecert.verifier.decision.question import Question, Resource

__all__ = ["DecisionRecord", "DecisionRecords"]

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:\.facts)?\.jsonl")
_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class DecisionRecord:
    """One decision as it was logged: the line, and the facts (empty when they have been deleted)."""

    line: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def at(self) -> datetime:
        """The time that the decision speaks of."""
        return datetime.fromisoformat(self.line["at"])

    @property
    def written_at(self) -> datetime:
        """When it was asked and written down."""
        return datetime.fromisoformat(self.line.get("asked_at") or self.line["at"])

    @property
    def subject(self) -> Subject:
        """The holder as verified then."""
        return Subject(**self.facts["subject"])

    @property
    def act(self) -> Act:
        """What was asked; ``target`` is left to who needs it."""
        resource = Resource(**self.facts["resource"])
        return Act(
            action=self.facts["action"],
            resource=resource,
            context=self.facts["context"],
            use_roles=_roles(self.facts),
        )

    def as_recorded(self) -> Recorded:
        """The question with the facts that were proved then."""
        subject, act = self.subject, self.act
        question = Question(
            subject=subject.entity,
            roles=frozenset(self.facts["roles"]),
            action=act.action,
            resource=act.resource,
            attributes={**self.facts["attributes"], **subject.as_attributes()},
            context={**act.context, "now": int(self.at.timestamp())},
        )
        return Recorded(id=self.line["decision_id"], question=question, use_roles=act.use_roles)


def _roles(facts: Mapping[str, Any]) -> frozenset[str] | None:
    use_roles = facts["use_roles"]
    return None if use_roles is None else frozenset(use_roles)


class DecisionRecords:
    """The decisions in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, decision_id: str) -> DecisionRecord | None:
        """Return one decision, or None.

        Raises:
            DecisionLogError: the log cannot be read.
        """
        if not _ID.fullmatch(decision_id):
            return None
        moment = datetime.fromtimestamp(int(decision_id[:8] + decision_id[9:13], 16) / 1000, UTC)
        day = f"{moment:%Y-%m-%d}"
        line = self._find_line(day, decision_id)
        if line is None:
            return None
        return DecisionRecord(line, self._find_line(f"{day}.facts", decision_id) or {})

    def lines(self, first: date, last: date, **wanted: str) -> Iterator[Mapping[str, Any]]:
        """Yield the lines of these days, oldest first, whose members have these values.

        Args:
            first, last: days in UTC, both included.
            wanted: ``subject`` (as masked), ``action``, ``result``, ``resource`` (``Type::id``) or ``rule``.
        """
        for line in self._days(first, last, ""):
            if _is_wanted(line, wanted):
                yield line

    def recorded(self, first: date, last: date) -> Iterator[Recorded]:
        """Yield the questions of these days with what was proved then. What was masked is missing in them."""
        for facts in self._days(first, last, ".facts"):
            yield DecisionRecord(facts, facts).as_recorded()

    def certificate(self, digest: str, at: datetime) -> bytes | None:
        """Return a certificate (DER) by its SHA-256 that was seen at this time, or None."""
        path = self._folder / "seen" / f"{at.astimezone(UTC):%Y-%m}" / f"{digest}.der"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise DecisionLogError(detail=exc) from exc

    def prune(self, at: datetime, *, keep: timedelta) -> int:
        """Delete the days that are older than ``keep``, and the months of which no day is left.

        Returns:
            How many files and folders went.
        """
        oldest = (at.astimezone(UTC) - keep).date()
        gone = 0
        try:
            for path in sorted(self._folder.glob("*.jsonl")):
                if _DAY.fullmatch(path.name) and date.fromisoformat(path.name[:10]) < oldest:
                    path.unlink(missing_ok=True)
                    gone += 1
            for path in sorted((self._folder / "seen").glob("*")):
                if _MONTH.fullmatch(path.name) and path.name < f"{oldest:%Y-%m}":
                    shutil.rmtree(path, ignore_errors=True)
                    gone += 1
        except OSError as exc:
            raise DecisionLogError(detail=exc) from exc
        return gone

    def _days(self, first: date, last: date, kind: str) -> Iterator[Mapping[str, Any]]:
        for number in range((last - first).days + 1):
            path = self._folder / f"{first + timedelta(days=number)}{kind}.jsonl"
            try:
                with path.open("rb") as file:
                    for text in file:
                        yield _load(text)
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise DecisionLogError(detail=exc) from exc

    def _find_line(self, name: str, decision_id: str) -> Mapping[str, Any] | None:
        path = self._folder / f"{name}.jsonl"
        try:
            with path.open("rb") as file:
                if path.stat().st_size == 0:
                    return None
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    found = content.find(f'"decision_id":"{decision_id}"'.encode())
                    if found < 0:
                        return None
                    start = content.rfind(b"\n", 0, found) + 1
                    content.seek(start)
                    return _load(content.readline())
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise DecisionLogError(detail=exc) from exc


def _load(text: bytes) -> Mapping[str, Any]:
    try:
        line: Mapping[str, Any] = json.loads(text)
    except ValueError as exc:
        raise DecisionLogError(detail="a line is not JSON") from exc
    return line


def _is_wanted(line: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    for name, value in wanted.items():
        found = line.get(name)
        if name == "resource":
            found = f"{line['resource']['type']}::{line['resource']['id']}"
        elif name == "rule":
            if value not in line["rules"]:
                return False
            continue
        if found != value:
            return False
    return True
