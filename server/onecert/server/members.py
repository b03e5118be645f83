"""What a member (ca, ra, pmi, supervision) tells the server about itself, and what it gets from it.

A member announces itself by an entry point of group ``onecert.members``: ``ca = "onecert.ca.member:member"``.
`onecert up` builds whatever is installed; a command of a member uses `open_context` for the same things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIApplication

import httpx

from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import PrivateKey
from onecert.server.errors import MemberUnknownError
from onecert.server.jobs import Job
from onecert.server.loading import load
from onecert.server.processes import Alone, Living

if TYPE_CHECKING:
    from onecert.server.doctor.finding import Finding
    from onecert.server.operators import Operators

__all__ = ["Context", "Kept", "Member", "Service", "installed_members", "load_member", "open_context"]

ENTRY_POINT_GROUP = "onecert.members"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One installable part of OneCert that runs as a service."""

    name: str  # "ca": also its section of the settings, its folder, its path
    config: type[Any]  # frozen dataclass, read from section [ca] and ONECERT_CA_*
    migrations: str  # "onecert.ca.migrations"
    catalogue: str  # "onecert.ca": the package that has locale/
    roles: Mapping[str, str]  # role -> English msgid: {"clerk.entry": "Entry clerk"}
    build: Callable[[Any, Context], Service]
    keep: Callable[[Any, Context], Kept] | None = None  # what backups ask; None: folder and database are all
    # Copied before this one: what the others have on record this one must know.
    kept_after: tuple[str, ...] = ()
    # What `onecert doctor` asks, also while no service runs: looks, and changes nothing. The tables are those
    # that this program needs.
    examine: Callable[[Any, Context], Iterable[Finding]] | None = None


@dataclass(kw_only=True)
class Kept:
    """What a backup, and a drill on a restored one, ask a member beyond its folder and its database."""

    audit_key: Callable[[], PrivateKey | None]  # signs what was copied; None while its token is away
    # What may never be lower than somebody outside has seen, by name: {"crl harbour": 12}.
    numbers: Callable[[], Mapping[str, int]] = dict
    # Of a restored service: does it keep its word? One line of text for each thing that is wrong.
    faults: Callable[[], Iterable[str]] = tuple
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a service is given to stand on."""

    name: str
    data: Path  # the member's own folder, DATA/<name>, mode 0700
    shared: Path  # DATA itself: only the SoftHSM store is shared there
    database: Database
    audit: AuditTrail
    clock: Clock
    operators: Operators
    public_url: str  # https://127.0.0.1:8443/<name>
    status_url: str  # http://127.0.0.1:8080/<name>
    # Files of CA certificates for operators' certificates, besides those in DATA/operator-anchors.
    operator_anchors: tuple[Path, ...] = ()
    connect: Callable[[str], httpx.Client]
    # This process and the others on the database.
    processes: Living = field(default_factory=Alone)

    def client(self, service: str) -> httpx.Client:
        """Return a client for another service; paths are relative to it: ``get("v1/authorities")``.

        Inside one process it calls the mounted application, otherwise it goes over the network; the caller
        does not notice, except by `httpx.TransportError` when the other one is away.
        """
        return self.connect(service)


@dataclass(kw_only=True)
class Service:
    """What a member builds."""

    app: WSGIApplication  # mounted at /<name> on https
    status: WSGIApplication | None = None  # mounted at /<name> on http: CRL, OCSP, CA certificates, lists
    jobs: Sequence[Job] = ()
    checks: Mapping[str, Callable[[], None]] = field(default_factory=dict)  # readiness: raises ServiceError
    audit_key: PrivateKey | None = None  # token key that signs the heads of this service's audit trail
    find_audit_key: Callable[[], PrivateKey | None] | None = None  # asked again while there is none
    figures: Callable[[datetime], None] | None = None  # brings its own metrics up to date
    close: Callable[[], None] = lambda: None


def installed_members() -> list[str]:
    """Return the names of the installed members, without importing them."""
    return sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))


def load_member(name: str) -> Member:
    """Import one installed member.

    Raises:
        MemberUnknownError: none of this name is installed.
    """
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        member = load(point)
        if not isinstance(member, Member) or member.name != name:
            raise TypeError(f"entry point {name} of {ENTRY_POINT_GROUP} is not the member called so")
        return member
    raise MemberUnknownError(name, installed_members())


def open_context(
    name: str,
    data: Path,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Context:
    """Open what an installed member stands on, for a command: migrated, on the service's own database.

    Use `onecert.server.contexts.open_member` when the member's settings are needed as well.
    """
    # contexts.py imports this module.
    from onecert.server.contexts import open_member  # noqa: PLC0415

    return open_member(name, data, config=config, environ=environ, clock=clock).context
