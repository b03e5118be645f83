"""A certificate's life at the counter: entered, reviewed, issued, handed over; renewed; revoked at night.

Each in Chinese and in English, by mouse and by the keyboard alone; two of the four ways by default,
``BROWSER=all`` walks all. What goes beyond typing is counted.
"""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from papers import credit_code, id_card, request_pem
from people import ALL, Person

WAYS = [("zh", "keyboard"), ("en", "mouse")]
if ALL:
    WAYS += [("zh", "mouse"), ("en", "keyboard")]
NEW_MOST, RENEW_MOST, REVOKE_MOST = 12, 12, 5
WORDS = {
    "zh": {"submitted": "第二人", "issued": "已签发", "revoked": "已注销"},
    "en": {"submitted": "second person", "issued": "Issued", "revoked": "Revoked"},
}
PATIENCE_S = 60

pytestmark = [pytest.mark.token, pytest.mark.timeout(600)]


def href(one: Person, pattern: str) -> Any:
    """The first link whose address ends so."""
    return one.page.locator(f'main a[href$="{pattern}"]').first


def wait_until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, what
        time.sleep(0.5)


@pytest.mark.parametrize(("language", "mode"), WAYS, ids=["-".join(way) for way in WAYS])
def test_a_certificate_is_issued_renewed_and_revoked(
    language: str, mode: str, person: Callable[..., Person]
) -> None:
    words, found, name = WORDS[language], [], f"示例{credit_code()[8:16]}有限公司"
    clerk = person("clerk1", language=language, mode=mode).at()
    found += clerk.look("desk")

    # New: from the desk to the receipt.
    clerk.act(href(clerk, "/applications/new"))
    found += clerk.look("choose")
    clerk.act(href(clerk, "/applications/new/pearl/organisation"))
    typed = {
        "organization_name": name,
        "uscc": credit_code(),
        "state_or_province": "广东省",
        "locality": "深圳市",
        "address": "福田区示例路 1 号",
        "postcode": "518000",
        "agent_name": "王经办",
        "agent_idcard": id_card(),
        "mobile": "13800000000",
        "csr": request_pem(),
    }
    for field, text in typed.items():
        clerk.types(field, text)
    clerk.tick(clerk.page.locator('input[name="consent"]').first)
    found += clerk.look("form-filled")
    clerk.act(clerk.page.locator('button[name="act"][value="submit"]'))
    assert re.search(r"/applications/[0-9a-f-]{36}$", clerk.path), clerk.text()
    clerk.sees(words["submitted"])
    application = clerk.path.removeprefix("/ra")
    found += clerk.look("application-submitted")

    # Reviewed by another, who opens the oldest and sees the same.
    reviewer = person("clerk2", language=language, mode=mode).at(f"{application}/review")
    reviewer.sees(name)
    found += reviewer.look("review")
    reviewer.act(reviewer.page.locator("#approve"))
    acts = clerk.acts + reviewer.acts + 1  # opening it from the desk

    # Issued by itself, and handed over.
    clerk.at(application)

    def is_issued() -> bool:
        clerk.page.reload()
        return words["issued"] in clerk.text()

    wait_until(is_issued, clerk.text())
    media = person("media1", language=language, mode=mode).at(f"{application}/hand-over")
    found += media.look("hand-over")
    media.types("name", "王经办")
    media.types("document_number", typed["agent_idcard"])
    media.act(media.page.locator('form[action$="/hand-over"] button').first)
    acts += media.acts + 2  # opening the list and the application
    found += media.look("handed-over")
    assert acts <= NEW_MOST, f"a new certificate took {acts} acts beyond typing"

    # Renewed, from the certificate's own page.
    clerk.at(application)
    clerk.acts = 0
    clerk.act(clerk.page.locator('main a[href*="/certificates/pearl/"]').first)
    certificate = clerk.path.removeprefix("/ra")
    found += clerk.look("certificate")
    clerk.act(clerk.page.locator('main a[href$="/renew"]').first)
    if clerk.page.locator('[name="early"]').count():
        clerk.types("early", "设备更换")
    clerk.types("csr", request_pem())
    consent = clerk.page.locator('input[name="consent"]')
    if consent.count() and not clerk.page.locator('input[name="consent"]:checked').count():
        clerk.tick(consent.first)
    found += clerk.look("renew")
    clerk.act(clerk.page.locator('button[name="act"][value="submit"]'))
    assert re.search(r"/applications/[0-9a-f-]{36}$", clerk.path), clerk.text()
    assert clerk.acts <= RENEW_MOST

    # Revoked at night: one search, one page, one decision; watched until it is refused.
    officer = person("security1", language=language, mode=mode).at()
    officer.types_into_search(certificate.rpartition("/")[2])
    officer.act(officer.page.locator('main a[href$="/revoke"]').first)
    found += officer.look("revoke")
    officer.tick(officer.page.locator('input[name="reason"][value="keyCompromise"]'))
    officer.types("note", "电话报告丢失 lost, by phone")
    officer.act(officer.page.locator("form.confirm button").first)
    assert officer.acts <= REVOKE_MOST, f"a revocation took {officer.acts} acts"

    def is_refused() -> bool:
        officer.page.reload()
        return words["revoked"] in officer.text()

    wait_until(is_refused, officer.text())
    found += officer.look("watch")
    officer.at(certificate)
    officer.sees(words["revoked"])
    found += officer.look("certificate-revoked")
    assert not found, "\n".join(found)
