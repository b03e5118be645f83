"""Serves the lists of a kit on this machine, and nothing else of the folder.

The timestamp of the trust list is signed anew when it is asked for: a kit serves for months, a timestamp for
hours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from onecert.testkit.errors import KitError
from onecert.testkit.kit import Kit, sign_timestamp
from onecert.verifier.trust_list.published import TIMESTAMP_FILE

__all__ = ["make_server"]

_LOOPBACK = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, kit: Kit, clock: Callable[[], datetime], **settings: Any) -> None:
        self._kit = kit
        self._clock = clock
        super().__init__(*args, directory=str(kit.folder / "site"), **settings)

    def do_GET(self) -> None:
        """A file of the site, or a new timestamp."""
        if urlsplit(self.path).path != f"{urlsplit(self._kit.base_url).path}/{TIMESTAMP_FILE}":
            super().do_GET()
            return
        try:
            data = sign_timestamp(self._kit.folder, at=self._clock())
        except KitError:
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """One line for each list that a department fetches would say nothing."""


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def make_server(
    kit: Kit, *, port: int | None = None, clock: Callable[[], datetime] = _now
) -> ThreadingHTTPServer:
    """A server on the loopback address; call its ``serve_forever``.

    Args:
        port: that of the kit's address by default; another one is for a proxy that stands at that address.

    Raises:
        KitError: ``PORT_DIFFERS``: the signed list names another port; ``PORT_TAKEN``.
    """
    address = urlsplit(kit.base_url)
    is_ours = address.hostname in {_LOOPBACK, "localhost"}
    named = address.port or (443 if address.scheme == "https" else 80)
    wanted = named if port is None else port
    # Behind another name stands a proxy, which may forward to any port.
    if is_ours and wanted != named:
        raise KitError("PORT_DIFFERS", url=kit.base_url, port=wanted)
    handler = partial(_Handler, kit=kit, clock=clock)
    try:
        return ThreadingHTTPServer((_LOOPBACK, wanted), handler)
    except OSError as exc:
        raise KitError("PORT_TAKEN", port=wanted, detail=exc.strerror) from exc
