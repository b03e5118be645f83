"""The catalogue: every code that the code raises has its text in both languages, and the facts fit."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import onecert.verifier.errors
from onecert.verifier import VerifyError
from onecert.verifier.messages import _catalogue, codes, hint, message

SOURCE = Path(onecert.verifier.errors.__file__).parent
RAISED = re.compile(r"Error\(\s*\"([A-Z][A-Z0-9_]+)\"")
SHOWN = re.compile(r"(?:message\(\s*|text=)\"([A-Z][A-Z0-9_]+)\"")


def test_every_code_has_a_text() -> None:
    raised = {
        code for path in SOURCE.rglob("*.py") for code in RAISED.findall(path.read_text(encoding="utf-8"))
    }
    assert raised
    assert raised - codes() == set()


def test_every_label_and_help_has_a_text() -> None:
    shown = {
        code for path in SOURCE.rglob("*.py") for code in SHOWN.findall(path.read_text(encoding="utf-8"))
    }
    assert "HELP_ANCHOR" in shown
    assert shown - codes() == set()


@pytest.mark.parametrize("code", sorted(codes()))
def test_rows_are_complete(code: str) -> None:
    """Both languages, the same facts in both, and nothing but known keys."""
    row = _catalogue()[code]
    assert row.keys() <= {"zh", "en", "hint_zh", "hint_en"}
    assert row["zh"]
    assert row["en"]
    assert ("hint_zh" in row) == ("hint_en" in row)
    assert any("\u4e00" <= character <= "\u9fff" for character in row["zh"])

    def facts(text: str) -> set[str]:
        # A name that differs by language is a pair of facts, such as ca and ca_en.
        return {field.removesuffix("_en") for _, field, _, _ in string.Formatter().parse(text) if field}

    assert facts(row["zh"]) == facts(row["en"])


def test_facts_are_shown_for_people() -> None:
    moment = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    assert "2026-03-01 08:30:00 UTC" in message("CERT_EXPIRED", subject="CN=A", not_after=moment)
    assert "?" in message("CERT_EXPIRED", "zh", subject="CN=A")
    assert message("NO_SUCH_CODE") == "NO_SUCH_CODE"
    assert hint("NO_SUCH_CODE") == ""
    assert "a, b" in message("KEY_USAGE", subject="", purpose="", found=["a", "b"])
    assert "b, c" in message("KEY_USAGE", subject="", purpose="", found=frozenset("cb"))
    assert "1:00:00" in message("KEY_USAGE", subject="", purpose="", found=timedelta(hours=1))


def test_hostile_facts_stay_on_their_line() -> None:
    """Line breaks, direction marks and endless names of a certificate do not reach the log."""
    text = message(
        "CERT_REVOKED", subject="A\n\u202eevil\x1b[31m" + "x" * 999, revoked_at="", reason="{serial}"
    )
    assert "\n" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert len(text) < 400
    assert "{serial}" in text


def test_error_texts() -> None:
    error = VerifyError("CERT_EXPIRED", subject="CN=A", not_after="x", source="RFC 5280")
    assert str(error).startswith("CERT_EXPIRED: the certificate of CN=A")
    assert "CN=A" in error.text("zh")
    assert error.hint("en")
    assert error.source == "RFC 5280"
    assert error.attempts == ()
