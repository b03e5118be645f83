"""A web server on the loopback interface that writes its answers octet by octet: they may be wrong."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

sys.path.insert(0, str(Path(__file__).parent))

from fetch_hierarchy import Hierarchy, access, points
from fetch_network import Network

from onecert.verifier.fetch import HttpFetch

LOOPBACK = "127.0.0.0/8"


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer; ``Content_Length="5"`` says something else than the truth."""
    fields = {"Content-Length": str(len(body))} | {k.replace("_", "-"): v for k, v in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return response(status=status, Location=location)


@dataclass
class Web:
    """``pages``: path -> whole answer, or what makes one; ``streams``: path -> who talks to the socket."""

    port: int = 0
    host: str = "127.0.0.1"
    pages: dict[str, bytes | Callable[[Asked], bytes]] = field(default_factory=dict)
    streams: dict[str, Callable[[socket.socket], None]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    tls: Any = None

    response = staticmethod(response)
    redirect = staticmethod(redirect)

    def url(self, path: str, host: str = "") -> str:
        return f"{'https' if self.tls else 'http'}://{host or self.host}:{self.port}{path}"

    def serve(self, path: str, data: bytes, **headers: str) -> str:
        """A page with this body; its URL."""
        self.pages[path] = response(data, **headers)
        return self.url(path)

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    def handle(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                line = stream.readline().decode()
                if not line:
                    return
                method, path, _ = line.split()
                headers = {}
                while header := stream.readline().decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", "0")))
                asked = Asked(method, path, headers, body)
                self.asked.append(asked)
                if path in self.streams:
                    self.streams[path](connection)
                    return
                page = self.pages.get(path, response(b"not here", "404 Not Found"))
                connection.sendall(page if isinstance(page, bytes) else page(asked))


@contextlib.contextmanager
def serving(web: Web) -> Iterator[Web]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            web.handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Server((web.host, 0), Handler) as server:
        web.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def web() -> Iterator[Web]:
    """An empty web server."""
    with serving(Web()) as one:
        yield one


@pytest.fixture
def make_web() -> Iterator[Callable[[Web], Web]]:
    """Further servers, with settings."""
    with contextlib.ExitStack() as stack:
        yield lambda web: stack.enter_context(serving(web))


@pytest.fixture
def fetch() -> HttpFetch:
    """Asks the loopback interface too."""
    return HttpFetch(allow=[LOOPBACK])


@pytest.fixture
def root(pki: Any) -> Any:
    return pki.root()


@pytest.fixture
def network(pki: Any, root: Any) -> Network:
    """Has a list that is good from an hour before T until a day after T."""
    return Network(pki.crl(root))


@pytest.fixture
def hierarchy(web: Any, pki: Any) -> Hierarchy:
    url = web.url
    root = pki.root()
    policy_ca = pki.ca(root, "Policy CA", extra=[points(url("/root.crl")), access(issuers=url("/root.cer"))])
    issuing_ca = pki.ca(
        policy_ca, "Issuing CA", extra=[points(url("/policy.crl")), access(issuers=url("/policy.cer"))]
    )
    leaf = pki.leaf(
        issuing_ca,
        extra=[points(url("/issuing.crl")), access(issuers=url("/issuing.p7c"))],
    )
    made = Hierarchy(web, pki, root, policy_ca, issuing_ca, leaf)
    made.publish_lists()
    web.serve("/policy.cer", policy_ca.der)
    web.serve("/issuing.p7c", pkcs7.serialize_certificates([issuing_ca.certificate], Encoding.DER))
    return made
