"""Which URLs and addresses are asked: public ones, and those that are allowed by name or network."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError, HttpFetch
from onecert.verifier.fetch import ANYWHERE, FetchRequest
from onecert.verifier.fetch.addresses import is_public


def ask(fetch: HttpFetch, url: str) -> bytes | None:
    return fetch(FetchRequest(url=url, max_bytes=1000)).data


def refusal(fetch: HttpFetch, url: str) -> str:
    with pytest.raises(CouldNotCheckError) as caught:
        ask(fetch, url)
    return caught.value.code


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_not_public(address: str) -> None:
    """Private, loopback, link-local, multicast, documentation, reserved; also wrapped into IPv6."""
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    assert refusal(HttpFetch(), f"http://{host}/a") == "FETCH_ADDRESS"
    assert refusal(HttpFetch(resolve=lambda host, port: [address]), "http://crl.example/a") == "FETCH_ADDRESS"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.01",
        "010.8.8.8",
        "1.2.3.4.5",
        "1.",
    ],
)
def test_numbers_that_hide_an_address(host: str) -> None:
    """The system would read them as IPv4 addresses; here an address is four decimal numbers or none."""
    anywhere = HttpFetch(allow=ANYWHERE, resolve=lambda host, port: ["127.0.0.1"])
    assert refusal(anywhere, f"http://{host}/a") == "FETCH_ADDRESS"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ldap://directory.example/cn=CA?certificateRevocationList", "FETCH_SCHEME"),
        ("ftp://ftp.example/a.crl", "FETCH_SCHEME"),
        ("file:///etc/passwd", "FETCH_SCHEME"),
        ("", "FETCH_URL"),
        ("a.crl", "FETCH_SCHEME"),
        ("http:///a.crl", "FETCH_URL"),
        ("http://", "FETCH_URL"),
        ("http://user@crl.example/", "FETCH_URL"),
        ("http://user:secret@crl.example/", "FETCH_URL"),
        ("http://crl.example:0/", "FETCH_URL"),
        ("http://crl.example:22/", "FETCH_URL"),
        ("http://crl.example:99999/", "FETCH_URL"),
        ("http://crl.example:x/", "FETCH_URL"),
        ("http://crl example/", "FETCH_URL"),
        ("http://crl.example/a b", "FETCH_URL"),
        ("http://crl.example/a\r\nX-Evil: 1", "FETCH_URL"),
        ("http://crl.example/\u4e2d", "FETCH_URL"),
        ("http://[fe80::1%25eth0]/", "FETCH_URL"),
        ("http://[::1/", "FETCH_URL"),
        ("http://[v7.x]/", "FETCH_URL"),
        ("http://crl..example/", "FETCH_URL"),
        ("http://" + "a" * 300 + "/", "FETCH_URL"),
        ("http://crl.example/" + "a" * 3000, "FETCH_URL"),
    ],
)
def test_urls_that_are_not_asked(url: str, code: str) -> None:
    """Nothing is looked up, nothing is sent."""

    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    assert refusal(HttpFetch(allow=ANYWHERE, resolve=resolve), url) == code


def test_rebinding_gains_nothing(web: Any) -> None:
    """A name that leads somewhere else when it is asked again, for a redirect: that is checked again."""
    answers = iter(["127.0.0.1", "10.0.0.1"])
    fetch = HttpFetch(allow=["127.0.0.1"], resolve=lambda host, port: [next(answers)])
    web.pages["/a"] = web.redirect("/b")
    assert refusal(fetch, web.url("/a", "crl.example")) == "FETCH_ADDRESS"
    assert [asked.path for asked in web.asked] == ["/a"]


def test_the_connection_goes_to_the_address_that_was_checked(web: Any) -> None:
    """The name is looked up once for one request; Host keeps the name."""
    looked_up = []

    def resolve(host: str, port: int) -> list[str]:
        looked_up.append((host, port))
        return ["127.0.0.1"]

    web.serve("/a", b"abc")
    fetch = HttpFetch(allow=["crl.example"], resolve=resolve)
    assert ask(fetch, web.url("/a", "CRL.Example.")) == b"abc"
    assert looked_up == [("crl.example", web.port)]
    assert web.asked[0].headers["host"] == f"crl.example:{web.port}"


def test_forbidden_addresses_of_a_name_are_left_out(web: Any) -> None:
    """A name with a private and an allowed address is asked at the allowed one only."""
    web.serve("/a", b"abc")
    fetch = HttpFetch(
        allow=["127.0.0.1"], resolve=lambda host, port: ["10.0.0.1", "fe80::1%eth0", "127.0.0.1"]
    )
    assert ask(fetch, web.url("/a", "crl.example")) == b"abc"


def test_an_address_that_does_not_answer_leaves_time_for_the_next(web: Any) -> None:
    """The first address refuses the connection."""
    web.serve("/a", b"abc")
    fetch = HttpFetch(allow=["127.0.0.0/8"], resolve=lambda host, port: ["127.7.7.7", "127.0.0.1"])
    assert ask(fetch, web.url("/a", "crl.example")) == b"abc"


@pytest.mark.parametrize(
    "allow", ["127.0.0.1", "127.0.0.0/8", "crl.city.example", "*.city.example", "*.example"]
)
def test_allowed(web: Any, allow: str) -> None:
    web.serve("/a", b"abc")
    fetch = HttpFetch(allow=[allow], resolve=lambda host, port: ["127.0.0.1"])
    assert ask(fetch, web.url("/a", "crl.city.example")) == b"abc"


@pytest.mark.parametrize("allow", ["10.0.0.0/8", "city.example", "*.crl.city.example", "ity.example", "::1"])
def test_not_allowed(web: Any, allow: str) -> None:
    fetch = HttpFetch(allow=[allow], resolve=lambda host, port: ["127.0.0.1"])
    assert refusal(fetch, web.url("/a", "crl.city.example")) == "FETCH_ADDRESS"


def test_only(web: Any) -> None:
    """With ``only`` nothing else is asked, be it public; and it does not open what is private."""
    web.serve("/a", b"abc")
    resolve = {"a.example": "127.0.0.1", "b.example": "8.8.8.8"}
    url = web.url("/a", "a.example")
    fetch = HttpFetch(only=["a.example"], allow=["127.0.0.1"], resolve=lambda host, port: [resolve[host]])
    assert ask(fetch, url) == b"abc"
    assert refusal(fetch, "http://b.example/a") == "FETCH_ADDRESS"
    fetch = HttpFetch(only=["a.example"], resolve=lambda host, port: [resolve[host]])
    assert refusal(fetch, url) == "FETCH_ADDRESS"


def test_ports(web: Any) -> None:
    web.serve("/a", b"abc")
    assert ask(HttpFetch(allow=["127.0.0.1"], ports=[web.port]), web.url("/a")) == b"abc"
    assert refusal(HttpFetch(allow=["127.0.0.1"], ports=[80]), web.url("/a")) == "FETCH_URL"


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "a b", "", "*", "http://x/"])
def test_wrong_settings_are_said_at_once(entry: str) -> None:
    with pytest.raises(ValueError, match="neither a network nor a host name"):
        HttpFetch(allow=[entry])


def test_unknown_name() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    assert refusal(HttpFetch(resolve=resolve), "http://crl.example/a") == "FETCH_FAILED"
    assert refusal(HttpFetch(resolve=lambda host, port: []), "http://crl.example/a") == "FETCH_FAILED"
