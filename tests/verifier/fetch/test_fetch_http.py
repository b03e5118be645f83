"""One request against servers that are slow, endless, broken or cunning."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from onecert.verifier import CouldNotCheckError, HttpFetch
from onecert.verifier.fetch import FetchAnswer, FetchRequest, http
from onecert.verifier.fetch.wire import Deadline, Wire

LOOPBACK = "127.0.0.0/8"
TICK_S = 0.005


def ask(fetch: HttpFetch, url: str, *, max_bytes: int = 1000, **request: Any) -> FetchAnswer:
    return fetch(FetchRequest(url=url, max_bytes=max_bytes, **request))


def refusal(fetch: HttpFetch, url: str, **request: Any) -> CouldNotCheckError:
    """The error; it names the URL and says in both languages what to do."""
    with pytest.raises(CouldNotCheckError) as caught:
        ask(fetch, url, **request)
    for language in ("zh", "en"):
        assert "http" in caught.value.text(language)
        assert caught.value.hint(language)
    return caught.value


def test_get(web: Any, fetch: HttpFetch) -> None:
    """The whole body, with what later requests and the cache need to know."""
    url = web.serve(
        "/a.crl?x=1",
        b"abc",
        ETag='"v1"',
        Last_Modified="Sat, 21 Nov 2026 08:00:00 GMT",
        Date="Sat, 21 Nov 2026 08:01:00 GMT",
        Cache_Control="public, max-age=600",
        Age="100",
        Content_Type="application/pkix-crl",
    )
    assert ask(fetch, url) == FetchAnswer(
        data=b"abc",
        etag='"v1"',
        last_modified="Sat, 21 Nov 2026 08:00:00 GMT",
        max_age=timedelta(seconds=500),
        content_type="application/pkix-crl",
    )
    asked = web.asked[0]
    assert (asked.method, asked.headers["host"]) == ("GET", f"127.0.0.1:{web.port}")
    assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("modified", "sent"),
    [
        ("Sat, 21 Nov 2026 08:00:00 GMT", "Sat, 21 Nov 2026 08:00:00 GMT"),
        ("Sat, 21 Nov 2026 08:00:00 GMT", "Sat, 21 Nov 2026 08:00:59 GMT"),
        ("Sat, 21 Nov 2026 09:00:00 GMT", "Sat, 21 Nov 2026 08:00:00 GMT"),
        ("Sat, 21 Nov 2026 08:00:00 GMT", ""),
        ("Sat, 21 Nov 2026 08:00:00 GMT", "yesterday"),
        ("Sat, 21 Nov 2026 08:00:00", "Sat, 21 Nov 2026 09:00:00 GMT"),
    ],
)
def test_a_time_of_whole_seconds_tells_nothing_yet(
    web: Any, fetch: HttpFetch, modified: str, sent: str
) -> None:
    """Two lists written in one second bear one time. Must not be asked for "anything since": the second list
    would never come."""
    assert ask(fetch, web.serve("/a.crl", b"abc", Last_Modified=modified, Date=sent)).last_modified == ""


@pytest.mark.parametrize(
    ("control", "seconds"),
    [("no-store", 0), ("max-age=9, no-cache", 0), ("s-maxage=5", None), ("max-age=x", None), ("", None)],
)
def test_how_long_the_server_wants_it_kept(
    web: Any, fetch: HttpFetch, control: str, seconds: int | None
) -> None:
    answer = ask(fetch, web.serve("/a", b"abc", Cache_Control=control))
    assert answer.max_age == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("age", [b"\xb2", b"-1", b"x", b"1.5"])
def test_an_age_that_is_no_number(fetch: HttpFetch, monkeypatch: pytest.MonkeyPatch, age: bytes) -> None:
    """What a server says of the age of its answer is a hint: nonsense (0xB2 is a raised 2) costs no list."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nCache-Control: max-age=60\r\nAge: " + age
    here, there = socket.socketpair()
    with here, there:
        there.sendall(head + b"\r\n\r\nabc")
        monkeypatch.setattr(http, "connect", lambda *_, **__: Wire(here, Deadline(5)))
        answer = ask(fetch, "http://127.0.0.1:8080/a")
    assert (answer.data, answer.max_age) == (b"abc", timedelta(seconds=60))


def test_post(web: Any, fetch: HttpFetch) -> None:
    web.serve("/ocsp", b"answer")
    answer = ask(fetch, web.url("/ocsp"), body=b"question", content_type="application/ocsp-request")
    assert answer.data == b"answer"
    asked = web.asked[0]
    assert (asked.method, asked.body) == ("POST", b"question")
    assert asked.headers["content-type"] == "application/ocsp-request"


