"""docs/verifier-api.md names every public name and is what ``make api`` writes today."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import onecert.verifier

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def make_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_fresh(make_api: ModuleType) -> None:
    """Stale? ``make api`` writes it anew."""
    assert (DOCS / "verifier-api.md").read_text(encoding="utf-8") == make_api.page()


def test_every_public_name_is_there(make_api: ModuleType) -> None:
    headings = [line.removeprefix("### ") for line in make_api.page().splitlines() if line.startswith("### ")]
    assert sorted(headings) == sorted(onecert.verifier.__all__)


def test_every_public_member_has_a_docstring(make_api: ModuleType) -> None:
    """No heading of the page stands alone."""
    blocks = make_api.page().split("\n#")
    alone = [block.splitlines()[0] for block in blocks if block.startswith("###") and not _words(block)]
    assert alone == []


def _words(block: str) -> list[str]:
    """What is left of an entry without its heading and its signature."""
    outside = block.split("```")[::2]
    return "".join(outside).split("\n", 1)[1].split()
