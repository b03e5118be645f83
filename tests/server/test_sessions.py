"""Sessions: their ends, and that a browser never chooses its own."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COOKIE = "__Secure-onecert-desk"


@pytest.fixture
def client(desk: Any) -> Any:
    """wang, signed in by link."""
    desk.operator(valid_until=T + timedelta(days=30))
    signed_in = desk.client()
    signed_in.submit(desk.link())
    return signed_in


def is_in(client: Any) -> bool:
    """Whether the session still opens a page."""
    return bool(client.get("/things").status_code == 200)


def test_session_ends_after_half_an_hour_without_a_request(desk: Any, client: Any) -> None:
    """Every request moves the end."""
    for _ in range(3):
        desk.clock.advance(29 * MINUTE)
        assert is_in(client)
    desk.clock.advance(30 * MINUTE)
    assert not is_in(client)


def test_session_ends_after_ten_hours_in_any_case(desk: Any, client: Any) -> None:
    """Busy from nine in the morning; at seven in the evening it is over."""
    for _ in range(29):
        desk.clock.advance(20 * MINUTE)
        assert is_in(client)
    desk.clock.advance(20 * MINUTE)
    assert not is_in(client)


def test_session_ends_with_its_account_and_its_certificate(desk: Any, operators_ca: Any) -> None:
    """Certificate until 9:10, account until 9:20; the earlier counts."""
    desk.trust(operators_ca)
    certificate = operators_ca.issue(not_after=T + 10 * MINUTE)
    desk.operator(certificate=certificate, valid_until=T + 20 * MINUTE)
    client, environ = desk.client(), desk.presenting(certificate)
    client.submit("/sign-in/certificate", environ_overrides=environ)
    desk.clock.advance(9 * MINUTE)
    assert client.get("/things", environ_overrides=environ).status_code == 200

    desk.clock.advance(MINUTE)

    assert client.get("/things", environ_overrides=environ).status_code == 303


def test_session_by_link_stays_on_this_machine(client: Any) -> None:
    """The cookie was copied to another machine, or a proxy was put in front."""
    assert client.get("/things", environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).status_code == 303
    assert client.get("/things", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 303
    assert is_in(client)


def test_revocation_ends_a_session_by_certificate(desk: Any, operators_ca: Any) -> None:
    """Signed in and working; the CRL that names the certificate arrives; the next request is refused."""
    certificate = operators_ca.issue()
    desk.trust(operators_ca, crl=operators_ca.crl())
    desk.operator(certificate=certificate)
    client, environ = desk.client(), desk.presenting(certificate)
    client.submit("/sign-in/certificate", environ_overrides=environ)
    assert client.get("/things", environ_overrides=environ).status_code == 200

    desk.trust(operators_ca, crl=operators_ca.crl(certificate, this_update=T - timedelta(hours=1)))

    assert client.get("/things", environ_overrides=environ).status_code == 303


def test_signing_out_ends_the_session_on_the_server(desk: Any, client: Any) -> None:
    """Keeping the cookie does not help; the browser is told to drop it."""
    kept = client.get_cookie(COOKIE, path="/desk").value
    page = client.submit("/sign-out")
    assert page.status_code == 303
    assert "Max-Age=0" in page.headers["Set-Cookie"]
    assert ("operator.signed_out", "operator:wang") in desk.events()

    client.set_cookie(COOKIE, kept, path="/desk", secure=True)
    assert not is_in(client)


def test_planted_session_is_never_taken(desk: Any) -> None:
    """Fixation: somebody set the cookie before the victim signs in. The sign-in makes a new one."""
    desk.operator()
    client = desk.client()
    client.set_cookie(COOKIE, "planted", path="/desk", secure=True)

    link = desk.link()
    token = client.get(link).text.partition('name="csrf_token" value="')[2].partition('"')[0]

    assert client.post(link, data={"csrf_token": token}).status_code == 303

    assert client.get_cookie(COOKIE, path="/desk").value != "planted"
    other = desk.client()
    other.set_cookie(COOKIE, "planted", path="/desk", secure=True)
    assert not is_in(other)


def test_signing_in_again_ends_the_session_before(desk: Any, client: Any) -> None:
    """The old cookie of the same browser is dead, another browser's session is not touched."""
    elsewhere = desk.client()
    elsewhere.sign_in("wang")
    old = client.get_cookie(COOKIE, path="/desk").value

    client.submit(desk.link())

    new = client.get_cookie(COOKIE, path="/desk").value
    assert new != old
    assert is_in(client)
    assert is_in(elsewhere)
    client.set_cookie(COOKIE, old, path="/desk", secure=True)
    assert not is_in(client)


def test_cookie_is_for_this_service_over_https_and_no_script(desk: Any) -> None:
    """Path, Secure, HttpOnly, SameSite=Strict, no expiry date."""
    desk.operator()
    answer = desk.client().submit(desk.link())

    cookie = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith(COOKIE))

    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert parts == {"Secure", "HttpOnly", "Path=/desk", "SameSite=Strict"}


@pytest.mark.parametrize("value", ["", "x", "a" * 5000, "王", '"quoted"', "a b"])
def test_rubbish_in_the_cookie_is_no_session(desk: Any, value: str) -> None:
    """Nothing breaks, nobody is signed in."""
    environ = {"HTTP_COOKIE": f"{COOKIE}={value}".encode().decode("latin-1")}

    assert desk.client().get("/things", environ_overrides=environ).status_code == 303


def test_old_sessions_are_swept_out(desk: Any, client: Any) -> None:
    """Each sign-in removes what ran out."""
    desk.clock.advance(timedelta(hours=11))
    desk.client().sign_in("wang")

    with desk.context.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar_one() == 1


def test_settings_shorten_a_session(make_desk: Callable[..., Any]) -> None:
    """The limits come from the settings."""
    desk = make_desk(session_idle=timedelta(minutes=5))
    desk.operator()
    client = desk.client()
    client.sign_in("wang")
    desk.clock.advance(5 * MINUTE)

    assert not is_in(client)


def test_operators_see_and_end_their_own_sessions(desk: Any, client: Any) -> None:
    """Two browsers of one operator and one of another: ended from one of them, and never another's."""
    second = desk.client()
    second.submit(desk.link())
    desk.operator("li", number=2)
    other = desk.client()
    other.submit(desk.link("li"))

    page = client.get("/sessions").get_data(as_text=True)
    names = re.findall(r'name="session" value="([0-9a-f]{16})"', page)
    assert len(names) == 1

    other.submit("/sessions/end", {"session": names[0]})
    client.submit("/sessions/end", {"session": ""})
    assert is_in(second)
    client.submit("/sessions/end", {"session": names[0]})
    assert (is_in(client), is_in(second), is_in(other)) == (True, False, True)


def test_one_session_too_many_ends_the_oldest(make_desk: Callable[..., Any]) -> None:
    """Two are allowed: the third sign-in ends what was used longest ago."""
    desk = make_desk(max_sessions=2)
    desk.operator(valid_until=T + timedelta(days=30))
    clients = []
    for _ in range(3):
        clients.append(desk.client())
        clients[-1].submit(desk.link())
        desk.clock.advance(2 * MINUTE)
        assert is_in(clients[0])
    assert [is_in(each) for each in clients] == [True, False, True]
