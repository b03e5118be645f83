"""Fixtures for all members' tests. Each member appends a block of its own below; nobody edits another's.

Test modules import nothing from here: ask for a fixture by its name.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from onecert.hsm import Token

# --- hsm -------------------------------------------------------------------------------------------------------------
# A process has one SoftHSM store, so all tests of a process share `softhsm_store`; each makes tokens of its own in it.


@pytest.fixture(scope="session")
def softhsm_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this process's SoftHSM store. Give it to ``ensure_softhsm_token`` or ``TokenConfig(softhsm=…)``."""
    from onecert.hsm import ModuleError, find_module

    try:
        find_module()
    except ModuleError as exc:
        pytest.skip(f"needs SoftHSM: {exc}")
    return tmp_path_factory.mktemp("softhsm") / "softhsm"


@pytest.fixture
def make_token(softhsm_store: Path, tmp_path: Path) -> Iterator[Callable[..., "Token"]]:
    """``make_token("ca")`` is a new, empty, open token; its label is made unique. Closed at the end of the test."""
    import secrets

    from onecert.hsm import ensure_softhsm_token, open_token

    opened: list[Token] = []

    def make(label: str = "test", *, sessions: int = 4) -> "Token":
        unique = f"{label[:20]}-{secrets.token_hex(4)}"
        config = ensure_softhsm_token(
            softhsm_store, label=unique, pin_file=tmp_path / f"{unique}.pin", sessions=sessions
        )
        opened.append(open_token(config))
        return opened[-1]

    yield make
    for token in opened:
        token.close()


# --- end of hsm ------------------------------------------------------------------------------------------------------
