"""Signing in by one-time link and by client certificate; everything that must not let anybody in."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PROGRAM = {"headers": {"Accept": "application/json"}}


def code(response: Any) -> str:
    """The error code of a page or a problem."""
    if response.is_json:
        return str(response.json["code"])
    return str(response.text.rpartition("<code>")[2].partition("</code>")[0])


# By link


def test_link_signs_in_once(desk: Any) -> None:
    """Opening the page does not use the link up, the button does; after that it is said to be used."""
    desk.operator(name="王芳")
    link = desk.link()
    client = desk.client()

    assert "王芳" in client.get(link).text
    assert "王芳" in client.get(link).text
    entered = client.submit(link)
    assert (entered.status_code, entered.headers["Location"]) == (303, "/desk/")
    assert client.get("/things").status_code == 200

    again = desk.client()
    assert code(again.get(link)) == "LINK_USED"
    assert code(again.submit(link)) == "LINK_USED"
    assert again.get("/things").status_code == 303
    assert ("operator.signed_in", "operator:wang") in desk.events()


def test_link_ends_after_a_day(desk: Any) -> None:
    """23:59 is early enough, 24:00 is not."""
    desk.operator(number=1)
    first, second = desk.link(), desk.link()

    desk.clock.advance(DAY - timedelta(minutes=1))
    assert desk.client().submit(first).status_code == 303
    desk.clock.advance(timedelta(minutes=1))
    assert code(desk.client().submit(second)) == "LINK_EXPIRED"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": "::ffff:192.0.2.7"},
        {"REMOTE_ADDR": ""},  # a unix socket: a proxy speaks for somebody
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=127.0.0.1"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_VIA": "1.1 proxy"},
    ],
)
def test_link_works_on_the_machine_itself_only(desk: Any, elsewhere: dict[str, str]) -> None:
    """From outside or through a proxy it is refused and stays unused."""
    desk.operator()
    link = desk.link()

    assert code(desk.client().get(link, environ_overrides=elsewhere)) == "LINK_ELSEWHERE"
    assert code(desk.client().submit(link, environ_overrides=elsewhere)) == "LINK_ELSEWHERE"
    assert desk.client().submit(link, environ_overrides={"REMOTE_ADDR": "::1"}).status_code == 303


def test_link_tokens_are_stored_as_hashes(desk: Any) -> None:
    """Who reads the database cannot sign in."""
    desk.operator()
    token = desk.link().rpartition("/")[2]
    session = desk.client()
    session.submit(f"/sign-in/{token}")
    cookie = session.get_cookie("__Secure-onecert-desk", path="/desk").value
    desk.context.database.close()

    stored = b"".join(f.read_bytes() for f in desk.context.data.glob("desk.db*"))
    assert token.encode() not in stored
    assert cookie.encode() not in stored


@pytest.mark.parametrize("token", ["x", "a" * 43, "%00", "certificate2", "王"])
def test_unknown_links_are_refused(desk: Any, token: str) -> None:
    """Whatever the token looks like, nothing breaks."""
    assert code(desk.client().get(f"/sign-in/{token}")) == "LINK_UNKNOWN"


def test_link_of_an_expired_account_is_refused(desk: Any) -> None:
    """The account runs out an hour before the link."""
    desk.operator(valid_until=T + timedelta(hours=23))
    link = desk.link()
    desk.clock.advance(timedelta(hours=23))

    assert code(desk.client().submit(link)) == "OPERATOR_EXPIRED"


def test_refused_sign_ins_slow_an_address_down(make_desk: Callable[..., Any]) -> None:
    """Three wrong links, then the right one has to wait as well, from this address only."""
    desk = make_desk(max_failures=3)
    desk.operator()
    link = desk.link()
    client = desk.client()
    for wrong in ("a", "b", "c"):
        assert code(client.get(f"/sign-in/{wrong}")) == "LINK_UNKNOWN"

    waiting = client.submit(link)
    assert (waiting.status_code, code(waiting)) == (429, "SIGN_IN_THROTTLED")
    assert waiting.headers["Retry-After"] == "900"
    assert client.get(link, environ_overrides={"REMOTE_ADDR": "::1"}).status_code == 200

    desk.clock.advance(timedelta(minutes=15))
    assert client.submit(link).status_code == 303
    refused = [event for event, _ in desk.events() if event == "operator.sign_in_refused"]
    assert len(refused) == 3


# By certificate


@pytest.fixture
def bound(desk: Any, operators_ca: Any) -> Any:
    """wang's certificate: issued by the operators' CA, bound to the account; a current CRL is there."""
    certificate = operators_ca.issue("王芳")
    desk.trust(operators_ca, crl=operators_ca.crl())
    desk.operator(certificate=certificate)
    return certificate


def sign_in(desk: Any, certificate: Any, **more: Any) -> Any:
    """Press the button of the sign-in page on a connection with this certificate."""
    environ = {**desk.presenting(certificate), **more}
    return desk.client().submit("/sign-in/certificate", environ_overrides=environ)


def test_certificate_signs_in(desk: Any, bound: Any) -> None:
    """The page shows whose certificate it is; the session works and is on record with the certificate."""
    client = desk.client()
    environ = desk.presenting(bound)

    assert "<strong>王芳</strong>" in client.get("/sign-in", environ_overrides=environ).text
    entered = client.submit("/sign-in/certificate", {"next": "/things"}, environ_overrides=environ)

    assert (entered.status_code, entered.headers["Location"]) == (303, "/desk/things")
    assert client.get("/things", environ_overrides=environ).status_code == 200
    assert desk.events()[-1] == ("operator.signed_in", "operator:wang")


def test_session_by_certificate_needs_the_certificate_on_every_request(
    desk: Any, bound: Any, operators_ca: Any
) -> None:
    """A stolen cookie is worth nothing on another connection."""
    client = desk.client()
    client.submit("/sign-in/certificate", environ_overrides=desk.presenting(bound))

    assert client.get("/things").status_code == 303
    other = desk.presenting(operators_ca.issue("王芳"))
    assert client.get("/things", environ_overrides=other).status_code == 303
    assert client.get("/things", environ_overrides=desk.presenting(bound)).status_code == 200


def test_no_certificate(desk: Any) -> None:
    """The browser presented none, or TLS did not verify it, or it is rubbish."""
    client = desk.client()

    assert code(client.submit("/sign-in/certificate")) == "CERTIFICATE_MISSING"
    for environ in ({"SSL_CLIENT_CERT": "rubbish"}, {"SSL_CLIENT_VERIFY": "SUCCESS"}):
        answer = client.submit("/sign-in/certificate", environ_overrides=environ)
        assert code(answer) == "CERTIFICATE_MISSING"


def test_unverified_certificate_does_not_count(desk: Any, bound: Any) -> None:
    """TLS says FAILED beside a certificate that is otherwise right."""
    answer = sign_in(desk, bound, SSL_CLIENT_VERIFY="FAILED:unable to verify")

    assert code(answer) == "CERTIFICATE_MISSING"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"eku": ExtendedKeyUsageOID.SERVER_AUTH}, "EXTENDED_KEY_USAGE"),
        ({"eku": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}, "EXTENDED_KEY_USAGE"),
        ({"eku": None}, "EXTENDED_KEY_USAGE"),
        ({"not_after": T - timedelta(seconds=1)}, "CERT_EXPIRED"),
        ({"not_before": T + DAY}, "CERT_NOT_YET_VALID"),
    ],
)
def test_certificate_with_one_thing_wrong_is_refused(
    desk: Any, operators_ca: Any, wrong: dict[str, Any], reason: str
) -> None:
    """operators' CA -> leaf, bound to the account, one thing wrong. The trail has the verifier's reason."""
    desk.trust(operators_ca, crl=operators_ca.crl())
    certificate = operators_ca.issue(**wrong)
    desk.operator(certificate=certificate)

    answer = sign_in(desk, certificate)

    assert (answer.status_code, code(answer)) == (403, "CERTIFICATE_REFUSED")
    assert reason in last_details(desk)


def last_details(desk: Any) -> str:
    """Details of the newest audit entry."""
    with desk.context.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT details FROM audit_entries ORDER BY seq DESC LIMIT 1")
        return str(rows.scalar_one())


def test_certificate_of_a_rogue_ca_is_refused(desk: Any, operators_ca: Any, rogue_ca: Any) -> None:
    """The rogue CA has the operators' CA's name and another key; its certificate is even bound."""
    desk.trust(operators_ca, crl=operators_ca.crl())
    certificate = rogue_ca.issue("王芳")
    desk.operator(certificate=certificate)

    answer = sign_in(desk, certificate)

    assert (answer.status_code, code(answer)) == (403, "CERTIFICATE_REFUSED")


def test_revoked_certificate_is_refused_as_soon_as_the_list_is_there(
    desk: Any, operators_ca: Any, bound: Any
) -> None:
    """The CRL is replaced between two sign-ins; the service is not restarted."""
    assert sign_in(desk, bound).status_code == 303

    desk.trust(operators_ca, crl=operators_ca.crl(bound, this_update=T - timedelta(hours=1)))

    assert code(sign_in(desk, bound)) == "CERTIFICATE_REFUSED"
    assert "REVOKED" in last_details(desk)


def test_stale_list_lets_nobody_in(desk: Any, operators_ca: Any, bound: Any) -> None:
    """The CRL ran out yesterday: not known is not good. Nothing counts against the operator."""
    desk.trust(operators_ca, crl=operators_ca.crl(this_update=T - 8 * DAY))

    answer = sign_in(desk, bound)

    assert (answer.status_code, code(answer)) == (503, "CERTIFICATE_UNCHECKED")
    assert desk.events()[-1][0] != "operator.sign_in_refused"


def test_damaged_list_lets_nobody_in(desk: Any, operators_ca: Any, bound: Any) -> None:
    """A file that is no CRL must not count as "no CRL"."""
    desk.trust(operators_ca, crl=b"damaged")

    assert code(sign_in(desk, bound)) == "CERTIFICATE_UNCHECKED"


def test_without_any_list_policy_decides(make_desk: Callable[..., Any], operators_ca: Any) -> None:
    """No CRL at all: accepted as the settings come, refused when they require revocation."""
    for required, expected in ((False, 303), (True, 503)):
        desk = make_desk(revocation_required=required)
        certificate = operators_ca.issue()
        desk.trust(operators_ca)
        desk.operator(certificate=certificate)

        assert sign_in(desk, certificate).status_code == expected


def test_without_an_anchor_nobody_signs_in(desk: Any, operators_ca: Any) -> None:
    """No folder, an empty folder, and a folder with an end certificate only."""
    certificate = operators_ca.issue()
    desk.operator(certificate=certificate)
    folder = desk.context.shared / "operator-anchors"

    assert code(sign_in(desk, certificate)) == "CERTIFICATE_UNCHECKED"
    folder.mkdir()
    assert code(sign_in(desk, certificate)) == "CERTIFICATE_UNCHECKED"
    (folder / "leaf.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    assert code(sign_in(desk, certificate)) == "CERTIFICATE_UNCHECKED"


def test_good_certificate_of_nobody_is_refused(desk: Any, operators_ca: Any, bound: Any) -> None:
    """Same CA, same name, not bound."""
    answer = sign_in(desk, operators_ca.issue("王芳"))

    assert (answer.status_code, code(answer)) == (403, "CERTIFICATE_NOT_BOUND")


def test_expired_and_suspended_operators_do_not_sign_in(desk: Any, operators_ca: Any) -> None:
    """The certificate outlives the account."""
    desk.trust(operators_ca)
    first, second = operators_ca.issue(), operators_ca.issue()
    desk.operator("wang", number=1, certificate=first, valid_until=T + DAY)
    desk.operator("li", number=2, certificate=second)
    desk.suspend("li")
    desk.clock.advance(DAY)

    assert code(sign_in(desk, first)) == "OPERATOR_EXPIRED"
    assert code(sign_in(desk, second)) == "OPERATOR_SUSPENDED"


# A proxy's header


def escaped(certificate: Any) -> str:
    """As nginx writes $ssl_client_escaped_cert."""
    return quote(certificate.public_bytes(Encoding.PEM).decode())


def test_forged_header_means_nothing(desk: Any, bound: Any) -> None:
    """No proxy in the settings: the header is just something a client sent."""
    for name in ("HTTP_X_CLIENT_CERTIFICATE", "HTTP_SSL_CLIENT_CERT", "HTTP_CLIENT_CERT"):
        answer = desk.client().submit("/sign-in/certificate", environ_overrides={name: escaped(bound)})

        assert code(answer) == "CERTIFICATE_MISSING"


@pytest.fixture
def proxied(make_desk: Callable[..., Any], operators_ca: Any) -> Any:
    """A desk behind nginx, and wang's certificate."""
    desk = make_desk(certificate_header="X-Client-Certificate")
    desk.trust(operators_ca)
    certificate = operators_ca.issue()
    desk.operator(certificate=certificate)
    return desk, certificate


