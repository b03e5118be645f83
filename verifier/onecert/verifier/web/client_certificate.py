"""The client certificate of a connection: where the web server leaves it, and whose word counts for it.

- A server that ends TLS itself puts it where clients cannot write: ``SSL_CLIENT_CERT`` in the WSGI
  environment (mod_wsgi, cheroot), gunicorn's socket, the TLS extension of ASGI.
- A proxy that ended TLS sends a header: nginx ``$ssl_client_escaped_cert``, RFC 9440 ``Client-Cert``, or
  plain base64 (HAProxy). It counts only when the header is named in the settings *and* the connection comes
  from a listed proxy. Anybody else could claim any certificate.

A proxy must set its header on every request, also to nothing, and must drop what clients send under that
name. TLS proves that the client has the key; all else about the certificate is for the verifier to judge.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from onecert.verifier.errors import MalformedError, RefusedError

__all__ = [
    "CERTIFICATE_HEADERS",
    "ClientCertificates",
    "PresentedCertificate",
    "is_loopback",
    "is_this_machine",
]

MAX_HEADER_CHARACTERS = 32_768
CHAIN_HEADER = "Client-Cert-Chain"
# Under these names applications look for certificates. What we have read, or do not believe, is taken away.
CERTIFICATE_HEADERS = frozenset(
    {
        "client-cert",
        "client-cert-chain",
        "ssl-client-cert",
        "ssl-client-s-dn",
        "ssl-client-verify",
        "x-client-certificate",
        "x-client-cert",
        "x-forwarded-client-cert",
        "x-forwarded-tls-client-cert",
        "x-ssl-cert",
        "x-ssl-client-cert",
        "x-ssl-client-verify",
    }
)
# And under these for what a proxy has read in it. We hand over the identity instead.
_CLAIM_HEADERS = frozenset(
    {
        "ssl-client-fingerprint",
        "ssl-client-i-dn",
        "ssl-client-issuer-dn",
        "ssl-client-serial",
        "ssl-client-subject-dn",
        "x-amzn-mtls-clientcert",
        "x-amzn-mtls-clientcert-leaf",
        "x-amzn-mtls-clientcert-serial-number",
        "x-amzn-mtls-clientcert-subject",
        "x-client-cert-chain",
        "x-client-dn",
        "x-client-verify",
        "x-forwarded-tls-client-cert-info",
        "x-ssl-client-cn",
        "x-ssl-client-dn",
        "x-ssl-client-fingerprint",
        "x-ssl-client-i-dn",
        "x-ssl-client-s-dn",
        "x-ssl-client-serial",
        "x-ssl-issuer",
    }
)
_SOCKET_PEERS = frozenset({"", "unix:", "unix"})
_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, kw_only=True)
class PresentedCertificate:
    """A certificate whose key the client has proved to have, unverified in every other way.

    Args:
        data: DER or PEM.
        chain: CA certificates that came along, DER, in any order.
    """

    data: bytes
    chain: tuple[bytes, ...] = ()


class ClientCertificates:
    """Reads the client certificate of a request.

    Args:
        header: name of the header in which the proxy hands it over; ``None`` when no proxy ends TLS, and then
            no header means anything.
        proxies: networks or addresses of the proxies; by default this machine.
        unix_socket: believe a proxy that speaks over a unix socket, where no address is known.

    Raises:
        ValueError: one of ``proxies`` is not an address or a network.
    """

    def __init__(
        self,
        *,
        header: str | None = None,
        proxies: Iterable[str] = ("127.0.0.0/8", "::1"),
        unix_socket: bool = True,
    ) -> None:
        self.header = header
        self._networks = [ipaddress.ip_network(each) for each in proxies]
        self._unix_socket = unix_socket
        self.removed = CERTIFICATE_HEADERS | _CLAIM_HEADERS | ({header.lower()} if header else frozenset())

    def from_environ(self, environ: Mapping[str, Any]) -> PresentedCertificate | None:
        """The certificate of a WSGI request (PEP 3333), or ``None``.

        Raises:
            RefusedError: ``CLIENT_CERTIFICATE_TLS``: the server says that its own check failed.
            MalformedError: ``CLIENT_CERTIFICATE_HEADER``.
        """
        pem = environ.get("SSL_CLIENT_CERT")
        if pem:
            verdict = str(environ.get("SSL_CLIENT_VERIFY", "SUCCESS"))
            # GENEROUS is Apache's word for a certificate that it leaves to the application.
            if verdict not in {"SUCCESS", "GENEROUS"}:
                raise RefusedError("CLIENT_CERTIFICATE_TLS", verdict=verdict[:80])
            return PresentedCertificate(data=str(pem).encode("latin-1", "replace"))
        der = _of_socket(environ.get("gunicorn.socket"))
        if der:
            return PresentedCertificate(data=der)
        if self.header is None or environ.get("HTTPS") == "on":
            return (
                None  # HTTPS=on: TLS ended here, so there is no proxy and a header is the client's own word
            )
        value = environ.get(_variable(self.header), "")
        chain = environ.get(_variable(CHAIN_HEADER), "")
        return self._from_proxy(str(environ.get("REMOTE_ADDR", "")), str(value), str(chain))

    def from_scope(self, scope: Mapping[str, Any]) -> PresentedCertificate | None:
        """The same for an ASGI request, from its scope.

        Raises:
            MalformedError: ``CLIENT_CERTIFICATE_HEADER``.
        """
        tls = (scope.get("extensions") or {}).get("tls") or {}
        presented = [str(each).encode("latin-1", "replace") for each in tls.get("client_cert_chain") or ()]
        if presented:
            return PresentedCertificate(data=presented[0], chain=tuple(presented[1:]))
        if self.header is None or tls:
            return None
        values = _header_values(scope, self.header)
        chain = _header_values(scope, CHAIN_HEADER)
        client = scope.get("client")
        return self._from_proxy(str(client[0]) if client else "", ",".join(values), ",".join(chain))

    def clean_environ(self, environ: Mapping[str, Any]) -> dict[str, Any]:
        """The environment without any header that claims a certificate."""
        dropped = {_variable(name) for name in self.removed}
        return {name: value for name, value in environ.items() if name not in dropped}

    def clean_scope(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The scope without any header that claims a certificate."""
        kept = [(name, value) for name, value in scope.get("headers", ()) if _plain(name) not in self.removed]
        return {**scope, "headers": kept}

    def _from_proxy(self, peer: str, value: str, chain: str) -> PresentedCertificate | None:
        if not value or not self._is_proxy(peer):
            return None
        return PresentedCertificate(data=read_header(value), chain=_read_chain(chain))

    def _is_proxy(self, peer: str) -> bool:
        if peer in _SOCKET_PEERS:
            return self._unix_socket
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


