"""Opens what a service stands on: folder, settings, database, audit trail, operators, the way to peers.

`onecert up` opens all of them in one process; a command such as ``onecert ca revoke`` opens one, on the same
database.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock, SystemClock
from onecert.server.config import DatabaseConfig, ServerConfig, Settings, load_settings
from onecert.server.database import Database, migrate, wait_until_ready
from onecert.server.errors import ConfigError, DatabaseLostError
from onecert.server.folders import make_private_folder
from onecert.server.languages import gettext
from onecert.server.local_client import Peers
from onecert.server.members import Context, Member, installed_members, load_member
from onecert.server.operators import Operators, SignInConfig
from onecert.server.processes import Processes

__all__ = ["OpenedMember", "context_of", "load_member_settings", "open_member", "open_members"]

SERVER_MIGRATIONS = "onecert.server.migrations"
SETTINGS_FILE = "onecert.toml"


@dataclass(frozen=True, kw_only=True)
class OpenedMember:
    """A member with its settings and everything `build` needs."""

    member: Member
    config: Any
    context: Context
    processes: Processes

    def close(self) -> None:
        """Leave, and close the database; the folder needs no closing."""
        self.processes.close()
        self.context.database.close()


def load_member_settings(
    members: Sequence[Member],
    data: Path,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of the server and of these members.

    Sections of other installed members are left to those who run them: one file may serve a whole machine.

    Args:
        config: the file; default DATA/onecert.toml when there is one.

    Raises:
        ConfigError: with every fault.
    """
    sections: dict[str, type[Any]] = {"server": ServerConfig, "sign_in": SignInConfig}
    for member in members:
        sections |= {member.name: member.config, f"database.{member.name}": DatabaseConfig}
    others = [name for name in installed_members() if name not in sections]
    if config is None and (data / SETTINGS_FILE).is_file():
        config = data / SETTINGS_FILE
    return load_settings(
        sections,
        file=config,
        environ=os.environ if environ is None else environ,
        foreign=[*others, *(f"database.{name}" for name in others)],
    )


def open_members(
    members: Sequence[Member],
    data: Path,
    settings: Settings,
    *,
    peers: Peers | None = None,
    clock: Clock | None = None,
    patience: timedelta = timedelta(0),
) -> list[OpenedMember]:
    """Open several members on the same data folder; all of them or none.

    Args:
        peers: shared by the members, so that they find each other in this process.
        patience: how long to wait for a database server that is still starting.
    """
    make_private_folder(data)
    server = settings.section("server", ServerConfig)
    peers = peers or make_peers(server, data)
    opened: list[OpenedMember] = []
    try:
        for member in members:
            each = _open(
                member,
                data.absolute(),
                settings,
                peers=peers,
                clock=clock or SystemClock(),
                patience=patience,
            )
            opened.append(each)
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def open_member(
    name: str,
    data: Path,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> OpenedMember:
    """Open one installed member, as a command does.

    Raises:
        MemberUnknownError: it is not installed.
        ConfigError: the settings have faults.
        DatabaseUnavailableError: its database cannot be opened or migrated.
    """
    member = load_member(name)
    settings = load_member_settings([member], data, config=config, environ=environ)
    (opened,) = open_members([member], data, settings, clock=clock)
    return opened


def make_peers(server: ServerConfig, data: Path) -> Peers:
    """Return the way to the other services, as the settings say."""
    anchors = (*server.peer_anchors, server.tls_certificate or data / "tls" / "certificate.pem")
    # A command on this machine asks the process that serves this data folder, wherever the public URL leads.
    host = "127.0.0.1" if server.host in {"0.0.0.0", "::"} else server.host  # noqa: S104 - compared, not bound
    return Peers(origin("https", host, server.https_port), urls=server.peers, anchors=anchors)


def origin(scheme: str, host: str, port: int) -> str:
    """Return scheme://host:port, with brackets around an IPv6 address."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def public_origins(server: ServerConfig) -> tuple[str, str]:
    """Return how people and programs outside reach https and http, without a path."""
    https = server.public_url.rstrip("/") or origin("https", server.host, server.https_port)
    http = server.status_url.rstrip("/") or origin("http", server.host, server.http_port)
    return https, http


def _open(
    member: Member,
    data: Path,
    settings: Settings,
    *,
    peers: Peers,
    clock: Clock,
    patience: timedelta,
) -> OpenedMember:
    folder = make_private_folder(data / member.name)
    database = open_database(member.name, folder, settings.section(f"database.{member.name}", DatabaseConfig))
    processes = Processes(database, clock, folder, version=_version(member.name))
    try:
        _check_not_lost(database)
        if patience:
            wait_until_ready(database, patience=patience)
        migrate(database, SERVER_MIGRATIONS, member.migrations)
        _note_made(database)
        processes.begin()
    except BaseException:
        database.close()
        raise
    context = context_of(
        member, data, settings, peers=peers, clock=clock, database=database, processes=processes
    )
    return OpenedMember(member=member, config=settings[member.name], context=context, processes=processes)


def context_of(
    member: Member,
    data: Path,
    settings: Settings,
    *,
    peers: Peers,
    clock: Clock,
    database: Database,
    processes: Processes,
) -> Context:
    """What a member is given to stand on; nothing is made, migrated or opened."""
    folder = data / member.name
    audit = AuditTrail(member.name, clock)
    server = settings.section("server", ServerConfig)
    https, http = public_origins(server)
    return Context(
        name=member.name,
        data=folder,
        shared=data,
        database=database,
        audit=audit,
        clock=clock,
        operators=Operators(
            folder,
            audit=audit,
            clock=clock,
            roles=member.roles,
            config=settings.section("sign_in", SignInConfig),
        ),
        public_url=f"{https}/{member.name}",
        status_url=f"{http}/{member.name}",
        operator_anchors=server.operator_anchors,
        connect=peers.client,
        processes=processes,
    )


def _version(member: str) -> str:
    try:
        return version(f"onecert-{member}")
    except PackageNotFoundError:
        return ""


def _marker(path: Path) -> Path:
    return path.with_name(path.name + "-made")


def _check_not_lost(database: Database) -> None:
    """Refuse to begin an empty database where one was: it would be taken for the whole record.

    Raises:
        DatabaseLostError
    """
    path = database.path
    if path is not None and not path.exists() and _marker(path).exists():
        raise DatabaseLostError(str(path), str(_marker(path)))


def _note_made(database: Database) -> None:
    if database.path is not None and not _marker(database.path).exists():
        _marker(database.path).touch(mode=0o600)


def open_database(name: str, folder: Path, config: DatabaseConfig) -> Database:
    """Open the database of one service; nothing is read or written yet."""
    section = f"[database.{name}]"
    if not config.url:
        return Database(f"sqlite:///{folder / name}.db")
    try:
        url = make_url(config.url)
        if config.password_file is not None:
            url = url.set(password=config.password_file.read_text(encoding="utf-8").strip())
        is_postgresql = url.get_backend_name() == "postgresql"
        # Several services may share one PostgreSQL database; each has a schema of its own there.
        schema = (config.schema or name) if is_postgresql else (config.schema or None)
        return Database(url.render_as_string(hide_password=False), schema=schema)
    except OSError as exc:
        fault = gettext("%(file)s: cannot be read (%(reason)s)", file="password_file", reason=exc.strerror)
        raise ConfigError([f"{section} {fault}"]) from exc
    except (ArgumentError, ValueError) as exc:
        raise ConfigError([f"{section} url: {exc}"]) from exc
