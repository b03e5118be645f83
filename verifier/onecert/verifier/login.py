"""Login by challenge: the holder signs a text that is good once, here, for one session, for minutes.

    challenge = login.challenge(session=session_id, at=now)     # send challenge.data to the browser's plug-in
    result = login.verify(challenge.id, cert_der, signature, session=session_id, at=now)

The signed text begins with a line that no form, file or token begins with, so that a login signature can
never pass for the signature of a form. A challenge is used up by the first answer, whatever its verdict.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from onecert.verifier.arguments import check_aware, check_kind
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import SignatureInvalidError
from onecert.verifier.login_challenge import (
    ALGORITHMS,
    CLOCK_SKEW,
    MAX_TTL,
    PREFIX,
    Challenge,
    LoginError,
    base64url,
    default_algorithm,
    write_challenge,
)
from onecert.verifier.login_server import ChallengeSigner
from onecert.verifier.login_store import ChallengeStore, MemoryStore, StoredChallenge
from onecert.verifier.purposes import LOGIN
from onecert.verifier.signatures import load_public_key, verify_signature
from onecert.verifier.verifier import VerifiedCertificate, Verifier

__all__ = ["ALGORITHMS", "MAX_TTL", "PREFIX", "Challenge", "Login", "LoginError", "default_algorithm"]

MAX_SIGNATURE_BYTES = 8192


class Login:
    """Challenges of one application.

    Args:
        verifier: checks the certificate; its application name is the one that challenges carry.
        store: where open challenges are kept. ``MemoryStore`` serves one process; use ``SqliteStore`` or your
            own when several processes answer.
        application: overrides the verifier's application name.
        ttl: how long a challenge is good, at most five minutes.
        signer: the server's key, for clients that want to know whom they sign for (mutual login).
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        store: ChallengeStore | None = None,
        application: str | None = None,
        ttl: timedelta = MAX_TTL,
        signer: ChallengeSigner | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if not timedelta(0) < ttl <= MAX_TTL:
            raise ValueError("a challenge lives at most five minutes")
        self._verifier = verifier
        self._store = store if store is not None else MemoryStore()
        self._application = application if application is not None else verifier.application
        if not self._application.isprintable() or not self._application or len(self._application) > 100:
            raise ValueError("the application needs a printable name of at most 100 characters")
        self._ttl = ttl
        self._signer = signer
        self._random = random

    def challenge(self, *, session: str, at: datetime, client: bytes | None = None) -> Challenge:
        """Make a challenge for this session.

        Args:
            session: any secret that only this browser session has; it is hashed, never stored or shown.
            client: random octets that the client has sent, 16 to 64; the server's signature covers them.

        Raises:
            CouldNotCheckError: LOGIN_STORE, LOGIN_SERVER_KEY.
        """
        check_aware(at)
        check_kind(session, str, "session")
        challenge_id = base64url(self._random(16))
        expires_at = at.replace(microsecond=0) + self._ttl
        data = write_challenge(
            application=self._application,
            session_sha256=_digest(session),
            challenge_id=challenge_id,
            expires_at=expires_at,
            random=self._random(32),
        )
        # Signed before it is kept: a token that does not answer leaves nothing behind.
        server = None if self._signer is None else self._signer.prove(data, client)
        challenge = Challenge(id=challenge_id, data=data, expires_at=expires_at, server=server)
        stored = StoredChallenge(
            id=challenge_id,
            application=self._application,
            session_sha256=_digest(session),
            data=challenge.data,
            expires_at=expires_at,
        )
        self._store.add(stored, at)
        return challenge

    def verify(
        self,
        challenge: Challenge | str | bytes,
        certificate: bytes | ParsedCertificate,
        signature: bytes,
        *,
        session: str,
        at: datetime,
        algorithm: str | None = None,
        candidates: tuple[bytes, ...] = (),
    ) -> VerifiedCertificate:
        """Check the answer to a challenge and name the holder.

        Args:
            challenge: the challenge, its id, or its ``data``.
            certificate: the signing certificate, DER or PEM.
            signature: over ``data``; for ECDSA and SM2 the DER form; SM2 with the identifier of the
                verifier's policy.
            session: the same as given to ``challenge``.
            algorithm: one of ``ALGORITHMS``; by default the usual one of the key (``default_algorithm``).
            candidates: further CA certificates that came along.

        Raises:
            LoginError: LOGIN_CHALLENGE_UNKNOWN, LOGIN_CHALLENGE_USED, LOGIN_CHALLENGE_EXPIRED,
                LOGIN_OTHER_SESSION, LOGIN_OTHER_APPLICATION, LOGIN_ALGORITHM, LOGIN_SIGNATURE, SM2_EMPTY_ID.
            VerifyError: as ``Verifier.verify``.
        """
        check_aware(at)
        check_kind(session, str, "session")
        # 1. Use the challenge up, before anything that could be tried twice.
        stored = self._use(challenge, session, at)
        # 2. The certificate: path, state of the CA, revocation, usage, identity.
        cert = as_parsed(certificate)
        result = self._verifier.verify(cert, at=at, purpose=LOGIN, candidates=candidates)
        # 3. The signature by its key over exactly the stored text.
        key = load_public_key(cert.spki_der)
        name = algorithm if algorithm is not None else default_algorithm(key)
        if name not in ALGORITHMS:
            raise LoginError("LOGIN_ALGORITHM", algorithm=str(name)[:40])
        try:
            if len(signature) > MAX_SIGNATURE_BYTES:
                raise SignatureInvalidError("SIGNATURE_INVALID", algorithm=name)
            verify_signature(key, name, signature, stored.data, policy=self._verifier.algorithms, at=at)
        except SignatureInvalidError as exc:
            # An empty SM2 identifier is the fault of the holder's program, not of the key that is inserted.
            code = exc.code if exc.code == "SM2_EMPTY_ID" else "LOGIN_SIGNATURE"
            raise LoginError(code, certificate=cert.certificate) from exc
        return result

    def _use(self, challenge: Challenge | str | bytes, session: str, at: datetime) -> StoredChallenge:
        challenge_id = _challenge_id(challenge)
        used = self._store.use(challenge_id)
        if used is None:
            raise LoginError("LOGIN_CHALLENGE_UNKNOWN")
        stored = used.challenge
        data = challenge.data if isinstance(challenge, Challenge) else challenge
        if isinstance(data, bytes) and not hmac.compare_digest(data, stored.data):
            raise LoginError("LOGIN_CHALLENGE_UNKNOWN")
        if used.again:
            raise LoginError("LOGIN_CHALLENGE_USED")
        if at >= stored.expires_at or at < stored.expires_at - self._ttl - CLOCK_SKEW:
            raise LoginError("LOGIN_CHALLENGE_EXPIRED", expires_at=stored.expires_at)
        if stored.application != self._application:
            raise LoginError("LOGIN_OTHER_APPLICATION")
        if not hmac.compare_digest(stored.session_sha256, _digest(session)):
            raise LoginError("LOGIN_OTHER_SESSION")
        return stored


_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_ID_LINE = re.compile(rb"^id: ([A-Za-z0-9_-]{22})$", re.MULTILINE)


def _challenge_id(challenge: Challenge | str | bytes) -> str:
    if isinstance(challenge, bytes):
        match = _ID_LINE.search(challenge[:1024])
        challenge = match[1].decode("ascii") if match else ""
    value = challenge.id if isinstance(challenge, Challenge) else challenge
    if _ID.fullmatch(value) is None:
        raise LoginError("LOGIN_CHALLENGE_UNKNOWN")
    return value


def _digest(session: str) -> str:
    return base64url(hashlib.sha256(b"onecert session\0" + session.encode("utf-8", "replace")).digest())
