"""Settings: a TOML file and the environment, read once into frozen dataclasses; all faults named together.

Section ``[ca]`` of the file and ``ONECERT_CA_*`` of the environment (which wins) fill the dataclass of
section ``ca``. An unknown section or key, a wrong type and a missing value are faults, and so is what a
dataclass says in ``__post_init__`` (ValueError). A secret is never a value here, only the path of a file that
holds it.

How values are written: durations ``"24h"``, ``"90s"``, ``"1d12h"``; relative paths count from the folder of
the file; in the environment, lists are separated by commas and tables are ``name=value`` pairs.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

from onecert.server.config_values import WrongValueError, convert
from onecert.server.errors import ConfigError
from onecert.server.languages import gettext

__all__ = ["DatabaseConfig", "ServerConfig", "Settings", "load_settings"]

T = TypeVar("T")

PREFIX = "ONECERT_"
# Not settings: where data, settings and the token module are, and what the command line reads itself.
_NOT_SETTINGS = {"ONECERT_DATA", "ONECERT_CONFIG", "ONECERT_LANGUAGE", "ONECERT_PKCS11_MODULE"}
_SECRET_ENDINGS = ("pin", "password", "passphrase", "secret", "private_key")


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Section [server]: how this process serves; see server/README.md for one line on each."""

    host: str = "127.0.0.1"
    https_port: int = 8443
    http_port: int = 8080
    public_url: str = ""  # https://pki.example.cn, when a proxy stands in front; no path
    status_url: str = ""  # http://pki.example.cn
    # Behind a proxy on this machine: these sockets instead of the two ports, and TLS is the proxy's.
    https_socket: Path | None = None  # pages and REST, plain HTTP
    http_socket: Path | None = None  # what is public and signed
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    operator_anchors: tuple[Path, ...] = ()  # files, besides those in DATA/operator-anchors
    peers: Mapping[str, str] = field(default_factory=dict)  # ca = "https://ca:8443/ca"
    peer_anchors: tuple[Path, ...] = ()  # who may have signed the peers' TLS certificates
    threads: int = 8
    request_max_bytes: int = 64 * 1024 * 1024  # scans come several at once
    monitors: tuple[str, ...] = ()  # addresses besides loopback that may read /readyz and /metrics
    audit_head_every: timedelta = timedelta(minutes=1)  # how long an entry may be without a signed head
    # After SIGTERM: for so long readiness says 503 and requests are answered all the same, so that whoever
    # shares out the requests has time to see it.
    drain: timedelta = timedelta(0)
    log_level: str = "INFO"
    # How old the newest backup of a service, and the newest drill that brought it back, may be; 0: any age.
    backup_max_age: timedelta = timedelta(0)
    backup_drill_max_age: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError(gettext("tls_certificate and tls_key are given together or not at all"))
        for socket, url in (("https_socket", "public_url"), ("http_socket", "status_url")):
            if getattr(self, socket) is not None and not getattr(self, url):
                raise ValueError(
                    gettext("%(url)s is needed with %(socket)s", url=url, socket=socket),
                )
        for name in ("https_port", "http_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ValueError(gettext("%(key)s is not a port number", key=name))
        if self.log_level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError(gettext("log_level is DEBUG, INFO, WARNING or ERROR"))
        if not 1 <= self.threads <= 256:
            raise ValueError(gettext("threads is between 1 and 256"))


@dataclass(frozen=True, kw_only=True)
class DatabaseConfig:
    """Section [database.<service>]: where that service keeps its tables."""

    url: str = ""  # empty: DATA/<service>/<service>.db
    schema: str = ""  # PostgreSQL only
    password_file: Path | None = None

    def __post_init__(self) -> None:
        authority = self.url.partition("://")[2].partition("@")
        if authority[1] and ":" in authority[0]:
            raise ValueError(
                gettext("the url holds a password; put it into a file and name that in password_file")
            )


class Settings:
    """The sections that were read, each as its frozen dataclass."""

    def __init__(self, sections: Mapping[str, object]) -> None:
        self._sections = MappingProxyType(dict(sections))

    def section(self, name: str, kind: type[T]) -> T:
        """Return a section as its dataclass."""
        found = self._sections[name]
        if not isinstance(found, kind):
            raise TypeError(f"section {name} is a {type(found).__name__}")
        return found

    def __getitem__(self, name: str) -> Any:
        return self._sections[name]

    def with_section(self, name: str, section: object) -> Settings:
        """Return the same settings with one section replaced."""
        return Settings({**self._sections, name: section})


def load_settings(
    sections: Mapping[str, type[Any]],
    *,
    file: Path | None,
    environ: Mapping[str, str],
    foreign: Collection[str] = (),
) -> Settings:
    """Read the settings of these sections.

    Args:
        sections: name, which may be dotted as in "database.ca" -> frozen dataclass.
        file: TOML, or None for no file.
        environ: usually `os.environ`.
        foreign: sections that other programs of this installation read from the same file.

    Raises:
        ConfigError: something is wrong; it names every fault.
    """
    faults: list[str] = []
    tables = _read_file(file, sections, foreign, faults) if file is not None else {}
    folder = file.absolute().parent if file is not None else Path.cwd()
    given = {name: {key: (value, folder) for key, value in table.items()} for name, table in tables.items()}
    _read_environ(environ, sections, foreign, given, faults)
    built: dict[str, object] = {}
    for name, kind in sections.items():
        made = _build(name, kind, given.get(name, {}), faults)
        if made is not None:
            built[name] = made
    if faults:
        raise ConfigError(faults)
    return Settings(built)


def _read_file(
    file: Path, sections: Mapping[str, type[Any]], foreign: Collection[str], faults: list[str]
) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        faults.append(gettext("%(file)s: cannot be read (%(reason)s)", file=file, reason=exc.strerror))
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        faults.append(gettext("%(file)s: is not TOML: %(reason)s", file=file, reason=exc))
        return {}
    parents = {name.partition(".")[0] for name in sections if "." in name}
    found: dict[str, Any] = {}
    for name, table in document.items():
        if name in parents and isinstance(table, dict):
            found |= {f"{name}.{inner}": inner_table for inner, inner_table in table.items()}
        else:
            found[name] = table
    tables: dict[str, dict[str, Any]] = {}
    for name, table in found.items():
        if not isinstance(table, dict):
            faults.append(gettext("%(file)s: %(key)s stands outside a section", file=file, key=name))
        elif name in sections:
            tables[name] = table
        elif name not in foreign:
            faults.append(
                gettext(
                    "%(file)s: [%(section)s] is not a section that this program knows",
                    file=file,
                    section=name,
                )
            )
    return tables


def _read_environ(
    environ: Mapping[str, str],
    sections: Mapping[str, type[Any]],
    foreign: Collection[str],
    given: dict[str, dict[str, tuple[Any, Path]]],
    faults: list[str],
) -> None:
    # The longest name first: ONECERT_SIGN_IN_X belongs to sign_in even if there were a section "sign".
    prefixes = {PREFIX + name.upper().replace(".", "_") + "_": name for name in (*sections, *foreign)}
    longest_first = sorted(prefixes, key=len, reverse=True)
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in _NOT_SETTINGS:
            continue
        prefix = next((prefix for prefix in longest_first if variable.startswith(prefix)), None)
        if prefix is not None and prefixes[prefix] in sections:
            key = variable.removeprefix(prefix).lower()
            given.setdefault(prefixes[prefix], {})[key] = (_FromEnvironment(text), Path.cwd())
        elif prefix is None:
            faults.append(gettext("%(key)s: is not a setting that this program knows", key=variable))


class _FromEnvironment(str):
    """A value that is text because the environment knows nothing else."""

    __slots__ = ()


def _build(name: str, kind: type[T], given: Mapping[str, tuple[Any, Path]], faults: list[str]) -> T | None:
    hints = get_type_hints(kind)
    fields = {each.name: each for each in dataclasses.fields(kind)}  # type: ignore[arg-type]  # any dataclass
    values: dict[str, Any] = {}
    before = len(faults)
    for key, (value, folder) in given.items():
        if key not in fields:
            there = sorted(fields) or "-"
            fault = gettext("is not a setting; there are: %(there)s", there=there)
            faults.append(f"[{name}] {key}: {fault}")
            continue
        try:
            values[key] = convert(value, hints[key], folder, from_text=isinstance(value, _FromEnvironment))
        except WrongValueError as exc:
            faults.append(f"[{name}] {key}: {exc}")
    for key, each in fields.items():
        if hints[key] is str and key.endswith(_SECRET_ENDINGS):
            raise TypeError(f"{kind.__name__}.{key}: a secret is the path of a file, not a value")
        needed = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if needed and key not in given:
            faults.append(f"[{name}] {key}: {gettext('is missing')}")
    if len(faults) > before:
        return None
    try:
        return kind(**values)
    except ValueError as exc:
        faults.append(f"[{name}] {exc}")
        return None
