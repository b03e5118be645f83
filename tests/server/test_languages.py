"""Languages: which one, facts in texts, times as people read them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from onecert.server import languages
from onecert.server.languages import (
    Message,
    _,
    best_language,
    current_language,
    format_date,
    format_datetime,
    gettext,
    ngettext,
    set_language,
    translate,
)
from onecert.verifier.errors import RefusedError

T = datetime(2026, 11, 21, 17, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9", "en"),
        ("de,fr;q=0.9", "zh"),
        ("de,en;q=0.5,zh;q=0.4", "en"),
        ("en;q=0", "zh"),
        ("*", "zh"),
        ("en;q=rubbish", "zh"),
        (";;,,=;q", "zh"),
        ("en" * 100_000, "zh"),
    ],
)
def test_accept_language(header: str, language: str) -> None:
    """RFC 9110, section 12.5.4; Chinese when nothing fits."""
    assert best_language(header) == language


def test_language_of_a_page(desk: Any) -> None:
    """Chinese first; the browser's wish; the switch; the cookie that keeps the switch."""
    client = desk.client()
    path = "/sign-in"

    assert '<html lang="zh-CN">' in client.get(path).text
    english = {"Accept-Language": "en"}
    assert '<html lang="en">' in client.get(path, headers=english).text
    switched = client.get(f"{path}?language=zh", headers=english)
    assert '<html lang="zh-CN">' in switched.text
    assert "__Host-onecert-language=zh" in switched.headers["Set-Cookie"]
    assert '<html lang="zh-CN">' in client.get(path, headers=english).text
    assert '<html lang="zh-CN">' in client.get(f"{path}?language=xx").text
    assert "Accept-Language" in client.get(path).headers["Vary"]


def test_switch_keeps_the_page_and_its_query(desk: Any) -> None:
    """The link to the other language is the same page."""
    page = desk.client().get("/sign-in?next=/things&language=zh").text

    assert 'href="/desk/sign-in?next=/things&amp;language=en"' in page


def test_language_does_not_leak_into_the_next_request(desk: Any) -> None:
    """Threads serve many people."""
    desk.client().get("/sign-in?language=en")

    assert current_language() == "zh"


def test_problem_in_both_languages(desk: Any) -> None:
    """The code stays, the text changes."""
    client = desk.client()
    answers = {
        language: client.get("/v1/nothing", headers={"Accept-Language": language})
        for language in ("zh", "en")
    }

    assert answers["zh"].json["detail"] == "此地址没有内容。"
    assert answers["en"].json["detail"] == "There is nothing at this address."
    assert {a.json["code"] for a in answers.values()} == {"NOT_FOUND"}
    assert answers["zh"].headers["Content-Language"] == "zh"


def test_facts() -> None:
    """A marked text is translated inside another one; times, days, lists and errors read as people expect."""
    with set_language("zh"):
        assert gettext("Its roles are: %(known)s.", known=["a", "b"]) == "可用角色：a、b。"
        assert gettext("Its roles are: %(known)s.", known={_("Name")}) == "可用角色：姓名。"
        assert "2026年11月22日 01:05:09" in gettext("Wait until %(retry_at)s and try again.", retry_at=T)
        refusal = RefusedError("CERT_EXPIRED", subject="CN=A", not_after=T)
        assert "已于" in gettext("Your certificate was refused: %(reason)s.", reason=refusal)
    with set_language("en"):
        assert gettext("Its roles are: %(known)s.", known=["a", "b"]) == "Its roles are: a, b."


def test_missing_fact_shows_its_name() -> None:
    """A page that explains an error must not fail itself."""
    with set_language("en"):
        assert gettext("Its roles are: %(known)s.") == "Its roles are: (known)."


def test_unknown_text_and_language() -> None:
    """A text without Chinese shows in English; a language that we do not have is a mistake of ours."""
    with set_language("zh"):
        assert translate("No such text") == "No such text"
    with pytest.raises(ValueError, match="unknown language"), set_language("de"):
        pass


def test_times_are_chinese_times() -> None:
    """17:05 UTC is the next day in Shenzhen."""
    with set_language("zh"):
        assert format_datetime(T) == "2026年11月22日 01:05:09"
        assert format_datetime(T, seconds=False) == "2026年11月22日 01:05"
        assert format_date(T) == "2026年11月22日"
        assert format_date(date(2026, 11, 21)) == "2026年11月21日"
    with set_language("en"):
        assert format_datetime(T) == "22 Nov 2026, 01:05:09"
        assert format_date(T) == "22 Nov 2026"


# A member's own catalogue


PO = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=1; plural=0;\\n"

msgid "Name"
msgstr "字号"

#, fuzzy
msgid "Account"
msgstr "错"

msgid "%(count)s row"
msgid_plural "%(count)s rows"
msgstr[0] "%(count)s 行"
"""


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with a catalogue that says "Name" in its own way."""
    folder = tmp_path / "onecert_made_up" / "locale" / "zh" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "messages.po").write_text(PO, encoding="utf-8")
    (tmp_path / "onecert_made_up" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield "onecert_made_up"
    languages._catalogue.cache_clear()


def test_member_speaks_before_the_server(member: str) -> None:
    """Its word wins, the server's fills in, an unsure (fuzzy) one does not count."""
    with set_language("zh", member):
        assert gettext("Name") == "字号"
        assert gettext("Account") == "账号"
    with set_language("zh"):
        assert gettext("Name") == "姓名"


def test_plural(member: str) -> None:
    """English has two forms, Chinese one."""
    with set_language("zh", member):
        assert ngettext("%(count)s row", "%(count)s rows", 2) == "2 行"
    with set_language("en", member):
        assert ngettext("%(count)s row", "%(count)s rows", 1) == "1 row"
        assert ngettext("%(count)s row", "%(count)s rows", 2) == "2 rows"


def test_marked_text_is_still_text() -> None:
    """It can be stored and compared as a string."""
    assert _("Name") == "Name"
    assert isinstance(_("Name"), Message)
