"""A city whose bundle a test breaks in one place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bundle_city import City, T, make_city

from onecert.testkit.kit import Kit, make_kit


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """CAs and certificates of every fate."""
    return make_kit(tmp_path_factory.mktemp("kit") / "kit", at=T)


@pytest.fixture
def city(kit: Kit, tmp_path: Path) -> City:
    """The city, and a department's folder with its trust root."""
    return make_city(kit, tmp_path)
