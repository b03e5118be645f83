"""An office is given and left: a sub-bureau makes an official, who approves at the tax office, and leaves.

At the console of the PMI sit its officers; the official and a firm are before the example tax office, signed
in with certificates of licensed CAs as their key programs do it.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from filer import Filer
from orders import Orders
from papers import credit_code, id_card
from people import Person
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.token, pytest.mark.timeout(300)]

APPROVER = "urn:onecert:role:tax.approver"
CITY = {"state_or_province": "广东省", "locality": "深圳市"}
PATIENCE_S = 60
REFRESH_MS = 2500  # the office asks for lists and certificates every two seconds


@pytest.fixture(scope="module")
def counter(city: Any, tmp_path_factory: pytest.TempPathFactory) -> Orders:
    """The official's and the firm's certificates: employee of the sub-bureau, and a company."""
    orders = Orders(city, tmp_path_factory.mktemp("counter"), "summit:employee", "harbour:organisation")
    orders.issue(
        "official",
        "summit",
        "employee",
        subject={**CITY, "organization": "深圳市示例税务局南山分局", "common_name": "郑示例"},
        identity={"uscc": "11440305MB2DEM0107", "idcard": id_card()},
    )
    code = credit_code()
    orders.issue(
        "firm",
        "harbour",
        "organisation",
        subject={**CITY, "organization": "深圳市海风有限公司", "common_name": "深圳市海风有限公司"},
        identity={"uscc": code},
    )
    return orders


@pytest.fixture
def sits(city: Any, counter: Orders) -> Iterator[Callable[[str], Filer]]:
    """``sits("official")`` is signed in at the tax office."""
    anchor = ssl.create_default_context(cafile=str(city.data / "papers" / "operations-root.pem"))
    clients: list[httpx.Client] = []

    def sit(name: str) -> Filer:
        client = httpx.Client(verify=anchor, timeout=30)
        clients.append(client)
        filer = Filer(
            client,
            city.office,
            certificate=counter.folder / f"{name}.pem",
            key=counter.folder / f"{name}.key",
            server=(city.data / "papers" / "office.pem").read_bytes(),
        )
        answer = filer.sign_in()
        assert answer.status_code == 200, answer.text
        filer.cookies = [{"name": each.name, "value": each.value} for each in client.cookies.jar]
        return filer

    yield sit
    for client in clients:
        client.close()


def browse(chromium: Browser, city: Any, official: Any) -> Page:
    """The official's browser, with the session that their key program has opened."""
    context = chromium.new_context(
        ignore_https_errors=True, locale="en-GB", viewport={"width": 390, "height": 800}
    )
    context.add_cookies([{**each, "url": city.office} for each in official.cookies])
    page = context.new_page()
    page.goto(f"{city.office}/reviews")
    return page


def approve(page: Page, city: Any) -> str:
    """Press the first button that approves; what the page then says."""
    page.goto(f"{city.office}/reviews")
    with page.expect_navigation():
        page.locator('form[action$="/approve"] button').first.click()
    return page.locator("main").inner_text()


def until(act: Callable[[], str], wanted: str) -> str:
    end = time.monotonic() + PATIENCE_S
    while wanted not in (said := act()):
        assert time.monotonic() < end, said
        time.sleep(0.5)
    return said


def test_an_official_approves_is_denied_without_office_and_leaves(
    city: Any, counter: Orders, sits: Any, chromium: Browser, person: Callable[..., Person], tmp_path: Path
) -> None:
    firm = sits("firm")
    for _ in range(2):
        firm.send_signature(firm.declare(year="2026", income="88000", remark=""), tmp_path)
    page = browse(chromium, city, sits("official"))
    assert "no rule permits this" in approve(page, city)

    # The sub-bureau gives the office; a second person agrees.
    officer = person("attribute1", service="pmi", language="zh")
    officer.at("/grants/new")
    officer.chooses("authority", "tax-nanshan")
    officer.act(officer.page.locator("main form.search button"))
    offered = officer.page.locator('input[name="roles"]').evaluate_all("all => all.map(one => one.value)")
    assert offered == [APPROVER, "urn:onecert:role:tax.reader"]  # what was delegated, and nothing else
    officer.types("holder_pem", (counter.folder / "official.pem").read_text("ascii"))
    officer.tick(officer.page.locator(f'input[name="roles"][value="{APPROVER}"]'))
    officer.act(officer.page.locator('button[value="check"]'))
    officer.act(officer.page.locator('button[value="send"]'))
    approver = person("attribute2", service="pmi", language="zh")
    approver.at(urlsplit(officer.page.url).path.removeprefix("/pmi"))
    approver.act(approver.page.locator('form[action$="/approve"] button'))

    # In office.
    said = until(lambda: approve(page, city), "Approved")
    assert "郑示例" in said
    in_office = datetime.now(UTC)
    if officer.shots:
        page.screenshot(path=officer.shots / "office-approved-en-390.png", full_page=True)

    # Leaves: everything is shown, one act ends it, and the next approval is denied.
    officer.at("/attribute-certificates")
    officer.types("holder", "郑示例")
    officer.act(officer.page.locator("main form.search button.primary"))
    officer.act(officer.page.locator("main table a").first)
    officer.act(officer.page.locator('form[action$="/offices/review"] button'))
    officer.types("count", "1")
    officer.act(officer.page.locator('form[action$="/offices/end"] button'))
    officer.sees("完成")
    page.wait_for_timeout(REFRESH_MS)
    denied = approve(page, city)
    assert "Not authorized" in denied
    assert "no rule permits this" in denied
    if officer.shots:
        page.screenshot(path=officer.shots / "office-denied-en-390.png", full_page=True)
    expect(page.locator("main")).to_contain_text(re.compile(r"NO_RULE"))
    page.context.close()
    assert in_office < datetime.now(UTC)