def test_not_modified(web: Any, fetch: HttpFetch) -> None:
    """304 only counts for who has a copy."""
    web.pages["/a"] = web.response(status="304 Not Modified", ETag='"v1"')
    answer = ask(fetch, web.url("/a"), etag='"v1"', last_modified="Sat, 21 Nov 2026 08:00:00 GMT")
    assert answer.data is None
    assert web.asked[0].headers["if-none-match"] == '"v1"'
    assert web.asked[0].headers["if-modified-since"] == "Sat, 21 Nov 2026 08:00:00 GMT"
    assert refusal(fetch, web.url("/a")).code == "FETCH_STATUS"


def test_a_kept_validator_cannot_add_headers(web: Any, fetch: HttpFetch) -> None:
    """An entity tag from a file that somebody else wrote is not sent when it has a line break."""
    ask(fetch, web.serve("/a", b"abc"), etag='"v"\r\nX-Evil: 1')
    assert "x-evil" not in web.asked[0].headers
    assert "if-none-match" not in web.asked[0].headers


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oh", "204 No Content", "206 Partial Content"])
def test_status(web: Any, fetch: HttpFetch, status: str) -> None:
    web.pages["/a"] = web.response(b"abc", status)
    error = refusal(fetch, web.url("/a"))
    assert (error.code, error.facts["status"]) == ("FETCH_STATUS", int(status[:3]))


# Size.


def test_size_is_counted(web: Any, fetch: HttpFetch) -> None:
    """1000 octets are allowed: 1001 are too many, declared, chunked, or until the connection ends."""
    assert ask(fetch, web.serve("/fits", bytes(1000))).data == bytes(1000)
    web.pages["/declared"] = web.response(b"", Content_Length="1001")
    web.pages["/chunked"] = web.response(
        b"%x\r\n%s\r\n0\r\n\r\n" % (1001, bytes(1001)), Transfer_Encoding="chunked", Content_Length=""
    )
    web.pages["/until-the-end"] = web.response(bytes(1001), Content_Length="")
    for path in ("/declared", "/chunked", "/until-the-end"):
        assert refusal(fetch, web.url(path)).code == "FETCH_TOO_LARGE"


def test_endless_body(web: Any, fetch: HttpFetch) -> None:
    """A server that never stops is left after ``max_bytes``."""

    def stream(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(65536))

    web.streams["/a"] = stream
    assert refusal(fetch, web.url("/a"), max_bytes=1_000_000).code == "FETCH_TOO_LARGE"


def test_truncated_body(web: Any, fetch: HttpFetch) -> None:
    """Half a list is none: by its length, or by the missing last chunk."""
    web.pages["/length"] = web.response(b"abc", Content_Length="10")
    chunked = {"Transfer_Encoding": "chunked", "Content_Length": ""}
    web.pages["/chunk"] = web.response(b"a\r\nabc", **chunked)
    web.pages["/last"] = web.response(b"3\r\nabc\r\n", **chunked)
    for path in ("/length", "/chunk", "/last"):
        assert refusal(fetch, web.url(path)).code == "FETCH_TRUNCATED"


def test_no_compression(web: Any, fetch: HttpFetch) -> None:
    """A few octets that stand for megabytes are refused before they are looked at."""
    bomb = gzip.compress(bytes(1_000_000))
    web.pages["/content"] = web.response(bomb, Content_Encoding="gzip")
    web.pages["/transfer"] = web.response(bomb, Transfer_Encoding="gzip, chunked", Content_Length="")
    for path in ("/content", "/transfer"):
        assert refusal(fetch, web.url(path)).code == "FETCH_ENCODING"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc\xff" * 3 + bytes(2000),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
    ],
)
def test_what_is_no_http(web: Any, fetch: HttpFetch, octets: bytes) -> None:
    """Only the library's own error leaves, whatever the server says."""
    web.pages["/a"] = octets
    assert refusal(fetch, web.url("/a")).code.startswith("FETCH_")


# Time: one deadline, however the server dawdles.


