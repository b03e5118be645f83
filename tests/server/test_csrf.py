"""Forms from elsewhere, without a token, or with another's token are refused and change nothing."""

from typing import Any

import pytest

TOKEN = "csrf_token"


@pytest.fixture
def client(desk: Any) -> Any:
    """wang, signed in."""
    desk.operator()
    signed_in = desk.client()
    signed_in.sign_in("wang")
    return signed_in


def is_refused(response: Any) -> bool:
    """Whether it is the answer to a foreign form."""
    return response.status_code == 403 and "FORM_REFUSED" in response.text


def test_own_form_is_taken(client: Any) -> None:
    """The token of the page, from the page itself."""
    page = client.get("/things").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]

    assert client.post("/things", data={TOKEN: token, "name": "x"}).text == "made x"
    assert client.post("/things", headers={"X-CSRF-Token": token}).text == "made "


@pytest.mark.parametrize("token", [None, "", "x", "王", "a" * 10_000])
def test_without_the_right_token_a_form_is_refused(client: Any, token: str | None) -> None:
    """The session alone is not enough."""
    data = {} if token is None else {TOKEN: token}

    assert is_refused(client.post("/things", data=data))


def test_another_sessions_token_is_refused(desk: Any, client: Any) -> None:
    """Tokens belong to one session, also for the same operator."""
    other = desk.client()
    other.sign_in("wang")

    assert is_refused(client.post("/things", data={TOKEN: other.form_token()}))


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost"},  # the same host without TLS
        {"Origin": "https://localhost:8444"},
    ],
)
def test_form_from_another_site_is_refused_even_with_the_token(client: Any, headers: dict[str, str]) -> None:
    """Browsers say where a form comes from."""
    assert is_refused(client.submit("/things", headers=headers))


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "same-origin", "Origin": "https://localhost"}, {"Sec-Fetch-Site": "none"}],
)
def test_own_origin_is_taken(client: Any, headers: dict[str, str]) -> None:
    """What a browser sends with our own forms."""
    assert client.submit("/things", headers=headers).status_code == 200


def test_page_of_before_signing_out_is_refused(desk: Any, client: Any) -> None:
    """A tab was left open; the form of the old session does nothing in the new one."""
    token = client.form_token()
    client.submit("/sign-out")
    client.sign_in("wang")

    assert is_refused(client.post("/things", data={TOKEN: token}))


def test_sign_in_form_needs_its_own_cookie(desk: Any) -> None:
    """Before sign-in the token is bound to a cookie that only our host can set."""
    desk.operator()
    link = desk.link()
    page = desk.client()
    shown = page.get(link)
    token = shown.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    cookie = shown.headers["Set-Cookie"]
    assert cookie.startswith("__Host-onecert-form=")
    assert "Secure; HttpOnly; Path=/; SameSite=Strict" in cookie

    assert is_refused(desk.client().post(link, data={TOKEN: token}))
    assert is_refused(page.post(link))
    assert page.post(link, data={TOKEN: token}).status_code == 303


def test_sign_out_by_another_site_is_refused(client: Any) -> None:
    """Also an act that only annoys needs the token."""
    assert is_refused(client.post("/sign-out"))
    assert client.get("/things").status_code == 200


def test_rest_needs_no_token_for_what_no_form_can_send(client: Any) -> None:
    """JSON and JOSE pass; what a form on another site could send does not."""
    assert client.post("/v1/things", json={}).json == {"by": "wang"}
    jose = client.post("/v1/things", data=b"{}", content_type="application/jose+json")
    assert jose.status_code == 200
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        refused = client.post("/v1/things", data=b"{}", content_type=content_type)
        assert refused.json["code"] == "FORM_REFUSED"
    assert client.post("/v1/things", json={}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_signed_documents_need_neither_session_nor_token(desk: Any) -> None:
    """The view verifies the signature itself; who else is signed in does not matter there."""
    answer = desk.client().post("/v1/orders", data=b"signed", content_type="application/jose+json")

    assert answer.json == {"bytes": 6}
