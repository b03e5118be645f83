"""Serves a status process by cheroot: one address or one socket, until a signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from onecert.ca.status.app import StartResponse
from onecert.server.serve import CannotListenError
from onecert.server.tls import WaitingServer

__all__ = ["listening_server", "serve_until_signal"]

# An OCSP request has at most 16 KiB; nobody sends a status service more.
REQUEST_MAX_OCTETS = 64 * 1024
HEADERS_MAX_OCTETS = 16 * 1024
# From the first octet of a request to its last, and between two requests of one connection.
PATIENCE_S = 10
BACKLOG = 512


def listening_server(app: Any, address: tuple[str, int] | Path, *, threads: int) -> WaitingServer:
    """Listen; `serve()` then answers, in the thread that calls it.

    Args:
        address: host and port (0: any that is free), or the path of a socket for a proxy of the same group.

    Raises:
        CannotListenError
    """
    where = str(address) if isinstance(address, Path) else address
    server = WaitingServer(
        where,
        app,
        numthreads=threads,
        server_name="onecert",
        timeout=PATIENCE_S,
        shutdown_timeout=5,
        request_queue_size=BACKLOG,
    )
    server.max_request_body_size = REQUEST_MAX_OCTETS
    server.max_request_header_size = HEADERS_MAX_OCTETS
    # A socket is for the owner and the group, which the proxy is in; by the umask: never wider.
    before = os.umask(0o117)
    try:
        server.prepare()
    except OSError as exc:
        reason = exc.__cause__.strerror if isinstance(exc.__cause__, OSError) else str(exc)
        raise CannotListenError(where, reason or str(exc)) from exc
    finally:
        os.umask(before)
    return server


def serve_until_signal(
    app: Callable[[dict[str, Any], StartResponse], Any],
    address: tuple[str, int] | Path,
    *,
    threads: int,
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; requests that run are finished.

    Args:
        ready: is told where it listens.
    """
    server = listening_server(app, address, threads=threads)

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        bound = server.bind_addr
        ready(f"http://{bound[0]}:{bound[1]}" if isinstance(bound, tuple) else str(bound))
        server.serve()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        server.stop()
