"""The draft as a state machine: whatever people do in whatever order, nothing goes out without two persons.

A model beside the editor says who has signed what; every step compares.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onecert.server.errors import ServiceError
from onecert.server.operators import SignInConfig
from onecert.supervision.draft import Draft
from onecert.supervision.edits import change_service
from onecert.supervision.next_list import frozen_list
from onecert.supervision.records import find_publication
from onecert.verifier.trust_list import Status, StatusEntry

EDITS = [("edit", number) for number in range(3)]
SIGNS = [("sign", officer) for officer in ("wang", "li", "wang2", "wang", "li", "nobody")]
OTHERS = [
    ("stale edit", 9),
    ("prepare", None),
    ("sign what was read", "wang"),
    ("sign what was read", "li"),
    ("publish", True),
    ("publish", False),
    ("publish", False),
    ("begin", None),
    ("discard", None),
    ("emergency", "pearl"),
    ("emergency", "summit"),
    ("take up", None),
]
STEPS = st.lists(st.sampled_from([*EDITS, *SIGNS, *OTHERS]), min_size=12, max_size=24)
PERSONS = {"wang": 1, "wang2": 1, "li": 2}


@pytest.fixture
def base(world: Any, tmp_path: Path) -> Path:
    """A database with officers (two accounts of one person among them) and one published list."""
    world.officers(root=False)
    world.context.operators.config = SignInConfig(allow_same_person=True)
    world.operator("wang2", 1)
    world.editor.add_officer("wang2", actor="test")
    world.import_root(world.draft_root(threshold=2, holders=("gu", "xu", "tan")))
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.context.database.close()
    copy = tmp_path / "base.db"
    shutil.copy(tmp_path / "supervision.db", copy)
    return copy


def test_no_way_around_two_persons(world: Any, base: Path, make_world: Callable[[str], Any]) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(STEPS)
    def run(steps: list[tuple[str, Any]]) -> None:
        with tempfile.TemporaryDirectory(dir=base.parent) as folder:
            shutil.copy(base, Path(folder) / "run.db")
            fresh = make_world(f"sqlite:///{folder}/run.db")
            fresh.keys.keys.update(world.keys.keys)
            try:
                Model(fresh.editor).run(steps)
            finally:
                fresh.context.database.close()

    run()


class Model:
    """What must hold, said a second time in the simplest way."""

    def __init__(self, editor: Any) -> None:
        self.editor = editor
        self.published = 1
        self.read = ""

    def run(self, steps: list[tuple[str, Any]]) -> None:
        for name, value in steps:
            before = self.record()
            with contextlib.suppress(ServiceError):
                self.step(name, value)
            self.compare(before, name)

    def step(self, name: str, value: Any) -> None:
        editor = self.editor
        if name == "edit":
            editor.edit(with_hotline(value), actor="zhao", details={})
        elif name == "stale edit":
            with pytest.raises(ServiceError):
                editor.edit(with_hotline(value), actor="zhao", details={}, stamp="0.0")
        elif name == "sign":
            editor.sign(value, actor=value)
        elif name == "sign what was read":
            editor.sign(value, actor=value, sha256=self.read or "0" * 64)
        elif name == "publish":
            record = self.record()
            people = {PERSONS[each.officer] for each in record.signatures} if record else set()
            editor.publish(actor="li", stamp=record.stamp if value and record else None)
            assert len(people) >= 2
            self.published += 1
        elif name == "begin":
            editor.begin_draft(actor="zhao")
        elif name == "prepare":
            self.read = frozen_list(editor.prepare(actor="zhao")).sha256
        elif name == "discard":
            editor.discard_draft(actor="zhao")
        elif name == "emergency":
            entry = StatusEntry(status=Status.KEY_COMPROMISED, start=editor.clock.now())
            editor.begin_emergency(value, entry, reason="call", actor="li")
        else:
            editor.take_up_aside(actor="zhao")

    def compare(self, before: Any, name: str) -> None:
        after = self.record()
        with self.editor.database.reading() as connection:
            published = find_publication(connection)
        assert published.sequence == self.published
        assert len({each.person for each in published.signatures}) >= 2
        if after is None:
            return
        # One person signs once, and whatever changed the draft made the signatures void.
        people = [PERSONS[each.officer] for each in after.signatures]
        assert len(set(people)) == len(people)
        if before is None or (before.id, before.draft) != (after.id, after.draft):
            assert not after.signatures, name
        if before is not None and before.id == after.id and before.draft == after.draft:
            assert set(before.signatures) <= set(after.signatures), name
        if after.document is None:
            assert not after.signatures

    def record(self) -> Any:
        try:
            return self.editor.preview().record
        except ServiceError:
            return None


def with_hotline(number: int) -> Callable[[Draft], Draft]:
    return lambda draft: change_service(draft, "pearl", {"contact": {"hotline": f"0755-{number}"}})
