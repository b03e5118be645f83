"""How operators sign in: settings with safe defaults, one line on each in server/README.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["SignInConfig"]


@dataclass(frozen=True, kw_only=True)
class SignInConfig:
    """Rules for accounts, links, sessions and client certificates."""

    # Name of the header in which a proxy on this machine hands over the client certificate (URL-encoded
    # PEM, as nginx's $ssl_client_escaped_cert, or RFC 9440). Empty: no proxy, and such a header means
    # nothing.
    certificate_header: str = ""
    # True: without a current CRL for every certificate of the path nobody signs in by certificate.
    revocation_required: bool = False
    # True: one natural person may hold two accounts. Two-person rules still see one person.
    allow_same_person: bool = False
    link_lifetime: timedelta = timedelta(hours=24)
    session_idle: timedelta = timedelta(minutes=30)
    session_absolute: timedelta = timedelta(hours=10)
    # So many sessions an account may have open at once; one more ends the one that was used longest ago.
    max_sessions: int = 10
    # So many refused sign-ins from one address within the window, and that address has to wait for its end.
    max_failures: int = 10
    failure_window: timedelta = timedelta(minutes=15)
