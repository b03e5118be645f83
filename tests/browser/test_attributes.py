"""The console of the PMI: a grant approved by a second person, held, released, and ended with the office."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from orders import Orders
from papers import id_card
from people import ALL, Person

pytestmark = [pytest.mark.token, pytest.mark.timeout(300)]

WAYS = [("zh", "keyboard"), *([("en", "mouse")] if ALL else [])]
WORDS = {
    "zh": {"waits": "第二人", "valid": "有效", "held": "已冻结", "done": "完成"},
    "en": {"waits": "second person", "valid": "valid", "held": "on hold", "done": "done"},
}


@pytest.fixture(scope="module")
def holder(city: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A citizen's certificate of a licensed CA (PEM)."""
    counter = Orders(city, tmp_path_factory.mktemp("counter"), "pearl:citizen")
    subject = {"common_name": "何离任", "locality": "深圳市"}
    return counter.issue("holder", "pearl", "citizen", subject=subject, identity={"idcard": id_card()})


@pytest.mark.parametrize(("language", "mode"), WAYS, ids=["-".join(way) for way in WAYS])
def test_granted_held_released_and_ended(
    language: str, mode: str, person: Callable[..., Person], holder: str
) -> None:
    words, found = WORDS[language], []
    officer = person("attribute1", service="pmi", language=language, mode=mode).at()
    found += officer.look("attributes-desk")

    # Granted: nothing is recorded before it was shown; another person approves.
    officer.act(officer.page.locator('main a[href$="/grants/new"]').first)
    if not officer.page.locator('[name="holder_pem"]').count():  # with several authorities, which one first
        officer.chooses("authority", "city-roles")
        officer.act(officer.page.locator("main form.search button"))
    officer.types("holder_pem", holder)
    officer.tick(officer.page.locator('input[name="roles"][value="urn:onecert:role:tax.filer"]'))
    found += officer.look("attributes-form")
    officer.act(officer.page.locator('button[value="check"]'))
    officer.sees("何离任")
    found += officer.look("attributes-preview")
    officer.act(officer.page.locator('button[value="send"]'))
    officer.sees(words["waits"])
    approver = person("attribute2", service="pmi", language=language, mode=mode)
    approver.at(officer.path.removeprefix("/pmi"))
    found += approver.look("attributes-approve")
    approver.act(approver.page.locator('form[action$="/approve"] button'))

    # Held and released.
    officer.at("/attribute-certificates")
    officer.types("holder", "离任")
    officer.act(officer.page.locator("main form.search button.primary"))
    assert "离任" not in officer.page.url
    officer.act(officer.page.locator("main table a").first)
    officer.sees(words["valid"])
    found += officer.look("attributes-certificate")
    officer.act(officer.page.locator('form[action$="/hold"] button'))
    officer.sees(words["held"])
    officer.act(officer.page.locator('form[action$="/release"] button'))
    officer.sees(words["valid"])

    # Leaves office: everything is shown, one act ends it.
    officer.act(officer.page.locator('form[action$="/offices/review"] button'))
    found += officer.look("attributes-end-of-office")
    officer.types("count", "1")
    officer.act(officer.page.locator('form[action$="/offices/end"] button'))
    officer.sees(words["done"])
    assert re.search(r"/offices/[0-9a-f-]{36}$", officer.path)
    found += officer.look("attributes-receipt")
    found += officer.at("/authorities").look("attributes-authorities")
    assert not found, "\n".join(found)
