"""The programs of the guide run as they stand, in both languages, one after the other."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier.fetch import FetchAnswer
from onecert.verifier.messages import codes

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = ["signed-forms.md", "signed-forms.zh.md"]
DAY = timedelta(days=1)


@pytest.mark.parametrize("guide", GUIDES)
def test_programs(
    office: Any,
    world: Any,
    document: bytes,
    guide: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Accept a form, record it, stamp it, check the record, renew it."""
    office.signer = world.leaf("harbour")
    monkeypatch.chdir(office.folder)
    world.publish_crls()
    Path("crls", "office.crl").write_bytes(office.pki.crl(office.root))
    Path("trust-root.json").write_bytes(world.root_file)
    Path("mirror").mkdir()
    world.publish(Path("mirror"), world.trust_list())
    Path("form.json").write_bytes(document)
    Path("form.p7s").write_bytes(office.stamped(office.now - DAY))
    Path("tsa-root.crt").write_bytes(office.root.der)
    monkeypatch.setattr(
        "onecert.verifier.fetch.HttpFetch.__call__",
        lambda _, request: FetchAnswer(data=office.answer(request.body)),
    )

    programs = re.findall(r"```python\n(.*?)```", (DOCS / guide).read_text("utf-8"), re.DOTALL)
    assert len(programs) == 5
    names: dict[str, Any] = {"document": document}
    for program in programs:
        text = program.replace("datetime.now(UTC)", "datetime(2026, 11, 21, 9, tzinfo=UTC)")
        exec(text, names)
    assert capsys.readouterr().out.splitlines() == [
        f"uscc:91440300MA5DEM004J {office.now - DAY}",
        f"uscc:91440300MA5DEM004J {office.now}",
    ]
    assert office.now == datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert len(names["record"]) > len(Path("evidence.json").read_bytes())


def test_codes_named_in_the_guides_exist() -> None:
    for guide in GUIDES:
        named = set(re.findall(r"`([A-Z]{2,}(?:_[A-Z]+)+)`", (DOCS / guide).read_text("utf-8")))
        assert len(named) > 8
        assert named <= codes()
