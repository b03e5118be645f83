"""The command line: errors are one clear line in the language of who asks; the catalogue is complete."""

from __future__ import annotations

import json
import re
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest

import onecert.testkit
from onecert.testkit import Kit, cli
from onecert.testkit.cli import main
from onecert.testkit.texts import catalogue

SOURCE = Path(onecert.testkit.__file__).parent
CHINESE = re.compile("[一-鿿]")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_make_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str) -> None:
    """The answer on stdout, the next step on stderr; the time is that of --at."""
    command = ["make", str(tmp_path / "kit"), "--at", "2026-11-21T09:00:00Z", "--language", language]
    assert main([*command, "--years", "1", "--base-url", "http://pki.test:8099/"]) == 0
    said = capsys.readouterr()
    assert "29" in said.out
    assert "2027-05-30T08:00:00Z" in said.out
    assert "onecert-testkit serve" in said.err
    assert bool(CHINESE.search(said.out)) == (language == "zh")
    about = json.loads((tmp_path / "kit" / "cases.json").read_bytes())
    assert (about["made_at"], about["base_url"]) == ("2026-11-21T09:00:00Z", "http://pki.test:8099")
    assert (tmp_path / "kit" / "pki" / "address").read_text() == "http://pki.test:8099/trust-list.json\n"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    "command",
    [
        ["make", "KIT"],
        ["make", "NEW", "--base-url", "nowhere"],
        ["make", "NEW", "--years", "100"],
        ["serve", "NEW"],
        ["serve", "KIT", "--port", "1"],
        ["serve", "KIT"],
        ["check", "NEW", "--url", "http://127.0.0.1:1/login"],
        ["check", "KIT", "--url", "nowhere"],
        ["check", "KIT", "--url", "https://127.0.0.1:1/login", "--cafile", "no-such-file"],
    ],
)
def test_errors_are_one_clear_line(
    kit: Kit, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], language: str
) -> None:
    """The kit's port is taken by the fixture that serves it."""
    folders = {"KIT": str(kit.folder), "NEW": str(tmp_path / "new")}
    assert main([*(folders.get(word, word) for word in command), "--language", language]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("onecert-testkit：错误：" if language == "zh" else "onecert-testkit: error: ")
    assert bool(CHINESE.search(said.err)) == (language == "zh")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    "command",
    [
        ["make", "x", "--at", "yesterday"],
        ["make", "x", "--years", "many"],
        ["serve", "x", "--port", "70000"],
        ["check", "x"],
        [],
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], command: list[str], language: str) -> None:
    """Exit code 2, usage and one line."""
    with pytest.raises(SystemExit) as caught:
        main(["--language", language, *command])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert bool(CHINESE.search(last)) == (language == "zh")


def test_a_case_that_is_not_there(folder: Path, good_login: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["check", str(folder), "--url", good_login, "--skip", "nobody", "--language", "en"]
    assert main(command) == 2
    assert "there is no case nobody" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["serve"], ["check", "--url", "http://127.0.0.1:1/login"]])
def test_a_kit_that_is_over(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """On its last second. Says so, before anybody looks for the fault in the login."""
    monkeypatch.setattr(cli, "now", lambda: datetime(2027, 5, 30, 8, tzinfo=UTC))
    assert main([command[0], str(kit.folder), *command[1:], "--language", "en"]) == 2
    assert "was over on 2027-05-30T08:00:00Z" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["make", "serve", "check"])
def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str], command: str) -> None:
    for language, said in (("zh", "退出码：0 完成"), ("en", "Exit codes: 0 done")):
        with pytest.raises(SystemExit) as caught:
            main([command, "--help", "--language", language])
        assert caught.value.code == 0
        assert said in capsys.readouterr().out


def test_every_text_is_there_in_both_languages() -> None:
    """Every code that the source names has a row; the facts are the same in both languages."""
    named = set()
    for path in SOURCE.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"(?:Error|text|said)\(\s*\"([A-Z][A-Z0-9_]+)\"", source))
    assert len(named) > 20
    assert named - catalogue().keys() == set()
    for code, row in catalogue().items():
        assert row.keys() == {"zh", "en"}, code
        facts = [
            {field for _, field, _, _ in string.Formatter().parse(text) if field} for text in row.values()
        ]
        assert facts[0] == facts[1], code
        assert CHINESE.search(row["zh"]), code
        assert not CHINESE.search(row["en"]), code
