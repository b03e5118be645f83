"""Everything, in the order in which a person would look: settings, machine, databases, running services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import httpx

from onecert.server.config import ServerConfig
from onecert.server.contexts import load_member_settings, make_peers
from onecert.server.doctor.finding import Finding, fault_of, sound
from onecert.server.doctor.machine import (
    MACHINE,
    look_at_certificate,
    look_at_clock,
    look_at_disk,
    look_at_folders,
)
from onecert.server.doctor.service import look_at_database, look_at_running
from onecert.server.errors import ConfigError
from onecert.server.local_client import Peers
from onecert.server.members import Member

__all__ = ["look"]


def look(
    members: Sequence[Member], data: Path, *, config: Path | None = None, at: datetime
) -> Iterator[Finding]:
    """Look at everything; each finding as it is known.

    Args:
        config: the settings file; default DATA/onecert.toml when there is one.
    """
    yield from look_at_folders(data)
    yield look_at_disk(data)
    yield look_at_clock()
    try:
        settings = load_member_settings(members, data, config=config)
    except ConfigError as exc:
        yield fault_of(MACHINE, "settings", exc)
        return
    yield sound(MACHINE, "settings")
    server = settings.section("server", ServerConfig)
    if server.https_socket is None:
        yield look_at_certificate(server.tls_certificate or data / "tls" / "certificate.pem", at)
    peers = make_peers(server, data)
    for member in members:
        if (data / member.name).is_dir():
            yield look_at_database(member, data / member.name, settings)
            with _client(server, peers, member.name) as client:
                yield from look_at_running(member, client)


def _client(server: ServerConfig, peers: Peers, service: str) -> httpx.Client:
    """The way to the service on this machine: its port, or the socket behind the proxy."""
    if server.https_socket is None:
        return peers.client(service)
    transport = httpx.HTTPTransport(uds=str(server.https_socket))
    return httpx.Client(base_url=f"http://localhost/{service}/", transport=transport)
