"""A table of 1,000 rows with bad ones: template, upload, report, second person, certificates, result.

One of the ways of `test_counter` by default, ``BROWSER=all`` walks all: most of the time is the city's work
for a thousand certificates, which is the same in each.
"""

import csv
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from papers import id_card, request_pem
from people import ALL, Person
from test_counter import WAYS

from onecert.ra.batches.columns import read_heading
from onecert.ra.content.fields import Kind

ROWS, TWICE = 1000, 701
PATIENCE_S = 240
HERE = WAYS if ALL else WAYS[1:]
BAD = {
    17: ("idcard", "440300199001010010"),  # a wrong check digit
    333: ("mobile", "12345"),
    500: ("name", "=cmd|' /C calc'!A0"),  # what a spreadsheet program would carry out
    999: ("csr", "-----BEGIN CERTIFICATE REQUEST-----\nnothing\n-----END CERTIFICATE REQUEST-----"),
}
GOOD = ROWS - len(BAD) - 1
DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")

pytestmark = [pytest.mark.token, pytest.mark.timeout(900)]


def filled(template: Path) -> bytes:
    """The template with a thousand rows; one stands there twice."""
    (titles,) = csv.reader(io.StringIO(template.read_text("utf-8-sig")))
    fields = read_heading(titles, Kind.CITIZEN).fields
    out, cards, row = io.StringIO(), set[str](), dict[str, str]()
    writer = csv.writer(out)
    writer.writerow(titles)
    for number in range(1, ROWS + 1):
        if number != TWICE:
            card = id_card()
            while card in cards:
                card = id_card()
            cards.add(card)
            row = {
                "name": "张" + f"{number:04d}".translate(DIGITS),  # a name has no figures
                "idcard": card,
                "state_or_province": "广东省",
                "locality": "深圳市",
                "mobile": "13800000000",
                "csr": request_pem(),
            }
            row |= dict([BAD[number]] if number in BAD else [])
        writer.writerow([row.get(field or "", "") for field in fields])
    return out.getvalue().encode("utf-8-sig")


def taken(one: Person, href: str) -> Path:
    """What a link downloads."""
    with one.page.expect_download() as waiting:
        one.act(one.page.locator(f'main a[href$="{href}"]').first, goes=False)
    return waiting.value.path()


def waits_for(one: Person, selector: str, what: str) -> None:
    """The page changes by itself, and tells how far it is."""
    end = time.monotonic() + PATIENCE_S
    while not one.page.locator(selector).count():
        assert time.monotonic() < end, f"{what}: {one.text()[:500]}"
        time.sleep(0.5)


@pytest.mark.parametrize(("language", "mode"), HERE, ids=["-".join(way) for way in HERE])
def test_a_thousand_rows_with_bad_ones(
    language: str, mode: str, person: Callable[..., Person], tmp_path: Path
) -> None:
    clerk = person("clerk1", language=language, mode=mode).at("/batches/new")
    table = tmp_path / "applicants.csv"
    table.write_bytes(filled(taken(clerk, "citizen.csv")))
    clerk.chooses("what", "pearl/citizen")
    clerk.page.set_input_files('input[name="file"]', table)
    found = clerk.look("batch-new")
    clerk.act(clerk.page.locator('main form[enctype="multipart/form-data"] button.primary').first)
    batch = clerk.path.removeprefix("/ra")

    # The report names each bad row; only the good ones go in.
    waits_for(clerk, 'button[name="act"][value="submit"]', "the rows are checked")
    rows = clerk.page.locator("main table tbody tr")
    said = [line.split()[0] for line in rows.all_inner_texts()]
    assert said == [str(row + 1) for row in sorted([*BAD, TWICE])]  # the heading is row 1
    found += clerk.look("batch-report")
    clerk.act(clerk.page.locator('button[name="act"][value="submit"]').first)

    reviewer = person("clerk2", language=language, mode=mode).at(f"{batch}/review")
    reviewer.sees(str(GOOD))
    found += reviewer.look("batch-review")
    reviewer.act(reviewer.page.locator('button[name="act"][value="approve"]'))

    # Live, without a hand on it, until every certificate is there.
    clerk.at(batch)
    found += clerk.look("batch-progress")
    waits_for(clerk, 'main:not(:has(#progress[hx-get])) a[href$="result.zip"]', "all are issued")
    found += clerk.look("batch-done")
    result = list(csv.reader(io.StringIO(taken(clerk, "result.csv").read_text("utf-8-sig"))))
    issued = [row for row in result[1:] if "BEGIN CERTIFICATE" in row[-1]]
    assert (len(result) - 1, len(issued)) == (ROWS, GOOD)
    with zipfile.ZipFile(taken(clerk, "result.zip")) as archive:
        assert len(archive.namelist()) == GOOD
    assert not found, "\n".join(found)