@pytest.mark.parametrize("peer", ["", "127.0.0.1", "::1"])
def test_header_of_our_own_proxy_counts(proxied: Any, peer: str) -> None:
    """Unix socket or loopback, both forms of the header."""
    desk, certificate = proxied
    binary = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
    for value in (escaped(certificate), f":{binary}:"):
        environ = {"REMOTE_ADDR": peer, "HTTP_X_CLIENT_CERTIFICATE": value}

        answer = desk.client().submit("/sign-in/certificate", environ_overrides=environ)

        assert answer.status_code == 303


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"REMOTE_ADDR": "rubbish"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTPS": "on"},  # straight to our own TLS port, past the proxy
    ],
)
def test_header_from_elsewhere_means_nothing(proxied: Any, environ: dict[str, str]) -> None:
    """Somebody reached the service past the proxy and claims a certificate."""
    desk, certificate = proxied
    environ["HTTP_X_CLIENT_CERTIFICATE"] = escaped(certificate)

    answer = desk.client().submit("/sign-in/certificate", environ_overrides=environ)

    assert code(answer) == "CERTIFICATE_MISSING"


@pytest.mark.parametrize("value", ["", "%", "rubbish", ":rubbish:", "::", "%FF%FE", "A" * 20_000])
def test_rubbish_in_the_header_is_no_certificate(proxied: Any, value: str) -> None:
    """Nothing breaks on what does not parse."""
    desk, _certificate = proxied
    environ = {"REMOTE_ADDR": "", "HTTP_X_CLIENT_CERTIFICATE": value}

    answer = desk.client().submit("/sign-in/certificate", environ_overrides=environ)

    assert code(answer) == "CERTIFICATE_MISSING"


