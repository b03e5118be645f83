"""The signed header: a compact JWS (RFC 7515, section 7.1) on a holder, for one application and one request.

``OneCert-Privileges: <protected>.<payload>.<signature>``. The protected header is exactly ``alg``, ``kid``
and ``typ``; ``alg`` never chooses, it must be the one of the key that ``kid`` names in the
configuration. Claims (RFC 7519 where it has a name for them):

| claim | is |
| --- | --- |
| ``iss`` ``aud`` | the gateway and the application, as both configure them |
| ``iat`` ``exp`` | seconds; at most 60 apart |
| ``jti`` | drawn for each request |
| ``method`` ``path`` | of the request; the path decoded and without the query |
| ``sub`` | the holder's canonical id |
| ``entity`` ``person`` | the legal entity's id, the person's pairwise id; or null |
| ``roles`` ``attributes`` | what attribute certificates prove |
| ``certificates`` | SHA-256 (hex) of the holder's certificate, then of each attribute certificate |

A second key is put beside the first under its own ``kid`` before the gateway changes over to it.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from onecert.verifier.arguments import check_aware
from onecert.verifier.errors import MalformedError, RefusedError, SignatureInvalidError
from onecert.verifier.jws import algorithms_for, decode_base64url, der_signature, key_id, load_json
from onecert.verifier.signatures import PublicKey, verify_signature

__all__ = [
    "HEADER",
    "MAX_LIFE",
    "GatewaySigner",
    "GatewayVerifier",
    "MemoryReplays",
    "Privileges",
    "ReplayStore",
]

HEADER = "OneCert-Privileges"
TYP = "onecert-privileges+jwt"
MAX_LIFE = timedelta(seconds=60)
MAX_CHARACTERS = 8192
SKEW = timedelta(seconds=5)
_CLAIMS = frozenset(
    {"iss", "aud", "iat", "exp", "jti", "method", "path", "sub", "entity", "person", "roles"}
    | {"attributes", "certificates"}
)
_PART = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Privileges:
    """What the header says of who sends a request.

    Args:
        subject: canonical id of the holder; bind accounts to it.
        certificates: SHA-256 (hex) of the holder's certificate, then of each attribute certificate.
    """

    subject: str
    entity: str | None = None
    person: str | None = None
    roles: frozenset[str] = frozenset()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    certificates: tuple[str, ...] = ()


class ReplayStore(Protocol):
    """Remembers which headers were used; with several processes, one that they share."""

    def first_time(self, jti: str, until: datetime) -> bool:
        """Keep a number until then, atomically; False when it is known."""
        ...


class MemoryReplays:
    """A ``ReplayStore`` for one process. When it is full nothing new is let in."""

    def __init__(self, *, most: int = 100_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: dict[str, datetime] = {}

    def first_time(self, jti: str, until: datetime) -> bool:
        """See ``ReplayStore``."""
        with self._lock:
            if jti in self._known:
                return False
            # Those that are over come first: a life is short and nearly the same for all.
            now = until - MAX_LIFE - 2 * SKEW
            for old in [key for key, end in list(self._known.items())[:64] if end < now]:
                del self._known[old]
            if len(self._known) >= self._most:
                return False
            self._known[jti] = until
            return True


class GatewaySigner:
    """Writes the header.

    Args:
        key: a private key of ``cryptography``, or one like it, such as a key in a token: RSA, P-256, P-384,
            Ed25519, Ed448 or ML-DSA.
        issuer: what the gateway calls itself.
        life: how long a header may be used; at most 60 s.

    Raises:
        ValueError: no algorithm of JWS belongs to the key, or ``life`` is too long.
    """

    def __init__(self, key: Any, *, issuer: str, life: timedelta = timedelta(seconds=30)) -> None:
        if not timedelta(seconds=1) <= life <= MAX_LIFE:
            raise ValueError("life must be 1 to 60 seconds")
        self._key, self._issuer, self._life = key, issuer, life
        self.public_key: PublicKey = key.public_key()
        names = algorithms_for(self.public_key)
        if not names:
            raise ValueError("no JWS algorithm belongs to this key")
        self._algorithm = next(iter(names))
        header = {"alg": self._algorithm, "kid": key_id(self.public_key), "typ": TYP}
        self._protected = _encode(json.dumps(header, separators=(",", ":")).encode())

    def sign(self, privileges: Privileges, *, audience: str, method: str, path: str, at: datetime) -> str:
        """The value of the header for one request.

        Args:
            audience: the application it is for.
            method, path: of the request; the path as the application sees it: decoded, without the query.
            at: now, aware.

        Raises:
            MalformedError: ``TOO_LARGE``: more than 8,192 characters.
        """
        check_aware(at)
        issued = int(at.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "iat": issued,
            "exp": issued + int(self._life.total_seconds()),
            "jti": secrets.token_urlsafe(16),
            "method": method,
            "path": path,
            "sub": privileges.subject,
            "entity": privileges.entity,
            "person": privileges.person,
            "roles": sorted(privileges.roles),
            "attributes": {name: list(values) for name, values in sorted(privileges.attributes.items())},
            "certificates": list(privileges.certificates),
        }
        body = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        signed = self._protected + b"." + _encode(body)
        value = (signed + b"." + _encode(self._sign(signed))).decode("ascii")
        if len(value) > MAX_CHARACTERS:
            raise MalformedError("TOO_LARGE", kind=HEADER, max=MAX_CHARACTERS)
        return value

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self.public_key, rsa.RSAPublicKey):
            return bytes(self._key.sign(data, padding.PKCS1v15(), hashes.SHA256()))
        if isinstance(self.public_key, ec.EllipticCurvePublicKey):
            size = (self.public_key.curve.key_size + 7) // 8
            digest = hashes.SHA256() if size == 32 else hashes.SHA384()
            r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(digest)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        return bytes(self._key.sign(data))


class GatewayVerifier:
    """Reads the header. Safe to share between threads.

    Args:
        keys: the public keys of the gateway; more than one while it changes.
        issuer, audience: as the gateway writes them.
        replays: refuses a header that comes twice; without it one can be used again until it is over, for
            the same method and path.
        skew: how far the clocks of gateway and application may be apart.
    """

    def __init__(
        self,
        keys: Iterable[PublicKey],
        *,
        issuer: str,
        audience: str,
        replays: ReplayStore | None = None,
        skew: timedelta = SKEW,
    ) -> None:
        self._keys = {key_id(key): key for key in keys}
        self._issuer, self._audience, self._replays, self._skew = issuer, audience, replays, skew

    def verify(self, value: str, *, method: str, path: str, at: datetime) -> Privileges:
        """What a header says, for this request.

        Args:
            value: the only header of this name; at most 8,192 characters.
            method, path: of the request that it came with; the path decoded, without the query.
            at: now, aware.

        Raises:
            MalformedError: ``GATEWAY_HEADER``, ``TOO_LARGE``.
            RefusedError: ``GATEWAY_KEY``, ``GATEWAY_TIME``, ``GATEWAY_MEANT``, ``GATEWAY_REPLAY``.
            SignatureInvalidError: ``GATEWAY_SIGNATURE``.
        """
        check_aware(at)
        if len(value) > MAX_CHARACTERS:
            raise MalformedError("TOO_LARGE", kind=HEADER, max=MAX_CHARACTERS)
        # 1. Form. Nothing of what it says is believed yet.
        protected, payload, signature = _parts(value)
        # 2. Whose signature: a key of the configuration, with the algorithm that belongs to it.
        self._check_signature(protected, payload, signature)
        # 3. What it says, and for whom, when and what.
        claims = _read_claims(payload)
        issued, expires = claims["iat"], claims["exp"]
        now, skew = at.timestamp(), self._skew.total_seconds()
        if not 0 < expires - issued <= MAX_LIFE.total_seconds() or not issued - skew <= now < expires + skew:
            raise RefusedError("GATEWAY_TIME")
        meant = {"iss": self._issuer, "aud": self._audience, "method": method, "path": path}
        for name, expected in meant.items():
            if not _same(claims[name], expected):
                raise RefusedError("GATEWAY_MEANT", claim=name)
        # 4. For the first time. Last, so that a stranger cannot fill the store.
        if self._replays is not None:
            until = at + timedelta(seconds=max(0, expires - now)) + self._skew
            if not self._replays.first_time(claims["jti"], until):
                raise RefusedError("GATEWAY_REPLAY")
        return Privileges(
            subject=claims["sub"],
            entity=claims["entity"],
            person=claims["person"],
            roles=frozenset(claims["roles"]),
            attributes={name: tuple(values) for name, values in claims["attributes"].items()},
            certificates=tuple(claims["certificates"]),
        )

    def _check_signature(self, protected: str, payload: str, signature: str) -> None:
        header = _object(protected, 1024)
        if header.keys() != {"alg", "kid", "typ"} or not all(isinstance(v, str) for v in header.values()):
            _malformed("the protected header needs exactly alg, kid and typ")
        if header["typ"] != TYP:
            _malformed("typ")
        key = self._keys.get(header["kid"])
        rows = {} if key is None else algorithms_for(key)
        if key is None or header["alg"] not in rows:
            raise RefusedError("GATEWAY_KEY", kid=header["kid"])
        try:
            verify_signature(
                key,
                rows[header["alg"]],
                der_signature(key, decode_base64url(signature)),
                f"{protected}.{payload}".encode(),
            )
        except SignatureInvalidError as exc:
            raise SignatureInvalidError("GATEWAY_SIGNATURE") from exc


def _parts(value: str) -> tuple[str, str, str]:
    parts = value.split(".")
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
        _malformed("it is no compact JWS")
    return parts[0], parts[1], parts[2]


def _object(part: str, most: int) -> dict[str, Any]:
    try:
        found = load_json(decode_base64url(part), max_bytes=most)
    except MalformedError as exc:
        _malformed(str(exc.facts.get("detail", exc.code)))
    if not isinstance(found, dict):
        _malformed("not an object")
    return found


def _read_claims(payload: str) -> dict[str, Any]:
    claims = _object(payload, MAX_CHARACTERS)
    if claims.keys() != _CLAIMS:
        _malformed("the claims are others")
    texts = all(isinstance(claims[name], str) for name in ("iss", "aud", "jti", "method", "path", "sub"))
    numbers = all(type(claims[name]) is int for name in ("iat", "exp"))
    ids = all(claims[name] is None or isinstance(claims[name], str) for name in ("entity", "person"))
    lists = all(_is_texts(claims[name]) for name in ("roles", "certificates"))
    attributes = isinstance(claims["attributes"], dict) and all(map(_is_texts, claims["attributes"].values()))
    if not (texts and numbers and ids and lists and attributes and claims["sub"] and claims["jti"]):
        _malformed("a claim is of the wrong kind")
    return claims


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _same(found: str, expected: str) -> bool:
    return hmac.compare_digest(found.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _malformed(detail: str) -> NoReturn:
    raise MalformedError("GATEWAY_HEADER", source="RFC 7515, section 7.1", detail=detail)
