"""An entry point is loaded without the garbage collector, which goes on afterwards, whatever came of it."""

from __future__ import annotations

import gc

import pytest

from onecert.server.loading import load


class Point:
    """Says whether the collector works while it is loaded."""

    def __init__(self, fails: bool) -> None:
        self._fails = fails

    def load(self) -> bool:
        if self._fails:
            raise ImportError("gone")
        return gc.isenabled()


def test_the_collector_waits_and_goes_on() -> None:
    assert load(Point(fails=False)) is False  # type: ignore[arg-type]
    assert gc.isenabled()


def test_a_member_that_cannot_be_loaded_does_not_stop_it() -> None:
    with pytest.raises(ImportError, match="gone"):
        load(Point(fails=True))  # type: ignore[arg-type]
    assert gc.isenabled()
