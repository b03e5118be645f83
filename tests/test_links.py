"""Links of the READMEs and guides lead to a file, a picture or a heading that exists."""

import re
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
MOST_BYTES = 80_000


def guides() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README*.md"), *ROOT.glob("docs/**/*.md")])


def anchors_of(text: str) -> set[str]:
    """What GitHub makes of headings, and the anchors that stand there by name."""
    named = set(re.findall(r'<a id="([^"]+)"', text))
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        named.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return named


def test_links_of_the_guides_resolve() -> None:
    broken = []
    for guide in guides():
        text = guide.read_text(encoding="utf-8")
        for link in LINK.findall(FENCE.sub("", text)):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = unquote(link).partition("#")
            there = guide.parent / path if path else guide
            if not there.exists():
                broken.append(f"{guide.relative_to(ROOT)}: {link}")
            elif anchor and there.suffix == ".md" and anchor not in anchors_of(there.read_text("utf-8")):
                broken.append(f"{guide.relative_to(ROOT)}: {link}: no such heading")

    assert not broken, "\n".join(broken)


def test_pictures_are_small_and_shown() -> None:
    shown = "".join(guide.read_text(encoding="utf-8") for guide in guides())
    for picture in sorted((ROOT / "docs" / "images").iterdir()):
        assert f"images/{picture.name})" in shown, f"no guide shows {picture.name}"
        assert picture.stat().st_size < MOST_BYTES, f"{picture.name}: see tests/browser/pictures.py"
