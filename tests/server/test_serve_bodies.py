"""Bodies whose end is not said plainly: refused, and nothing of them is taken for another request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from onecert.server.streams import Writer
from onecert.server.tls import WaitingServer

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def served() -> Iterator[tuple[int, list[str]]]:
    """The server under an application that reads no body, as views do that refuse before they read."""
    paths: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        paths.append(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    server = WaitingServer(("127.0.0.1", 0), app, numthreads=2, timeout=5, shutdown_timeout=1)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server.bind_addr[1], paths
    server.stop()
    thread.join(10)


def heard(port: int, sent: bytes) -> bytes:
    """All that the server says until it ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while part := connection.recv(65536):
            said += part
        return said


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b"Transfer-Encoding: chunked", id="chunked"),
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked", id="both"),
        pytest.param(b"Content-Length: -1", id="negative"),
        pytest.param(b"Content-Length: +0", id="with a sign"),
        pytest.param(b"Content-Length: 0_0", id="digits of Python"),
    ],
)
def test_no_request_hides_in_a_body(served: tuple[int, list[str]], fields: bytes) -> None:
    port, paths = served
    said = heard(port, b"POST /seen HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + HIDDEN)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in said
    assert paths == []


def test_a_body_that_nobody_reads_is_no_request(served: tuple[int, list[str]]) -> None:
    port, paths = served
    head = b"POST /seen HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
    said = heard(port, head + HIDDEN + HIDDEN.replace(b"hidden", b"next"))
    assert said.count(b"HTTP/1.1 200") == 2
    assert paths == ["/seen", "/next"]


def test_requests_sent_together_are_all_answered(served: tuple[int, list[str]]) -> None:
    """What was read with the first request is the second one: nobody waits for more of it."""
    port, paths = served
    one = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    said = heard(port, one % 1 + one % 2 + one % 3)
    assert paths == ["/1", "/2", "/3"]
    assert said.count(b"HTTP/1.1 200 OK\r\n") == said.count(b"\r\n\r\nok") == 3


def test_head_and_body_arrive_in_one_piece() -> None:
    """The head of an answer waits for what follows it, and goes alone when nothing does."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = Writer(ours)
        writer.hold()
        writer.write(b"head ")
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(100)
        writer.write(b"body")
        assert theirs.recv(100) == b"head body"
        writer.hold()
        writer.write(b"head alone")
        writer.flush()
        writer.flush()
        assert theirs.recv(100) == b"head alone"
