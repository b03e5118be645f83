"""The guide of a department without network: its programs and commands run as written, in both languages."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from bundle_city import FIRM, City, T, stamp

from onecert.verifier.bundle.policy import load_policy
from onecert.verifier.cli import main
from onecert.verifier.messages import codes

DOCS = Path(__file__).parents[3] / "docs"
ENGLISH = (DOCS / "offline-department.md").read_text(encoding="utf-8")
CHINESE = (DOCS / "offline-department.zh.md").read_text(encoding="utf-8")


def blocks(kind: str, text: str = ENGLISH) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("kind", ["python", "console", "json"])
def test_both_languages_show_the_same(kind: str) -> None:
    assert blocks(kind, CHINESE) == blocks(kind)
    assert blocks(kind)


def test_codes_exist() -> None:
    for text in (ENGLISH, CHINESE):
        named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", text))
        assert named
        assert named <= codes()


def test_it_runs(city: City, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(city.folder)
    (city.folder / "disk").mkdir()
    city.bundle(city.folder / "disk" / "bundle.zip")
    case = city.kit.case("good-harbour")
    shutil.copy(city.kit.folder / case.files["certificate"], "clerk.crt")
    commands = [
        line.strip().removeprefix("$ ")
        for block in blocks("console")
        for line in block.strip().splitlines()
        if "onecert-verify" in line and " form " not in line
    ]
    assert len(commands) == 4
    for command in commands:
        assert main([*shlex.split(command)[1:], "--at", stamp(T)]) == 0, command
    capsys.readouterr()
    names: dict[str, Any] = {}
    for program in blocks("python"):
        exec(program.replace("datetime.now(UTC)", f"datetime.fromisoformat({T.isoformat()!r})"), names)
    assert f"uscc:{FIRM} True 2026-11-21" in capsys.readouterr().out
    (policy,) = blocks("json")
    assert load_policy(policy.encode()).as_dict() == json.loads(policy)
