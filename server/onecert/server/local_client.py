"""HTTP between services: the same client whether the other service is mounted in this process or far away.

Inside one process the request goes to the mounted application through `httpx.WSGITransport`: the same bytes,
the same checks, no socket. Otherwise it goes over TLS, verified against the peer anchors of the settings.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from wsgiref.types import WSGIApplication

import httpx

__all__ = ["TIMEOUT", "Peers"]

# Issuing on a slow token may take seconds; connecting may not.
TIMEOUT = httpx.Timeout(30.0, connect=5.0)


class Peers:
    """Finds the other services of this installation.

    Args:
        base_url: where this process (or the one that serves this data folder) answers https, without a path.
        urls: service -> its base URL with its path, from the settings; wins over `base_url`.
        anchors: PEM files that the peers' TLS certificates must lead to.
    """

    def __init__(self, base_url: str, *, urls: Mapping[str, str], anchors: Sequence[Path]) -> None:
        self._base_url = base_url
        self._urls = dict(urls)
        self._anchors = tuple(anchors)
        self._mounts: dict[str, WSGIApplication] = {}

    def mount(self, service: str, app: WSGIApplication) -> None:
        """From now on, requests for this service go to `app`, which is called with the full path."""
        self._mounts[service] = app

    def client(self, service: str) -> httpx.Client:
        """Return a client whose relative paths begin at the service. Close it, or keep it."""
        base_url = self._urls.get(service, f"{self._base_url}/{service}")
        return httpx.Client(base_url=base_url, transport=_Transport(self, service), timeout=TIMEOUT)

    def find_mount(self, service: str) -> WSGIApplication | None:
        """Return the application mounted in this process; one that settings place elsewhere is not used."""
        return None if service in self._urls else self._mounts.get(service)

    def network_transport(self) -> httpx.HTTPTransport:
        """Return a transport that verifies the peer's certificate."""
        context = ssl.create_default_context()
        # An anchor may be an issuing CA, or the peer's own self-signed certificate on the same machine.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for anchor in self._anchors:
            if anchor.is_file():
                context.load_verify_locations(cafile=anchor)
        return httpx.HTTPTransport(verify=context, retries=1)


class _Transport(httpx.BaseTransport):
    """Chooses at the first request, because services are built one after the other."""

    def __init__(self, peers: Peers, service: str) -> None:
        self._peers = peers
        self._service = service
        self._chosen: httpx.BaseTransport | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._chosen is None:
            app = self._peers.find_mount(self._service)
            if app is None:
                self._chosen = self._peers.network_transport()
            else:
                self._chosen = httpx.WSGITransport(app=app, raise_app_exceptions=False)
        return self._chosen.handle_request(request)

    def close(self) -> None:
        if self._chosen is not None:
            self._chosen.close()
