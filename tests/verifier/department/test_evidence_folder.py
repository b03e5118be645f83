"""The folder of lists while many threads ask for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.verifier import evidence
from onecert.verifier.evidence import CrlFolder
from onecert.verifier.revocation import RevocationEvidence

T = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Reading a list says that it has begun, and waits until it may go on."""
    begun, go_on = threading.Event(), threading.Event()
    load = evidence.load_crl

    def held_up(*given: Any, **named: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return load(*given, **named)

    monkeypatch.setattr(evidence, "load_crl", held_up)
    return begun, go_on


def ask(folder: CrlFolder, at: datetime, told: Callable[[RevocationEvidence], None]) -> threading.Thread:
    thread = threading.Thread(target=lambda: told(folder.lists(None, at)))  # type: ignore[arg-type]  # not looked at
    thread.start()
    return thread


def test_the_first_reading_is_waited_for(world: Any, reading: Any) -> None:
    """Two logins at the start. Must not tell the second one that nothing is known."""
    begun, go_on = reading
    folder, seen = CrlFolder(world.publish_crls("harbour")), []
    first = ask(folder, T, lambda found: seen.append(len(found.all_crls())))
    assert begun.wait(30)
    second = ask(folder, T, lambda found: seen.append(len(found.all_crls())))
    second.join(0.1)
    assert second.is_alive()
    go_on.set()
    first.join()
    second.join()
    assert seen == [1, 1]


def test_later_readings_hold_nobody_up(world: Any, reading: Any) -> None:
    """A large list is written anew. While one thread reads it, the others go on with the one at hand."""
    begun, go_on = reading
    go_on.set()
    folder = CrlFolder(world.publish_crls("harbour"))
    folder.refresh(T)
    begun.clear()
    go_on.clear()
    file = world.folder / "crls" / "harbour.crl"
    file.write_bytes(world.crl("harbour", number=2, this_update=T))
    os.utime(file, (1, 1))
    later = T + timedelta(minutes=1)
    reader = ask(folder, later, lambda found: None)
    assert begun.wait(30)
    (at_hand,) = folder.lists(None, later).all_crls()  # type: ignore[arg-type]  # not looked at
    assert at_hand.number == 1
    go_on.set()
    reader.join()
    (newer,) = folder.lists(None, later).all_crls()  # type: ignore[arg-type]  # not looked at
    assert newer.number == 2
