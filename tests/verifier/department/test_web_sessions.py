"""The Flask extension with an attacker's eye: planted sessions, other sites, floods, bodies made to hurt."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface

from onecert.verifier.login_store import SqliteStore, StoredChallenge
from onecert.verifier.web.flask import OneCert

FIRM_ID = "uscc:91440300MA5DEM004J"
JSON = {"Accept": "application/json"}
SITE = "https://tax.example"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"challenge": "\\ud800"}',
        b'{"challenge": "x", "certificate": "-----\\ud800", "signature": ""}',
        b'{"a": 1, "a": 2}',
        b"\xff\xfe",
        b"{" + b" " * 200_000 + b"}",
        b"NaN",
        b"",
    ],
)
@pytest.mark.parametrize("path", ["/login/answer", "/login/challenge"])
def test_bodies_made_to_hurt(site: Any, path: str, body: bytes) -> None:
    """Deep, half of a character, twice the same key, too long. Must be refused, never a fault."""
    if path == "/login/challenge" and not body:
        return  # nothing to say is fine there
    answer = site.browser().post(
        path, data=body, content_type="application/json", headers=JSON, base_url=SITE
    )
    assert (answer.status_code, answer.json["code"]) in {(400, "MALFORMED"), (413, "TOO_LARGE")}


def test_body_of_unknown_length(site: Any) -> None:
    """Sent in pieces without a length, so that only reading tells how much it is. Must stop at the limit."""
    taken = 0

    class Endless:
        def read(self, size: int = -1) -> bytes:
            nonlocal taken
            assert size >= 0
            taken += size
            assert taken < 1024 * 1024
            return b" " * size

        def readline(self, size: int = -1) -> bytes:
            return self.read(size)

    environ = {"wsgi.input": Endless(), "wsgi.input_terminated": True, "CONTENT_TYPE": "application/json"}
    answer = site.browser().post(
        "/login/answer", environ_overrides=environ, headers=JSON, base_url=SITE, buffered=True
    )
    assert (answer.status_code, answer.json["code"]) == (413, "TOO_LARGE")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "//[",
        "http://[",
        "",
        "evil",
        "/login",
        "/login/certificate",
        "/login/answer?x=1",
        "/\u2028/evil.example",
    ],
)
def test_next_page_is_never_elsewhere(site: Any, target: str) -> None:
    """Another site, or the sign-in itself, which would end in "method not allowed". Must be the home page."""
    page = site.browser().get("/login", query_string={"next": target}, base_url=SITE)
    assert 'name="next" value="/"' in page.text
    entered = site.answer(site.browser(), site.world.leaf(), next_page=target)
    assert entered.json["next"] == "/"


def test_planted_session_is_left_behind(site: Any) -> None:
    """The attacker's challenge and session are planted in a browser. Must be refused."""
    attacker = site.browser()
    number, data = site.challenge(attacker)
    victim, leaf = site.browser(), site.world.leaf()
    # The victim's key signs the attacker's challenge, but in the victim's own session.
    body = {
        "challenge": number,
        "certificate": leaf.pem.decode(),
        "signature": base64.b64encode(leaf.sign(data)).decode(),
    }
    refused = victim.post("/login/answer", json=body, headers=JSON, base_url=SITE)
    assert refused.json["code"] == "LOGIN_OTHER_SESSION"
    assert FIRM_ID not in site.home(attacker).text


def test_number_of_a_kept_session_changes(site: Any) -> None:
    """Sessions kept on the server have a number. Must be a new one after sign-in and after sign-out."""
    renewed: list[Any] = []

    class Kept(SecureCookieSessionInterface):
        def regenerate(self, kept: Any) -> None:
            renewed.append(dict(kept))

    site.app.session_interface = Kept()
    browser = site.browser()
    site.answer(browser, site.world.leaf())
    assert renewed == [{}]
    browser.post("/logout", base_url=SITE)
    assert renewed == [{}, {}]


def test_nothing_of_before_survives_the_sign_in(site: Any) -> None:
    @site.app.get("/cart")  # type: ignore[untyped-decorator]  # the fixture is loosely typed
    def cart() -> str:
        session["cart"] = session.get("cart", "") + "x"
        return str(session["cart"])

    browser = site.browser()
    browser.get("/cart", base_url=SITE)
    site.answer(browser, site.world.leaf())
    assert browser.get("/cart", base_url=SITE).text == "x"


def test_cookie_is_for_https_and_for_no_script(site: Any) -> None:
    """Also when the application had switched a protection off."""
    answer = site.answer(site.browser(), site.world.leaf())
    (cookie,) = answer.headers.getlist("Set-Cookie")
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookie
    app = Flask("careless")
    app.secret_key = "not so secret in a test"
    app.config["SESSION_COOKIE_HTTPONLY"] = False
    OneCert(app, verifier=site.app.extensions["onecert"]._verifier)
    assert app.config["SESSION_COOKIE_HTTPONLY"] is True


@pytest.mark.parametrize("path", ["/login/challenge", "/login/answer", "/login/certificate", "/logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_posts_of_other_sites(site: Any, path: str, headers: dict[str, str]) -> None:
    """A form or a script elsewhere makes the browser post here: login CSRF, forced sign-out."""
    browser = site.browser()
    site.answer(browser, site.world.leaf())
    answer = browser.post(path, json={}, headers={**JSON, **headers}, base_url=SITE)
    assert (answer.status_code, answer.json["code"]) == (403, "LOGIN_OTHER_SESSION")
    assert FIRM_ID in site.home(browser).text


def test_no_answer_of_the_sign_in_is_cached(site: Any) -> None:
    browser, leaf = site.browser(), site.world.leaf()
    answers = [
        browser.get("/login", base_url=SITE),
        browser.post("/login/challenge", base_url=SITE),
        site.answer(browser, leaf),
        browser.post("/login/certificate", base_url=SITE),
        browser.post("/logout", base_url=SITE),
    ]
    assert {answer.headers.get("Cache-Control") for answer in answers} == {"no-store"}


def test_flood_of_challenges_is_bounded(site: Any, tmp_path: Path) -> None:
    """Somebody asks for challenges without end. The file must not grow with them; the newest still counts."""
    store = SqliteStore(tmp_path / "logins.sqlite", max_challenges=100)
    for number in range(1000):
        one = StoredChallenge(
            id=f"{number:022}",
            application="tax",
            session_sha256="x",
            data=b"x" * 400,
            expires_at=site.at.replace(microsecond=number),
        )
        store.add(one, site.at)
    kept = sum(store.use(f"{number:022}") is not None for number in range(1000))
    assert 100 <= kept < 400
    assert store.use(f"{999:022}") is not None
    store.close()
