"""Where requests may go: URLs, ports, names and IP addresses.

An address in a certificate can point anywhere inside a department's network. So a name is looked up once, the
IP address found is checked, and the connection goes to that very address: a name server that answers
differently the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from onecert.verifier.errors import CouldNotCheckError

__all__ = ["ANYWHERE", "Destination", "Destinations", "Resolve", "is_public", "look_up"]

# For addresses that somebody trusted has written down: the department itself, or the signed trust list.
ANYWHERE = ("0.0.0.0/0", "::/0")

# Host name and port -> IP addresses as text, best first; raises OSError when the name is not known.
Resolve = Callable[[str, int], Sequence[str]]

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

_PORTS = {"http": 80, "https": 443}
_URL_MAX = 2048
_URL_CHARACTERS = re.compile(r"[!-~]+")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")
# Whatever ends like a number is an IPv4 address to inet_aton: 2130706433, 0x7f.1, 0177.0.0.1.
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_NAT64 = ip_network("64:ff9b::/96")
_ADDRESSES_MAX = 8
_LOOK_UPS_MAX = 32


@dataclass(frozen=True, slots=True)
class Destination:
    """One URL taken apart: ``host`` in lower case without brackets, ``target`` is path and query."""

    url: str
    scheme: str
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """RFC 9110, section 7.2: the port is named unless it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class Destinations:
    """The rule which URLs and addresses may be asked.

    Args:
        allow: networks ("10.1.0.0/16"), addresses and host names ("status.example", "*.city.example") that
            may be asked although they are not public.
        only: the same kind of entries; when given, nothing else is asked at all.
        ports: the ports that may be asked; by default 80, 443 and everything from 1024 upwards.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        only: Iterable[str] | None = None,
        ports: Iterable[int] | None = None,
    ) -> None:
        self._allow = _Entries(allow)
        self._only = None if only is None else _Entries(only)
        self._ports = None if ports is None else frozenset(ports)

    def read(self, url: str) -> Destination:
        """Take a URL apart.

        Raises:
            CouldNotCheckError: ``FETCH_SCHEME``, ``FETCH_URL``, ``FETCH_ADDRESS``.
        """
        if len(url) > _URL_MAX or not _URL_CHARACTERS.fullmatch(url):
            raise _bad(url, "it is too long or has characters that no address has")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise _bad(url, str(exc)) from exc
        if parts.scheme not in _PORTS:
            raise CouldNotCheckError("FETCH_SCHEME", url=url, scheme=parts.scheme)
        if "@" in parts.netloc:
            raise _bad(url, "it has a user name")
        host = _read_host(url, parts)
        number = _PORTS[parts.scheme] if port is None else port
        if not self._may_ask_port(number):
            raise _bad(url, f"port {number} is not asked")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Destination(url, parts.scheme, host, number, target)

    def check(self, destination: Destination, address: str) -> None:
        """Check one IP address of a destination.

        Raises:
            CouldNotCheckError: ``FETCH_ADDRESS``.
        """
        forms = _forms(ip_address(address))
        fine = self._only is None or self._only.has(destination.host, forms)
        if not fine or not (self._allow.has(destination.host, forms) or is_public(forms[-1])):
            raise CouldNotCheckError("FETCH_ADDRESS", url=destination.url, address=address)

    def _may_ask_port(self, port: int) -> bool:
        if self._ports is not None:
            return port in self._ports
        return port in _PORTS.values() or port >= 1024


class _Entries:
    """Networks and host names."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._networks: list[_Network] = []
        self._hosts: list[str] = []
        for entry in entries:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                host = entry.lower().rstrip(".")
                if not _HOST.fullmatch(host.removeprefix("*.")) or "/" in host:
                    raise ValueError(f"neither a network nor a host name: {entry!r}") from None
                self._hosts.append(host)

    def has(self, host: str, forms: Sequence[_Address]) -> bool:
        return any(form in network for network in self._networks for form in forms) or any(
            host.endswith(entry[1:]) if entry.startswith("*.") else host == entry for entry in self._hosts
        )


def is_public(address: _Address) -> bool:
    """Tell whether an address is one of the public internet, for every address that it may stand for."""
    inner = _forms(address)[-1]
    return (
        inner.is_global
        and not inner.is_multicast
        and not inner.is_reserved
        and not inner.is_unspecified
        and not (isinstance(inner, IPv6Address) and inner.is_site_local)
    )


def look_up(
    destination: Destination, destinations: Destinations, resolve: Resolve, seconds: float
) -> list[str]:
    """The IP addresses of a destination that may be asked, at least one.

    Raises:
        CouldNotCheckError: ``FETCH_ADDRESS`` when there are only others, ``FETCH_FAILED`` when there is none.
        TimeoutError: the name server takes longer than ``seconds``.
    """
    try:
        found: Sequence[str] = [str(ip_address(destination.host))]
    except ValueError:
        found = _resolve_within(resolve, destination, seconds)
    good: list[str] = []
    refusal: CouldNotCheckError | None = None
    for address in found[:_ADDRESSES_MAX]:
        try:
            destinations.check(destination, address)
            good.append(address)
        except CouldNotCheckError as exc:
            refusal = refusal or exc
        except ValueError:
            continue  # a scoped address, such as fe80::1%eth0
    if not good:
        raise refusal or CouldNotCheckError(
            "FETCH_FAILED", url=destination.url, detail=f"{destination.host} has no address"
        )
    return good


def system_resolve(host: str, port: int) -> Sequence[str]:
    """The resolver of the system."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


_look_ups = threading.BoundedSemaphore(_LOOK_UPS_MAX)


def _resolve_within(resolve: Resolve, destination: Destination, seconds: float) -> Sequence[str]:
    """Look up in a thread of its own: the system's resolver knows no deadline."""
    if not _look_ups.acquire(blocking=False):
        raise TimeoutError("too many names are being looked up")
    found: list[Sequence[str]] = []
    failed: list[Exception] = []
    done = threading.Event()

    def run() -> None:
        try:
            found.append(resolve(destination.host, destination.port))
        except Exception as exc:  # handed to the thread that waits
            failed.append(exc)
        finally:
            _look_ups.release()
            done.set()

    threading.Thread(target=run, name="onecert-look-up", daemon=True).start()
    if not done.wait(max(seconds, 0)):
        raise TimeoutError("the name server does not answer")
    if failed:
        raise CouldNotCheckError(
            "FETCH_FAILED", url=destination.url, detail=f"{destination.host}: {failed[0]}"
        ) from failed[0]
    return found[0]


def _read_host(url: str, parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    if "[" in parts.netloc:
        if "%" in host:
            raise _bad(url, "it names a network interface")
        try:
            return str(IPv6Address(host))
        except ValueError as exc:
            raise _bad(url, str(exc)) from exc
    if _NUMBER.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError as exc:
            raise CouldNotCheckError("FETCH_ADDRESS", url=url, address=host) from exc
    if not _HOST.fullmatch(host):
        raise _bad(url, "it has no host name")
    return host


def _forms(address: _Address) -> tuple[_Address, ...]:
    """The address, and the IPv4 address that a gateway makes of it (mapped, 6to4, NAT64)."""
    if not isinstance(address, IPv6Address):
        return (address,)
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return (address,) if inner is None else (address, inner)


def _bad(url: str, detail: str) -> CouldNotCheckError:
    return CouldNotCheckError("FETCH_URL", url=url, detail=detail)
