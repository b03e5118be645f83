"""Papers: what stands on them as text, rare characters, the font, and what must never stand there."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ra_fakes import IDCARD, T

from onecert.ra.errors import FontMissingError
from onecert.ra.papers.fonts import DEFAULT_FONT, load_font
from onecert.ra.papers.papers import Business, Item, Papers, Point
from onecert.ra.reports.pdf import write_pdf
from onecert.server.languages import set_language

HASH = hashlib.sha256(b"content").hexdigest()
RARE = "𠮷㛃䶮堃鿍𡈽"

pytestmark = pytest.mark.skipif(
    not DEFAULT_FONT.exists(), reason="without Debian's fonts-noto-cjk no paper is printed"
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], str]:
    """The text of a PDF as a reader selects it."""
    program = shutil.which("pdftotext")
    if program is None:
        reason = "without pdftotext (Debian's poppler-utils) nobody reads the text of a PDF here"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    def text(content: bytes) -> str:
        file = tmp_path / "paper.pdf"
        file.write_bytes(content)
        done = subprocess.run([program, "-layout", file, "-"], capture_output=True, check=True)
        return re.sub(r"\s+", " ", done.stdout.decode())

    return text


def business(**changes: Any) -> Business:
    made = {
        "number": "20261121-000123",
        "link": "https://pki.example.cn/ra/applications/1",
        "business": "新办",
        "certificate": "机构证书",
        "authority": "珠江",
        "holder": f"深圳市{RARE}有限公司",
        "point": Point(name="福田受理点", address="福中三路", phone="0755-12345678"),
    }
    return Business(**{**made, **changes})


def form(language: str = "zh", **changes: Any) -> bytes:
    values = [
        ("机构名称", f"深圳市{RARE}有限公司"),
        ("身份证号码", IDCARD),
        ("备注", changes.pop("note", "无")),
    ]
    given: dict[str, Any] = {
        "content_sha256": HASH,
        "request_key": HASH,
        "agreement": "2026-11",
        "materials": [Item(name="营业执照", mark=HASH[:16])],
        "entered_by": "王芳",
        "at": T,
        **changes,
    }
    with set_language(language, "onecert.ra"):
        return Papers().application_form(business(), [("证书持有者", values)], **given)


def test_the_application_form(read) -> None:
    """Every field, rare characters as text, hash and agreement; small; the same again octet by octet."""
    content = form()
    said = read(content)
    for wanted in (
        RARE,
        IDCARD,
        "20261121-000123",
        HASH[:16],
        "2026-11",
        "骑缝章",
        "盖章",
        "营业执照",
        "王芳",
    ):
        assert wanted in said
    assert len(content) < 200_000
    assert form() == content
    english = read(form("en", content_sha256=None))
    assert "Declaration of the applicant" in english
    assert "Draft, not submitted" in english


def test_a_character_that_the_font_lacks_is_marked(read) -> None:
    """An emoji and a character of extension E: code points, and a note; never left out."""
    said = read(form(note="喜\U0001f600欢\U0002b6a5 right\u202eto left"))
    assert "喜[U+1F600]欢[U+2B6A5]" in said
    assert "[U+1F600]、[U+2B6A5]" in said
    assert "\u202e" not in said


def test_long_values_break_over_lines_and_pages(read) -> None:
    """Nothing is cut off: a remark of five hundred characters, then one longer than a page."""
    long = "".join(chr(0x4E00 + number) for number in range(1500))
    said = read(form(note=long)).replace(" ", "")
    assert all(long[at : at + 20] in said for at in range(0, 1500, 40))


def test_receipt_and_hand_over_slip_have_no_personal_number(read) -> None:
    """When and where, what was handed in; serial and token number; nobody's identity number."""
    with set_language("zh", "onecert.ra"):
        receipt = Papers().receipt(
            business(),
            submitted_at=T,
            materials=[Item(name="授权委托书")],
            taken_in_by="王芳",
            days=3,
            at=T,
        )
        slip = Papers().hand_over_slip(
            business(),
            serial_hex="3f9a00112233",
            not_before=T,
            not_after=T + timedelta(days=365),
            token_number="SKF-1",
            handed_over_by="刘洋",
            at=T,
        )
    said = read(receipt)
    for wanted in ("福田受理点", "0755-12345678", "3 个工作日", "授权委托书"):
        assert wanted in said
    assert IDCARD not in said
    said = read(slip)
    for wanted in ("3f9a 0011 2233", "SKF-1", "刘洋", "2027年11月21日"):
        assert wanted in said


def test_the_pin_stands_on_its_letter(read) -> None:
    """Readable with room between the digits, and told to be changed."""
    with set_language("zh", "onecert.ra"):
        letter = Papers().pin_letter(
            number="20261121-000123",
            holder="深圳市示例科技有限公司",
            token_number="SKF-1",
            pin="830275",
            point=Point(name="福田受理点"),
            at=T,
        )
    said = read(letter)
    assert "830275" in said.replace(" ", "")
    assert "销毁" in said


def test_a_missing_font_says_which_package(tmp_path: Path) -> None:
    """No file, or no font: could not, with the package to install."""
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    for path in (tmp_path / "none.ttc", broken):
        with pytest.raises(FontMissingError) as caught:
            load_font(path)
        assert caught.value.status == 503
        assert "fonts-noto-cjk" in str(caught.value.hint)
        with pytest.raises(FontMissingError):
            write_pdf("报表", [], [], at=T, font=path)
    assert write_pdf("报表", [("时段", "2026-11")], [], at=T, font=DEFAULT_FONT).startswith(b"%PDF-")
