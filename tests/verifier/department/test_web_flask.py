"""The Flask extension: pages, sign-in by TLS and by challenge, and how long it lasts."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from onecert.verifier.web.flask import OneCert

FIRM_ID = "uscc:91440300MA5DEM004J"
JSON = {"Accept": "application/json"}


def test_who_is_not_signed_in_is_sent_to_the_page_and_back(site: Any) -> None:
    """A page sends to the sign-in page, a program gets a problem; after the sign-in the way leads back."""
    browser = site.browser()
    away = browser.get("/?year=2026", base_url="https://tax.example")
    assert away.status_code == 303
    assert away.location == "/login?next=/?year%3D2026"
    assert site.home(browser, **JSON).status_code == 403
    page = browser.get(away.location, headers={"Accept-Language": "en"}, base_url="https://tax.example")
    assert "Sign in with your certificate" in page.text
    assert 'value="/?year=2026"' in page.text


@pytest.mark.parametrize("ca", ["pearl", "harbour", "summit"])
def test_sign_in_by_challenge(site: Any, ca: str) -> None:
    """A USB-key program signs the challenge; whichever CA, one id."""
    browser = site.browser()
    answer = site.answer(browser, site.world.leaf(ca), next_page="/?year=2026")
    assert (answer.status_code, answer.json["id"], answer.json["next"]) == (200, FIRM_ID, "/?year=2026")
    assert FIRM_ID in site.home(browser).text


def test_sign_in_by_tls(site: Any) -> None:
    """The proxy hands the browser's certificate over."""
    browser = site.browser()
    environ = {"REMOTE_ADDR": "127.0.0.1"}
    header = {"X-Client-Certificate": f":{base64.b64encode(site.world.leaf().der).decode()}:"}
    entered = browser.post(
        "/login/certificate",
        data={"next": "/?a=1"},
        headers=header,
        environ_base=environ,
        base_url="https://tax.example",
    )
    assert (entered.status_code, entered.location) == (303, "/?a=1")
    assert FIRM_ID in site.home(browser).text


def test_answer_of_another_browser_is_refused(site: Any) -> None:
    """A stolen challenge, and the same answer twice."""
    thief, owner, leaf = site.browser(), site.browser(), site.world.leaf()
    number, data = site.challenge(owner)
    site.challenge(thief)
    body = {
        "challenge": number,
        "certificate": leaf.pem.decode(),
        "signature": base64.b64encode(leaf.sign(data)).decode(),
    }
    refused = thief.post("/login/answer", json=body, headers=JSON, base_url="https://tax.example")
    assert (refused.status_code, refused.json["code"]) == (403, "LOGIN_OTHER_SESSION")
    again = owner.post("/login/answer", json=body, headers=JSON, base_url="https://tax.example")
    assert again.json["code"] == "LOGIN_CHALLENGE_USED"


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": "rubbish!"},
        {"signature": 5},
        {"certificate": "rubbish"},
        {"certificate": None},
        {"challenge": []},
    ],
)
def test_rubbish_in_the_answer(site: Any, changed: dict[str, Any]) -> None:
    """Every field in turn. Must be a problem document that names the fault, never a crash."""
    answer = site.answer(site.browser(), site.world.leaf(), **changed)
    assert answer.status_code == 400
    assert json.loads(answer.data)["code"] in {"MALFORMED", "NOT_DER", "NOT_PEM"}


def test_other_sites_cannot_act_here(site: Any) -> None:
    """A form on another site, as the browser announces it."""
    browser = site.browser()
    site.answer(browser, site.world.leaf())
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        for path in ("/login/certificate", "/login/challenge", "/logout"):
            assert browser.post(path, headers=headers, base_url="https://tax.example").status_code == 403
    assert site.home(browser).status_code == 200
    assert browser.post("/logout", base_url="https://tax.example").status_code == 303
    assert site.home(browser).status_code == 303


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\n", 7, None],
)
def test_the_way_leads_never_to_another_site(site: Any, target: Any) -> None:
    """An open redirect would help a phisher."""
    assert site.answer(site.browser(), site.world.leaf(), next_page=target).json["next"] == "/"


def test_revocation_ends_the_session(site: Any) -> None:
    """Revoked while signed in. Must be out within five minutes, with the reason once."""
    browser, leaf = site.browser(), site.world.leaf()
    site.answer(browser, leaf)
    site.world.revoke("harbour", leaf)
    site.at += timedelta(minutes=4)
    site.evidence.add_crl(site.world.crl("harbour", number=2, this_update=site.at))
    assert site.home(browser).status_code == 200
    site.at += timedelta(minutes=1)
    refused = site.home(browser)
    assert refused.status_code == 403
    assert "CERT_REVOKED" in refused.text
    assert site.home(browser).status_code == 303


def test_when_nobody_can_tell_the_session_waits(site: Any) -> None:
    """The list is stale for an hour. Must not be let in, and need not sign in again when it is there."""
    browser = site.browser()
    site.answer(browser, site.world.leaf())
    site.at += timedelta(hours=7, minutes=59)
    assert site.home(browser).status_code == 200
    site.evidence.replace_crls([])
    site.at += timedelta(seconds=30)
    assert site.home(browser).status_code == 200  # checked seconds ago
    site.at -= timedelta(hours=1)  # the clock went back: checked at once
    assert site.home(browser).status_code == 503
    for ca in ("pearl", "harbour", "summit"):
        site.evidence.add_crl(site.world.crl(ca))
    assert site.home(browser).status_code == 200


def test_session_ends(site: Any) -> None:
    """After eight hours, whatever happened in between."""
    browser = site.browser()
    site.answer(browser, site.world.leaf())
    for _ in range(7):
        site.at += timedelta(hours=1)
        assert site.home(browser).status_code == 200
    site.at += timedelta(hours=1)
    assert site.home(browser).status_code == 303


def test_cookie_is_kept_from_scripts_and_from_http(site: Any) -> None:
    """Secure, HttpOnly, SameSite."""
    answer = site.answer(site.browser(), site.world.leaf())
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Lax"))


def test_application_without_a_secret(site: Any) -> None:
    """Sessions could be forged. Must stop at the start and say what to do."""
    with pytest.raises(RuntimeError, match="secret_key"):
        site.app.extensions["onecert"].init_app(Flask("open"))


def test_pages_in_the_language_of_the_application(site: Any) -> None:
    """The application lets people choose; whatever the browser says, pages and refusals follow."""
    app = Flask("open")
    app.secret_key = "not so secret in a test"
    OneCert(app, verifier=site.app.extensions["onecert"]._verifier, language=lambda: "en")
    browser: Any = app.test_client()
    chinese = {"Accept-Language": "zh"}
    assert '<html lang="en">' in browser.get("/login", headers=chinese).text
    refused = browser.post("/login/certificate", headers=chinese)
    assert "CLIENT_CERTIFICATE_MISSING" in refused.text
    assert '<html lang="en">' in refused.text
    assert "not a JSON" in browser.post("/login/answer", headers=chinese | JSON).json["title"]
