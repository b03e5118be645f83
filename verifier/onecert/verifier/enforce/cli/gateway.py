"""``gateway``: the service that a gateway asks, with the standard library's server.

[gateway]
issuer = "gateway.example"
audience = "tax"
key = "/etc/onecert/gateway.key"        # PKCS #8 in PEM, readable by this program alone
life_seconds = 30
certificate_header = "Client-Cert"
socket = "/run/onecert-gateway/http.sock"   # or: port = 8095, on the loopback address

[[routes]]
path = "/declarations/"
methods = ["POST"]
roles = ["urn:onecert:role:tax.approver"]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from onecert.verifier.attribute_certificate.roles import is_role_name
from onecert.verifier.cli.common import ACCEPTED
from onecert.verifier.cli.files import read
from onecert.verifier.cli.parser import Parser
from onecert.verifier.cli.serve import open_server, stop_by_signal
from onecert.verifier.enforce.config import ConfigError, Table, read_config
from onecert.verifier.enforce.department import ROLE_PATTERN, Department, DepartmentConfig, check_folders
from onecert.verifier.enforce.gateway.header import GatewaySigner
from onecert.verifier.enforce.gateway.service import GatewayService, Route
from onecert.verifier.enforce.machine import drop_to_owner
from onecert.verifier.web.client_certificate import ClientCertificates

__all__ = ["GatewayConfig", "add_options", "load_signer", "make_service"]

CONFIG = Path("/etc/onecert/gateway.toml")
_NAME = r"[A-Za-z0-9._:/-]{1,128}"
_METHODS = r"[A-Z]{1,32}"


@dataclass(frozen=True, kw_only=True)
class GatewayConfig:
    """The whole file; see the module's text."""

    department: DepartmentConfig
    issuer: str
    audience: str
    key: Path
    life: timedelta
    certificate_header: str
    socket: Path | None
    port: int
    routes: tuple[Route, ...]

    @classmethod
    def load(cls, path: Path, *, trusted_owner: bool = True) -> GatewayConfig:
        """Read the file.

        Raises:
            ConfigError: with all faults and their lines.
        """
        top = read_config(path, trusted_owner=trusted_owner)
        own = top.table("gateway")
        made = cls(
            department=DepartmentConfig.read(top),
            issuer=own.text("issuer", pattern=_NAME),
            audience=own.text("audience", pattern=_NAME),
            key=own.path("key"),
            life=timedelta(seconds=own.number("life_seconds", 30, least=1, most=60)),
            certificate_header=own.text(
                "certificate_header", "Client-Cert", pattern=r"[A-Za-z][A-Za-z0-9-]*"
            ),
            socket=own.path("socket") if own.has("socket") else None,
            port=int(own.number("port", 8095, least=0, most=65535)),
            routes=tuple(_route(each) for each in top.tables("routes")),
        )
        if not made.routes:
            top.fault("routes", "must name at least one: [[routes]]")
        own.finish()
        top.finish()
        top.raise_faults()
        return made


def add_options(parser: Parser, _name: str) -> None:
    """The options of the command."""
    parser.option("--config", text="HELP_ENFORCE_CONFIG", type=Path, metavar="FILE", default=CONFIG)
    parser.flag("--show-key", text="HELP_ENFORCE_SHOW_KEY")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""
    config = GatewayConfig.load(options.config)
    signer = load_signer(options.config, config)
    if options.show_key:
        form = PublicFormat.SubjectPublicKeyInfo
        print(signer.public_key.public_bytes(Encoding.PEM, form).decode("ascii"), end="")
        return ACCEPTED
    with open_server(config.socket, "127.0.0.1", config.port) as server:
        # Key and socket may need more than what is done with them.
        drop_to_owner(config.department.folder)
        server.set_app(make_service(config, signer))
        stop_by_signal(server)
        print(f"ready {server.shown}", flush=True)
        server.serve_forever()
    return ACCEPTED


def make_service(
    config: GatewayConfig, signer: GatewaySigner, department: Department | None = None, **settings: Any
) -> GatewayService:
    """The service that a configuration describes."""
    check_folders(config.department)
    department = department or Department(config.department)
    return GatewayService(
        department.verifier,
        department.prover,
        signer,
        audience=config.audience,
        routes=config.routes,
        certificates=ClientCertificates(header=config.certificate_header),
        **settings,
    )


def load_signer(path: Path, config: GatewayConfig) -> GatewaySigner:
    """The gateway's key.

    Raises:
        VerifyError: it cannot be read.
        ConfigError: it is no key that can sign.
    """
    try:
        key = load_pem_private_key(read(config.key, 64 * 1024), None)
        return GatewaySigner(key, issuer=config.issuer, life=config.life)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigError(path, (f"gateway.key: {config.key}: {str(exc)[:120]}",)) from exc


def _route(table: Table) -> Route:
    made = Route(
        path=table.text("path", pattern=r"/[^?#\x00-\x20]*"),
        methods=frozenset(table.texts("methods", pattern=_METHODS, needed=False)),
        roles=frozenset(table.texts("roles", pattern=ROLE_PATTERN, needed=False, check=is_role_name)),
    )
    table.finish()
    return made
