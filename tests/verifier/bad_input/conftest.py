"""Everything wrong that somebody can hand to the verifier, as tables: one row, one fault, its own code.

Where rows of one table share a code, who reads it need not tell the faults apart: the detail of the error
says which it was. The world of CAs is that of tests/verifier/department.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier import CrlFolder, Verifier, VerifyError, error_catalogue, load_trust_list

_SPEC = importlib.util.spec_from_file_location(
    "department_world", Path(__file__).parents[1] / "department" / "conftest.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
department = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = department  # dataclasses look their module up
_SPEC.loader.exec_module(department)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return department.World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def verifier(world: Any) -> Verifier:
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=department.T)
    return Verifier(trust_list=trust_list, evidence=CrlFolder(world.publish_crls()), application="tax")


@pytest.fixture
def code_of() -> Callable[..., str]:
    """Run something that must be refused; the code, once text and advice are known to be there."""

    def run(call: Callable[[], object]) -> str:
        with pytest.raises(VerifyError) as caught:
            call()
        error = caught.value
        assert error_catalogue()[error.code].kind != "notice"
        assert error.text("zh") != error.code
        assert error.desk("zh")
        assert "\n" not in str(error)
        return error.code

    return run
