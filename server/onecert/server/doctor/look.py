"""Everything, in the order in which a person would look: settings, machine, databases, running services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from onecert.server.clock import Clock
from onecert.server.config import ServerConfig
from onecert.server.contexts import SETTINGS_FILE, load_member_settings, make_peers
from onecert.server.doctor.finding import Finding, fault_of
from onecert.server.doctor.machine import (
    MACHINE,
    look_at_certificate,
    look_at_clock,
    look_at_disk,
    look_at_folders,
)
from onecert.server.doctor.service import look_at_running, look_at_stored
from onecert.server.doctor.settings import look_at_settings
from onecert.server.errors import ConfigError
from onecert.server.local_client import Peers
from onecert.server.members import Member

__all__ = ["look"]


def look(
    members: Sequence[Member],
    data: Path,
    *,
    config: Path | None = None,
    clock: Clock,
    deep: bool = False,
) -> Iterator[Finding]:
    """Look at everything; each finding as it is known.

    Args:
        config: the settings file; default DATA/onecert.toml when there is one.
        deep: read databases of any size whole.
    """
    at = clock.now()
    yield from look_at_folders(data, [member.name for member in members])
    yield look_at_disk(data)
    yield look_at_clock()
    try:
        settings = load_member_settings(members, data, config=config)
    except ConfigError as exc:
        yield fault_of(MACHINE, "settings", exc)
        return
    names = [member.name for member in members]
    sections = ["server", "sign_in", *names, *(f"database.{name}" for name in names)]
    default = data / SETTINGS_FILE
    yield from look_at_settings(settings, sections, config or (default if default.is_file() else None))
    server = settings.section("server", ServerConfig)
    if server.https_socket is None:
        yield look_at_certificate(server.tls_certificate or data / "tls" / "certificate.pem", at)
    peers = make_peers(server, data)
    for member in members:
        if (data / member.name).is_dir():
            told = set()
            for finding in look_at_stored(
                member, data.absolute(), settings, peers=peers, clock=clock, deep=deep
            ):
                told.add((finding.subject, finding.code))
                yield finding
            with _client(server, peers, member.name) as client:
                for finding in look_at_running(member, client):
                    # What was found without the service need not be said twice.
                    if (finding.subject, finding.code) not in told:
                        yield finding


def _client(server: ServerConfig, peers: Peers, service: str) -> httpx.Client:
    """The way to the service on this machine: its port, or the socket behind the proxy."""
    if server.https_socket is None:
        return peers.client(service)
    transport = httpx.HTTPTransport(uds=str(server.https_socket))
    return httpx.Client(base_url=f"http://localhost/{service}/", transport=transport)
