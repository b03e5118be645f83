"""A table of 1,000 rows with bad ones: reported row by row, reviewed by another, issued, taken home."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from papers import id_card, request_pem
from people import ALL, Person
from test_counter import WAYS, wait_until

ROWS = 1000
HERE = WAYS if ALL else WAYS[1:]
BAD = {
    17: ("idcard", "440300199001010010"),  # a wrong check digit
    333: ("mobile", "12345"),
    500: ("name", "=cmd|' /C calc'!A0"),  # what a spreadsheet program would carry out
    999: ("csr", "-----BEGIN CERTIFICATE REQUEST-----\nnothing\n-----END CERTIFICATE REQUEST-----"),
}


def table(folder: Path) -> Path:
    """One sheet; row 700 comes twice."""
    seen: set[str] = set()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["姓名", "身份证号", "省份", "城市", "手机号码", "证书请求"])
    before: list[str] = []
    for number in range(1, ROWS + 1):
        card = id_card()
        while card in seen:
            card = id_card()
        seen.add(card)
        row = {"name": f"张{number}", "idcard": card, "mobile": "13800000000", "csr": request_pem()}
        if number in BAD:
            field, text = BAD[number]
            row[field] = text
        values = [row["name"], row["idcard"], "广东省", "深圳市", row["mobile"], row["csr"]]
        writer.writerow(before if number == 701 else values)
        before = values
    file = folder / "applicants.csv"
    file.write_text(out.getvalue(), "utf-8-sig")
    return file


@pytest.mark.token
@pytest.mark.parametrize(("language", "mode"), HERE, ids=["-".join(way) for way in HERE])
def test_a_thousand_rows_with_bad_ones(
    language: str, mode: str, person: Callable[..., Person], tmp_path: Path
) -> None:
    clerk = person("clerk1", language=language, mode=mode).at("/batches/new")
    clerk.chooses("what", "pearl/citizen")
    clerk.page.set_input_files('input[name="file"]', table(tmp_path))
    found = clerk.look("batch-new")
    clerk.act(clerk.page.locator('main form[enctype="multipart/form-data"] button.primary').first)
    batch = clerk.path.removeprefix("/ra")

    def has(path: str, selector: str) -> Callable[[], bool]:
        def seen() -> bool:
            clerk.at(path)
            return clerk.page.locator(selector).count() > 0

        return seen

    wait_until(has(batch, 'button[name="act"][value="submit"]'), "the rows are checked")
    found += clerk.look("batch-report")
    clerk.at(f"{batch}?rows=bad")
    shown = clerk.text()
    for number in (*(row + 1 for row in BAD), 702):
        assert f"\n{number}\t" in f"\n{shown}" or str(number) in shown, f"row {number} is not named"
    clerk.at(batch)
    clerk.act(clerk.page.locator('button[name="act"][value="submit"]').first)

    reviewer = person("clerk2", language=language, mode=mode).at(f"{batch}/review")
    reviewer.sees(str(ROWS - len(BAD) - 1))
    found += reviewer.look("batch-review")
    reviewer.act(reviewer.page.locator('button[name="act"][value="approve"]'))

    wait_until(has(batch, 'a[href$="result.zip"]'), "the rows are entered")
    found += clerk.look("batch-entered")

    def all_issued() -> bool:
        with clerk.page.expect_download() as waiting:
            clerk.page.locator('a[href$="result.csv"]').first.click()
        text = Path(waiting.value.path()).read_text("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text)))
        serial = max(range(len(rows[0])), key=lambda place: sum(len(row[place]) == 32 for row in rows[1:]))
        return sum(len(row[serial]) >= 30 for row in rows[1:]) == ROWS - len(BAD) - 1

    clerk.at(batch)
    wait_until(all_issued, "every good row has its certificate")
    assert not found, "\n".join(found)
