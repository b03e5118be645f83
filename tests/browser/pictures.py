"""Makes the pictures of the guides from those that the tests took, small enough to keep.

``BROWSER=all SCREENSHOTS=FOLDER pytest tests/browser/test_counter.py tests/browser/test_attributes.py -n0``,
then ``python tests/browser/pictures.py FOLDER``
"""

import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent.parent.parent / "docs" / "images"
# Picture of the guide -> what the tests call that page.
PAGES = {
    "desk": "desk",
    "form": "form-filled",
    "review": "review",
    "hand-over": "hand-over",
    "certificate": "certificate",
    "revoke": "revoke",
    "watch": "watch",
    "attributes-desk": "attributes-desk",
    "attributes-preview": "attributes-preview",
    "attributes-approve": "attributes-approve",
    "attributes-certificate": "attributes-certificate",
    "attributes-end-of-office": "attributes-end-of-office",
    "attributes-authorities": "attributes-authorities",
}
WIDTH, HIGHEST, COLOURS = 960, 1100, 96


def palette_of(picture: Image.Image) -> Image.Image:
    """The commonest colours as they are, and rare ones far apart: the ground is grey, a badge green."""
    counted = picture.getcolors(picture.width * picture.height) or []
    common = [colour for _, colour in sorted(counted, reverse=True)[: COLOURS // 2]]
    rare = picture.quantize(COLOURS // 2, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in common for part in colour] + rare[: COLOURS // 2 * 3])
    return palette


def main(taken: Path) -> int:
    """Both languages, wide; scaled, cut where a page is long, few colours."""
    HERE.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        for language, ending in (("en", ""), ("zh", "-zh")):
            with Image.open(taken / f"{page}-{language}-1280.png") as picture:
                height = round(picture.height * WIDTH / picture.width)
                small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
            small = small.crop((0, 0, WIDTH, min(height, HIGHEST)))
            file = HERE / f"{name}{ending}.png"
            small.quantize(palette=palette_of(small), dither=Image.Dither.NONE).save(file, optimize=True)
            print(f"{file.relative_to(HERE.parent.parent)}: {file.stat().st_size // 1024} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
