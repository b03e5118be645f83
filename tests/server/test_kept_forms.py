"""A form that is sent after its session has ended: what was typed comes back, to our own browser only."""

import re
from html import unescape
from io import BytesIO
from typing import Any

import pytest

from onecert.server.web.kept import MAX_KEPT

OURS = {"Sec-Fetch-Site": "same-origin", "Origin": "https://localhost"}
COOKIE = "__Secure-onecert-desk"


@pytest.fixture
def ended(desk: Any) -> Any:
    """wang had a page with a form open; an idle half day later the session has ended, the cookie is there."""
    desk.operator()
    client = desk.client()
    client.sign_in("wang")
    client.old_token = client.form_token()
    desk.clock.advance(desk.context.operators.config.session_absolute)
    return client


def hidden_fields(page: str) -> list[tuple[str, str]]:
    body = page.partition("<main")[2]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', body)
    return [(unescape(name), unescape(value)) for name, value in found]


def send(client: Any, fields: Any, **options: Any) -> Any:
    return client.post("/things?page=2", data={"csrf_token": client.old_token, **fields}, **options)


def test_what_was_typed_comes_back_and_is_sent_after_signing_in(desk: Any, ended: Any) -> None:
    """401 with the fields; signed in in another window, the same button asks once more, then it is sent."""
    kept = send(ended, {"name": '名称"<b>', "lines": ["1", "2"]})

    assert kept.status_code == 401
    assert "内容未丢失" in kept.text
    assert 'action="/desk/things?page=2"' in kept.text
    fields = hidden_fields(kept.text)
    assert [field for field in fields if field[0] != "csrf_token"] == [
        ("name", '名称"<b>'), ("lines", "1"), ("lines", "2")
    ]  # fmt: skip
    # Still nobody is signed in: the page comes again, and nothing was done.
    assert ended.post("/things", data=dict(fields)).status_code in {401, 403}

    ended.sign_in("wang")
    asked = ended.post("/things?page=2", data=dict(fields), headers=OURS)
    assert asked.status_code == 403
    assert "王芳" in asked.text.partition("<main")[2]
    made = ended.post("/things?page=2", data=dict(hidden_fields(asked.text)), headers=OURS)
    assert made.text == 'made 名称"<b>'


def test_a_session_that_was_renewed_in_another_tab(desk: Any) -> None:
    """Two tabs; in one wang signs in anew. The form of the other is not lost: it asks, then it is sent."""
    desk.operator()
    client = desk.client()
    client.sign_in("wang")
    old = client.form_token()
    client.sign_in("wang")

    asked = client.post("/things", data={"csrf_token": old, "name": "甲"}, headers=OURS)

    assert asked.status_code == 403
    assert ("name", "甲") in hidden_fields(asked.text)
    assert client.post("/things", data=dict(hidden_fields(asked.text)), headers=OURS).text == "made 甲"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "none", "Origin": "https://localhost"},
    ],
)
def test_another_sites_form_is_never_shown_as_ones_own(ended: Any, headers: dict[str, str]) -> None:
    """A foreign page sends fields with a guessed or even the right old token: not one of them comes back."""
    answer = ended.post("/things", data={"csrf_token": "guess", "name": "of-evil"}, headers=headers)

    assert answer.status_code == 403
    assert "of-evil" not in answer.text


def test_a_browser_that_says_nothing_must_prove_it_by_the_token(ended: Any) -> None:
    """Without Fetch metadata and Origin: only the token of the very cookie counts."""
    assert ended.post("/things", data={"csrf_token": "guess", "name": "of-evil"}).status_code == 403
    assert "of-evil" not in ended.post("/things", data={"name": "of-evil"}).text
    assert send(ended, {"name": "mine"}).status_code == 401


@pytest.mark.parametrize("name", ["pin", "new_pin", "PIN", "person", "password", "delivery_code", "code"])
def test_secrets_are_not_put_into_the_page(ended: Any, name: str) -> None:
    """PINs, codes and numbers of people's documents are asked for again, and the page says so."""
    kept = send(ended, {name: "S3CRET", "name": "x"})

    assert "S3CRET" not in kept.text
    assert "PIN 码" in kept.text
    assert ("name", "x") in hidden_fields(kept.text)


def test_files_are_asked_for_again(ended: Any) -> None:
    """The other fields of the form come back, and the form stays one that takes files."""
    kept = send(ended, {"name": "x", "scan": (BytesIO(b"pixels"), "scan.png")})

    assert kept.status_code == 401
    assert 'enctype="multipart/form-data"' in kept.text
    assert "文件" in kept.text
    assert ("name", "x") in hidden_fields(kept.text)


def test_nothing_of_it_is_kept_in_caches(ended: Any) -> None:
    """The page holds what somebody typed."""
    assert send(ended, {"name": "x"}).headers["Cache-Control"] == "no-store"


def test_forms_without_content_or_far_too_long_are_refused_as_before(make_desk: Any) -> None:
    """A button alone has nothing to keep; a form above the limit is not sent back."""
    desk = make_desk()
    desk.operator()
    desk.app.config.update(MAX_CONTENT_LENGTH=4 * MAX_KEPT, MAX_FORM_MEMORY_SIZE=4 * MAX_KEPT)
    client = desk.client()
    client.sign_in("wang")
    client.old_token = client.form_token()
    desk.clock.advance(desk.context.operators.config.session_absolute)

    assert send(client, {}).status_code == 401
    assert "hidden" not in send(client, {}).text.partition("<main")[2].partition("</main")[0]
    assert "x" * 100 not in send(client, {"name": "x" * (MAX_KEPT + 1)}).text


def test_rest_and_public_forms_are_as_before(ended: Any) -> None:
    """A program gets its problem; the sign-in form of an old page is refused."""
    assert ended.post("/v1/things", json={"name": "x"}).json["code"] == "SIGN_IN_REQUIRED"
    refused = ended.post("/sign-in/certificate", data={"csrf_token": "x", "next": "/things"}, headers=OURS)
    assert refused.status_code == 403
    assert "FORM_REFUSED" in refused.text
