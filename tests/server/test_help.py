"""`onecert … --help` and wrong usage in Chinese and in English, in this process."""

import re
import unicodedata

import click
import pytest

from onecert.server import cli
from onecert.server.help import click_words, normalised

PAGES = [
    (
        ["backup", "restore"],
        [
            "用法: onecert backup restore [OPTIONS] FILE",
            "选项:",
            "一份更新的审计日志导出文件。",
            "认：(./data)]",
            "显示本帮助",
        ],
        [
            "Usage: onecert backup restore [OPTIONS] FILE",
            "Options:",
            "An exported audit trail that is newer.",
        ],
    ),
    (
        ["operators"],
        ["使用服务的人员，以及他们如何登录。", "命令:", "在 SERVICE 中开立账号 ID\n"],
        ["The people who work with a service", "Commands:", "Open the account ID in SERVICE."],
    ),
    (
        [],
        ["OneCert：一座城市的证书、角色与信任。", "各服务的审计日志\n", "显示版本号并退出。"],
        ["OneCert: certificates, roles", "The audit trails of the services.\n", "Show the version and exit."],
    ),
]


@pytest.mark.parametrize(("command", "chinese", "english"), PAGES)
def test_help_is_in_the_language_of_the_command(
    command: list[str],
    chinese: list[str],
    english: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One after the other in one process: nothing of a language stays behind."""
    for language, shown, hidden in (
        ("zh", chinese, english),
        ("en", english, chinese),
        ("zh", chinese, english),
    ):
        monkeypatch.setenv("ONECERT_LANGUAGE", language)

        assert cli.run([*command, "--help"]) == cli.DONE

        page = capsys.readouterr().out
        assert [text for text in shown if text not in page] == []
        assert [text for text in hidden if text in page] == []


def test_wrong_usage_is_explained_in_chinese(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """click's errors are its own words, too."""
    monkeypatch.setenv("ONECERT_LANGUAGE", "zh")

    assert cli.run(["backup", "restore"]) == cli.USAGE

    assert "错误：缺少参数 'FILE'" in capsys.readouterr().err


def test_chinese_lines_fit_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Chinese character takes two columns; no line begins with a mark that ends a sentence."""
    monkeypatch.setenv("ONECERT_LANGUAGE", "zh")
    monkeypatch.setenv("COLUMNS", "80")

    cli.run(["backup", "drill", "--help"])

    lines = capsys.readouterr().out.splitlines()
    columns = [sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in line) for line in lines]
    assert max(columns) <= 80
    assert [line for line in lines if re.match(r"\s*[，。：；、）]", line)] == []


def test_clicks_words_are_english_again_afterwards() -> None:
    """Other users of click in this process are not spoken for."""
    before = vars(click.core)["_"]
    with click_words():
        assert vars(click.core)["_"] is not before
    assert vars(click.core)["_"] is before


def test_a_msgid_has_no_indentation() -> None:
    """A docstring over several lines is one line a paragraph, and what follows a form feed is not shown."""
    assert normalised("One\n    two.\n\n    Three\n    four.\n\f\n    Five.") == "One two.\n\nThree four."
