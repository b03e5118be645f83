"""Who is at the other end of a request: its client certificate, and where it comes from.

The proxy of the settings is believed only over a unix socket or from loopback. The certificate read here has
not been verified; see certificates.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from cryptography import x509

from onecert.server.operators.config import SignInConfig
from onecert.verifier.certificate import load_certificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.web import ClientCertificates
from onecert.verifier.web.client_certificate import is_loopback, is_this_machine

__all__ = ["is_local_browser", "read_peer_certificate", "source_of"]

_PROXY_HEADERS = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


def read_peer_certificate(environ: Mapping[str, Any], config: SignInConfig) -> x509.Certificate | None:
    """The client certificate of this connection, unverified; None when there is none or it does not parse."""
    try:
        presented = ClientCertificates(header=config.certificate_header or None).from_environ(environ)
        return None if presented is None else load_certificate(presented.data)
    except VerifyError:
        return None


def is_local_browser(environ: Mapping[str, Any], config: SignInConfig) -> bool:
    """Whether the request comes straight from this machine over loopback, with no proxy in between.

    A unix socket does not count: behind it is a proxy that speaks for anybody.
    """
    if any(environ.get(name) for name in _PROXY_HEADERS):
        return False
    if config.certificate_header and not _is_our_tls(environ):
        return False
    return is_loopback(str(environ.get("REMOTE_ADDR", "")))


def source_of(environ: Mapping[str, Any], config: SignInConfig) -> str:
    """The address to count refused sign-ins by. A proxy's word is taken only under the same rule as above."""
    address = str(environ.get("REMOTE_ADDR", ""))
    if config.certificate_header and is_this_machine(str(environ.get("REMOTE_ADDR", ""))):
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
