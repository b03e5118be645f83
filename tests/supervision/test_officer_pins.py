"""Officers' PINs on tokens in SoftHSM, by the commands: asked for each signature, changed by their owner."""

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from .test_supervision_cli import PIN, Shell, shell  # noqa: F401  the fixture

pytestmark = pytest.mark.token


@pytest.fixture
def ready(shell: Shell, world: Any, tmp_path: Path) -> Shell:  # noqa: F811
    """One officer and an open draft."""
    shell("officer", "add", "wang", "--name", "Wang", "--person", "440300190001010015")
    draft = tmp_path / "draft.json"
    draft.write_text(json.dumps(world.draft_json()))
    shell("draft", "import", str(draft))
    return shell


def test_the_pin_is_asked_for_each_signature(
    ready: Shell, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong one is refused, the next at once is not even tried; both leave the draft unsigned."""
    # Longer than any of these commands takes.
    monkeypatch.setattr("onecert.hsm.pin.FIRST_WAIT", timedelta(minutes=5))
    caplog.set_level(logging.DEBUG)
    ready("draft", "sign", "--officer", "wang", typed="", code=1)
    assert "PIN_MISSING" in ready.err
    ready("draft", "sign", "--officer", "wang", typed="kettle 43", code=1)
    assert "PIN_WRONG" in ready.err
    assert "9 more" in ready.err
    ready("draft", "sign", "--officer", "wang", code=1)
    assert "PIN_THROTTLED" in ready.err
    assert "would unlock" in ready("officer", "unlock", "wang")
    ready("draft", "sign", "--officer", "wang", code=1)
    ready("officer", "unlock", "wang", "--apply")
    ready("draft", "sign", "--officer", "wang")
    assert "signed by wang" in ready.err
    assert "kettle" not in caplog.text
    assert not list((ready.data / "supervision").rglob("wang.pin"))
    assert not any(b"kettle" in path.read_bytes() for path in ready.data.rglob("*") if path.is_file())


def test_officers_change_their_pin(ready: Shell) -> None:
    """Also from a PIN that an earlier version kept in a file, which goes away."""
    folder = ready.data / "supervision" / "officers"
    folder.mkdir(exist_ok=True)
    (folder / "wang.pin").write_text(PIN)
    ready("officer", "pin", "wang", typed=f"{PIN}\n123456", code=1)
    assert "PIN_SIMPLE" in ready.err
    ready("officer", "pin", "wang", typed=f"{PIN}\nharbour 77")
    assert not (folder / "wang.pin").exists()
    ready("draft", "sign", "--officer", "wang", code=1)
    ready("officer", "unlock", "wang", "--apply")
    ready("draft", "sign", "--officer", "wang", typed="harbour 77")
    ready("officer", "pin", "nobody", code=1)
    ready("officer", "unlock", "nobody", code=1)


def test_a_new_officer_chooses_a_pin(shell: Shell) -> None:  # noqa: F811
    person = ("--name", "Wang", "--person", "440300190001010015")
    shell("officer", "add", "wang", *person, typed="111111", code=1)
    assert "PIN_SIMPLE" in shell.err
    shell("officer", "add", "wang")
    shell("officer", "add", "wang", typed="another one", code=1)
    assert "PIN" not in shell.err
