"""A register with few entities, and its signed snapshot in a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from registry_files import FIRM, OTHER, REGNO, Register, row


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """Two entities, one with a registration number."""
    made = Register(tmp_path)
    made.write([row(FIRM, regno=[REGNO]), row(OTHER, "另一家有限公司")])
    return made
