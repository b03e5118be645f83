"""Reads the client certificate of a request's connection: one function, two adapters.

- cheroot (embedded) gives ``SSL_CLIENT_CERT`` in the WSGI environment. Clients cannot set that: what they
  send arrives as ``HTTP_…``.
- A proxy (nginx) that ended TLS gives a header. It means something only when the settings name the header
  *and* the request came over a unix socket or from loopback; otherwise anybody could claim any
  certificate.

The certificate read here has not been verified; see certificates.py.
Source: RFC 9440 for the ``Client-Cert`` form; nginx's ``$ssl_client_escaped_cert`` for the other.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from cryptography import x509

from onecert.server.operators.config import SignInConfig

__all__ = ["is_local_browser", "read_peer_certificate", "source_of"]

MAX_HEADER = 16_384
_PROXY_HEADERS = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


def read_peer_certificate(environ: Mapping[str, Any], config: SignInConfig) -> x509.Certificate | None:
    """The client certificate of this connection, unverified; None when there is none or it does not parse."""
    if config.certificate_header and not _is_our_tls(environ):
        if not _is_own_proxy(environ):
            return None
        name = "HTTP_" + config.certificate_header.upper().replace("-", "_")
        return _from_header(str(environ.get(name, "")))
    pem = environ.get("SSL_CLIENT_CERT")
    if not pem or environ.get("SSL_CLIENT_VERIFY", "SUCCESS") != "SUCCESS":
        return None
    return _parse_pem(str(pem).encode())


def is_local_browser(environ: Mapping[str, Any], config: SignInConfig) -> bool:
    """Whether the request comes straight from this machine over loopback, with no proxy in between.

    A unix socket does not count: behind it is a proxy that speaks for anybody.
    """
    if any(environ.get(name) for name in _PROXY_HEADERS):
        return False
    if config.certificate_header and not _is_our_tls(environ):
        return False
    return _is_loopback(str(environ.get("REMOTE_ADDR", "")))


def source_of(environ: Mapping[str, Any], config: SignInConfig) -> str:
    """The address to count refused sign-ins by. A proxy's word is taken only under the same rule as above."""
    address = str(environ.get("REMOTE_ADDR", ""))
    if config.certificate_header and _is_own_proxy(environ):
        # nginx appends the address it saw itself: the last one is the only one not written by the client.
        forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
        address = forwarded or address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return "unknown"


def _is_our_tls(environ: Mapping[str, Any]) -> bool:
    # Set by cheroot when it ended TLS itself: then no proxy is in between, and a header is only the client's
    # word, also when the client is a user of this machine.
    return environ.get("HTTPS") == "on"


def _is_own_proxy(environ: Mapping[str, Any]) -> bool:
    address = str(environ.get("REMOTE_ADDR", ""))
    return address in {"", "unix:"} or _is_loopback(address)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _from_header(value: str) -> x509.Certificate | None:
    if not value or len(value) > MAX_HEADER:
        return None
    if value.startswith(":") and value.endswith(":"):  # RFC 9440: a byte sequence of RFC 8941
        try:
            return x509.load_der_x509_certificate(base64.b64decode(value[1:-1], validate=True))
        except (ValueError, binascii.Error):
            return None
    return _parse_pem(unquote_to_bytes(value))


def _parse_pem(pem: bytes) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
