"""Serves the lists of a kit on this machine, and nothing else of the folder."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from onecert.testkit.errors import KitError
from onecert.testkit.kit import Kit

__all__ = ["make_server"]

_LOOPBACK = "127.0.0.1"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """One line for each list that a department fetches would say nothing."""


def make_server(kit: Kit, *, port: int | None = None) -> ThreadingHTTPServer:
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
    handler = partial(_Quiet, directory=str(kit.folder / "site"))
    try:
        return ThreadingHTTPServer((_LOOPBACK, wanted), handler)
    except OSError as exc:
        raise KitError("PORT_TAKEN", port=wanted, detail=exc.strerror) from exc