def drip(head: bytes, each: bytes) -> Callable[[socket.socket], None]:
    def stream(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(each)
            time.sleep(TICK_S)

    return stream


@pytest.mark.parametrize(
    "stream",
    [
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"a"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status", "header", "body", "length", "chunks", "continue"],
)
def test_slow_servers(web: Any, stream: Any) -> None:
    """Every octet comes in time, but not all of them: the thread is free again at the deadline."""
    web.streams["/a"] = stream
    fetch = HttpFetch(timedelta(milliseconds=60), allow=[LOOPBACK])
    error = refusal(fetch, web.url("/a"), max_bytes=10**9)
    assert error.code == "FETCH_TIMEOUT"
    assert error.facts["seconds"] == 0.06


def test_a_request_may_ask_for_less_time(web: Any, fetch: HttpFetch) -> None:
    web.streams["/a"] = drip(b"HTTP/1.1 200 OK\r\n\r\n", b"a")
    error = refusal(fetch, web.url("/a"), max_bytes=10**9, timeout=timedelta(milliseconds=30))
    assert (error.code, error.facts["seconds"]) == ("FETCH_TIMEOUT", 0.03)


def test_slow_name_server() -> None:
    """The system's resolver knows no deadline; ours does."""

    def resolve(host: str, port: int) -> list[str]:
        time.sleep(10 * TICK_S)
        return ["127.0.0.1"]

    fetch = HttpFetch(timedelta(milliseconds=10), resolve=resolve)
    assert refusal(fetch, "http://crl.example/a").code == "FETCH_TIMEOUT"


def test_nobody_listens(fetch: HttpFetch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert refusal(fetch, f"http://127.0.0.1:{port}/a").code == "FETCH_FAILED"


# Redirects.


def test_redirects_are_followed(web: Any, fetch: HttpFetch) -> None:
    web.pages["/a"] = web.redirect("/b", "301 Moved")
    web.pages["/b"] = web.redirect(web.url("/c"), "308 Permanent")
    web.serve("/c", b"abc")
    assert ask(fetch, web.url("/a")).data == b"abc"


def test_redirect_loop(web: Any, fetch: HttpFetch) -> None:
    web.pages["/a"] = web.redirect("/b")
    web.pages["/b"] = web.redirect("/a")
    assert refusal(fetch, web.url("/a")).code == "FETCH_REDIRECT"
    assert len(web.asked) == 4  # the first, and three redirects


def test_no_redirects(web: Any) -> None:
    web.pages["/a"] = web.redirect("/b")
    assert refusal(HttpFetch(allow=[LOOPBACK], max_redirects=0), web.url("/a")).code == "FETCH_REDIRECT"
    assert [asked.path for asked in web.asked] == ["/a"]


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://10.0.0.1/a", "FETCH_ADDRESS"),
        ("http://[::1]/a", "FETCH_ADDRESS"),
        ("http://169.254.169.254/latest/meta-data", "FETCH_ADDRESS"),
        ("file:///etc/passwd", "FETCH_SCHEME"),
        ("gopher://127.0.0.1/x", "FETCH_SCHEME"),
        ("http://user:secret@127.0.0.1/a", "FETCH_URL"),
        ("http://127.0.0.1:25/a", "FETCH_URL"),
        ("http://[/a", "FETCH_FAILED"),
    ],
)
def test_each_hop_is_checked(web: Any, fetch: HttpFetch, location: str, code: str) -> None:
    """A permitted server sends us where we may not go."""
    web.pages["/a"] = web.redirect(location)
    assert refusal(fetch, web.url("/a")).code == code


def test_post_stays_post(web: Any, fetch: HttpFetch) -> None:
    """307 and 308 repeat the POST; 301, 302, 303 would turn it into a GET and are not followed."""
    web.serve("/b", b"abc")
    for status in ("307 Temporary", "308 Permanent"):
        web.pages["/a"] = web.redirect("/b", status)
        assert ask(fetch, web.url("/a"), body=b"question").data == b"abc"
        assert (web.asked[-1].method, web.asked[-1].body) == ("POST", b"question")
    for status in ("301 Moved", "302 Found", "303 See Other"):
        web.pages["/a"] = web.redirect("/b", status)
        assert refusal(fetch, web.url("/a"), body=b"question").code == "FETCH_REDIRECT"


# TLS.


@pytest.fixture
def tls(tmp_path: Path, pki: Any) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server with a certificate for 127.0.0.1, and for clients that trust its issuer."""
    now = datetime.now(UTC)  # the TLS library reads the clock by itself
    dates = {"not_before": now - timedelta(days=1), "not_after": now + timedelta(days=1)}
    root = pki.root("TLS root", **dates)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    server = pki.leaf(root, "server", extra=[(names, False)], **dates)
    pem = server.certificate.public_bytes(Encoding.PEM)
    pem += server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "server.pem").write_bytes(pem)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "server.pem")
    trusting = ssl.create_default_context(cadata=root.certificate.public_bytes(Encoding.PEM).decode())
    return serving, trusting


def test_https(web: Any, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """The server's certificate is checked; without its issuer among the roots there is no answer."""
    web.tls, trusting = tls
    url = web.serve("/a", b"abc")
    assert ask(HttpFetch(allow=[LOOPBACK], tls=trusting), url).data == b"abc"
    assert refusal(HttpFetch(allow=[LOOPBACK]), url).code == "FETCH_TLS"
    # The certificate is for 127.0.0.1, not for this name, although it leads there.
    named = HttpFetch(allow=[LOOPBACK], tls=trusting, resolve=lambda host, port: ["127.0.0.1"])
    assert refusal(named, web.url("/a", "crl.example")).code == "FETCH_TLS"


def test_no_way_down_from_https(web: Any, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    web.tls, trusting = tls
    web.pages["/a"] = web.redirect("http://127.0.0.1/a")
    error = refusal(HttpFetch(allow=[LOOPBACK], tls=trusting), web.url("/a"))
    assert error.code == "FETCH_REDIRECT"


def test_proxies_of_the_environment_are_not_used(
    web: Any, fetch: HttpFetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can set a variable must not see or answer the requests."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert ask(fetch, web.serve("/a", b"abc")).data == b"abc"
