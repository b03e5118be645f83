"""What a login challenge is: its text, what may sign it, and how it travels.

The text is ASCII, these lines exactly, each ended by a line feed::

    OneCert login challenge, version 1
    application: <base64url of the UTF-8 name>
    session: <base64url of SHA-256>
    id: <22 characters>
    expires: 2026-11-21T09:05:00Z
    random: <43 characters>
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from onecert.verifier.errors import RefusedError
from onecert.verifier.pss_keys import RsaPssPublicKey
from onecert.verifier.signatures import ALGORITHMS as ROWS
from onecert.verifier.signatures import PublicKey
from onecert.verifier.strict_json import StrictJsonError, format_time, parse_time

__all__ = [
    "ALGORITHMS",
    "CLOCK_SKEW",
    "MAX_TTL",
    "PREFIX",
    "Challenge",
    "LoginError",
    "ReadChallenge",
    "ServerProof",
    "base64url",
    "default_algorithm",
    "read_challenge",
    "write_challenge",
]

PREFIX = "OneCert login challenge, version 1"
MAX_TTL = timedelta(minutes=5)
MAX_CHALLENGE_BYTES = 1024
# A holder's program may have signed on a server whose clock is ahead of ours.
CLOCK_SKEW = timedelta(seconds=60)

# What a login may be signed with. The name is chosen by the caller, never read from the signature.
ALGORITHMS = frozenset(
    {
        "rsa-sha256",
        "rsa-sha384",
        "rsa-sha512",
        "rsa-pss-sha256",
        "rsa-pss-sha384",
        "rsa-pss-sha512",
        "ecdsa-sha256",
        "ecdsa-sha384",
        "ecdsa-sha512",
        "ed25519",
        "ed448",
        "ml-dsa-44",
        "ml-dsa-65",
        "ml-dsa-87",
        "sm2-sm3",
    }
)
_ONE_FOR_A_KEY = tuple(ROWS[name] for name in sorted(ALGORITHMS) if ROWS[name].scheme in {"pure", "sm2"})


class LoginError(RefusedError):
    """The challenge or the signature is not acceptable."""


@dataclass(frozen=True, kw_only=True)
class ServerProof:
    """The server's signature over a challenge.

    Args:
        certificates: DER, the server's own first.
        client: the random octets of the client's request, which are signed too; ``None`` when it sent none.
    """

    certificates: tuple[bytes, ...]
    algorithm: str
    signature: bytes
    client: bytes | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; octets are base64."""
        return {
            "certificates": [_base64(each) for each in self.certificates],
            "algorithm": self.algorithm,
            "signature": _base64(self.signature),
            "client": None if self.client is None else _base64(self.client),
        }


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """One challenge. ``data`` is what the holder's key signs, octet for octet; ``text`` the same as text."""

    id: str
    data: bytes
    expires_at: datetime
    server: ServerProof | None = None

    @property
    def text(self) -> str:
        """The challenge as ASCII text of a few lines."""
        return self.data.decode("ascii")

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what a client is sent. ``server`` is there only when a server signed it."""
        said: dict[str, Any] = {
            "id": self.id,
            "data": _base64(self.data),
            "expires_at": format_time(self.expires_at),
        }
        return said if self.server is None else {**said, "server": self.server.as_dict()}


@dataclass(frozen=True, kw_only=True)
class ReadChallenge:
    """What stands in the text of a challenge."""

    application: str
    session_sha256: str
    id: str
    expires_at: datetime


def write_challenge(
    *, application: str, session_sha256: str, challenge_id: str, expires_at: datetime, random: bytes
) -> bytes:
    """The text. The name travels as base64url, so that it stays ASCII with exactly these lines."""
    lines = [
        PREFIX,
        f"application: {base64url(application.encode('utf-8'))}",
        f"session: {session_sha256}",
        f"id: {challenge_id}",
        f"expires: {format_time(expires_at)}",
        f"random: {base64url(random)}",
        "",
    ]
    return "\n".join(lines).encode("ascii")


_TEXT = re.compile(
    PREFIX.encode()
    + rb"\napplication: ([A-Za-z0-9_-]{1,540})"
    + rb"\nsession: ([A-Za-z0-9_-]{43})"
    + rb"\nid: ([A-Za-z0-9_-]{22})"
    + rb"\nexpires: ([0-9TZ:-]{20})"
    + rb"\nrandom: [A-Za-z0-9_-]{43}\n"
)


def read_challenge(data: bytes) -> ReadChallenge | None:
    """The fields of a text that ``write_challenge`` could have written; ``None`` for anything else."""
    match = _TEXT.fullmatch(data) if len(data) <= MAX_CHALLENGE_BYTES else None
    if match is None:
        return None
    name, session, challenge_id, expires = (each.decode("ascii") for each in match.groups())
    try:
        application = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode("utf-8")
        expires_at = parse_time(expires, "expires")
    except (ValueError, binascii.Error, StrictJsonError):
        return None
    return ReadChallenge(
        application=application, session_sha256=session, id=challenge_id, expires_at=expires_at
    )


def default_algorithm(key: PublicKey) -> str:
    """The usual algorithm of a key: SHA-256 with RSA (PKCS #1 v1.5) and P-256, SHA-384 with P-384, and so on.

    Keys that have one algorithm only (EdDSA, ML-DSA, SM2) have that one.

    Raises:
        LoginError: LOGIN_ALGORITHM for a key that has no usual one here.
    """
    if isinstance(key, RsaPssPublicKey):
        return key.usual_algorithm
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa-sha256"
    if isinstance(key, ec.EllipticCurvePublicKey):
        by_curve = {"secp256r1": "ecdsa-sha256", "secp384r1": "ecdsa-sha384", "secp521r1": "ecdsa-sha512"}
        return by_curve.get(key.curve.name, "ecdsa-sha256")
    for row in _ONE_FOR_A_KEY:
        if isinstance(key, row.key):
            return row.name
    raise LoginError("LOGIN_ALGORITHM", algorithm=type(key).__name__)


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
