"""The commands of the editor: diff, history, effect, known, draft add/edit/sample, emergency."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from onecert.server.cli import run
from onecert.server.contexts import open_member
from onecert.supervision.draft import parse_draft
from onecert.supervision.service import make_supervision


class Shell:
    """Runs commands on one data folder and keeps what they print."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self._capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        result = run(["trust-list", *arguments, "--data", str(self.data)])
        out, self.err = self._capsys.readouterr()
        assert result == code, (arguments, out, self.err)
        return out


@pytest.fixture
def shell(
    world: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A data folder with a published list and a draft with another hotline."""
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    opened = open_member("supervision", data)
    world.context = opened.context
    world.supervision = make_supervision(opened.config, opened.context, world.keys)
    world.officers()
    value = world.draft_json()
    world.editor.import_draft(parse_draft(value), actor="test")
    world.publish()
    value["services"][0]["contact"] = {"hotline": "0755-22222222"}
    (tmp_path / "draft.json").write_text(json.dumps(value))
    opened.close()
    shell = Shell(data, capsys)
    shell("draft", "import", str(tmp_path / "draft.json"))
    return shell


def test_diff_and_history(shell: Shell) -> None:
    assert "+ Hotline: 0755-22222222" in shell("diff")
    assert "- Hotline: 0755-10000000" in shell("diff", "1")
    (difference,) = json.loads(shell("diff", "--json"))
    assert difference["fields"] == {
        "contact": {"old": ["Hotline: 0755-10000000"], "new": ["Hotline: 0755-22222222"]}
    }
    assert "Nothing but" in shell("diff", "1", "1")
    shell("diff", "1", "7", code=1)
    shell("diff", "x", code=2)
    (row,) = json.loads(shell("history", "--json"))
    assert (row["sequence"], sorted(row["signed_by"])) == (1, ["li", "wang"])
    assert row["sha256"] in shell("history")


def test_edit_without_a_file(shell: Shell, world: Any, tmp_path: Path) -> None:
    shell("draft", "edit", "harbour", "--hotline", "12345", "--supply", "crl=http://127.0.0.1/x.crl")
    shell("draft", "edit", "harbour", "--issuance-log", "--name-en", "Harbour 2")
    harbour = json.loads(shell("draft", "show"))["services"][1]
    assert harbour["contact"] == {"hotline": "12345"}
    assert harbour["supply_points"]["crl"] == ["http://127.0.0.1/x.crl"]
    assert harbour["supply_points"]["ocsp"]
    assert (harbour["issuance_log"], harbour["name"]["en"]) == (True, "Harbour 2")
    shell("draft", "edit", "moon", "--hotline", "1", code=1)
    shell("draft", "edit", "harbour", "--supply", "ftp=x", code=2)
    profile = tmp_path / "profile.json"
    profile.write_bytes(b"\xef\xbb\xbf{}")
    shell("draft", "edit", "harbour", "--profile", str(profile), code=1)
    assert "byte order mark" in shell.err

    (tmp_path / "moon.pem").write_text(world.other_ca())
    service = {
        "id": "moon",
        "name": {"zh": "月亮CA", "en": "Moon CA"},
        "certificate_file": "moon.pem",
        "history": [{"status": "granted", "from": "2026-01-01T00:00:00Z"}],
    }
    (tmp_path / "moon.json").write_text(json.dumps(service))
    assert "moon\tnew authority" in shell("draft", "add", str(tmp_path / "moon.json"))
    (tmp_path / "leaf.pem").write_text(world.leaf("pearl"))
    leaf = str(tmp_path / "leaf.pem")
    shell("draft", "sample", "pearl", leaf, "--id", "uscc:91440300MA5DEM004J")
    shell("draft", "sample", "pearl", leaf, "--id", "uscc:1", code=1)
    shell("draft", "sample", "pearl", leaf, code=2)


def test_known_and_effect(shell: Shell, world: Any, tmp_path: Path) -> None:
    """A folder is taken in once; a withdrawal then changes the verdict of what it holds."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.pem").write_text(world.leaf("pearl", serial=1000 + number))
    (folder / "notes.txt").write_text("not a certificate")
    assert shell("known", "import", str(folder), "--source", "pearl 2026").count("\t1\t0\t0") == 3
    assert shell("known", "import", str(folder)).count("\t0\t1\t0") == 3
    assert json.loads(shell("known", "list", "--json"))[0]["count"] == 3
    assert shell("effect") == ""
    start = (world.clock.now() - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    shell("compromised", "pearl", "--from", start)
    at = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "pearl\tACCEPTED\tCA_KEY_COMPROMISED\t4\n" in shell("effect", "--at", at)
    assert "revocation was not asked" in shell.err
    found = json.loads(shell("effect", "--at", at, "--json", "--csv", str(tmp_path / "effect.csv")))
    assert len(found["certificates"]) == 5  # three, and two samples
    assert (tmp_path / "effect.csv").read_bytes().startswith(b"\xef\xbb\xbfservice")
    assert shell("known", "remove", "pearl 2026") == "3\n"


def test_emergency_puts_the_draft_aside(shell: Shell) -> None:
    text = shell("emergency", "compromised", "harbour", "--reason", "call at 02:10")
    assert "harbour\tkey compromised" in text
    assert "Hotline" not in shell("diff")
    shell("emergency", "grant", "harbour", "--reason", "x", code=2)
    shell("emergency", "withdraw", "moon", "--reason", "x", code=1)