def test_behind_a_proxy_links_do_not_work(proxied: Any) -> None:
    """Everybody comes from loopback there. Straight to our own TLS port they do."""
    desk, _certificate = proxied
    link = desk.link()

    assert code(desk.client().get(link)) == "LINK_ELSEWHERE"
    assert desk.client().get(link, environ_overrides={"HTTPS": "on"}).status_code == 200


def test_behind_a_proxy_each_address_is_counted_for_itself(
    make_desk: Callable[..., Any], operators_ca: Any
) -> None:
    """The last entry of X-Forwarded-For is the proxy's own; what the client wrote before it is not."""
    desk = make_desk(certificate_header="X-Client-Certificate", max_failures=1)
    desk.trust(operators_ca)
    unbound = escaped(operators_ca.issue())

    def attempt(forwarded: str) -> str:
        environ = {"REMOTE_ADDR": "", "HTTP_X_CLIENT_CERTIFICATE": unbound}
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
        return code(desk.client().submit("/sign-in/certificate", environ_overrides=environ))

    assert attempt("198.51.100.1, 192.0.2.7") == "CERTIFICATE_NOT_BOUND"
    assert attempt("198.51.100.2, 192.0.2.7") == "SIGN_IN_THROTTLED"
    assert attempt("192.0.2.8") == "CERTIFICATE_NOT_BOUND"