def is_this_machine(peer: str) -> bool:
    """Whether a request comes over a unix socket or from a loopback address; ``peer`` as WSGI gives it."""
    return peer in {"", "unix:"} or is_loopback(peer)


def is_loopback(peer: str) -> bool:
    """Whether a text is a loopback address."""
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


def read_header(value: str) -> bytes:
    """The certificate in a header, DER or PEM, in any of the three forms.

    Raises:
        MalformedError: ``CLIENT_CERTIFICATE_HEADER``.
    """
    if len(value) > MAX_HEADER_CHARACTERS:
        raise _malformed("it is too long")
    value = value.strip()
    if value.startswith("-----") or "%" in value:
        pem = unquote_to_bytes(value)
        if not pem.startswith(_PEM_BEGIN):
            raise _malformed("no certificate in PEM form")
        return pem
    if value.startswith(":"):
        # RFC 9440, section 2.1: a byte sequence of RFC 8941, and nothing behind it.
        if len(value) < 2 or not value.endswith(":"):
            raise _malformed("not one byte sequence")
        value = value[1:-1]
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise _malformed("not base64") from None


def _read_chain(value: str) -> tuple[bytes, ...]:
    """RFC 9440, section 2.3. Candidates only: what cannot be read is left out."""
    found = []
    for item in value[:MAX_HEADER_CHARACTERS].split(",")[:8]:
        try:
            found.append(read_header(item))
        except MalformedError:
            continue
    return tuple(der for der in found if der)


def _malformed(detail: str) -> MalformedError:
    return MalformedError("CLIENT_CERTIFICATE_HEADER", source="RFC 9440, section 2", detail=detail)


def _of_socket(socket: Any) -> bytes | None:
    ask = getattr(socket, "getpeercert", None)
    return ask(True) if ask is not None else None


def _variable(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _plain(name: bytes) -> str:
    # An underscore and a hyphen become the same variable further down the line.
    return name.decode("latin-1").lower().replace("_", "-")


def _header_values(scope: Mapping[str, Any], name: str) -> list[str]:
    wanted = name.lower().encode("latin-1")
    return [value.decode("latin-1") for each, value in scope.get("headers", ()) if each.lower() == wanted]
