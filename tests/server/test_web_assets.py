"""Files for browsers: htmx from its package, a member's own, kept for good; what scripts are told."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from onecert.server.web.assets import AssetPackageMissingError, Assets, htmx_file

STATIC = Path(__file__).parents[2] / "server/onecert/server/web/static"


@pytest.fixture
def client(desk: Any) -> Any:
    """wang, signed in."""
    desk.operator()
    signed_in = desk.client()
    signed_in.sign_in("wang")
    return signed_in


def scripts_of(page: str) -> list[str]:
    return [unescape(found) for found in re.findall(r'<script src="/desk([^"]+)" defer></script>', page)]


def test_each_script_of_a_page_is_there_and_kept_for_good(client: Any) -> None:
    """htmx first, then our own; each address carries a hash and may be kept for a year."""
    scripts = scripts_of(client.get("/things").text)

    assert [script.partition("?")[0] for script in scripts] == [
        f"/frame/{name}.js" for name in ("htmx", "session", "submit", "autosave", "keyboard")
    ]
    for script in scripts:
        answer = client.get(script, buffered=True)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.mimetype in {"text/javascript", "application/javascript"}
    assert 'version:"2.' in client.get(scripts[0], buffered=True).text


def test_whoever_is_not_signed_in_gets_no_script(desk: Any) -> None:
    """The sign-in page needs none."""
    assert scripts_of(desk.client().get("/sign-in").text) == []


def test_htmx_may_not_evaluate_keep_or_leave(client: Any) -> None:
    """No eval, no inline style, this service only, no pages in the browser's storage; all by a meta tag."""
    page = client.get("/things").text
    settings = json.loads(unescape(re.search(r"name=\"htmx-config\" content='([^']+)'", page)[1]))  # type: ignore[index]

    for name in ("allowEval", "includeIndicatorStyles", "allowScriptTags"):
        assert settings[name] is False, name
    assert settings["selfRequestsOnly"] is True
    assert settings["historyCacheSize"] == 0
    assert "unsafe" not in client.get("/things").headers["Content-Security-Policy"]


def test_without_the_package_the_service_does_not_start() -> None:
    """The error names the package, the file and the list to install from."""
    with pytest.raises(AssetPackageMissingError, match="no_such_package") as caught:
        htmx_file("no_such_package")

    assert "requirements/browser.txt" in caught.value.hint


def test_a_member_brings_its_own_files(tmp_path: Path) -> None:
    """Its folder is looked through before the frame's; no name leads out of a folder."""
    own = tmp_path / "static"
    own.mkdir()
    (own / "enter.js").write_text("1")
    (own / "seal.svg").write_text("own")
    (tmp_path / "secret.txt").write_text("secret")
    assets = Assets([own])

    assert assets.find("enter.js") == own / "enter.js"
    assert assets.find("seal.svg") == own / "seal.svg"
    assert assets.find("onecert.css") == STATIC / "onecert.css"
    for name in ("../secret.txt", "/etc/hostname", "x.js", ""):
        assert assets.find(name) is None, name
    with pytest.raises(FileNotFoundError):
        assets.content_hash("x.js")


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "x.js", "a%00b", "/"])
def test_no_address_leads_out_of_the_folders(client: Any, name: str) -> None:
    """The page's code is no asset."""
    assert client.get(f"/frame/{name}", buffered=True).status_code in {404, 308}


@pytest.mark.parametrize("file", sorted(STATIC.glob("*.js")), ids=lambda file: file.name)
def test_our_scripts_keep_to_the_policy(file: Path) -> None:
    """At most 150 lines, strict, no string becomes code or markup, nothing personal is stored."""
    text = file.read_text()

    assert len(text.splitlines()) <= 150
    assert '"use strict"' in text
    for word in (
        "eval(",
        "new Function",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        ".style",
    ):
        assert word not in text, word
    assert set(re.findall(r"localStorage\.setItem\((\w+)", text)) <= {"SETTING"}


def test_words_of_the_scripts_are_in_the_readers_language(client: Any) -> None:
    """The texts that scripts show stand in the page, translated."""
    assert 'data-autosave-saved="已于 %s 保存"' in client.get("/things").text
    assert 'data-autosave-saved="Saved at %s"' in client.get("/things?language=en").text


def test_a_page_learns_who_is_signed_in_now(desk: Any, client: Any) -> None:
    """The token is the one of the present session; without a session a program gets 401."""
    answer = client.get("/session", headers={"Accept": "application/json"})

    assert answer.json == {"operator": "wang", "csrf_token": client.form_token()}
    assert client.post("/things", headers={"X-CSRF-Token": answer.json["csrf_token"]}).status_code == 200
    stranger = desk.client().get("/session", headers={"Accept": "application/json"})
    assert (stranger.status_code, stranger.json["code"]) == (401, "SIGN_IN_REQUIRED")


# Parts of pages


def test_a_part_asked_for_after_the_session_is_told_in_place(desk: Any, client: Any) -> None:
    """htmx gets 401 with the sentence, no redirect to a whole page; a boosted link is a page."""
    client.submit("/sign-out")

    part = client.get("/things", headers={"HX-Request": "true"})
    assert part.status_code == 401
    assert "<html" not in part.text
    assert "SIGN_IN_REQUIRED" in part.text
    boosted = client.get("/things", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert boosted.status_code == 303


def test_an_error_in_a_part_is_a_notice(client: Any) -> None:
    """A role that is missing: the notice with text, hint and code, without a page around it."""
    part = client.get("/audit", headers={"HX-Request": "true"})

    assert part.status_code == 403
    assert '<div class="notice danger" role="alert">' in part.text
    assert "<html" not in part.text


def test_an_autosave_after_the_session_is_told_as_json(client: Any) -> None:
    """The old page's token is not called a forgery: its session has ended."""
    token = client.form_token()
    desk_cookie = client.get_cookie("__Secure-onecert-desk", path="/desk")
    client.submit("/sign-out")
    client.set_cookie("__Secure-onecert-desk", desk_cookie.value, path="/desk", secure=True)

    answer = client.post(
        "/things", data={"name": "x"}, headers={"X-CSRF-Token": token, "Accept": "application/json"}
    )

    assert (answer.status_code, answer.json["code"]) == (401, "SIGN_IN_REQUIRED")