# Programs


def test_rest_takes_the_certificate_by_itself(desk: Any, bound: Any) -> None:
    """No session, no form token; the certificate is checked at each request."""
    client = desk.client()

    answer = client.post("/v1/things", json={}, environ_overrides=desk.presenting(bound))
    assert (answer.status_code, answer.json) == (200, {"by": "wang"})
    desk.suspend()
    answer = client.post("/v1/things", json={}, environ_overrides=desk.presenting(bound))
    assert (answer.status_code, answer.json["code"]) == (403, "OPERATOR_SUSPENDED")
    assert client.post("/v1/things", json={}).json["code"] == "SIGN_IN_REQUIRED"


def test_pages_do_not_take_the_certificate_without_signing_in(desk: Any, bound: Any) -> None:
    """A page needs a session: signing in is an act of its own, with an entry in the trail."""
    assert desk.client().get("/things", environ_overrides=desk.presenting(bound)).status_code == 303


# Where sign-in leads


@pytest.mark.parametrize(
    ("wish", "target"),
    [
        ("/things?page=2", "/desk/things?page=2"),
        ("", "/desk/"),
        ("//evil.example", "/desk/"),
        ("/\\evil.example", "/desk/"),
        ("https://evil.example/", "/desk/"),
        ("/\t/evil.example", "/desk/"),
        ("/things\r\nSet-Cookie: a=b", "/desk/"),
        ("things", "/desk/"),
        ("/" + "a" * 600, "/desk/"),
    ],
)
def test_sign_in_never_leads_to_another_host(desk: Any, bound: Any, wish: str, target: str) -> None:
    """Only a path inside this service."""
    answer = desk.client().submit(
        "/sign-in/certificate", {"next": wish}, environ_overrides=desk.presenting(bound)
    )

    assert (answer.status_code, answer.headers["Location"]) == (303, target)


def test_page_that_needs_sign_in_comes_back_after_it(desk: Any, bound: Any) -> None:
    """The wish goes through the sign-in page's form."""
    client = desk.client()
    environ = desk.presenting(bound)

    away = client.get("/things?page=2", environ_overrides=environ)
    page = client.get(away.headers["Location"].removeprefix("/desk"), environ_overrides=environ)

    assert 'name="next" value="/things?page=2"' in page.text
